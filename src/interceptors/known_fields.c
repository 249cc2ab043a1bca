/*
 * A mutation with a field that this daemon does not know is refused.
 *
 * protobuf drops unknown fields silently, which is right for replies and for questions. For a
 * mutation it means that a newer client asks for a flag ("read-only"), gets success, and has
 * something else. So the decoded message, which keeps what it did not know, is searched, and the
 * field's number and place are named.
 */

#include "base/buf.h"
#include "codec/pb.h"
#include "interceptors/interceptors.h"

#define PATH_MAX_BYTES 512

struct nd_error *
nd_known_fields_check(const void *message)
{
    ND_AUTO(nd_buf_fini) struct nd_buf path = ND_BUF_INIT(PATH_MAX_BYTES);

    if (!nd_pb_unknown_field(message, &path))
        return NULL;
    return nd_error_hint(
        nd_error_reason(nd_error_field(nd_buf_str(&path).ptr,
                                       "is not known to this daemon, which must not ignore it"),
                        "UNKNOWN_FIELD"),
        "the client is newer than the daemon: update nerdctl-grpcd, or leave the option out");
}

static struct nd_error *
check_call(void *arg, struct nd_call *call, const void *in, const struct nd_interceptor_chain *next)
{
    (void)arg;
    if (in != NULL && !nd_call_method(call)->no_side_effects)
        ND_TRY(nd_known_fields_check(in));
    return nd_interceptor_next(next);
}

struct nd_interceptor
nd_intercept_known_fields(void)
{
    return (struct nd_interceptor){.run = check_call, .wants_request = true};
}
