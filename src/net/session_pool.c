/*
 * Small objects of nghttp2 sessions, kept for the next ones.
 *
 * A call is eight of them: the stream, its frames, their fields. A turn of many calls makes and
 * frees more than the few of each size that malloc keeps at hand, and then each costs ten times as
 * much. Blocks of the same size are in a list; how large one is, malloc knows:
 *
 *     lists[3]: a block of 48 to 63 bytes -> another -> ...      at most KEEP of them
 *
 * The sanitizer shall see each use after free, so with it nothing is kept.
 */

#include <malloc.h>

#include "base/alloc.h"

#include "session_priv.h"

#define STEP_BYTES ((size_t)16)
#define N_LISTS    33 /* up to 512 bytes */
#define KEEP       128u

#if defined(__SANITIZE_ADDRESS__)
#    define KEEPS_NONE 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define KEEPS_NONE 1
#    endif
#endif

struct free_block {
    struct free_block *next;
};

struct nd_session_pool {
    struct {
        struct free_block *first;
        unsigned n;
    } lists[N_LISTS]; /* each of blocks of so many steps and less than one more */
};

struct nd_session_pool *
nd_session_pool_new(void)
{
    return nd_new(struct nd_session_pool);
}

void
nd_session_pool_free(struct nd_session_pool *pool)
{
    if (pool == NULL)
        return;
    for (size_t i = 0; i < N_LISTS; i++) {
        while (pool->lists[i].first != NULL) {
            struct free_block *block = pool->lists[i].first;

            pool->lists[i].first = block->next;
            nd_free(block);
        }
    }
    nd_free(pool);
}

void *
nd_session_pool_take(struct nd_session_pool *pool, size_t size)
{
    size_t i = (size + STEP_BYTES - 1) / STEP_BYTES;
    struct free_block *block;

    if (i >= N_LISTS)
        return nd_realloc(NULL, size, 1);
    block = pool->lists[i].first;
    if (block == NULL)
        return nd_realloc(NULL, i, STEP_BYTES);
    pool->lists[i].first = block->next;
    pool->lists[i].n--;
    return block;
}

void
nd_session_pool_give(struct nd_session_pool *pool, void *ptr)
{
#ifdef KEEPS_NONE
    (void)pool;
#else
    size_t i = ptr != NULL ? malloc_usable_size(ptr) / STEP_BYTES : 0;
    struct free_block *block = ptr;

    if (i != 0 && i < N_LISTS && pool->lists[i].n < KEEP) {
        block->next = pool->lists[i].first;
        pool->lists[i].first = block;
        pool->lists[i].n++;
        return;
    }
#endif
    nd_free(ptr);
}
