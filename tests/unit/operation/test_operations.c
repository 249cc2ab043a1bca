/* Operations: seen while they run and after their end, cancelled, aborted by a crash, bounded. */

#include "fiber/group.h"
#include "operation/operations.h"

#include "host_bench.h"

static const struct nd_operation_spec spec = {
    .method = "/test/Work", .ns = "default", .owner = "me"};

static struct nd_error *
work_for_ever(void *arg)
{
    (void)arg;
    return nd_fiber_sleep(ND_HOUR);
}

static struct nd_error *
go_wrong(void *arg)
{
    (void)arg;
    return nd_error_reason(nd_error_new(ND_INTERNAL, "broken"), "TEST");
}

static struct nd_error *
succeed(void *arg)
{
    (void)arg;
    return NULL;
}

/* What a handler does. */
struct call {
    struct nd_operations *ops;
    nd_fiber_fn *fn;
    char id[64];
};

static struct nd_error *
handle(void *arg)
{
    struct call *call = arg;
    ND_AUTO(nd_operation_leavep) struct nd_operation *op = NULL;
    Pb__LoadResult result = PB__LOAD_RESULT__INIT;

    ND_TRY(nd_operation_begin(call->ops, &spec, &op));
    (void)snprintf(call->id, sizeof(call->id), "%s", nd_operation_id(op));
    return nd_operation_end(op, nd_operation_run(op, call->fn, NULL), &result.base);
}

static void
expect_state(struct nd_operations *ops, const char *id, Pb__OperationState state, int code)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Pb__Operation *shown;

    expect_ok(nd_operation_get(ops, id, arena, &shown));
    assert_string_equal(shown->id, id);
    assert_int_equal(shown->state, state);
    if (code != 0)
        assert_int_equal(shown->error->code, code);
}

IN_REAL_LOOP(an_end_is_remembered_by_the_next_daemon)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    struct nd_operations *ops;
    struct call good = {.fn = succeed}, bad = {.fn = go_wrong};

    ND_TRY(nd_operations_new(b.host, &ops));
    good.ops = bad.ops = ops;
    ND_TRY(handle(&good));
    expect_code(handle(&bad), ND_INTERNAL);
    nd_operations_free(ops);
    bench_reopen(&b);
    ND_TRY(nd_operations_new(b.host, &ops));
    expect_state(ops, good.id, PB__OPERATION_STATE__OPERATION_STATE_SUCCEEDED, 0);
    expect_state(ops, bad.id, PB__OPERATION_STATE__OPERATION_STATE_FAILED, ND_INTERNAL);
    nd_operations_free(ops);
    return NULL;
}

IN_REAL_LOOP(cancelling_ends_the_work_and_says_so)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    struct call call = {.fn = work_for_ever};

    ND_TRY(nd_operations_new(b.host, &call.ops));
    {
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin_independent("calls", 0);

        ND_TRY(nd_group_spawn(group, handle, &call));
        while (call.id[0] == '\0')
            ND_TRY(nd_fiber_yield());
        ND_TRY(nd_fiber_yield());
        expect_state(call.ops, call.id, PB__OPERATION_STATE__OPERATION_STATE_RUNNING, 0);
        expect_code(nd_operation_delete(call.ops, call.id), ND_PRECONDITION);
        ND_TRY(nd_operation_cancel(call.ops, call.id));
        ND_TRY(nd_group_wait(group));
    }
    expect_state(call.ops, call.id, PB__OPERATION_STATE__OPERATION_STATE_FAILED, ND_CANCELLED);
    expect_code(nd_operation_cancel(call.ops, call.id), ND_PRECONDITION);
    ND_TRY(nd_operation_delete(call.ops, call.id));
    expect_code(nd_operation_delete(call.ops, call.id), ND_NOT_FOUND);
    nd_operations_free(call.ops);
    return NULL;
}

