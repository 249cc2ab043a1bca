/* RFC 3339 times at the edges of the calendar, and Go's durations. */

#include "base/clock.h"

#include "check.h"

static void
times_are_parsed(void **state)
{
    static const struct {
        const char *text;
        int64_t sec;
        int32_t nsec;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0, 0},
        {"1970-01-01T00:00:00.000000001Z", 0, 1},
        {"1969-12-31T23:59:59.5Z", -1, 500000000},
        {"0001-01-01T00:00:00Z", INT64_C(-62135596800), 0},
        {"0000-01-01T00:00:00Z", INT64_C(-62167219200), 0},
        {"0000-02-29T00:00:00Z", INT64_C(-62162121600), 0},
        {"9999-12-31T23:59:59.999999999Z", INT64_C(253402300799), 999999999},
        {"2000-02-29T12:00:00Z", 951825600, 0},
        {"2000-03-01T00:00:00Z", 951868800, 0},
        {"2024-02-29T00:00:00Z", 1709164800, 0},
        {"2026-01-02T03:04:05.123456789+02:30", 1767314045, 123456789},
        {"2026-01-02T03:04:05-08:00", 1767351845, 0},
        {"2026-01-02t03:04:05z", 1767323045, 0},
        {"2038-01-19T03:14:08Z", INT64_C(2147483648), 0},
        {"2026-12-31T23:59:59+23:59", 1798675259, 0},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        struct nd_wall at;

        check_row(i, rows[i].text, nd_wall_parse(nd_str(rows[i].text), &at), ND_OK);
        assert_int_equal(at.sec, rows[i].sec);
        assert_int_equal(at.nsec, rows[i].nsec);
    }
}

static void
broken_times_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "2026",
        "2026-01-02",
        "2026-01-02 03:04:05Z",
        "2026-01-02T03:04:05",
        "2026-13-02T03:04:05Z",
        "2026-00-02T03:04:05Z",
        "2026-02-29T03:04:05Z",
        "1900-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T23:60:00Z",
        "2026-01-02T23:59:60Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05.1234567890Z",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+0100",
        "2026-01-02T03:04:05ZZ",
        " 2026-01-02T03:04:05Z",
        "+026-01-02T03:04:05Z",
        "10000-01-01T00:00:00Z",
        "2026-1-02T03:04:05Z",
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        struct nd_wall at = {7, 7};

        check_row(i, rows[i], nd_wall_parse(nd_str(rows[i]), &at), ND_INVALID);
        assert_int_equal(at.sec, 7);
    }
    check_code(nd_wall_parse(ND_STR_NONE, &(struct nd_wall){0}), ND_INVALID);
    check_code(nd_wall_parse(ND_STR("2026-01-02T03:04:05Z\0"), &(struct nd_wall){0}), ND_INVALID);
}

