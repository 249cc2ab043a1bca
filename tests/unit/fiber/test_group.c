/* Groups: failures, width, cancelling down the tree, the end that waits. */

#include "base/buf.h"
#include "base/log.h"
#include "fiber/group.h"
#include "fiber/sync.h"

#include "in_loop.h"

struct counts {
    int running, peak, ended, cancelled;
};

static struct nd_error *
run_a_second(void *arg)
{
    struct counts *c = arg;
    struct nd_error *err;

    c->running++;
    c->peak = ND_MAX(c->peak, c->running);
    err = nd_fiber_sleep(ND_SECOND);
    c->running--;
    c->ended++;
    if (nd_error_code(err) == ND_CANCELLED)
        c->cancelled++;
    return err;
}

static struct nd_error *
fail_with_data_loss(void *arg ND_UNUSED)
{
    return nd_error_new(ND_DATA_LOSS, "lost");
}

static struct nd_error *
fail_after_cleanup(void *arg ND_UNUSED)
{
    nd_error_free(nd_fiber_sleep(ND_HOUR));
    return nd_error_new(ND_INTERNAL, "another failure, later");
}

IN_LOOP(the_first_failure_cancels_the_rest_and_is_returned)
{
    struct counts c = {0};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_group_spawn(g, run_a_second, &c));
    ND_TRY(nd_group_spawn(g, fail_after_cleanup, NULL));
    ND_TRY(nd_group_spawn(g, fail_with_data_loss, NULL));
    expect_code(nd_group_wait(g), ND_DATA_LOSS);
    assert_int_equal(c.cancelled, 1);
    assert_int_equal(nd_group_count(g), 0);
    expect_code(nd_group_spawn(g, run_a_second, &c), ND_DATA_LOSS);
    expect_code(nd_group_wait(g), ND_DATA_LOSS);
    return NULL;
}

static void
keep_line(void *arg, enum nd_log_level level ND_UNUSED, struct nd_str line)
{
    nd_buf_put(arg, line);
}

IN_LOOP(in_an_independent_group_failures_are_logged_and_stop_nobody)
{
    struct counts c = {0};
    struct nd_buf log = ND_BUF_INIT(4096);
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin_independent("servers", 0);

    nd_log_set_sink(keep_line, &log);
    ND_TRY(nd_group_spawn(g, fail_with_data_loss, NULL));
    ND_TRY(nd_group_spawn(g, run_a_second, &c));
    ND_TRY(nd_group_wait(g));
    assert_int_equal(c.ended, 1);
    assert_int_equal(c.cancelled, 0);
    assert_true(nd_str_search(nd_buf_str(&log), ND_STR("servers")) != SIZE_MAX);
    nd_buf_clear(&log);
    ND_TRY(nd_group_spawn(g, run_a_second, &c));
    nd_group_cancel(g);
    ND_TRY(nd_group_wait(g));
    nd_log_set_sink(NULL, NULL);
    assert_int_equal(c.cancelled, 1);
    assert_int_equal(log.len, 0);
    nd_buf_fini(&log);
    return NULL;
}

IN_LOOP(no_more_than_width_fibers_run_at_once)
{
    struct counts c = {0};
    int64_t began_ns = nd_loop_now().ns;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 3);

    for (int i = 0; i < 10; i++)
        ND_TRY(nd_group_spawn(g, run_a_second, &c));
    ND_TRY(nd_group_wait(g));
    assert_int_equal(c.peak, 3);
    assert_int_equal(c.ended, 10);
    assert_true(nd_loop_now().ns - began_ns == 4 * ND_SECOND);
    return NULL;
}

IN_LOOP(spawn_now_refuses_when_the_group_is_full)
{
    struct counts c = {0};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 1);

    ND_TRY(nd_group_spawn_now(g, run_a_second, &c));
    expect_code(nd_group_spawn_now(g, run_a_second, &c), ND_EXHAUSTED);
    ND_TRY(nd_group_wait(g));
    ND_TRY(nd_group_spawn_now(g, run_a_second, &c));
    return nd_group_wait(g);
}

IN_LOOP(a_spawn_that_waits_ends_with_the_deadline)
{
    struct counts c = {0};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 1);

    ND_TRY(nd_group_spawn(g, run_a_second, &c));
    {
        ND_DEADLINE_IN(ND_MILLISECOND);
        expect_code(nd_group_spawn(g, run_a_second, &c), ND_DEADLINE);
    }
    ND_TRY(nd_group_wait(g));
    assert_int_equal(c.ended, 1);
    return NULL;
}

IN_LOOP(a_spawn_that_waits_learns_of_the_first_failure)
{
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 1);

    ND_TRY(nd_group_spawn(g, fail_with_data_loss, NULL));
    expect_code(nd_group_spawn(g, fail_with_data_loss, NULL), ND_DATA_LOSS);
    return NULL;
}

IN_LOOP(when_the_deadline_of_the_waiting_one_ends_the_fibers_are_cancelled)
{
    struct counts c = {0};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_group_spawn(g, run_a_second, &c));
    {
        ND_DEADLINE_IN(ND_MILLISECOND);
        expect_code(nd_group_wait(g), ND_DEADLINE);
    }
    assert_int_equal(c.ended, 1);
    assert_int_equal(c.cancelled, 1);
    return NULL;
}

/* Two levels below the test's group. */
struct tree {
    struct counts counts;
    bool wait; /* else the scope's end has to do it */
    enum nd_code code;
};

static struct nd_error *
parent(void *arg)
{
    struct tree *t = arg;
    struct nd_error *err = NULL;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("inner", 0);

    ND_TRY(nd_group_spawn(g, run_a_second, &t->counts));
    ND_TRY(nd_group_spawn(g, run_a_second, &t->counts));
    if (t->wait)
        err = nd_group_wait(g);
    else
        err = nd_fiber_sleep(ND_HOUR);
    t->code = nd_error_code(err);
    return err;
}

