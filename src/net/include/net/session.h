#ifndef NET_SESSION_H
#define NET_SESSION_H

/*
 * An HTTP/2 connection over a byte stream, for either role. It knows frames, windows and
 * shutdown, and nothing of gRPC. nghttp2's names do not leave this room.
 *
 * A stream (struct nd_h2_stream) is embedded in its user's object, which therefore lives at least
 * as long as the session holds it: from nd_session_open() or on_open until on_close is called or
 * nd_h2_stream_reset() returns. After that every function on the stream does nothing.
 *
 * All callbacks run in loop context while frames are being read or written: they may use every
 * nd_h2_stream_* function and nd_session_open(), may wake fibers, and must not free the session.
 * Output leaves once per turn of the loop, after the ready fibers.
 *
 * Context of everything here: fiber, loop. Nothing suspends.
 */

#include <sys/queue.h>

#include "base/buf.h"
#include "fiber/stream.h"

struct nd_session;
struct nd_h2_stream;

struct nd_header {
    struct nd_str name; /* lower case */
    struct nd_str value;
};

/* HTTP/2 error codes (RFC 9113, 7). */
enum nd_h2_code {
    ND_H2_NO_ERROR = 0,
    ND_H2_PROTOCOL_ERROR = 1,
    ND_H2_INTERNAL_ERROR = 2,
    ND_H2_FLOW_CONTROL_ERROR = 3,
    ND_H2_SETTINGS_TIMEOUT = 4,
    ND_H2_STREAM_CLOSED = 5,
    ND_H2_FRAME_SIZE_ERROR = 6,
    ND_H2_REFUSED_STREAM = 7,
    ND_H2_CANCEL = 8,
    ND_H2_COMPRESSION_ERROR = 9,
    ND_H2_CONNECT_ERROR = 10,
    ND_H2_ENHANCE_YOUR_CALM = 11,
    ND_H2_INADEQUATE_SECURITY = 12,
    ND_H2_HTTP_1_1_REQUIRED = 13,
};

/* Why a stream is over. */
struct nd_h2_close {
    uint32_t code;               /* enum nd_h2_code, or whatever the peer sent */
    bool unprocessed;            /* the peer has certainly not looked at it: may be sent again */
    bool unsent;                 /* client: nor has any of it left */
    const struct nd_error *lost; /* the connection is gone, and why; borrowed */
};

struct nd_h2_stream_ops {
    /* A field of the header block that is being received. Interim (1xx) blocks and trailers that a
     * server receives are not shown. */
    void (*on_header)(struct nd_h2_stream *s, struct nd_str name, struct nd_str value);
    /* The block is complete; `end`: and with it the peer's side of the stream. */
    void (*on_headers)(struct nd_h2_stream *s, bool end);
    void (*on_data)(struct nd_h2_stream *s, struct nd_str bytes);
    /* The peer's side is over; also called after on_headers(end). */
    void (*on_end)(struct nd_h2_stream *s);
    /* What was queued has shrunk below half of ND_H2_QUEUE_BYTES. */
    void (*on_writable)(struct nd_h2_stream *s);
    /* Over: the session has forgotten the stream. */
    void (*on_close)(struct nd_h2_stream *s, const struct nd_h2_close *why);
};

#define ND_H2_QUEUE_BYTES (64u << 10) /* a writer that has more queued should wait */

struct nd_h2_stream {
    const struct nd_h2_stream_ops *ops;
    struct nd_session *session; /* NULL: not open */
    bool
        too_many_headers; /* valid in on_headers: the list was over the limit, the rest is missing */

    /* Private from here on. */
    int32_t id;
    struct nd_buf out; /* queued bytes; those before out_pos have left */
    size_t out_pos;
    const struct nd_header *trailers;
    size_t n_trailers;
    size_t header_bytes;
    struct nd_mono opened_at;
    uint64_t content_left; /* own check of content-length; UINT64_MAX: none given */
    unsigned seen;         /* own header checks: bits */
    bool has_headers : 1;  /* a final block has been received */
    bool interim : 1;
    bool malformed : 1;
    bool responded : 1;
    bool finished : 1; /* nothing will be queued any more */
    bool deferred : 1; /* nghttp2 waits for resume */
    bool full : 1;     /* the queue was above its mark: on_writable is due */
    bool ended : 1;    /* the peer's side is over */
    bool left : 1;     /* client: the request's header block has been written */
    TAILQ_ENTRY(nd_h2_stream) link;
};

enum nd_session_role { ND_SESSION_CLIENT, ND_SESSION_SERVER };

/*
 * Memory that sessions of one owner share: what the small objects of one call took is kept for the
 * next. It must outlive them. Context: fiber, loop.
 */
struct nd_session_pool;

struct nd_session_pool *nd_session_pool_new(void);
void nd_session_pool_free(struct nd_session_pool *pool); /* NULL is fine */

struct nd_session_options {
    enum nd_session_role role;
    struct nd_session_pool *pool; /* borrowed; NULL: none */
    bool any_authority;   /* server on a Unix socket: accept whatever stands in :authority */
    uint32_t max_streams; /* server; 0 means the default of net/limits.h, here and below */
    uint32_t stream_window;
    uint32_t connection_window;
    uint32_t max_header_list;
    int64_t handshake_timeout_ns; /* until the peer's SETTINGS; and for each block of headers */
    int64_t ping_interval_ns;     /* server: the shortest that a client may use */

