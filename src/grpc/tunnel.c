/*
 * A byte stream over a call. Two fibers join the blocking functions of the call to the callbacks of
 * the stream:
 *
 *     call --recv--> reading fiber --[one message]--> deferred: on_bytes, in pieces
 *     call <--send-- writing fiber <--[ out ]-------- the stream's write
 *
 * There is no queue on the way in: a message is received only when bytes may flow and the one
 * before was taken, so the call's window stays closed while the stream's reader does not read. On
 * the way out, what is written waits in `out`; the writing fiber takes all of it at once and sends
 * it in chunks, each of which waits for room in the call. The user of the stream sees what waits
 * (unsent) and stops.
 *
 * Callbacks of the stream run as deferred work and not in the reading fiber: what they start must
 * not inherit the deadline of this call. Calls inside a tunnel are independent of the call around
 * them, but they die with it.
 *
 * The object lives until the stream was closed and the tunnel has ended, in whatever order. A call
 * that refuses what is written has ended, and why is for the reading fiber to learn: it then
 * receives even if nobody wants the bytes, and the stream's end is then an error. After the stream
 * was closed a client still receives, and drops, until the server has ended the call, so that an
 * orderly end does not look like a cancellation.
 */

#include "grpc/tunnel.h"

#include <protobuf-c/protobuf-c.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "fiber/group.h"
#include "fiber/limits.h"
#include "fiber/stream_io.h"
#include "fiber/sync.h"
#include "grpc/limits.h"

struct nd_tunnel {
    struct nd_stream base; /* first */
    const struct nd_tunnel_carrier *carrier;
    struct nd_call *call;          /* one of the two */
    struct nd_client_call *client; /* NULL: the server's end */
    const ProtobufCMessageDescriptor *sent_type;
    struct nd_group *group;  /* of the two fibers; NULL: the tunnel has ended */
    struct nd_fiber *reader; /* NULL: its function has returned, or was not called */
    struct nd_fiber *writer;

    struct nd_buf out; /* written, to be sent */
    struct nd_buf sending;
    size_t sent;            /* of `sending` */
    struct nd_str incoming; /* what is left of the message that is being delivered */

    struct nd_cond read_on;  /* the reading fiber may go on */
    struct nd_cond write_on; /* the writing one */
    struct nd_deferred later;
    struct nd_timer linger;
    struct nd_error *failure; /* to be told with the end */

    bool flowing;
    bool shut;       /* nothing more will be written */
    bool closed;     /* by the stream's user */
    bool refused;    /* the call takes no more messages: its status is to be learnt */
    bool peer_ended; /* nothing more will be received */
    bool told_end;
    bool lost; /* bytes came that nobody took */
    bool drain_due;
};

static struct nd_tunnel *
of(struct nd_stream *base)
{
    return ND_CONTAINER_OF(base, struct nd_tunnel, base);
}

static void
free_tunnel(struct nd_tunnel *t)
{
    nd_buf_fini(&t->out);
    nd_buf_fini(&t->sending);
    nd_error_free(t->failure);
    nd_deferred_remove(&t->later);
    nd_free(t);
}

/* No bytes pass any more. Takes `err`; the first one counts. */
static void
fail(struct nd_tunnel *t, struct nd_error *err)
{
    if (t->failure == NULL && !t->peer_ended)
        t->failure = err;
    else
        nd_error_free(err);
    t->base.failed = true;
    t->drain_due = true;
    nd_deferred_add(&t->later);
}

/* --- the stream --- */

static void
start(struct nd_stream *base)
{
    struct nd_tunnel *t = of(base);

    t->flowing = true;
    nd_cond_signal(&t->read_on);
    nd_deferred_add(&t->later);
}

static void
stop(struct nd_stream *base)
{
    of(base)->flowing = false;
}

