/*
 * Changes and their recovery: whatever happens to a mutation, in the end it is done or as if it had
 * not been, and somebody is responsible for it until then.
 */

#include "base/fault.h"
#include "fiber/group.h"
#include "operation/change.h"
#include "operation/recovery.h"

#include "host_bench.h"

static const struct nd_change_spec make = {.kind = "test.make", .ns = "default", .object = "a1"};
static const struct nd_change_spec destroy = {
    .kind = "test.remove", .ns = "default", .object = "a1", .forward = true};

/* What was taken back, in order: a letter each. */
struct world {
    char undone[16];
    size_t n;
    struct nd_undo_step steps[4];
    enum nd_code fails; /* of the undo steps */
};

static struct nd_error *
take_back(void *arg)
{
    struct world *w = arg;

    ND_TRY(nd_ctx_check()); /* shielded: never fails */
    if (w->fails != ND_OK)
        return nd_error_new(w->fails, "not now");
    w->undone[w->n++] = 'x';
    return NULL;
}

static void
push(struct nd_change *change, struct world *w, size_t i)
{
    w->steps[i] = (struct nd_undo_step){.fn = take_back, .arg = w, .what = "test"};
    nd_change_undo(change, &w->steps[i]);
}

static size_t
count_of_the_dead(struct nd_host *host)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_open_intent *open;
    size_t n;

    expect_ok(nd_intents_of_the_dead(nd_host_ledger(host), arena, &open, &n));
    return n;
}

/*
 * --- the life of a change -----------------------------------------------------------------------
 */

static struct nd_error *
mutate(struct nd_host *host, struct world *w, enum nd_code fails)
{
    ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;

    ND_TRY(nd_change_begin(host, &make, &change));
    ND_TRY(nd_change_ready(&change));
    push(&change, w, 0);
    push(&change, w, 1);
    if (fails != ND_OK)
        return nd_error_new(fails, "in the middle");
    return nd_change_done(&change);
}

IN_REAL_LOOP(a_done_change_leaves_nothing_to_do)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    struct world w = {0};

    ND_TRY(mutate(b.host, &w, ND_OK));
    assert_string_equal(w.undone, "");
    bench_reopen(&b);
    assert_int_equal(count_of_the_dead(b.host), 0);
    return NULL;
}

IN_REAL_LOOP(a_failed_change_is_undone_and_forgotten)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    struct world w = {0};

    expect_code(mutate(b.host, &w, ND_INTERNAL), ND_INTERNAL);
    assert_string_equal(w.undone, "xx");
    bench_reopen(&b);
    assert_int_equal(count_of_the_dead(b.host), 0);
    return NULL;
}

struct call {
    struct nd_host *host;
    struct world *w;
    struct nd_cond made;
    bool has_made;
};

static struct nd_error *
mutate_and_be_cancelled(void *arg)
{
    struct call *call = arg;
    ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;

    ND_TRY(nd_change_begin(call->host, &make, &change));
    ND_TRY(nd_change_ready(&change));
    push(&change, call->w, 0);
    call->has_made = true;
    nd_cond_broadcast(&call->made);
    expect_code(nd_fiber_sleep(ND_HOUR), ND_CANCELLED);
    return nd_change_done(&change);
}

IN_REAL_LOOP(a_change_whose_caller_left_is_undone_shielded)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    struct world w = {0};
    struct call call = {.host = b.host, .w = &w};

    {
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("caller", 0);

        ND_TRY(nd_group_spawn(group, mutate_and_be_cancelled, &call));
        while (!call.has_made)
            ND_TRY(nd_cond_wait(&call.made));
    }
    assert_string_equal(w.undone, "x");
    bench_reopen(&b);
    assert_int_equal(count_of_the_dead(b.host), 0);
    return NULL;
}

IN_REAL_LOOP(a_change_that_was_not_ready_changes_nothing)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();

    {
        ND_AUTO(nd_change_end) struct nd_change one = ND_CHANGE_INIT, other = ND_CHANGE_INIT;

        ND_TRY(nd_change_begin(b.host, &make, &one));
        ND_TRY(nd_change_begin(b.host, &destroy, &other));
    }
    bench_reopen(&b);
    assert_int_equal(count_of_the_dead(b.host), 0);
    return NULL;
}

