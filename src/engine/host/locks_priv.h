#ifndef HOST_LOCKS_PRIV_H
#define HOST_LOCKS_PRIV_H

#include "host/host.h"

/* Take the lock `name` of those in `locks`, waiting for it. Context: fiber. */
struct nd_map;
struct nd_error *nd_locks_take(struct nd_map *locks, const char *name,
                               struct nd_host_lock **ret) ND_CHECK_RESULT;

#endif
