/*
 * What a client makes the server keep although its bytes have long been taken: requests in the
 * hands of handlers, and answers that it does not read.
 *
 *     bytes ──taken──> (inflated) ──decoded──> handler ──encoded──> answer ──> the client reads it
 *       pending_bytes    held_bytes: from here                          to here
 *       (server_pending.c)
 *
 * Neither is bounded by what was sent. Four megabytes of the smallest fields become tens of
 * megabytes of objects, compressed they are some kilobytes on the wire, and the answer to a
 * question of ten bytes may be a list of a megabyte, once for each stream. So both count for the
 * call, its connection and the server, and who passes a limit gets an error in place of the next
 * one. When all together hold too much, those calls are still served that are small.
 */

#include <protobuf-c/protobuf-c.h>

#include "server_priv.h"

void
nd_server_call_hold(struct nd_call *call, size_t bytes)
{
    call->conn->held_bytes += bytes - call->held;
    call->server->held_bytes += bytes - call->held;
    call->held = bytes;
}

/* For the connection, which makes us keep so many, or for all. */
static struct nd_error *
too_much(const struct nd_call *call, size_t conn_bytes)
{
    const struct nd_server_options *o = &call->server->options;

    if (conn_bytes > o->max_held_bytes)
        return nd_error_new(ND_EXHAUSTED,
                            "requests in work and answers not read of more than %zu bytes",
                            o->max_held_bytes);
    return nd_error_new(ND_EXHAUSTED,
                        "requests in work and answers not read of more than %zu bytes in all",
                        o->max_held_bytes_all);
}

struct nd_error *
nd_server_call_hold_request(struct nd_call *call, size_t bytes)
{
    const struct nd_server *s = call->server;

    nd_server_call_hold(call, bytes);
    if (call->conn->held_bytes > s->options.max_held_bytes ||
        (s->held_bytes > s->options.max_held_bytes_all && call->held > ND_GRPC_SMALL_REQUEST_BYTES))
        return too_much(call, call->conn->held_bytes);
    return NULL;
}

/* Of this call nothing counts: its request goes when the answer is there. */
struct nd_error *
nd_server_call_check_answer(const struct nd_call *call)
{
    const struct nd_server *s = call->server;
    size_t others = call->conn->held_bytes - call->held;

    if (others > s->options.max_held_bytes ||
        (s->held_bytes - call->held > s->options.max_held_bytes_all &&
         protobuf_c_message_get_packed_size(call->reply) > ND_GRPC_SMALL_REQUEST_BYTES))
        return too_much(call, others);
    return NULL;
}
