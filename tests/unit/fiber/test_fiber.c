/* Fibers and their context: order, time, cancelling, deadlines, shields, what is inherited. */

#include "base/buf.h"
#include "base/defs.h"
#include "base/log.h"
#include "fiber/group.h"
#include "fiber/limits.h"
#include "fiber/sync.h"

#include "in_loop.h"

/* What the fibers of a test did, in order. */
struct trace {
    int steps[64];
    size_t n;
};

static void
note(struct trace *t, int step)
{
    assert_true(t->n < ND_LEN(t->steps));
    t->steps[t->n++] = step;
}

static void
expect_trace(const struct trace *t, const int *steps, size_t n)
{
    assert_int_equal(t->n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(t->steps[i], steps[i]);
}
#define EXPECT_TRACE(t, ...)                       \
    do {                                           \
        const int steps_[] = {__VA_ARGS__};        \
        expect_trace((t), steps_, ND_LEN(steps_)); \
    } while (0)

struct step {
    struct trace *trace;
    int number;
    int64_t sleep_ns;
};

static struct nd_error *
sleep_and_note(void *arg)
{
    const struct step *s = arg;

    ND_TRY(nd_fiber_sleep(s->sleep_ns));
    note(s->trace, s->number);
    return NULL;
}

static struct nd_error *
return_an_error(void *arg ND_UNUSED)
{
    return nd_error_new(ND_DATA_LOSS, "lost");
}

static void
the_loop_returns_the_error_of_its_first_fiber(void **state)
{
    (void)state;
    expect_code(nd_loop_run(return_an_error, NULL, NULL), ND_DATA_LOSS);
    assert_false(nd_fiber_is_current());
    assert_int_equal(nd_fiber_id(), 0);
    expect_ok(nd_ctx_check());
}

IN_LOOP(sleepers_wake_in_the_order_of_their_times)
{
    struct trace t = {{0}, 0};
    struct step steps[] = {{&t, 1, 30}, {&t, 2, 10}, {&t, 3, 20}, {&t, 4, 10}};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("sleepers", 0);
    int64_t began_ns = nd_loop_now().ns;

    for (size_t i = 0; i < ND_LEN(steps); i++) {
        steps[i].sleep_ns *= ND_HOUR;
        ND_TRY(nd_group_spawn(g, sleep_and_note, &steps[i]));
    }
    ND_TRY(nd_group_wait(g));
    EXPECT_TRACE(&t, 2, 4, 3, 1);
    assert_true(nd_loop_now().ns - began_ns == 30 * ND_HOUR);
    return NULL;
}

static void
note_timer(void *arg)
{
    const struct step *s = arg;

    note(s->trace, s->number);
}

IN_LOOP(timers_fire_in_order_and_can_be_moved_and_disarmed)
{
    enum { N = 200 };
    struct trace t = {{0}, 0};
    static struct step steps[N];
    static struct nd_timer timers[N];
    int64_t base_ns = nd_loop_now().ns;

    for (int i = 0; i < N; i++) {
        steps[i] = (struct step){&t, i, 0};
        timers[i] = (struct nd_timer){.fn = note_timer, .arg = &steps[i]};
        /* A permutation: 83 and 200 have no common divisor. */
        nd_timer_arm(&timers[i], (struct nd_mono){base_ns + (i * 83 % N + 1) * ND_SECOND});
    }
    for (int i = 0; i < N; i++) {
        if (i * 83 % N >= 50)
            nd_timer_disarm(&timers[i]);
    }
    nd_timer_arm(&timers[0], (struct nd_mono){base_ns + 60 * ND_SECOND});
    ND_TRY(nd_fiber_sleep(N * ND_SECOND));
    assert_int_equal(t.n, 50);
    for (size_t i = 0; i + 2 < t.n; i++)
        assert_true(t.steps[i] * 83 % N < t.steps[i + 1] * 83 % N);
    assert_int_equal(t.steps[49], 0);
    return NULL;
}

static struct nd_error *
note_and_yield(void *arg)
{
    const struct step *s = arg;

    for (int i = 0; i < 3; i++) {
        note(s->trace, s->number);
        ND_TRY(nd_fiber_yield());
    }
    return NULL;
}

IN_LOOP(yield_lets_the_others_run)
{
    struct trace t = {{0}, 0};
    struct step steps[] = {{&t, 1, 0}, {&t, 2, 0}};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("yielders", 0);

    for (size_t i = 0; i < ND_LEN(steps); i++)
        ND_TRY(nd_group_spawn(g, note_and_yield, &steps[i]));
    ND_TRY(nd_group_wait(g));
    EXPECT_TRACE(&t, 1, 2, 1, 2, 1, 2);
    return NULL;
}

static void
note_deferred(void *arg)
{
    note(arg, 100);
}

IN_LOOP(deferred_work_runs_once_after_the_ready_fibers)
{
    struct trace t = {{0}, 0};
    struct step steps[] = {{&t, 1, 0}, {&t, 2, 0}};
    struct nd_deferred d = {.fn = note_deferred, .arg = &t};
    struct nd_deferred removed = {.fn = note_deferred, .arg = &t};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("yielders", 0);

    nd_deferred_add(&removed);
    nd_deferred_add(&d);
    nd_deferred_add(&d);
    nd_deferred_remove(&removed);
    for (size_t i = 0; i < ND_LEN(steps); i++)
        ND_TRY(nd_group_spawn(g, note_and_yield, &steps[i]));
    ND_TRY(nd_group_wait(g));
    EXPECT_TRACE(&t, 1, 2, 100, 1, 2, 1, 2);
    return NULL;
}

static struct nd_error *
sleep_long(void *arg ND_UNUSED)
{
    return nd_fiber_sleep(1000 * ND_HOUR);
}

IN_LOOP(ten_thousand_fibers_sleep_at_once)
{
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("many", 0);

    for (size_t i = 0; i < 10000; i++)
        ND_TRY(nd_group_spawn(g, sleep_long, NULL));
    assert_int_equal(nd_loop_n_fibers(), 10001);
    ND_TRY(nd_fiber_sleep(ND_SECOND));
    assert_int_equal(nd_group_count(g), 10000);
    nd_group_cancel(g);
    ND_TRY(nd_group_wait(g));
    assert_int_equal(nd_loop_n_fibers(), 1);
    return NULL;
}

static struct nd_error *
wait_on(void *arg)
{
    return nd_cond_wait(arg);
}

IN_LOOP(fibers_have_a_limit)
{
    struct nd_cond never = {0};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("many", 0);

    for (size_t i = 0; i < ND_FIBER_MAX - 1; i++)
        ND_TRY(nd_group_spawn(g, wait_on, &never));
    expect_code(nd_group_spawn(g, wait_on, &never), ND_EXHAUSTED);
    return NULL;
}

/* --- cancelling and deadlines --- */

struct outcome {
    enum nd_code code;
    int64_t took_ns;
    nd_fiber_fn *fn;
};

static struct nd_error *
note_outcome(void *arg)
{
    struct outcome *o = arg;
    int64_t began_ns = nd_loop_now().ns;
    struct nd_error *err = o->fn(NULL);

    o->code = nd_error_code(err);
    o->took_ns = nd_loop_now().ns - began_ns;
    nd_error_free(err);
    return NULL;
}

static struct nd_error *
yield_for_ever(void *arg ND_UNUSED)
{
    for (;;)
        ND_TRY(nd_fiber_yield());
}

IN_LOOP(cancelling_ends_a_sleep_and_a_yield)
{
    struct outcome sleeping = {.fn = sleep_long}, yielding = {.fn = yield_for_ever};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_group_spawn(g, note_outcome, &sleeping));
    ND_TRY(nd_group_spawn(g, note_outcome, &yielding));
    ND_TRY(nd_fiber_yield());
    nd_group_cancel(g);
    ND_TRY(nd_group_wait(g));
    assert_int_equal(sleeping.code, ND_CANCELLED);
    assert_int_equal(yielding.code, ND_CANCELLED);
    return NULL;
}

