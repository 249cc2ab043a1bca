/*
 * Requests: done once, answered as often as they are asked; what they changed is over in the moment
 * in which the answer is remembered, or not at all.
 */

#include "base/fault.h"
#include "fiber/group.h"
#include "operation/change.h"
#include "operation/recovery.h"
#include "operation/request.h"

#include "host_bench.h"

static const struct nd_change_spec make = {.kind = "test.make", .ns = "default", .object = "a1"};

/* A host with operations. */
struct world {
    struct bench b;
    struct nd_operations *ops;
    struct nd_arena *arena;
};

static struct world
world_begin(void)
{
    struct world w = {.b = bench_begin(), .arena = nd_arena_new(0)};

    expect_ok(nd_operations_new(w.b.host, &w.ops));
    return w;
}

/* Another daemon on the same folder. */
static void
world_restart(struct world *w)
{
    nd_operations_free(w->ops);
    bench_reopen(&w->b);
    expect_ok(nd_operations_new(w->b.host, &w->ops));
}

static void
world_end(struct world *w)
{
    nd_operations_free(w->ops);
    nd_arena_free(w->arena);
    bench_end(&w->b);
}

static size_t
count_of_the_dead(struct world *w)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_open_intent *open;
    size_t n;

    expect_ok(nd_intents_of_the_dead(nd_host_ledger(w->b.host), arena, &open, &n));
    return n;
}

static struct nd_error *
begin(struct world *w, const char *what, struct nd_request *ret)
{
    Pb__OperationServiceGetRequest message = PB__OPERATION_SERVICE_GET_REQUEST__INIT;
    const struct nd_request_spec spec = {
        .method = "/test/Do", .ns = "default", .owner = "me", .id = "r-1", .message = &message};

    message.id = (char *)(uintptr_t)what;
    return nd_request_begin(w->ops, &spec, w->arena, ret);
}

/* Changes something for good, and fails or answers with a name. */
static struct nd_error *
work(struct world *w, bool changes, enum nd_code fails)
{
    ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;

    ND_TRY(nd_change_begin(w->b.host, &make, &change));
    ND_TRY(nd_change_ready(&change));
    if (changes)
        nd_change_settle(&change);
    if (fails == ND_OK)
        return NULL;
    return nd_error_reason(nd_error_new(fails, "in the middle"), "TEST");
}

static struct nd_error *
handle(struct world *w, bool changes, enum nd_code fails)
{
    ND_AUTO(nd_request_leave) struct nd_request request = ND_REQUEST_INIT;
    Pb__LoadResult result = PB__LOAD_RESULT__INIT;
    char *names[] = {(char *)(uintptr_t) "done"};

    ND_TRY(begin(w, "x", &request));
    assert_false(request.is_repeated);
    result.names = names;
    result.n_names = 1;
    return nd_request_end(&request, work(w, changes, fails), &result);
}

static void
expect_repeated(struct world *w)
{
    ND_AUTO(nd_request_leave) struct nd_request request = ND_REQUEST_INIT;

    expect_ok(begin(w, "x", &request));
    assert_true(request.is_repeated);
    assert_string_equal(request.outcome.result_type, "nerdctl.v1.LoadResult");
    assert_true(request.outcome.result.len > 0);
}

IN_REAL_LOOP(what_was_done_is_answered_again_by_the_next_daemon_too)
{
    ND_AUTO(world_end) struct world w = world_begin();

    ND_TRY(handle(&w, true, ND_OK));
    expect_repeated(&w);
    world_restart(&w);
    assert_int_equal(count_of_the_dead(&w), 0);
    expect_repeated(&w);
    return NULL;
}

IN_REAL_LOOP(what_failed_and_left_nothing_is_tried_again)
{
    ND_AUTO(world_end) struct world w = world_begin();

    expect_code(handle(&w, false, ND_INTERNAL), ND_INTERNAL);
    ND_TRY(handle(&w, true, ND_OK));
    expect_repeated(&w);
    return NULL;
}

