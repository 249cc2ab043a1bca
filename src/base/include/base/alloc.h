#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

/*
 * Small heap objects. Out of memory aborts: sizes that come from outside are checked against a
 * named limit before they get here. malloc() and free() are not called anywhere else.
 * Context of everything here: any.
 */

#include "base/defs.h"

/* `count` zeroed objects of `size` bytes. Never NULL. The caller owns it; nd_free(). */
void *nd_calloc(size_t count, size_t size) __attribute__((__returns_nonnull__, __malloc__));

/* Grow or shrink to `count` objects of `size` bytes; new bytes are not zeroed. Never NULL. */
void *nd_realloc(void *ptr, size_t count, size_t size) ND_CHECK_RESULT;

/* NULL is fine. */
void nd_free(void *ptr);

/* Cleanup for a heap pointer of any type. */
void nd_freep(void *pointer_to_pointer);

/* A copy on the heap, NUL-terminated. `text` NULL gives NULL. */
char *nd_strdup(const char *text);
char *nd_strndup(const char *ptr, size_t len) __attribute__((__returns_nonnull__));

/* printf to the heap. Never NULL. */
char *nd_asprintf(const char *fmt, ...) ND_PRINTF(1, 2) __attribute__((__returns_nonnull__));

/* One zeroed object of a type. */
#define nd_new(type) ((type *)nd_calloc(1, sizeof(type)))

/* `n` zeroed objects of a type. */
#define nd_new_array(n, type) ((type *)nd_calloc((n), sizeof(type)))

#endif
