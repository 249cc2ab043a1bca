/*
 * The order of changes of one container.
 *
 * Each container that somebody is busy with has an entry here, by namespace and id; the entry goes with its
 * last user. Locking is first come, first served, among the calls of this process; against nerdctl
 * protect the locks of nerdctl's files, which are taken inside. Beside the lock an entry counts uses: an
 * attached client uses a container until it has read all of its output, and a removal in the background
 * waits for that, with the lock held so that nobody new begins.
 */

#include <stdio.h>

#include "base/alloc.h"

#include "containers_priv.h"

struct hold {
    struct nd_containers *cs;
    char *key;
    unsigned refs; /* lockers, waiting ones included, and users */
    unsigned uses;
    struct nd_mutex mutex;
    struct nd_cond unused;
};

static struct hold *
ref_hold(struct nd_containers *cs, const char *ns, const char *id)
{
    char *key = nd_asprintf("%s/%s", ns, id);
    struct hold *hold = nd_map_find(cs->holds, nd_str(key));

    if (hold == NULL) {
        hold = nd_new(struct hold);
        hold->cs = cs;
        hold->key = key;
        nd_map_set(cs->holds, nd_str(key), hold);
    } else {
        nd_free(key);
    }
    hold->refs++;
    return hold;
}

static void
unref_hold(struct hold *hold)
{
    if (--hold->refs > 0)
        return;
    nd_map_take(hold->cs->holds, nd_str(hold->key));
    nd_free(hold->key);
    nd_free(hold);
}

struct nd_error *
nd_hold_lock(struct nd_containers *cs, const char *ns, const char *id, struct hold **ret)
{
    struct hold *hold = ref_hold(cs, ns, id);
    struct nd_error *err = nd_mutex_lock(&hold->mutex);

    if (err != NULL) {
        unref_hold(hold);
        return nd_error_wrap(err, "wait for another change of container %.12s", id);
    }
    *ret = hold;
    return NULL;
}

void
nd_hold_unlock(struct hold *hold)
{
    if (hold == NULL)
        return;
    nd_mutex_unlock(&hold->mutex);
    unref_hold(hold);
}

void
nd_hold_unlockp(struct hold **hold)
{
    nd_hold_unlock(*hold);
}

struct hold *
nd_hold_use(struct nd_containers *cs, const char *ns, const char *id)
{
    struct hold *hold = ref_hold(cs, ns, id);

    hold->uses++;
    return hold;
}

void
nd_hold_unusep(struct hold **hold)
{
    if (*hold == NULL)
        return;
    if (--(*hold)->uses == 0)
        nd_cond_broadcast(&(*hold)->unused);
    unref_hold(*hold);
}

struct nd_error *
nd_hold_wait_unused(struct hold *hold)
{
    while (hold->uses > 0)
        ND_TRY(nd_cond_wait(&hold->unused));
    return NULL;
}