IN_REAL_LOOP(what_failed_and_left_something_fails_again)
{
    ND_AUTO(world_end) struct world w = world_begin();

    expect_code(handle(&w, true, ND_PRECONDITION), ND_PRECONDITION);
    for (int i = 0; i < 2; i++) {
        ND_AUTO(nd_request_leave) struct nd_request request = ND_REQUEST_INIT;
        struct nd_error *err = begin(&w, "x", &request);

        assert_string_equal(nd_error_message(err), "in the middle");
        assert_string_equal(nd_error_get_reason(err), "TEST");
        expect_code(err, ND_PRECONDITION);
        nd_request_leave(&request);
        world_restart(&w);
        assert_int_equal(count_of_the_dead(&w), 0);
    }
    return NULL;
}

IN_REAL_LOOP(another_request_with_its_id_is_refused)
{
    ND_AUTO(world_end) struct world w = world_begin();
    ND_AUTO(nd_request_leave) struct nd_request request = ND_REQUEST_INIT;

    ND_TRY(handle(&w, true, ND_OK));
    expect_code(begin(&w, "y", &request), ND_INVALID);
    return NULL;
}

/* One that is answered, with another id. */
static struct nd_error *
handle_another(struct world *w, unsigned number)
{
    ND_AUTO(nd_request_leave) struct nd_request request = ND_REQUEST_INIT;
    Pb__OperationServiceGetRequest message = PB__OPERATION_SERVICE_GET_REQUEST__INIT;
    Pb__LoadResult result = PB__LOAD_RESULT__INIT;
    const struct nd_request_spec spec = {.method = "/test/Do",
                                         .ns = "default",
                                         .owner = "me",
                                         .id = nd_arena_printf(w->arena, "other-%u", number),
                                         .message = &message};

    ND_TRY(nd_request_begin(w->ops, &spec, w->arena, &request));
    return nd_request_end(&request, NULL, &result);
}

/* Without a restart, and without a long call. */
IN_REAL_LOOP(answers_of_requests_do_not_pile_up)
{
    ND_AUTO(world_end) struct world w = world_begin();
    const struct nd_outcome old = {.id = "old",
                                   .method = "/test/Do",
                                   .ns = "default",
                                   .owner = "me",
                                   .request = "r-0",
                                   .object = "",
                                   .state = ND_OUTCOME_SUCCEEDED,
                                   .begun_ms = 1,
                                   .ended_ms = 2,
                                   .result_type = "",
                                   .message = "",
                                   .reason = ""};
    struct nd_outcome got;

    ND_TRY(nd_outcome_put_and_wait(nd_host_ledger(w.b.host), &old, false));
    ND_TRY(nd_outcome_get(nd_host_ledger(w.b.host), "old", w.arena, &got));
    for (unsigned i = 0; i < 100; i++)
        ND_TRY(handle_another(&w, i));
    expect_code(nd_outcome_get(nd_host_ledger(w.b.host), "old", w.arena, &got), ND_NOT_FOUND);
    return NULL;
}

IN_REAL_LOOP(an_answer_that_became_known_later_is_remembered_instead)
{
    ND_AUTO(world_end) struct world w = world_begin();
    Pb__LoadResult result = PB__LOAD_RESULT__INIT;
    char *names[] = {(char *)(uintptr_t) "one", (char *)(uintptr_t) "two"};
    struct nd_str before;

    {
        ND_AUTO(nd_request_leave) struct nd_request request = ND_REQUEST_INIT;

        ND_TRY(begin(&w, "x", &request));
        nd_request_is_operation(&request, "0123456789abcdef0123456789abcdef", w.arena);
        result.names = names;
        result.n_names = 1;
        ND_TRY(nd_request_end(&request, NULL, &result));
        expect_repeated(&w); /* from here on, although this call goes on */
        result.n_names = 2;
        nd_request_update(&request, &result);
    }
    for (int i = 0; i < 2; i++) {
        ND_AUTO(nd_request_leave) struct nd_request request = ND_REQUEST_INIT;

        ND_TRY(begin(&w, "x", &request));
        before = request.outcome.result;
        assert_true(before.len == 2 * 5);
        assert_string_equal(request.outcome.id, "0123456789abcdef0123456789abcdef");
    }
    return NULL;
}