static size_t
get_unsent(const struct nd_stream *base)
{
    const struct nd_tunnel *t = (const struct nd_tunnel *)base;

    return t->base.failed ? 0 : t->out.len + t->sending.len - t->sent;
}

static void
push(struct nd_stream *base, struct nd_str bytes)
{
    struct nd_tunnel *t = of(base);
    struct nd_error *err;

    if (bytes.len == 0 || t->closed || base->failed)
        return;
    err = t->shut ? nd_error_new(ND_INVALID, "write to %s: it was shut down", base->peer.name)
                  : nd_buf_add(&t->out, bytes);
    if (err != NULL)
        fail(t, err);
    nd_cond_signal(&t->write_on);
}

static void
finish(struct nd_stream *base)
{
    of(base)->shut = true;
    nd_cond_signal(&of(base)->write_on);
}

/* The server's end is over with this; a client waits for the status, but not for ever. */
static void
close_stream(struct nd_stream *base)
{
    struct nd_tunnel *t = of(base);

    t->closed = true;
    nd_deferred_add(
        &t->later); /* frees it if the tunnel has ended; the caller may be a callback of ours */
    nd_cond_signal(&t->read_on);
    if (t->writer != NULL)
        nd_fiber_cancel(t->writer);
    if (t->reader != NULL && t->client == NULL)
        nd_fiber_cancel(t->reader);
    else if (t->reader != NULL)
        nd_timer_arm(&t->linger, (struct nd_mono){nd_loop_now().ns + ND_GRPC_TUNNEL_LINGER_NS});
}

static const struct nd_stream_ops tunnel_ops = {
    .start = start,
    .stop = stop,
    .write = push,
    .unsent = get_unsent,
    .shutdown = finish,
    .close = close_stream,
};

/* --- what the stream's user is told --- */

static void
deliver(struct nd_tunnel *t)
{
    struct nd_str piece = nd_str_sub(t->incoming, 0, ND_STREAM_READ_BYTES);

    t->incoming = nd_str_from(t->incoming, piece.len);
    t->base.reader.on_bytes(t->base.reader.arg, piece);
    if (t->incoming.len == 0)
        nd_cond_signal(&t->read_on);
}

/* After the last byte, or without it when nobody takes it and something is wrong. */
static bool
end_is_due(const struct nd_tunnel *t)
{
    if (t->told_end || t->base.reader.on_end == NULL)
        return false;
    if (t->failure != NULL)
        return !t->flowing || t->incoming.len == 0;
    return t->peer_ended && t->incoming.len == 0 && (t->flowing || t->base.failed);
}

static void
do_later(void *arg)
{
    struct nd_tunnel *t = arg;

    if (!t->closed && t->flowing && !t->told_end && t->incoming.len != 0)
        deliver(t);
    if (!t->closed && end_is_due(t)) {
        t->told_end = true;
        t->base.reader.on_end(t->base.reader.arg, ND_TAKE(t->failure));
    }
    if (!t->closed && t->drain_due) {
        t->drain_due = false;
        if (t->base.on_drain != NULL)
            t->base.on_drain(t->base.drain_arg);
    }
    if (t->closed && t->group == NULL)
        free_tunnel(t);
    else if (!t->closed && t->flowing && !t->told_end && t->incoming.len != 0)
        nd_deferred_add(&t->later);
}

/* --- the reading fiber --- */

/* The next message; *ret is NULL at the end. It lives until the next call. */
static struct nd_error *
receive(struct nd_tunnel *t, struct nd_arena *arena, ProtobufCMessage **ret)
{
    if (t->client == NULL)
        return nd_call_recv(t->call, ret);
    nd_arena_reset(arena);
    return nd_client_call_recv(t->client, arena, ret);
}

static struct nd_error *
await_flow(struct nd_tunnel *t)
{
    while (!t->flowing && !t->closed && !t->refused)
        ND_TRY(nd_cond_wait(&t->read_on));
    return NULL;
}

