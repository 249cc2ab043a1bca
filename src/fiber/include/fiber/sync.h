#ifndef FIBER_SYNC_H
#define FIBER_SYNC_H

/*
 * Waiting for one another: condition, mutex, bounded queue. All on one loop, no threads involved.
 * Storage is the caller's; a zeroed struct is initialised. Nothing may be waiting when it goes.
 *
 * Context of everything here: fiber, unless it says so. What waits fails with ND_CANCELLED or
 * ND_DEADLINE; what returns no error does not suspend.
 */

#include <sys/queue.h>

#include "fiber/fiber.h"

struct nd_waiter;
TAILQ_HEAD(nd_waiters, nd_waiter);

struct nd_cond {
    struct nd_waiters waiters; /* private */
    bool ready;                /* private: the head is initialised */
};

/* Suspend until signalled. Spurious wake-ups do not occur, but re-check. Context: fiber. */
struct nd_error *nd_cond_wait(struct nd_cond *cond) ND_CHECK_RESULT;
void nd_cond_signal(struct nd_cond *cond);    /* the longest waiting one; fiber, loop */
void nd_cond_broadcast(struct nd_cond *cond); /* all; fiber, loop */

/*
 * First come, first served. Whoever locked it unlocks it; both is the cleanup's matter:
 * ND_AUTO(nd_mutex_unlockp).
 */
struct nd_mutex {
    struct nd_cond cond; /* private */
    bool locked;         /* private */
};
struct nd_error *nd_mutex_lock(struct nd_mutex *mutex) ND_CHECK_RESULT; /* Context: fiber */
void nd_mutex_unlock(struct nd_mutex *mutex);
void nd_mutex_unlockp(struct nd_mutex **mutex); /* cleanup; NULL is fine */

/* A queue of pointers with a bound (not 0); the pointers are not NULL and stay the callers'. */
struct nd_chan;
struct nd_chan *nd_chan_new(size_t capacity) __attribute__((__returns_nonnull__));
/* What is left in it stays the callers'. Nobody may be waiting. */
void nd_chan_free(struct nd_chan *chan);
void nd_chan_freep(struct nd_chan **chan);
/* Waits while it is full. Fails: ND_PRECONDITION when closed. Context: fiber. */
struct nd_error *nd_chan_send(struct nd_chan *chan, void *item) ND_CHECK_RESULT;
/* Without waiting: false when full or closed. Context: fiber, loop. */
bool nd_chan_try_send(struct nd_chan *chan, void *item);
/* Waits while it is empty; *ret is NULL once it is closed and drained. Context: fiber. */
struct nd_error *nd_chan_recv(struct nd_chan *chan, void **ret) ND_CHECK_RESULT;
/* Nothing is taken any more; what is in it can still be received. Context: fiber, loop. */
void nd_chan_close(struct nd_chan *chan);
/* Items in it. Context: any. */
size_t nd_chan_count(const struct nd_chan *chan);

#endif
