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
 * Remove a container whose lock the caller holds. Runs to its end although the caller's context ends; what
 * is gone already is fine. `warnings` may be NULL.
 * Fails: ND_PRECONDITION when it runs and `force` is not set; nothing was changed then.
 */
struct nd_error *nd_remove_locked(struct nd_containers *cs, const char *ns, const record *rec,
                                  bool force, struct warnings *warnings) ND_CHECK_RESULT;

/*
 * A container that asked for it has ended: remove it in the background, when nobody reads its output any
 * more. Does not suspend; never fails (what cannot be done now is done at the next look around).
 */
void nd_remove_later(struct nd_containers *cs, const char *ns, const char *id);

/*
 * A container whose making failed, and which could not be undone because containerd is away: remove it in
 * the background, once that is back. Does not suspend.
 */
void nd_remove_undone(struct nd_containers *cs, const char *ns, const char *id);

#endif
