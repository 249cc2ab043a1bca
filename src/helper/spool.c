/*
 * A ring with offsets. While nobody is attached it takes no copy and has no memory: the kernel gets
 * the pages back, because there is a helper for each container and most are never attached to.
 */

#include "spool.h"

#include <string.h>
#include <sys/mman.h>

void
spool_keep(struct spool *s, bool kept)
{
    if (s->kept == kept)
        return;
    s->kept = kept;
    s->start = s->end;
    if (!kept)
        (void)madvise(s->ring, s->cap, MADV_DONTNEED);
}

void
spool_put(struct spool *s, struct nd_str bytes)
{
    if (!s->kept) {
        s->end += bytes.len;
        s->start = s->end;
        return;
    }
    while (bytes.len > 0) {
        size_t at = (size_t)(s->end % s->cap);
        size_t n = ND_MIN(bytes.len, s->cap - at);

        memcpy(s->ring + at, bytes.ptr, n);
        s->end += n;
        bytes = nd_str_from(bytes, n);
    }
    if (s->end - s->start > s->cap)
        s->start = s->end - s->cap;
}

int
spool_get(const struct spool *s, uint64_t offset, size_t max, struct iovec ret[2])
{
    size_t n = (size_t)ND_MIN(s->end - offset, (uint64_t)max);
    size_t at = (size_t)(offset % s->cap);
    size_t first = ND_MIN(n, s->cap - at);

    if (n == 0)
        return 0;
    ret[0] = (struct iovec){.iov_base = s->ring + at, .iov_len = first};
    ret[1] = (struct iovec){.iov_base = s->ring, .iov_len = n - first};
    return n > first ? 2 : 1;
}
