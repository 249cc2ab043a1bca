/*
 * Outcomes of operations: found by id and by request, listed in order, aborted by a crash,
 * forgotten.
 */

#include "fiber/in_loop.h"
#include "state/limits.h"
#include "state/outcomes.h"
#include "store/temp_dir.h"

static const struct nd_outcome running = {.id = "op-1",
                                          .method = "/nerdctl.v1.ImageService/Load",
                                          .ns = "default",
                                          .owner = "uid:0",
                                          .request = "",
                                          .object = "",
                                          .state = ND_OUTCOME_RUNNING,
                                          .begun_ms = 1000,
                                          .result_type = "",
                                          .message = "",
                                          .reason = ""};

static struct nd_error *
put(struct nd_ledger *ledger, const char *id, int64_t begun_ms, enum nd_outcome_state state)
{
    struct nd_outcome o = running;

    o.id = id;
    o.begun_ms = begun_ms;
    o.state = state;
    o.ended_ms = state == ND_OUTCOME_RUNNING ? 0 : begun_ms + 1;
    return nd_outcome_put(ledger, &o);
}

IN_REAL_LOOP(an_outcome_is_read_as_it_was_written)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_outcome o = running, got;
    struct nd_ledger *ledger;

    ND_TRY(nd_ledger_open(dir.path, &ledger));
    o.request = "r-1";
    o.digest = nd_str_n("\1\0\2", 3);
    ND_TRY(nd_outcome_put_and_wait(ledger, &o, true));
    o.state = ND_OUTCOME_SUCCEEDED;
    o.ended_ms = 2000;
    o.object = "a1";
    o.result_type = "nerdctl.v1.Image";
    o.result = nd_str_n("\0\1", 2);
    ND_TRY(nd_outcome_put_and_wait(ledger, &o, false));
    nd_ledger_close(ledger);

    ND_TRY(nd_ledger_open(dir.path, &ledger));
    ND_TRY(nd_outcome_by_request(ledger, "uid:0", "r-1", arena, &got));
    assert_string_equal(got.id, "op-1");
    assert_string_equal(got.method, o.method);
    assert_string_equal(got.object, "a1");
    assert_int_equal(got.state, ND_OUTCOME_SUCCEEDED);
    assert_int_equal(got.begun_ms, 1000);
    assert_int_equal(got.ended_ms, 2000);
    assert_true(nd_str_eq(got.digest, o.digest));
    assert_true(nd_str_eq(got.result, o.result));
    ND_TRY(nd_outcome_get(ledger, "op-1", arena, &got));
    assert_string_equal(got.result_type, "nerdctl.v1.Image");
    expect_code(nd_outcome_get(ledger, "op-2", arena, &got), ND_NOT_FOUND);
    expect_code(nd_outcome_by_request(ledger, "uid:1", "r-1", arena, &got), ND_NOT_FOUND);
    expect_code(nd_outcome_by_request(ledger, "uid:0", "", arena, &got), ND_NOT_FOUND);
    ND_TRY(nd_outcome_delete(ledger, "op-1"));
    expect_code(nd_outcome_get(ledger, "op-1", arena, &got), ND_NOT_FOUND);
    nd_ledger_close(ledger);
    return NULL;
}

IN_REAL_LOOP(a_crash_aborts_what_ran_and_frees_its_request_id)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_outcome o = running, got;
    struct nd_ledger *ledger;

    ND_TRY(nd_ledger_open(NULL, &ledger));
    o.request = "r-1";
    ND_TRY(nd_outcome_put(ledger, &o));
    ND_TRY(put(ledger, "op-2", 500, ND_OUTCOME_SUCCEEDED));
    ND_TRY(nd_outcomes_abort_running(ledger, 9000));
    ND_TRY(nd_outcome_get(ledger, "op-1", arena, &got));
    assert_int_equal(got.state, ND_OUTCOME_FAILED);
    assert_int_equal(got.code, ND_ABORTED);
    assert_string_equal(got.reason, "DAEMON_ENDED");
    assert_int_equal(got.ended_ms, 9000);
    expect_code(nd_outcome_by_request(ledger, "uid:0", "r-1", arena, &got), ND_NOT_FOUND);
    ND_TRY(nd_outcome_get(ledger, "op-2", arena, &got));
    assert_int_equal(got.state, ND_OUTCOME_SUCCEEDED);
    nd_ledger_close(ledger);
    return NULL;
}

