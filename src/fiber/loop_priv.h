#ifndef FIBER_LOOP_PRIV_H
#define FIBER_LOOP_PRIV_H

/*
 * The state of a loop, a fiber and a group as the files of this room share it. Everything belongs
 * to the loop's thread; what other threads may touch says so.
 */

#include <pthread.h>
#include <sys/queue.h>

#include <uv.h>

#include "fiber/fiber.h"
#include "fiber/group.h"
#include "fiber/limits.h"
#include "fiber/loop.h"
#include "fiber/sync.h"

struct nd_work_pools;
struct nd_process;

enum nd_fiber_state {
    ND_FIBER_READY, /* in the ready queue, or in the queue of the next turn */
    ND_FIBER_RUNNING,
    ND_FIBER_WAITING,
    ND_FIBER_ENDED,
};

/* Why a waiting fiber goes on. The first cause counts. */
enum nd_wake {
    ND_WAKE_NONE,
    ND_WAKE_SIGNAL, /* what it waited for */
    ND_WAKE_CANCEL,
    ND_WAKE_DEADLINE,
};

enum nd_park {
    ND_PARK_CTX,  /* the end of the context ends the wait */
    ND_PARK_JOIN, /* only what it waits for does */
};

/* A place in a queue of waiting fibers; lives on the stack of the waiting one. */
struct nd_waiter {
    TAILQ_ENTRY(nd_waiter) link;
    struct nd_waiters *list; /* NULL: not linked (any more) */
    struct nd_fiber *fiber;
};

TAILQ_HEAD(nd_fiber_list, nd_fiber);
STAILQ_HEAD(nd_fiber_queue, nd_fiber);
TAILQ_HEAD(nd_group_list, nd_group);

/* Lives at the top of its own stack. */
struct nd_fiber {
    void *sp;                     /* where it was left */
    STAILQ_ENTRY(nd_fiber) ready; /* queue membership; also the link in the pool of stacks */
    struct nd_loop *loop;
    void *fake_stack; /* sanitizer */
    uint64_t id;
    uint64_t switches;
    enum nd_fiber_state state;
    enum nd_park park;
    enum nd_wake wake;
    bool cancelled;
    unsigned shield_depth;
    struct nd_waiter *waiter;       /* while WAITING in a queue */
    int64_t own_deadline_ns;        /* of the fiber */
    int64_t scope_deadline_ns;      /* narrowed by scopes, or the grace of a shield */
    struct nd_timer deadline_timer; /* armed or not; when armed, for the deadline in force */
    nd_fiber_fn *fn;
    void *arg;
    const char *doing;
    struct nd_arena *arena; /* NULL until asked for */
    struct nd_error *result;
    struct nd_group *group; /* NULL: the first fiber of the loop */
    TAILQ_ENTRY(nd_fiber) in_group;
    struct nd_group_list groups; /* those that it has begun */
    void *slots[ND_CTX_SLOTS];
};

struct nd_group {
    const char *name;
    unsigned width;
    bool independent;
    bool cancelled;
    bool ending;
    struct nd_fiber *owner;
    unsigned shield_depth; /* of its owner in the beginning: a shield keeps cancelling away */
    int64_t deadline_ns;   /* likewise */
    TAILQ_ENTRY(nd_group) in_owner;
    struct nd_fiber_list fibers;
    size_t n_fibers;
    size_t n_spawning;      /* callers inside nd_group_spawn() */
    struct nd_error *error; /* the first failure */
    struct nd_cond changed; /* a fiber has ended: for wait and end */
    struct nd_cond room;    /* the same, for those that wait to spawn */
};

struct nd_deferred_queue {
    TAILQ_HEAD(, nd_deferred) list;
    size_t n;
};

/* Something that a thread has for the loop: `fn(arg)` runs on the loop. */
struct nd_post {
    void (*fn)(void *arg);
    void *arg;
    struct nd_post *next;
    bool queued;
};

struct nd_loop {
    uv_loop_t uv;
    uv_async_t wakeup; /* posts have come */
    uv_timer_t alarm;  /* for the first timer of the heap */

    struct nd_fiber *current; /* NULL: loop context */
    void *sp;                 /* of the loop, while a fiber runs */
    void *fake_stack;
    const void *stack_bottom;
    size_t stack_size;

    struct nd_fiber_queue ready;
    struct nd_fiber_queue yielded; /* ready in the next turn, */
    struct nd_fiber_queue rested;  /* and then here: they run when nothing else is ready */
    struct nd_fiber_queue pool;    /* stacks without a fiber */
    size_t n_pool;
    size_t n_fibers;
    uint64_t last_id;
    bool main_ended;
    struct nd_error *main_result;

    struct nd_deferred_queue deferred;
    struct nd_deferred_queue late;

