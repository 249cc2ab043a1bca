/*
 * A call of the client. The session's callbacks collect (messages, both metadata lists, the status) and
 * wake; the fibers that send and receive do the rest.
 *
 * The end is decided once, by what is processed first: the trailers, a reset, the loss of the
 * connection. Messages that came before it are delivered before it. A response that is not gRPC at
 * all (a proxy's error page) is quoted, up to a limit, in the error's text.
 *
 * A unary call that the server has certainly not processed (refused, or above the last id of its
 * GOAWAY) is sent again without anybody noticing.
 */

#include <protobuf-c/protobuf-c.h>

#include "base/alloc.h"
#include "codec/pb.h"
#include "grpc/channel.h"

#include "channel_priv.h"
#include "status_priv.h"
#include "wire_priv.h"

#define KEEP_CALLS    16u
#define FIXED_HEADERS 10

struct nd_client_call {
    struct nd_h2_stream h2; /* first: calls are found through it */
    struct nd_channel *ch;
    const struct nd_method_desc *method;
    struct nd_arena *arena;
    struct nd_metadata headers;
    struct nd_metadata trailers;

    struct nd_frames in;
    size_t owed;             /* bytes of `in` whose credit was not given back */
    struct nd_cond readable; /* also: the first header block */
    struct nd_cond writable;

    unsigned http_status;
    struct nd_str content_type;
    struct nd_str status; /* grpc-status as received; ptr NULL: none */
    struct nd_str message;
    struct nd_str details;
    unsigned n_details;
    bool says_gzip : 1;  /* in the request's header block */
    bool wants_gzip : 1; /* the caller, for the next message */
    bool bad_binary : 1;
    bool has_headers : 1;
    bool is_foreign : 1; /* not a gRPC response: `in` collects its body */
    bool reader_waits : 1;
    bool done : 1; /* `end` holds */
    bool unprocessed : 1;
    struct nd_error *end; /* NULL: OK */
    TAILQ_ENTRY(nd_client_call) link;
};

static const struct nd_h2_stream_ops stream_ops;

static struct nd_client_call *
call_of(struct nd_h2_stream *s)
{
    return (struct nd_client_call *)s;
}

/* --- calls come and go --- */

static enum nd_compression
chosen_compression(const struct nd_channel *ch, const struct nd_call_options *options)
{
    if (options != NULL && options->compression != ND_COMPRESSION_DEFAULT)
        return options->compression;
    return ch->options.compression;
}

static struct nd_client_call *
new_call(struct nd_channel *ch, const struct nd_method_desc *method,
         const struct nd_call_options *options)
{
    struct nd_client_call *call = TAILQ_FIRST(&ch->free_calls);

    if (call != NULL) {
        TAILQ_REMOVE(&ch->free_calls, call, link);
        ch->n_free_calls--;
    } else {
        call = nd_new(struct nd_client_call);
        call->arena = nd_arena_new(0);
        nd_h2_stream_init(&call->h2, &stream_ops);
        nd_frames_init(&call->in, 0);
    }
    nd_channel_ref(ch);
    call->ch = ch;
    call->method = method;
    call->in.max_message = options != NULL && options->max_message_bytes != 0
                               ? options->max_message_bytes
                               : ch->options.max_message_bytes;
    call->in.encoding = ND_ENCODING_IDENTITY;
    call->says_gzip = chosen_compression(ch, options) == ND_COMPRESSION_GZIP;
    call->wants_gzip = call->says_gzip;
    nd_metadata_init(&call->headers, call->arena);
    nd_metadata_init(&call->trailers, call->arena);
    return call;
}

static void
free_call(struct nd_client_call *call)
{
    nd_arena_free(call->arena);
    nd_frames_fini(&call->in);
    nd_h2_stream_fini(&call->h2);
    nd_free(call);
}

void
nd_channel_free_calls(struct nd_channel *ch)
{
    struct nd_client_call *call;

    while ((call = TAILQ_FIRST(&ch->free_calls)) != NULL) {
        TAILQ_REMOVE(&ch->free_calls, call, link);
        free_call(call);
    }
}

