#ifndef HELPER_SPOOL_H
#define HELPER_SPOOL_H

/*
 * The last bytes of one output, with their offsets, for those who are attached. Nothing allocates.
 */

#include <sys/uio.h>

#include "base/defs.h"
#include "base/str.h"

struct spool {
    char *ring; /* `cap` bytes, page-aligned, the owner's */
    size_t cap;
    uint64_t start, end; /* offsets of the first byte that is there, and behind the last one */
    bool kept;           /* somebody wants it; else bytes are only counted */
    bool ended;          /* no more will come */
};

/* Begin or stop to keep what is put; what was there goes, and its memory with it. */
void spool_keep(struct spool *s, bool kept);

/* Add at the end; the oldest bytes go when it is full. */
void spool_put(struct spool *s, struct nd_str bytes);

/*
 * At most `max` bytes from an offset on, which is not before `start`: one or two pieces, whose
 * number is returned; none at the end.
 */
int spool_get(const struct spool *s, uint64_t offset, size_t max, struct iovec ret[2]);

#endif