    struct nd_timer **heap; /* from 1 */
    size_t n_timers, heap_cap;
    uint64_t timer_seq;
    int64_t alarm_at_ns; /* what the alarm is set to; INT64_MAX: it is not */

    bool virtual_clock;
    int64_t virtual_ns;
    size_t n_watches;              /* descriptors and signals that may wake somebody */
    size_t n_jobs;                 /* on threads */
    _Atomic size_t n_jobs_waiting; /* of these, for something that the loop has to give */

    int64_t turn_began_ns; /* 0: asleep */
    int64_t stall_ns;      /* longest turn since it was asked for */
    int64_t stall_logged_ns;
    int64_t coarse_ns; /* coarse clock at the last change of fibers */
    int64_t held_ns;   /* the longest hold of this turn, by whom, doing what */
    uint64_t held_id;
    const char *held_doing;

    char *read_buf; /* ND_STREAM_READ_BYTES, shared by all descriptors */
    struct nd_work_pools *pools;
    LIST_HEAD(, nd_process) dying; /* killed and forgotten, still to be reaped */

    pthread_mutex_t posts_lock; /* for the two below: any thread */
    struct nd_post *posts_head, *posts_tail;
};

/* The loop of this thread, or NULL. */
extern _Thread_local struct nd_loop *nd_loop_tls;

static inline struct nd_loop *
nd_loop_here(void)
{
    ND_INVARIANT(nd_loop_tls != NULL);
    return nd_loop_tls;
}

static inline struct nd_fiber *
nd_fiber_here(void)
{
    ND_INVARIANT(nd_loop_tls != NULL && nd_loop_tls->current != NULL);
    return nd_loop_tls->current;
}

/* Every callback of libuv says so first: the loop is awake. */
void nd_loop_woke(struct nd_loop *loop);

/* Any thread. The post must stay until it ran or was taken back. */
void nd_loop_post(struct nd_loop *loop, struct nd_post *post);
void nd_loop_unpost(struct nd_loop *loop, struct nd_post *post);

/* A job begins to wait for the loop (on its thread), or goes on (on the loop). */
void nd_loop_job_waits(struct nd_loop *loop, bool waits);

/* The buffer for reading. */
char *nd_loop_read_buf(struct nd_loop *loop);

/* --- fiber.c --- */

/* A fiber that is ready to run. Fails: ND_EXHAUSTED. */
struct nd_error *nd_fiber_new(struct nd_loop *loop, nd_fiber_fn *fn, void *arg,
                              struct nd_fiber **ret) ND_CHECK_RESULT;

/* Run it until it suspends or ends; tells what it said it was doing. Context: loop. */
const char *nd_fiber_enter(struct nd_loop *loop, struct nd_fiber *fiber);

/*
 * Suspend until nd_fiber_wake(). `waiter` is linked in a queue by the caller, or NULL. With
 * ND_PARK_CTX the context is checked before; in every case of failure the waiter is not linked
 * when this returns.
 */
struct nd_error *nd_fiber_park(struct nd_waiter *waiter, enum nd_park how) ND_CHECK_RESULT;

/* Unlink it and make it ready; false when it does not wait or was woken before. */
bool nd_fiber_wake(struct nd_fiber *fiber, enum nd_wake why);

/* The deadline in force. */
int64_t nd_fiber_deadline_ns(const struct nd_fiber *fiber);

/* Give all pooled stacks back. */
void nd_fiber_drop_pool(struct nd_loop *loop);

/* --- stack.c --- */

/* Map a stack with its guard; NULL when the kernel refuses. `top` of it is the fiber. */
struct nd_fiber *nd_stack_map(void);
void nd_stack_unmap(struct nd_fiber *fiber);
void *nd_stack_bottom(struct nd_fiber *fiber);
size_t nd_stack_size(void);

/* --- group.c --- */

/* A fiber of the group has ended with `err`, which the group takes. Context: loop. */
void nd_group_reap(struct nd_group *group, struct nd_fiber *fiber, struct nd_error *err);

/* --- sync.c --- */

/* Wake the longest waiting one; false when there is none. */
bool nd_cond_wake_one(struct nd_cond *cond);
/* Wait on although the context has ended. */
void nd_cond_join(struct nd_cond *cond);

/* --- timer.c --- */

/* Run what is due. */
void nd_timers_run(struct nd_loop *loop);
/* When the first is due; INT64_MAX without any. */
int64_t nd_timers_next_ns(const struct nd_loop *loop);

/* --- work.c --- */

/* Stop and join the threads. */
void nd_work_stop(struct nd_loop *loop);

/* --- process.c --- */

/* Reap what was killed and forgotten. */
void nd_process_reap_dying(struct nd_loop *loop);

#endif
