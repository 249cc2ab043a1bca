#ifndef FIBER_LOOP_H
#define FIBER_LOOP_H

/*
 * The one loop: libuv below, fibers above. A turn is: callbacks of ready descriptors and timers,
 * then every ready fiber, then a little of what can wait (fibers that have yielded, descriptors
 * whose bytes take long), then the deferred work (net/ writes its output there), then sleep.
 *
 * The running loop belongs to its thread and is found through it; several threads may each run
 * one (tests do).
 */

#include <sys/queue.h>

#include "base/clock.h"
#include "base/defs.h"
#include "base/error.h"

typedef struct nd_error *nd_fiber_fn(void *arg);

struct nd_loop_options {
    bool virtual_clock; /* tests: time jumps to the next timer when nothing else can run */
};

/*
 * Make a loop on this thread and run `fn(arg)` as its first fiber. Returns when that fiber has
 * ended (its groups have then ended too) with its error. `options` may be NULL.
 * Context: not inside a loop.
 */
struct nd_error *nd_loop_run(nd_fiber_fn *fn, void *arg,
                             const struct nd_loop_options *options) ND_CHECK_RESULT;

/* The loop's clock; the virtual one when that was asked for. Context: fiber, loop. */
struct nd_mono nd_loop_now(void);

/*
 * When this turn began, by the same clock: for whom milliseconds are enough, at no cost. Context:
 * fiber, loop.
 */
struct nd_mono nd_loop_turn_time(void);

/* Longest time between two turns since the last call, and forget it. Context: fiber, loop. */
int64_t nd_loop_take_stall_ns(void);

/* Fibers alive, the calling one included. Context: fiber, loop. */
size_t nd_loop_n_fibers(void);

/*
 * Deferred work: `fn(arg)` runs once, after the ready fibers of this turn. Adding it again before
 * it ran does nothing. The struct is the caller's and must be removed before it goes.
 * Context: fiber, loop; `fn` runs in loop context.
 */
struct nd_deferred {
    void (*fn)(void *arg);
    void *arg;
    TAILQ_ENTRY(nd_deferred) link;   /* private from here on */
    struct nd_deferred_queue *queue; /* NULL: it is in none */
};
void nd_deferred_add(struct nd_deferred *d);
void nd_deferred_remove(struct nd_deferred *d);

/*
 * The same for what takes long: it runs after everything that is ready, in the order of adding, and
 * when all such work of one turn has taken ND_LOOP_LATE_NS, the rest waits for the next turn.
 * Context: fiber, loop.
 */
void nd_deferred_add_late(struct nd_deferred *d);

/* A one-shot timer with a callback, for net/. Storage is the caller's. Context: fiber, loop. */
struct nd_timer {
    void (*fn)(void *arg); /* loop context */
    void *arg;
    struct nd_mono at; /* private from here on */
    size_t heap_pos;   /* 0: not armed */
    uint64_t seq;      /* equal times fire in the order of arming */
};
void nd_timer_arm(struct nd_timer *t, struct nd_mono at); /* again: moves it */
void nd_timer_disarm(struct nd_timer *t);

#endif
