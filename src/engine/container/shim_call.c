/*
 * Calls that the shim of a container answers.
 *
 * containerd passes them on and waits for as long as its caller does. A shim that is stopped, or
 * hangs, would hold up a client without a deadline for ever, and with it the lock of the container;
 * so they have a time of our own, far above what any of them takes, and what is told then names the
 * container. Waiting for the end of a process is none of these.
 */

#include "container/limits.h"

#include "containers_priv.h"

/* Takes the time of runc, which sets a process up; the others are a signal or a look. */
static int64_t
time_of(const struct nd_method_desc *method)
{
    return method == CT_TASKS_START ? ND_TASK_CREATE_NS : ND_SHIM_ANSWER_NS;
}

/*
 * To us, or to containerd, which asks with times of its own and passes on what Go calls it when
 * they are over.
 */
static bool
is_silence(const struct nd_error *err)
{
    return nd_error_code(err) == ND_DEADLINE ||
           (nd_error_code(err) == ND_UNKNOWN &&
            nd_str_search(nd_str(nd_error_message(err)), ND_STR("context deadline exceeded")) !=
                SIZE_MAX);
}

static struct nd_error *
is_silent(const struct process_name *p)
{
    struct nd_error *err =
        nd_error_new(ND_DEADLINE, "the shim of container %.12s does not answer", p->id);

    err = nd_error_meta(nd_error_reason(err, "SHIM_SILENT"), "container", p->id);
    return nd_error_hint(err,
                         "look at its process (containerd-shim ... -id %.12s): let it go on, or "
                         "end it and remove the container",
                         p->id);
}

struct nd_error *
nd_shim_call(const struct process_name *p, const struct nd_method_desc *method, const void *req,
             struct nd_arena *arena, void *ret)
{
    struct nd_error *err;

    {
        ND_DEADLINE_IN(time_of(method));
        err = nd_ctrd_call(nd_host_ctrd(p->cs->host), (struct nd_ctrd_scope){.ns = p->ns}, method,
                           req, arena, ret);
    }
    if (err == NULL || !is_silence(err))
        return err;
    nd_error_free(err);
    ND_TRY(nd_ctx_check()); /* it was the caller's time that is over */
    return is_silent(p);
}
