#ifndef TESTS_UNIT_GRPC_RAW_H
#define TESTS_UNIT_GRPC_RAW_H

/* A client below gRPC: one request with any headers and body, and what came back. */

#include "net/session.h"

#include "fixture.h"

struct raw {
    struct nd_h2_stream h2;
    struct nd_session *session;
    bool ready;
    bool closed;
    bool unread; /* gives no credit for what it receives; to be set behind raw_begin() */
    uint32_t code;
    char status[8]; /* :status */
    char grpc_status[8];
    char message[2048];
    size_t message_len;
    bool has_details;
    char accept[64];
    char type[64];
    char encoding[16];
    unsigned n_blocks;    /* of header fields: 1 without trailers */
    struct nd_buf fields; /* all of them: "name: value", one a line */
    struct nd_buf body;   /* raw_fini() frees both */
};

#define RAW_UNARY_PATH "/nd.test.v1.EchoService/Unary"

/* The headers of a good request, with one changed or added. */
size_t raw_headers_with(struct nd_header dst[8], const char *name, const char *value);

/* Send it; then wait for the end. */
void raw_begin(struct fixture *f, struct raw *r, const struct nd_session_options *options,
               const struct nd_header *headers, size_t n, struct nd_str body);
void raw_end(struct raw *r);

/* Both. */
void raw_request(struct fixture *f, struct raw *r, const struct nd_header *headers, size_t n,
                 struct nd_str body);

/* The same; `max_headers` is what this side says it accepts. */
void raw_request_limited(struct fixture *f, struct raw *r, uint32_t max_headers,
                         const struct nd_header *headers, size_t n, struct nd_str body);

void raw_fini(struct raw *r);

#endif