IN_LOOP(cancelling_reaches_the_fibers_of_fibers)
{
    struct tree waits = {.wait = true}, sleeps = {.wait = false};
    int64_t began_ns = nd_loop_now().ns;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("outer", 0);

    ND_TRY(nd_group_spawn(g, parent, &waits));
    ND_TRY(nd_group_spawn(g, parent, &sleeps));
    ND_TRY(nd_fiber_sleep(ND_MILLISECOND));
    nd_group_cancel(g);
    ND_TRY(nd_group_wait(g));
    assert_int_equal(waits.counts.cancelled, 2);
    assert_int_equal(sleeps.counts.cancelled, 2);
    assert_int_equal(waits.code, ND_CANCELLED);
    assert_int_equal(sleeps.code, ND_CANCELLED);
    assert_true(nd_loop_now().ns - began_ns == ND_MILLISECOND);
    return NULL;
}

IN_LOOP(what_is_spawned_after_cancelling_is_cancelled_from_the_start)
{
    struct counts c = {0};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    nd_group_cancel(g);
    ND_TRY(nd_group_spawn(g, run_a_second, &c));
    ND_TRY(nd_group_wait(g));
    assert_int_equal(c.cancelled, 1);
    return NULL;
}

static struct nd_error *
clean_up_slowly(void *arg)
{
    bool *done = arg;

    nd_error_free(nd_fiber_sleep(ND_HOUR));
    {
        ND_SHIELDED(ND_MINUTE);
        expect_ok(nd_fiber_sleep(ND_SECOND));
    }
    *done = true;
    return NULL;
}

static struct nd_error *
leave_a_slow_child(void *arg)
{
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("inner", 0);

    ND_TRY(nd_group_spawn(g, clean_up_slowly, arg));
    return nd_fiber_sleep(ND_HOUR);
}

IN_LOOP(the_end_of_a_group_waits_although_its_owner_is_cancelled)
{
    bool done = false;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("outer", 0);

    ND_TRY(nd_group_spawn(g, leave_a_slow_child, &done));
    ND_TRY(nd_fiber_sleep(ND_MILLISECOND));
    nd_group_end(ND_TAKE(g));
    assert_true(done);
    return NULL;
}

IN_LOOP(one_fiber_can_be_cancelled_alone)
{
    struct counts c = {0};
    struct nd_fiber *f;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_group_spawn(g, run_a_second, &c));
    ND_TRY(nd_group_spawn_handle(g, run_a_second, &c, &f));
    nd_fiber_cancel(f);
    ND_TRY(nd_group_wait(g));
    assert_int_equal(c.ended, 2);
    assert_int_equal(c.cancelled, 1);
    return NULL;
}

/* A fiber that starts its sibling: the group must outlive it. */
struct sibling {
    struct nd_group *group;
    struct counts counts;
};

static struct nd_error *
start_sibling(void *arg)
{
    struct sibling *s = arg;

    return nd_group_spawn(s->group, run_a_second, &s->counts);
}

IN_LOOP(a_fiber_may_spawn_into_its_own_group)
{
    struct sibling s = {0};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    s.group = g;
    ND_TRY(nd_group_spawn(g, start_sibling, &s));
    ND_TRY(nd_group_wait(g));
    assert_int_equal(s.counts.ended, 1);
    return NULL;
}

IN_LOOP(a_group_ends_while_a_member_waits_to_spawn)
{
    struct sibling s = {0};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 1);

    s.group = g;
    ND_TRY(nd_group_spawn(g, start_sibling, &s));
    ND_TRY(nd_fiber_yield());
    nd_group_end(ND_TAKE(g));
    assert_int_equal(s.counts.ended, 0);
    return NULL;
}

static void
spawn_from_loop(void *arg)
{
    struct sibling *s = arg;

    expect_ok(nd_group_spawn_now(s->group, run_a_second, &s->counts));
}

IN_LOOP(callbacks_of_the_loop_may_spawn)
{
    struct sibling s = {0};
    struct nd_timer t = {.fn = spawn_from_loop, .arg = &s};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    s.group = g;
    nd_timer_arm(&t, (struct nd_mono){nd_loop_now().ns + ND_SECOND});
    ND_TRY(nd_fiber_sleep(10 * ND_SECOND));
    assert_int_equal(s.counts.ended, 1);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_failure_cancels_the_rest_and_is_returned),
        cmocka_unit_test(in_an_independent_group_failures_are_logged_and_stop_nobody),
        cmocka_unit_test(no_more_than_width_fibers_run_at_once),
        cmocka_unit_test(spawn_now_refuses_when_the_group_is_full),
        cmocka_unit_test(a_spawn_that_waits_ends_with_the_deadline),
        cmocka_unit_test(a_spawn_that_waits_learns_of_the_first_failure),
        cmocka_unit_test(when_the_deadline_of_the_waiting_one_ends_the_fibers_are_cancelled),
        cmocka_unit_test(cancelling_reaches_the_fibers_of_fibers),
        cmocka_unit_test(what_is_spawned_after_cancelling_is_cancelled_from_the_start),
        cmocka_unit_test(the_end_of_a_group_waits_although_its_owner_is_cancelled),
        cmocka_unit_test(one_fiber_can_be_cancelled_alone),
        cmocka_unit_test(a_fiber_may_spawn_into_its_own_group),
        cmocka_unit_test(a_group_ends_while_a_member_waits_to_spawn),
        cmocka_unit_test(callbacks_of_the_loop_may_spawn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
