#ifndef STORE_ROOT_H
#define STORE_ROOT_H

/*
 * nerdctl's data store of one containerd: <data root>/<hash of the containerd socket's real path>.
 * Everything else of this room works below it.
 */

#include "base/arena.h"
#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"

struct nd_store;
struct nd_dir_watcher; /* store/dir_watch.h */

/*
 * Find the store and make its directories where they are missing (0700).
 *
 * `containerd_address` is a path, or one with "unix://" in front; the socket must exist, because
 * its path is resolved before it is hashed. Both texts are copied. Touches the disk for
 * microseconds, once.
 *
 * Fails:   ND_UNAVAILABLE (no such socket), ND_INVALID (not a path), ND_DENIED
 * Context: any.
 * Follows: nerdctl's layout of its data root.
 */
struct nd_error *nd_store_open(const char *data_root, const char *containerd_address,
                               struct nd_store **ret) ND_CHECK_RESULT;
void nd_store_close(struct nd_store *store); /* NULL is fine */
void nd_store_closep(struct nd_store **store);

const char *nd_store_path(const struct nd_store *store);      /* "/var/lib/nerdctl/1935db59" */
const char *nd_store_data_root(const struct nd_store *store); /* "/var/lib/nerdctl" */

/* The one watcher of directories that all users of this store share. */
struct nd_dir_watcher *nd_store_watcher(struct nd_store *store);

/*
 * The log URI for containers whose output `helper` (an absolute path) writes, in `arena`:
 * "binary:///usr/bin/nerdctl-grpc-helper?_NERDCTL_INTERNAL_LOGGING=%2Fvar%2Flib%2F...". Context:
 * any.
 */
const char *nd_store_log_uri(const struct nd_store *store, const char *helper,
                             struct nd_arena *arena);

/* The same for a container without a log, to which people attach all the same. */
const char *nd_store_streams_uri(const struct nd_store *store, const char *helper,
                                 struct nd_arena *arena);

/*
 * Whether `text` can be one component of a path in the store: not blank, at most
 * ND_STORE_COMPONENT_MAX bytes, no '/', no NUL, not "." or "..". Fails: ND_INVALID, naming `what`.
 * Context: any.
 */
struct nd_error *nd_store_check_component(struct nd_str text, const char *what) ND_CHECK_RESULT;

#endif