/* The first half of what is decided in its middle, then the second. */
static struct nd_error *
decide_and_fail(struct nd_host *host, struct world *w, bool decided)
{
    ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;

    ND_TRY(nd_change_begin(host, &make, &change));
    ND_TRY(nd_change_ready(&change));
    push(&change, w, 0);
    if (decided)
        nd_change_decide(&change);
    return nd_error_new(ND_INTERNAL, "in the middle");
}

IN_REAL_LOOP(a_change_is_undone_before_it_is_decided_and_goes_on_afterwards)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    struct world w = {0};

    expect_code(decide_and_fail(b.host, &w, false), ND_INTERNAL);
    assert_string_equal(w.undone, "x");
    expect_code(decide_and_fail(b.host, &w, true), ND_INTERNAL);
    assert_string_equal(w.undone, "x");
    bench_reopen(&b);
    assert_int_equal(count_of_the_dead(b.host), 1);
    return NULL;
}

/*
 * --- recovery -----------------------------------------------------------------------------------
 */

/* A recoverer that fails some times first. */
struct healer {
    unsigned failures;
    enum nd_code code;
    char healed[64]; /* the kinds, in order */
    struct nd_cond changed;
};

static struct nd_error *
heal(void *arg, const struct nd_open_intent *intent)
{
    struct healer *h = arg;

    if (h->failures > 0) {
        h->failures--;
        return nd_error_new(h->code, "not yet");
    }
    (void)snprintf(h->healed + strlen(h->healed), sizeof(h->healed) - strlen(h->healed), "%s/%s ",
                   intent->kind, intent->object);
    nd_cond_broadcast(&h->changed);
    return NULL;
}

/* Leave an intent of each spec open, as a daemon that dies does. */
static void
die_in_the_middle(struct bench *b, const struct nd_change_spec *spec)
{
    struct nd_change change = ND_CHANGE_INIT;

    expect_ok(nd_change_begin(b->host, spec, &change));
    expect_ok(nd_change_ready(&change));
    nd_intent_leave(change.intent);
    bench_reopen(b);
}

static struct nd_recovery *
recovery_of(struct bench *b, struct healer *h)
{
    struct nd_recovery *r = nd_recovery_new(b->host);

    nd_recovery_add(r, "test.make", heal, h);
    nd_recovery_add(r, "test.remove", heal, h);
    return r;
}

IN_REAL_LOOP(what_a_dead_daemon_left_is_recovered_before_anybody_is_served)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    ND_AUTO(nd_recovery_freep) struct nd_recovery *r = NULL;
    struct healer h = {.failures = 2, .code = ND_INTERNAL};

    die_in_the_middle(&b, &make);
    die_in_the_middle(&b, &destroy);
    assert_int_equal(count_of_the_dead(b.host), 2);
    r = recovery_of(&b, &h);
    {
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("recovery", 0);

        ND_TRY(nd_group_spawn(group, nd_recovery_run, r));
        ND_TRY(nd_recovery_wait(r)); /* both tried once, in vain */
        assert_string_equal(h.healed, "");
        while (strlen(h.healed) < strlen("test.make/a1 test.remove/a1 "))
            ND_TRY(nd_cond_wait(&h.changed));
        ND_TRY(nd_fiber_yield());
    }
    bench_reopen(&b);
    assert_int_equal(count_of_the_dead(b.host), 0);
    return NULL;
}

IN_REAL_LOOP(what_was_being_made_is_looked_for_again_and_holds_nobody_up)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    ND_AUTO(nd_recovery_freep) struct nd_recovery *r = NULL;
    struct healer h = {0};

    die_in_the_middle(&b, &make);
    r = nd_recovery_new(b.host);
    nd_recovery_add_making(r, "test.make", heal, &h);
    {
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("recovery", 0);

        ND_TRY(nd_group_spawn(group, nd_recovery_run, r));
        ND_TRY(nd_recovery_wait(r));
        assert_string_equal(h.healed, "test.make/a1 ");
        ND_TRY(nd_cond_wait(&h.changed));
        assert_string_equal(h.healed, "test.make/a1 test.make/a1 ");
    }
    bench_reopen(&b);
    assert_int_equal(count_of_the_dead(b.host), 1); /* not forgotten before it is certain */
    return NULL;
}

