/*
 * The response of one attempt, as it arrives. The session's callbacks collect (messages, both
 * metadata lists, the status) and wake; the fibers that send and receive do the rest.
 *
 * The end is decided once, by what is processed first: the trailers, a reset, the loss of the
 * connection. Messages that came before it are delivered before it. A response that is not gRPC at
 * all (a proxy's error page) is quoted, up to a limit, in the error's text.
 */

#include "client_call_priv.h"
#include "status_priv.h"
#include "wire_priv.h"

static struct nd_client_call *
call_of(struct nd_h2_stream *s)
{
    return (struct nd_client_call *)s;
}

/* --- header blocks and messages --- */

static void
take_http_status(struct nd_client_call *call, struct nd_str value)
{
    uint64_t status = 0;

    nd_error_free(nd_parse_u64(value, 999, &status));
    call->rsp.http_status = (unsigned)status;
}

static struct nd_str
keep(struct nd_client_call *call, struct nd_str text)
{
    return nd_str_n(nd_arena_str(call->arena, text), text.len);
}

static void
take_content_type(struct nd_client_call *call, struct nd_str value)
{
    call->rsp.content_type = keep(call, value);
}

static void
take_encoding(struct nd_client_call *call, struct nd_str value)
{
    if (!call->rsp.has_headers) /* trailers come when messages still wait for their reader */
        call->in.encoding = nd_encoding_parse(value);
}

static void
take_status(struct nd_client_call *call, struct nd_str value)
{
    call->rsp.status = keep(call, value);
}

static void
take_message(struct nd_client_call *call, struct nd_str value)
{
    call->rsp.message = nd_percent_decode(call->arena, value);
}

static void
take_details(struct nd_client_call *call, struct nd_str value)
{
    call->rsp.n_details++;
    if (!nd_base64_decode(call->arena, value, &call->rsp.details))
        call->rsp.details = ND_STR_NONE;
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
        /* Most differ in their length already, and this is the busiest comparison of all. */
        if (name.len == known_headers[i].name.len && nd_str_eq(name, known_headers[i].name)) {
            known_headers[i].take(call, value);
            return;
        }
    }
    if (!nd_metadata_receive(call->rsp.has_headers ? &call->rsp.trailers : &call->rsp.headers, name,
                             value))
        call->rsp.bad_binary = true;
}

/* Some proxy's answer, whatever it says that it is. No server of gRPC has begun to answer then. */
static bool
is_foreign(const struct nd_response *rsp)
{
    return rsp->status.ptr == NULL &&
           (rsp->http_status != 200 || !nd_is_grpc_content_type(rsp->content_type));
}

static void
on_headers(struct nd_h2_stream *s, bool end)
{
    struct nd_client_call *call = call_of(s);

    if (s->too_many_headers) {
        nd_attempt_break_off(call, ND_H2_CANCEL,
                             nd_error_new(ND_EXHAUSTED,
                                          "the response's header list is larger than %u bytes",
                                          ND_GRPC_CLIENT_MAX_HEADER_LIST));
    } else if (call->rsp.bad_binary) {
        nd_attempt_break_off(call, ND_H2_CANCEL,
                             nd_error_new(ND_INTERNAL, "malformed binary metadata"));
    } else if (call->rsp.has_headers && !end) {
        nd_attempt_break_off(
            call, ND_H2_PROTOCOL_ERROR,
            nd_error_new(ND_INTERNAL, "a second header block that is not the last"));
    } else if (!call->rsp.has_headers) {
        call->rsp.has_headers = true;
        call->rsp.is_foreign = is_foreign(&call->rsp);
        if (end) {
            call->rsp.trailers = call->rsp.headers;
            nd_metadata_init(&call->rsp.headers, call->arena);
        } else if (!call->rsp.is_foreign) {
            nd_attempt_commit(call);
        }
        nd_cond_broadcast(&call->readable);
    }
}

static void
on_data(struct nd_h2_stream *s, struct nd_str bytes)
{
    struct nd_client_call *call = call_of(s);

    if (call->rsp.is_foreign) {
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

    return nd_error_new(nd_status_of_http(call->rsp.http_status),
                        "not a gRPC response: HTTP status %u, content-type \"%.*s\", body \"%.*s\"",
                        call->rsp.http_status, ND_STR_ARG(call->rsp.content_type),
                        ND_STR_ARG(body));
}

static struct nd_error *
status_error(struct nd_client_call *call)
{
    enum nd_code code = nd_status_parse(call->rsp.status);
    struct nd_error *err;

    if (code == ND_OK)
        return NULL;
    err = nd_error_new(code, "%.*s", ND_STR_ARG(call->rsp.message));
    if (call->rsp.n_details == 1 && call->rsp.details.len != 0 &&
        call->ch->options.decode_details != NULL)
        err = call->ch->options.decode_details(err, call->rsp.details);
    return err;
}

static void
on_end(struct nd_h2_stream *s)
{
    struct nd_client_call *call = call_of(s);

    if (call->rsp.status.ptr != NULL)
        nd_attempt_over(call, ND_ATTEMPT_ENDED, status_error(call));
    else if (call->rsp.is_foreign)
        nd_attempt_over(call, ND_ATTEMPT_ENDED, foreign_error(call));
    else
        nd_attempt_over(
            call, ND_ATTEMPT_ENDED,
            nd_error_new(ND_INTERNAL, "the server closed the stream without sending trailers"));
}

static struct nd_error *
close_error(const struct nd_client_call *call, const struct nd_h2_close *why)
{
    const char *target = call->ch->target;

    if (why->lost != NULL)
        return nd_error_wrap(nd_error_recode(nd_error_copy(why->lost), ND_UNAVAILABLE), "%s: call",
                             target);
    if (why->unsent)
        return nd_error_new(ND_UNAVAILABLE, "%s: call: the connection takes no new streams",
                            target);
    if (why->unprocessed)
        return nd_error_new(ND_UNAVAILABLE, "%s: call: refused by the server", target);
    return nd_error_new(nd_status_of_reset(why->code), "%s: call: reset by the server: %s (%u)",
                        target, nd_h2_code_name(why->code), why->code);
}

static void
on_close(struct nd_h2_stream *s, const struct nd_h2_close *why)
{
    struct nd_client_call *call = call_of(s);
    enum nd_attempt_end how = why->unsent        ? ND_ATTEMPT_UNSENT
                              : why->unprocessed ? ND_ATTEMPT_REFUSED
                                                 : ND_ATTEMPT_ENDED;

    if (!call->done)
        nd_attempt_over(call, how, close_error(call, why));
}

static void
on_writable(struct nd_h2_stream *s)
{
    nd_cond_broadcast(&call_of(s)->writable);
}

const struct nd_h2_stream_ops nd_response_ops = {
    .on_header = on_header,
    .on_headers = on_headers,
    .on_data = on_data,
    .on_end = on_end,
    .on_writable = on_writable,
    .on_close = on_close,
};
