/*
 * What fibers use of a stream, built on the push interface that every kind of stream has: bytes
 * flow only while a fiber waits for them, so a slow reader stops the peer and nothing piles up but
 * the rest of one delivery. Writing goes in pieces, each of which leaves before the next is taken.
 */

#include "base/alloc.h"
#include "base/buf.h"
#include "fiber/limits.h"
#include "fiber/stream_io.h"
#include "fiber/sync.h"

struct nd_stream_blocking {
    struct nd_stream *stream;
    char *want; /* where a waiting reader wants bytes; NULL: nobody waits */
    size_t want_cap;
    size_t got;
    struct nd_buf left; /* of a delivery that was larger than what was wanted */
    size_t taken;       /* of `left` */
    bool ended;
    struct nd_error *err; /* why it ended */
    struct nd_cond readable;
    struct nd_cond drained;
};

void
nd_stream_attach(struct nd_stream *s, const struct nd_stream_reader *reader,
                 void (*on_drain)(void *arg), void *drain_arg)
{
    s->reader = *reader;
    s->on_drain = on_drain;
    s->drain_arg = drain_arg;
}

void
nd_stream_start(struct nd_stream *s)
{
    s->ops->start(s);
}

void
nd_stream_stop(struct nd_stream *s)
{
    s->ops->stop(s);
}

void
nd_stream_push(struct nd_stream *s, struct nd_str bytes)
{
    s->ops->write(s, bytes);
}

size_t
nd_stream_unsent(const struct nd_stream *s)
{
    return s->ops->unsent(s);
}

void
nd_stream_finish(struct nd_stream *s)
{
    s->ops->shutdown(s);
}

void
nd_stream_limit_unacked(struct nd_stream *s, int64_t ns)
{
    if (s->ops->limit_unacked != NULL)
        s->ops->limit_unacked(s, ns);
}

void
nd_stream_pace(struct nd_stream *s)
{
    if (s->ops->pace != NULL)
        s->ops->pace(s);
}

const struct nd_peer *
nd_stream_peer(const struct nd_stream *s)
{
    return &s->peer;
}

static void
on_bytes(void *arg, struct nd_str bytes)
{
    struct nd_stream_blocking *b = arg;
    size_t n = 0;

    if (b->want != NULL && b->got == 0) {
        n = ND_MIN(bytes.len, b->want_cap);
        memcpy(b->want, bytes.ptr, n);
        b->got = n;
    }
    if (n < bytes.len)
        nd_buf_put(&b->left, nd_str_from(bytes, n));
    nd_stream_stop(b->stream);
    nd_cond_signal(&b->readable);
}

static void
on_end(void *arg, struct nd_error *err)
{
    struct nd_stream_blocking *b = arg;

    b->ended = true;
    b->err = err;
    nd_cond_broadcast(&b->readable);
    nd_cond_broadcast(&b->drained);
}

static void
on_drain(void *arg)
{
    struct nd_stream_blocking *b = arg;

    nd_cond_broadcast(&b->drained);
}

/* The blocking side of a stream; from its first use on the stream is read and written this way. */
static struct nd_stream_blocking *
blocking(struct nd_stream *s)
{
    struct nd_stream_blocking *b = s->blocking;

    if (b != NULL)
        return b;
    ND_INVARIANT(s->reader.on_bytes == NULL);
    b = nd_new(struct nd_stream_blocking);
    b->stream = s;
    b->left = ND_BUF_INIT(ND_STREAM_QUEUE_BYTES);
    s->blocking = b;
    nd_stream_attach(s,
                     &(struct nd_stream_reader){.on_bytes = on_bytes, .on_end = on_end, .arg = b},
                     on_drain, b);
    return b;
}

