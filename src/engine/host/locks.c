/*
 * Locks by name, among the fibers of this process: who unpacks a layer that another fiber is
 * unpacking already waits for it instead of doing it twice. A lock exists while somebody holds it
 * or waits for it.
 */

#include "base/alloc.h"
#include "base/map.h"
#include "fiber/sync.h"

#include "locks_priv.h"

struct nd_host_lock {
    struct nd_map *locks; /* borrowed: where it is kept */
    char *name;
    unsigned users; /* its holder and those who wait */
    struct nd_mutex mutex;
};

static void
leave(struct nd_host_lock *lock)
{
    if (--lock->users > 0)
        return;
    (void)nd_map_take(lock->locks, nd_str(lock->name));
    nd_free(lock->name);
    nd_free(lock);
}

struct nd_error *
nd_locks_take(struct nd_map *locks, const char *name, struct nd_host_lock **ret)
{
    struct nd_host_lock *lock = nd_map_find(locks, nd_str(name));
    struct nd_error *err;

    if (lock == NULL) {
        lock = nd_new(struct nd_host_lock);
        lock->locks = locks;
        lock->name = nd_strdup(name);
        (void)nd_map_set(locks, nd_str(name), lock);
    }
    lock->users++;
    err = nd_mutex_lock(&lock->mutex);
    if (err != NULL) {
        leave(lock);
        return err;
    }
    *ret = lock;
    return NULL;
}

void
nd_host_unlock(struct nd_host_lock *lock)
{
    if (lock == NULL)
        return;
    nd_mutex_unlock(&lock->mutex);
    leave(lock);
}

void
nd_host_unlockp(struct nd_host_lock **lock)
{
    nd_host_unlock(ND_TAKE(*lock));
}