/*
 * --- what a daemon that died has noted of a request ---------------------------------------------
 */

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void
die_in_a_request(struct world *w, const char *note)
{
    const struct nd_intent_spec spec = {
        .kind = "test.make", .ns = "default", .object = "a1", .operation = note};
    struct nd_intent *intent;

    expect_ok(nd_intent_begin(nd_host_ledger(w->b.host), &spec, &intent));
    expect_ok(nd_intent_wait(intent));
    nd_intent_leave(intent);
    world_restart(w);
}

static struct nd_error *
find_it_done(void *arg, const struct nd_open_intent *intent)
{
    (void)arg;
    *intent->recovered = ND_RECOVERED_DONE;
    return NULL;
}

static void
recover(struct world *w)
{
    ND_AUTO(nd_recovery_freep) struct nd_recovery *r = nd_recovery_new(w->b.host);
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("recovery", 0);

    nd_recovery_add(r, "test.make", find_it_done, NULL);
    expect_ok(nd_group_spawn(group, nd_recovery_run, r));
    expect_ok(nd_recovery_wait(r));
}

/* Its answer is the container, in the field that is named. */
static void
expect_recovered(const char *note, char tag)
{
    ND_AUTO(world_end) struct world w = world_begin();
    const char answer[] = {tag, 2, 'a', '1'};
    struct nd_outcome o;

    die_in_a_request(&w, note);
    recover(&w);
    expect_ok(nd_outcome_by_request(nd_host_ledger(w.b.host), "me", "r-1", w.arena, &o));
    assert_int_equal(o.state, ND_OUTCOME_SUCCEEDED);
    assert_string_equal(o.result_type, "nerdctl.v1.Test");
    assert_int_equal(o.result.len, sizeof(answer));
    assert_memory_equal(o.result.ptr, answer, sizeof(answer));
}

IN_REAL_LOOP(what_a_dead_daemon_had_done_is_answered_with_its_container)
{
    expect_recovered("id-1\n1\n/test/Do\n" DIGEST "\nr-1\nnerdctl.v1.Test 2\nme", 0x12);
    return NULL;
}

IN_REAL_LOOP(notes_of_an_earlier_version_are_understood)
{
    expect_recovered("id-1\n1\n/test/Do\n" DIGEST "\nr-1\nnerdctl.v1.Test\nme", 0x0a);
    return NULL;
}

#ifdef ND_FAULTS

/* As when the disk is full: nobody is told of what the next daemon takes back. */
IN_REAL_LOOP(what_cannot_be_remembered_has_failed_and_is_left_to_the_recovery)
{
    ND_AUTO(world_end) struct world w = world_begin();

    expect_ok(nd_fault_arm(ND_STR("request.end=fail")));
    expect_code(handle(&w, true, ND_OK), ND_INTERNAL);
    expect_ok(nd_fault_arm(ND_STR_NONE));
    world_restart(&w);
    assert_int_equal(count_of_the_dead(&w), 1);
    return NULL;
}

#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_done_is_answered_again_by_the_next_daemon_too),
        cmocka_unit_test(what_failed_and_left_nothing_is_tried_again),
        cmocka_unit_test(what_failed_and_left_something_fails_again),
        cmocka_unit_test(another_request_with_its_id_is_refused),
        cmocka_unit_test(answers_of_requests_do_not_pile_up),
        cmocka_unit_test(an_answer_that_became_known_later_is_remembered_instead),
        cmocka_unit_test(what_a_dead_daemon_had_done_is_answered_with_its_container),
        cmocka_unit_test(notes_of_an_earlier_version_are_understood),
#ifdef ND_FAULTS
        cmocka_unit_test(what_cannot_be_remembered_has_failed_and_is_left_to_the_recovery),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
