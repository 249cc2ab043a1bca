#ifndef TESTS_UNIT_GRPC_ORIGIN_H
#define TESTS_UNIT_GRPC_ORIGIN_H

/* A server below gRPC, for the client: an HTTP/2 session whose answers are scripted. */

#include "net/session.h"

#include "fixture.h"

#define ORIGIN_MAX_HEADERS 6
#define ORIGIN_MAX_FIRST   8

/* One response. */
struct script {
    const char *headers[ORIGIN_MAX_HEADERS][2]; /* ends with NULL; empty: no answer */
    struct nd_str body;
    const char *trailers[ORIGIN_MAX_HEADERS][2]; /* empty: the headers are the end */
    bool reset;                                  /* after the body, instead of an end */
    enum nd_h2_code code;
};

struct origin {
    struct nd_session *session;
    struct nd_stream *silence; /* the end of a mute one */
    const struct script *script;
    const struct script *first[ORIGIN_MAX_FIRST]; /* for the first requests, where not NULL */
    uint32_t max_streams;                         /* 0: the default */
    uint32_t max_header_list;
    bool mute;         /* takes the connection and says nothing */
    bool hang_up;      /* at once */
    bool unread;       /* gives no credit for what it receives */
    unsigned refuse;   /* so many streams, before one is answered */
    unsigned drops;    /* so many connections end instead of an answer */
    bool drop;         /* all of them */
    bool early;        /* answer at the header block, do not wait for the half-close */
    unsigned requests; /* seen */
    unsigned dials;
    unsigned dial_fails; /* so many, before one succeeds */
    char timeout[16];    /* grpc-timeout of the last request, and so on */
    char attempts[16];
    char encoding[16];
    char accept[32];
    char note[16]; /* x-note */
    struct nd_buf body;
};

/* `options` gets the dial function; it may be NULL. */
struct nd_channel *origin_channel_with(struct origin *o, struct nd_channel_options *options);
struct nd_channel *origin_channel(struct origin *o);
void origin_fini(struct origin *o);

/* A unary call; the text of a good answer is "ok". */
struct nd_error *origin_call_with(struct nd_channel *ch,
                                  const struct nd_call_options *options) ND_CHECK_RESULT;
struct nd_error *origin_call(struct nd_channel *ch) ND_CHECK_RESULT;

#define ORIGIN_REPLY            \
    {                           \
        "\0\0\0\0\4\x0a\2ok", 9 \
    }
#define ORIGIN_HEADERS                         \
    {                                          \
        {":status", "200"},                    \
        {                                      \
            "content-type", "application/grpc" \
        }                                      \
    }
#define ORIGIN_TRAILERS        \
    {                          \
        {                      \
            "grpc-status", "0" \
        }                      \
    }

/* A header block that is the whole answer. */
#define ORIGIN_ONLY(status)                       \
    {                                             \
        .headers = {                              \
            {":status", "200"},                   \
            {"content-type", "application/grpc"}, \
            {"grpc-status", status}               \
        }                                         \
    }

#endif
