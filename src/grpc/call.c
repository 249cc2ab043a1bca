/*
 * What a handler does with its call. Waiting always means: until something happens on the stream, or
 * the fiber's context ends; a stream that has gone looks like cancellation, which it is.
 *
 * A reader that waits for a message larger than the window would wait for ever, so while it waits,
 * credit is given back as bytes arrive; otherwise only for the messages that it takes.
 */

#include "grpc/call.h"

#include <protobuf-c/protobuf-c.h>

#include "server_priv.h"

const struct nd_method_desc *
nd_call_method(const struct nd_call *call)
{
    return call->method->desc;
}

const struct nd_identity *
nd_call_identity(const struct nd_call *call)
{
    return &call->conn->identity;
}

const struct nd_metadata *
nd_call_metadata(const struct nd_call *call)
{
    return &call->metadata;
}

void *
nd_call_user(const struct nd_call *call)
{
    return call->method->user;
}

struct nd_arena *
nd_call_arena(struct nd_call *call)
{
    return call->arena;
}

static struct nd_error *
check_open(const struct nd_call *call)
{
    ND_TRY(nd_ctx_check());
    if (call->closed)
        return nd_error_new(ND_CANCELLED, "the client has gone");
    return NULL;
}

static void
give_credit(struct nd_call *call, size_t n)
{
    n = ND_MIN(n, call->owed);
    call->owed -= n;
    nd_h2_stream_consume(&call->h2, n);
    nd_server_call_count_credited(call);
}

static struct nd_error *
wait_for_bytes(struct nd_call *call)
{
    struct nd_error *err;

    give_credit(call, call->owed);
    call->reader_waits = true;
    err = nd_cond_wait(&call->readable);
    call->reader_waits = false;
    return err;
}

/* The next message's bytes; `*ret_found` is false at half-close. */
static struct nd_error *
next_frame(struct nd_call *call, struct nd_str *ret, bool *ret_found)
{
    for (;;) {
        ND_TRY(check_open(call));
        ND_TRY(nd_server_call_take(call, ret, ret_found));
        if (*ret_found) {
            give_credit(call, call->in.taken);
            return NULL;
        }
        if (call->half_closed)
            break;
        ND_TRY(nd_server_call_check_pending(call));
        ND_TRY(wait_for_bytes(call));
    }
    if (nd_frames_pending(&call->in) != 0)
        return nd_error_new(ND_INTERNAL, "the stream ended inside a message");
    return NULL;
}

struct nd_error *
nd_call_recv(struct nd_call *call, void *ret_message)
{
    ProtobufCMessage **ret = ret_message;
    struct nd_str bytes;
    bool found;

    if (call->message_arena == NULL)
        call->message_arena = nd_arena_new(0);
    else
        nd_arena_reset(call->message_arena); /* before the wait, which may be long */
    nd_server_call_hold(call, 0);
    ND_TRY(next_frame(call, &bytes, &found));
    if (!found) {
        *ret = NULL;
        return NULL;
    }
    ND_TRY(nd_frames_decode(&call->in, call->method->desc->input, bytes, call->message_arena, ret));
    return nd_server_call_hold_request(call, call->message_arena);
}

struct nd_error *
nd_call_send(struct nd_call *call, const void *message)
{
    ND_TRY(check_open(call));
    while (nd_h2_stream_is_full(&call->h2)) {
        ND_TRY(nd_cond_wait(&call->writable));
        ND_TRY(check_open(call));
    }
    ND_TRY(nd_server_call_put(call, message));
    nd_h2_stream_queued(&call->h2);
    return NULL;
}

static struct nd_error *
add_metadata(struct nd_metadata *md, size_t max, struct nd_str key, struct nd_str value)
{
    size_t size = nd_metadata_size(md) + nd_metadata_field_size(key, value);

    if (size > max)
        return nd_error_new(ND_EXHAUSTED, "metadata of %zu bytes; the limit is %zu", size, max);
    return nd_metadata_add(md, key, value);
}

struct nd_error *
nd_call_add_header(struct nd_call *call, struct nd_str key, struct nd_str value)
{
    size_t max = ND_GRPC_MAX_METADATA;

    if (nd_h2_stream_has_responded(&call->h2))
        return nd_error_new(ND_PRECONDITION, "the initial metadata has been sent");
    if (call->h2.session != NULL)
        max = ND_MIN(max, nd_session_peer_max_headers(call->h2.session));
    return add_metadata(&call->headers, max, key, value);
}

/* What the client does not accept is left out at the end, for the status' sake: server_answer.c. */
struct nd_error *
nd_call_add_trailer(struct nd_call *call, struct nd_str key, struct nd_str value)
{
    return add_metadata(&call->trailers, ND_GRPC_MAX_METADATA, key, value);
}

void
nd_call_set_compression(struct nd_call *call, enum nd_compression compression)
{
    call->wants_gzip = compression == ND_COMPRESSION_GZIP;
}

bool
nd_call_was_compressed(const struct nd_call *call)
{
    return call->in.taken_compressed;
}

struct nd_error *
nd_call_send_header(struct nd_call *call)
{
    ND_TRY(check_open(call));
    nd_server_call_send_headers(call);
    return NULL;
}
