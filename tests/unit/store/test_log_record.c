/* Decoding records: the usual ones, unusual ones, broken ones; nothing of a neighbour is lost. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/random.h"
#include "store/log_record.h"

#define MAX_ENTRIES 64u

/* The decoder overwrites: it works on a copy of exactly the needed size. */
struct decoded {
    struct nd_log_decoded d;
    struct nd_log_entry entries[MAX_ENTRIES];
    char *copy;
};

static void
decode(struct nd_str text, struct decoded *ret)
{
    ret->copy = nd_calloc(1, text.len + ND_LOG_DECODE_PAD);
    memcpy(ret->copy, text.ptr, text.len);
    memset(ret->copy + text.len, '"', ND_LOG_DECODE_PAD); /* must not matter */
    nd_log_decode(ret->copy, text.len, ret->entries, MAX_ENTRIES, SIZE_MAX, &ret->d);
}

static void
one_line_gives_one_entry(void **state)
{
    static const struct {
        const char *line, *bytes;
        enum nd_log_stream stream;
        struct nd_wall at;
    } cases[] = {
        {"{\"log\":\"text\\n\",\"stream\":\"stdout\",\"time\":\"2024-01-02T03:04:05.123456789Z\"}"
         "\n",
         "text\n",
         ND_LOG_STDOUT,
         {1704164645, 123456789}},
        {"{\"log\":\"\",\"stream\":\"stderr\",\"time\":\"2024-01-02T03:04:05Z\"}\n",
         "",
         ND_LOG_STDERR,
         {1704164645, 0}},
        {"{\"log\":\"a\\tb\\\"c\\\\d\\/"
         "e\\b\\f\\r\",\"stream\":\"stdout\",\"time\":\"2024-01-02T03:04:05.5Z\"}\n",
         "a\tb\"c\\d/e\b\f\r",
         ND_LOG_STDOUT,
         {1704164645, 500000000}},
        {"{\"log\":\"\\u003ctag\\u003e \\u0026 \\u2028 \\ufffd \\u00e9 "
         "\\ud83d\\ude00\\n\",\"stream\":"
         "\"stdout\",\"time\":\"2024-01-02T03:04:05Z\"}\n",
         "<tag> & \xe2\x80\xa8 \xef\xbf\xbd \xc3\xa9 \xf0\x9f\x98\x80\n",
         ND_LOG_STDOUT,
         {1704164645, 0}},
        {"{\"log\":\"\\ud83d x \\ude00 \\ud83d\\u0041\",\"stream\":\"stdout\",\"time\":"
         "\"2024-01-02T03:04:05Z\"}\n",
         "\xef\xbf\xbd x \xef\xbf\xbd \xef\xbf\xbd"
         "A",
         ND_LOG_STDOUT,
         {1704164645, 0}},
        {" { \"time\" : \"2024-01-02T05:04:05.25+02:00\" , \"log\" : \"x\" , \"stream\" : "
         "\"stderr\" } \r\n",
         "x",
         ND_LOG_STDERR,
         {1704164645, 250000000}},
        {"{\"log\":\"x\",\"attrs\":{\"a\":[1,{\"b\":\"}\"}],\"c\":null},\"n\":-1.5e3,\"stream\":"
         "\"stderr\","
         "\"time\":\"2024-01-02T03:04:05Z\"}\n",
         "x",
         ND_LOG_STDERR,
         {1704164645, 0}},
        {"{\"log\":\"no time\\n\",\"stream\":\"stdout\"}\n", "no time\n", ND_LOG_STDOUT, {0, 0}},
        {"{\"log\":\"bad time\\n\",\"stream\":\"stderr\",\"time\":\"yesterday\"}\n",
         "bad time\n",
         ND_LOG_STDERR,
         {0, 0}},
        {"{\"log\":\"alone\"}\n", "alone", ND_LOG_STDOUT, {0, 0}},
        {"{\"stream\":\"stderr\",\"time\":\"2024-01-02T03:04:05Z\"}\n",
         "",
         ND_LOG_STDERR,
         {1704164645, 0}},
        {"{\"log\":\"raw \xff\xfe "
         "bytes\",\"stream\":\"stdout\",\"time\":\"2024-01-02T03:04:05Z\"}\n",
         "raw \xff\xfe bytes",
         ND_LOG_STDOUT,
         {1704164645, 0}},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct decoded got;

        decode(nd_str(cases[i].line), &got);
        if (got.d.n != 1 || !nd_str_eqz(got.entries[0].bytes, cases[i].bytes))
            print_error("case %zu: %zu entries, \"%.*s\"\n", i, got.d.n,
                        ND_STR_ARG(got.entries[0].bytes));
        assert_int_equal(got.d.n, 1);
        assert_int_equal(got.d.skipped, 0);
        assert_int_equal(got.d.consumed, strlen(cases[i].line));
        assert_true(nd_str_eqz(got.entries[0].bytes, cases[i].bytes));
        assert_int_equal(got.entries[0].stream, cases[i].stream);
        assert_int_equal(nd_wall_cmp(got.entries[0].at, cases[i].at), 0);
        nd_free(got.copy);
    }
}

