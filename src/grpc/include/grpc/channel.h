#ifndef GRPC_CHANNEL_H
#define GRPC_CHANNEL_H

/*
 * The gRPC client. A channel connects when the first call needs it, keeps one HTTP/2 connection,
 * connects again after a loss with backoff and jitter, and multiplexes calls of any number of
 * fibers. Deadline and cancellation of a call are those of the fiber that makes it.
 *
 * A call that the server has certainly not looked at is made again without anybody noticing, in
 * every shape: without limit when it never left, once when the server refused it. Other failures
 * are repeated only as a retry policy says. Streams keep what they have sent for that, up to
 * ND_GRPC_RETRY_BYTES and until the server's first header block.
 *
 * Context of everything here: fiber, unless it says so. What waits also fails with ND_CANCELLED and
 * ND_DEADLINE; what returns no error does not suspend.
 */

#include "base/arena.h"
#include "fiber/stream.h"
#include "grpc/compression.h"
#include "grpc/metadata.h"
#include "grpc/method.h"
#include "grpc/tls_config.h"

struct nd_channel;

enum nd_channel_state {
    ND_CHANNEL_IDLE,
    ND_CHANNEL_CONNECTING,
    ND_CHANNEL_READY,
    ND_CHANNEL_FAILED, /* the last attempt failed; the next is made after the backoff */
    ND_CHANNEL_CLOSED,
};

/*
 * When a call that has failed is made again. Only before the server's first header block has
 * arrived (an answer that is a status alone counts as none, nor does one that is not gRPC, like a
 * proxy's error page), never after the caller has let go. Follows: gRFC A6.
 */
struct nd_retry_policy {
    unsigned
        max_attempts; /* the first one included; more than ND_GRPC_MAX_ATTEMPTS is that; 0: none */
    uint32_t codes;   /* that are worth another attempt: ND_RETRY_ON(ND_UNAVAILABLE) | ... */
    int64_t initial_backoff_ns; /* before the second attempt, a fifth more or less */
    int64_t max_backoff_ns;
    double backoff_multiplier; /* from one to the next; below 1 is 1 */
};
#define ND_RETRY_ON(code) (1u << (code))

struct nd_channel_options {
    struct nd_tls_config *tls; /* NULL: cleartext; referenced */
    const char *authority;     /* NULL: from the address ("localhost" on Unix sockets) */
    const char *user_agent;    /* NULL: ours */
    size_t max_message_bytes;  /* received; 0 means ND_GRPC_MAX_MESSAGE_BYTES */
    /*
     * Of messages sent. With NONE, instead of DEFAULT, servers are not asked to compress theirs
     * either.
     */
    enum nd_compression compression;
    int64_t backoff_initial_ns; /* 0 means the defaults of grpc/limits.h */
    int64_t backoff_max_ns;
    int64_t connect_timeout_ns;

    /* For calls that are marked idempotent; without max_attempts a cautious default. */
    struct nd_retry_policy retry;
    /*
     * A failure that a policy would repeat costs a token, a success gives `retry_token_thousandths`
     * back; nothing is repeated while no more than half of them are left. 0: as often as the
     * policies say.
     */
    unsigned retry_max_tokens; /* at most 1000 */
    unsigned retry_token_thousandths;

    /* A connection without calls for so long is closed; the next call makes another. 0: kept. */
    int64_t max_idle_ns;

    /* A PING after so long a silence, and the end when nothing follows it in time. 0: none. */
    int64_t keepalive_time_ns;
    int64_t keepalive_timeout_ns;
    bool keepalive_without_calls;

    /*
     * Make the byte stream, instead of connecting to the address (tunnels, tests). Context: fiber.
     */
    struct nd_error *(*dial)(void *arg, struct nd_stream **ret);
    void *dial_arg;

    /* Called on every change of state, in loop or fiber context; must not suspend. */
    void (*on_state)(void *arg, enum nd_channel_state state);
    void *on_state_arg;

    /*
     * Turn grpc-status-details-bin (serialised google.rpc.Status) into attributes of `err`; takes
     * and returns it. NULL: details are ignored.
     */
    struct nd_error *(*decode_details)(struct nd_error *err, struct nd_str details);
};

