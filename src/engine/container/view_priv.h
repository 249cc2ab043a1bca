#ifndef CONTAINER_VIEW_PRIV_H
#define CONTAINER_VIEW_PRIV_H

/* A container as lists and inspect show it. */

#include "nerdctl/v1/container.pb-c.h"

#include "containers_priv.h"

/* All that the record and its task (NULL: none) tell. In the arena. Context: any. */
Pb__Container *nd_view_make(const record *rec, const task *t, struct nd_wall now,
                            struct nd_arena *arena);

/* The mounts by labels: a list of JSON objects as nerdctl keeps them; freed with the arena. */
const struct nd_json *nd_view_mount_labels(const record *rec, struct nd_arena *arena);

/* Published ports, from the file. A missing one gives none. Context: fiber. */
struct nd_error *nd_view_add_ports(struct nd_containers *cs, const char *ns, Pb__Container *view,
                                   struct nd_arena *arena) ND_CHECK_RESULT;

/* When it was started last, from the file. Context: fiber. */
struct nd_error *nd_view_add_start(struct nd_containers *cs, const char *ns, Pb__Container *view,
                                   struct nd_arena *arena) ND_CHECK_RESULT;

/* size_rw and size_root_fs. A container that is gone has none. Context: fiber. */
struct nd_error *nd_view_add_sizes(struct nd_containers *cs, const char *ns, const record *rec,
                                   Pb__Container *view) ND_CHECK_RESULT;

#endif
