#ifndef BASE_ARENA_H
#define BASE_ARENA_H

/*
 * Memory that goes away together: a call's requests, replies and temporaries. Bump allocation in
 * blocks; nothing is freed alone. A debug build poisons what was released.
 * Context of everything here: any.
 */

#include "base/defs.h"
#include "base/str.h"

struct nd_arena;

/* An empty arena that takes at most `max_bytes` from the heap (0: no maximum). nd_arena_free(). */
struct nd_arena *nd_arena_new(size_t max_bytes) __attribute__((__returns_nonnull__));
void nd_arena_free(struct nd_arena *arena); /* NULL is fine */
void nd_arena_freep(struct nd_arena **arena);

/* Release everything in it, but keep a small block for reuse. */
void nd_arena_reset(struct nd_arena *arena);

/* Bytes taken from the heap so far. */
size_t nd_arena_used(const struct nd_arena *arena);

/*
 * Zeroed, aligned for any type. Never NULL: going over the maximum is a broken invariant, so
 * check sizes from outside first, or use nd_arena_try().
 */
void *nd_arena_alloc(struct nd_arena *arena, size_t size) __attribute__((__returns_nonnull__));

/* Not zeroed; NULL when the maximum would be passed. */
void *nd_arena_try(struct nd_arena *arena, size_t size);

/* The same for text and bytes, which need no alignment. */
void *nd_arena_try_bytes(struct nd_arena *arena, size_t size);

/* NUL-terminated copies. */
char *nd_arena_strdup(struct nd_arena *arena, const char *text)
    __attribute__((__returns_nonnull__));
char *nd_arena_str(struct nd_arena *arena, struct nd_str text) __attribute__((__returns_nonnull__));
char *nd_arena_printf(struct nd_arena *arena, const char *fmt, ...) ND_PRINTF(2, 3)
    __attribute__((__returns_nonnull__));
void *nd_arena_memdup(struct nd_arena *arena, const void *ptr, size_t len)
    __attribute__((__returns_nonnull__));

#define nd_arena_new_object(arena, type) ((type *)nd_arena_alloc((arena), sizeof(type)))
#define nd_arena_new_array(arena, n, type) \
    ((type *)nd_arena_alloc((arena), nd_array_bytes((n), sizeof(type))))

/* n * size; overflow is a broken invariant. */
size_t nd_array_bytes(size_t n, size_t size);

/*
 * Let go of `free_fn(ptr)` when the arena is reset or freed (newest first): for what is not memory.
 */
void nd_arena_defer(struct nd_arena *arena, void (*free_fn)(void *ptr), void *ptr);

/*
 * Own a heap object of `size` bytes from now on, which count as the arena's. False when the maximum
 * would be passed: nothing has changed hands then.
 */
bool nd_arena_adopt(struct nd_arena *arena, void *ptr, size_t size) ND_CHECK_RESULT;

#endif
