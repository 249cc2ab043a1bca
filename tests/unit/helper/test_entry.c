/* The encoder against a slow one that is written from the description of the format. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/random.h"
#include "helper/entry.h"

#define TEXT_MAX 300u

static const struct nd_wall noon = {.sec = 1704164645, .nsec = 123456700};

/* The sequence at `p` by the definition of UTF-8, not by ranges of bytes as in the encoder. */
static size_t
reference_sequence(const unsigned char *p, size_t have, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t want = p[0] < 0x80       ? 1
                  : p[0] >> 5 == 6  ? 2
                  : p[0] >> 4 == 14 ? 3
                  : p[0] >> 3 == 30 ? 4
                                    : 0;
    uint32_t c = want == 1 ? p[0] : p[0] & (0x7fu >> want);

    if (want == 0 || want > have)
        return 0;
    for (size_t i = 1; i < want; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[want] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
        return 0;
    *ret = c;
    return want;
}

/* One digit after another, by the number of its bits from the front. */
static void
reference_base64(struct nd_buf *out, const unsigned char *p, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t bit = 0; bit < len * 8; bit += 6) {
        unsigned v = 0;

        for (size_t i = bit; i < bit + 6; i++)
            v = v << 1 | (i < len * 8 ? p[i / 8] >> (7 - i % 8) & 1u : 0);
        nd_buf_putc(out, digits[v]);
    }
    for (size_t i = len; i % 3 != 0; i++)
        nd_buf_putc(out, '=');
}

static void
reference_encode(struct nd_buf *out, const unsigned char *p, size_t len)
{
    bool broken = false;

    nd_buf_putz(out, "{\"log\":\"");
    for (size_t i = 0, n; i < len; i += n) {
        uint32_t c = 0;

        n = reference_sequence(p + i, len - i, &c);
        if (n == 0) {
            nd_buf_putz(out, "\\ufffd");
            n = 1;
            broken = true;
        } else if (c == '\n') {
            nd_buf_putz(out, "\\n");
        } else if (c == '\r') {
            nd_buf_putz(out, "\\r");
        } else if (c == '\t') {
            nd_buf_putz(out, "\\t");
        } else if (c == '\b') {
            nd_buf_putz(out, "\\b");
        } else if (c == '\f') {
            nd_buf_putz(out, "\\f");
        } else if (c == '"' || c == '\\') {
            nd_buf_printf(out, "\\%c", (char)c);
        } else if (c < 0x20 || c == '<' || c == '>' || c == '&' || c == 0x2028 || c == 0x2029) {
            nd_buf_printf(out, "\\u%04x", c);
        } else {
            nd_buf_put(out, nd_str_n(p + i, n));
        }
    }
    nd_buf_putz(out, "\",\"stream\":\"stderr\",\"time\":\"2024-01-02T03:04:05.1234567Z\"");
    if (broken) {
        nd_buf_putz(out, ",\"raw\":\"");
        reference_base64(out, p, len);
        nd_buf_putz(out, "\"");
    }
    nd_buf_putz(out, "}\n");
}

static void
assert_encodes_like_reference(const unsigned char *text, size_t len)
{
    char *src = nd_calloc(1, len + ND_ENTRY_PAD), *dst = nd_calloc(1, ND_ENTRY_SPACE(len)),
         *end = dst;
    struct nd_buf want = ND_BUF_INIT(1 << 20);
    const void *newline = memchr(text, '\n', len);
    size_t entry_len = newline != NULL ? (size_t)((const unsigned char *)newline + 1 - text) : len;
    struct nd_entry_tail tail;
    uint64_t entries, bytes;

    memcpy(src, text, len);
    memset(src + len, '"', ND_ENTRY_PAD); /* what is behind the text must not matter */
    nd_entry_tail_init(&tail, "stderr", noon);
    assert_int_equal(nd_entry_encode(nd_str_n(src, len), &tail, &end), entry_len);
    assert_true((size_t)(end - dst) <= ND_ENTRY_SPACE(len));

    reference_encode(&want, text, entry_len);
    assert_int_equal(end - dst, want.len);
    assert_memory_equal(dst, want.ptr, want.len);

    nd_entry_count(nd_str_n(dst, (size_t)(end - dst)), &entries, &bytes);
    assert_int_equal(entries, 1);
    assert_int_equal(bytes, entry_len);

    nd_buf_fini(&want);
    nd_free(src);
    nd_free(dst);
}

static void
known_texts_are_written_as_go_does(void **state)
{
    static const char *const texts[] = {
        "",
        "\n",
        "plain\n",
        "first\nsecond\n",
        "a <b> & \"c\" \\ d\n",
        "\t\r\b\f\x01\x1f\x7f\n",
        "\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\n",
        "gr\xc3\xbc\xc3\x9f \xe4\xb8\x96\xe7\x95\x8c \xf0\x9f\x98\x80\n",
        "\xff\xfe \xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xf0\x80\x80\x80\n",
        "cut \xe4\xb8",
        "cut \xf0\x9f\x98\nnext",
        "\xef\xbf\xbd\n",
        "0123456789abcdef",
        "0123456789abcde\n",
        "0123456789abcdef\n",
        "0123456789abcdef0123456789abcde\"",
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(texts); i++)
        assert_encodes_like_reference((const unsigned char *)texts[i], strlen(texts[i]));
}

