/*
 * From a stream to a handler and back.
 *
 *     HEADERS --check--> refused: one header block with status, the end
 *         |
 *         +-- unary, server stream: collect the one message until half-close --.
 *         |                                                                     v
 *         '-- client stream, bidi ------------------------------------------> fiber: interceptors,
 *                                                                              handler, status
 *
 * So no stack is held by a client that uploads slowly, and nothing here runs user code inside a
 * callback of the session. Two hold a call: the session while the stream is open, and the fiber while
 * it runs. When the stream closes first, the fiber is cancelled and its result dropped; when the fiber
 * ends first, what it queued drains and the arena waits for that.
 *
 * The credit of a unary request is given back while it is being collected (the maximum message bounds
 * it); that of a stream when its handler takes the messages.
 */

#include <protobuf-c/protobuf-c.h>

#include "base/alloc.h"
#include "base/log.h"
#include "codec/pb.h"

#include "server_priv.h"
#include "status_priv.h"
#include "wire_priv.h"

#define KEEP_CALLS 256u

struct nd_interceptor_chain {
    struct nd_call *call;
    size_t index;
};

static const struct nd_h2_stream_ops stream_ops;

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

static void on_deadline(void *arg);

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
    call->deadline_timer = (struct nd_timer){.fn = on_deadline, .arg = call};
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

static void
unref_call(struct nd_call *call)
{
    struct nd_server *s = call->server;

    if (--call->refs != 0)
        return;
    call->conn->n_calls--;
    nd_conn_unref(call->conn);
    nd_arena_free(call->message_arena);
    if (s->n_free_calls >= KEEP_CALLS) {
        free_call(call);
        return;
    }
    nd_arena_reset(call->arena);
    nd_frames_reuse(&call->in);
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

/* --- answers --- */

static struct nd_str
answer_type(const struct nd_call *call)
{
    size_t end = nd_str_find(call->content_type, ';');

    if (nd_str_starts(call->content_type, ND_STR("application/grpc+")))
        return nd_str_trim(nd_str_sub(call->content_type, 0, ND_MIN(end, call->content_type.len)));
    return ND_STR("application/grpc");
}

static size_t
status_headers(struct nd_call *call, const struct nd_error *err, struct nd_header *dst)
{
    const struct nd_server_options *o = &call->server->options;
    struct nd_buf details = ND_BUF_INIT(ND_GRPC_MAX_DETAILS_BYTES);
    size_t n;

    if (err != NULL && o->encode_details != NULL)
        o->encode_details(o->encode_details_arg, err, &details);
    n = nd_status_to_headers(err, nd_buf_str(&details), call->arena, dst);
    nd_buf_fini(&details);
    return n;
}

/* One header block is the whole answer. Borrows `err`. */
static void
refuse(struct nd_call *call, const char *http_status, const struct nd_error *err)
{
    struct nd_header headers[3 + ND_STATUS_HEADERS] = {
        {ND_STR(":status"), nd_str(http_status)},
        {ND_STR("content-type"), answer_type(call)},
    };
    size_t n = 2;

    n += status_headers(call, err, headers + n);
    if (call->encoding.len != 0)
        headers[n++] = (struct nd_header){ND_STR("grpc-accept-encoding"), ND_STR("identity")};
    call->answered = true;
    nd_timer_disarm(&call->deadline_timer);
    nd_h2_stream_respond(&call->h2, headers, n, true);
}

void
nd_server_call_send_headers(struct nd_call *call)
{
    struct nd_header *headers;
    size_t n = 2;

    if (nd_h2_stream_has_responded(&call->h2))
        return;
    headers = nd_arena_new_array(call->arena, n + call->headers.n, struct nd_header);
    headers[0] = (struct nd_header){ND_STR(":status"), ND_STR("200")};
    headers[1] = (struct nd_header){ND_STR("content-type"), answer_type(call)};
    n += nd_metadata_to_headers(&call->headers, call->arena, headers + n);
    nd_h2_stream_respond(&call->h2, headers, n, false);
}

static void
send_trailers(struct nd_call *call, const struct nd_error *err)
{
    struct nd_header *trailers =
        nd_arena_new_array(call->arena, ND_STATUS_HEADERS + call->trailers.n, struct nd_header);
    size_t n = status_headers(call, err, trailers);

    n += nd_metadata_to_headers(&call->trailers, call->arena, trailers + n);
    call->answered = true;
    nd_h2_stream_finish(&call->h2, trailers, n);
}

/* The handler has returned. Takes `err`. */
static void
finish(struct nd_call *call, struct nd_error *err)
{
    if (err == NULL && gives_one_message(call))
        err = nd_frame_put(nd_h2_stream_queue(&call->h2), call->reply);
    if (call->server->forced && nd_error_code(err) == ND_CANCELLED)
        err = nd_error_wrap(nd_error_recode(err, ND_UNAVAILABLE), "the server is shutting down");
    if (err != NULL && !nd_h2_stream_has_responded(&call->h2) && call->headers.n == 0 &&
        call->trailers.n == 0) {
        refuse(call, "200", err);
    } else {
        nd_server_call_send_headers(call);
        send_trailers(call, err);
    }
    nd_error_free(err);
}

/* --- the handler's fiber --- */

struct nd_error *
nd_interceptor_next(const struct nd_interceptor_chain *chain)
{
    struct nd_call *call = chain->call;
    const struct nd_interceptor_chain next = {call, chain->index + 1};

    if (chain->index < call->server->n_interceptors) {
        const struct nd_interceptor *i = &call->server->interceptors[chain->index];

        return i->run(i->arg, call, call->request, &next);
    }
    return call->method->handler(call, call->request, call->reply);
}

static struct nd_error *
prepare(struct nd_call *call)
{
    const struct nd_method_desc *desc = call->method->desc;
    struct nd_str bytes;
    ProtobufCMessage *request;
    bool found;

    if (gives_one_message(call)) {
        call->reply = nd_arena_alloc(call->arena, desc->output->sizeof_message);
        desc->output->message_init(call->reply);
    }
    if (!takes_one_message(call))
        return NULL;
    ND_TRY(nd_frames_next(&call->in, &bytes, &found));
    ND_INVARIANT(found);
    ND_TRY(nd_pb_decode(desc->input, bytes, call->arena, &request));
    nd_frames_reuse(&call->in);
    call->request = request;
    return NULL;
}

static struct nd_error *
run_call(void *arg)
{
    struct nd_call *call = arg;
    const struct nd_interceptor_chain first = {call, 0};
    struct nd_error *err;

    nd_ctx_set(ND_CTX_CALL, call);
    nd_doing(call->method->desc->path);
    err = call->closed ? NULL : prepare(call);
    if (err == NULL && !call->closed)
        err = nd_interceptor_next(&first);
    call->fiber = NULL;
    call->server->n_calls--;
    if (call->closed)
        nd_error_free(err);
    else
        finish(call, err);
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
        refuse(call, "200", err);
        return;
    }
    nd_timer_disarm(&call->deadline_timer);
    if (call->deadline_ns != INT64_MAX)
        nd_fiber_set_deadline(call->fiber, (struct nd_mono){call->deadline_ns});
    call->refs++;
    s->n_calls++;
    s->calls_total++;
}

