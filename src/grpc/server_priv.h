#ifndef GRPC_SERVER_PRIV_H
#define GRPC_SERVER_PRIV_H

/*
 * What the files of the server share: server.c (registration, run, stop), connection.c,
 * server_call.c (from a stream to a handler and back), server_receive.c and call.c (what handlers
 * use).
 */

#include <sys/queue.h>

#include "base/map.h"
#include "fiber/group.h"
#include "fiber/loop.h"
#include "fiber/sync.h"
#include "grpc/limits.h"
#include "grpc/server.h"
#include "net/session.h"

#include "frame_priv.h"
#include "metadata_priv.h"
#include "web_priv.h"

struct nd_method_entry {
    const struct nd_method_desc *desc;
    nd_handler *handler;
    void *user;
};

/* A service as registered; its methods are in the server's map. */
struct nd_service_entry {
    const struct nd_service_desc *desc;
    struct nd_method_entry *methods; /* desc->n_methods of them */
};

struct nd_conn;

struct nd_port {
    struct nd_server *server;
    struct nd_listener *listener;
    struct nd_tls_config *tls;
    TAILQ_HEAD(, nd_conn) fresh; /* whose handshake is not over, oldest first */
    size_t n_fresh;
    struct nd_cond settled; /* one fresh connection less */
    LIST_ENTRY(nd_port) link;
};

/* Lives while the connection or one of its calls does. */
struct nd_conn {
    struct nd_server *server;
    struct nd_session *session; /* NULL: gone */
    struct nd_peer peer;
    struct nd_identity identity;
    unsigned refs;
    size_t
        pending_bytes; /* of its requests that have come and were not taken; see server_pending.c */
    size_t rank;       /* by these; 0: none */
    TAILQ_ENTRY(nd_conn) rank_link;
    size_t held_bytes; /* of requests in work and of answers that it does not read */
    const struct nd_method_entry *last_method; /* asked for; NULL: none yet */
    struct nd_str last_path;                   /* of it */
    uint32_t n_calls; /* streams and handlers, also those whose stream has gone */
    bool refused;     /* beyond the limit: it is told so and counts elsewhere */
    bool leaving;     /* told to go */
    LIST_ENTRY(nd_conn) link;

    struct nd_port *port; /* while it is fresh; NULL: not, or it was adopted */
    int64_t accepted_ns;
    TAILQ_ENTRY(nd_conn) fresh_link;

    /* See sweep.c; INT64_MAX: never. */
    int64_t idle_since_ns;
    int64_t old_at_ns;
    int64_t end_at_ns;
};

/* Why a request was given up: what has come of it is too much of its connection, or of all. */
enum nd_overrun { ND_OVERRUN_NONE, ND_OVERRUN_CONN, ND_OVERRUN_ALL };

struct nd_call {
    struct nd_h2_stream h2; /* first: calls are found through it */
    struct nd_server *server;
    struct nd_conn *conn;
    const struct nd_method_entry *method;
    unsigned refs; /* the session's and the fiber's */

    struct nd_arena *arena;
    struct nd_arena
        *message_arena; /* streams: of the message received last; also of a large request */
    struct nd_metadata metadata;
    struct nd_metadata headers;
    struct nd_metadata trailers;
    const void *request;
    void *reply;

    struct nd_frames in;
    size_t owed; /* bytes of `in` whose credit was not given back */
    struct nd_cond readable;
    struct nd_cond writable;

    struct nd_fiber *fiber; /* while its function runs */
    struct nd_timer timer;  /* the draining, after the handler */
    size_t unsent;          /* draining: at the last look */
    size_t counted;         /* in conn->pending_bytes: what is in `in` */
    size_t held;            /* counted in conn->held_bytes: the request in hand, then the answer */
    enum nd_overrun overrun;
    int64_t deadline_ns;

    /* What the request's header block says. */
    struct nd_str path;
    struct nd_str content_type;
    struct nd_str encoding;
    int64_t timeout_ns;
    unsigned n_authorities;
    struct nd_web web;
    bool is_post : 1;
    bool bad_timeout : 1;
    bool bad_binary : 1;
    bool bad_text : 1;   /* of the body */
    bool takes_gzip : 1; /* the client */

    bool wants_gzip : 1; /* the handler, for the next message */
    bool said_gzip : 1;  /* in the response's header block */
    bool reader_waits : 1;
    bool half_closed : 1;      /* the client has sent everything */
    bool answered : 1;         /* the status is queued */
    bool closed : 1;           /* the stream is gone */
    bool listed : 1;           /* in the list of pending ones */
    TAILQ_ENTRY(nd_call) link; /* pending or free */
};
TAILQ_HEAD(nd_call_list, nd_call);

#define ND_SERVER_RANKS 16u

struct nd_server {
    struct nd_server_options options;
    struct nd_map *methods; /* path -> struct nd_method_entry */
    struct nd_service_entry *services;
    size_t n_services;
    struct nd_interceptor *interceptors;
    size_t n_interceptors;

