/*
 * The loop: libuv waits for descriptors, signals and threads; everything else is here. One turn:
 *
 *     sleep -> callbacks of libuv -> timers -> ready fibers -> some of what can wait -> deferred
 *     work -> sleep ...
 *
 * Fibers that callbacks, timers or other fibers make ready run in the same turn, so that one
 * wake-up carries all that it can and the deferred work (one coalesced write per connection) comes
 * after it. A fiber that comes after a turn has used up its allowance runs in the next turn, after
 * another look at the descriptors. While something can run, the look does not sleep; otherwise it
 * sleeps until the first timer, or for good: an idle loop costs nothing.
 *
 * What can wait is what takes long, piece by piece: fibers that yield, and streams whose bytes were
 * dear the last time (fd_stream.c), those of strangers among them. All of them together have a few
 * microseconds of each turn, in the order in which they came, so that however many there are,
 * whoever asks little is answered soon.
 *
 * With the virtual clock, time stands still while anything can run and then jumps to the first
 * timer. Jobs on threads hold it, unless they wait for the loop themselves; descriptors get a
 * millisecond of real time to report what is already on its way; other processes get none. When
 * nothing is left that could wake anybody, the loop says so and aborts instead of hanging a test.
 *
 * The watch over stalls reads the precise clock twice per turn, and the coarse one (3 ns) at every
 * change of fibers, which is enough to name the one that held a long turn.
 */

#include "fiber/loop.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"

#include "loop_priv.h"

#define TURN_FIBERS        1024                 /* resumed in one turn at most */
#define TURN_NS            (8 * ND_MILLISECOND) /* after which a turn ends, roughly */
#define VIRTUAL_START_NS   (1000 * ND_SECOND)
#define VIRTUAL_GRACE_MS   1 /* for descriptors, before time jumps */
#define STALL_LOG_EVERY_NS ND_SECOND
#define REPORT_BYTES       256

/* Each loop belongs to its thread; this is how functions find theirs. */
_Thread_local struct nd_loop *nd_loop_tls;

static int64_t
coarse_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    return ts.tv_sec * ND_SECOND + ts.tv_nsec;
}

struct nd_mono
nd_loop_now(void)
{
    const struct nd_loop *loop = nd_loop_here();

    return loop->virtual_clock ? (struct nd_mono){loop->virtual_ns} : nd_mono_now();
}

struct nd_mono
nd_loop_turn_time(void)
{
    const struct nd_loop *loop = nd_loop_here();

    return (struct nd_mono){loop->virtual_clock ? loop->virtual_ns : loop->turn_began_ns};
}

size_t
nd_loop_n_fibers(void)
{
    return nd_loop_here()->n_fibers;
}

/* --- stalls --- */

void
nd_loop_woke(struct nd_loop *loop)
{
    if (loop->turn_began_ns != 0)
        return;
    loop->turn_began_ns = nd_mono_now().ns;
    loop->coarse_ns = coarse_now_ns();
    loop->held_ns = 0;
    loop->held_id = 0;
    loop->held_doing = NULL;
}

/* Called between two holders of the loop: `f` (NULL: callbacks) had it until now. */
static void
note_hold(struct nd_loop *loop, uint64_t id, const char *doing)
{
    int64_t now_ns = coarse_now_ns();
    int64_t held_ns = now_ns - loop->coarse_ns;

    loop->coarse_ns = now_ns;
    if (held_ns <= loop->held_ns)
        return;
    loop->held_ns = held_ns;
    loop->held_id = id;
    loop->held_doing = doing;
}

static void
note_turn(struct nd_loop *loop)
{
    int64_t now_ns = nd_mono_now().ns;
    int64_t took_ns = now_ns - loop->turn_began_ns;

    if (loop->virtual_clock)
        return;
    loop->stall_ns = ND_MAX(loop->stall_ns, took_ns);
    if (took_ns < ND_FIBER_STALL_MS * ND_MILLISECOND)
        return;
    if (loop->stall_logged_ns != 0 && now_ns - loop->stall_logged_ns < STALL_LOG_EVERY_NS)
        return;
    loop->stall_logged_ns = now_ns;
    nd_warn("loop stalled", ND_KV("ms", took_ns / ND_MILLISECOND), ND_KV("holder", loop->held_id),
            ND_KV("holder_doing", loop->held_doing != NULL ? loop->held_doing : "callbacks"));
}

