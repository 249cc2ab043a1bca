/*
 * The next message of a request, and what a compressed one costs.
 *
 * A plain message has been sent byte by byte, and what clients make us hold that way is counted while it
 * arrives (server_call.c). A kilobyte of gzip becomes a megabyte here, so it is counted when it is
 * inflated, until the handler is done with it: with the call, or on a stream with the next message. And
 * they are inflated one after the other, in the order of asking; so many at once would be as many
 * buffers before the first of them is counted.
 *
 * A stream's unread messages are bounded by its window, and are not counted. But to a reader that waits for
 * the rest of a larger message credit is given early; what has come that way is counted.
 */

#include "server_priv.h"

static void
count(struct nd_call *call, size_t inflated)
{
    call->conn->pending_bytes += inflated - call->inflated;
    call->server->pending_bytes += inflated - call->inflated;
    call->inflated = inflated;
}

void
nd_server_call_count_credited(struct nd_call *call)
{
    size_t credited = nd_frames_pending(&call->in) - call->owed;

    call->conn->pending_bytes += credited - call->collected;
    call->server->pending_bytes += credited - call->collected;
    call->collected = credited;
}

void
nd_server_call_uncount(struct nd_call *call)
{
    count(call, 0);
}

static struct nd_error *
check_inflated(const struct nd_call *call)
{
    const struct nd_server_options *o = &call->server->options;

    if (call->conn->pending_bytes > o->max_pending_bytes)
        return nd_error_new(ND_EXHAUSTED, "compressed requests of more than %zu bytes",
                            o->max_pending_bytes);
    if (call->server->pending_bytes > o->max_pending_bytes_all &&
        call->inflated > ND_GRPC_SMALL_REQUEST_BYTES)
        return nd_error_new(ND_EXHAUSTED, "compressed requests of more than %zu bytes in all",
                            o->max_pending_bytes_all);
    return NULL;
}

struct nd_error *
nd_server_call_take(struct nd_call *call, struct nd_str *ret, bool *ret_found)
{
    ND_AUTO(nd_mutex_unlockp) struct nd_mutex *lock = NULL;

    nd_server_call_uncount(call);
    if (!nd_frames_is_compressed(&call->in))
        return nd_frames_next(&call->in, ret, ret_found);
    ND_TRY(nd_mutex_lock(&call->server->inflating));
    lock = &call->server->inflating;
    ND_TRY(nd_frames_next(&call->in, ret, ret_found));
    if (!*ret_found)
        return NULL;
    count(call, ret->len);
    return check_inflated(call);
}