/* What a watcher was told. */
struct watcher {
    unsigned told;
    int64_t current; /* of the last progress */
};

static struct nd_error *
tell(void *arg, Pb__Operation *shown)
{
    struct watcher *w = arg;

    w->told++;
    if (shown->n_progress > 0)
        w->current = shown->progress[0]->current;
    return NULL;
}

struct watching {
    struct nd_operations *ops;
    const char *id;
    struct watcher w;
};

static struct nd_error *
watch_one(void *arg)
{
    struct watching *x = arg;

    return nd_operation_watch(x->ops, x->id, tell, &x->w);
}

IN_REAL_LOOP(a_watcher_sees_the_newest_state_and_the_end)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    Pb__Progress progress = PB__PROGRESS__INIT;
    struct nd_operation *op;
    struct watching x = {0};

    progress.id = (char *)"layer";
    ND_TRY(nd_operations_new(b.host, &x.ops));
    ND_TRY(nd_operation_begin(x.ops, &spec, &op));
    x.id = nd_operation_id(op);
    {
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("watchers", 0);

        ND_TRY(nd_group_spawn(group, watch_one, &x));
        ND_TRY(nd_fiber_yield());
        assert_int_equal(x.w.told, 1);
        for (progress.current = 1; progress.current <= 1000; progress.current++)
            nd_operation_progress(op, &progress);
        ND_TRY(nd_fiber_yield());
        assert_int_equal(x.w.told, 2); /* the states in between are left out */
        assert_int_equal(x.w.current, 1000);
        ND_TRY(nd_operation_end(op, NULL, NULL));
        ND_TRY(nd_group_wait(group));
    }
    assert_int_equal(x.w.told, 3);
    nd_operation_leavep(&op);
    nd_operations_free(x.ops);
    return NULL;
}

IN_REAL_LOOP(progress_of_a_thousand_things_stays_bounded)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    static char id[1000];
    Pb__Progress progress = PB__PROGRESS__INIT;
    struct nd_operations *ops;
    struct nd_operation *op;
    Pb__Operation *shown;

    ND_TRY(nd_operations_new(b.host, &ops));
    ND_TRY(nd_operation_begin(ops, &spec, &op));
    progress.id = id;
    for (int i = 0; i < 1000; i++) {
        memset(id, 'a', sizeof(id) - 1);
        (void)snprintf(id, 8, "%06d", i);
        id[6] = 'a';
        nd_operation_progress(op, &progress);
    }
    ND_TRY(nd_operation_get(ops, nd_operation_id(op), arena, &shown));
    assert_int_equal(shown->n_progress, ND_OPERATION_MAX_PROGRESS);
    assert_int_equal(strlen(shown->progress[0]->id), ND_OPERATION_MAX_ID_BYTES);
    nd_operation_leavep(&op);
    nd_operations_free(ops);
    return NULL;
}

IN_REAL_LOOP(so_many_may_run_and_no_more)
{
    ND_AUTO(bench_end) struct bench b = bench_begin();
    static struct nd_operation *all[ND_OPERATIONS_MAX_RUNNING];
    struct nd_operation *more = NULL;
    struct nd_operations *ops;

    ND_TRY(nd_operations_new(b.host, &ops));
    for (size_t i = 0; i < ND_LEN(all); i++)
        ND_TRY(nd_operation_begin(ops, &spec, &all[i]));
    expect_code(nd_operation_begin(ops, &spec, &more), ND_EXHAUSTED);
    for (size_t i = 0; i < ND_LEN(all); i++)
        nd_operation_leavep(&all[i]);
    nd_operations_free(ops);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_is_remembered_by_the_next_daemon),
        cmocka_unit_test(cancelling_ends_the_work_and_says_so),
        cmocka_unit_test(a_watcher_sees_the_newest_state_and_the_end),
        cmocka_unit_test(progress_of_a_thousand_things_stays_bounded),
        cmocka_unit_test(so_many_may_run_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