void
nd_client_call_end(struct nd_client_call *call)
{
    struct nd_channel *ch;

    if (call == NULL)
        return;
    ch = call->ch;
    nd_h2_stream_reset(&call->h2, ND_H2_CANCEL);
    nd_error_free(call->end);
    if (ch->n_free_calls >= KEEP_CALLS) {
        free_call(call);
    } else {
        nd_arena_reset(call->arena);
        nd_frames_reuse(&call->in);
        nd_h2_stream_reuse(&call->h2);
        *call = (struct nd_client_call){.h2 = call->h2, .arena = call->arena, .in = call->in};
        TAILQ_INSERT_HEAD(&ch->free_calls, call, link);
        ch->n_free_calls++;
    }
    nd_channel_unref(ch);
}

void
nd_client_call_endp(struct nd_client_call **call)
{
    nd_client_call_end(ND_TAKE(*call));
}

/* --- the request --- */

static struct nd_error *
open_stream(struct nd_client_call *call, const struct nd_call_options *options, bool finished)
{
    const struct nd_metadata *md = options != NULL ? options->metadata : NULL;
    struct nd_header *headers =
        nd_arena_new_array(call->arena, FIXED_HEADERS + nd_metadata_count(md), struct nd_header);
    struct nd_channel *ch = call->ch;
    struct nd_session *session;
    char timeout[ND_TIMEOUT_SIZE];
    int64_t remaining_ns;
    size_t n = 0;

    ND_TRY(nd_channel_get_session(ch, options != NULL && options->wait_for_ready, &session));
    headers[n++] = (struct nd_header){ND_STR(":method"), ND_STR("POST")};
    headers[n++] = (struct nd_header){ND_STR(":scheme"),
                                      ch->options.tls != NULL ? ND_STR("https") : ND_STR("http")};
    headers[n++] = (struct nd_header){ND_STR(":path"), nd_str(call->method->path)};
    headers[n++] = (struct nd_header){ND_STR(":authority"), nd_str(ch->authority)};
    remaining_ns = nd_ctx_remaining_ns();
    if (remaining_ns != INT64_MAX)
        headers[n++] = (struct nd_header){
            ND_STR("grpc-timeout"), nd_str_n(timeout, nd_timeout_format(remaining_ns, timeout))};
    headers[n++] = (struct nd_header){ND_STR("content-type"), ND_STR("application/grpc")};
    headers[n++] = (struct nd_header){ND_STR("te"), ND_STR("trailers")};
    headers[n++] = (struct nd_header){ND_STR("user-agent"), nd_str(ch->user_agent)};
    if (call->says_gzip)
        headers[n++] = (struct nd_header){ND_STR("grpc-encoding"), ND_STR("gzip")};
    headers[n++] = (struct nd_header){ND_STR("grpc-accept-encoding"), ND_STR(ND_ACCEPT_ENCODING)};
    n += nd_metadata_to_headers(md, call->arena, headers + n);
    if (nd_header_list_size(headers, n) > nd_session_peer_max_headers(session))
        return nd_error_new(ND_EXHAUSTED, "metadata: larger than the server's limit of %u bytes",
                            nd_session_peer_max_headers(session));
    return nd_session_open(session, &call->h2, headers, n, finished);
}

struct nd_error *
nd_client_call_begin(struct nd_channel *ch, const struct nd_method_desc *method,
                     const struct nd_call_options *options, struct nd_client_call **ret)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = new_call(ch, method, options);

    ND_TRY(open_stream(call, options, false));
    *ret = ND_TAKE(call);
    return NULL;
}

static struct nd_error *
check_sending(const struct nd_client_call *call)
{
    ND_TRY(nd_ctx_check());
    if (call->done || call->h2.session == NULL)
        return nd_error_new(ND_ABORTED, "the server has finished the call");
    return NULL;
}

void
nd_client_call_set_compression(struct nd_client_call *call, enum nd_compression compression)
{
    call->wants_gzip = compression == ND_COMPRESSION_GZIP;
}

