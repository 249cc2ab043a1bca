/*
 * From a stream to a handler and back.
 *
 *     HEADERS --check--> refused: one header block with status, the end | '--> fiber: interceptors
 *         --> the one message of a unary call or server stream --> handler, status
 *
 * The fiber begins with the headers and the request is received when the interceptors have let it
 * pass, or one of them wants to see it: who may not call is told so before anything of the request
 * is taken. Most requests come as a whole, and then the message is there when the fiber begins.
 *
 * Nothing here runs user code inside a callback of the session. Two hold a call: the session while
 * the stream is open, and the fiber while it runs. When the stream closes first, the fiber is
 * cancelled and its result dropped; when the fiber ends first, what it queued drains and the arena
 * waits for that. What was received goes when the handler has returned.
 */

#include <protobuf-c/protobuf-c.h>

#include "base/alloc.h"
#include "base/log.h"

#include "server_priv.h"

#define KEEP_CALLS 256u

struct nd_interceptor_chain {
    struct nd_call *call;
    size_t index;
};

static const struct nd_h2_stream_ops stream_ops;

/* Not unary, so that the call is refused without waiting for its body. */
const struct nd_method_desc nd_unknown_method = {
    .path = "/unknown",
    .name = "unknown",
    .kind = ND_BIDI,
};

static struct nd_call *
call_of(struct nd_h2_stream *s)
{
    return (struct nd_call *)s;
}

static bool
takes_one_message(const struct nd_call *call)
{
    return call->method->desc->kind == ND_UNARY || call->method->desc->kind == ND_SERVER_STREAM;
}

static bool
gives_one_message(const struct nd_call *call)
{
    return call->method->desc->kind == ND_UNARY || call->method->desc->kind == ND_CLIENT_STREAM;
}

/* --- calls come and go --- */

static void on_timer(void *arg);

static struct nd_call *
take_call(struct nd_server *s)
{
    struct nd_call *call = TAILQ_FIRST(&s->free_calls);

    if (call != NULL) {
        TAILQ_REMOVE(&s->free_calls, call, link);
        s->n_free_calls--;
        return call;
    }
    call = nd_new(struct nd_call);
    call->arena = nd_arena_new(0);
    nd_h2_stream_init(&call->h2, &stream_ops);
    nd_frames_init(&call->in, s->options.max_message_bytes);
    return call;
}

struct nd_call *
nd_server_call_new(struct nd_conn *conn)
{
    struct nd_call *call = take_call(conn->server);

    call->server = conn->server;
    call->conn = conn;
    nd_conn_ref(conn);
    conn->n_calls++;
    call->refs = 1;
    call->deadline_ns = INT64_MAX;
    call->timeout_ns = INT64_MAX;
    call->in.encoding = ND_ENCODING_IDENTITY;
    call->timer = (struct nd_timer){.fn = on_timer, .arg = call};
    nd_metadata_init(&call->metadata, call->arena);
    nd_metadata_init(&call->headers, call->arena);
    nd_metadata_init(&call->trailers, call->arena);
    return call;
}

static void
free_call(struct nd_call *call)
{
    nd_arena_free(call->arena);
    nd_frames_fini(&call->in);
    nd_h2_stream_fini(&call->h2);
    nd_free(call);
}

/* Nobody looks at what was received any more; who takes the answer slowly shall not keep it. */
static void
drop_received(struct nd_call *call)
{
    nd_server_call_drop_input(call);
    nd_arena_free(ND_TAKE(call->message_arena));
    nd_server_call_hold(call, 0);
}

static void
unref_call(struct nd_call *call)
{
    struct nd_server *s = call->server;

    if (--call->refs != 0)
        return;
    drop_received(call);
    if (--call->conn->n_calls == 0)
        nd_conn_idle(call->conn);
    nd_conn_unref(call->conn);
    if (s->n_free_calls >= KEEP_CALLS) {
        free_call(call);
        return;
    }
    nd_arena_reset(call->arena);
    nd_h2_stream_reuse(&call->h2);
    *call = (struct nd_call){.h2 = call->h2, .arena = call->arena, .in = call->in};
    TAILQ_INSERT_HEAD(&s->free_calls, call, link);
    s->n_free_calls++;
}