    LIST_HEAD(, nd_port) ports;
    LIST_HEAD(, nd_conn) conns;
    TAILQ_HEAD(, nd_conn) ranks[ND_SERVER_RANKS]; /* the first is not used */
    struct nd_session_pool *pool;                 /* of their sessions */
    size_t n_conns;
    size_t n_refused; /* connections that are being told that there are too many */
    size_t n_calls;
    size_t pending_bytes;      /* the sum of those of the connections */
    size_t held_bytes;         /* the same */
    struct nd_mutex inflating; /* one message at a time */
    uint64_t conns_total;
    uint64_t calls_total;

    struct nd_group *calls; /* NULL: not running */
    struct nd_group *acceptors;
    struct nd_call_list pending; /* for the start of run */
    struct nd_call_list free_calls;
    size_t n_free_calls;

    bool stopping; /* no new connections */
    bool forced;   /* handlers are cancelled */
    bool ran;      /* run has ended */
    struct nd_timer stop_timer;
    struct nd_timer sweep;
    int64_t sweep_at_ns;    /* what it is set to, before rounding */
    struct nd_cond changed; /* a connection has gone, or stopping */
};

/* --- port.c --- */

/* Accept on every port. */
struct nd_error *nd_server_start_ports(struct nd_server *s) ND_CHECK_RESULT;
void nd_server_close_ports(struct nd_server *s);

/* The handshake of a connection begins, and is over or has failed. */
void nd_port_add_fresh(struct nd_port *port, struct nd_conn *conn);
void nd_port_remove_fresh(struct nd_conn *conn);

/* --- sweep.c --- */

void nd_server_init_sweep(struct nd_server *s);

/* From now on its age counts. */
void nd_conn_watch(struct nd_conn *conn);

/* It has no calls any more. */
void nd_conn_idle(struct nd_conn *conn);

/* --- connection.c --- */

/* Serve a connection. Owns the stream. `port` NULL: nobody's. */
void nd_conn_begin(struct nd_server *s, struct nd_stream *stream, struct nd_tls_config *tls,
                   struct nd_port *port);

void nd_conn_ref(struct nd_conn *conn);
void nd_conn_unref(struct nd_conn *conn);

/* Close it now. */
void nd_conn_kill(struct nd_conn *conn);

/* --- server_call.c --- */

struct nd_call *nd_server_call_new(struct nd_conn *conn);

/* Start its fiber. */
void nd_server_call_start(struct nd_call *call);

/* Really free what nd_server_call_new() made; they are kept for reuse. */
void nd_server_free_calls(struct nd_server *s);

/* --- server_receive.c --- */

/* Received bytes of the request. */
void nd_server_call_feed(struct nd_call *call, struct nd_str bytes);

/* Forget received bytes. */
void nd_server_call_drop_input(struct nd_call *call);

/*
 * Wait for the message of a request that has one, and decode it: call->request.
 * Fails: as nd_call_recv(). Context: fiber.
 */
struct nd_error *nd_server_call_receive(struct nd_call *call) ND_CHECK_RESULT;

/* Fails: ND_CANCELLED, also when the stream has gone; ND_DEADLINE. Context: fiber. */
struct nd_error *nd_server_call_check_open(const struct nd_call *call) ND_CHECK_RESULT;

/* --- server_pending.c --- */

/*
 * Count what is in `in`, after each change of that; somebody's request is given up when it is too
 * much.
 */
void nd_server_call_count(struct nd_call *call);

/* Fails: ND_EXHAUSTED, when this request was given up. */
struct nd_error *nd_server_call_check_overrun(const struct nd_call *call) ND_CHECK_RESULT;

/* --- server_held.c --- */

/* The call makes us keep so many bytes now. */
void nd_server_call_hold(struct nd_call *call, size_t bytes);

/*
 * A request of so many bytes is in hand, inflated or decoded. Fails: ND_EXHAUSTED, when its client
 * makes us keep too much.
 */
struct nd_error *nd_server_call_hold_request(struct nd_call *call, size_t bytes) ND_CHECK_RESULT;

/* The same question about the reply, before it is encoded. */
struct nd_error *nd_server_call_check_answer(const struct nd_call *call) ND_CHECK_RESULT;

/* --- server_request.c --- */

/* A field of the request's header block. */
void nd_server_call_take_header(struct nd_call *call, struct nd_str name, struct nd_str value);

/* Whether the call can be served, after its header block; else also an HTTP status. */
struct nd_error *nd_server_call_check(const struct nd_call *call,
                                      const char **ret_http) ND_CHECK_RESULT;

/* What to say of a path that is not offered. */
struct nd_error *nd_server_call_unknown(const struct nd_call *call) ND_NEW_ERROR;

/* --- server_answer.c --- */

/* One header block is the whole answer. */
void nd_server_call_refuse(struct nd_call *call, const char *http_status,
                           const struct nd_error *err);

/* Queue the response's header block if that has not been done. */
void nd_server_call_send_headers(struct nd_call *call);

/* What the client, and we, take as initial metadata, in bytes as HTTP/2 counts them. */
size_t nd_server_call_room_for_headers(const struct nd_call *call);

/*
 * Queue a message, after the header block. Fails: as nd_frame_put_gzip(). Context: fiber; suspends
 * when it compresses a large one.
 */
struct nd_error *nd_server_call_put(struct nd_call *call, const void *message) ND_CHECK_RESULT;

/* The handler has returned, and its reply is queued: queue the status. Takes `err`. */
void nd_server_call_finish(struct nd_call *call, struct nd_error *err);

#endif