IN_LOOP(the_deadline_ends_a_sleep_at_its_time)
{
    int64_t began_ns = nd_loop_now().ns;

    assert_true(nd_ctx_remaining_ns() == INT64_MAX);
    {
        ND_DEADLINE_IN(5 * ND_SECOND);
        assert_true(nd_ctx_remaining_ns() == 5 * ND_SECOND);
        expect_code(nd_fiber_sleep(ND_HOUR), ND_DEADLINE);
        assert_true(nd_loop_now().ns - began_ns == 5 * ND_SECOND);
        assert_true(nd_ctx_remaining_ns() == 0);
        expect_code(nd_ctx_check(), ND_DEADLINE);
        expect_code(nd_fiber_sleep(ND_HOUR), ND_DEADLINE);
        expect_code(nd_fiber_yield(), ND_DEADLINE);
    }
    expect_ok(nd_ctx_check());
    expect_ok(nd_fiber_sleep(ND_HOUR));
    return NULL;
}

IN_LOOP(a_scope_narrows_the_deadline_and_never_widens_it)
{
    ND_DEADLINE_IN(5 * ND_SECOND);
    {
        ND_DEADLINE_IN(ND_HOUR);
        assert_true(nd_ctx_remaining_ns() == 5 * ND_SECOND);
        {
            ND_DEADLINE_IN(ND_SECOND);
            expect_code(nd_fiber_sleep(3 * ND_SECOND), ND_DEADLINE);
        }
        assert_true(nd_ctx_remaining_ns() == 4 * ND_SECOND);
    }
    return NULL;
}