IN_REAL_LOOP(the_gate_is_closed_until_the_dead_are_known)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    struct healer h = {0};
    ND_AUTO(nd_recovery_freep) struct nd_recovery *r = recovery_of(&b, &h);

    ND_DEADLINE_IN(20 * ND_MILLISECOND);
    expect_code(nd_recovery_wait(r), ND_DEADLINE);
    return NULL;
}

IN_REAL_LOOP(nobody_is_held_up_while_containerd_is_away)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    ND_AUTO(nd_recovery_freep) struct nd_recovery *r = NULL;
    struct healer h = {.failures = UINT32_MAX, .code = ND_UNAVAILABLE};

    die_in_the_middle(&b, &make);
    r = recovery_of(&b, &h);
    {
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("recovery", 0);

        ND_TRY(nd_group_spawn(group, nd_recovery_run, r));
        ND_TRY(nd_recovery_wait(r));
    }
    bench_reopen(&b);
    assert_int_equal(count_of_the_dead(b.host), 1); /* still to be done */
    return NULL;
}

static struct nd_error *
take_for_ever(void *arg, const struct nd_open_intent *intent)
{
    (void)arg;
    (void)intent;
    assert_int_equal(nd_ctx_remaining_ns(), INT64_MAX); /* it is not cut short */
    return nd_fiber_sleep(ND_HOUR);
}

static struct nd_error *
hang(void *arg, const struct nd_open_intent *intent)
{
    unsigned *n = arg;

    (void)intent;
    (*n)++;
    return nd_fiber_sleep(ND_HOUR);
}

/* As a kill of containers whose shims are stopped: more of them than are tried at once. */
IN_REAL_LOOP(what_hangs_is_set_aside_after_a_while)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    ND_AUTO(nd_recovery_freep) struct nd_recovery *r = NULL;
    struct healer h = {0};
    unsigned n = 0;

    for (int i = 0; i < 40; i++)
        die_in_the_middle(&b, &destroy);
    die_in_the_middle(&b, &make);
    r = nd_recovery_new(b.host);
    nd_recovery_add(r, "test.make", heal, &h);
    nd_recovery_add(r, "test.remove", hang, &n);
    nd_recovery_set_place_ns(r, 20 * ND_MILLISECOND);
    {
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("recovery", 0);

        ND_TRY(nd_group_spawn(group, nd_recovery_run, r));
        ND_TRY(nd_recovery_wait(r));
        assert_string_equal(h.healed, "test.make/a1 ");
        assert_int_equal(n, 40); /* they go on */
    }
    bench_reopen(&b);
    assert_int_equal(count_of_the_dead(b.host), 40);
    return NULL;
}

IN_REAL_LOOP(what_takes_long_by_its_nature_holds_nobody_up)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    ND_AUTO(nd_recovery_freep) struct nd_recovery *r = NULL;
    struct healer h = {0};

    for (int i = 0; i < 40; i++)
        die_in_the_middle(&b, &destroy);
    die_in_the_middle(&b, &make);
    r = nd_recovery_new(b.host);
    nd_recovery_add(r, "test.make", heal, &h);
    nd_recovery_add_patient(r, "test.remove", take_for_ever, NULL);
    {
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("recovery", 0);

        ND_TRY(nd_group_spawn(group, nd_recovery_run, r));
        ND_TRY(nd_recovery_wait(r));
        assert_string_equal(h.healed, "test.make/a1 ");
    }
    bench_reopen(&b);
    assert_int_equal(count_of_the_dead(b.host), 40); /* it will go on */
    return NULL;
}