int64_t
nd_loop_take_stall_ns(void)
{
    struct nd_loop *loop = nd_loop_here();
    int64_t stall_ns = loop->stall_ns;

    loop->stall_ns = 0;
    return stall_ns;
}

/* --- deferred work --- */

static void
enqueue(struct nd_deferred_queue *queue, struct nd_deferred *d)
{
    if (d->queue != NULL)
        return;
    d->queue = queue;
    TAILQ_INSERT_TAIL(&queue->list, d, link);
    queue->n++;
}

void
nd_deferred_add(struct nd_deferred *d)
{
    enqueue(&nd_loop_here()->deferred, d);
}

void
nd_deferred_add_late(struct nd_deferred *d)
{
    enqueue(&nd_loop_here()->late, d);
}

void
nd_deferred_remove(struct nd_deferred *d)
{
    struct nd_deferred_queue *queue = d->queue;

    if (queue == NULL)
        return;
    TAILQ_REMOVE(&queue->list, d, link);
    d->queue = NULL;
    queue->n--;
}

/* False when there is none. */
static bool
run_first_deferred(struct nd_deferred_queue *queue)
{
    struct nd_deferred *d = TAILQ_FIRST(&queue->list);

    if (d == NULL)
        return false;
    nd_deferred_remove(d);
    d->fn(d->arg);
    return true;
}

/* What is added meanwhile waits for the next turn. */
static void
run_deferred(struct nd_loop *loop)
{
    for (size_t n = loop->deferred.n; n > 0 && run_first_deferred(&loop->deferred); n--)
        continue;
}

/* --- posts of other threads --- */

void
nd_loop_post(struct nd_loop *loop, struct nd_post *post)
{
    pthread_mutex_lock(&loop->posts_lock);
    if (!post->queued) {
        post->queued = true;
        post->next = NULL;
        if (loop->posts_head == NULL)
            loop->posts_head = post;
        else
            loop->posts_tail->next = post;
        loop->posts_tail = post;
        uv_async_send(&loop->wakeup);
    }
    pthread_mutex_unlock(&loop->posts_lock);
}

static struct nd_post *
take_post(struct nd_loop *loop)
{
    struct nd_post *post;

    pthread_mutex_lock(&loop->posts_lock);
    post = loop->posts_head;
    if (post != NULL) {
        loop->posts_head = post->next;
        post->queued = false;
    }
    pthread_mutex_unlock(&loop->posts_lock);
    return post;
}

void
nd_loop_unpost(struct nd_loop *loop, struct nd_post *post)
{
    struct nd_post *before = NULL;

    pthread_mutex_lock(&loop->posts_lock);
    if (post->queued) {
        for (struct nd_post *at = loop->posts_head; at != post; at = at->next)
            before = at;
        if (before == NULL)
            loop->posts_head = post->next;
        else
            before->next = post->next;
        if (loop->posts_tail == post)
            loop->posts_tail = before;
        post->queued = false;
    }
    pthread_mutex_unlock(&loop->posts_lock);
}

static void
on_wakeup(uv_async_t *wakeup)
{
    struct nd_loop *loop = wakeup->data;

    nd_loop_woke(loop);
    for (struct nd_post *post; (post = take_post(loop)) != NULL;)
        post->fn(post->arg);
}

/* --- turns --- */

static void
on_alarm(uv_timer_t *alarm)
{
    struct nd_loop *loop = alarm->data;

    nd_loop_woke(loop);
    loop->alarm_at_ns = INT64_MAX;
    /* uv_run() runs due timers before it looks, too: without this it would then sleep for good. */
    uv_stop(&loop->uv);
}

/* Set the alarm to the first timer, unless it already goes off no later. */
static void
set_alarm(struct nd_loop *loop)
{
    int64_t at_ns = nd_timers_next_ns(loop);
    int64_t in_ns;

    if (at_ns >= loop->alarm_at_ns)
        return;
    in_ns = ND_MAX(at_ns - nd_mono_now().ns, 0);
    uv_update_time(&loop->uv);
    uv_timer_start(&loop->alarm, on_alarm,
                   (uint64_t)(in_ns / ND_MILLISECOND + (in_ns % ND_MILLISECOND != 0)), 0);
    loop->alarm_at_ns = at_ns;
}

static bool
can_run(const struct nd_loop *loop)
{
    return !STAILQ_EMPTY(&loop->ready) || !STAILQ_EMPTY(&loop->yielded) ||
           !STAILQ_EMPTY(&loop->rested) || loop->late.n != 0 || loop->deferred.n != 0;
}