static struct nd_error *
undo_under_a_shield(void *arg)
{
    bool *undone = arg;

    expect_code(nd_fiber_sleep(1000 * ND_HOUR), ND_CANCELLED);
    {
        ND_SHIELDED(10 * ND_SECOND);
        expect_ok(nd_ctx_check());
        assert_false(nd_ctx_is_cancelled());
        {
            ND_SHIELDED(2 * ND_SECOND);
            expect_ok(nd_fiber_sleep(ND_SECOND));
            expect_code(nd_fiber_sleep(ND_HOUR), ND_DEADLINE);
        }
        expect_ok(nd_fiber_sleep(ND_SECOND));
        *undone = true;
        expect_code(nd_fiber_sleep(ND_HOUR), ND_DEADLINE);
    }
    assert_true(nd_ctx_is_cancelled());
    return nd_ctx_check();
}

IN_LOOP(a_shield_holds_off_cancelling_and_has_its_own_grace)
{
    bool undone = false;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_group_spawn(g, undo_under_a_shield, &undone));
    ND_TRY(nd_fiber_sleep(ND_SECOND));
    nd_group_cancel(g);
    ND_TRY(nd_group_wait(g));
    assert_true(undone);
    return NULL;
}

static struct nd_error *
run_shielded_children(void *arg)
{
    struct outcome *before_and_inside = arg;
    ND_AUTO(nd_group_endp) struct nd_group *before = nd_group_begin("before", 0);

    ND_TRY(nd_group_spawn(before, note_outcome, &before_and_inside[0]));
    {
        ND_SHIELDED(ND_MINUTE);
        ND_AUTO(nd_group_endp) struct nd_group *inside = nd_group_begin("inside", 0);

        expect_ok(nd_group_spawn(inside, note_outcome, &before_and_inside[1]));
        expect_ok(nd_group_wait(inside));
    }
    return nd_group_wait(before);
}

static struct nd_error *
sleep_ten_seconds(void *arg ND_UNUSED)
{
    return nd_fiber_sleep(10 * ND_SECOND);
}

IN_LOOP(cancelling_does_not_reach_groups_begun_under_a_shield)
{
    struct outcome outcomes[2] = {{.fn = sleep_ten_seconds}, {.fn = sleep_ten_seconds}};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_group_spawn(g, run_shielded_children, outcomes));
    ND_TRY(nd_fiber_sleep(ND_SECOND));
    nd_group_cancel(g);
    ND_TRY(nd_group_wait(g));
    assert_int_equal(outcomes[0].code, ND_CANCELLED);
    assert_true(outcomes[0].took_ns == ND_SECOND);
    assert_int_equal(outcomes[1].code, ND_OK);
    assert_true(outcomes[1].took_ns == 10 * ND_SECOND);
    return NULL;
}

static struct nd_error *
spawn_under_a_shield(void *arg)
{
    struct outcome *outcome = arg;
    ND_AUTO(nd_group_endp) struct nd_group *before = nd_group_begin("before", 0);

    {
        ND_SHIELDED(ND_SECOND);
        expect_ok(nd_group_spawn(before, note_outcome, outcome));
    }
    return nd_group_wait(before);
}

IN_LOOP(the_grace_of_a_shield_is_no_deadline_for_a_group_of_before)
{
    struct outcome outcome = {.fn = sleep_ten_seconds};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_group_spawn(g, spawn_under_a_shield, &outcome));
    ND_TRY(nd_group_wait(g));
    assert_int_equal(outcome.code, ND_OK);
    assert_true(outcome.took_ns == 10 * ND_SECOND);
    return NULL;
}

/* In a group that somebody else has begun. */
struct foreign {
    struct nd_group *group;
    struct outcome outcome;
};

static struct nd_error *
spawn_with_a_deadline(void *arg)
{
    struct foreign *foreign = arg;
    ND_DEADLINE_IN(ND_SECOND);

    return nd_group_spawn(foreign->group, note_outcome, &foreign->outcome);
}

