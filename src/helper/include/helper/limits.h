#ifndef HELPER_LIMITS_H
#define HELPER_LIMITS_H

/* The limits of the helper, with their units. */

#include "base/clock.h"

/* A line longer than this becomes several entries, as with other json-file writers. */
#define ND_LOGGER_PIECE_MAX ((size_t)16 * 1024)

#define ND_LOGGER_READ_BYTES ((size_t)64 * 1024)  /* taken from a stream at once */
#define ND_LOGGER_OUT_BYTES  ((size_t)288 * 1024) /* encoded, before it is written at the latest */
#define ND_LOGGER_PIPE_BYTES (1024 * 1024)        /* asked of the kernel for each stream's pipe */

/*
 * The beginning of a line is written as an entry of its own when no more came for so long, or when
 * it has waited for so long while more dribbled in.
 */
#define ND_LOGGER_PARTIAL_NS     (100 * ND_MILLISECOND)
#define ND_LOGGER_PARTIAL_MAX_NS (1 * ND_SECOND)

/* After output was dropped: how often writing is tried again when the container says nothing. */
#define ND_LOGGER_RETRY_NS (1 * ND_SECOND)

/* How long another logger of the container may hold the lock before it is no longer waited for. */
#define ND_LOGGER_LOCK_NS       (10 * ND_SECOND)
#define ND_LOGGER_LOCK_RETRY_NS (5 * ND_MILLISECOND)

/* After the end of the container: how long its pipes are read at most. Only processes in the host's
 * process namespace can still write then. */
#define ND_LOGGER_DRAIN_NS      (2 * ND_SECOND)
#define ND_LOGGER_DRAIN_TURN_NS (100 * ND_MILLISECOND) /* a turn meanwhile, at most */

#define ND_LOGGER_SIZE_DEFAULT  (UINT64_C(100) * 1024 * 1024) /* of one log file; option max-size */
#define ND_LOGGER_FILES_DEFAULT 2u     /* the current one and what was rotated; option max-file */
#define ND_LOGGER_FILES_MAX     10000u /* numbers of rotated files that are looked at */
#define ND_LOGGER_CONFIG_MAX    ((size_t)128 * 1024) /* bytes of log-config.json */
#define ND_LOGGER_PATH_MAX      4096u

/* Those who are attached: sessions with and without a connection, and what is kept for them. */
#define ND_HELPER_SESSIONS_MAX   32u
#define ND_HELPER_SESSIONS_SPARE 8u /* kept free by letting go of those who are away longest */
#define ND_HELPER_SPOOL_BYTES    ((size_t)192 * 1024) /* of each output, while somebody is attached */
#define ND_HELPER_STEP_BYTES     ((size_t)32 * 1024) /* who acknowledges so many is waited for anew */
#define ND_HELPER_HOLD_MAX_NS    (5 * ND_MINUTE)     /* of a session whose connection broke */
#define ND_HELPER_GREETING_NS    (5 * ND_SECOND)     /* from a connection to its HELLO */
/* Patience with those who are attached to a process in whose place another one has come. */
#define ND_HELPER_REPLACED_NS    (1 * ND_SECOND)
/* Without anybody at the other end of anything: how often its folder is looked for. */
#define ND_HELPER_LOOK_NS        (50 * ND_MILLISECOND)
/* The same before a first byte of output came: perhaps nothing was ever started. */
#define ND_HELPER_UNBORN_NS      (10 * ND_SECOND)

#endif