static struct nd_error *
put_message(struct nd_client_call *call, const void *message)
{
    if (call->says_gzip && call->wants_gzip)
        return nd_frame_put_gzip(nd_h2_stream_queue(&call->h2), message);
    return nd_frame_put(nd_h2_stream_queue(&call->h2), message);
}

struct nd_error *
nd_client_call_send(struct nd_client_call *call, const void *message)
{
    ND_TRY(check_sending(call));
    while (nd_h2_stream_is_full(&call->h2)) {
        ND_TRY(nd_cond_wait(&call->writable));
        ND_TRY(check_sending(call));
    }
    ND_TRY(put_message(call, message));
    nd_h2_stream_queued(&call->h2);
    return NULL;
}

struct nd_error *
nd_client_call_finish_sending(struct nd_client_call *call)
{
    ND_TRY(check_sending(call));
    nd_h2_stream_finish(&call->h2, NULL, 0);
    return NULL;
}

/* --- the response, as it arrives --- */

static void
take_http_status(struct nd_client_call *call, struct nd_str value)
{
    uint64_t status = 0;

    nd_error_free(nd_parse_u64(value, 999, &status));
    call->http_status = (unsigned)status;
}

static struct nd_str
keep(struct nd_client_call *call, struct nd_str text)
{
    return nd_str_n(nd_arena_str(call->arena, text), text.len);
}

static void
take_content_type(struct nd_client_call *call, struct nd_str value)
{
    call->content_type = keep(call, value);
}

static void
take_encoding(struct nd_client_call *call, struct nd_str value)
{
    call->in.encoding = nd_encoding_parse(value);
}

static void
take_status(struct nd_client_call *call, struct nd_str value)
{
    call->status = keep(call, value);
}

static void
take_message(struct nd_client_call *call, struct nd_str value)
{
    call->message = nd_percent_decode(call->arena, value);
}

static void
take_details(struct nd_client_call *call, struct nd_str value)
{
    call->n_details++;
    if (!nd_base64_decode(call->arena, value, &call->details))
        call->details = ND_STR_NONE;
}

static const struct {
    struct nd_str name;
    void (*take)(struct nd_client_call *call, struct nd_str value);
} known_headers[] = {
    {{":status", 7}, take_http_status},     {{"content-type", 12}, take_content_type},
    {{"grpc-encoding", 13}, take_encoding}, {{"grpc-status", 11}, take_status},
    {{"grpc-message", 12}, take_message},   {{"grpc-status-details-bin", 23}, take_details},
};

static void
on_header(struct nd_h2_stream *s, struct nd_str name, struct nd_str value)
{
    struct nd_client_call *call = call_of(s);

    for (size_t i = 0; i < ND_LEN(known_headers); i++) {
        if (nd_str_eq(name, known_headers[i].name)) {
            known_headers[i].take(call, value);
            return;
        }
    }
    if (!nd_metadata_receive(call->has_headers ? &call->trailers : &call->headers, name, value))
        call->bad_binary = true;
}

/* Takes `err`; the first end counts. */
static void
end_with(struct nd_client_call *call, struct nd_error *err)
{
    if (call->done) {
        nd_error_free(err);
        return;
    }
    call->done = true;
    call->end = err;
    nd_cond_broadcast(&call->readable);
    nd_cond_broadcast(&call->writable);
}

static void
break_off(struct nd_client_call *call, enum nd_h2_code code, struct nd_error *err)
{
    nd_h2_stream_reset(&call->h2, code);
    end_with(call, err);
}

static void
on_headers(struct nd_h2_stream *s, bool end)
{
    struct nd_client_call *call = call_of(s);

    if (s->too_many_headers) {
        break_off(call, ND_H2_CANCEL,
                  nd_error_new(ND_EXHAUSTED, "the response's header list is larger than %u bytes",
                               ND_GRPC_CLIENT_MAX_HEADER_LIST));
    } else if (call->bad_binary) {
        break_off(call, ND_H2_CANCEL, nd_error_new(ND_INTERNAL, "malformed binary metadata"));
    } else if (call->has_headers && !end) {
        break_off(call, ND_H2_PROTOCOL_ERROR,
                  nd_error_new(ND_INTERNAL, "a second header block that is not the last"));
    } else if (!call->has_headers) {
        call->has_headers = true;
        call->is_foreign = call->status.ptr == NULL && !nd_is_grpc_content_type(call->content_type);
        if (end) {
            call->trailers = call->headers;
            nd_metadata_init(&call->headers, call->arena);
        }
        nd_cond_broadcast(&call->readable);
    }
}

