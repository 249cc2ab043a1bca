/*
 * Fault points by call, in builds that have them: a test names one in the metadata of a call.
 *
 *   nerdctl-fault: tasks.v1.Tasks/Create#1=kill     armed before the handler runs; the trailer
 *                                                   nerdctl-fault-fired tells whether it was
 *                                                   reached
 *   nerdctl-fault: trace                            the trailer nerdctl-fault-trace names what was
 *                                                   reached
 *
 * In other builds this does nothing.
 */

#include "base/fault.h"

#include "interceptors/interceptors.h"

#ifdef ND_FAULTS

#    define KEY       ND_STR("nerdctl-fault")
#    define TRACE_KEY ND_STR("nerdctl-fault-trace")
#    define FIRED_KEY ND_STR("nerdctl-fault-fired")
#    define TRACE_MAX (64u * 1024u)

static struct nd_error *
call_traced(struct nd_call *call, const struct nd_interceptor_chain *next)
{
    ND_AUTO(nd_buf_fini) struct nd_buf trace = ND_BUF_INIT(TRACE_MAX);
    struct nd_error *err;

    nd_fault_trace_begin();
    err = nd_interceptor_next(next);
    nd_fault_trace_end(&trace);
    if (err == NULL)
        err = nd_call_add_trailer(call, TRACE_KEY, nd_buf_str(&trace));
    return err;
}

static struct nd_error *
call_armed(struct nd_call *call, struct nd_str what, const struct nd_interceptor_chain *next)
{
    struct nd_error *err, *trailer;

    ND_TRY(nd_fault_arm(what));
    err = nd_interceptor_next(next);
    trailer =
        nd_call_add_trailer(call, FIRED_KEY, nd_fault_has_fired() ? ND_STR("yes") : ND_STR("no"));
    nd_error_free(trailer);
    return err;
}

static struct nd_error *
with_faults(void *arg, struct nd_call *call, const void *in,
            const struct nd_interceptor_chain *next)
{
    struct nd_str what;

    (void)arg;
    (void)in;
    if (!nd_metadata_find(nd_call_metadata(call), KEY, &what))
        return nd_interceptor_next(next);
    return nd_str_eqz(what, "trace") ? call_traced(call, next) : call_armed(call, what, next);
}

#else

static struct nd_error *
with_faults(void *arg, struct nd_call *call, const void *in,
            const struct nd_interceptor_chain *next)
{
    (void)arg;
    (void)call;
    (void)in;
    return nd_interceptor_next(next);
}

#endif

struct nd_interceptor
nd_intercept_faults(void)
{
    return (struct nd_interceptor){.run = with_faults, .arg = NULL};
}
