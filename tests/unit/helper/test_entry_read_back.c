/* What the encoder writes, the decoder of the store gives back to the byte, whatever the bytes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/random.h"
#include "helper/entry.h"
#include "helper/limits.h"
#include "store/limits.h"
#include "store/log_record.h"

#define ENTRIES_MAX 4096u

_Static_assert(ND_ENTRY_SPACE(ND_LOGGER_PIECE_MAX) <= ND_LOG_RECORD_MAX,
               "the reader takes the longest line of the logger");

/*
 * Encode `bytes` as entries of at most `piece` bytes each; returns the length of the longest line.
 */
static size_t
encode_all(struct nd_str bytes, size_t piece, struct nd_buf *out)
{
    const struct nd_wall at = {.sec = 1704164645, .nsec = 123456789};
    char *src = nd_calloc(1, piece + ND_ENTRY_PAD), *dst = nd_calloc(1, ND_ENTRY_SPACE(piece));
    struct nd_entry_tail tail;
    size_t longest = 0;

    nd_entry_tail_init(&tail, "stderr", at);
    while (bytes.len > 0) {
        size_t n = ND_MIN(bytes.len, piece);
        char *end = dst;

        memcpy(src, bytes.ptr, n);
        bytes = nd_str_from(bytes, nd_entry_encode(nd_str_n(src, n), &tail, &end));
        assert_true((size_t)(end - dst) <= ND_ENTRY_SPACE(n));
        nd_buf_put(out, nd_str_n(dst, (size_t)(end - dst)));
        longest = ND_MAX(longest, (size_t)(end - dst));
    }
    nd_free(src);
    nd_free(dst);
    return longest;
}

static void
assert_reads_back(struct nd_str bytes, size_t piece)
{
    struct nd_buf lines = ND_BUF_INIT(64u << 20), back = ND_BUF_INIT(64u << 20);
    struct nd_log_entry *entries = nd_new_array(ENTRIES_MAX, struct nd_log_entry);
    struct nd_log_decoded d;
    size_t at = 0, total;

    assert_true(encode_all(bytes, piece, &lines) <= ND_LOG_RECORD_MAX);
    total = lines.len;
    nd_error_free(nd_buf_reserve(&lines, ND_LOG_DECODE_PAD));
    for (; at < total; at += d.consumed) {
        nd_log_decode(lines.ptr + at, total - at, entries, ENTRIES_MAX, SIZE_MAX, &d);
        assert_int_equal(d.skipped, 0);
        assert_true(d.consumed > 0);
        for (size_t i = 0; i < d.n; i++) {
            assert_int_equal(entries[i].stream, ND_LOG_STDERR);
            assert_int_equal(entries[i].at.nsec, 123456789);
            nd_buf_put(&back, entries[i].bytes);
        }
    }
    assert_int_equal(back.len, bytes.len);
    assert_memory_equal(back.ptr, bytes.ptr, bytes.len);
    nd_free(entries);
    nd_buf_fini(&lines);
    nd_buf_fini(&back);
}

static void
all_values_of_a_byte_come_back(void **state)
{
    char bytes[256];

    (void)state;
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    for (size_t piece = 1; piece <= sizeof(bytes); piece++)
        assert_reads_back(nd_str_n(bytes, sizeof(bytes)), piece);
}

static void
random_bytes_come_back_however_they_are_cut(void **state)
{
    char bytes[5000];

    (void)state;
    for (size_t i = 0; i < 300; i++) {
        nd_random(bytes, sizeof(bytes));
        assert_reads_back(nd_str_n(bytes, sizeof(bytes)), 1 + nd_random_u64() % 300);
    }
}

static void
text_with_one_wrong_byte_comes_back(void **state)
{
    char bytes[] = "gr\xc3\xbc\xc3\x9f \xe4\xb8\x96\xe7\x95\x8c <\xf0\x9f\x98\x80> \xef\xbf\xbd\n";

    (void)state;
    for (size_t at = 0; at + 1 < sizeof(bytes); at++) {
        for (unsigned c = 0; c < 256; c++) {
            char was = bytes[at];

            bytes[at] = (char)c;
            assert_reads_back(nd_str_n(bytes, sizeof(bytes) - 1), sizeof(bytes));
            bytes[at] = was;
        }
    }
}

/* The longest line there can be: each byte is wrong. */
static void
a_whole_piece_of_wrong_bytes_comes_back(void **state)
{
    char *bytes = nd_calloc(1, ND_LOGGER_PIECE_MAX);

    (void)state;
    memset(bytes, 0xff, ND_LOGGER_PIECE_MAX);
    for (size_t less = 0; less < 4; less++)
        assert_reads_back(nd_str_n(bytes, ND_LOGGER_PIECE_MAX - less), ND_LOGGER_PIECE_MAX);
    nd_free(bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_values_of_a_byte_come_back),
        cmocka_unit_test(random_bytes_come_back_however_they_are_cut),
        cmocka_unit_test(text_with_one_wrong_byte_comes_back),
        cmocka_unit_test(a_whole_piece_of_wrong_bytes_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
