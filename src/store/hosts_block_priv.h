#ifndef STORE_HOSTS_BLOCK_PRIV_H
#define STORE_HOSTS_BLOCK_PRIV_H

/*
 * The content of hosts files: who is known in a namespace, and what that makes of one file.
 * Context of everything here: any thread.
 */

#include "base/buf.h"
#include "codec/json.h"

/* The containers of a namespace that have a meta.json. */
struct nd_hosts_peers {
    struct nd_hosts_peer {
        char *id;
        struct nd_json *meta;
    } * peers; /* in order of id */
    size_t n;
};

/* Add one; takes `meta`. */
void nd_hosts_peers_add(struct nd_hosts_peers *peers, const char *id, struct nd_json *meta);
void nd_hosts_peers_sort(struct nd_hosts_peers *peers);
void nd_hosts_peers_fini(struct nd_hosts_peers *peers);

/*
 * The new text of the hosts file of `owner`, appended to `out`: what `current` has outside the
 * block, then the block. Fails: ND_EXHAUSTED (the maximum of `out`).
 */
struct nd_error *nd_hosts_file_make(const struct nd_hosts_peers *peers,
                                    const struct nd_hosts_peer *owner, struct nd_str current,
                                    struct nd_buf *out) ND_CHECK_RESULT;

#endif
