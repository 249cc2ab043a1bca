#ifndef IMAGE_LEASED_PRIV_H
#define IMAGE_LEASED_PRIV_H

/*
 * A lease for the length of a scope, which no death of the daemon leaves behind:
 *
 *     ND_AUTO(nd_leased_end) struct leased leased = {0};
 *
 *     ND_TRY(nd_leased_begin(host, ns, true, &leased));   // to disk, while we look around
 *     ND_TRY(nd_leased_take(&leased));                    // from here on leased.lease.id
 */

#include "operation/change.h"

struct leased {
    struct nd_lease lease;
    struct nd_ctrd *ctrd; /* private from here on */
    const char *ns;
    bool sync;
    struct nd_change change;
    struct nd_undo_step step;
};

/* `sync`: its end waits for the garbage collection. Context: fiber; does not suspend. */
struct nd_error *nd_leased_begin(struct nd_host *host, const char *ns, bool sync,
                                 struct leased *ret) ND_CHECK_RESULT;

/* Fails: as nd_change_ready() and nd_lease_create(). Context: fiber. */
struct nd_error *nd_leased_take(struct leased *l) ND_CHECK_RESULT;
void nd_leased_end(struct leased *l);

#endif