#define GOOD(text) \
    "{\"log\":\"" text "\\n\",\"stream\":\"stdout\",\"time\":\"2024-01-02T03:04:05Z\"}\n"

static void
a_line_that_is_no_record_costs_itself_alone(void **state)
{
    static const char *const lines[] = {
        "\n",
        "garbage\n",
        "{}\n",
        "{\"a\":1}\n",
        "null\n",
        "{\"log\":\"torn\n",
        "{\"log\":\"torn\\\n",
        "{\"log\":\"torn\\u00\n",
        "{\"log\":\"bad \\x escape\"}\n",
        "{\"log\":\"x\",\"stream\":\"stdout\",\"time\":\"2024-01-02T03:04:05Z\"\n",
        "{\"log\":\"x\",\"stream\":\n",
        "{\"log\":\"x\" \"stream\":\"stdout\"}\n",
        "{\"log\":\"x\",}\n",
        "{\"log\n",
        "{\"log\":\"control \x01\"}\n",
        "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1\n",
        "\xff\xff\xff\xff\n",
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(lines); i++) {
        struct nd_buf text = ND_BUF_INIT(1 << 16);
        struct decoded got;

        nd_buf_putz(&text, GOOD("before"));
        nd_buf_putz(&text, lines[i]);
        nd_buf_putz(&text, GOOD("after"));
        decode(nd_buf_str(&text), &got);
        if (got.d.n != 2)
            print_error("case %zu\n", i);
        assert_int_equal(got.d.n, 2);
        assert_true(nd_str_eqz(got.entries[0].bytes, "before\n"));
        assert_true(nd_str_eqz(got.entries[1].bytes, "after\n"));
        assert_int_equal(got.d.skipped, strlen(lines[i]));
        assert_int_equal(got.d.consumed, text.len);
        nd_free(got.copy);
        nd_buf_fini(&text);
    }
}

static void
a_record_behind_a_torn_one_on_the_same_line_is_kept(void **state)
{
    static const char *const torn[] = {
        "{\"log\":\"to",
        "{\"log\":\"tor\\tn \\n",
        "{\"log\":\"torn\\",
        "{\"log\":\"torn\\n\",\"str",
        "{\"log\":\"torn\\n\",\"stream\":\"stdout\",\"time\":\"2024-01-02T03:04:",
        "{\"lo",
        "x",
        "{\"log\":\"a{\"log\":\"b",
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(torn); i++) {
        struct nd_buf text = ND_BUF_INIT(1 << 16);
        struct decoded got;

        nd_buf_putz(&text, torn[i]);
        nd_buf_putz(&text, GOOD("whole"));
        decode(nd_buf_str(&text), &got);
        if (got.d.n != 1)
            print_error("case %zu\n", i);
        assert_int_equal(got.d.n, 1);
        assert_true(nd_str_eqz(got.entries[0].bytes, "whole\n"));
        assert_int_equal(got.d.skipped, strlen(torn[i]));
        nd_free(got.copy);
        nd_buf_fini(&text);
    }
}

