#ifndef STORE_HOSTS_H
#define STORE_HOSTS_H

/*
 * The hosts store, <store>/etchosts/<namespace>/<id>/: the /etc/hosts of each container, which
 * lists its peers on shared networks. A change rewrites the files of the namespace that it makes
 * different, in place (they are bind-mounted) and under the lock on the namespace's directory:
 * those of all when the container has an address, none of the others when it has none.
 *
 * Context of everything that touches the disk: fiber; suspends.
 */

#include "base/arena.h"
#include "base/defs.h"
#include "base/error.h"
#include "store/root.h"
#include "store/state.h"

/* What meta.json says of a container. Texts are borrowed; NULL is the empty text. */
struct nd_hosts_meta {
    const char *id;
    const char *name;
    const char *hostname;
    const char *domainname;
    const struct nd_extra_host {
        const char *host, *ip;
    } * extra_hosts;
    size_t n_extra_hosts;
    const struct nd_hosts_network {
        const char *name;   /* as in the label nerdctl/networks: "bridge", "host", "none" */
        const char *result; /* the CNI 1.0.0 result, JSON text; NULL in host and none mode */
    } * networks;
    size_t n_networks;
};

/* The file that is mounted on /etc/hosts, in `arena`. Context: any. */
const char *nd_hosts_path(const struct nd_store *store, const char *ns, const char *id,
                          struct nd_arena *arena);

/*
 * Make the container's directory and its hosts file: empty, or in host mode a copy of the host's.
 * Fails: ND_INVALID.
 */
struct nd_error *nd_hosts_create(struct nd_store *store, const char *ns, const char *id,
                                 enum nd_net_mode mode) ND_CHECK_RESULT;

/* Both at once: for who knows everything from the beginning. */
struct nd_error *nd_hosts_add(struct nd_store *store, const char *ns, enum nd_net_mode mode,
                              const struct nd_hosts_meta *meta) ND_CHECK_RESULT;

/*
 * Write meta.json, then the hosts files. Fails: ND_NOT_FOUND (not created), ND_INVALID (a result).
 */
struct nd_error *nd_hosts_publish(struct nd_store *store, const char *ns,
                                  const struct nd_hosts_meta *meta) ND_CHECK_RESULT;

/* Remove meta.json (missing is fine), keep the hosts file, rewrite the others. */
struct nd_error *nd_hosts_withdraw(struct nd_store *store, const char *ns,
                                   const char *id) ND_CHECK_RESULT;

/*
 * Change the name in meta.json, rewrite the files. Fails: ND_NOT_FOUND (no meta.json: not running).
 */
struct nd_error *nd_hosts_rename(struct nd_store *store, const char *ns, const char *id,
                                 const char *new_name) ND_CHECK_RESULT;

/* Remove the container's directory and rewrite the others. Not there is fine. */
struct nd_error *nd_hosts_remove(struct nd_store *store, const char *ns,
                                 const char *id) ND_CHECK_RESULT;

#endif
