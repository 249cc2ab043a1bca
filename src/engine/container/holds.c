/*
 * The order of changes of one container.
 *
 * Each container that somebody is busy with has an entry here, by namespace and id; the entry goes
 * with its last user. Locking is first come, first served, among the calls of this process; against
 * nerdctl protect the locks of nerdctl's files, which are taken inside. Beside the lock an entry
 * counts uses: an attached client uses a container until it has read all of its output, and a
 * removal in the background waits for that. It waits without the lock, or a client that does not
 * read would hold up everybody else; a use begins under the lock, so whoever holds it and sees none
 * can be sure.
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
    hold->cs->changes++;
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

static struct nd_error *
wait_unused(struct hold *hold)
{
    while (hold->uses > 0)
        ND_TRY(nd_cond_wait(&hold->unused));
    return NULL;
}

/* Until nobody uses it; *ret_over: somebody does, but the time is over. */
static struct nd_error *
wait_patiently(struct hold *hold, struct nd_mono until, bool *ret_over)
{
    struct nd_error *err;

    {
        ND_DEADLINE_IN(ND_MAX(until.ns - nd_loop_now().ns, (int64_t)0));
        err = wait_unused(hold);
    }
    *ret_over = nd_error_code(err) == ND_DEADLINE;
    if (!*ret_over)
        return err;
    nd_error_free(err);
    return nd_ctx_check();
}

static struct nd_error *
lock_unused(struct hold *hold, struct nd_mono until)
{
    for (;;) {
        bool over;

        ND_TRY(wait_patiently(hold, until, &over));
        ND_TRY(nd_mutex_lock(&hold->mutex));
        if (over || hold->uses == 0)
            return NULL;
        nd_mutex_unlock(&hold->mutex);
    }
}

struct nd_error *
nd_hold_lock_unused(struct nd_containers *cs, const char *ns, const char *id, int64_t patience_ns,
                    struct hold **ret)
{
    struct hold *hold = ref_hold(cs, ns, id);
    struct nd_error *err = lock_unused(hold, (struct nd_mono){nd_loop_now().ns + patience_ns});

    if (err != NULL)
        unref_hold(hold);
    else
        *ret = hold;
    return err;
}