static struct nd_error *
hand_over(struct nd_tunnel *t, struct nd_str bytes)
{
    struct nd_error *err = NULL;

    t->incoming = bytes;
    nd_deferred_add(&t->later);
    while (err == NULL && t->incoming.len != 0 && !t->closed && (t->flowing || !t->refused))
        err = nd_cond_wait(&t->read_on);
    t->lost = t->lost || t->incoming.len != 0;
    t->incoming = ND_STR_NONE;
    return err;
}

static struct nd_error *
read_messages(struct nd_tunnel *t, struct nd_arena *arena)
{
    for (;;) {
        ProtobufCMessage *message;
        struct nd_str bytes;

        ND_TRY(await_flow(t));
        if (t->closed && t->client == NULL)
            return NULL; /* the handler returns, and that is the end of the call */
        ND_TRY(receive(t, arena, &message));
        if (message == NULL)
            return NULL;
        ND_TRY(t->carrier->get(message, &bytes));
        ND_TRY(hand_over(t, bytes));
    }
}

/* Cancelled because the stream was closed: that is no failure. */
static struct nd_error *
unless_closed(const struct nd_tunnel *t, struct nd_error *err)
{
    if (!t->closed || nd_error_code(err) != ND_CANCELLED)
        return err;
    nd_error_free(err);
    return NULL;
}

static struct nd_error *
run_reader(void *arg)
{
    struct nd_tunnel *t = arg;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_error *err = read_messages(t, arena);

    t->reader = NULL;
    if (err != NULL)
        fail(t, nd_error_copy(err));
    else if (t->lost)
        fail(t, nd_error_new(ND_UNAVAILABLE, "the call around %s has ended", t->base.peer.name));
    t->peer_ended = true;
    nd_deferred_add(&t->later);
    return unless_closed(t, err);
}

/* --- the writing fiber --- */

static struct nd_error *
send_chunk(struct nd_tunnel *t, void *message)
{
    struct nd_str chunk =
        nd_str_sub(nd_str_from(nd_buf_str(&t->sending), t->sent), 0, ND_GRPC_TUNNEL_CHUNK);

    t->sent_type->message_init(message);
    t->carrier->put(message, chunk);
    ND_TRY(t->client != NULL ? nd_client_call_send(t->client, message)
                             : nd_call_send(t->call, message));
    t->sent += chunk.len;
    return NULL;
}

static void
take_written(struct nd_tunnel *t)
{
    struct nd_buf empty = t->sending;

    nd_buf_clear(&empty);
    t->sending = t->out;
    t->out = empty;
    t->sent = 0;
}

static struct nd_error *
write_messages(struct nd_tunnel *t, void *message)
{
    for (;;) {
        while (t->out.len == 0 && !t->shut && !t->closed)
            ND_TRY(nd_cond_wait(&t->write_on));
        if (t->closed || t->out.len == 0)
            return NULL;
        take_written(t);
        while (t->sent < t->sending.len && !t->closed)
            ND_TRY(send_chunk(t, message));
        t->drain_due = t->out.len == 0;
        nd_deferred_add(&t->later);
    }
}

/* A call that takes no more messages has a status, which is for the reading fiber to learn. */
static struct nd_error *
note_refused(struct nd_tunnel *t, struct nd_error *err)
{
    if (nd_error_code(err) != ND_ABORTED || t->client == NULL)
        return err;
    nd_error_free(err);
    t->refused = true;
    t->base.failed = true;
    t->drain_due = true;
    nd_deferred_add(&t->later);
    nd_cond_signal(&t->read_on);
    return NULL;
}

static void
half_close(struct nd_tunnel *t)
{
    ND_SHIELDED(ND_SHIELD_GRACE_NS); /* closing the stream has cancelled this fiber */

    if (t->client != NULL)
        nd_error_free(nd_client_call_finish_sending(t->client)); /* or it has ended anyway */
}