IN_LOOP(who_spawns_for_another_lends_no_deadline)
{
    struct foreign foreign = {.outcome = {.fn = sleep_ten_seconds}};
    ND_AUTO(nd_group_endp) struct nd_group *background = nd_group_begin("background", 0);
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    foreign.group = background;
    ND_TRY(nd_group_spawn(g, spawn_with_a_deadline, &foreign));
    {
        ND_DEADLINE_IN(2 * ND_SECOND); /* of the owner, about something else */
        ND_TRY(nd_group_wait(g));
    }
    ND_TRY(nd_group_wait(background));
    assert_int_equal(foreign.outcome.code, ND_OK);
    assert_true(foreign.outcome.took_ns == 10 * ND_SECOND);
    return NULL;
}

IN_LOOP(a_deadline_set_from_outside_moves_the_end_of_the_wait)
{
    struct outcome later = {.fn = sleep_long}, sooner = {.fn = sleep_long};
    struct nd_fiber *a, *b;
    int64_t now_ns = nd_loop_now().ns;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);
    ND_DEADLINE_IN(20 * ND_SECOND);

    ND_TRY(nd_group_spawn_handle(g, note_outcome, &later, &a));
    ND_TRY(nd_group_spawn_handle(g, note_outcome, &sooner, &b));
    ND_TRY(nd_fiber_sleep(ND_SECOND));
    nd_fiber_set_deadline(a, (struct nd_mono){now_ns + 10 * ND_SECOND});
    nd_fiber_set_deadline(b, (struct nd_mono){now_ns + 2 * ND_SECOND});
    nd_fiber_set_deadline(a, (struct nd_mono){now_ns + 15 * ND_SECOND});
    ND_TRY(nd_group_wait(g));
    assert_int_equal(later.code, ND_DEADLINE);
    assert_true(later.took_ns == 15 * ND_SECOND);
    assert_int_equal(sooner.code, ND_DEADLINE);
    assert_true(sooner.took_ns == 2 * ND_SECOND);
    return NULL;
}

/* --- what a fiber carries --- */

static struct nd_error *
expect_inherited(void *arg)
{
    assert_ptr_equal(nd_ctx_get(ND_CTX_CALL), arg);
    assert_null(nd_ctx_get(ND_CTX_TRACE));
    assert_true(nd_ctx_remaining_ns() == ND_SECOND);
    nd_ctx_set(ND_CTX_CALL, NULL);
    return NULL;
}

IN_LOOP(children_inherit_slots_and_deadline)
{
    int call;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);
    ND_DEADLINE_IN(ND_SECOND);

    nd_ctx_set(ND_CTX_CALL, &call);
    ND_TRY(nd_group_spawn(g, expect_inherited, &call));
    ND_TRY(nd_group_wait(g));
    assert_ptr_equal(nd_ctx_get(ND_CTX_CALL), &call);
    return NULL;
}

static void
count_release(void *arg)
{
    ++*(int *)arg;
}

static struct nd_error *
use_the_arena(void *arg)
{
    nd_arena_defer(nd_ctx_arena(), count_release, arg);
    assert_ptr_equal(nd_ctx_arena(), nd_ctx_arena());
    return NULL;
}

IN_LOOP(the_arena_goes_away_with_its_fiber)
{
    int released = 0;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_group_spawn(g, use_the_arena, &released));
    ND_TRY(nd_group_wait(g));
    assert_int_equal(released, 1);
    return NULL;
}

IN_LOOP(a_stretch_without_suspension_passes_its_check)
{
    uint64_t id = nd_fiber_id();

    ND_NO_SUSPEND();
    assert_true(nd_fiber_is_current());
    assert_true(id != 0 && id == nd_fiber_id());
    return NULL;
}

IN_LOOP(errors_of_the_context_name_the_action)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    ND_DEADLINE_IN(ND_SECOND);

    nd_doing("pull layer");
    err = nd_fiber_sleep(ND_HOUR);
    assert_string_equal(nd_error_message(err), "pull layer: deadline exceeded");
    return NULL;
}

static struct nd_error *
hold_the_loop(void *arg ND_UNUSED)
{
    int64_t until_ns = nd_mono_now().ns + 2 * ND_FIBER_STALL_MS * ND_MILLISECOND;

    nd_doing("hold the loop");
    while (nd_mono_now().ns < until_ns)
        continue;
    return NULL;
}

static void
keep_line(void *arg, enum nd_log_level level ND_UNUSED, struct nd_str line)
{
    nd_buf_put(arg, line);
}