/* `options` may be NULL and is copied. Does not connect yet. Context: fiber. */
struct nd_channel *nd_channel_new(const struct nd_addr *addr,
                                  const struct nd_channel_options *options)
    __attribute__((__returns_nonnull__));

/*
 * Ends every call with ND_UNAVAILABLE, closes the connection, frees. NULL is fine. Context: fiber.
 */
void nd_channel_free(struct nd_channel *ch);
void nd_channel_freep(struct nd_channel **ch);

/* Its state now. */
enum nd_channel_state nd_channel_get_state(const struct nd_channel *ch);

/*
 * Connect now if it is not connected, skipping what remains of a backoff. Waits.
 * Fails: ND_UNAVAILABLE and what the certificate's check says. Context: fiber.
 */
struct nd_error *nd_channel_connect(struct nd_channel *ch) ND_CHECK_RESULT;

struct nd_call_options {
    const struct nd_metadata *metadata; /* sent with the call; NULL: none */
    bool wait_for_ready; /* wait through reconnects instead of failing with ND_UNAVAILABLE */
    bool idempotent; /* made twice it does what it does once: the channel's retry policy holds */
    const struct nd_retry_policy *retry; /* instead of the channel's; NULL: see above */
    size_t max_message_bytes;            /* received; 0: the channel's */
    enum nd_compression compression;     /* of messages sent; default: the channel's */
};

/*
 * A unary call. The reply is decoded into `arena`; *ret (a pointer to the message type) points into
 * it. `options` may be NULL.
 * Fails: the server's status with its message and details; ND_UNAVAILABLE without a connection or
 *        when it broke; ND_CANCELLED, ND_DEADLINE. Context: fiber.
 */
struct nd_error *nd_channel_unary(struct nd_channel *ch, const struct nd_method_desc *method,
                                  const struct nd_call_options *options, const void *request,
                                  struct nd_arena *arena, void *ret) ND_CHECK_RESULT;

/* A call with a stream on either side. */
struct nd_client_call;

/*
 * Begin; waits for a connection. `options` may be NULL. The caller owns it: nd_client_call_end().
 * Fails: ND_UNAVAILABLE, ND_EXHAUSTED (metadata over the server's limit). Context: fiber.
 */
struct nd_error *nd_client_call_begin(struct nd_channel *ch, const struct nd_method_desc *method,
                                      const struct nd_call_options *options,
                                      struct nd_client_call **ret) ND_CHECK_RESULT;

/* Which method; lives as long as its table. */
const struct nd_method_desc *nd_client_call_method(const struct nd_client_call *call);

/*
 * Send one message; waits while the server does not read. Fails: ND_ABORTED when the server has
 * already finished the call (nd_client_call_recv() tells its status); ND_CANCELLED, ND_DEADLINE.
 */
struct nd_error *nd_client_call_send(struct nd_client_call *call,
                                     const void *message) ND_CHECK_RESULT;

/* For the messages sent from here on, in a call that was begun with compression; else no effect. */
void nd_client_call_set_compression(struct nd_client_call *call, enum nd_compression compression);

/* Whether the message received last came compressed. */
bool nd_client_call_was_compressed(const struct nd_client_call *call);

/* Half-close: no more messages from us. Fails: as nd_client_call_send(). */
struct nd_error *nd_client_call_finish_sending(struct nd_client_call *call) ND_CHECK_RESULT;

/*
 * The next message, decoded into `arena`; *ret is NULL at the end with status OK.
 * Fails: the server's status; ND_UNAVAILABLE when the connection broke. Sending and receiving may
 * be done by two fibers.
 */
struct nd_error *nd_client_call_recv(struct nd_client_call *call, struct nd_arena *arena,
                                     void *ret) ND_CHECK_RESULT;

/*
 * Wait for the server's first header; borrowed until the end of the call. Fails: as
 * nd_client_call_recv().
 */
struct nd_error *nd_client_call_headers(struct nd_client_call *call,
                                        const struct nd_metadata **ret) ND_CHECK_RESULT;

/* Trailing metadata, once recv has returned the end or an error; else NULL. */
const struct nd_metadata *nd_client_call_trailers(const struct nd_client_call *call);

/* Cancel what is not finished and free. NULL is fine. */
void nd_client_call_end(struct nd_client_call *call);
void nd_client_call_endp(struct nd_client_call **call);

#endif
