/*
 * What a handler does with its call, but for receiving: server_receive.c. Waiting always means:
 * until something happens on the stream, or the fiber's context ends; a stream that has gone looks
 * like cancellation, which it is.
 */

#include "grpc/call.h"

#include "server_priv.h"

#define FLUSH_MIN_NS ND_MILLISECOND
#define FLUSH_MAX_NS (100 * ND_MILLISECOND)

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

struct nd_error *
nd_call_send(struct nd_call *call, const void *message)
{
    ND_TRY(nd_server_call_check_open(call));
    while (nd_h2_stream_is_full(&call->h2)) {
        ND_TRY(nd_cond_wait(&call->writable));
        ND_TRY(nd_server_call_check_open(call));
    }
    ND_TRY(nd_server_call_put(call, message));
    nd_h2_stream_queued(&call->h2);
    return NULL;
}

struct flushing {
    struct nd_call *call;
    uint64_t end; /* in what the session has written; UINT64_MAX: it has not written everything */
};

/*
 * TLS and the socket may keep what has left the stream's own queue, and other calls write behind
 * it.
 */
static bool
is_flushed(struct flushing *f)
{
    const struct nd_h2_stream *s = &f->call->h2;

    if (s->session == NULL)
        return false;
    if (f->end == UINT64_MAX && nd_h2_stream_unsent(s) == 0)
        f->end = nd_session_written(s->session);
    return f->end != UINT64_MAX && nd_session_has_left(s->session, f->end);
}

/*
 * What was sent leaves at the end of the loop's turn, unless the client does not read; that has no
 * event.
 */
struct nd_error *
nd_call_flush(struct nd_call *call)
{
    struct flushing f = {.call = call, .end = UINT64_MAX};
    int64_t pause_ns = 0;

    for (;;) {
        ND_TRY(nd_fiber_sleep(pause_ns));
        ND_TRY(nd_server_call_check_open(call));
        if (is_flushed(&f))
            return NULL;
        pause_ns = ND_MIN(ND_MAX(2 * pause_ns, FLUSH_MIN_NS), FLUSH_MAX_NS);
    }
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
    if (nd_h2_stream_has_responded(&call->h2))
        return nd_error_new(ND_PRECONDITION, "the initial metadata has been sent");
    return add_metadata(&call->headers, nd_server_call_room_for_headers(call), key, value);
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
    ND_TRY(nd_server_call_check_open(call));
    nd_server_call_send_headers(call);
    return NULL;
}