#define REST  ",\"stream\":\"stderr\",\"time\":\"2024-01-02T03:04:05Z\""
#define FFFD  "\xef\xbf\xbd"
#define WRONG "{\"log\":\"\\ufffd\\n\"" REST /* "\xff\n", so far */

/*
 * `raw` is what counts if the helper can have written it; anything else leaves the text as it is.
 */
static void
raw_is_taken_only_when_it_fits(void **state)
{
    static const struct {
        const char *line, *bytes;
    } cases[] = {
        {WRONG ",\"raw\":\"/wo=\"}\n", "\xff\n"},
        {"{\"log\":\"caf\\ufffd\"" REST ",\"raw\":\"Y2Fm6Q==\"}\n", "caf\xe9"},
        {"{\"log\":\"\\ufffd\\ufffd\\ufffd\"" REST ",\"raw\":\"//79\"}\n", "\xff\xfe\xfd"},
        {"{\"log\":\"\\ufffd\\ufffd\\ufffd\\n\"" REST ",\"raw\":\"//79Cg==\"}\n", "\xff\xfe\xfd\n"},

        /* In another place, in other clothes, among others. */
        {"{\"raw\":\"/wo=\",\"log\":\"\\ufffd\\n\"" REST "}\n", "\xff\n"},
        {"{ \"stream\" : \"stderr\" , \"raw\" : \"\\/wo\\u003d\" , \"log\" : \"" FFFD
         "\\n\" , \"time\":\"2024-01-02T03:04:05Z\" } \n",
         "\xff\n"},
        {WRONG ",\"a\":[{\"raw\":\"AAAA\"}],\"raw\":\"/wo=\",\"b\":\"x\"}\n", "\xff\n"},

        /* Twice: the last one, as with every key. */
        {WRONG ",\"raw\":\"/go=\",\"raw\":\"/wo=\"}\n", "\xff\n"},
        {WRONG ",\"raw\":\"!!!!\",\"raw\":\"/wo=\"}\n", "\xff\n"},
        {WRONG ",\"raw\":\"/wo=\",\"raw\":\"!!!!\"}\n", FFFD "\n"},

        /* No base64. */
        {WRONG ",\"raw\":\"\"}\n", FFFD "\n"},
        {WRONG ",\"raw\":\"=\"}\n", FFFD "\n"},
        {WRONG ",\"raw\":\"====\"}\n", FFFD "\n"},
        {WRONG ",\"raw\":\"/===\"}\n", FFFD "\n"},
        {WRONG ",\"raw\":\"/wo\"}\n", FFFD "\n"},
        {WRONG ",\"raw\":\"/wo==\"}\n", FFFD "\n"},
        {WRONG ",\"raw\":\"/=o=\"}\n", FFFD "\n"},
        {WRONG ",\"raw\":\"_wo=\"}\n", FFFD "\n"},
        {WRONG ",\"raw\":\" wo=\"}\n", FFFD "\n"},
        {WRONG ",\"raw\":\"/\xffo=\"}\n", FFFD "\n"},
        {WRONG ",\"raw\":\"/w\\u0000=\"}\n", FFFD "\n"},
        {WRONG ",\"raw\":\"/wp=\"}\n", FFFD "\n"}, /* bits behind the last byte */
        {WRONG ",\"raw\":\"/w=A\"}\n", FFFD "\n"},
        {WRONG ",\"raw\":\"gA=A/wo=\"}\n", FFFD "\n"},

        /* Not of this text: longer, or shorter than any of which it can be made. */
        {WRONG ",\"raw\":\"//////8K\"}\n", FFFD "\n"},
        {WRONG ",\"raw\":\"/w==\"}\n", FFFD "\n"},
        {"{\"log\":\"\"" REST ",\"raw\":\"/wo=\"}\n", ""},
        {"{\"stream\":\"stderr\",\"time\":\"2024-01-02T03:04:05Z\",\"raw\":\"/wo=\"}\n", ""},

        /* No text. */
        {WRONG ",\"raw\":null}\n", FFFD "\n"},
        {WRONG ",\"raw\":12345678}\n", FFFD "\n"},
        {WRONG ",\"raw\":[\"/wo=\"]}\n", FFFD "\n"},
        {WRONG ",\"raw\":{\"raw\":\"/wo=\"}}\n", FFFD "\n"},
        {WRONG ",\"raw\":\"/wo=\",\"raw\":7}\n", "\xff\n"},
        {WRONG ",\"Raw\":\"/wo=\"}\n", FFFD "\n"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct decoded got;

        decode(nd_str(cases[i].line), &got);
        if (got.d.n != 1 || !nd_str_eqz(got.entries[0].bytes, cases[i].bytes))
            print_error("case %zu: %s", i, cases[i].line);
        assert_int_equal(got.d.n, 1);
        assert_int_equal(got.d.skipped, 0);
        assert_true(nd_str_eqz(got.entries[0].bytes, cases[i].bytes));
        assert_int_equal(got.d.payload, strlen(cases[i].bytes));
        assert_int_equal(got.entries[0].stream, ND_LOG_STDERR);
        assert_int_equal(got.entries[0].at.sec, 1704164645);
        nd_free(got.copy);
    }
}

/* "raw" alone, or in a line that is torn, makes no record and costs no neighbour. */
static void
a_line_torn_in_its_raw_costs_itself_alone(void **state)
{
    static const char *const torn[] = {
        "{\"raw\":\"/wo=\"}\n",    WRONG ",\"raw\":\"/wo=\n",  WRONG ",\"raw\":\"/wo=\"\n",
        WRONG ",\"raw\":\n",       WRONG ",\"raw\":\"/w",      WRONG ",\"raw\":\"",
        WRONG ",\"raw\":\"/wo=\"", WRONG ",\"raw\":\"/wo=\",",
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(torn); i++) {
        struct nd_buf text = ND_BUF_INIT(1 << 16);
        struct decoded got;

        nd_buf_putz(&text, torn[i]);
        nd_buf_putz(&text, WRONG ",\"raw\":\"/wo=\"}\n");
        decode(nd_buf_str(&text), &got);
        if (got.d.n != 1)
            print_error("case %zu\n", i);
        assert_int_equal(got.d.n, 1);
        assert_true(nd_str_eqz(got.entries[0].bytes, "\xff\n"));
        assert_int_equal(got.d.skipped, strlen(torn[i]));
        nd_free(got.copy);
        nd_buf_fini(&text);
    }
}

static void
two_records_on_one_line_are_two(void **state)
{
    struct decoded got;

    (void)state;
    decode(ND_STR("{\"log\":\"a\"} {\"log\":\"b\",\"stream\":\"stderr\"}\n"), &got);
    assert_int_equal(got.d.n, 2);
    assert_true(nd_str_eqz(got.entries[0].bytes, "a"));
    assert_true(nd_str_eqz(got.entries[1].bytes, "b"));
    nd_free(got.copy);
}

static void
a_line_without_newline_is_left_alone(void **state)
{
    struct decoded got;
    const char *text = GOOD("whole") "{\"log\":\"the rest is being wri";

    (void)state;
    decode(nd_str(text), &got);
    assert_int_equal(got.d.n, 1);
    assert_int_equal(got.d.consumed, strlen(GOOD("whole")));
    assert_memory_equal(got.copy + got.d.consumed, "{\"log", 5);
    nd_free(got.copy);
}

static void
it_stops_at_either_maximum_between_two_records(void **state)
{
    char text[] = GOOD("one") GOOD("two")
        GOOD("three") "                                                                ";
    const size_t line = strlen(GOOD("one"));
    struct nd_log_entry entries[4];
    struct nd_log_decoded d;

    (void)state;
    nd_log_decode(text, 3 * line + 2, entries, 2, SIZE_MAX, &d);
    assert_int_equal(d.n, 2);
    assert_int_equal(d.consumed, 2 * line);
    nd_log_decode(text + d.consumed, line + 2, entries, 4, 1, &d);
    assert_int_equal(d.n, 1);
    assert_int_equal(d.payload, 6);
    nd_log_decode(text, 0, entries, 4, SIZE_MAX, &d);
    assert_int_equal(d.n + d.consumed, 0);
}

/* One random character, plain and in one of the forms that JSON has for it. */
static void
random_character(struct nd_buf *plain, struct nd_buf *json)
{
    uint32_t c = (uint32_t)(nd_random_u64() % 300);
    char utf8[3] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f)), 0};
    bool escape = nd_random_u64() % 4 == 0;

    if (c < 0x80)
        nd_buf_putc(plain, (char)c);
    else
        nd_buf_put(plain, nd_str_n(utf8, 2));
    if (c < 0x20 || c == '"' || c == '\\' || escape)
        nd_buf_printf(json, nd_random_u64() % 2 ? "\\u%04x" : "\\u%04X", c);
    else if (c < 0x80)
        nd_buf_putc(json, (char)c);
    else
        nd_buf_put(json, nd_str_n(utf8, 2));
}