static void
on_data(struct nd_h2_stream *s, struct nd_str bytes)
{
    struct nd_client_call *call = call_of(s);

    if (call->is_foreign) {
        size_t room = ND_GRPC_MAX_FOREIGN_BODY - nd_frames_pending(&call->in);

        nd_frames_feed(&call->in, nd_str_sub(bytes, 0, room));
        nd_h2_stream_consume(s, bytes.len);
        return;
    }
    nd_frames_feed(&call->in, bytes);
    call->owed += bytes.len;
    if (!call->reader_waits)
        return;
    nd_h2_stream_consume(s, call->owed);
    call->owed = 0;
    nd_cond_broadcast(&call->readable);
}

/* --- the end --- */

static struct nd_error *
foreign_error(const struct nd_client_call *call)
{
    struct nd_str body = nd_buf_str(&call->in.buf);

    return nd_error_new(nd_status_of_http(call->http_status),
                        "not a gRPC response: HTTP status %u, content-type \"%.*s\", body \"%.*s\"",
                        call->http_status, ND_STR_ARG(call->content_type), ND_STR_ARG(body));
}

static struct nd_error *
status_error(struct nd_client_call *call)
{
    enum nd_code code = nd_status_parse(call->status);
    struct nd_error *err;

    if (code == ND_OK)
        return NULL;
    err = nd_error_new(code, "%.*s", ND_STR_ARG(call->message));
    if (call->n_details == 1 && call->details.len != 0 && call->ch->options.decode_details != NULL)
        err = call->ch->options.decode_details(err, call->details);
    return err;
}

static void
on_end(struct nd_h2_stream *s)
{
    struct nd_client_call *call = call_of(s);

    if (call->status.ptr != NULL)
        end_with(call, status_error(call));
    else if (call->is_foreign || call->http_status != 200)
        end_with(call, foreign_error(call));
    else
        end_with(call, nd_error_new(ND_INTERNAL,
                                    "the server closed the stream without sending trailers"));
}

static struct nd_error *
close_error(const struct nd_client_call *call, const struct nd_h2_close *why)
{
    if (why->lost != NULL)
        return nd_error_wrap(nd_error_recode(nd_error_copy(why->lost), ND_UNAVAILABLE), "%s",
                             call->ch->target);
    if (why->unprocessed)
        return nd_error_new(ND_UNAVAILABLE, "%s: the server refused the stream", call->ch->target);
    return nd_error_new(nd_status_of_reset(why->code), "%s: stream reset by the server: %s (%u)",
                        call->ch->target, nd_h2_code_name(why->code), why->code);
}

static void
on_close(struct nd_h2_stream *s, const struct nd_h2_close *why)
{
    struct nd_client_call *call = call_of(s);

    if (call->done)
        return;
    call->unprocessed = why->unprocessed;
    end_with(call, close_error(call, why));
}

static void
on_writable(struct nd_h2_stream *s)
{
    nd_cond_broadcast(&call_of(s)->writable);
}

static const struct nd_h2_stream_ops stream_ops = {
    .on_header = on_header,
    .on_headers = on_headers,
    .on_data = on_data,
    .on_end = on_end,
    .on_writable = on_writable,
    .on_close = on_close,
};

/* --- receiving --- */

static void
give_credit(struct nd_client_call *call, size_t n)
{
    n = ND_MIN(n, call->owed);
    call->owed -= n;
    nd_h2_stream_consume(&call->h2, n);
}

static struct nd_error *
wait_for_bytes(struct nd_client_call *call)
{
    struct nd_error *err;

    give_credit(call, call->owed);
    call->reader_waits = true;
    err = nd_cond_wait(&call->readable);
    call->reader_waits = false;
    return err;
}

