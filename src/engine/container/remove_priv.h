#ifndef CONTAINER_REMOVE_PRIV_H
#define CONTAINER_REMOVE_PRIV_H

/* Removal, for the other ways by which a container goes. Context of all: fiber. */

#include "containers_priv.h"

struct warnings {
    struct nd_arena *arena;
    char **at;
    size_t n;
};

/*
 * Remove a container whose lock the caller holds. Runs to its end although the caller's context
 * ends; what is gone already is fine. `warnings` may be NULL. Fails: ND_PRECONDITION when it runs
 * and `force` is not set; nothing was changed then.
 */
struct nd_error *nd_remove_locked(struct nd_containers *cs, const char *ns, const record *rec,
                                  bool force, struct warnings *warnings) ND_CHECK_RESULT;

/*
 * The same without an intent, for a recovery, whatever its task does: it is killed. Warnings are
 * errors: the recovery tries again.
 */
struct nd_error *nd_remove_all_of(struct nd_containers *cs, const char *ns,
                                  const record *rec) ND_CHECK_RESULT;

/* Kill a task that runs, wait for its end, delete it. Also without a task: see remove.c. */
struct nd_error *nd_task_end(struct nd_containers *cs, const char *ns, const char *id,
                             const task *t) ND_CHECK_RESULT;

/* Whether it has a process. Context: any. */
bool nd_task_is_alive(const task *t);

/*
 * A container that asked for it has ended: remove it in the background, when nobody reads its
 * output any more. Does not suspend; never fails (what cannot be done now is done at the next look
 * around).
 */
void nd_remove_later(struct nd_containers *cs, const char *ns, const char *id);

#endif