static void
random_texts_come_back(void **state)
{
    (void)state;
    for (size_t round = 0; round < 2000; round++) {
        struct nd_buf plain[4], json = ND_BUF_INIT(1 << 20);
        struct decoded got;

        for (size_t i = 0; i < ND_LEN(plain); i++) {
            plain[i] = ND_BUF_INIT(1 << 20);
            nd_buf_putz(&json, "{\"log\":\"");
            for (size_t k = nd_random_u64() % 100; k > 0; k--)
                random_character(&plain[i], &json);
            nd_buf_putz(&json,
                        "\",\"stream\":\"stderr\",\"time\":\"2024-01-02T03:04:05.000000001Z\"}\n");
        }
        decode(nd_buf_str(&json), &got);
        assert_int_equal(got.d.n, ND_LEN(plain));
        for (size_t i = 0; i < ND_LEN(plain); i++) {
            assert_true(nd_str_eq(got.entries[i].bytes, nd_buf_str(&plain[i])));
            assert_int_equal(got.entries[i].at.nsec, 1);
            nd_buf_fini(&plain[i]);
        }
        nd_free(got.copy);
        nd_buf_fini(&json);
    }
}

static void
every_corruption_of_one_byte_leaves_the_others_readable(void **state)
{
    const char *const text =
        GOOD("first") GOOD("sec\\tond") WRONG ",\"raw\":\"/wo=\"}\n" GOOD("third");
    const size_t len = strlen(text), line = strlen(GOOD("first"));

    (void)state;
    for (size_t at = line; at < len - line; at++) {
        for (unsigned c = 0; c < 256; c += 1 + c % 3) {
            char *copy = nd_strndup(text, len);
            struct decoded got;

            copy[at] = (char)c;
            decode(nd_str_n(copy, len), &got);
            assert_true(got.d.n >= 3 && got.d.n <= 4);
            assert_true(nd_str_eqz(got.entries[0].bytes, "first\n"));
            assert_true(nd_str_eqz(got.entries[got.d.n - 1].bytes, "third\n"));
            assert_int_equal(got.d.consumed, len);
            nd_free(got.copy);
            nd_free(copy);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_gives_one_entry),
        cmocka_unit_test(a_line_that_is_no_record_costs_itself_alone),
        cmocka_unit_test(a_record_behind_a_torn_one_on_the_same_line_is_kept),
        cmocka_unit_test(raw_is_taken_only_when_it_fits),
        cmocka_unit_test(a_line_torn_in_its_raw_costs_itself_alone),
        cmocka_unit_test(two_records_on_one_line_are_two),
        cmocka_unit_test(a_line_without_newline_is_left_alone),
        cmocka_unit_test(it_stops_at_either_maximum_between_two_records),
        cmocka_unit_test(random_texts_come_back),
        cmocka_unit_test(every_corruption_of_one_byte_leaves_the_others_readable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