IN_REAL_LOOP(a_kind_that_nobody_knows_stays_and_stops_nobody)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    ND_AUTO(nd_recovery_freep) struct nd_recovery *r = NULL;
    struct nd_change_spec strange = make;

    strange.kind = "test.of_the_future";
    die_in_the_middle(&b, &strange);
    r = nd_recovery_new(b.host);
    {
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("recovery", 0);

        ND_TRY(nd_group_spawn(group, nd_recovery_run, r));
        ND_TRY(nd_recovery_wait(r));
    }
    bench_reopen(&b);
    assert_int_equal(count_of_the_dead(b.host), 1);
    return NULL;
}

IN_REAL_LOOP(many_that_cannot_be_recovered_leave_room_for_one_that_can)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    ND_AUTO(nd_recovery_freep) struct nd_recovery *r = NULL;
    struct nd_change_spec strange = make;
    struct healer h = {0};

    strange.kind = "test.of_the_future";
    for (int i = 0; i < 40; i++) {
        struct nd_change change = ND_CHANGE_INIT;

        ND_TRY(nd_change_begin(b.host, &strange, &change));
        ND_TRY(nd_change_ready(&change));
        nd_intent_leave(change.intent);
    }
    die_in_the_middle(&b, &make);
    r = recovery_of(&b, &h);
    {
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("recovery", 0);

        ND_DEADLINE_IN(ND_MINUTE);
        ND_TRY(nd_group_spawn(group, nd_recovery_run, r));
        ND_TRY(nd_recovery_wait(r));
        assert_string_equal(h.healed, "test.make/a1 ");
    }
    bench_reopen(&b);
    assert_int_equal(count_of_the_dead(b.host), 40);
    return NULL;
}

static struct nd_error *
remove_and_fail(struct nd_host *host)
{
    ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;

    ND_TRY(nd_change_begin(host, &destroy, &change));
    ND_TRY(nd_change_ready(&change));
    return nd_error_new(ND_INTERNAL, "in the middle");
}

IN_REAL_LOOP(what_this_daemon_could_not_undo_or_finish_it_goes_on_trying)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    struct healer h = {.failures = 1, .code = ND_UNAVAILABLE};
    ND_AUTO(nd_recovery_freep) struct nd_recovery *r = recovery_of(&b, &h);
    struct world w = {.fails = ND_UNAVAILABLE};

    {
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("recovery", 0);

        ND_TRY(nd_group_spawn(group, nd_recovery_run, r));
        expect_code(mutate(b.host, &w, ND_INTERNAL), ND_INTERNAL);
        expect_code(remove_and_fail(b.host), ND_INTERNAL);
        while (strstr(h.healed, "test.make/a1") == NULL ||
               strstr(h.healed, "test.remove/a1") == NULL)
            ND_TRY(nd_cond_wait(&h.changed));
        ND_TRY(nd_fiber_yield());
    }
    bench_reopen(&b);
    assert_int_equal(count_of_the_dead(b.host), 0);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_done_change_leaves_nothing_to_do),
        cmocka_unit_test(a_failed_change_is_undone_and_forgotten),
        cmocka_unit_test(a_change_whose_caller_left_is_undone_shielded),
        cmocka_unit_test(a_change_that_was_not_ready_changes_nothing),
        cmocka_unit_test(a_change_is_undone_before_it_is_decided_and_goes_on_afterwards),
        cmocka_unit_test(what_a_dead_daemon_left_is_recovered_before_anybody_is_served),
        cmocka_unit_test(what_was_being_made_is_looked_for_again_and_holds_nobody_up),
        cmocka_unit_test(the_gate_is_closed_until_the_dead_are_known),
        cmocka_unit_test(nobody_is_held_up_while_containerd_is_away),
        cmocka_unit_test(what_hangs_is_set_aside_after_a_while),
        cmocka_unit_test(what_takes_long_by_its_nature_holds_nobody_up),
        cmocka_unit_test(a_kind_that_nobody_knows_stays_and_stops_nobody),
        cmocka_unit_test(many_that_cannot_be_recovered_leave_room_for_one_that_can),
        cmocka_unit_test(what_this_daemon_could_not_undo_or_finish_it_goes_on_trying),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
