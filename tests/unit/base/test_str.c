/* Slices, UTF-8, and numbers from text. */

#include "base/alloc.h"
#include "base/str.h"

#include "check.h"

static void
slices_compare_by_bytes(void **state)
{
    (void)state;
    assert_true(nd_str_eq(ND_STR("abc"), nd_str_n("abcd", 3)));
    assert_true(nd_str_eq(ND_STR_NONE, ND_STR("")));
    assert_true(nd_str_eqz(ND_STR("abc"), "abc"));
    assert_true(nd_str_eqz(ND_STR_NONE, NULL));
    assert_true(nd_str_eq_nocase(ND_STR("aBc-1"), ND_STR("AbC-1")));
    assert_false(nd_str_eq_nocase(ND_STR("a["), ND_STR("a{")));
    assert_int_equal(nd_str_cmp(ND_STR("a"), ND_STR("ab")), -1);
    assert_int_equal(nd_str_cmp(ND_STR("b"), ND_STR("ab")), 1);
    assert_int_equal(nd_str_cmp(ND_STR("\xff"), ND_STR("a")), 1);
    assert_int_equal(nd_str_cmp(ND_STR_NONE, ND_STR("")), 0);
    assert_true(nd_str_starts(ND_STR("abc"), ND_STR("ab")));
    assert_true(nd_str_starts(ND_STR_NONE, ND_STR("")));
    assert_false(nd_str_starts(ND_STR("a"), ND_STR("ab")));
    assert_true(nd_str_ends(ND_STR("abc"), ND_STR("bc")));
    assert_false(nd_str_ends(ND_STR("bc"), ND_STR("abc")));
}

static void
searches_give_an_index(void **state)
{
    (void)state;
    assert_int_equal(nd_str_find(ND_STR("a:b:c"), ':'), 1);
    assert_int_equal(nd_str_rfind(ND_STR("a:b:c"), ':'), 3);
    assert_true(nd_str_find(ND_STR("abc"), ':') == SIZE_MAX);
    assert_true(nd_str_rfind(ND_STR_NONE, ':') == SIZE_MAX);
    assert_int_equal(nd_str_search(ND_STR("hello world"), ND_STR("o w")), 4);
    assert_int_equal(nd_str_search(ND_STR("x"), ND_STR("")), 0);
    assert_true(nd_str_search(ND_STR_NONE, ND_STR("x")) == SIZE_MAX);
}

static void
cuts_clamp_to_what_is_there(void **state)
{
    (void)state;
    assert_true(nd_str_eqz(nd_str_from(ND_STR("abc"), 1), "bc"));
    assert_int_equal(nd_str_from(ND_STR("abc"), 9).len, 0);
    assert_true(nd_str_eqz(nd_str_sub(ND_STR("abcdef"), 2, 2), "cd"));
    assert_true(nd_str_eqz(nd_str_sub(ND_STR("abc"), 1, SIZE_MAX), "bc"));
    assert_int_equal(nd_str_sub(ND_STR_NONE, 1, 1).len, 0);
    assert_true(nd_str_eqz(nd_str_trim(ND_STR(" \t\na b\v\f\r ")), "a b"));
    assert_int_equal(nd_str_trim(ND_STR("  ")).len, 0);
}

static void
pieces_are_cut_at_the_separator(void **state)
{
    static const struct {
        const char *in;
        const char *pieces; /* joined by '|' */
    } rows[] = {{"a,,b", "a||b|"}, {"", ""}, {"a", "a|"}, {",", "|"}, {"a,", "a|"}, {",a", "|a|"}};

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        struct nd_str rest = nd_str(rows[i].in);
        struct nd_str piece;
        char joined[32] = "";

        while (nd_str_next(&rest, ',', &piece)) {
            size_t len = strlen(joined);

            (void)snprintf(joined + len, sizeof(joined) - len, "%.*s|", ND_STR_ARG(piece));
        }
        assert_string_equal(joined, rows[i].pieces);
    }
}

