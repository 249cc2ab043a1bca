/* Expressions of filters: the first line is one, the rest is what it is tried on. It compiles or is refused,
 * and matching ends. */

#include "pattern_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    struct nd_str text = nd_str_n(data, size), pattern = text;
    size_t newline = nd_str_find(text, '\n');
    struct nd_pattern *p;

    pattern = nd_str_sub(text, 0, newline);
    text = newline == SIZE_MAX ? ND_STR_NONE : nd_str_sub(text, newline + 1, 300);
    err = nd_pattern_compile(pattern, arena, &p);
    if (err != NULL) {
        ND_INVARIANT(nd_error_code(err) == ND_INVALID);
        return 0;
    }
    (void)nd_pattern_matches(p, text);
    return 0;
}
