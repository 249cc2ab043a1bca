/* The order of changes, and output in pieces: what fibers of this room do with one another. */

#include "base/alloc.h"
#include "container/limits.h"

#include "../fiber/in_loop.h"
#include "containers_priv.h"
#include "output_priv.h"

static struct nd_containers *
begin(void)
{
    struct nd_containers *cs;

    expect_ok(nd_containers_new(NULL, &cs));
    return cs;
}

struct worker {
    struct nd_containers *cs;
    const char *id;
    char *trace; /* of all */
    char mark;
};

static struct nd_error *
work(void *arg)
{
    struct worker *w = arg;
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;

    ND_TRY(nd_hold_lock(w->cs, "ns", w->id, &hold));
    w->trace[strlen(w->trace)] = w->mark;
    ND_TRY(nd_fiber_sleep(ND_SECOND));
    w->trace[strlen(w->trace)] = (char)(w->mark - 'a' + 'A');
    return NULL;
}

IN_LOOP(changes_of_one_container_come_one_after_the_other)
{
    ND_AUTO(nd_containers_freep) struct nd_containers *cs = begin();
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("test", 0);
    char trace[16] = "";
    struct worker workers[] = {{cs, "one", trace, 'a'}, {cs, "one", trace, 'b'}};

    for (size_t i = 0; i < ND_LEN(workers); i++)
        expect_ok(nd_group_spawn(group, work, &workers[i]));
    expect_ok(nd_group_wait(group));
    assert_string_equal(trace, "aAbB");
    return NULL;
}

IN_LOOP(changes_of_different_containers_do_not_wait)
{
    ND_AUTO(nd_containers_freep) struct nd_containers *cs = begin();
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("test", 0);
    char trace[16] = "";
    struct worker workers[] = {{cs, "one", trace, 'a'}, {cs, "two", trace, 'b'}};

    for (size_t i = 0; i < ND_LEN(workers); i++)
        expect_ok(nd_group_spawn(group, work, &workers[i]));
    expect_ok(nd_group_wait(group));
    assert_string_equal(trace, "abAB");
    return NULL;
}

IN_LOOP(waiting_for_a_lock_ends_with_the_deadline)
{
    ND_AUTO(nd_containers_freep) struct nd_containers *cs = begin();
    ND_AUTO(nd_hold_unlockp) struct hold *first = NULL;
    struct hold *second = NULL;

    expect_ok(nd_hold_lock(cs, "ns", "one", &first));
    {
        ND_DEADLINE_IN(ND_SECOND);
        expect_code(nd_hold_lock(cs, "ns", "one", &second), ND_DEADLINE);
    }
    assert_null(second);
    return NULL;
}

static struct nd_error *
cancelled_work(void *arg)
{
    struct worker *w = arg;
    struct hold *hold = NULL;

    expect_code(nd_hold_lock(w->cs, "ns", w->id, &hold), ND_CANCELLED);
    w->mark = 'x';
    return NULL;
}

IN_LOOP(a_cancelled_waiter_leaves_the_lock_to_others)
{
    ND_AUTO(nd_containers_freep) struct nd_containers *cs = begin();
    ND_AUTO(nd_hold_unlockp) struct hold *first = NULL;
    struct worker w = {cs, "one", NULL, 'a'};

    expect_ok(nd_hold_lock(cs, "ns", "one", &first));
    {
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("test", 0);

        expect_ok(nd_group_spawn(group, cancelled_work, &w));
        expect_ok(nd_fiber_yield());
        nd_group_cancel(group);
        expect_ok(nd_group_wait(group));
    }
    assert_int_equal(w.mark, 'x');
    nd_hold_unlock(ND_TAKE(first));
    expect_ok(nd_hold_lock(cs, "ns", "one", &first));
    return NULL;
}

struct user {
    struct nd_containers *cs;
    bool ended;
};

static struct nd_error *
use_for_a_while(void *arg)
{
    struct user *u = arg;
    ND_AUTO(nd_hold_unusep) struct hold *use = nd_hold_use(u->cs, "ns", "one");

    ND_TRY(nd_fiber_sleep(5 * ND_SECOND));
    u->ended = true;
    return NULL;
}

