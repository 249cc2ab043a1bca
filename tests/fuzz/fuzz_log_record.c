/*
 * Any bytes in a log: no overrun, everything accounted for, whole lines only. The same bytes as the
 * output of a container: what the helper makes of them is read back to the byte, however they are
 * cut. And the same bytes as the note of what a log has lost.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "helper/entry.h"
#include "store/log_record.h"
#include "wire/loss.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_ENTRIES 32u
#define LINES_MAX   ((size_t)256 << 20)

static void
read_as_log(const uint8_t *data, size_t size)
{
    char *copy = nd_calloc(1, size + ND_LOG_DECODE_PAD);
    struct nd_log_entry entries[MAX_ENTRIES];
    size_t at = 0;

    if (size > 0)
        memcpy(copy, data, size);
    for (;;) {
        struct nd_log_decoded d;
        size_t payload = 0;

        nd_log_decode(copy + at, size - at, entries, MAX_ENTRIES, 4096, &d);
        ND_INVARIANT(d.consumed <= size - at && d.skipped <= d.consumed && d.n <= MAX_ENTRIES);
        for (size_t i = 0; i < d.n; i++) {
            const char *ptr = entries[i].bytes.ptr;

            ND_INVARIANT(
                entries[i].bytes.len == 0 ||
                (ptr >= copy + at && ptr + entries[i].bytes.len <= copy + at + d.consumed));
            payload += entries[i].bytes.len;
        }
        ND_INVARIANT(payload == d.payload);
        at += d.consumed;
        if (d.consumed == 0)
            break;
    }
    ND_INVARIANT(memchr(copy + at, '\n', size - at) == NULL);
    nd_free(copy);
}

/* `bytes` as entries of at most `piece` bytes each. */
static void
encode(struct nd_str bytes, size_t piece, struct nd_buf *out)
{
    char *src = nd_calloc(1, piece + ND_ENTRY_PAD), *dst = nd_calloc(1, ND_ENTRY_SPACE(piece));
    struct nd_entry_tail tail;

    nd_entry_tail_init(&tail, "stderr", (struct nd_wall){.sec = 1704164645, .nsec = 120});
    while (bytes.len > 0) {
        size_t n = ND_MIN(bytes.len, piece), taken;
        char *end = dst;
        uint64_t entries, counted;

        memcpy(src, bytes.ptr, n);
        taken = nd_entry_encode(nd_str_n(src, n), &tail, &end);
        ND_INVARIANT(taken > 0 && taken <= n && (size_t)(end - dst) <= ND_ENTRY_SPACE(n));
        nd_entry_count(nd_str_n(dst, (size_t)(end - dst)), &entries, &counted);
        ND_INVARIANT(entries == 1 && counted >= 1);
        nd_buf_put(out, nd_str_n(dst, (size_t)(end - dst)));
        bytes = nd_str_from(bytes, taken);
    }
    nd_free(src);
    nd_free(dst);
}

static void
write_and_read_back(struct nd_str bytes, size_t piece)
{
    struct nd_buf lines = ND_BUF_INIT(LINES_MAX);
    struct nd_log_entry entries[MAX_ENTRIES];
    struct nd_log_decoded d;
    size_t total;

    encode(bytes, piece, &lines);
    total = lines.len;
    nd_error_free(nd_buf_reserve(&lines, ND_LOG_DECODE_PAD));
    for (size_t at = 0; at < total; at += d.consumed) {
        nd_log_decode(lines.ptr + at, total - at, entries, MAX_ENTRIES, SIZE_MAX, &d);
        ND_INVARIANT(d.skipped == 0 && d.consumed > 0);
        for (size_t i = 0; i < d.n; i++) {
            struct nd_str entry = entries[i].bytes;

            ND_INVARIANT(entries[i].stream == ND_LOG_STDERR && entries[i].at.nsec == 120);
            ND_INVARIANT(entry.len <= bytes.len && memcmp(entry.ptr, bytes.ptr, entry.len) == 0);
            bytes = nd_str_from(bytes, entry.len);
        }
    }
    ND_INVARIANT(bytes.len == 0);
    nd_buf_fini(&lines);
}

/* What is taken for a note is told in a line, and written again it is the same. */
static void
read_as_loss(struct nd_str bytes)
{
    struct nd_wire_loss loss, again;
    char note[ND_WIRE_LOSS], text[ND_WIRE_LOSS_TEXT];
    size_t len;

    if (!nd_wire_get_loss(bytes, &loss))
        return;
    len = nd_wire_loss_text(&loss, text);
    ND_INVARIANT(len < sizeof(text) && text[len - 1] == '\n');
    nd_wire_put_loss(note, &loss);
    ND_INVARIANT(nd_wire_get_loss(nd_str_n(note, sizeof(note)), &again));
    ND_INVARIANT(again.entries == loss.entries && again.bytes == loss.bytes &&
                 again.why == loss.why);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_as_log(data, size);
    read_as_loss(nd_str_n((const char *)data, size));
    if (size > 0)
        write_and_read_back(nd_str_n(data + 1, size - 1), 1 + data[0]);
    return 0;
}
