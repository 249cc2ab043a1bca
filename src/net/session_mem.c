/*
 * The memory of an nghttp2 session. Each has one block of 16 KiB from the beginning, for the frame
 * that it builds, and as our DATA does not pass through it (session_out.c), hardly more than its
 * first kilobyte is ever written. From the heap it would be a block that others have written
 * before, TLS buffers above all, so that ten thousand idle connections hold 160 MB of it. It gets
 * pages of its own, of which only those that are written exist. In front of it, on the first of
 * them, lies the session's own object:
 *
 *     | session, 3 KiB | frame: head . . . . . . . . . . . . . 16 KiB . . . |
 *     |<---------- first page ---------->|<- not there before a large frame |
 */

#include <sys/mman.h>

#include "base/alloc.h"

#include "session_priv.h"

#define PAGES_BYTES ((size_t)20 << 10)
#define HEAD_BYTES  ((size_t)3 << 10) /* at most: the rest of the first page is the block's */

enum { HEAD = 1, BLOCK = 2 };

static bool
take_pages(struct nd_pages *pages)
{
    void *ptr = mmap(NULL, PAGES_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (ptr == MAP_FAILED)
        return false;
    pages->ptr = ptr;
    return true;
}

/* Which of the two an address is; 0: neither, it is of the heap. */
static unsigned
part_of(const struct nd_pages *pages, const void *ptr)
{
    if ((pages->used & HEAD) != 0 && ptr == pages->ptr)
        return HEAD;
    if ((pages->used & BLOCK) != 0 && ptr == pages->ptr + pages->head)
        return BLOCK;
    return 0;
}

static void *
take_heap(struct nd_pages *pages, size_t size)
{
    if (pages->pool != NULL)
        return nd_session_pool_take(pages->pool, size);
    return nd_realloc(NULL, size, 1);
}

static void
give_heap(struct nd_pages *pages, void *ptr)
{
    if (pages->pool != NULL)
        nd_session_pool_give(pages->pool, ptr);
    else
        nd_free(ptr);
}

static void *
mem_malloc(size_t size, void *arg)
{
    struct nd_pages *pages = arg;

    if (size < ND_NET_FRAME_BLOCK || size > PAGES_BYTES - HEAD_BYTES ||
        (pages->used & BLOCK) != 0 || (pages->ptr == NULL && !take_pages(pages)))
        return take_heap(pages, size);
    pages->used |= BLOCK;
    return pages->ptr + pages->head;
}

static void
mem_free(void *ptr, void *arg)
{
    struct nd_pages *pages = arg;
    unsigned part = part_of(pages, ptr);

    if (part == 0) {
        give_heap(pages, ptr);
        return;
    }
    pages->used &= ~part;
    if (pages->used != 0)
        return;
    munmap(pages->ptr, PAGES_BYTES);
    pages->ptr = NULL;
    pages->head = 0;
}

/* The first object is the session. */
static void *
mem_calloc(size_t count, size_t size, void *arg)
{
    struct nd_pages *pages = arg;

    if (pages->ptr != NULL || count != 1 || size > HEAD_BYTES || !take_pages(pages))
        return nd_calloc(count, size);
    pages->head = (size + 15) / 16 * 16;
    pages->used = HEAD;
    return pages->ptr;
}

static void *
mem_realloc(void *ptr, size_t size, void *arg)
{
    if (ptr == NULL)
        return mem_malloc(size, arg);
    ND_INVARIANT(part_of(arg, ptr) == 0);
    return nd_realloc(ptr, size, 1);
}

nghttp2_mem
nd_session_mem(struct nd_pages *pages)
{
    return (nghttp2_mem){pages, mem_malloc, mem_free, mem_calloc, mem_realloc};
}