/* Bytes that are not UTF-8 are there once more; a text that is has no second form. */
static void
only_what_is_not_utf8_is_there_twice(void **state)
{
    static const struct {
        const char *text, *log, *raw;
    } cases[] = {
        {"plain\n", "plain\\n", NULL},
        {"\xef\xbf\xbd\n", "\xef\xbf\xbd\\n", NULL},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", NULL},
        {"\xff\n", "\\ufffd\\n", "/wo="},
        {"\xff\xfe\xfd", "\\ufffd\\ufffd\\ufffd", "//79"},
        {"\x80", "\\ufffd", "gA=="},
        {"caf\xe9 <1>\n", "caf\\ufffd \\u003c1\\u003e\\n", "Y2Fm6SA8MT4K"},
        /* A character in two halves: each is broken by itself. */
        {"x\xe4\xb8", "x\\ufffd\\ufffd", "eOS4"},
        {"\x96y\n", "\\ufffdy\\n", "lnkK"},
        {"x\xf0\x9f\x98", "x\\ufffd\\ufffd\\ufffd", "ePCfmA=="},
        {"\xe2\x82\n\xac", "\\ufffd\\ufffd\\n", "4oIK"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        const size_t len = strlen(cases[i].text);
        char src[32 + ND_ENTRY_PAD] = {0}, dst[ND_ENTRY_SPACE(32)], *end = dst;
        struct nd_buf want = ND_BUF_INIT(1 << 10);
        struct nd_entry_tail tail;

        memcpy(src, cases[i].text, len);
        nd_entry_tail_init(&tail, "stdout", (struct nd_wall){.sec = 1704164645, .nsec = 0});
        nd_entry_encode(nd_str_n(src, len), &tail, &end);
        nd_buf_printf(&want,
                      "{\"log\":\"%s\",\"stream\":\"stdout\",\"time\":\"2024-01-02T03:04:05Z\"",
                      cases[i].log);
        if (cases[i].raw != NULL)
            nd_buf_printf(&want, ",\"raw\":\"%s\"", cases[i].raw);
        nd_buf_putz(&want, "}\n");
        assert_int_equal(end - dst, want.len);
        assert_memory_equal(dst, want.ptr, want.len);
        nd_buf_fini(&want);
    }
}

static void
random_bytes_are_written_as_go_does(void **state)
{
    static const char likely[] =
        "\n\"\\<>&\t\r abcdefghij\xe2\x80\xa8\xa9\xc3\xbc\xf0\x9f\x98\x80\xed";

    (void)state;
    for (size_t i = 0; i < 20000; i++) {
        unsigned char text[TEXT_MAX], control[TEXT_MAX];
        size_t len = nd_random_u64() % TEXT_MAX;

        nd_random(text, len);
        nd_random(control, len);
        for (size_t k = 0; k < len; k++) {
            if (control[k] < 200)
                text[k] = (unsigned char)likely[text[k] % (sizeof(likely) - 1)];
        }
        assert_encodes_like_reference(text, len);
    }
}

static void
every_byte_at_every_distance_from_the_end(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 40; len++) {
        for (unsigned c = 0; c < 256; c++) {
            unsigned char text[40];

            memset(text, 'x', sizeof(text));
            for (size_t at = 0; at < len; at += 7)
                text[at] = (unsigned char)c;
            assert_encodes_like_reference(text, len);
        }
    }
}

static void
the_tail_drops_trailing_zeros_of_the_time(void **state)
{
    struct nd_entry_tail tail;

    (void)state;
    nd_entry_tail_init(&tail, "stdout", (struct nd_wall){.sec = 1704164645, .nsec = 0});
    assert_string_equal(tail.text, "\",\"stream\":\"stdout\",\"time\":\"2024-01-02T03:04:05Z\"}\n");
    assert_int_equal(tail.len, strlen(tail.text));
}

static void
a_cut_off_sequence_is_told_from_a_broken_one(void **state)
{
    static const struct {
        const char *text;
        size_t want;
    } cases[] = {
        {"", 0},         {"abc", 0},          {"\xc3", 1},         {"a\xc3\xbc", 0},
        {"\xe4\xb8", 2}, {"\xe4", 1},         {"\xf0\x9f\x98", 3}, {"x\xf0\x9f\x98\x80", 0},
        {"\x80", 0},     {"\xbf\xbf\xbf", 0}, {"\xed\xa0", 0},     {"\xe0\x80", 0},
        {"\xc0", 0},     {"\xf5", 0},         {"\xf4\x90", 0},     {"\xf4\x8f\xbf", 3},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        size_t got = nd_entry_cut_off(nd_str(cases[i].text));

        if (got != cases[i].want)
            print_error("case %zu: %zu\n", i, got);
        assert_int_equal(got, cases[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_are_written_as_go_does),
        cmocka_unit_test(only_what_is_not_utf8_is_there_twice),
        cmocka_unit_test(random_bytes_are_written_as_go_does),
        cmocka_unit_test(every_byte_at_every_distance_from_the_end),
        cmocka_unit_test(the_tail_drops_trailing_zeros_of_the_time),
        cmocka_unit_test(a_cut_off_sequence_is_told_from_a_broken_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
