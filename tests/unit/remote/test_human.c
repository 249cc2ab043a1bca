/* Ages, sizes and ids read as nerdctl's. */

#include "remote/human.h"

#include "check.h"

static void
ages_change_their_unit_where_docker_does(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {
        {-5, "Less than a second"},
        {0, "Less than a second"},
        {1, "1 second"},
        {2, "2 seconds"},
        {59, "59 seconds"},
        {60, "About a minute"},
        {119, "About a minute"},
        {120, "2 minutes"},
        {59 * 60 + 59, "59 minutes"},
        {3600, "About an hour"},
        {89 * 60, "About an hour"},
        {90 * 60, "2 hours"},
        {47 * 3600, "47 hours"},
        {47 * 3600 + 1800, "2 days"},
        {48 * 3600, "2 days"},
        {13 * 86400, "13 days"},
        {14 * 86400, "2 weeks"},
        {59 * 86400, "8 weeks"},
        {60 * 86400, "2 months"},
        {729 * 86400, "24 months"},
        {730 * 86400, "2 years"},
        {INT64_C(100) * 365 * 86400, "100 years"},
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++)
        assert_string_equal(nd_human_age(arena, cases[i].seconds * ND_SECOND), cases[i].text);
}

static void
ages_of_any_time_are_computed(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_wall now = {1767323045, 500};

    (void)state;
    assert_string_equal(nd_human_since(arena, (struct nd_wall){1767323040, 0}, now), "5 seconds");
    assert_string_equal(nd_human_since(arena, (struct nd_wall){1767323999, 0}, now),
                        "Less than a second");
    assert_non_null(strstr(nd_human_since(arena, (struct nd_wall){INT64_MIN, 0}, now), "years"));
    assert_string_equal(nd_human_since(arena, (struct nd_wall){INT64_MAX, 0}, now),
                        "Less than a second");
}

static void
sizes_have_their_digits(void **state)
{
    static const struct {
        int64_t bytes;
        const char *three, *four, *binary, *wide;
    } cases[] = {
        {0, "0B", "0B", "0B", "0.0 B"},
        {999, "999B", "999B", "999B", "999.0 B"},
        {1000, "1kB", "1kB", "1000B", "1000.0 B"},
        {1024, "1.02kB", "1.024kB", "1KiB", "1.0 KiB"},
        {999600, "1e+03kB", "999.6kB", "976.2KiB", "976.2 KiB"},
        {7812345, "7.81MB", "7.812MB", "7.45MiB", "7.5 MiB"},
        {2096000000, "2.1GB", "2.096GB", "1.952GiB", "2.0 GiB"},
        {INT64_MAX, "9.22EB", "9.223EB", "8EiB", "8.0 EiB"},
        {-1, "-1B", "-1B", "-1B", "-1.0 B"},
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        assert_string_equal(nd_human_decimal(arena, cases[i].bytes, 3), cases[i].three);
        assert_string_equal(nd_human_decimal(arena, cases[i].bytes, 4), cases[i].four);
        assert_string_equal(nd_human_binary(arena, cases[i].bytes), cases[i].binary);
        assert_string_equal(nd_human_binary_wide(arena, cases[i].bytes), cases[i].wide);
    }
}

static void
ids_lose_algorithm_and_tail(void **state)
{
    (void)state;
    assert_true(nd_str_eqz(nd_human_id(ND_STR("sha256:0123456789abcdef"), false), "0123456789ab"));
    assert_true(nd_str_eqz(nd_human_id(ND_STR("0123456789abcdef"), false), "0123456789ab"));
    assert_true(nd_str_eqz(nd_human_id(ND_STR("sha256:01"), true), "sha256:01"));
    assert_true(nd_str_eqz(nd_human_id(ND_STR("01"), false), "01"));
    assert_true(nd_str_eqz(nd_human_id(ND_STR(""), false), ""));
}

static void
long_texts_get_an_ellipsis(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    assert_true(nd_str_eqz(nd_human_cut(arena, ND_STR("12345678901234567890"), 20),
                           "12345678901234567890"));
    assert_true(nd_str_eqz(nd_human_cut(arena, ND_STR("123456789012345678901"), 20),
                           "1234567890123456789\xe2\x80\xa6"));
    assert_true(nd_str_eqz(nd_human_cut(arena, ND_STR("\xc3\xa4\xc3\xb6\xc3\xbc"), 3),
                           "\xc3\xa4\xc3\xb6\xc3\xbc"));
    assert_true(nd_str_eqz(nd_human_cut(arena, ND_STR("\xc3\xa4\xc3\xb6\xc3\xbc"), 2),
                           "\xc3\xa4\xe2\x80\xa6"));
    assert_true(nd_str_eqz(nd_human_cut(arena, ND_STR(""), 2), ""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ages_change_their_unit_where_docker_does),
        cmocka_unit_test(ages_of_any_time_are_computed),
        cmocka_unit_test(sizes_have_their_digits),
        cmocka_unit_test(ids_lose_algorithm_and_tail),
        cmocka_unit_test(long_texts_get_an_ellipsis),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
