/* Work on threads, and the pipe between a fiber and a thread. */

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fiber/group.h"
#include "fiber/limits.h"
#include "fiber/work.h"

#include "in_loop.h"

static void
note_thread(void *arg)
{
    *(pthread_t *)arg = pthread_self();
}

IN_LOOP(work_runs_on_another_thread_and_is_waited_for)
{
    pthread_t at = pthread_self();

    ND_TRY(nd_work(ND_WORK_SHORT, note_thread, &at));
    assert_false(pthread_equal(at, pthread_self()));
    at = pthread_self();
    ND_TRY(nd_work(ND_WORK_BULK, note_thread, &at));
    assert_false(pthread_equal(at, pthread_self()));
    return NULL;
}

/* A job that blocks until a byte comes through a pipe. */
struct gate {
    int fds[2];
    enum nd_work_kind kind;
    bool entered; /* by a job; read on the loop after it has ended */
    enum nd_code code;
    bool returned;
};

static void
pass_gate(void *arg)
{
    struct gate *g = arg;
    char byte;

    g->entered = true;
    assert_int_equal(read(g->fds[0], &byte, 1), 1);
}

static void
open_gate(const struct gate *g)
{
    assert_int_equal(write(g->fds[1], "x", 1), 1);
}

static struct gate
new_gate(enum nd_work_kind kind)
{
    struct gate g = {.kind = kind};

    assert_int_equal(pipe(g.fds), 0);
    return g;
}

static void
close_gate(const struct gate *g)
{
    close(g->fds[0]);
    close(g->fds[1]);
}

static struct nd_error *
work_at_gate(void *arg)
{
    struct gate *g = arg;
    struct nd_error *err = nd_work(g->kind, pass_gate, g);

    g->code = nd_error_code(err);
    g->returned = true;
    nd_error_free(err);
    return NULL;
}

IN_REAL_LOOP(bulk_work_does_not_hold_up_short_work)
{
    struct gate gates[ND_WORK_BULK_THREADS + 3];
    pthread_t at;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    for (size_t i = 0; i < ND_LEN(gates); i++) {
        gates[i] = new_gate(ND_WORK_BULK);
        ND_TRY(nd_group_spawn(g, work_at_gate, &gates[i]));
    }
    ND_TRY(nd_fiber_yield());
    ND_TRY(nd_work(ND_WORK_SHORT, note_thread, &at));
    for (size_t i = 0; i < ND_LEN(gates); i++) {
        assert_false(gates[i].returned);
        open_gate(&gates[i]);
    }
    ND_TRY(nd_group_wait(g));
    for (size_t i = 0; i < ND_LEN(gates); i++) {
        assert_int_equal(gates[i].code, ND_OK);
        close_gate(&gates[i]);
    }
    return NULL;
}

IN_REAL_LOOP(a_job_that_runs_is_joined_and_one_that_waits_is_withdrawn)
{
    struct gate running[ND_WORK_SHORT_THREADS], waiting = new_gate(ND_WORK_SHORT);
    struct gate late = new_gate(ND_WORK_SHORT);
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    for (size_t i = 0; i < ND_LEN(running); i++) {
        running[i] = new_gate(ND_WORK_SHORT);
        ND_TRY(nd_group_spawn(g, work_at_gate, &running[i]));
    }
    ND_TRY(nd_group_spawn(g, work_at_gate, &waiting));
    /* Until all threads are in a job. */
    for (size_t i = 0; i < ND_LEN(running); i++) {
        while (!__atomic_load_n(&running[i].entered, __ATOMIC_SEQ_CST))
            ND_TRY(nd_fiber_yield());
    }
    nd_group_cancel(g);
    ND_TRY(nd_group_spawn(g, work_at_gate, &late));
    while (!waiting.returned || !late.returned)
        ND_TRY(nd_fiber_yield());
    assert_int_equal(waiting.code, ND_CANCELLED);
    assert_false(waiting.entered);
    assert_int_equal(late.code, ND_CANCELLED);
    assert_false(late.entered);
    for (size_t i = 0; i < ND_LEN(running); i++) {
        assert_false(running[i].returned);
        open_gate(&running[i]);
    }
    ND_TRY(nd_group_wait(g));
    for (size_t i = 0; i < ND_LEN(running); i++) {
        assert_int_equal(running[i].code, ND_OK);
        close_gate(&running[i]);
    }
    close_gate(&waiting);
    close_gate(&late);
    return NULL;
}

IN_REAL_LOOP(a_job_that_waits_ends_with_the_deadline)
{
    struct gate running[ND_WORK_BULK_THREADS];
    pthread_t at;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    for (size_t i = 0; i < ND_LEN(running); i++) {
        running[i] = new_gate(ND_WORK_BULK);
        ND_TRY(nd_group_spawn(g, work_at_gate, &running[i]));
    }
    ND_TRY(nd_fiber_yield());
    {
        ND_DEADLINE_IN(5 * ND_MILLISECOND);
        expect_code(nd_work(ND_WORK_BULK, note_thread, &at), ND_DEADLINE);
        expect_code(nd_work(ND_WORK_BULK, note_thread, &at), ND_DEADLINE);
    }
    for (size_t i = 0; i < ND_LEN(running); i++)
        open_gate(&running[i]);
    ND_TRY(nd_group_wait(g));
    for (size_t i = 0; i < ND_LEN(running); i++)
        close_gate(&running[i]);
    return NULL;
}

static struct nd_error *
note_many_threads(void *arg)
{
    for (int i = 0; i < 200; i++)
        ND_TRY(nd_work(ND_WORK_SHORT, note_thread, arg));
    return NULL;
}