IN_LOOP(a_removal_waits_for_those_who_still_read_and_holds_up_nobody)
{
    ND_AUTO(nd_containers_freep) struct nd_containers *cs = begin();
    struct user users[2] = {{cs, false}, {cs, false}};
    char trace[16] = "";
    struct worker other = {cs, "one", trace, 'a'};
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("test", 0);
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;

    expect_ok(nd_group_spawn(group, use_for_a_while, &users[0]));
    expect_ok(nd_group_spawn(group, use_for_a_while, &users[1]));
    expect_ok(nd_group_spawn(group, work, &other));
    expect_ok(nd_fiber_yield());
    expect_ok(nd_hold_lock_unused(cs, "ns", "one", 60 * ND_SECOND, &hold));
    assert_true(users[0].ended && users[1].ended);
    assert_string_equal(trace, "aA"); /* it came and went long before */
    nd_hold_unlock(ND_TAKE(hold));
    expect_ok(nd_hold_lock_unused(cs, "ns", "one", 0, &hold)); /* nobody left: at once */
    return nd_group_wait(group);
}

IN_LOOP(a_removal_does_not_wait_for_ever_for_those_who_do_not_read)
{
    ND_AUTO(nd_containers_freep) struct nd_containers *cs = begin();
    struct user user = {cs, false};
    struct worker other = {cs, "one", (char[16]){""}, 'a'};
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("test", 0);
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    struct nd_mono begun = nd_loop_now();

    expect_ok(nd_group_spawn(group, use_for_a_while, &user));
    expect_ok(nd_fiber_yield());
    expect_ok(nd_hold_lock_unused(cs, "ns", "one", 2 * ND_SECOND, &hold));
    assert_false(user.ended);
    assert_true(nd_loop_now().ns - begun.ns >= 2 * ND_SECOND);
    /* It is a lock all the same. */
    expect_ok(nd_group_spawn(group, work, &other));
    expect_ok(nd_fiber_sleep(ND_SECOND));
    assert_string_equal(other.trace, "");
    nd_hold_unlock(ND_TAKE(hold));
    return nd_group_wait(group);
}

static struct nd_error *
lock_unused_until_cancelled(void *arg)
{
    struct worker *w = arg;
    struct hold *hold = NULL;

    expect_code(nd_hold_lock_unused(w->cs, "ns", w->id, 60 * ND_SECOND, &hold), ND_CANCELLED);
    w->mark = 0;
    return NULL;
}

IN_LOOP(waiting_for_readers_ends_with_cancelling)
{
    ND_AUTO(nd_containers_freep) struct nd_containers *cs = begin();
    struct user user = {cs, false};
    struct worker waiter = {cs, "one", NULL, 'a'};
    ND_AUTO(nd_group_endp) struct nd_group *users = nd_group_begin("users", 0);
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("test", 0);

    expect_ok(nd_group_spawn(users, use_for_a_while, &user));
    expect_ok(nd_group_spawn(group, lock_unused_until_cancelled, &waiter));
    expect_ok(nd_fiber_yield());
    nd_group_cancel(group);
    nd_group_end(ND_TAKE(group));
    assert_int_equal(waiter.mark, 0);
    return nd_group_wait(users);
}

/* Pieces as a sink got them: "1:abc|2:x|". */
struct pieces {
    struct nd_buf text;
    size_t n, largest;
    bool refuse;
};

static struct nd_error *
take_piece(void *arg, Pb__OutputStream stream, struct nd_str bytes)
{
    struct pieces *p = arg;

    if (p->refuse)
        return nd_error_new(ND_CANCELLED, "gone");
    p->n++;
    p->largest = ND_MAX(p->largest, bytes.len);
    if (p->text.len < 200)
        nd_buf_printf(&p->text, "%d:%.*s|", (int)stream, (int)ND_MIN(bytes.len, (size_t)40),
                      bytes.ptr);
    return NULL;
}

