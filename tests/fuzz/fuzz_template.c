/* Templates: any text parses or fails, and what parses runs within its limits. */

#include "base/arena.h"
#include "remote/limits.h"
#include "remote/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct nd_value *
make_value(struct nd_arena *a, unsigned depth)
{
    struct nd_value *v = nd_value_new(a, ND_VALUE_OBJECT);
    struct nd_value *list = nd_value_new(a, ND_VALUE_LIST);
    struct nd_value *map = nd_value_new(a, ND_VALUE_MAP);

    nd_value_set(a, v, ND_STR("A"), nd_value_textz(a, "text \xc3\xa9 \xff"));
    nd_value_set(a, v, ND_STR("B"), nd_value_int(a, -42));
    nd_value_set(a, v, ND_STR("C"), nd_value_uint(a, UINT64_MAX));
    nd_value_set(a, v, ND_STR("D"), nd_value_float(a, 1.5e300));
    nd_value_set(a, v, ND_STR("E"), nd_value_time(a, (struct nd_wall){1767323045, 600000000}));
    nd_value_set(a, v, ND_STR("F"), nd_value_bool(a, true));
    nd_value_set(a, v, ND_STR("G"), nd_value_new(a, ND_VALUE_NULL));
    nd_value_push(a, list, nd_value_int(a, 1));
    nd_value_push(a, list, nd_value_textz(a, "two"));
    nd_value_set(a, map, ND_STR("k"), nd_value_textz(a, "v"));
    nd_value_set(a, v, ND_STR("L"), list);
    nd_value_set(a, v, ND_STR("M"), map);
    if (depth > 0)
        nd_value_set(a, v, ND_STR("N"), make_value(a, depth - 1));
    return v;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(1u << 20);
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    struct nd_template *t;

    err = nd_template_parse(a, nd_str_n(data, size), &t);
    if (err == NULL)
        err = nd_template_run(t, a, make_value(a, 2), &out);
    ND_INVARIANT(err == NULL || nd_error_code(err) == ND_INVALID ||
                 nd_error_code(err) == ND_EXHAUSTED);
    return 0;
}
