/* Any bytes in a log: no overrun, everything accounted for, whole lines only. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "store/log_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_ENTRIES 32u

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
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
    return 0;
}