void
nd_server_free_calls(struct nd_server *s)
{
    struct nd_call *call;

    while ((call = TAILQ_FIRST(&s->free_calls)) != NULL) {
        TAILQ_REMOVE(&s->free_calls, call, link);
        free_call(call);
    }
}

/* --- the handler's fiber --- */

/* All have let it pass, or the next one wants to see the request. */
static struct nd_error *
receive_once(struct nd_call *call)
{
    return takes_one_message(call) && call->request == NULL ? nd_server_call_receive(call) : NULL;
}

static struct nd_error *
handle(struct nd_call *call)
{
    const struct nd_method_desc *desc = call->method->desc;

    ND_TRY(receive_once(call));
    if (gives_one_message(call)) {
        call->reply = nd_arena_alloc(call->arena, desc->output->sizeof_message);
        desc->output->message_init(call->reply);
    }
    return call->method->handler(call, call->request, call->reply);
}

struct nd_error *
nd_interceptor_next(const struct nd_interceptor_chain *next)
{
    struct nd_call *call = next->call;
    const struct nd_interceptor_chain after = {call, next->index + 1};
    const struct nd_interceptor *i;

    if (next->index == call->server->n_interceptors)
        return handle(call);
    i = &call->server->interceptors[next->index];
    if (i->wants_request)
        ND_TRY(receive_once(call));
    return i->run(i->arg, call, call->request, &after);
}

/* A client that takes nothing of what is left, for long, holds memory: it loses the call. */
static void
watch_draining(struct nd_call *call)
{
    call->unsent = nd_h2_stream_unsent(&call->h2);
    nd_server_call_hold(call, call->unsent + nd_arena_used(call->arena));
    if (call->unsent >= ND_GRPC_SEND_QUEUE_BYTES)
        nd_timer_arm(&call->timer, (struct nd_mono){nd_loop_now().ns + ND_GRPC_DRAIN_NS});
}

static struct nd_error *
put_reply(struct nd_call *call)
{
    ND_TRY(nd_server_call_check_answer(call));
    return nd_server_call_put(call, call->reply);
}

static struct nd_error *
run_call(void *arg)
{
    struct nd_call *call = arg;
    const struct nd_interceptor_chain first = {call, 0};
    struct nd_error *err;

    nd_ctx_set(ND_CTX_CALL, call);
    nd_doing(call->method->desc->path);
    err = call->closed ? NULL : nd_interceptor_next(&first);
    if (err == NULL && !call->closed && call->reply != NULL)
        err = put_reply(call);
    call->fiber = NULL;
    call->server->n_calls--;
    if (call->closed)
        nd_error_free(err);
    else
        nd_server_call_finish(call, err);
    drop_received(call);
    if (!call->closed)
        watch_draining(call);
    unref_call(call);
    return NULL;
}

void
nd_server_call_start(struct nd_call *call)
{
    struct nd_server *s = call->server;
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    if (s->calls == NULL && !s->ran) {
        call->listed = true;
        TAILQ_INSERT_TAIL(&s->pending, call, link);
        return;
    }
    err = s->ran ? nd_error_new(ND_UNAVAILABLE, "the server has stopped")
                 : nd_group_spawn_handle(s->calls, run_call, call, &call->fiber);
    if (err != NULL) {
        nd_server_call_refuse(call, "200", err);
        return;
    }
    if (call->deadline_ns != INT64_MAX)
        nd_fiber_set_deadline(call->fiber, (struct nd_mono){call->deadline_ns});
    call->refs++;
    s->n_calls++;
    s->calls_total++;
}

