/*
 * The memory of an nghttp2 session. Each has one block of 16 KiB from the beginning, for the frame that
 * it builds, and as our DATA does not pass through it (session_out.c), hardly more than its first page
 * is ever written. From the heap it would be a block that others have written before, TLS buffers
 * above all, so that ten thousand idle connections hold 160 MB of it. It gets pages of its own, of which
 * only those that are written exist.
 */

#include <sys/mman.h>

#include "base/alloc.h"

#include "session_priv.h"

static void *
take_pages(struct nd_pages *pages, size_t size)
{
    void *ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (ptr == MAP_FAILED)
        return NULL;
    *pages = (struct nd_pages){ptr, size};
    return ptr;
}

static void *
mem_malloc(size_t size, void *arg)
{
    struct nd_pages *pages = arg;
    void *ptr = NULL;

    if (size >= ND_NET_FRAME_BLOCK && pages->ptr == NULL)
        ptr = take_pages(pages, size);
    return ptr != NULL ? ptr : nd_realloc(NULL, size, 1);
}

static void
mem_free(void *ptr, void *arg)
{
    struct nd_pages *pages = arg;

    if (ptr == NULL || ptr != pages->ptr) {
        nd_free(ptr);
        return;
    }
    munmap(pages->ptr, pages->size);
    *pages = (struct nd_pages){0};
}

static void *
mem_calloc(size_t count, size_t size, void *arg)
{
    (void)arg;
    return nd_calloc(count, size);
}

static void *
mem_realloc(void *ptr, size_t size, void *arg)
{
    struct nd_pages *pages = arg;

    if (ptr == NULL)
        return mem_malloc(size, arg);
    ND_INVARIANT(ptr != pages->ptr);
    return nd_realloc(ptr, size, 1);
}

nghttp2_mem
nd_session_mem(struct nd_pages *pages)
{
    return (nghttp2_mem){pages, mem_malloc, mem_free, mem_calloc, mem_realloc};
}
