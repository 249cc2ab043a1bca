#ifndef CONTAINER_PATTERN_PRIV_H
#define CONTAINER_PATTERN_PRIV_H

/* Regular expressions of strangers, for filters. Context of all: any. */

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

struct nd_pattern;

/*
 * Literals, ".", "*", "+", "?", "|", groups, classes ("[a-z]", "[^x]"), "^", "$", a backslash
 * before a character that means something, \d \w \s. In the arena.
 * Fails: ND_INVALID  not such an expression, or a larger one than filters need
 */
struct nd_error *nd_pattern_compile(struct nd_str text, struct nd_arena *arena,
                                    struct nd_pattern **ret) ND_CHECK_RESULT;

/* Whether it occurs somewhere in `text`. Time is the product of both lengths at most. */
bool nd_pattern_matches(const struct nd_pattern *pattern, struct nd_str text);

#endif