IN_REAL_LOOP(a_stall_is_measured_and_its_holder_named)
{
    struct nd_buf log = ND_BUF_INIT(4096);
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    nd_log_set_sink(keep_line, &log);
    ND_TRY(nd_group_spawn(g, hold_the_loop, NULL));
    ND_TRY(nd_group_wait(g));
    ND_TRY(nd_fiber_yield());
    nd_log_set_sink(NULL, NULL);
    assert_true(nd_loop_take_stall_ns() >= 2 * ND_FIBER_STALL_MS * ND_MILLISECOND);
    assert_true(nd_loop_take_stall_ns() == 0);
    assert_true(nd_str_search(nd_buf_str(&log), ND_STR("loop stalled")) != SIZE_MAX);
    assert_true(nd_str_search(nd_buf_str(&log), ND_STR("hold the loop")) != SIZE_MAX);
    nd_buf_fini(&log);
    return NULL;
}

IN_LOOP(log_lines_name_fiber_and_action)
{
    struct nd_buf log = ND_BUF_INIT(4096);

    nd_doing("talk");
    nd_log_set_sink(keep_line, &log);
    nd_warn("hello");
    nd_log_set_sink(NULL, NULL);
    assert_true(nd_str_search(nd_buf_str(&log), ND_STR("\"fiber\":1")) != SIZE_MAX);
    assert_true(nd_str_search(nd_buf_str(&log), ND_STR("\"doing\":\"talk\"")) != SIZE_MAX);
    nd_buf_fini(&log);
    return NULL;
}

struct late_work {
    struct nd_deferred late[5];
    struct nd_deferred turn; /* again and again, once in each */
    unsigned n_turns;
    unsigned n_done;
    unsigned turns_when_done[5];
};

static void
count_turn(void *arg)
{
    struct late_work *w = arg;

    w->n_turns++;
    if (w->n_done < ND_LEN(w->late))
        nd_deferred_add(&w->turn);
}

static void
take_long(void *arg)
{
    struct late_work *w = arg;
    int64_t until_ns = nd_mono_now().ns + ND_LOOP_LATE_NS;

    while (nd_mono_now().ns < until_ns)
        continue;
    w->turns_when_done[w->n_done++] = w->n_turns;
}

IN_REAL_LOOP(what_takes_long_does_not_come_all_in_one_turn)
{
    struct late_work w = {.turn = {.fn = count_turn, .arg = &w}};

    for (size_t i = 0; i < ND_LEN(w.late); i++) {
        w.late[i] = (struct nd_deferred){.fn = take_long, .arg = &w};
        nd_deferred_add_late(&w.late[i]);
    }
    nd_deferred_add(&w.turn);
    while (w.n_done < ND_LEN(w.late) || w.turn.queue != NULL)
        ND_TRY(nd_fiber_yield());
    for (size_t i = 0; i < ND_LEN(w.late); i++)
        assert_int_equal(w.turns_when_done[i], i);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_takes_long_does_not_come_all_in_one_turn),
        cmocka_unit_test(the_loop_returns_the_error_of_its_first_fiber),
        cmocka_unit_test(sleepers_wake_in_the_order_of_their_times),
        cmocka_unit_test(timers_fire_in_order_and_can_be_moved_and_disarmed),
        cmocka_unit_test(yield_lets_the_others_run),
        cmocka_unit_test(deferred_work_runs_once_after_the_ready_fibers),
        cmocka_unit_test(ten_thousand_fibers_sleep_at_once),
        cmocka_unit_test(fibers_have_a_limit),
        cmocka_unit_test(cancelling_ends_a_sleep_and_a_yield),
        cmocka_unit_test(the_deadline_ends_a_sleep_at_its_time),
        cmocka_unit_test(a_scope_narrows_the_deadline_and_never_widens_it),
        cmocka_unit_test(a_shield_holds_off_cancelling_and_has_its_own_grace),
        cmocka_unit_test(cancelling_does_not_reach_groups_begun_under_a_shield),
        cmocka_unit_test(the_grace_of_a_shield_is_no_deadline_for_a_group_of_before),
        cmocka_unit_test(who_spawns_for_another_lends_no_deadline),
        cmocka_unit_test(a_deadline_set_from_outside_moves_the_end_of_the_wait),
        cmocka_unit_test(children_inherit_slots_and_deadline),
        cmocka_unit_test(the_arena_goes_away_with_its_fiber),
        cmocka_unit_test(a_stretch_without_suspension_passes_its_check),
        cmocka_unit_test(errors_of_the_context_name_the_action),
        cmocka_unit_test(a_stall_is_measured_and_its_holder_named),
        cmocka_unit_test(log_lines_name_fiber_and_action),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
