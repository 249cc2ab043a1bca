/*
 * The access log: one line for each call when it has ended.
 *
 * A call that failed for a reason of its caller is information, not a warning: the daemon did what
 * it should. INTERNAL and DATA_LOSS are ours and are logged as errors. Health checks and reflection
 * would drown the rest, so their successes are logged at debug level only.
 */

#include "base/clock.h"
#include "base/log.h"
#include "interceptors/interceptors.h"

static bool
is_chatter(const struct nd_method_desc *method)
{
    struct nd_str path = nd_str(method->path);

    return nd_str_starts(path, ND_STR("/grpc."));
}

static enum nd_log_level
level_of(const struct nd_method_desc *method, enum nd_code code)
{
    if (code == ND_INTERNAL || code == ND_DATA_LOSS)
        return ND_LOG_ERROR;
    if (is_chatter(method) && (code == ND_OK || code == ND_CANCELLED))
        return ND_LOG_DEBUG;
    return ND_LOG_INFO;
}

static struct nd_error *
log_call(void *arg, struct nd_call *call, const void *in, const struct nd_interceptor_chain *next)
{
    const struct nd_method_desc *method = nd_call_method(call);
    const struct nd_identity *who = nd_call_identity(call);
    struct nd_mono begun = nd_mono_now();
    struct nd_error *err = nd_interceptor_next(next);
    enum nd_log_level level = level_of(method, nd_error_code(err));

    (void)arg;
    (void)in;
    ND_LOG_AT(level, "call", ND_KV("method", method->path),
              ND_KV("code", nd_code_name(nd_error_code(err))),
              ND_KV("duration_us", (nd_mono_now().ns - begun.ns) / ND_MICROSECOND),
              ND_KV("client", who->cert_common_name != NULL ? who->cert_common_name : ""),
              ND_KV("peer", (const char *)who->peer->name), ND_KV("error", err));
    return err;
}

struct nd_interceptor
nd_intercept_log(void)
{
    return (struct nd_interceptor){.run = log_call, .arg = NULL};
}