static size_t
take_left(struct nd_stream_blocking *b, void *dst, size_t cap)
{
    size_t n = ND_MIN(b->left.len - b->taken, cap);

    if (n != 0)
        memcpy(dst, b->left.ptr + b->taken, n);
    b->taken += n;
    if (b->taken == b->left.len) {
        nd_buf_fini(&b->left);
        b->taken = 0;
    }
    return n;
}

/* Let bytes flow until some have come to `dst`. What has come is kept, whatever else happened. */
static struct nd_error *
await_bytes(struct nd_stream_blocking *b, void *dst, size_t cap)
{
    struct nd_error *err = NULL;

    b->want = dst;
    b->want_cap = cap;
    b->got = 0;
    nd_stream_start(b->stream);
    while (err == NULL && b->got == 0 && !b->ended)
        err = nd_cond_wait(&b->readable);
    nd_stream_stop(b->stream);
    b->want = NULL;
    if (b->got == 0)
        return err;
    nd_error_free(err);
    return NULL;
}

struct nd_error *
nd_stream_read(struct nd_stream *s, void *dst, size_t cap, size_t *ret)
{
    struct nd_stream_blocking *b = blocking(s);
    size_t n;

    ND_INVARIANT(cap != 0 && b->want == NULL);
    ND_TRY(nd_ctx_check());
    n = take_left(b, dst, cap);
    if (n == 0 && !b->ended) {
        ND_TRY(await_bytes(b, dst, cap));
        n = b->got;
    }
    if (n == 0 && b->err != NULL)
        return nd_error_copy(b->err);
    *ret = n;
    return NULL;
}

struct nd_error *
nd_stream_read_full(struct nd_stream *s, void *dst, size_t len)
{
    size_t done = 0;

    while (done < len) {
        size_t n;

        ND_TRY(nd_stream_read(s, (char *)dst + done, len - done, &n));
        if (n == 0)
            return nd_error_new(ND_DATA_LOSS, "%s: ended after %zu of %zu bytes", s->peer.name,
                                done, len);
        done += n;
    }
    return NULL;
}

static struct nd_error *
check_writable(const struct nd_stream *s)
{
    const struct nd_stream_blocking *b = s->blocking;

    if (b->err != NULL)
        return nd_error_copy(b->err);
    if (s->failed)
        return nd_error_new(ND_UNAVAILABLE, "write to %s: the peer is gone", s->peer.name);
    return NULL;
}

/* Until the queue is empty; after a failure, until the end has told the reason. */
static bool
is_pending(const struct nd_stream *s)
{
    if (s->failed)
        return !s->blocking->ended;
    return s->blocking->err == NULL && nd_stream_unsent(s) != 0;
}

static struct nd_error *
await_drain(struct nd_stream *s)
{
    while (is_pending(s))
        ND_TRY(nd_cond_wait(&s->blocking->drained));
    return check_writable(s);
}

struct nd_error *
nd_stream_write(struct nd_stream *s, struct nd_str bytes)
{
    blocking(s);
    ND_TRY(nd_ctx_check());
    do {
        struct nd_str piece = nd_str_sub(bytes, 0, ND_STREAM_READ_BYTES);

        ND_TRY(check_writable(s));
        nd_stream_push(s, piece);
        ND_TRY(await_drain(s));
        bytes = nd_str_from(bytes, piece.len);
    } while (bytes.len != 0);
    return NULL;
}

struct nd_error *
nd_stream_shutdown(struct nd_stream *s)
{
    blocking(s);
    ND_TRY(nd_ctx_check());
    nd_stream_finish(s);
    return await_drain(s);
}

void
nd_stream_close(struct nd_stream *s)
{
    struct nd_stream_blocking *b;

    if (s == NULL)
        return;
    b = ND_TAKE(s->blocking);
    s->ops->close(s);
    if (b == NULL)
        return;
    nd_buf_fini(&b->left);
    nd_error_free(b->err);
    nd_free(b);
}

void
nd_stream_closep(struct nd_stream **s)
{
    nd_stream_close(ND_TAKE(*s));
}
