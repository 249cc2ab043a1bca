/*
 * Blocking work on threads. Two pools, so that a hashing of gigabytes never stands in front of a
 * stat(); each loop has its own, started when first used and joined at its end.
 *
 *     fiber:   put the job (on its stack) in the queue, park ........ wake, return
 *     thread:  .............. take it, run it, post "done" to the loop ^
 *
 * A job that waits in the queue is taken out again when its fiber is cancelled. One that runs is
 * waited for, whatever happens: it uses memory of the fiber's scope.
 */

#include "fiber/work.h"

#include <signal.h>

#include "base/alloc.h"

#include "loop_priv.h"

#define WORK_KINDS  2
#define MAX_THREADS (ND_WORK_SHORT_THREADS + ND_WORK_BULK_THREADS) /* enough for either kind */

struct job {
    TAILQ_ENTRY(job) link;
    void (*fn)(void *arg);
    void *arg;
    bool queued; /* under the pool's lock */
    bool done;   /* loop's */
    struct nd_fiber *fiber;
    struct nd_loop *loop;
    struct nd_post post;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t more;
    TAILQ_HEAD(, job) jobs;
    bool stopping;
    size_t n_idle;    /* threads without a job */
    size_t n_threads; /* loop's */
    size_t max_threads;
    pthread_t threads[MAX_THREADS];
};

struct nd_work_pools {
    struct pool pools[WORK_KINDS];
};

static void
on_done(void *arg)
{
    struct job *job = arg;

    job->done = true;
    job->loop->n_jobs--;
    nd_fiber_wake(job->fiber, ND_WAKE_SIGNAL);
}

/* The lock is held; it is let go while the job runs. */
static void
run_one(struct pool *pool)
{
    struct job *job = TAILQ_FIRST(&pool->jobs);

    TAILQ_REMOVE(&pool->jobs, job, link);
    job->queued = false;
    pool->n_idle--;
    pthread_mutex_unlock(&pool->lock);
    job->fn(job->arg);
    nd_loop_post(job->loop, &job->post);
    pthread_mutex_lock(&pool->lock);
    pool->n_idle++;
}

static void *
work(void *arg)
{
    struct pool *pool = arg;

    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping || !TAILQ_EMPTY(&pool->jobs)) {
        if (TAILQ_EMPTY(&pool->jobs))
            pthread_cond_wait(&pool->more, &pool->lock);
        else
            run_one(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Signals are the loop's: a new thread starts with all of them blocked. The lock is held. */
static int
start_thread(struct pool *pool)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&pool->threads[pool->n_threads], NULL, work, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0) {
        pool->n_threads++;
        pool->n_idle++;
    }
    return rc;
}

static void
init_pool(struct pool *pool, size_t max_threads)
{
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->more, NULL);
    TAILQ_INIT(&pool->jobs);
    pool->max_threads = max_threads;
}

static struct pool *
pool_of(struct nd_loop *loop, enum nd_work_kind kind)
{
    static const size_t max_threads[WORK_KINDS] = {
        [ND_WORK_SHORT] = ND_WORK_SHORT_THREADS,
        [ND_WORK_BULK] = ND_WORK_BULK_THREADS,
    };

    ND_INVARIANT((unsigned)kind < WORK_KINDS);
    if (loop->pools == NULL) {
        loop->pools = nd_new(struct nd_work_pools);
        for (size_t i = 0; i < WORK_KINDS; i++)
            init_pool(&loop->pools->pools[i], max_threads[i]);
    }
    return &loop->pools->pools[kind];
}

/* Hand the job over, with one more thread when all are busy. Fails: ND_EXHAUSTED. */
static struct nd_error *
submit(struct pool *pool, struct job *job)
{
    int rc = 0;

    pthread_mutex_lock(&pool->lock);
    if ((pool->n_idle == 0 || !TAILQ_EMPTY(&pool->jobs)) && pool->n_threads < pool->max_threads)
        rc = start_thread(pool);
    if (pool->n_threads != 0) {
        job->queued = true;
        TAILQ_INSERT_TAIL(&pool->jobs, job, link);
        pthread_cond_signal(&pool->more);
    }
    pthread_mutex_unlock(&pool->lock);
    if (pool->n_threads == 0)
        return nd_error_recode(nd_error_errno(rc, "start a thread"), ND_EXHAUSTED);
    return NULL;
}

/* Take the job back if no thread has it yet. */
static bool
withdraw(struct pool *pool, struct job *job)
{
    bool queued;

    pthread_mutex_lock(&pool->lock);
    queued = job->queued;
    if (queued) {
        TAILQ_REMOVE(&pool->jobs, job, link);
        job->queued = false;
    }
    pthread_mutex_unlock(&pool->lock);
    return queued;
}

struct nd_error *
nd_work(enum nd_work_kind kind, void (*fn)(void *arg), void *arg)
{
    struct nd_fiber *f = nd_fiber_here();
    struct pool *pool = pool_of(f->loop, kind);
    struct job job = {.fn = fn, .arg = arg, .fiber = f, .loop = f->loop};
    struct nd_error *err;

    ND_TRY(nd_ctx_check());
    job.post = (struct nd_post){.fn = on_done, .arg = &job};
    ND_TRY(submit(pool, &job));
    f->loop->n_jobs++;
    err = nd_fiber_park(NULL, ND_PARK_CTX);
    if (err != NULL && withdraw(pool, &job)) {
        f->loop->n_jobs--;
        return err;
    }
    nd_error_free(err);
    while (!job.done) {
        err = nd_fiber_park(NULL, ND_PARK_JOIN);
        ND_INVARIANT(err == NULL);
    }
    return NULL;
}

static void
stop_pool(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->more);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->n_threads; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->more);
    pthread_mutex_destroy(&pool->lock);
}

void
nd_work_stop(struct nd_loop *loop)
{
    if (loop->pools == NULL)
        return;
    for (size_t i = 0; i < WORK_KINDS; i++)
        stop_pool(&loop->pools->pools[i]);
    nd_free(ND_TAKE(loop->pools));
}
