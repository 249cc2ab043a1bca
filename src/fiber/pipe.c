/*
 * A bridge between a fiber that has bytes and a thread that wants them.
 *
 *     fiber --put--> [ ring of `capacity` bytes ] --take--> thread
 *
 * The thread sleeps on a condition variable, the fiber parks; the thread wakes it with a post to
 * its loop, and only when it said that it waits. All members below the lock are under it; `waiting`
 * is the loop's own.
 */

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "fiber/work.h"

#include "loop_priv.h"

struct nd_pipe {
    struct nd_loop *loop;
    struct nd_fiber *waiting; /* parked in put; NULL: nobody */
    struct nd_post post;
    size_t capacity;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* bytes or the end have come */
    char *ring;
    size_t first;
    size_t len;
    bool wants_room; /* the fiber asked to be woken */
    bool finished;
    bool failed;
    bool stopped;     /* by the taker */
    bool taker_waits; /* for bytes: counted in the loop, see look_virtual() */
};

static void
on_room(void *arg)
{
    struct nd_pipe *p = arg;

    if (p->waiting != NULL)
        nd_fiber_wake(p->waiting, ND_WAKE_SIGNAL);
}

struct nd_pipe *
nd_pipe_new(size_t capacity_bytes)
{
    struct nd_pipe *p = nd_new(struct nd_pipe);

    ND_INVARIANT(capacity_bytes != 0);
    p->loop = nd_loop_here();
    p->capacity = capacity_bytes;
    p->ring = nd_new_array(capacity_bytes, char);
    p->post = (struct nd_post){.fn = on_room, .arg = p};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    return p;
}

void
nd_pipe_free(struct nd_pipe *p)
{
    if (p == NULL)
        return;
    ND_INVARIANT(p->waiting == NULL);
    nd_loop_unpost(p->loop, &p->post);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    nd_free(p->ring);
    nd_free(p);
}

void
nd_pipe_freep(struct nd_pipe **pipe)
{
    nd_pipe_free(ND_TAKE(*pipe));
}

/* On the thread: say that the job waits for the loop. The lock is held. */
static void
note_waiting(struct nd_pipe *p)
{
    if (p->taker_waits)
        return;
    p->taker_waits = true;
    nd_loop_job_waits(p->loop, true);
}

/* On the loop: there is something to take. The lock is held. */
static void
wake_taker(struct nd_pipe *p)
{
    if (p->taker_waits)
        nd_loop_job_waits(p->loop, false);
    p->taker_waits = false;
    pthread_cond_signal(&p->changed);
}

/* Copy in what there is room for. The lock is held. */
static size_t
fill(struct nd_pipe *p, struct nd_str bytes)
{
    size_t n = ND_MIN(bytes.len, p->capacity - p->len);
    size_t at = (p->first + p->len) % p->capacity;
    size_t to_end = ND_MIN(n, p->capacity - at);

    if (n == 0)
        return 0;
    memcpy(p->ring + at, bytes.ptr, to_end);
    memcpy(p->ring, bytes.ptr + to_end, n - to_end);
    p->len += n;
    wake_taker(p);
    return n;
}

/* Put what fits; with something left over, ask to be woken. *ret is how much was put. */
static struct nd_error *
put_some(struct nd_pipe *p, struct nd_str bytes, size_t *ret)
{
    bool stopped;
    size_t n = 0;

    pthread_mutex_lock(&p->lock);
    ND_INVARIANT(!p->finished);
    stopped = p->stopped;
    if (!stopped) {
        n = fill(p, bytes);
        p->wants_room = n < bytes.len;
    }
    pthread_mutex_unlock(&p->lock);
    if (stopped)
        return nd_error_new(ND_ABORTED, "the taker of the bytes has stopped");
    *ret = n;
    return NULL;
}

struct nd_error *
nd_pipe_put(struct nd_pipe *p, struct nd_str bytes)
{
    struct nd_error *err = NULL;
    size_t n;

    ND_INVARIANT(p->waiting == NULL);
    ND_TRY(nd_ctx_check());
    for (;;) {
        ND_TRY(put_some(p, bytes, &n));
        bytes = nd_str_from(bytes, n);
        if (bytes.len == 0)
            return NULL;
        p->waiting = nd_fiber_here();
        err = nd_fiber_park(NULL, ND_PARK_CTX);
        p->waiting = NULL;
        ND_TRY(err);
    }
}

void
nd_pipe_finish(struct nd_pipe *p, bool failed)
{
    pthread_mutex_lock(&p->lock);
    p->finished = true;
    p->failed = failed;
    wake_taker(p);
    pthread_mutex_unlock(&p->lock);
}

/* The lock is held. */
static void
tell_fiber(struct nd_pipe *p)
{
    if (!p->wants_room)
        return;
    p->wants_room = false;
    nd_loop_post(p->loop, &p->post);
}

/* The lock is held. */
static size_t
drain(struct nd_pipe *p, char *dst, size_t cap)
{
    size_t n = ND_MIN(cap, p->len);
    size_t to_end = ND_MIN(n, p->capacity - p->first);

    memcpy(dst, p->ring + p->first, to_end);
    memcpy(dst + to_end, p->ring, n - to_end);
    p->first = (p->first + n) % p->capacity;
    p->len -= n;
    return n;
}

ssize_t
nd_pipe_take(struct nd_pipe *p, void *dst, size_t cap)
{
    ssize_t n;

    pthread_mutex_lock(&p->lock);
    while (p->len == 0 && !p->finished) {
        note_waiting(p);
        pthread_cond_wait(&p->changed, &p->lock);
    }
    if (p->failed)
        n = -1;
    else
        n = (ssize_t)drain(p, dst, cap);
    tell_fiber(p);
    pthread_mutex_unlock(&p->lock);
    return n;
}

void
nd_pipe_stop(struct nd_pipe *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopped = true;
    tell_fiber(p);
    pthread_mutex_unlock(&p->lock);
}
