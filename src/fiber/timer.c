/*
 * Timers of a loop: a binary heap ordered by time, then by the order of arming. The timers are
 * their owners' memory; the heap holds pointers and each timer knows its place, so that moving and
 * disarming cost O(log n) and allocate nothing.
 *
 * The heap feeds one timer of libuv (loop.c), or the virtual clock, which jumps to its first entry.
 */

#include "base/alloc.h"

#include "loop_priv.h"

#define HEAP_FIRST_CAP 64

static bool
is_before(const struct nd_timer *a, const struct nd_timer *b)
{
    return a->at.ns != b->at.ns ? a->at.ns < b->at.ns : a->seq < b->seq;
}

static void
put(struct nd_loop *loop, size_t pos, struct nd_timer *t)
{
    loop->heap[pos] = t;
    t->heap_pos = pos;
}

static void
sift_up(struct nd_loop *loop, size_t pos, struct nd_timer *t)
{
    for (; pos > 1 && is_before(t, loop->heap[pos / 2]); pos /= 2)
        put(loop, pos, loop->heap[pos / 2]);
    put(loop, pos, t);
}

static void
sift_down(struct nd_loop *loop, size_t pos, struct nd_timer *t)
{
    for (size_t child; (child = 2 * pos) <= loop->n_timers; pos = child) {
        if (child < loop->n_timers && is_before(loop->heap[child + 1], loop->heap[child]))
            child++;
        if (!is_before(loop->heap[child], t))
            break;
        put(loop, pos, loop->heap[child]);
    }
    put(loop, pos, t);
}

void
nd_timer_arm(struct nd_timer *t, struct nd_mono at)
{
    struct nd_loop *loop = nd_loop_here();

    nd_timer_disarm(t);
    if (loop->n_timers + 1 >= loop->heap_cap) {
        loop->heap_cap = loop->heap_cap != 0 ? 2 * loop->heap_cap : HEAP_FIRST_CAP;
        loop->heap = nd_realloc(loop->heap, loop->heap_cap, sizeof(struct nd_timer *));
    }
    t->at = at;
    t->seq = loop->timer_seq++;
    loop->n_timers++;
    sift_up(loop, loop->n_timers, t);
}

void
nd_timer_disarm(struct nd_timer *t)
{
    struct nd_loop *loop;
    struct nd_timer *last;
    size_t pos = t->heap_pos;

    if (pos == 0)
        return;
    loop = nd_loop_here();
    ND_INVARIANT(pos <= loop->n_timers && loop->heap[pos] == t);
    last = loop->heap[loop->n_timers--];
    t->heap_pos = 0;
    if (last == t)
        return;
    if (pos > 1 && is_before(last, loop->heap[pos / 2]))
        sift_up(loop, pos, last);
    else
        sift_down(loop, pos, last);
}

int64_t
nd_timers_next_ns(const struct nd_loop *loop)
{
    return loop->n_timers != 0 ? loop->heap[1]->at.ns : INT64_MAX;
}

void
nd_timers_run(struct nd_loop *loop)
{
    int64_t now_ns;

    if (loop->n_timers == 0)
        return;
    /* A callback may arm one that is due at once: that one waits for the next turn. */
    now_ns = nd_loop_now().ns;
    for (uint64_t seq = loop->timer_seq; nd_timers_next_ns(loop) <= now_ns;) {
        struct nd_timer *t = loop->heap[1];

        if (t->seq >= seq)
            break;
        nd_timer_disarm(t);
        t->fn(t->arg);
    }
}
