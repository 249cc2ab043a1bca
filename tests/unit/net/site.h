#ifndef TESTS_UNIT_NET_SITE_H
#define TESTS_UNIT_NET_SITE_H

/*
 * A server's session and its peer, in one loop. The site answers each request with 200 and its path
 * as the body; the peer writes frames by hand and reads what comes back.
 */

#include "base/alloc.h"
#include "base/buf.h"
#include "fiber/stream.h"
#include "net/session.h"

#include "../fiber/in_loop.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE };

struct site {
    struct nd_session *session;
    struct nd_stream *peer;
    struct nd_buf got; /* what the peer received */
    struct nd_buf out; /* what it says next: at first the preface */
    unsigned opened, closed, headers, gone;
    bool silent;      /* requests are not answered */
    const char *more; /* a field of each answer, when it is not NULL */
    uint32_t last_code;
};

/* The peer's end of the bytes holds `capacity` of them. `options` may be NULL. */
void site_begin_with(struct site *site, const struct nd_session_options *options, size_t capacity);
void site_begin(struct site *site, const struct nd_session_options *options);
void site_finish(struct site *site);

/* Only the session, over a stream of the caller's. */
void site_begin_over(struct site *site, struct nd_stream *mine);

/*
 * A test whose loop holds one site, `struct site *site`; behind the name, members of its session's
 * options.
 */
#define IN_SITE(name, ...)                                            \
    static void name##_at(struct site *site);                         \
                                                                      \
    IN_LOOP(name)                                                     \
    {                                                                 \
        struct site site;                                             \
                                                                      \
        site_begin(&site, &(struct nd_session_options){__VA_ARGS__}); \
        name##_at(&site);                                             \
        site_finish(&site);                                           \
        return NULL;                                                  \
    }                                                                 \
                                                                      \
    static void name##_at(struct site *site)

/* --- the peer --- */

void put_frame(struct nd_buf *b, unsigned type, unsigned flags, uint32_t id, struct nd_str payload);
void put_preface(struct nd_buf *b);

/* A field of a block of headers, shorter than 127 bytes. */
void put_field(struct nd_buf *b, const char *name, const char *value);

/* A frame of headers with flags of its own. `fields` ends with a NULL name. */
enum { END_STREAM = 0x1, END_HEADERS = 0x4 };
void put_headers(struct nd_buf *b, unsigned flags, uint32_t id, const char *const fields[][2]);

/* A request that is complete. */
void put_request(struct nd_buf *b, uint32_t id, const char *const fields[][2]);
extern const char *const usual[][2], *const usual_post[][2];

/* The stream is cancelled. */
void put_reset(struct nd_buf *b, uint32_t id);

/* Send, and empty the buffer. */
void say(struct site *site, struct nd_buf *b);

/* Read until the server closes. */
void hear_all(struct site *site);

/* Read what is there within a millisecond. */
void hear_some(struct site *site);

/* Frames of a type, and the payload of the last one. */
unsigned count_frames(const struct site *site, unsigned type, struct nd_str *ret_last);

void expect_goaway(const struct site *site, unsigned code, const char *text);

#endif
