#ifndef STORE_LIMITS_H
#define STORE_LIMITS_H

/* The limits of this room, with their units. */

#include "base/clock.h"

#define ND_STORE_COMPONENT_MAX 255u /* bytes of one path component: id, namespace, name */
#define ND_STORE_FILE_MAX      ((size_t)4 * 1024 * 1024) /* bytes of a store file that is read whole */
#define ND_STORE_ENTRIES_MAX   65536u /* containers of one namespace in the hosts store */
#define ND_STORE_DNS_MAX       ((size_t)64 * 1024) /* bytes of one list of the resolver's settings */
#define ND_STORE_PORTS_MAX     65536u              /* port mappings of one container */

/*
 * A lock that somebody else holds is tried again after this long, then ever longer, up to the max.
 */
#define ND_STORE_LOCK_RETRY_MIN_NS (1 * ND_MILLISECOND)
#define ND_STORE_LOCK_RETRY_MAX_NS (100 * ND_MILLISECOND)

/*
 * One json-file record. The longest that known writers make is a chunk of 32 KiB of which each byte
 * needs six: 196,608 bytes and its frame. Ours has chunks of half the size, but perhaps once more
 * in base64: 120,152 bytes and the frame. What is longer is skipped like other garbage.
 */
#define ND_LOG_RECORD_MAX    ((size_t)256 * 1024)
#define ND_LOG_BATCH_ENTRIES 2048u /* entries of one batch */
#define ND_LOG_BATCH_BYTES \
    ((size_t)64 * 1024) /* a batch ends when it holds this many payload bytes */
#define ND_LOG_TAIL_BLOCK ((size_t)64 * 1024) /* bytes read at once when going backwards */
#define ND_LOG_YIELD_BYTES \
    ((size_t)1024 * 1024)           /* file bytes decoded between two turns of the loop */
#define ND_LOG_ROTATED_MAX    4096u /* rotated files of one log that are looked at */
/*
 * Who follows a log more slowly than it is written may be so far behind, in files and in bytes of
 * them.
 */
#define ND_LOG_AHEAD_FILES    64u
#define ND_LOG_AHEAD_BYTES    ((uint64_t)1024 * 1024 * 1024)
#define ND_LOG_UNTIL_SLACK_NS (5 * ND_SECOND) /* records are in order of time, but for so much */

/* A follower whose logger is alive is woken by the kernel; this is for file systems that do not. */
#define ND_LOG_FOLLOW_CHECK_NS (30 * ND_SECOND)

#endif
