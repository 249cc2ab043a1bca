/*
 * Nobody is served before what a dead daemon left half done is in order: a client would see, and
 * get in the way of, a container that is about to be taken back.
 *
 * What does not touch such objects passes: the standard services, and the questions about the
 * daemon itself.
 */

#include "operation/recovery.h"

#include "interceptors/interceptors.h"

static const struct nd_str passing[] = {
    {"/grpc.", sizeof("/grpc.") - 1},
    {"/nerdctl.v1.SystemService/", sizeof("/nerdctl.v1.SystemService/") - 1},
};

static struct nd_error *
wait_for_recovery(void *arg, struct nd_call *call, const void *in,
                  const struct nd_interceptor_chain *next)
{
    struct nd_str path = nd_str(nd_call_method(call)->path);

    (void)in;
    for (size_t i = 0; i < ND_LEN(passing); i++) {
        if (nd_str_starts(path, passing[i]))
            return nd_interceptor_next(next);
    }
    ND_TRY_DOING(nd_recovery_wait(arg), "the daemon is putting in order what was cut off before");
    return nd_interceptor_next(next);
}

struct nd_interceptor
nd_intercept_recovery(struct nd_recovery *recovery)
{
    return (struct nd_interceptor){.run = wait_for_recovery, .arg = recovery};
}