static struct nd_error *
run_writer(void *arg)
{
    struct nd_tunnel *t = arg;
    ND_AUTO(nd_freep) void *message = nd_calloc(1, t->sent_type->sizeof_message);
    struct nd_error *err = unless_closed(t, note_refused(t, write_messages(t, message)));

    t->writer = NULL;
    if (err == NULL)
        half_close(t);
    return err;
}

/* --- begin and end --- */

static void
on_linger(void *arg)
{
    struct nd_tunnel *t = arg;

    nd_group_cancel(t->group);
}

static struct nd_tunnel *
new_tunnel(const struct nd_tunnel_carrier *carrier)
{
    struct nd_tunnel *t = nd_new(struct nd_tunnel);

    t->base.ops = &tunnel_ops;
    t->base.peer.kind = ND_PEER_MEMORY;
    t->carrier = carrier;
    t->out = ND_BUF_INIT(ND_STREAM_QUEUE_BYTES);
    t->sending = ND_BUF_INIT(ND_STREAM_QUEUE_BYTES);
    t->later = (struct nd_deferred){.fn = do_later, .arg = t};
    t->linger = (struct nd_timer){.fn = on_linger, .arg = t};
    t->group = nd_group_begin("tunnel", 0);
    return t;
}

/* Takes `t`. */
static struct nd_error *
run(struct nd_tunnel *t, struct nd_tunnel **ret, struct nd_stream **ret_stream)
{
    struct nd_error *err = nd_group_spawn_handle(t->group, run_reader, t, &t->reader);

    if (err == NULL)
        err = nd_group_spawn_handle(t->group, run_writer, t, &t->writer);
    if (err != NULL) {
        nd_stream_close(&t->base);
        nd_tunnel_end(t);
        return err;
    }
    *ret = t;
    *ret_stream = &t->base;
    return NULL;
}

struct nd_error *
nd_tunnel_begin(struct nd_call *call, const struct nd_tunnel_carrier *carrier,
                struct nd_tunnel **ret, struct nd_stream **ret_stream)
{
    struct nd_tunnel *t = new_tunnel(carrier);

    t->call = call;
    t->sent_type = nd_call_method(call)->output;
    snprintf(t->base.peer.name, sizeof(t->base.peer.name), "tunnel from %.66s",
             nd_call_identity(call)->peer->name);
    return run(t, ret, ret_stream);
}

struct nd_error *
nd_tunnel_begin_client(struct nd_client_call *call, const struct nd_tunnel_carrier *carrier,
                       struct nd_tunnel **ret, struct nd_stream **ret_stream)
{
    struct nd_tunnel *t = new_tunnel(carrier);

    t->client = call;
    t->sent_type = nd_client_call_method(call)->input;
    snprintf(t->base.peer.name, sizeof(t->base.peer.name), "tunnel in %.69s",
             nd_client_call_method(call)->path);
    return run(t, ret, ret_stream);
}

struct nd_error *
nd_tunnel_wait(struct nd_tunnel *t)
{
    return nd_group_wait(t->group);
}

void
nd_tunnel_end(struct nd_tunnel *t)
{
    if (t == NULL)
        return;
    nd_group_end(t->group);
    nd_timer_disarm(&t->linger);
    t->group = NULL;
    if (t->closed)
        free_tunnel(t);
    else
        fail(t, nd_error_new(ND_UNAVAILABLE, "the call around %s has ended", t->base.peer.name));
}

void
nd_tunnel_endp(struct nd_tunnel **tunnel)
{
    nd_tunnel_end(ND_TAKE(*tunnel));
}

struct nd_error *
nd_tunnel_dial(void *stream, struct nd_stream **ret)
{
    struct nd_stream **from = stream;

    if (*from == NULL)
        return nd_error_new(ND_UNAVAILABLE, "the tunnel has ended");
    *ret = ND_TAKE(*from);
    return NULL;
}
