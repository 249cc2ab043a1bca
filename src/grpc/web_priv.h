#ifndef GRPC_WEB_PRIV_H
#define GRPC_WEB_PRIV_H

/*
 * gRPC-Web and CORS, for the server. Context of everything here: any.
 * Follows: contracts/grpc-wire.md 6.1, 6.2 (the gRPC-Web protocol document, the Fetch standard).
 */

#include "base/arena.h"
#include "base/buf.h"
#include "net/session.h"

struct nd_call;

enum nd_web_kind {
    ND_WEB_NONE, /* plain gRPC */
    ND_WEB_BINARY,
    ND_WEB_TEXT, /* both bodies are base64 */
};

/* Of a content-type. */
enum nd_web_kind nd_web_kind_of(struct nd_str content_type);

/* Base64 that arrives in pieces; padding may end a group anywhere. A zeroed one is initialised. */
struct nd_web_text {
    uint32_t bits;
    unsigned n_chars; /* of the group, padding included */
    unsigned n_pads;
};

#define ND_WEB_DECODED_SIZE(n) ((n) / 4 * 3 + 3) /* bytes that `n` characters may become */

/* Returns false, and is of no more use, when the text is not base64. */
bool nd_web_text_decode(struct nd_web_text *t, struct nd_str text, char *dst, size_t *ret_len);

/* Append `bytes` as base64 with padding. Fails: ND_EXHAUSTED. */
struct nd_error *nd_web_text_encode(struct nd_buf *dst, struct nd_str bytes) ND_CHECK_RESULT;

/* What the header block of a request says of browsers and their scripts. */
struct nd_web {
    enum nd_web_kind kind;
    struct nd_web_text text; /* the request's body so far */
    struct nd_str origin;
    unsigned n_origins;
    bool is_options;
    struct nd_str asked_method; /* a preflight's questions */
    struct nd_str asked_headers;
};

/* Whether a script of that origin may call; true for what is no script. */
bool nd_web_is_allowed(const struct nd_call *call);

/* Answer a preflight of an allowed origin; false when it is none. */
bool nd_web_answer_preflight(struct nd_call *call);

#define ND_WEB_HEADERS 4

/* The fields by which the browser lets its script see the answer. Returns how many. */
size_t nd_web_headers(const struct nd_call *call, struct nd_header dst[ND_WEB_HEADERS]);

/* Received bytes of a body in text form. False: they are none. */
bool nd_web_feed(struct nd_call *call, struct nd_str bytes);

/* A message in text form. Fails: as nd_frame_put(). */
struct nd_error *nd_web_put(struct nd_call *call, const void *message) ND_CHECK_RESULT;

/* The end of the answer: the trailers, as the last frame of the body. */
void nd_web_finish(struct nd_call *call, const struct nd_header *trailers, size_t n);

#endif
