#ifndef NET_SESSION_PRIV_H
#define NET_SESSION_PRIV_H

/* What the files of a session share: session.c (life), session_in.c, session_out.c. */

#include <nghttp2/nghttp2.h>

#include "fiber/loop.h"
#include "fiber/stream_io.h"
#include "net/limits.h"
#include "net/session.h"

#include "meter_priv.h"

TAILQ_HEAD(nd_h2_stream_list, nd_h2_stream);

enum nd_session_state {
    ND_SESSION_OPEN,
    ND_SESSION_TERMINATING, /* a last GOAWAY is on its way out; input is dropped */
    ND_SESSION_LINGERING,   /* our side is shut down; waits for the peer's end */
};

/* A mapping of its own, for two objects of nghttp2; see session_mem.c. */
struct nd_pages {
    char *ptr; /* NULL: none */
    size_t head;
    unsigned used;
    struct nd_session_pool *pool; /* for what lies on the heap; NULL: none */
};

/* Where the heads of frames are in what comes in; see session_scan.c. */
struct nd_frame_scan {
    size_t skip; /* bytes until the next head */
    size_t have; /* bytes of it */
    uint8_t head[9];
    bool in_headers;                      /* the frame at hand is a part of a block of headers */
    bool more_headers;                    /* and not the last one */
    bool drop;                            /* it is kept from nghttp2 */
    uint32_t last_id;                     /* of a stream that the client has opened */
    uint32_t ended[ND_NET_ENDED_STREAMS]; /* ids of streams that the peer has ended */
    size_t ended_pos;
    uint32_t ended_most; /* the highest id that ever was among them */
};

struct nd_session {
    nghttp2_session *h2;
    struct nd_frame_scan scan;
    struct nd_pages pages;
    struct nd_stream *stream;
    struct nd_session_handler handler;
    enum nd_session_role role;
    enum nd_session_state state;
    bool own_checks; /* nghttp2 does not check messages: see header_check.c */
    bool reading;    /* inside nghttp2_session_mem_recv() */
    bool writing;    /* inside nghttp2_session_mem_send() */
    bool ready;      /* the peer's SETTINGS have come */
    bool draining;   /* client: no new streams; server: the notice is out */
    bool drained;    /* server: the final GOAWAY is submitted */
    bool told_goaway;
    bool last_words; /* TERMINATING: the GOAWAY has been written */
    bool ended;      /* the byte stream is over, for `end_err` */
    struct nd_error *end_err;
    const char *drain_reason;
    struct nd_h2_stream_list streams;
    struct nd_h2_stream *found; /* by the last look; NULL: none */
    size_t n_streams;
    uint32_t max_header_list;
    uint32_t max_streams; /* server */

    struct nd_deferred flush;
    struct nd_timer block_timer; /* armed while the rest of a block of headers is missing */
    int64_t handshake_timeout_ns;
    struct nd_timer timer; /* handshake, then keepalive or drain, then last words, then linger */

    /* Keepalive; see session_alive.c. */
    int64_t keepalive_ns; /* 0: none */
    int64_t keepalive_timeout_ns;
    bool keepalive_without_calls;
    bool asked;   /* nothing has come since our PING */
    bool dormant; /* client: nothing to keep alive until the next stream */
    int64_t heard_ns;

    /* Defence; see net/limits.h. */
    int64_t ping_interval_ns;
    int64_t last_ping_ns;
    uint32_t ping_strikes;
    struct nd_meter idle_meter;
    struct nd_meter rapid_resets;
    struct nd_meter own_resets;
    size_t dropped; /* bytes that came when nobody looked at them any more */

    size_t unsent_headers; /* bytes of fields in blocks that nghttp2 has not written yet */

    uint64_t written; /* bytes given to the byte stream */

    /* While writing: where frames are collected. */
    char *chunk;
    size_t chunk_len;
};

/* --- session.c --- */

/* Write, and look whether the session is over, at the end of this turn. */
void nd_session_kick(struct nd_session *session);

/*
 * NULL: refused, or forgotten. Most questions in a row, one for each header, are about the same
 * one.
 */
struct nd_h2_stream *nd_session_find_stream(struct nd_session *session, int32_t id);

/* Forget the stream: nghttp2 will not name it any more. */
void nd_session_detach(struct nd_session *session, struct nd_h2_stream *s);

/* Forget it and tell its user. */
void nd_session_close_stream(struct nd_session *session, struct nd_h2_stream *s,
                             const struct nd_h2_close *why);

/* The second step of a server's drain. */
void nd_session_drain_finally(struct nd_session *session);

/* Whether a PING's answer is that of the drain. */
bool nd_session_is_drain_ping(const uint8_t data[8]);

/* --- session_alive.c --- */

/* The connection is up, or the timer is free again: watch over it from now on. */
void nd_session_watch_alive(struct nd_session *session);

/* Bytes have come. */
void nd_session_heard(struct nd_session *session);

/* client: there is a stream again. */
void nd_session_wake_alive(struct nd_session *session);

/* The timer. */
void nd_session_check_alive(struct nd_session *session);

/* --- session_mem.c --- */

/* nghttp2's allocator; `pages` lives as long as the session. */
nghttp2_mem nd_session_mem(struct nd_pages *pages);

/* --- session_pool.c --- */

/* As malloc and free. */
void *nd_session_pool_take(struct nd_session_pool *pool, size_t size);
void nd_session_pool_give(struct nd_session_pool *pool, void *ptr);

/* --- session_scan.c --- */

void nd_session_init_scan(struct nd_session *session);

/*
 * The next part of `*bytes` that nghttp2 shall get, possibly an empty one; moves over it. Valid
 * until the next call.
 */
struct nd_str nd_session_scan(struct nd_session *session, struct nd_str *bytes);

/* Whether a block of headers has begun and the rest of it is missing. */
bool nd_session_in_block(const struct nd_session *session);

/* --- session_in.c --- */

void nd_session_set_receiving(nghttp2_session_callbacks *callbacks);
void nd_session_feed(struct nd_session *session, struct nd_str bytes);

/* --- session_out.c --- */

void nd_session_set_sending(nghttp2_session_callbacks *callbacks);
void nd_session_write(struct nd_session *session);

/* --- header_check.c --- */

/*
 * The checks of one field of a request, where nghttp2 makes none. False: do not show it to the user
 * (it is dropped, or the request is malformed: then s->malformed is set).
 */
bool nd_header_check(struct nd_h2_stream *s, struct nd_str name, struct nd_str value);

/* The block is complete: false when something is missing. */
bool nd_header_check_end(const struct nd_h2_stream *s);

/* The codes of nghttp2 are small negative numbers, its text is fine for people. */
static inline struct nd_str
nd_h2_text(const uint8_t *ptr, size_t len)
{
    return nd_str_n(ptr, len);
}

#endif
