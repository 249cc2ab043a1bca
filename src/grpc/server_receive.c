/*
 * From the bytes of a request to the message in somebody's hands.
 *
 *     DATA --feed--> call->in, counted --take--> (inflated) --decode--> arena, held
 *                      server_pending.c                         server_held.c
 *
 * All call shapes receive in the same way, in the call's fiber: the one message of a unary call or
 * a server stream when the interceptors have let it pass, the messages of other streams when the
 * handler asks. Until then no credit is given, so who has not said who it is makes us hold a window
 * and no more. A reader that waits for a message larger than the window would wait for ever, so
 * while it waits, credit is given back as bytes arrive; otherwise only for the messages that it
 * takes.
 *
 * A kilobyte of gzip becomes a megabyte here, so what was inflated is held by the call from that
 * moment. And messages are inflated one after the other, in the order of asking; so many at once
 * would be as many buffers before the first of them is counted.
 *
 * Small requests are decoded into the call's arena, which saves an arena of their own.
 */

#include <protobuf-c/protobuf-c.h>

#include "server_priv.h"

#define KEEP_REQUEST_BYTES \
    4096u /* a longer one does not stay with the call until its answer has left */

struct nd_error *
nd_server_call_check_open(const struct nd_call *call)
{
    ND_TRY(nd_ctx_check());
    if (call->closed)
        return nd_error_new(ND_CANCELLED, "the client has gone");
    return NULL;
}

/* --- bytes come --- */

static void
give_credit(struct nd_call *call, size_t n)
{
    n = ND_MIN(n, call->owed);
    call->owed -= n;
    nd_h2_stream_consume(&call->h2, n);
}

void
nd_server_call_feed(struct nd_call *call, struct nd_str bytes)
{
    if (call->overrun != ND_OVERRUN_NONE)
        return;
    if (call->web.kind == ND_WEB_TEXT)
        call->bad_text = call->bad_text || !nd_web_feed(call, bytes);
    else
        nd_frames_feed(&call->in, bytes);
    call->owed += bytes.len;
    nd_server_call_count(call);
    if (!call->reader_waits)
        return;
    give_credit(call, call->owed);
    nd_cond_broadcast(&call->readable);
}

void
nd_server_call_drop_input(struct nd_call *call)
{
    nd_frames_reuse(&call->in);
    call->owed = 0;
    nd_server_call_count(call);
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

/* --- messages are taken --- */

/* The message at the front, as nd_frames_next(). */
static struct nd_error *
take(struct nd_call *call, struct nd_str *ret, bool *ret_found)
{
    ND_AUTO(nd_mutex_unlockp) struct nd_mutex *lock = NULL;

    if (!nd_frames_is_compressed(&call->in))
        return nd_frames_next(&call->in, ret, ret_found);
    ND_TRY(nd_mutex_lock(&call->server->inflating));
    lock = &call->server->inflating;
    ND_TRY(nd_frames_next(&call->in, ret, ret_found));
    return *ret_found ? nd_server_call_hold_request(call, ret->len) : NULL;
}

/* What was taken last. */
static struct nd_error *
decode(struct nd_call *call, struct nd_str bytes, struct nd_arena *arena, void *ret_message)
{
    const struct nd_method_desc *desc = call->method->desc;

    ND_TRY(nd_frames_decode(&call->in, desc->input, bytes, arena, ret_message));
    nd_server_call_count(call);
    return nd_server_call_hold_request(call, nd_arena_used(arena));
}

/* `in` must hold one message and nothing else. */
static struct nd_error *
check_single(const struct nd_call *call, bool *ret_complete)
{
    size_t pending = nd_frames_pending(&call->in);

    if (call->bad_text)
        return nd_error_new(ND_INTERNAL, "grpc-web: the body is not base64");
    ND_TRY(nd_frames_check(&call->in, ret_complete));
    if (*ret_complete && pending > nd_frames_first_size(&call->in))
        return nd_error_new(ND_INTERNAL, "more than one request message");
    if (call->half_closed && call->web.text.n_chars != 0)
        return nd_error_new(ND_INTERNAL, "grpc-web: the body ends inside a group of base64");
    if (*ret_complete || !call->half_closed)
        return NULL;
    return nd_error_new(ND_INTERNAL,
                        pending != 0 ? "the stream ended inside a message" : "no request message");
}

struct nd_error *
nd_server_call_receive(struct nd_call *call)
{
    struct nd_arena *arena = call->arena;
    struct nd_str bytes;
    bool complete;
    void *request;

    for (;;) {
        ND_TRY(nd_server_call_check_open(call));
        ND_TRY(nd_server_call_check_overrun(call));
        ND_TRY(check_single(call, &complete));
        if (complete && call->half_closed)
            break;
        ND_TRY(wait_for_bytes(call));
    }
    ND_TRY(take(call, &bytes, &complete));
    ND_INVARIANT(complete);
    if (bytes.len > KEEP_REQUEST_BYTES)
        arena = call->message_arena = nd_arena_new(0);
    ND_TRY(decode(call, bytes, arena, &request));
    nd_server_call_drop_input(call);
    if (call->closed)
        return nd_error_new(ND_CANCELLED, "the client has gone");
    call->request = request;
    return NULL;
}

/* The next message's bytes; `*ret_found` is false at half-close. */
static struct nd_error *
next_frame(struct nd_call *call, struct nd_str *ret, bool *ret_found)
{
    for (;;) {
        ND_TRY(nd_server_call_check_open(call));
        ND_TRY(nd_server_call_check_overrun(call));
        ND_TRY(take(call, ret, ret_found));
        if (*ret_found) {
            give_credit(call, call->in.taken);
            return NULL;
        }
        if (call->half_closed)
            break;
        ND_TRY(wait_for_bytes(call));
    }
    if (nd_frames_pending(&call->in) != 0)
        return nd_error_new(ND_INTERNAL, "the stream ended inside a message");
    return NULL;
}

struct nd_error *
nd_call_recv(struct nd_call *call, void *ret_message)
{
    struct nd_str bytes;
    bool found;

    if (call->message_arena == NULL)
        call->message_arena = nd_arena_new(0);
    else
        nd_arena_reset(call->message_arena); /* before the wait, which may be long */
    nd_server_call_hold(call, 0);
    ND_TRY(next_frame(call, &bytes, &found));
    if (found)
        return decode(call, bytes, call->message_arena, ret_message);
    *(void **)ret_message = NULL;
    return NULL;
}
