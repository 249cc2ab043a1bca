#ifndef STATE_LIMITS_H
#define STATE_LIMITS_H

/* The limits of this room, with their units. */

#include "base/clock.h"

#define ND_LEDGER_MAX_BYTES ((size_t)64 * 1024 * 1024) /* of the file; above, changes are refused */
#define ND_LEDGER_CACHE_KIB 96                         /* pages of the file kept in memory */
#define ND_LEDGER_WAL_PAGES 256 /* the log is folded into the file at so many pages */

/*
 * Bytes of disk: reserved for the log, with the commit that reaches its end; by which the file
 * grows.
 */
#define ND_LEDGER_WAL_BYTES    ((size_t)(ND_LEDGER_WAL_PAGES + 64) * (4096 + 24))
#define ND_LEDGER_GROWTH_BYTES (64 * 1024)

#define ND_LEDGER_MAX_QUEUE     8192u            /* changes that wait for the writer */
#define ND_LEDGER_LOCK_WAIT_MS  2000             /* for a daemon that is on its way out */
#define ND_LEDGER_WRITE_WAIT_NS (60 * ND_SECOND) /* a disk that takes longer is taken for dead */
#define ND_LEDGER_RETRY_NS      (5 * ND_SECOND) /* from one try at what must be written to the next */

#define ND_INTENT_MAX_TEXT    1024u         /* bytes of kind, namespace, object, operation */
#define ND_INTENT_MAX_PAYLOAD (64u * 1024u) /* bytes */

#define ND_OUTCOME_MAX_RESULT (1024u * 1024u) /* bytes of a stored reply */
#define ND_OUTCOME_MAX_TEXT   4096u           /* bytes of a stored error message; the rest is cut */
#define ND_OUTCOMES_KEEP      5000u           /* operations and requests that are remembered */
#define ND_OUTCOMES_KEEP_NS   (24 * ND_HOUR)  /* and for how long */
#define ND_OUTCOMES_PAGE      1000u           /* of one listing */

#endif
