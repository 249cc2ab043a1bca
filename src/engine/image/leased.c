/*
 * A lease as a change: its id is in an intent before it exists, and it always goes in the end.
 *
 * What is loaded or unpacked lives as long as the lease, or as something leads to it; so taking a
 * lease back takes back all that did not come to be an image, and there is no more to undo than
 * that.
 */

#include "base/random.h"
#include "image/images.h"
#include "operation/recovery.h"

#include "leased_priv.h"
#include "removal_priv.h"

#define CHANGE_LEASE "lease"

static struct nd_error *
drop(void *arg)
{
    struct leased *l = arg;

    return nd_lease_delete(l->ctrd, l->ns, &l->lease, l->sync);
}

struct nd_error *
nd_leased_begin(struct nd_host *host, const char *ns, bool sync, struct leased *ret)
{
    struct nd_change_spec spec = {.kind = CHANGE_LEASE, .ns = ns, .object = ret->lease.id};

    ret->ctrd = nd_host_ctrd(host);
    ret->ns = ns;
    ret->sync = sync;
    ret->step = (struct nd_undo_step){.fn = drop, .arg = ret, .what = "drop the lease"};
    nd_random_hex(ret->lease.id, ND_LEASE_ID_BYTES);
    return nd_change_begin(host, &spec, &ret->change);
}

struct nd_error *
nd_leased_take(struct leased *l)
{
    ND_TRY(nd_change_ready(&l->change));
    nd_change_undo(&l->change, &l->step);
    return nd_lease_create(l->ctrd, l->ns, &l->lease);
}

void
nd_leased_end(struct leased *l)
{
    nd_change_end(&l->change);
}

static struct nd_error *
recover(void *host, const struct nd_open_intent *intent)
{
    struct nd_lease lease = {0};

    ND_TRY(nd_str_copy(lease.id, sizeof(lease.id), nd_str(intent->object), "lease"));
    return nd_lease_delete(nd_host_ctrd(host), intent->ns, &lease, true);
}

void
nd_images_recover_by(struct nd_host *host, struct nd_recovery *recovery)
{
    nd_recovery_add(recovery, CHANGE_LEASE, recover, host);
    nd_recovery_add(recovery, CHANGE_REMOVE_IMAGE, nd_recover_image_removal, host);
}