static const struct nd_log_entry entries[] = {
    {{"a\n", 2}, {1, 500000000}, ND_LOG_STDOUT},
    {{"b\n", 2}, {2, 0}, ND_LOG_STDOUT},
    {{"E\n", 2}, {3, 0}, ND_LOG_STDERR},
    {{"c", 1}, {4, 0}, ND_LOG_STDOUT},
};

IN_LOOP(records_of_one_stream_are_joined)
{
    struct pieces p = {.text = ND_BUF_INIT(4096)};
    const struct nd_output_sink sink = {.put = take_piece, .arg = &p};
    ND_AUTO(nd_output_freep) struct nd_output *out = nd_output_new(&sink, NULL);

    expect_ok(nd_output_add(out, entries, ND_LEN(entries)));
    expect_ok(nd_output_flush(out));
    expect_ok(nd_output_flush(out)); /* nothing is left */
    assert_string_equal(p.text.ptr, "1:a\nb\n|2:E\n|1:c|");
    nd_buf_fini(&p.text);
    return NULL;
}

IN_LOOP(times_and_details_stand_in_front_of_each_record)
{
    struct pieces p = {.text = ND_BUF_INIT(4096)};
    const struct nd_output_sink sink = {.put = take_piece, .arg = &p};
    const struct nd_output_format format = {.timestamps = true, .details = "k=v "};
    ND_AUTO(nd_output_freep) struct nd_output *out = nd_output_new(&sink, &format);

    expect_ok(nd_output_add(out, entries, 1));
    expect_ok(nd_output_flush(out));
    assert_string_equal(p.text.ptr, "1:1970-01-01T00:00:01.5Z k=v a\n|");
    nd_buf_fini(&p.text);
    return NULL;
}

IN_LOOP(no_piece_is_larger_than_its_limit)
{
    struct pieces p = {.text = ND_BUF_INIT(4096)};
    const struct nd_output_sink sink = {.put = take_piece, .arg = &p};
    ND_AUTO(nd_output_freep) struct nd_output *out = nd_output_new(&sink, NULL);
    ND_AUTO(nd_freep) char *bytes = nd_calloc(3 * ND_OUTPUT_MAX_BYTES, 1);
    const struct nd_log_entry large = {.bytes = {bytes, 3 * ND_OUTPUT_MAX_BYTES - 1},
                                       .stream = ND_LOG_STDERR};

    expect_ok(nd_output_add(out, entries, 1));
    expect_ok(nd_output_add(out, &large, 1));
    expect_ok(nd_output_flush(out));
    assert_int_equal(p.largest, ND_OUTPUT_MAX_BYTES);
    assert_int_equal(p.n, 4);
    nd_buf_fini(&p.text);
    return NULL;
}

IN_LOOP(a_sink_that_refuses_ends_it)
{
    struct pieces p = {.text = ND_BUF_INIT(4096), .refuse = true};
    const struct nd_output_sink sink = {.put = take_piece, .arg = &p};
    ND_AUTO(nd_output_freep) struct nd_output *out = nd_output_new(&sink, NULL);

    expect_code(nd_output_add(out, entries, ND_LEN(entries)), ND_CANCELLED);
    nd_buf_fini(&p.text);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_of_one_container_come_one_after_the_other),
        cmocka_unit_test(changes_of_different_containers_do_not_wait),
        cmocka_unit_test(waiting_for_a_lock_ends_with_the_deadline),
        cmocka_unit_test(a_cancelled_waiter_leaves_the_lock_to_others),
        cmocka_unit_test(a_removal_waits_for_those_who_still_read_and_holds_up_nobody),
        cmocka_unit_test(a_removal_does_not_wait_for_ever_for_those_who_do_not_read),
        cmocka_unit_test(waiting_for_readers_ends_with_cancelling),
        cmocka_unit_test(records_of_one_stream_are_joined),
        cmocka_unit_test(times_and_details_stand_in_front_of_each_record),
        cmocka_unit_test(no_piece_is_larger_than_its_limit),
        cmocka_unit_test(a_sink_that_refuses_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
