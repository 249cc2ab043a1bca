/*
 * Bump allocation in blocks.
 *
 *     arena ──► newest block ──► ... ──► first block        deferred: newest ──► ... ──► oldest
 *               [header|used|free   ]    [header|used|free]
 *
 * Blocks double from 512 bytes to 256 KiB; what does not fit gets a block of its own size. The
 * first block is made when it is needed, so an idle arena costs one small object, and the call of a
 * parked stream little more. One block of up to 4 KiB stays on reset, so a stream that resets per
 * message does not go back to the heap each time. The maximum counts what was taken from the heap,
 * headers included, because that is what hurts.
 *
 * Under AddressSanitizer everything that is not handed out is poisoned and 16 bytes stay between
 * neighbours, so an overrun and a use after release are reported at once. Other debug builds fill
 * released blocks with a pattern.
 */

#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

#if defined(__SANITIZE_ADDRESS__)
#    define ARENA_ASAN 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define ARENA_ASAN 1
#    endif
#endif

#ifdef ARENA_ASAN
#    include <sanitizer/asan_interface.h>
#    define POISON(ptr, len)   ASAN_POISON_MEMORY_REGION((ptr), (len))
#    define UNPOISON(ptr, len) ASAN_UNPOISON_MEMORY_REGION((ptr), (len))
#    define GAP                16
#    define BYTE_ALIGN         8 /* it cannot poison what lies closer */
#else
#    define POISON(ptr, len)   ((void)0)
#    define UNPOISON(ptr, len) ((void)0)
#    define GAP                0
#    define BYTE_ALIGN         1
#endif

#define ALIGN       alignof(max_align_t)
#define FIRST_BLOCK ((size_t)512)
#define KEEP_BLOCK  ((size_t)4096)
#define MAX_BLOCK   ((size_t)256 * 1024)

struct block {
    struct block *older;
    size_t cap; /* bytes in data */
    size_t used;
    alignas(max_align_t) char data[];
};

struct deferred {
    struct deferred *older;
    void (*free_fn)(void *ptr);
    void *ptr;
};

/* A heap object that came ready-made. */
struct adopted {
    struct adopted *older;
    void *ptr;
    size_t bytes; /* counted in used_bytes */
};

struct nd_arena {
    struct block *newest;
    struct deferred *deferred; /* in the arena itself */
    struct adopted *adopted;   /* and these */
    size_t max_bytes;
    size_t used_bytes; /* of the heap */
    size_t next_block; /* size of the next block, header included */
};

struct nd_arena *
nd_arena_new(size_t max_bytes)
{
    struct nd_arena *arena = nd_new(struct nd_arena);

    arena->max_bytes = max_bytes > 0 ? max_bytes : SIZE_MAX;
    arena->next_block = FIRST_BLOCK;
    return arena;
}

/*
 * Run what was deferred, then let all blocks go but, for the next use, the largest that may stay.
 */
static void
release(struct nd_arena *arena, bool keep)
{
    struct block *kept = NULL;

    while (arena->deferred != NULL) {
        struct deferred *d = arena->deferred;

        arena->deferred = d->older;
        d->free_fn(d->ptr);
    }
    while (arena->adopted != NULL) {
        struct adopted *a = arena->adopted;

        arena->adopted = a->older;
        arena->used_bytes -= a->bytes;
        nd_free(a->ptr);
    }
    while (arena->newest != NULL) {
        struct block *b = arena->newest;

        arena->newest = b->older;
        if (keep && kept == NULL && b->cap <= KEEP_BLOCK) {
            kept = b;
            continue;
        }
        arena->used_bytes -= sizeof(*b) + b->cap;
        UNPOISON(b->data, b->cap);
        nd_free(b);
    }
    if (kept != NULL)
        kept->older = NULL;
    arena->newest = kept;
}

void
nd_arena_free(struct nd_arena *arena)
{
    if (arena == NULL)
        return;
    release(arena, false);
    nd_free(arena);
}

void
nd_arena_freep(struct nd_arena **arena)
{
    nd_arena_free(*arena);
}

void
nd_arena_reset(struct nd_arena *arena)
{
    struct block *kept;

    release(arena, true);
    arena->next_block = FIRST_BLOCK;
    kept = arena->newest;
    if (kept == NULL)
        return;
#ifndef NDEBUG
    UNPOISON(kept->data, kept->cap);
    memset(kept->data, 0xdd, kept->used);
#endif
    POISON(kept->data, kept->cap);
    kept->used = 0;
    arena->next_block = (sizeof(*kept) + kept->cap) * 2;
}