IN_REAL_LOOP(pages_of_a_list_have_each_one_once_newest_first)
{
    static const char *const ids[] = {"a", "b", "c", "d", "e"};
    static const char *const newest_first[] = {"e", "d", "c", "b", "a"};
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_outcome_query query = {
        .ns = "", .owner = "", .before_begun_ms = INT64_MAX, .before_id = "", .max = 2};
    struct nd_ledger *ledger;
    size_t seen = 0, n;

    ND_TRY(nd_ledger_open(NULL, &ledger));
    for (size_t i = 0; i < ND_LEN(ids); i++)
        ND_TRY(put(ledger, ids[i], 1000 + (int64_t)(i / 2), ND_OUTCOME_SUCCEEDED));
    do {
        struct nd_outcome *page;

        ND_TRY(nd_outcomes_list(ledger, &query, arena, &page, &n));
        for (size_t i = 0; i < n; i++, seen++)
            assert_string_equal(page[i].id, newest_first[seen]);
        if (n > 0) {
            query.before_begun_ms = page[n - 1].begun_ms;
            query.before_id = page[n - 1].id;
        }
    } while (n > 0);
    assert_int_equal(seen, ND_LEN(ids));
    query.before_begun_ms = INT64_MAX;
    query.ns = "other";
    {
        struct nd_outcome *page;

        ND_TRY(nd_outcomes_list(ledger, &query, arena, &page, &n));
        assert_int_equal(n, 0);
    }
    nd_ledger_close(ledger);
    return NULL;
}

IN_REAL_LOOP(old_and_surplus_outcomes_are_forgotten_and_running_ones_never)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const int64_t day = ND_OUTCOMES_KEEP_NS / ND_MILLISECOND;
    struct nd_ledger *ledger;
    struct nd_outcome got;
    char id[16];

    ND_TRY(nd_ledger_open(NULL, &ledger));
    ND_TRY(put(ledger, "running", 1, ND_OUTCOME_RUNNING));
    ND_TRY(put(ledger, "old", 2, ND_OUTCOME_SUCCEEDED));
    for (unsigned i = 0; i <= ND_OUTCOMES_KEEP; i++) {
        (void)snprintf(id, sizeof(id), "n%05u", i);
        ND_TRY(put(ledger, id, day + i, ND_OUTCOME_SUCCEEDED));
    }
    ND_TRY(nd_outcomes_trim(ledger, day + 1000));
    ND_TRY(nd_outcome_get(ledger, "running", arena, &got));
    expect_code(nd_outcome_get(ledger, "old", arena, &got), ND_NOT_FOUND);
    expect_code(nd_outcome_get(ledger, "n00000", arena, &got), ND_NOT_FOUND);
    ND_TRY(nd_outcome_get(ledger, "n00001", arena, &got));
    nd_ledger_close(ledger);
    return NULL;
}

IN_REAL_LOOP(a_long_message_is_cut_between_characters)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    static char message[ND_OUTCOME_MAX_TEXT + 3];
    struct nd_outcome o = running, got;
    struct nd_ledger *ledger;

    memset(message, 'x', ND_OUTCOME_MAX_TEXT - 1);
    memcpy(message + ND_OUTCOME_MAX_TEXT - 1, "\xc3\xa4", 3);
    o.message = message;
    ND_TRY(nd_ledger_open(NULL, &ledger));
    ND_TRY(nd_outcome_put(ledger, &o));
    ND_TRY(nd_outcome_get(ledger, "op-1", arena, &got));
    assert_int_equal(strlen(got.message), ND_OUTCOME_MAX_TEXT - 1);
    nd_ledger_close(ledger);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_outcome_is_read_as_it_was_written),
        cmocka_unit_test(a_crash_aborts_what_ran_and_frees_its_request_id),
        cmocka_unit_test(pages_of_a_list_have_each_one_once_newest_first),
        cmocka_unit_test(old_and_surplus_outcomes_are_forgotten_and_running_ones_never),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