/* --- the request's header block --- */

static void
take_method(struct nd_call *call, struct nd_str value)
{
    call->is_post = nd_str_eq(value, ND_STR("POST"));
}

static void
take_path(struct nd_call *call, struct nd_str value)
{
    call->method = nd_map_find(call->server->methods, value);
    call->path = call->method != NULL ? nd_str(call->method->desc->path)
                                      : nd_str_n(nd_arena_str(call->arena, value), value.len);
}

static void
take_content_type(struct nd_call *call, struct nd_str value)
{
    static const struct nd_str usual = {"application/grpc", 16};

    call->content_type =
        nd_str_eq(value, usual) ? usual : nd_str_n(nd_arena_str(call->arena, value), value.len);
}

static void
take_timeout(struct nd_call *call, struct nd_str value)
{
    if (!nd_timeout_parse(value, &call->timeout_ns))
        call->bad_timeout = true;
}

static void
take_encoding(struct nd_call *call, struct nd_str value)
{
    if (!nd_str_eq(value, ND_STR("identity")))
        call->encoding = nd_str_n(nd_arena_str(call->arena, value), value.len);
}

static const struct {
    struct nd_str name;
    void (*take)(struct nd_call *call, struct nd_str value);
} known_headers[] = {
    {{":method", 7}, take_method},
    {{":path", 5}, take_path},
    {{"content-type", 12}, take_content_type},
    {{"grpc-timeout", 12}, take_timeout},
    {{"grpc-encoding", 13}, take_encoding},
};

static void
on_header(struct nd_h2_stream *s, struct nd_str name, struct nd_str value)
{
    struct nd_call *call = call_of(s);

    for (size_t i = 0; i < ND_LEN(known_headers); i++) {
        if (nd_str_eq(name, known_headers[i].name)) {
            known_headers[i].take(call, value);
            return;
        }
    }
    call->n_authorities += nd_str_eq(name, ND_STR(":authority"));
    if (!nd_metadata_receive(&call->metadata, name, value))
        call->bad_binary = true;
}

static struct nd_error *
unknown_method(const struct nd_call *call)
{
    struct nd_str service, method;

    if (!nd_path_split(call->path, &service, &method))
        return nd_error_new(ND_UNIMPLEMENTED, "malformed method name: \"%.*s\"",
                            ND_STR_ARG(call->path));
    for (size_t i = 0; i < call->server->n_services; i++) {
        if (nd_str_eqz(service, call->server->services[i].desc->name))
            return nd_error_new(ND_UNIMPLEMENTED, "unknown method %.*s for service %.*s",
                                ND_STR_ARG(method), ND_STR_ARG(service));
    }
    return nd_error_new(ND_UNIMPLEMENTED, "unknown service %.*s", ND_STR_ARG(service));
}