size_t
nd_arena_used(const struct nd_arena *arena)
{
    return arena->used_bytes;
}

/* A block with room for `need` bytes, or NULL when the maximum would be passed. */
static struct block *
add_block(struct nd_arena *arena, size_t need)
{
    size_t left = arena->max_bytes - arena->used_bytes;
    struct block *b;
    size_t size;

    if (left < sizeof(*b) || need > left - sizeof(*b))
        return NULL;
    size = ND_MIN(ND_MAX(arena->next_block, sizeof(*b) + need), left);

    b = nd_realloc(NULL, 1, size);
    b->cap = size - sizeof(*b);
    b->used = 0;
    b->older = arena->newest;
    POISON(b->data, b->cap);
    arena->newest = b;
    arena->used_bytes += size;
    arena->next_block = ND_MIN(arena->next_block * 2, MAX_BLOCK);
    return b;
}

/* `align` is a power of two. */
static void *
bump(struct nd_arena *arena, size_t size, size_t align)
{
    struct block *b = arena->newest;
    size_t at = b != NULL ? (b->used + align - 1) & ~(align - 1) : 0;
    void *ptr;

    if (size > SIZE_MAX / 2)
        return NULL;
    size = size > 0 ? size : 1;
    if (b == NULL || at > b->cap || size + GAP > b->cap - at) {
        b = add_block(arena, size + GAP);
        at = 0;
    }
    if (b == NULL)
        return NULL;

    ptr = b->data + at;
    b->used = at + size + GAP;
    UNPOISON(ptr, size);
    return ptr;
}

void *
nd_arena_try(struct nd_arena *arena, size_t size)
{
    return bump(arena, size, ALIGN);
}

void *
nd_arena_try_bytes(struct nd_arena *arena, size_t size)
{
    return bump(arena, size, BYTE_ALIGN);
}

void *
nd_arena_alloc(struct nd_arena *arena, size_t size)
{
    void *ptr = nd_arena_try(arena, size);

    ND_INVARIANT(ptr != NULL);
    return memset(ptr, 0, size);
}

char *
nd_arena_strdup(struct nd_arena *arena, const char *text)
{
    return nd_arena_str(arena, nd_str(text));
}

char *
nd_arena_str(struct nd_arena *arena, struct nd_str text)
{
    char *copy;

    ND_INVARIANT(text.len < SIZE_MAX);
    copy = nd_arena_try_bytes(arena, text.len + 1);
    ND_INVARIANT(copy != NULL);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

/* The length of the formatted text, which goes to `dst` as far as it fits. */
static size_t __attribute__((__format__(__printf__, 3, 0)))
format(char *dst, size_t size, const char *fmt, va_list args)
{
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the caller has started it */
    int len = vsnprintf(dst, size, fmt, args);

    ND_INVARIANT(len >= 0);
    return (size_t)len;
}

char *
nd_arena_printf(struct nd_arena *arena, const char *fmt, ...)
{
    va_list args;
    size_t len;
    char *text;

    va_start(args, fmt);
    len = format(NULL, 0, fmt, args);
    va_end(args);

    text = nd_arena_alloc(arena, len + 1);
    va_start(args, fmt);
    (void)format(text, len + 1, fmt, args);
    va_end(args);
    return text;
}

void *
nd_arena_memdup(struct nd_arena *arena, const void *ptr, size_t len)
{
    void *copy = nd_arena_try(arena, len);

    ND_INVARIANT(copy != NULL);
    if (len > 0)
        memcpy(copy, ptr, len);
    return copy;
}

size_t
nd_array_bytes(size_t n, size_t size)
{
    size_t bytes;

    ND_INVARIANT(!__builtin_mul_overflow(n, size, &bytes));
    return bytes;
}

void
nd_arena_defer(struct nd_arena *arena, void (*free_fn)(void *ptr), void *ptr)
{
    struct deferred *d = nd_arena_new_object(arena, struct deferred);

    d->free_fn = free_fn;
    d->ptr = ptr;
    d->older = arena->deferred;
    arena->deferred = d;
}

bool
nd_arena_adopt(struct nd_arena *arena, void *ptr, size_t size)
{
    struct adopted *a = nd_arena_try(arena, sizeof(*a));

    if (a == NULL || size > arena->max_bytes - arena->used_bytes)
        return false;
    *a = (struct adopted){arena->adopted, ptr, size};
    arena->adopted = a;
    arena->used_bytes += size;
    return true;
}