void
nd_loop_job_waits(struct nd_loop *loop, bool waits)
{
    if (!loop->virtual_clock)
        return;
    if (waits)
        loop->n_jobs_waiting++;
    else
        loop->n_jobs_waiting--;
    uv_async_send(&loop->wakeup);
}

static void
look_virtual(struct nd_loop *loop)
{
    int64_t next_ns = nd_timers_next_ns(loop);
    bool is_busy = loop->n_jobs > loop->n_jobs_waiting;

    if (next_ns <= loop->virtual_ns) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        return;
    }
    if (is_busy || (next_ns == INT64_MAX && loop->n_watches != 0)) {
        uv_run(&loop->uv, UV_RUN_ONCE);
        return;
    }
    if (loop->n_watches != 0) {
        uv_update_time(&loop->uv);
        uv_timer_start(&loop->alarm, on_alarm, VIRTUAL_GRACE_MS, 0);
        uv_run(&loop->uv, UV_RUN_ONCE);
        uv_timer_stop(&loop->alarm);
    } else {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    if (can_run(loop))
        return;
    next_ns = nd_timers_next_ns(loop);
    /* Else every fiber waits and nothing is left that could wake one. */
    ND_INVARIANT(next_ns != INT64_MAX || loop->n_watches != 0);
    if (next_ns != INT64_MAX)
        loop->virtual_ns = ND_MAX(loop->virtual_ns, next_ns);
}

/* Look at the descriptors, asleep or not, and run the callbacks of what happened. */
static void
look(struct nd_loop *loop)
{
    loop->turn_began_ns = 0;
    if (can_run(loop)) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    } else if (loop->virtual_clock) {
        look_virtual(loop);
    } else {
        set_alarm(loop);
        uv_run(&loop->uv, UV_RUN_ONCE);
    }
    nd_loop_woke(loop);
}

/* Those that yielded in the last turn. */
static void /* NOLINTNEXTLINE(readability-function-size): the blocks of the queue's macro */
take_yielded(struct nd_loop *loop)
{
    STAILQ_CONCAT(&loop->rested, &loop->yielded);
}

static void
run_first(struct nd_loop *loop, struct nd_fiber_queue *queue)
{
    struct nd_fiber *f = STAILQ_FIRST(queue);
    uint64_t id = f->id;
    const char *doing;

    STAILQ_REMOVE_HEAD(queue, ready);
    doing = nd_fiber_enter(loop, f);
    note_hold(loop, id, doing);
}

static void
run_fibers(struct nd_loop *loop)
{
    int64_t until_ns = coarse_now_ns() + TURN_NS;

    for (unsigned n = 0; n < TURN_FIBERS && !STAILQ_EMPTY(&loop->ready); n++) {
        run_first(loop, &loop->ready);
        if (loop->coarse_ns > until_ns)
            break;
    }
}

static bool
run_late_stream(struct nd_loop *loop)
{
    return run_first_deferred(&loop->late);
}

static bool
run_rested(struct nd_loop *loop)
{
    if (STAILQ_EMPTY(&loop->rested))
        return false;
    run_first(loop, &loop->rested);
    return true;
}

/*
 * At least one of them, and what it makes ready. With the virtual clock all, so that real time
 * changes nothing.
 */
static void
run_some(struct nd_loop *loop, bool (*run_one)(struct nd_loop *loop), int64_t until_ns)
{
    while (run_one(loop)) {
        run_fibers(loop);
        if (!loop->virtual_clock && nd_mono_now().ns >= until_ns)
            break;
    }
}

static void
run_late(struct nd_loop *loop)
{
    int64_t until_ns;

    if (STAILQ_EMPTY(&loop->rested) && loop->late.n == 0)
        return;
    until_ns = nd_mono_now().ns + ND_LOOP_LATE_NS;
    run_some(loop, run_late_stream, until_ns);
    run_some(loop, run_rested, until_ns);
}

static void
turn(struct nd_loop *loop)
{
    take_yielded(loop);
    nd_timers_run(loop);
    note_hold(loop, 0, NULL);
    run_fibers(loop);
    run_late(loop);
    run_deferred(loop);
    note_hold(loop, 0, NULL);
    note_turn(loop);
}

/* --- what the other rooms are told about the fiber --- */

static void
add_log_context(struct nd_buf *buf)
{
    const struct nd_fiber *f = nd_loop_tls != NULL ? nd_loop_tls->current : NULL;

    if (f == NULL)
        return;
    nd_buf_printf(buf, ",\"fiber\":%llu", (unsigned long long)f->id);
    if (f->doing == NULL)
        return;
    nd_buf_putz(buf, ",\"doing\":");
    nd_json_quote(buf, nd_str(f->doing));
}

