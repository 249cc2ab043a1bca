#ifndef CONTAINER_CONTAINERS_H
#define CONTAINER_CONTAINERS_H

/*
 * The containers of one host. What they are is in containerd's records and in nerdctl's files; this
 * object holds only what belongs to the running process: who changes which container right now, and
 * what goes on in the background (removal of containers that asked for it).
 *
 *   container/lifecycle.h  create, start, run, wait, stop, kill, remove
 *   container/query.h      list, inspect, logs
 *
 * Everywhere `ns` is the containerd namespace, already checked (nd_namespace_check()); results live
 * in the arena that is passed, and a container is named by its name, its id, or the beginning of
 * its id:
 *
 *   ND_NOT_FOUND  reason CONTAINER_NOT_FOUND      no such container
 *   ND_INVALID    reason CONTAINER_ID_AMBIGUOUS   several ids begin so
 */

#include "host/host.h"

#include "nerdctl_methods.h"

struct nd_containers;

/* `host` is borrowed and outlives it. Context: any. */
struct nd_error *nd_containers_new(struct nd_host *host,
                                   struct nd_containers **ret) ND_CHECK_RESULT;
void nd_containers_free(struct nd_containers *cs); /* NULL is fine; no call may be running */
void nd_containers_freep(struct nd_containers **cs);

struct nd_host *nd_containers_host(const struct nd_containers *cs);

/*
 * Say how changes of containers are recovered that a dead daemon left half done. `recovery` lives
 * as long as nd_containers_watch() runs. Context: start-up.
 */
struct nd_recovery; /* operation/recovery.h */
void nd_containers_recover_by(struct nd_containers *cs, struct nd_recovery *recovery);

/*
 * The background of containers: follows containerd's events, removes containers that asked for it
 * when they have ended (also those that ended while nobody looked), and finishes what calls left
 * behind. Runs until cancelled; spawned once, in a group of the server. `containers` is an
 * nd_containers.
 */
struct nd_error *nd_containers_watch(void *containers) ND_CHECK_RESULT;

#endif
