#ifndef GRPC_SERVER_H
#define GRPC_SERVER_H

/*
 * The gRPC server: listeners, services, interceptors, graceful stop. All four call shapes, TLS,
 * Unix sockets; health and reflection are services like others (grpc/health.h, grpc/reflection.h).
 *
 *     struct nd_server *s = nd_server_new(&options);
 *     nd_server_add(s, &hello_greeter, handlers, NULL);
 *     ND_TRY(nd_server_listen(s, &addr, NULL, NULL, NULL));
 *     ND_TRY(nd_server_run(s));      // suspends until nd_server_stop()
 *
 * Context of everything here: fiber, unless it says so. What returns no error does not suspend.
 */

#include "base/buf.h"
#include "grpc/call.h"
#include "grpc/tls_config.h"

struct nd_server;

/*
 * A handler. `in` is the request of a unary or server-stream call, NULL otherwise; `out` is the
 * (initialised) reply of a unary or client-stream call, NULL otherwise. What it hangs into `out`
 * lives in nd_call_arena(). Returning NULL is status OK. Context: fiber.
 */
typedef struct nd_error *nd_handler(struct nd_call *call, const void *in, void *out);

struct nd_method_handler {
    const char *name; /* of the method, as in the .proto file */
    nd_handler *handler;
};

/*
 * What every call passes before its handler: `next` continues. An interceptor may refuse by
 * returning an error without calling `next`, or look at the outcome. They run in the order of
 * registration, in the call's fiber, which begins when the headers are there.
 *
 * The message of a unary call or server stream is received before the first interceptor that wants
 * it, else before the handler; `in` is NULL until then, and for streams whose messages are read by
 * the handler. So who decides by method, identity and metadata stands before those that want the
 * request, and then a client that it refuses has made us hold one window of it at most. What
 * receiving fails with comes out of `next`.
 */
struct nd_interceptor_chain;
struct nd_interceptor {
    struct nd_error *(*run)(void *arg, struct nd_call *call, const void *in,
                            const struct nd_interceptor_chain *next);
    void *arg;
    bool wants_request;
};

/* Go on: to the next interceptor, or to the handler. Once. Returns what the call ends with. */
struct nd_error *nd_interceptor_next(const struct nd_interceptor_chain *next) ND_CHECK_RESULT;

/*
 * What nd_call_method() is when the server does not offer the method. Interceptors see such calls
 * too, so that nobody learns which methods exist before saying who they are; `next` refuses them.
 */
extern const struct nd_method_desc nd_unknown_method;

struct nd_server_options {
    size_t max_message_bytes; /* received; 0 means ND_GRPC_MAX_MESSAGE_BYTES */
    uint32_t max_streams;     /* per connection; 0 means the default in grpc/limits.h */
    uint32_t max_header_list; /* name + value + 32 over a request's block; 0 means the default */
    uint32_t
        max_connections; /* 0 means the default; more are told and closed, but for some on Unix sockets */
    uint32_t max_handshakes;  /* of a listener, at once; 0 means the default; more wait */
    uint32_t max_calls;       /* handlers running at once; 0 means the default */
    size_t max_pending_bytes; /* of a connection's requests, received and not taken; 0: default */
    size_t
        max_pending_bytes_all; /* of all connections'; beyond it, who holds the most loses a request */
    size_t max_held_bytes; /* of a connection's requests in work and unread answers; 0: default */
    size_t max_held_bytes_all;  /* of all connections'; small ones are served beyond it */
    int64_t default_timeout_ns; /* of unary calls without a deadline; 0: none */

    /*
     * From the accept to the client's SETTINGS, TLS included, and for each block of headers; 0
     * means the default of net/limits.h.
     */
    int64_t handshake_timeout_ns;