static void
report_fiber(void)
{
    const struct nd_fiber *f = nd_loop_tls != NULL ? nd_loop_tls->current : NULL;
    char line[REPORT_BYTES];
    int n;

    if (nd_loop_tls == NULL)
        return;
    if (f == NULL)
        n = snprintf(line, sizeof(line), "in the loop, %zu fibers alive\n", nd_loop_tls->n_fibers);
    else
        n = snprintf(line, sizeof(line), "in fiber %llu of group %s, doing: %s%s\n",
                     (unsigned long long)f->id, f->group != NULL ? f->group->name : "(first)",
                     f->doing != NULL ? f->doing : "(not said)", f->cancelled ? ", cancelled" : "");
    if (n > 0 && write(STDERR_FILENO, line, ND_MIN((size_t)n, sizeof(line) - 1)) < 0)
        return; /* nobody is left to tell */
}

/* --- life --- */

char *
nd_loop_read_buf(struct nd_loop *loop)
{
    if (loop->read_buf == NULL)
        loop->read_buf = nd_new_array(ND_STREAM_READ_BYTES, char);
    return loop->read_buf;
}

static struct nd_error *
open_loop(struct nd_loop *loop)
{
    int rc = uv_loop_init(&loop->uv);

    if (rc < 0)
        return nd_error_errno(-rc, "make a loop");
    rc = uv_async_init(&loop->uv, &loop->wakeup, on_wakeup);
    if (rc < 0) {
        uv_loop_close(&loop->uv);
        return nd_error_errno(-rc, "make a loop");
    }
    uv_timer_init(&loop->uv, &loop->alarm);
    loop->wakeup.data = loop->alarm.data = loop;
    pthread_mutex_init(&loop->posts_lock, NULL);
    TAILQ_INIT(&loop->deferred.list);
    TAILQ_INIT(&loop->late.list);
    STAILQ_INIT(&loop->ready);
    STAILQ_INIT(&loop->yielded);
    STAILQ_INIT(&loop->rested);
    STAILQ_INIT(&loop->pool);
    LIST_INIT(&loop->dying);
    loop->alarm_at_ns = INT64_MAX;
    loop->virtual_ns = VIRTUAL_START_NS;
    return NULL;
}

/* A descriptor that its owner forgot: the owner's memory is lost, the loop is not. */
static void
close_forgotten(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (uv_is_closing(handle))
        return;
    nd_warn("stream or signal left open at the end of the loop",
            ND_KV("kind", uv_handle_type_name(handle->type)));
    uv_close(handle, NULL);
}

static void
close_loop(struct nd_loop *loop)
{
    ND_INVARIANT(loop->n_fibers == 0);
    while (run_first_deferred(&loop->late) || run_first_deferred(&loop->deferred))
        continue;
    nd_work_stop(loop);
    nd_process_reap_dying(loop);
    uv_close((uv_handle_t *)&loop->wakeup, NULL);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    uv_walk(&loop->uv, close_forgotten, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    ND_INVARIANT(uv_loop_close(&loop->uv) == 0);
    nd_fiber_drop_pool(loop);
    pthread_mutex_destroy(&loop->posts_lock);
    nd_free(loop->heap);
    nd_free(loop->read_buf);
}

/* Once per process would do; each loop doing it again changes nothing. */
static void
prepare_process(void)
{
    signal(SIGPIPE, SIG_IGN);
    nd_log_set_context(add_log_context);
    nd_invariant_reporter(report_fiber);
}

struct nd_error *
nd_loop_run(nd_fiber_fn *fn, void *arg, const struct nd_loop_options *options)
{
    ND_AUTO(nd_freep) struct nd_loop *loop = nd_new(struct nd_loop);
    struct nd_fiber *first;
    struct nd_error *err;

    ND_INVARIANT(nd_loop_tls == NULL);
    prepare_process();
    ND_TRY(open_loop(loop));
    loop->virtual_clock = options != NULL && options->virtual_clock;
    nd_loop_tls = loop;
    err = nd_fiber_new(loop, fn, arg, &first);
    nd_loop_woke(loop);
    while (err == NULL && !loop->main_ended) {
        turn(loop);
        if (!loop->main_ended)
            look(loop);
    }
    close_loop(loop);
    nd_loop_tls = NULL;
    return err != NULL ? err : loop->main_result;
}