    /*
     * After so long a silence the peer gets a PING, and when nothing at all follows within the
     * timeout the connection is lost. 0: no keepalive; less than the limits of net/limits.h is
     * raised to them. A client asks only while it has streams, unless without_calls.
     */
    int64_t keepalive_time_ns;
    int64_t keepalive_timeout_ns;
    bool keepalive_without_calls;
};

struct nd_session_handler {
    void *arg;
    /* server: a request begins; give it an initialised stream, or NULL to refuse it */
    struct nd_h2_stream *(*on_open)(void *arg);
    /* The peer's SETTINGS are here. */
    void (*on_ready)(void *arg);
    /* client: nd_session_can_open() may have become true */
    void (*on_room)(void *arg);
    /* client: no new streams on this connection; `text` says why */
    void (*on_goaway)(void *arg, uint32_t code, struct nd_str text);
    /* The connection is gone and so are its streams: free the session. `err` says why; borrowed. The
     * last call. */
    void (*on_gone)(void *arg, const struct nd_error *err);
};

/*
 * Start a session. Owns `stream`. SETTINGS leave at the end of this turn. `options` and `handler`
 * are copied. Context: fiber, loop.
 */
struct nd_session *nd_session_new(struct nd_stream *stream,
                                  const struct nd_session_options *options,
                                  const struct nd_session_handler *handler)
    __attribute__((__returns_nonnull__));

/*
 * Close the connection at once; open streams get on_close, on_gone is not called. NULL is fine.
 * Context: fiber, loop; not inside a callback other than on_gone.
 */
void nd_session_free(struct nd_session *session);

/* Who is at the other end; borrowed. */
const struct nd_peer *nd_session_peer(const struct nd_session *session);

/* The byte stream below, for questions about it; borrowed. */
const struct nd_stream *nd_session_stream(const struct nd_session *session);

/*
 * How many bytes of frames were given to the byte stream until now; and whether the kernel has
 * those up to such a position, whatever others have written behind them. Context: fiber, loop.
 */
uint64_t nd_session_written(const struct nd_session *session);
bool nd_session_has_left(const struct nd_session *session, uint64_t position);

/*
 * End gracefully: no new streams, those that run may end, then the connection closes (on_gone). A
 * server warns first and says a round trip later which requests it took. `reason` is static text.
 */
void nd_session_drain(struct nd_session *session, const char *reason);

/* End now: GOAWAY with this code, open streams are closed, the connection closes (on_gone). */
void nd_session_terminate(struct nd_session *session, enum nd_h2_code code, const char *reason);

/* Streams open now. */
size_t nd_session_n_streams(const struct nd_session *session);

/* The one that was opened after `s`, the oldest for NULL; NULL: no more. */
struct nd_h2_stream *nd_session_next_stream(const struct nd_session *session,
                                            const struct nd_h2_stream *s);

/*
 * What the peer accepts as the sum of name + value + 32 over a header block; UINT32_MAX: anything.
 */
uint32_t nd_session_peer_max_headers(const struct nd_session *session);

/* client: the connection is up, and one more stream is within the peer's limit. */
bool nd_session_can_open(const struct nd_session *session);

/*
 * client: send a request; with `finished`, nothing follows what is in the stream's queue already.
 * The headers are copied. Fails: ND_UNAVAILABLE when the connection takes no new streams.
 */
struct nd_error *nd_session_open(struct nd_session *session, struct nd_h2_stream *s,
                                 const struct nd_header *headers, size_t n,
                                 bool finished) ND_CHECK_RESULT;

/* Before its first use, and after its last: gives the queue's memory back. */
void nd_h2_stream_init(struct nd_h2_stream *s, const struct nd_h2_stream_ops *ops);
void nd_h2_stream_fini(struct nd_h2_stream *s);

/* Make it as after init, but keep a small queue's memory. It must not be open. */
void nd_h2_stream_reuse(struct nd_h2_stream *s);

/*
 * server: the response's header block, copied. With `end` it is the whole response, and the queue
 * must be empty.
 */
void nd_h2_stream_respond(struct nd_h2_stream *s, const struct nd_header *headers, size_t n,
                          bool end);
bool nd_h2_stream_has_responded(const struct nd_h2_stream *s);

/*
 * The queue of bytes to send: append to it, then call nd_h2_stream_queued(). Not checked for size.
 */
struct nd_buf *nd_h2_stream_queue(struct nd_h2_stream *s);
void nd_h2_stream_queued(struct nd_h2_stream *s);

/* Bytes queued and not yet sent. */
size_t nd_h2_stream_unsent(const struct nd_h2_stream *s);

/* Whether a writer should wait for on_writable. */
bool nd_h2_stream_is_full(struct nd_h2_stream *s);

/*
 * Nothing more will be queued. A server may give trailers (borrowed until on_close or reset); a
 * client none.
 */
void nd_h2_stream_finish(struct nd_h2_stream *s, const struct nd_header *trailers, size_t n);

/* `n` received bytes have been taken: give the peer its credit back. */
void nd_h2_stream_consume(struct nd_h2_stream *s, size_t n);

/* Reset the stream; the session forgets it now, without on_close. */
void nd_h2_stream_reset(struct nd_h2_stream *s, enum nd_h2_code code);

/* As HTTP/2 counts it: the sum of name + value + 32. */
size_t nd_header_list_size(const struct nd_header *headers, size_t n);

/* "CANCEL"; "an unknown code". */
const char *nd_h2_code_name(uint32_t code);

#endif
