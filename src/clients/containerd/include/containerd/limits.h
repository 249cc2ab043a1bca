#ifndef CONTAINERD_LIMITS_H
#define CONTAINERD_LIMITS_H

/* Limits and defaults of this room. Follows: contracts/containerd-api.md 1.3, 2.12, 4.1.1, 6.1. */

#include "base/clock.h"

#define ND_CTRD_MAX_MESSAGE_BYTES  ((size_t)16 << 20) /* bytes; what the server sends at most */
#define ND_CTRD_MAX_LISTENERS      4u
#define ND_CTRD_HEALTH_INTERVAL_NS (10 * ND_SECOND)
#define ND_CTRD_HEALTH_TIMEOUT_NS  (5 * ND_SECOND)
#define ND_CTRD_CONNECT_TIMEOUT_NS (5 * ND_SECOND)

/*
 * While it is down: the pauses between attempts to connect. The channel spreads its own by a fifth.
 */
#define ND_CTRD_BACKOFF_INITIAL_NS (50 * ND_MILLISECOND)
#define ND_CTRD_BACKOFF_MAX_NS     (200 * ND_MILLISECOND)
#define ND_CTRD_RETRY_PAUSE_NS     (200 * ND_MILLISECOND)
#define ND_CTRD_RETRY_HINT_MS      1000u /* what clients are told to wait before they try again */

/* Deadlines of calls whose fiber has none. */
#define ND_CTRD_CALL_TIMEOUT_NS  (30 * ND_SECOND)
#define ND_CTRD_SHIM_TIMEOUT_NS  (2 * ND_MINUTE) /* a shim is started, or a process of the runtime */
#define ND_CTRD_TREE_TIMEOUT_NS  (2 * ND_MINUTE) /* file trees are removed or measured */
#define ND_CTRD_APPLY_TIMEOUT_NS (1 * ND_HOUR)

#define ND_CTRD_LEASE_NS    (24 * ND_HOUR)    /* until a forgotten lease expires */
#define ND_CTRD_UNDO_NS     (10 * ND_SECOND)  /* grace of a shielded call */
#define ND_CTRD_MAX_FILTERS 64u               /* of one subscription */
#define ND_CTRD_WRITE_CHUNK ((size_t)1 << 20) /* bytes of one Content.Write message */
#define ND_CTRD_PUT_MAX     ((size_t)8 << 20) /* bytes of a blob written in one message */

/* An ingest that another writer holds is tried again after this long, then ever longer. */
#define ND_CTRD_REF_RETRY_MIN_NS (16 * ND_MILLISECOND)
#define ND_CTRD_REF_RETRY_MAX_NS (2 * ND_SECOND)
#define ND_CTRD_REF_WAIT_NS      (10 * ND_MINUTE) /* in all */

/* Events that arrive before the barrier of a new subscription are kept, at most so many. */
#define ND_CTRD_EARLY_EVENTS_MAX 4096u
#define ND_CTRD_BARRIER_RETRY_NS (50 * ND_MILLISECOND)
#define ND_CTRD_BARRIER_WAIT_NS  (10 * ND_SECOND)

#endif
