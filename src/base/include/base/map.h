#ifndef BASE_MAP_H
#define BASE_MAP_H

/*
 * The one map: open addressing with a random seed, string keys (copied) or integer keys, pointer
 * values (borrowed). Iteration order is no order.
 * Context of everything here: any.
 */

#include "base/defs.h"
#include "base/str.h"

struct nd_map;

struct nd_map *nd_map_new(void) __attribute__((__returns_nonnull__));
void nd_map_free(struct nd_map *map); /* keys go, values stay; NULL is fine */
void nd_map_freep(struct nd_map **map);

/* Entries. */
size_t nd_map_count(const struct nd_map *map);

/* The value, or NULL. A map never holds NULL values. */
void *nd_map_find(const struct nd_map *map, struct nd_str key);
void *nd_map_find_u64(const struct nd_map *map, uint64_t key);

/* Set and return the value that was there before (NULL: none). `value` is not NULL. */
void *nd_map_set(struct nd_map *map, struct nd_str key, void *value);
void *nd_map_set_u64(struct nd_map *map, uint64_t key, void *value);

/* Remove and return the value, or NULL. */
void *nd_map_take(struct nd_map *map, struct nd_str key);
void *nd_map_take_u64(struct nd_map *map, uint64_t key);

/*
 * Walk: start with *pos = 0; false at the end. Removing the entry just returned is allowed,
 * setting new keys is not. `ret_key` is empty for integer keys.
 */
bool nd_map_next(const struct nd_map *map, size_t *pos, struct nd_str *ret_key, void **ret_value);

#endif