/* In the order in which the field checks (contracts/grpc-wire.md 1.11). */
static struct nd_error *
check_request(const struct nd_call *call, const char **ret_http)
{
    *ret_http = "431";
    if (call->h2.too_many_headers)
        return nd_error_new(ND_EXHAUSTED, "the header list is larger than the limit of %u bytes",
                            ND_GRPC_MAX_HEADER_LIST);
    *ret_http = "415";
    if (!nd_is_grpc_content_type(call->content_type))
        return nd_error_new(ND_INVALID, "invalid gRPC request content-type \"%.*s\"",
                            ND_STR_ARG(call->content_type));
    *ret_http = "400";
    if (call->n_authorities > 1)
        return nd_error_new(ND_INTERNAL, "more than one :authority");
    if (call->bad_timeout)
        return nd_error_new(ND_INTERNAL, "malformed grpc-timeout");
    if (call->bad_binary)
        return nd_error_new(ND_INTERNAL, "malformed binary metadata");
    *ret_http = "405";
    if (!call->is_post)
        return nd_error_new(ND_INTERNAL, "the HTTP method of a call is POST");
    *ret_http = "200";
    if (call->timeout_ns == 0)
        return nd_error_new(ND_DEADLINE, "the deadline has passed already");
    if (call->method == NULL)
        return unknown_method(call);
    if (call->encoding.len != 0)
        return nd_error_new(ND_UNIMPLEMENTED, "grpc: compressor \"%.*s\" is not installed",
                            ND_STR_ARG(call->encoding));
    return NULL;
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
    if (takes_one_message(call) && call->deadline_ns != INT64_MAX)
        nd_timer_arm(&call->deadline_timer, (struct nd_mono){call->deadline_ns});
}

static void
on_headers(struct nd_h2_stream *s, bool end)
{
    struct nd_call *call = call_of(s);
    const char *http_status;
    ND_AUTO(nd_error_freep) struct nd_error *err = check_request(call, &http_status);

    (void)end;
    if (err != NULL) {
        refuse(call, http_status, err);
        return;
    }
    set_deadline(call);
    if (!takes_one_message(call))
        nd_server_call_start(call);
}

static void
on_deadline(void *arg)
{
    struct nd_call *call = arg;
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    if (call->listed)
        TAILQ_REMOVE(&call->server->pending, call, link);
    call->listed = false;
    err = nd_error_new(ND_DEADLINE, "the deadline passed before the request was complete");
    refuse(call, "200", err);
}

/* --- the request's body, and the end --- */

/* `in` must hold one message and nothing else. */
static struct nd_error *
check_single(const struct nd_call *call)
{
    size_t pending = nd_frames_pending(&call->in);
    bool complete;

    ND_TRY(nd_frames_check(&call->in, &complete));
    if (complete && pending > nd_frames_first_size(&call->in))
        return nd_error_new(ND_INTERNAL, "more than one request message");
    if (complete || !call->half_closed)
        return NULL;
    return nd_error_new(ND_INTERNAL,
                        pending != 0 ? "the stream ended inside a message" : "no request message");
}

static void
receive_single(struct nd_call *call)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = check_single(call);

    if (err != NULL)
        refuse(call, "200", err);
    else if (call->half_closed)
        nd_server_call_start(call);
}

static void
on_data(struct nd_h2_stream *s, struct nd_str bytes)
{
    struct nd_call *call = call_of(s);

    if (call->answered)
        return;
    nd_frames_feed(&call->in, bytes);
    if (takes_one_message(call)) {
        nd_h2_stream_consume(s, bytes.len);
        receive_single(call);
        return;
    }
    call->owed += bytes.len;
    if (!call->reader_waits)
        return;
    nd_h2_stream_consume(s, call->owed);
    call->owed = 0;
    nd_cond_broadcast(&call->readable);
}

static void
on_end(struct nd_h2_stream *s)
{
    struct nd_call *call = call_of(s);

    call->half_closed = true;
    if (call->answered)
        return;
    if (takes_one_message(call))
        receive_single(call);
    else
        nd_cond_broadcast(&call->readable);
}

static void
on_writable(struct nd_h2_stream *s)
{
    nd_cond_broadcast(&call_of(s)->writable);
}

static void
on_close(struct nd_h2_stream *s, const struct nd_h2_close *why)
{
    struct nd_call *call = call_of(s);

    (void)why;
    call->closed = true;
    nd_timer_disarm(&call->deadline_timer);
    if (call->listed)
        TAILQ_REMOVE(&call->server->pending, call, link);
    call->listed = false;
    if (call->fiber != NULL)
        nd_fiber_cancel(call->fiber);
    nd_cond_broadcast(&call->readable);
    nd_cond_broadcast(&call->writable);
    unref_call(call);
}

static const struct nd_h2_stream_ops stream_ops = {
    .on_header = on_header,
    .on_headers = on_headers,
    .on_data = on_data,
    .on_end = on_end,
    .on_writable = on_writable,
    .on_close = on_close,
};