static void
set_deadline(struct nd_call *call)
{
    int64_t timeout_ns = call->timeout_ns;
    int64_t now_ns;

    if (timeout_ns == INT64_MAX && call->server->options.default_timeout_ns != 0 &&
        call->method->desc->kind == ND_UNARY)
        timeout_ns = call->server->options.default_timeout_ns;
    if (timeout_ns == INT64_MAX)
        return;
    now_ns = nd_loop_now().ns;
    call->deadline_ns = timeout_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + timeout_ns;
}

static struct nd_error *
refuse_unknown(struct nd_call *call, const void *in, void *out)
{
    (void)in;
    (void)out;
    return nd_server_call_unknown(call);
}

static struct nd_error *
refuse_web_stream(struct nd_call *call, const void *in, void *out)
{
    (void)in;
    (void)out;
    return nd_error_new(ND_UNIMPLEMENTED, "%.*s: gRPC-Web has no streams of requests",
                        ND_STR_ARG(call->path));
}

static const struct nd_method_entry unknown_entry = {&nd_unknown_method, refuse_unknown, NULL};
static const struct nd_method_entry web_stream_entry = {&nd_unknown_method, refuse_web_stream,
                                                        NULL};

static void
on_headers(struct nd_h2_stream *s, bool end)
{
    struct nd_call *call = call_of(s);
    const char *http_status;
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    (void)end;
    if (nd_web_answer_preflight(call))
        return;
    if (call->method == NULL && call->server->n_interceptors != 0)
        call->method = &unknown_entry;
    err = nd_server_call_check(call, &http_status);
    if (err != NULL) {
        nd_server_call_refuse(call, http_status, err);
        return;
    }
    ND_INVARIANT(call->method != NULL);
    if (call->web.kind != ND_WEB_NONE && call->method != &unknown_entry && !takes_one_message(call))
        call->method = &web_stream_entry;
    set_deadline(call);
    nd_server_call_start(call);
}

static void
unlist(struct nd_call *call)
{
    if (call->listed)
        TAILQ_REMOVE(&call->server->pending, call, link);
    call->listed = false;
}

/* The session has forgotten the stream. */
static void
close_call(struct nd_call *call)
{
    call->closed = true;
    nd_timer_disarm(&call->timer);
    unlist(call);
    if (call->fiber != NULL)
        nd_fiber_cancel(call->fiber);
    nd_cond_broadcast(&call->readable);
    nd_cond_broadcast(&call->writable);
    unref_call(call);
}

static void
on_timer(void *arg)
{
    struct nd_call *call = arg;

    if (nd_h2_stream_unsent(&call->h2) < call->unsent) {
        watch_draining(call);
    } else {
        nd_h2_stream_reset(&call->h2, ND_H2_CANCEL);
        close_call(call);
    }
}

/* --- the request's body, and the end --- */

static void
on_data(struct nd_h2_stream *s, struct nd_str bytes)
{
    struct nd_call *call = call_of(s);

    if (!call->answered)
        nd_server_call_feed(call, bytes);
}

static void
on_end(struct nd_h2_stream *s)
{
    struct nd_call *call = call_of(s);

    call->half_closed = true;
    if (!call->answered)
        nd_cond_broadcast(&call->readable);
}

static void
on_writable(struct nd_h2_stream *s)
{
    nd_cond_broadcast(&call_of(s)->writable);
}

static void
on_header(struct nd_h2_stream *s, struct nd_str name, struct nd_str value)
{
    nd_server_call_take_header(call_of(s), name, value);
}

static void
on_close(struct nd_h2_stream *s, const struct nd_h2_close *why)
{
    (void)why;
    close_call(call_of(s));
}

static const struct nd_h2_stream_ops stream_ops = {
    .on_header = on_header,
    .on_headers = on_headers,
    .on_data = on_data,
    .on_end = on_end,
    .on_writable = on_writable,
    .on_close = on_close,
};