/* How the call has ended. A server that notices the deadline first cancels the stream. */
static struct nd_error *
end_error(const struct nd_client_call *call)
{
    if (call->end == NULL && nd_frames_pending(&call->in) != 0)
        return nd_error_new(ND_INTERNAL, "the stream ended inside a message");
    if (nd_error_code(call->end) == ND_CANCELLED && call->status.ptr == NULL)
        ND_TRY(nd_ctx_check());
    return nd_error_copy(call->end);
}

static struct nd_error *
next_frame(struct nd_client_call *call, struct nd_str *ret, bool *ret_found)
{
    for (;;) {
        struct nd_error *err = NULL;

        *ret_found = false;
        if (!call->is_foreign)
            err = nd_frames_next(&call->in, ret, ret_found);
        if (err != NULL) {
            break_off(call, ND_H2_CANCEL, nd_error_copy(err));
            return err;
        }
        if (*ret_found) {
            give_credit(call, call->in.taken);
            return NULL;
        }
        if (call->done)
            return end_error(call);
        ND_TRY(wait_for_bytes(call));
    }
}

static struct nd_error *
decode(struct nd_client_call *call, struct nd_str bytes, struct nd_arena *arena,
       ProtobufCMessage **ret)
{
    struct nd_error *err = nd_pb_decode(call->method->output, bytes, arena, ret);

    if (err == NULL)
        return NULL;
    return nd_error_wrap(nd_error_recode(err, ND_INTERNAL), "the server's message");
}

struct nd_error *
nd_client_call_recv(struct nd_client_call *call, struct nd_arena *arena, void *ret)
{
    ProtobufCMessage **ret_message = ret;
    struct nd_str bytes;
    bool found;

    ND_TRY(next_frame(call, &bytes, &found));
    if (found)
        return decode(call, bytes, arena, ret_message);
    *ret_message = NULL;
    return NULL;
}

bool
nd_client_call_was_compressed(const struct nd_client_call *call)
{
    return call->in.taken_compressed;
}

struct nd_error *
nd_client_call_headers(struct nd_client_call *call, const struct nd_metadata **ret)
{
    while (!call->has_headers && !call->done)
        ND_TRY(nd_cond_wait(&call->readable));
    if (!call->has_headers)
        return end_error(call);
    *ret = &call->headers;
    return NULL;
}

const struct nd_metadata *
nd_client_call_trailers(const struct nd_client_call *call)
{
    return call->done ? &call->trailers : NULL;
}

/* --- unary --- */

/* One message and status OK, or an error. */
static struct nd_error *
recv_single(struct nd_client_call *call, struct nd_arena *arena, ProtobufCMessage **ret)
{
    ProtobufCMessage *message;
    struct nd_str bytes;
    bool found;

    ND_TRY(next_frame(call, &bytes, &found));
    if (!found)
        return nd_error_new(ND_INTERNAL, "the server sent status OK and no message");
    ND_TRY(decode(call, bytes, arena, &message));
    ND_TRY(next_frame(call, &bytes, &found));
    if (found)
        return nd_error_new(ND_INTERNAL, "the server sent more than one message");
    *ret = message;
    return NULL;
}

static struct nd_error *
try_unary(struct nd_client_call *call, const struct nd_call_options *options, const void *request,
          struct nd_arena *arena, ProtobufCMessage **ret)
{
    ND_TRY(put_message(call, request));
    ND_TRY(open_stream(call, options, true));
    return recv_single(call, arena, ret);
}

struct nd_error *
nd_channel_unary(struct nd_channel *ch, const struct nd_method_desc *method,
                 const struct nd_call_options *options, const void *request, struct nd_arena *arena,
                 void *ret)
{
    for (unsigned i = 0;; i++) {
        ND_AUTO(nd_client_call_endp) struct nd_client_call *call = new_call(ch, method, options);
        struct nd_error *err = try_unary(call, options, request, arena, ret);

        if (err == NULL || !call->unprocessed || i == ND_GRPC_MAX_REPEATS)
            return err;
        nd_error_free(err);
    }
}
