/*
 * The server's answers: header block, messages, trailers, or one block when nothing stands between.
 *
 *     HEADERS (initial metadata) · DATA ... · HEADERS (status, trailing metadata)
 *     HEADERS (status)                        "trailers-only": failed before anything was sent
 *
 * A peer that has announced a limit for header lists drops a larger block and loses the status with
 * it. So what is only nice to have is left out before that: details, metadata, the end of the text.
 */

#include "base/log.h"

#include "server_priv.h"
#include "status_priv.h"

static struct nd_str
answer_type(const struct nd_call *call)
{
    size_t end = nd_str_find(call->content_type, ';');

    if (call->web.kind != ND_WEB_NONE ||
        nd_str_starts(call->content_type, ND_STR("application/grpc+")))
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

/*
 * The end of an escaped text goes, whole escapes only; what is left ends in no space (percent.c).
 */
static void
shorten(struct nd_str *text, size_t by)
{
    text->len -= ND_MIN(by, text->len);
    for (size_t back = 1; back <= 2 && back <= text->len; back++) {
        if (text->ptr[text->len - back] == '%') {
            text->len -= back;
            break;
        }
    }
    while (nd_str_ends(*text, ND_STR(" ")))
        text->len--;
}

/*
 * Make a block of `n_fixed` fields, `n_status` of the status and then metadata fit the peer's
 * limit.
 */
static size_t
fit(const struct nd_call *call, struct nd_header *h, size_t n_fixed, size_t n_status, size_t n)
{
    struct nd_header *status = h + n_fixed;
    size_t max = ND_GRPC_MAX_SEND_HEADERS;

    if (call->h2.session != NULL)
        max = ND_MIN(max, nd_session_peer_max_headers(call->h2.session));
    if (nd_header_list_size(h, n) <= max)
        return n;
    nd_debug("trailers shortened", ND_KV("limit", max));
    if (n_status == ND_STATUS_HEADERS) {
        memmove(&status[2], &status[3], (n - n_fixed - 3) * sizeof(*h));
        n_status--;
        n--;
    }
    if (nd_header_list_size(h, n) > max)
        n = n_fixed + n_status;
    if (nd_header_list_size(h, n) > max && n_status >= 2)
        shorten(&status[1].value, nd_header_list_size(h, n) - max);
    return n;
}

void
nd_server_call_refuse(struct nd_call *call, const char *http_status, const struct nd_error *err)
{
    struct nd_header headers[3 + ND_WEB_HEADERS + ND_STATUS_HEADERS] = {
        {ND_STR(":status"), nd_str(http_status)},
        {ND_STR("content-type"), answer_type(call)},
    };
    size_t n = 2;
    size_t n_status;

    if (call->in.encoding == ND_ENCODING_FOREIGN)
        headers[n++] =
            (struct nd_header){ND_STR("grpc-accept-encoding"), ND_STR(ND_ACCEPT_ENCODING)};
    n += nd_web_headers(call, headers + n);
    n_status = status_headers(call, err, headers + n);
    n = fit(call, headers, n, n_status, n + n_status);
    call->answered = true;
    nd_timer_disarm(&call->timer);
    nd_server_call_drop_input(call);
    nd_h2_stream_respond(&call->h2, headers, n, true);
}

#define FIRST_HEADERS (3 + ND_WEB_HEADERS)

/* Of the first header block, what stands in front of the metadata. Returns how many fields. */
static size_t
fill_first(const struct nd_call *call, bool gzip, struct nd_header dst[FIRST_HEADERS])
{
    size_t n = 0;

    dst[n++] = (struct nd_header){ND_STR(":status"), ND_STR("200")};
    dst[n++] = (struct nd_header){ND_STR("content-type"), answer_type(call)};
    if (gzip)
        dst[n++] = (struct nd_header){ND_STR("grpc-encoding"), ND_STR("gzip")};
    return n + nd_web_headers(call, dst + n);
}

static bool
may_gzip(const struct nd_call *call)
{
    return call->takes_gzip && call->web.kind == ND_WEB_NONE;
}

void
nd_server_call_send_headers(struct nd_call *call)
{
    struct nd_header *headers;
    size_t n;

    if (nd_h2_stream_has_responded(&call->h2))
        return;
    headers = nd_arena_new_array(call->arena, FIRST_HEADERS + call->headers.n, struct nd_header);
    call->said_gzip = call->wants_gzip && may_gzip(call);
    n = fill_first(call, call->said_gzip, headers);
    n += nd_metadata_to_headers(&call->headers, call->arena, headers + n);
    nd_h2_stream_respond(&call->h2, headers, n, false);
}

size_t
nd_server_call_room_for_headers(const struct nd_call *call)
{
    struct nd_header first[FIRST_HEADERS];
    size_t taken, max;

    if (call->h2.session == NULL)
        return ND_GRPC_MAX_METADATA;
    taken = nd_header_list_size(first, fill_first(call, may_gzip(call), first));
    max = nd_session_peer_max_headers(call->h2.session);
    max -= ND_MIN(taken, max);
    return ND_MIN(max, (size_t)ND_GRPC_MAX_METADATA);
}

struct nd_error *
nd_server_call_put(struct nd_call *call, const void *message)
{
    nd_server_call_send_headers(call);
    if (call->web.kind == ND_WEB_TEXT)
        return nd_web_put(call, message);
    if (call->said_gzip && call->wants_gzip)
        return nd_frame_put_gzip(nd_h2_stream_queue(&call->h2), message);
    return nd_frame_put(nd_h2_stream_queue(&call->h2), message);
}

static void
send_trailers(struct nd_call *call, const struct nd_error *err)
{
    struct nd_header *trailers =
        nd_arena_new_array(call->arena, ND_STATUS_HEADERS + call->trailers.n, struct nd_header);
    size_t n_status = status_headers(call, err, trailers);
    size_t n = n_status;

    n += nd_metadata_to_headers(&call->trailers, call->arena, trailers + n);
    call->answered = true;
    if (call->web.kind != ND_WEB_NONE)
        nd_web_finish(call, trailers, n);
    else
        nd_h2_stream_finish(&call->h2, trailers, fit(call, trailers, 0, n_status, n));
}

void
nd_server_call_finish(struct nd_call *call, struct nd_error *err)
{
    if (call->server->forced && nd_error_code(err) == ND_CANCELLED)
        err = nd_error_wrap(nd_error_recode(err, ND_UNAVAILABLE), "the server is shutting down");
    if (err != NULL && !nd_h2_stream_has_responded(&call->h2) && call->headers.n == 0 &&
        call->trailers.n == 0) {
        nd_server_call_refuse(call, "200", err);
    } else {
        nd_server_call_send_headers(call);
        send_trailers(call, err);
    }
    nd_error_free(err);
}
