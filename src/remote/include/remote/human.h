#ifndef REMOTE_HUMAN_H
#define REMOTE_HUMAN_H

/*
 * Numbers and times as people read them, in the styles that nerdctl's lists use.
 * Context of everything here: any.
 */

#include "base/arena.h"
#include "base/clock.h"

/* "5 seconds", "About a minute", "3 weeks"; of `age_ns` < 0 as of 0. In the arena. */
const char *nd_human_age(struct nd_arena *arena, int64_t age_ns);

/* The age of `at` at `now`. */
const char *nd_human_since(struct nd_arena *arena, struct nd_wall at, struct nd_wall now);

/* Powers of 1000, no blank: "7.81MB" with 3 digits, "7.812MB" with 4. */
const char *nd_human_decimal(struct nd_arena *arena, int64_t bytes, int digits);

/* Powers of 1024, 4 digits, no blank: "1.952GiB". */
const char *nd_human_binary(struct nd_arena *arena, int64_t bytes);

/* Powers of 1024, one decimal, a blank: "1.5 MiB". */
const char *nd_human_binary_wide(struct nd_arena *arena, int64_t bytes);

/* 12 digits of an id or digest, without the algorithm; all of it with `whole`. */
struct nd_str nd_human_id(struct nd_str id, bool whole);

/* At most `width` characters: what is longer is cut to one less and gets an ellipsis. */
struct nd_str nd_human_cut(struct nd_arena *arena, struct nd_str text, size_t width);

#endif
