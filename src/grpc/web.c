/*
 * gRPC-Web: calls of scripts in browsers, which cannot read HTTP trailers. The answer's last frame
 * holds them instead:
 *
 *     HEADERS · DATA: message ... message, 0x80 length "grpc-status: 0\r\n..." · end
 *
 * In the text form the body is base64, each message and the trailers on their own. Everything else
 * is as in any call, and the rest of the server does not see the difference.
 *
 * A browser sends a script's requests with what its user has, client certificates included,
 * wherever the script came from. So a request with an Origin that is not on the list (empty unless
 * it was filled) ends here, before anything else looks at it; other clients send none. What a
 * browser asks before it lets a script call (the preflight) carries no credentials and is answered
 * before any are looked at.
 *
 * Compression is not offered: scripts cannot read it. Streams of requests are refused, browsers
 * cannot send them.
 */

#include "base/alloc.h"

#include "server_priv.h"
#include "wire_priv.h"

#define TRAILERS_FLAG '\x80'
#define MAX_AGE       "7200" /* seconds that a browser may remember a preflight's answer; Chrome's most */
#define FEED_CHARS    4096u
#define EXPOSED       "grpc-status, grpc-message, grpc-status-details-bin"

bool
nd_web_is_allowed(const struct nd_call *call)
{
    const struct nd_server_options *o = &call->server->options;

    if (call->web.n_origins == 0)
        return true;
    for (size_t i = 0; i < o->n_web_origins && call->web.n_origins == 1; i++) {
        if (nd_str_eqz(call->web.origin, o->web_origins[i]))
            return true;
    }
    return false;
}

/* Names of our own metadata that the script shall see, besides those of the status. */
static struct nd_str
exposed(const struct nd_call *call)
{
    struct nd_buf names = ND_BUF_INIT(SIZE_MAX / 8);
    struct nd_str ret;

    nd_buf_putz(&names, EXPOSED);
    for (size_t i = 0; i < call->headers.n; i++) {
        nd_buf_putz(&names, ", ");
        nd_buf_put(&names, call->headers.entries[i].name);
    }
    ret = nd_str_n(nd_arena_str(call->arena, nd_buf_str(&names)), names.len);
    nd_buf_fini(&names);
    return ret;
}

size_t
nd_web_headers(const struct nd_call *call, struct nd_header dst[ND_WEB_HEADERS])
{
    size_t n = 0;

    if (call->web.n_origins == 0)
        return 0;
    dst[n++] = (struct nd_header){ND_STR("vary"), ND_STR("Origin")};
    if (!nd_web_is_allowed(call))
        return n;
    dst[n++] = (struct nd_header){ND_STR("access-control-allow-origin"), call->web.origin};
    dst[n++] = (struct nd_header){ND_STR("access-control-allow-credentials"), ND_STR("true")};
    dst[n++] = (struct nd_header){ND_STR("access-control-expose-headers"), exposed(call)};
    return n;
}

bool
nd_web_answer_preflight(struct nd_call *call)
{
    const struct nd_web *web = &call->web;
    struct nd_header headers[8] = {{ND_STR(":status"), ND_STR("204")}};
    size_t n = 1;

    if (!web->is_options || web->n_origins == 0 || web->asked_method.len == 0 ||
        call->h2.too_many_headers || !nd_web_is_allowed(call))
        return false;
    headers[n++] = (struct nd_header){ND_STR("vary"), ND_STR("Origin")};
    headers[n++] = (struct nd_header){ND_STR("access-control-allow-origin"), web->origin};
    headers[n++] = (struct nd_header){ND_STR("access-control-allow-credentials"), ND_STR("true")};
    headers[n++] =
        (struct nd_header){ND_STR("access-control-allow-methods"), ND_STR("POST, OPTIONS")};
    if (web->asked_headers.len != 0)
        headers[n++] =
            (struct nd_header){ND_STR("access-control-allow-headers"), web->asked_headers};
    headers[n++] = (struct nd_header){ND_STR("access-control-max-age"), ND_STR(MAX_AGE)};
    call->answered = true;
    nd_h2_stream_respond(&call->h2, headers, n, true);
    return true;
}

bool
nd_web_feed(struct nd_call *call, struct nd_str bytes)
{
    char plain[ND_WEB_DECODED_SIZE(FEED_CHARS)];

    while (bytes.len != 0) {
        struct nd_str piece = nd_str_sub(bytes, 0, FEED_CHARS);
        size_t n;

        if (!nd_web_text_decode(&call->web.text, piece, plain, &n))
            return false;
        nd_frames_feed(&call->in, nd_str_n(plain, n));
        bytes = nd_str_from(bytes, piece.len);
    }
    return true;
}

struct nd_error *
nd_web_put(struct nd_call *call, const void *message)
{
    struct nd_buf frame = ND_BUF_INIT(SIZE_MAX / 8);
    struct nd_error *err = nd_frame_put(&frame, message);

    if (err == NULL)
        err = nd_web_text_encode(nd_h2_stream_queue(&call->h2), nd_buf_str(&frame));
    nd_buf_fini(&frame);
    return err;
}

static void
put_trailers(struct nd_buf *frame, const struct nd_header *trailers, size_t n)
{
    nd_buf_put(frame, nd_str_n("\0\0\0\0\0", ND_FRAME_PREFIX));
    for (size_t i = 0; i < n; i++) {
        nd_buf_put(frame, trailers[i].name);
        nd_buf_putz(frame, ": ");
        nd_buf_put(frame, trailers[i].value);
        nd_buf_putz(frame, "\r\n");
    }
    nd_frame_prefix(frame->ptr, false, frame->len - ND_FRAME_PREFIX);
    frame->ptr[0] = TRAILERS_FLAG;
}

void
nd_web_finish(struct nd_call *call, const struct nd_header *trailers, size_t n)
{
    struct nd_buf *queue = nd_h2_stream_queue(&call->h2);
    struct nd_buf frame = ND_BUF_INIT(SIZE_MAX / 8);

    put_trailers(&frame, trailers, n);
    if (call->web.kind == ND_WEB_TEXT)
        nd_error_free(nd_web_text_encode(queue, nd_buf_str(&frame)));
    else
        nd_buf_put(queue, nd_buf_str(&frame));
    nd_buf_fini(&frame);
    nd_h2_stream_finish(&call->h2, NULL, 0);
}