static void
trailing_zeros_are_dropped(void **state)
{
    static const struct {
        struct nd_wall at;
        const char *text, *full;
    } rows[] = {
        {{0, 0}, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000000Z"},
        {{10, 0}, "1970-01-01T00:00:10Z", "1970-01-01T00:00:10.000000000Z"},
        {{10, 120000000}, "1970-01-01T00:00:10.12Z", "1970-01-01T00:00:10.120000000Z"},
        {{-1, 1}, "1969-12-31T23:59:59.000000001Z", "1969-12-31T23:59:59.000000001Z"},
        {{INT64_C(-62135596800), 0}, "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000000Z"},
        {{INT64_C(253402300800), 0}, "10000-01-01T00:00:00Z", "10000-01-01T00:00:00.000000000Z"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        char text[ND_RFC3339_SIZE];

        assert_int_equal(nd_wall_format(rows[i].at, text), strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
        assert_int_equal(nd_wall_format_full(rows[i].at, text), strlen(rows[i].full));
        assert_string_equal(text, rows[i].full);
    }
}

static void
the_ends_of_time_can_be_formatted(void **state)
{
    char text[ND_RFC3339_SIZE];

    (void)state;
    nd_wall_format_full((struct nd_wall){INT64_MIN, 999999999}, text);
    assert_string_equal(text, "-292277022657-01-27T08:29:52.999999999Z");
    nd_wall_format_full((struct nd_wall){INT64_MAX, 0}, text);
    assert_string_equal(text, "292277026596-12-04T15:30:07.000000000Z");
}

static void
format_and_parse_are_inverse_on_every_day(void **state)
{
    (void)state;
    for (int64_t day = -719528; day < 2932896; day += 13) {
        struct nd_wall at = {day * 86400 + day % 86400 * (day > 0),
                             (int32_t)((day & 0xffff) * 15000)};
        char text[ND_RFC3339_SIZE];
        struct nd_wall back;

        nd_wall_format(at, text);
        check_ok(nd_wall_parse(nd_str(text), &back));
        assert_int_equal(nd_wall_cmp(at, back), 0);
    }
}

static void
times_are_ordered_and_moved(void **state)
{
    struct nd_wall at = {100, 500000000};
    struct nd_wall moved;

    (void)state;
    moved = nd_wall_add(at, -600 * ND_MILLISECOND);
    assert_int_equal(moved.sec, 99);
    assert_int_equal(moved.nsec, 900000000);
    assert_int_equal(nd_wall_cmp(moved, at), -1);
    moved = nd_wall_add(at, 500 * ND_MILLISECOND);
    assert_int_equal(moved.sec, 101);
    assert_int_equal(moved.nsec, 0);
    assert_int_equal(nd_wall_cmp(moved, at), 1);
    moved = nd_wall_add((struct nd_wall){INT64_MAX - 1, 0}, INT64_MAX);
    assert_int_equal(moved.sec, INT64_MAX);
    moved = nd_wall_add((struct nd_wall){INT64_MIN + 1, 0}, INT64_MIN);
    assert_int_equal(moved.sec, INT64_MIN);
}

static void
the_monotonic_clock_does_not_go_back(void **state)
{
    struct nd_mono last = nd_mono_now();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct nd_mono now = nd_mono_now();

        assert_true(now.ns >= last.ns);
        last = now;
    }
    assert_true(nd_wall_now().sec > 1600000000);
}

static void
durations_are_parsed(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } rows[] = {
        {"0", 0},
        {"-0", 0},
        {"0s", 0},
        {"1ns", 1},
        {"1us", ND_MICROSECOND},
        {"1\xc2\xb5s", ND_MICROSECOND},
        {"1\xce\xbcs", ND_MICROSECOND},
        {"300ms", 300 * ND_MILLISECOND},
        {"-1.5h", -90 * ND_MINUTE},
        {"+5s", 5 * ND_SECOND},
        {"1h15m30.918273645s", ND_HOUR + 15 * ND_MINUTE + INT64_C(30918273645)},
        {".5s", 500 * ND_MILLISECOND},
        {"5.s", 5 * ND_SECOND},
        {"0.0000000000000000000001h", 0},
        {"0.333333333333333333333h", INT64_C(1199999999999)},
        {"9223372036854775807ns", INT64_MAX},
        {"-9223372036854775808ns", INT64_MIN},
        {"2562047h47m16.854775807s", INT64_MAX},
        {"1m1m", 2 * ND_MINUTE},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        int64_t ns = -1;

        check_row(i, rows[i].text, nd_duration_parse(nd_str(rows[i].text), &ns), ND_OK);
        assert_int_equal(ns, rows[i].ns);
    }
}

static void
broken_durations_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "-",
        "+",
        "1",
        "s",
        ".s",
        "-.",
        "1x",
        "1 s",
        " 1s",
        "1s ",
        "--1s",
        "1h-5m",
        "1.2.3s",
        "9223372036854775808ns",
        "-9223372036854775809ns",
        "99999999999999999999999h",
        "3000000h",
        "1e3s",
        "1sm",
        "0x1s",
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        int64_t ns = 5;

        check_row(i, rows[i], nd_duration_parse(nd_str(rows[i]), &ns), ND_INVALID);
        assert_int_equal(ns, 5);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_parsed),
        cmocka_unit_test(broken_times_are_refused),
        cmocka_unit_test(trailing_zeros_are_dropped),
        cmocka_unit_test(the_ends_of_time_can_be_formatted),
        cmocka_unit_test(format_and_parse_are_inverse_on_every_day),
        cmocka_unit_test(times_are_ordered_and_moved),
        cmocka_unit_test(the_monotonic_clock_does_not_go_back),
        cmocka_unit_test(durations_are_parsed),
        cmocka_unit_test(broken_durations_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
