/*
 * Two streams joined in memory.
 *
 *     end A --push--> [ B's incoming bytes ] --on_bytes--> reader of B      (and the other way)
 *                       up to `capacity` are on their way, the rest is A's queue
 *
 * Delivery is deferred work, at most `capacity` bytes per turn: it behaves like a socket with a
 * small buffer, which is what tests want of it.
 */

#include <stdio.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "fiber/stream_io.h"

#include "loop_priv.h"

struct end {
    struct nd_stream base;
    struct end *other; /* NULL: closed */
    size_t capacity;
    struct nd_buf incoming;
    bool flowing;
    bool finished; /* nothing more will come in */
    bool shut;     /* nothing more may go out */
    bool ended;    /* on_end has been called */
    bool closed;
    bool drain_due;
    struct nd_error *failure; /* to be told */
    struct nd_deferred later;
};

static struct end *
of(struct nd_stream *base)
{
    return ND_CONTAINER_OF(base, struct end, base);
}

static size_t
get_unsent(const struct nd_stream *base)
{
    const struct end *other = ((const struct end *)base)->other;

    if (other == NULL || other->incoming.len <= other->capacity)
        return 0;
    return other->incoming.len - other->capacity;
}

static void
start(struct nd_stream *base)
{
    of(base)->flowing = true;
    nd_deferred_add(&of(base)->later);
}

static void
stop(struct nd_stream *base)
{
    of(base)->flowing = false;
}

/* Takes `err`. */
static void
fail(struct end *e, struct nd_error *err)
{
    if (!e->base.failed)
        e->failure = nd_error_wrap(err, "write to %s", e->base.peer.name);
    else
        nd_error_free(err);
    e->base.failed = true;
    nd_deferred_add(&e->later);
}

static struct nd_error *
add_to(struct end *e, struct nd_str bytes)
{
    if (e->other == NULL)
        return nd_error_new(ND_UNAVAILABLE, "the other end is closed");
    if (e->shut)
        return nd_error_new(ND_INVALID, "it was shut down");
    return nd_buf_add(&e->other->incoming, bytes);
}

static void
push(struct nd_stream *base, struct nd_str bytes)
{
    struct end *e = of(base);
    struct nd_error *err;

    if (bytes.len == 0 || e->closed || base->failed)
        return;
    err = add_to(e, bytes);
    if (err != NULL)
        fail(e, err);
    else
        nd_deferred_add(&e->other->later);
}

static void
finish(struct nd_stream *base)
{
    struct end *e = of(base);

    e->shut = true;
    if (e->other == NULL)
        return;
    e->other->finished = true;
    nd_deferred_add(&e->other->later);
}

static void
deliver(struct end *e)
{
    char *buf = nd_loop_read_buf(nd_loop_here());
    size_t at_most = ND_MIN(e->capacity, ND_STREAM_READ_BYTES);
    size_t n = ND_MIN(e->incoming.len, at_most);
    bool was_queued = e->other != NULL && get_unsent(&e->other->base) != 0;

    memcpy(buf, e->incoming.ptr, n);
    nd_buf_drop(&e->incoming, n);
    if (was_queued && get_unsent(&e->other->base) == 0) {
        e->other->drain_due = true;
        nd_deferred_add(&e->other->later);
    }
    e->base.reader.on_bytes(e->base.reader.arg, nd_str_n(buf, n));
}

static void
tell_end(struct end *e, struct nd_error *err)
{
    if (e->ended || e->base.reader.on_end == NULL) {
        nd_error_free(err);
        return;
    }
    e->ended = true;
    e->base.reader.on_end(e->base.reader.arg, err);
}

static void
free_end(struct end *e)
{
    nd_buf_fini(&e->incoming);
    nd_error_free(e->failure);
    nd_free(e);
}

static void
do_later(void *arg)
{
    struct end *e = arg;

    if (!e->closed && e->flowing && !e->ended && e->incoming.len != 0)
        deliver(e);
    if (!e->closed && e->failure != NULL && (!e->flowing || e->incoming.len == 0))
        tell_end(e, ND_TAKE(e->failure));
    if (!e->closed && e->flowing && e->finished && e->incoming.len == 0)
        tell_end(e, NULL);
    if (!e->closed && e->drain_due) {
        e->drain_due = false;
        if (e->base.on_drain != NULL)
            e->base.on_drain(e->base.drain_arg);
    }
    if (e->closed && e->later.queue == NULL)
        free_end(e);
    else if (!e->closed && e->flowing && !e->ended && e->incoming.len != 0)
        nd_deferred_add(&e->later);
}

/* Drop what had not got into the stream yet. */
static void
drop_excess(struct end *e)
{
    struct nd_buf kept = ND_BUF_INIT(ND_STREAM_QUEUE_BYTES);

    if (e->incoming.len <= e->capacity)
        return;
    nd_buf_put(&kept, nd_str_sub(nd_buf_str(&e->incoming), 0, e->capacity));
    nd_buf_fini(&e->incoming);
    e->incoming = kept;
}

/* Say to the end that stays what a closed socket says: what has arrived, then nothing more. */
static void
part(struct end *closed, struct end *stays)
{
    bool was_queued = get_unsent(&stays->base) != 0;

    drop_excess(stays);
    stays->finished = true;
    stays->other = closed->other = NULL;
    nd_deferred_add(&stays->later);
    if (was_queued) {
        stays->drain_due = true;
        fail(stays, nd_error_new(ND_UNAVAILABLE, "the other end is closed"));
    }
}

static void
close_end(struct nd_stream *base)
{
    struct end *e = of(base);

    e->closed = true;
    if (e->other != NULL)
        part(e, e->other);
    nd_deferred_add(&e->later);
}

static const struct nd_stream_ops memory_ops = {
    .start = start,
    .stop = stop,
    .write = push,
    .unsent = get_unsent,
    .shutdown = finish,
    .close = close_end,
};

static struct end *
new_end(size_t capacity)
{
    struct end *e = nd_new(struct end);

    e->base.ops = &memory_ops;
    e->base.peer.kind = ND_PEER_MEMORY;
    snprintf(e->base.peer.name, sizeof(e->base.peer.name), "memory");
    e->capacity = capacity;
    e->incoming = ND_BUF_INIT(ND_STREAM_QUEUE_BYTES);
    e->later = (struct nd_deferred){.fn = do_later, .arg = e};
    return e;
}

void
nd_stream_pair(size_t capacity, struct nd_stream **ret_a, struct nd_stream **ret_b)
{
    struct end *a = new_end(capacity);
    struct end *b = new_end(capacity);

    ND_INVARIANT(capacity != 0);
    a->other = b;
    b->other = a;
    *ret_a = &a->base;
    *ret_b = &b->base;
}