    /*
     * 0: no limit. A connection without calls for so long, or of that age (give or take a tenth),
     * is told to go (GOAWAY with "max_idle", "max_age"); its calls may go on, after max_age for the
     * grace.
     */
    int64_t max_connection_idle_ns;
    int64_t max_connection_age_ns;
    int64_t max_connection_age_grace_ns; /* 0: for ever */

    /*
     * TCP only: a PING to a client that has been silent for so long, and the end when nothing
     * follows it in time. 0 means the defaults of net/limits.h; a negative time: no keepalive.
     */
    int64_t keepalive_time_ns;
    int64_t keepalive_timeout_ns;

    /*
     * gRPC-Web: the origins ("https://ui.example.com", as browsers write them: lower case, no path)
     * whose scripts may call. Compared as they are; requests of others end with 403 before anything
     * else sees them. Borrowed, as long as the server lives. None by default.
     */
    const char *const *web_origins;
    size_t n_web_origins;

    /*
     * Serialised google.rpc.Status for the trailer grpc-status-details-bin, appended to `buf` (max
     * 4 KiB); leaves it empty to send none. NULL: none are sent.
     */
    void (*encode_details)(void *arg, const struct nd_error *err, struct nd_buf *buf);
    void *encode_details_arg;
};

/* `options` may be NULL and is copied. Context: fiber. */
struct nd_server *nd_server_new(const struct nd_server_options *options)
    __attribute__((__returns_nonnull__));
void nd_server_free(struct nd_server *s); /* stopped; NULL is fine */
void nd_server_freep(struct nd_server **s);

/*
 * Offer a service. `handlers` ends with a {NULL, NULL} entry and must have one entry for every
 * method of the descriptor and no other (a broken invariant otherwise). All are borrowed.
 */
void nd_server_add(struct nd_server *s, const struct nd_service_desc *service,
                   const struct nd_method_handler *handlers, void *user);

/* Every call passes it, those before it first. Before the first nd_server_listen(). */
void nd_server_intercept(struct nd_server *s, struct nd_interceptor interceptor);

/* The services offered, in order of registration. */
size_t nd_server_n_services(const struct nd_server *s);
const struct nd_service_desc *nd_server_service(const struct nd_server *s, size_t i);

/*
 * Listen on an address. `tls` NULL: cleartext. Both pointers may be NULL; the TLS configuration is
 * referenced. `ret_addr`, when given, gets the address with the real port.
 * Fails: as nd_listener_open(). Context: fiber.
 */
struct nd_error *nd_server_listen(struct nd_server *s, const struct nd_addr *addr,
                                  const struct nd_listen_options *options,
                                  struct nd_tls_config *tls,
                                  struct nd_addr *ret_addr) ND_CHECK_RESULT;

/* Another certificate for the listeners with TLS: new connections get it. Referenced. */
void nd_server_replace_tls(struct nd_server *s, struct nd_tls_config *tls);

/*
 * Serve a connection that somebody else accepted (socket activation, tunnels, tests). Owns the
 * stream; closes it when the server is stopping or full. `tls` NULL: cleartext; else referenced.
 * Context: fiber, loop.
 */
void nd_server_adopt(struct nd_server *s, struct nd_stream *stream, struct nd_tls_config *tls);

/* Serve until stopped. Returns when the last connection is gone. Context: fiber. */
struct nd_error *nd_server_run(struct nd_server *s) ND_CHECK_RESULT;

/*
 * Stop gracefully: no new connections, GOAWAY, running calls may end within `grace_ns`, then they
 * are cancelled. A second call cancels at once. Context: fiber, loop.
 */
void nd_server_stop(struct nd_server *s, int64_t grace_ns);

/* For metrics and leak checks. Context: fiber, loop. */
struct nd_server_stats {
    size_t connections;   /* open now */
    size_t calls;         /* begun and not answered */
    size_t pending_bytes; /* of requests, received and not taken */
    uint64_t connections_total;
    uint64_t calls_total;
};
void nd_server_get_stats(const struct nd_server *s, struct nd_server_stats *ret);

#endif