IN_LOOP(many_jobs_of_many_fibers_all_return)
{
    static pthread_t threads[50];
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    for (size_t i = 0; i < ND_LEN(threads); i++)
        ND_TRY(nd_group_spawn(g, note_many_threads, &threads[i]));
    return nd_group_wait(g);
}

/* --- the pipe --- */

struct consumer {
    struct nd_pipe *pipe;
    size_t cap;        /* of one take */
    size_t stop_after; /* bytes; 0: never */
    size_t taken;
    bool in_order;
    ssize_t last;
};

static char
pattern(size_t i)
{
    return (char)(i * 31 + i / 255);
}

static void
consume(void *arg)
{
    struct consumer *c = arg;
    char buf[4096];

    c->in_order = true;
    while ((c->last = nd_pipe_take(c->pipe, buf, c->cap)) > 0) {
        for (ssize_t i = 0; i < c->last; i++)
            c->in_order = c->in_order && buf[i] == pattern(c->taken + (size_t)i);
        c->taken += (size_t)c->last;
        if (c->stop_after != 0 && c->taken >= c->stop_after)
            break;
    }
    nd_pipe_stop(c->pipe);
}

static struct nd_error *
run_consumer(void *arg)
{
    return nd_work(ND_WORK_BULK, consume, arg);
}

static struct nd_error *
put_pattern(struct nd_pipe *pipe, size_t total, size_t piece)
{
    char buf[10000];

    for (size_t done = 0, n; done < total; done += n) {
        n = ND_MIN(piece, total - done);
        for (size_t i = 0; i < n; i++)
            buf[i] = pattern(done + i);
        ND_TRY(nd_pipe_put(pipe, nd_str_n(buf, n)));
    }
    return NULL;
}

IN_LOOP(a_pipe_carries_all_bytes_in_order)
{
    static const struct {
        size_t capacity, piece, cap, total;
    } cases[] = {
        {1, 10, 10, 500},
        {100, 10000, 7, 100000},
        {100000, 10000, 4096, 3000000},
        {64, 1, 4096, 10000},
    };

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(nd_pipe_freep) struct nd_pipe *p = nd_pipe_new(cases[i].capacity);
        struct consumer c = {.pipe = p, .cap = cases[i].cap};
        ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

        ND_TRY(nd_group_spawn(g, run_consumer, &c));
        ND_TRY(put_pattern(p, cases[i].total, cases[i].piece));
        nd_pipe_finish(p, false);
        ND_TRY(nd_group_wait(g));
        assert_int_equal(c.taken, cases[i].total);
        assert_true(c.in_order);
        assert_int_equal(c.last, 0);
    }
    return NULL;
}

IN_LOOP(time_goes_on_while_the_taker_waits_for_bytes)
{
    ND_AUTO(nd_pipe_freep) struct nd_pipe *p = nd_pipe_new(100);
    struct consumer c = {.pipe = p, .cap = 50};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_group_spawn(g, run_consumer, &c));
    for (int i = 0; i < 3; i++) {
        ND_TRY(nd_fiber_sleep(ND_HOUR));
        ND_TRY(nd_pipe_put(p, nd_str_n("", 1)));
    }
    nd_pipe_finish(p, false);
    ND_TRY(nd_group_wait(g));
    assert_int_equal(c.taken, 3);
    return NULL;
}

IN_LOOP(a_failed_finish_reaches_the_taker)
{
    ND_AUTO(nd_pipe_freep) struct nd_pipe *p = nd_pipe_new(1000);
    struct consumer c = {.pipe = p, .cap = 10};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_group_spawn(g, run_consumer, &c));
    ND_TRY(put_pattern(p, 500, 100));
    nd_pipe_finish(p, true);
    ND_TRY(nd_group_wait(g));
    assert_int_equal(c.last, -1);
    return NULL;
}

IN_LOOP(a_taker_that_stops_ends_the_putting)
{
    ND_AUTO(nd_pipe_freep) struct nd_pipe *p = nd_pipe_new(100);
    struct consumer c = {.pipe = p, .cap = 50, .stop_after = 200};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_group_spawn(g, run_consumer, &c));
    expect_code(put_pattern(p, 100000, 10000), ND_ABORTED);
    expect_code(nd_pipe_put(p, ND_STR("x")), ND_ABORTED);
    nd_pipe_finish(p, true);
    return nd_group_wait(g);
}

static struct nd_error *
put_too_much(void *arg)
{
    return put_pattern(arg, 1000, 1000);
}

IN_LOOP(putting_ends_with_cancelling_and_deadline)
{
    ND_AUTO(nd_pipe_freep) struct nd_pipe *p = nd_pipe_new(100);
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_group_spawn(g, put_too_much, p));
    ND_TRY(nd_fiber_yield());
    nd_group_cancel(g);
    ND_TRY(nd_group_wait(g));
    ND_DEADLINE_IN(ND_SECOND);
    expect_code(nd_pipe_put(p, ND_STR("x")), ND_DEADLINE);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_runs_on_another_thread_and_is_waited_for),
        cmocka_unit_test(bulk_work_does_not_hold_up_short_work),
        cmocka_unit_test(a_job_that_runs_is_joined_and_one_that_waits_is_withdrawn),
        cmocka_unit_test(a_job_that_waits_ends_with_the_deadline),
        cmocka_unit_test(many_jobs_of_many_fibers_all_return),
        cmocka_unit_test(a_pipe_carries_all_bytes_in_order),
        cmocka_unit_test(time_goes_on_while_the_taker_waits_for_bytes),
        cmocka_unit_test(a_failed_finish_reaches_the_taker),
        cmocka_unit_test(a_taker_that_stops_ends_the_putting),
        cmocka_unit_test(putting_ends_with_cancelling_and_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
