#ifndef GRPC_CHANNEL_PRIV_H
#define GRPC_CHANNEL_PRIV_H

/* What the files of the client share: channel.c (the connection), client_call.c (calls). */

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

struct nd_channel {
    unsigned refs; /* the user's and the calls' */
    struct nd_addr addr;
    char target[400]; /* the address as text */
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
    struct nd_cond changed;      /* state, or room for a stream */

    TAILQ_HEAD(, nd_client_call) free_calls; /* for reuse */
    size_t n_free_calls;
};

/*
 * A connection that takes one more stream; makes it if need be. Nothing may suspend between this and
 * nd_session_open(). Fails: ND_UNAVAILABLE, ND_CANCELLED, ND_DEADLINE. Context: fiber.
 */
struct nd_error *nd_channel_get_session(struct nd_channel *ch, bool wait_for_ready,
                                        struct nd_session **ret) ND_CHECK_RESULT;

/* Really free the calls that are kept for reuse. */
void nd_channel_free_calls(struct nd_channel *ch);

void nd_channel_ref(struct nd_channel *ch);
void nd_channel_unref(struct nd_channel *ch);

#endif