static void
copies_are_checked(void **state)
{
    ND_AUTO(nd_freep) char *dup = nd_str_dup(nd_str_n("abcd", 3));
    char dst[4] = "xyz";

    (void)state;
    assert_string_equal(dup, "abc");
    check_message(nd_str_copy(dst, sizeof(dst), ND_STR("abcd"), "path"), ND_INVALID,
                  "path is longer than 3 bytes");
    check_message(nd_str_copy(dst, sizeof(dst), nd_str_n("a\0", 2), "path"), ND_INVALID, "NUL");
    assert_string_equal(dst, "xyz");
    check_ok(nd_str_copy(dst, sizeof(dst), ND_STR("abc"), "path"));
    assert_string_equal(dst, "abc");
    check_ok(nd_str_copy(dst, sizeof(dst), ND_STR_NONE, "path"));
    assert_string_equal(dst, "");
}

static void
utf8_is_recognised(void **state)
{
    static const struct {
        const char *text;
        bool ok;
    } rows[] = {
        {"", true},
        {"plain ascii text that is longer than a word", true},
        {"\x7f", true},
        {"\xc2\x80", true},
        {"\xdf\xbf", true},
        {"\xe0\xa0\x80", true},
        {"\xed\x9f\xbf", true},
        {"\xee\x80\x80", true},
        {"\xf0\x90\x80\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"12345678\xc3\xa4"
         "12345678",
         true},
        {"\x80", false},
        {"\xc0\x80", false},         /* overlong NUL */
        {"\xc1\xbf", false},         /* overlong */
        {"\xe0\x9f\xbf", false},     /* overlong */
        {"\xf0\x8f\xbf\xbf", false}, /* overlong */
        {"\xed\xa0\x80", false},     /* surrogates */
        {"\xed\xbf\xbf", false},
        {"\xf4\x90\x80\x80", false}, /* above U+10FFFF */
        {"\xf5\x80\x80\x80", false},
        {"\xff", false},
        {"\xc3", false}, /* cut off */
        {"\xe2\x82", false},
        {"\xf0\x9f\x98", false},
        {"\xc3(", false},
        {"\xe2\x82(", false},
        {"1234567\xc3", false},
        {"12345678\xff"
         "12345678",
         false},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        if (nd_str_is_utf8(nd_str(rows[i].text)) != rows[i].ok)
            fail_msg("row %zu", i);
    }
}

/*
 * The definition, character by character: for comparing. Length of the one at the front, 0: none.
 */
static size_t
slow_char(const unsigned char *p, size_t len)
{
    static const uint32_t least[] = {0, 1, 0x80, 0x800, 0x10000};
    uint32_t c = p[0];
    size_t size = c < 0x80 ? 1 : c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 0;

    if (size == 0 || size > len)
        return 0;
    c = size == 1 ? c : c & (0x7fu >> size);
    for (size_t k = 1; k < size; k++) {
        if ((p[k] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[k] & 0x3f);
    }
    return c < least[size] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : size;
}

static bool
slow_is_utf8(const unsigned char *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t size = slow_char(p + i, len - i);

        if (size == 0)
            return false;
        i += size;
    }
    return true;
}

static void
utf8_agrees_with_its_definition(void **state)
{
    static const unsigned char alphabet[] = {0x00, 0x01, 'a',  0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
                                             0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4};
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 200000; round++) {
        unsigned char text[24];
        size_t len;

        seed = seed * 1664525u + 1013904223u;
        len = (seed >> 8) % sizeof(text);
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1664525u + 1013904223u;
            text[i] = seed >> 30 != 0 ? 'a' : alphabet[(seed >> 8) % sizeof(alphabet)];
        }
        if (nd_str_is_utf8(nd_str_n(text, len)) != slow_is_utf8(text, len))
            fail_msg("round %d", round);
    }
}

