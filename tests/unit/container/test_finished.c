/* Sessions that are over: each is remembered for its time, however many there are. */

#include "base/clock.h"
#include "container/limits.h"

#include "check.h"
#include "finished_priv.h"

#define MANY 5000u

static struct finished_session
session_of(unsigned number, int64_t until_ns)
{
    struct finished_session session = {
        .at = {number, 2}, .exit = {.code = number % 256}, .until_ns = until_ns};

    memcpy(session.name, &number, sizeof(number));
    return session;
}

static void
each_of_many_is_found_until_its_time_is_over(void **state)
{
    struct finished *f = nd_finished_new();

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        struct finished_session session = session_of(i, 30 * ND_SECOND + i);

        nd_finished_put(f, &session, i);
    }
    for (unsigned i = 0; i < MANY; i++) {
        struct finished_session session = session_of(i, 0);
        const struct finished_session *found = nd_finished_find(f, session.name, MANY);

        assert_non_null(found);
        assert_int_equal(found->exit.code, i % 256);
        assert_int_equal(found->at[0], i);
        assert_null(nd_finished_find(f, session.name, 30 * ND_SECOND + i));
    }
    nd_finished_free(f);
}

static void
one_that_ends_again_takes_its_own_place(void **state)
{
    struct finished *f = nd_finished_new();
    struct finished_session session = session_of(7, ND_SECOND);

    (void)state;
    nd_finished_put(f, &session, 0);
    session.exit.code = 9;
    session.until_ns = 2 * ND_SECOND;
    nd_finished_put(f, &session, 1);
    assert_int_equal(nd_finished_find(f, session.name, ND_SECOND)->exit.code, 9);
    nd_finished_free(f);
}

static void
the_oldest_give_way_beyond_the_limit(void **state)
{
    struct finished *f = nd_finished_new();

    (void)state;
    for (unsigned i = 0; i <= ND_FINISHED_MAX; i++) {
        struct finished_session session = session_of(i, ND_HOUR);

        nd_finished_put(f, &session, 0);
    }
    assert_null(nd_finished_find(f, session_of(0, 0).name, 0));
    assert_non_null(nd_finished_find(f, session_of(1, 0).name, 0));
    assert_non_null(nd_finished_find(f, session_of(ND_FINISHED_MAX, 0).name, 0));
    nd_finished_free(f);
}

static void
what_is_over_is_freed_when_another_one_ends(void **state)
{
    struct finished *f = nd_finished_new();
    struct finished_session old = session_of(1, ND_SECOND), young = session_of(2, 3 * ND_SECOND);

    (void)state;
    nd_finished_put(f, &old, 0);
    nd_finished_put(f, &young, 2 * ND_SECOND);
    assert_null(nd_finished_find(f, old.name, 0));
    assert_non_null(nd_finished_find(f, young.name, 0));
    nd_finished_free(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_of_many_is_found_until_its_time_is_over),
        cmocka_unit_test(one_that_ends_again_takes_its_own_place),
        cmocka_unit_test(the_oldest_give_way_beyond_the_limit),
        cmocka_unit_test(what_is_over_is_freed_when_another_one_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
