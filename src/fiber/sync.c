/*
 * Conditions, mutexes and bounded queues between fibers of one loop. No thread is involved, so
 * "atomic" is whatever happens between two suspensions.
 *
 * The condition is the only one that touches the queue of waiters. The mutex hands over: unlocking
 * gives the lock to the longest waiting fiber, nobody can come in between. The queue of pointers
 * wakes one fiber per item or place; a fiber that was woken for one takes it even when its context
 * ends before it runs, so nothing is lost.
 */

#include "fiber/sync.h"

#include "base/alloc.h"

#include "loop_priv.h"

static void
enqueue(struct nd_cond *cond, struct nd_waiter *w)
{
    if (!cond->ready) {
        TAILQ_INIT(&cond->waiters);
        cond->ready = true;
    }
    w->fiber = nd_fiber_here();
    w->list = &cond->waiters;
    TAILQ_INSERT_TAIL(&cond->waiters, w, link);
}

struct nd_error *
nd_cond_wait(struct nd_cond *cond)
{
    struct nd_waiter w;

    enqueue(cond, &w);
    return nd_fiber_park(&w, ND_PARK_CTX);
}

void
nd_cond_join(struct nd_cond *cond)
{
    struct nd_waiter w;
    struct nd_error *err;

    enqueue(cond, &w);
    err = nd_fiber_park(&w, ND_PARK_JOIN);
    ND_INVARIANT(err == NULL);
}

bool
nd_cond_wake_one(struct nd_cond *cond)
{
    struct nd_waiter *w = cond->ready ? TAILQ_FIRST(&cond->waiters) : NULL;

    return w != NULL && nd_fiber_wake(w->fiber, ND_WAKE_SIGNAL);
}

void
nd_cond_signal(struct nd_cond *cond)
{
    nd_cond_wake_one(cond);
}

void
nd_cond_broadcast(struct nd_cond *cond)
{
    while (nd_cond_wake_one(cond))
        continue;
}

struct nd_error *
nd_mutex_lock(struct nd_mutex *mutex)
{
    if (mutex->locked)
        return nd_cond_wait(&mutex->cond);
    ND_TRY(nd_ctx_check());
    mutex->locked = true;
    return NULL;
}

void
nd_mutex_unlock(struct nd_mutex *mutex)
{
    ND_INVARIANT(mutex->locked);
    mutex->locked = nd_cond_wake_one(&mutex->cond);
}

void
nd_mutex_unlockp(struct nd_mutex **mutex)
{
    if (*mutex != NULL)
        nd_mutex_unlock(ND_TAKE(*mutex));
}

struct nd_chan {
    void **items; /* a ring */
    size_t capacity;
    size_t first;
    size_t count;
    bool closed;
    struct nd_cond filled;  /* receivers wait */
    struct nd_cond emptied; /* senders wait */
};

struct nd_chan *
nd_chan_new(size_t capacity)
{
    struct nd_chan *c = nd_new(struct nd_chan);

    ND_INVARIANT(capacity != 0);
    c->items = nd_new_array(capacity, void *);
    c->capacity = capacity;
    return c;
}

static bool
has_waiters(const struct nd_cond *cond)
{
    return cond->ready && !TAILQ_EMPTY(&cond->waiters);
}

void
nd_chan_free(struct nd_chan *c)
{
    if (c == NULL)
        return;
    ND_INVARIANT(!has_waiters(&c->filled) && !has_waiters(&c->emptied));
    nd_free(c->items);
    nd_free(c);
}

void
nd_chan_freep(struct nd_chan **chan)
{
    nd_chan_free(ND_TAKE(*chan));
}

bool
nd_chan_try_send(struct nd_chan *c, void *item)
{
    if (c->closed || c->count == c->capacity)
        return false;
    c->items[(c->first + c->count) % c->capacity] = item;
    c->count++;
    nd_cond_signal(&c->filled);
    return true;
}

struct nd_error *
nd_chan_send(struct nd_chan *c, void *item)
{
    ND_TRY(nd_ctx_check());
    while (!nd_chan_try_send(c, item)) {
        if (c->closed)
            return nd_error_new(ND_PRECONDITION, "the queue is closed");
        ND_TRY(nd_cond_wait(&c->emptied));
    }
    return NULL;
}

struct nd_error *
nd_chan_recv(struct nd_chan *c, void **ret)
{
    ND_TRY(nd_ctx_check());
    while (c->count == 0 && !c->closed)
        ND_TRY(nd_cond_wait(&c->filled));
    if (c->count == 0) {
        *ret = NULL;
        return NULL;
    }
    *ret = c->items[c->first];
    c->first = (c->first + 1) % c->capacity;
    c->count--;
    nd_cond_signal(&c->emptied);
    return NULL;
}

void
nd_chan_close(struct nd_chan *c)
{
    c->closed = true;
    nd_cond_broadcast(&c->filled);
    nd_cond_broadcast(&c->emptied);
}

size_t
nd_chan_count(const struct nd_chan *c)
{
    return c->count;
}