static void
unsigned_numbers_are_exact(void **state)
{
    static const char *const bad[] = {"",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "0x1",
                                      "1a",
                                      "101",
                                      "1.0",
                                      "18446744073709551616",
                                      "99999999999999999999999"};
    uint64_t v = 7;

    (void)state;
    check_ok(nd_parse_u64(ND_STR("100"), 100, &v));
    assert_int_equal(v, 100);
    check_ok(nd_parse_u64(ND_STR("18446744073709551615"), UINT64_MAX, &v));
    assert_true(v == UINT64_MAX);
    check_ok(nd_parse_u64(ND_STR("000"), 0, &v));
    assert_int_equal(v, 0);
    v = 7;
    check_code(nd_parse_u64(ND_STR("5"), 4, &v), ND_INVALID);
    check_code(nd_parse_u64(ND_STR("18446744073709551616"), UINT64_MAX, &v), ND_INVALID);
    for (size_t i = 0; i < ND_LEN(bad); i++)
        check_row(i, bad[i], nd_parse_u64(nd_str(bad[i]), 100, &v), ND_INVALID);
    assert_int_equal(v, 7);
}

static void
signed_numbers_are_exact(void **state)
{
    int64_t v = 7;

    (void)state;
    check_ok(nd_parse_i64(ND_STR("-9223372036854775808"), INT64_MIN, INT64_MAX, &v));
    assert_true(v == INT64_MIN);
    check_ok(nd_parse_i64(ND_STR("9223372036854775807"), INT64_MIN, INT64_MAX, &v));
    assert_true(v == INT64_MAX);
    v = 7;
    check_code(nd_parse_i64(ND_STR("9223372036854775808"), INT64_MIN, INT64_MAX, &v), ND_INVALID);
    check_code(nd_parse_i64(ND_STR("-9223372036854775809"), INT64_MIN, INT64_MAX, &v), ND_INVALID);
    check_code(nd_parse_i64(ND_STR("-6"), -5, 5, &v), ND_INVALID);
    check_code(nd_parse_i64(ND_STR("6"), -5, 5, &v), ND_INVALID);
    check_code(nd_parse_i64(ND_STR("-"), -5, 5, &v), ND_INVALID);
    check_code(nd_parse_i64(ND_STR("--5"), -5, 5, &v), ND_INVALID);
    assert_int_equal(v, 7);
}

static void
octal_and_bool_are_exact(void **state)
{
    static const char *const bad[] = {"", "yes", "tRUE", "2", "true ", "TRue"};
    uint64_t v = 0;
    bool b = false;

    (void)state;
    check_ok(nd_parse_octal(ND_STR("0755"), 07777, &v));
    assert_int_equal(v, 0755);
    check_code(nd_parse_octal(ND_STR("8"), 07777, &v), ND_INVALID);
    check_code(nd_parse_octal(ND_STR("10000"), 07777, &v), ND_INVALID);
    check_ok(nd_parse_bool(ND_STR("True"), &b));
    assert_true(b);
    check_ok(nd_parse_bool(ND_STR("F"), &b));
    assert_false(b);
    for (size_t i = 0; i < ND_LEN(bad); i++)
        check_row(i, bad[i], nd_parse_bool(nd_str(bad[i]), &b), ND_INVALID);
}

static void
hex_is_lower_case(void **state)
{
    char text[9];

    (void)state;
    nd_hex(text, "\x00\xff\x1a\x9c", 4);
    assert_string_equal(text, "00ff1a9c");
    assert_true(nd_str_is_hex(ND_STR("00ff1a9c")));
    assert_false(nd_str_is_hex(ND_STR("0G")));
    assert_false(nd_str_is_hex(ND_STR("AF")));
    assert_false(nd_str_is_hex(ND_STR("")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_compare_by_bytes),
        cmocka_unit_test(searches_give_an_index),
        cmocka_unit_test(cuts_clamp_to_what_is_there),
        cmocka_unit_test(pieces_are_cut_at_the_separator),
        cmocka_unit_test(copies_are_checked),
        cmocka_unit_test(utf8_is_recognised),
        cmocka_unit_test(utf8_agrees_with_its_definition),
        cmocka_unit_test(unsigned_numbers_are_exact),
        cmocka_unit_test(signed_numbers_are_exact),
        cmocka_unit_test(octal_and_bool_are_exact),
        cmocka_unit_test(hex_is_lower_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
