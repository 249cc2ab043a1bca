#ifndef STORE_LOCK_H
#define STORE_LOCK_H

/*
 * flock(2) on a directory or a file, as nerdctl takes it. Never waits in the kernel: nerdctl may
 * hold a lock through a whole image pull, so a held one is tried again with growing pauses until
 * the caller's deadline.
 */

#include "base/defs.h"
#include "base/error.h"

struct nd_store_lock;

enum nd_store_lock_kind {
    ND_STORE_LOCK_DIR,    /* the directory is made (0700, with parents) when missing */
    ND_STORE_LOCK_SUBDIR, /* the directory is made (0700) when missing, its parent is not */
    ND_STORE_LOCK_FILE,   /* the file is made (0600) when missing, its directory is not */
};

/*
 * Take the exclusive lock on `path`. `*ret` is the caller's; releasing it gives the lock back.
 * Fails:   ND_NOT_FOUND (no directory for a file or subdirectory, or no room to make that),
 *          ND_EXHAUSTED, ND_DENIED, ND_CANCELLED, ND_DEADLINE
 * Context: fiber; suspends while somebody else holds it.
 */
struct nd_error *nd_store_lock_take(const char *path, enum nd_store_lock_kind kind,
                                    struct nd_store_lock **ret) ND_CHECK_RESULT;

/* Whether somebody holds the lock on this file right now; a missing file is held by nobody. */
struct nd_error *nd_store_lock_is_held(const char *path, bool *ret) ND_CHECK_RESULT;

void nd_store_lock_release(struct nd_store_lock *lock); /* NULL is fine; any context */
void nd_store_lock_releasep(struct nd_store_lock **lock);

#endif
