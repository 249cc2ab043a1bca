#ifndef GRPC_CHANNEL_PRIV_H
#define GRPC_CHANNEL_PRIV_H

/*
 * What the files of the client share: channel.c (states, who may open a stream), link.c (one
 * connection), client_call.c (what callers do), attempt.c and response.c (one try of a call),
 * retry.c (whether there is another one).
 */

#include <sys/queue.h>

#include "fiber/loop.h"
#include "fiber/sync.h"
#include "grpc/channel.h"
#include "grpc/limits.h"
#include "net/session.h"

#include "frame_priv.h"
#include "metadata_priv.h"

/* One connection of a channel. */
struct nd_link {
    struct nd_channel *channel;
    struct nd_session *session;
    bool ready;
    LIST_ENTRY(nd_link) link;
};

/* A fiber that wants to open a stream; on its stack. */
struct nd_applicant {
    struct nd_cond cond;
    TAILQ_ENTRY(nd_applicant) link;
};

struct nd_channel {
    unsigned refs; /* the user's and the calls' */
    struct nd_addr addr;
    char target[400]; /* the address as text: in every error */
    char *authority;
    char *user_agent;
    struct nd_channel_options options;

    enum nd_channel_state state;
    struct nd_link *current;     /* for new calls, or being connected; NULL: none */
    LIST_HEAD(, nd_link) links;  /* all, also those that drain */
    bool dialling;               /* some fiber makes the connection */
    struct nd_error *last_error; /* of the last attempt */
    int64_t backoff_ns;
    int64_t retry_at_ns;
    struct nd_timer retry_timer; /* wakes who waits for the end of the backoff */
    struct nd_cond changed;      /* state */
    TAILQ_HEAD(, nd_applicant) applicants;

    struct nd_timer idle_timer; /* while a connection is ready, and idleness has an end */
    int64_t used_ns;            /* when a call ended last */
    int64_t keepalive_time_ns;  /* of the next connection; 0: none */

    unsigned retry_tokens; /* in thousandths */

    TAILQ_HEAD(, nd_client_call) free_calls; /* for reuse */
    size_t n_free_calls;
};

/* --- channel.c --- */

/*
 * A connection that takes one more stream; makes it if need be. Callers are served in the order in
 * which they came. Nothing may suspend between this and nd_session_open(). Fails: ND_UNAVAILABLE,
 * ND_DENIED (see nd_dial()), ND_CANCELLED, ND_DEADLINE. Context: fiber.
 */
struct nd_error *nd_channel_get_session(struct nd_channel *ch, bool wait_for_ready,
                                        struct nd_session **ret) ND_CHECK_RESULT;

void nd_channel_set_state(struct nd_channel *ch, enum nd_channel_state state);

/* The connection has changed: everybody who waits looks again. */
void nd_channel_wake_all(struct nd_channel *ch);

/* There may be room for a stream: the first who waits looks. */
void nd_channel_wake_first(struct nd_channel *ch);

void nd_channel_ref(struct nd_channel *ch);
void nd_channel_unref(struct nd_channel *ch);

/* --- link.c --- */

/* Begin a session over `stream`, and take it as the current one. Owns the stream. */
struct nd_link *nd_link_new(struct nd_channel *ch, struct nd_stream *stream)
    __attribute__((__returns_nonnull__));

/* Close it at once. */
void nd_link_free(struct nd_link *l);

/* It has become ready: watch whether it is used. */
void nd_link_watch(struct nd_channel *ch);

/* --- client_call.c --- */

/* Really free the calls that are kept for reuse. */
void nd_channel_free_calls(struct nd_channel *ch);

#endif
