/*
 * The functions of templates: those of Go's text/template and those that docker adds.
 *
 * One table says name, implementation and arguments; the runner checks number and kinds before a
 * function is called, so that an implementation can trust them. Text functions are in
 * template_text.c, printf in template_printf.c; here are logic, comparison and access.
 *
 * Comparison follows Go: integers of any kind compare with each other, everything else only with
 * its like, and what has parts not at all.
 */

#include "template_functions_priv.h"

static struct nd_error *
function_not(struct template_run *run, struct template_arguments args, const struct nd_value **ret)
{
    *ret = nd_value_bool(run->arena, nd_value_is_empty(args.values[0]));
    return NULL;
}

static bool
is_integer(const struct nd_value *v)
{
    return v->kind == ND_VALUE_INT || v->kind == ND_VALUE_UINT;
}

static bool
is_nil(const struct nd_value *v)
{
    return v->kind == ND_VALUE_NULL || v->kind == ND_VALUE_MISSING;
}

static int
compare_integers(const struct nd_value *a, const struct nd_value *b)
{
    bool a_below = a->kind == ND_VALUE_INT && a->i64 < 0;
    bool b_below = b->kind == ND_VALUE_INT && b->i64 < 0;

    if (a_below != b_below)
        return a_below ? -1 : 1;
    if (a_below)
        return a->i64 < b->i64 ? -1 : a->i64 > b->i64;
    return a->u64 < b->u64 ? -1 : a->u64 > b->u64; /* not negative: the same bits either way */
}

/* Order of two values of one kind that has an order, or equality for the other basic kinds. */
static struct nd_error *
compare(const struct nd_value *a, const struct nd_value *b, int *ret)
{
    if (is_integer(a) && is_integer(b)) {
        *ret = compare_integers(a, b);
        return NULL;
    }
    if (a->kind != b->kind)
        return nd_error_new(ND_INVALID, "incompatible types for comparison: %s and %s",
                            nd_value_kind_name(a->kind), nd_value_kind_name(b->kind));
    switch (a->kind) {
    case ND_VALUE_TEXT:
        *ret = nd_str_cmp(a->text, b->text);
        return NULL;
    case ND_VALUE_FLOAT:
        *ret = a->f64 < b->f64 ? -1 : a->f64 > b->f64;
        return NULL;
    case ND_VALUE_BOOL:
        *ret = (int)a->boolean - (int)b->boolean;
        return NULL;
    case ND_VALUE_TIME:
        *ret = nd_wall_cmp(a->time, b->time);
        return NULL;
    default:
        return nd_error_new(ND_INVALID, "non-comparable type %s", nd_value_kind_name(a->kind));
    }
}

static struct nd_error *
equal(const struct nd_value *a, const struct nd_value *b, bool *ret)
{
    int order = 0;

    if (is_nil(a) || is_nil(b)) {
        *ret = is_nil(a) && is_nil(b);
        return NULL;
    }
    ND_TRY(compare(a, b, &order));
    *ret = order == 0;
    return NULL;
}

static struct nd_error *
function_eq(struct template_run *run, struct template_arguments args, const struct nd_value **ret)
{
    bool found = false;

    if (args.n < 2)
        return nd_error_new(ND_INVALID, "missing argument for comparison");
    for (size_t i = 1; i < args.n && !found; i++)
        ND_TRY(equal(args.values[0], args.values[i], &found));
    *ret = nd_value_bool(run->arena, found);
    return NULL;
}

static struct nd_error *
function_ne(struct template_run *run, struct template_arguments args, const struct nd_value **ret)
{
    bool same = false;

    ND_TRY(equal(args.values[0], args.values[1], &same));
    *ret = nd_value_bool(run->arena, !same);
    return NULL;
}

static struct nd_error *
ordered(struct template_arguments args, int *ret)
{
    for (size_t i = 0; i < 2; i++) {
        enum nd_value_kind kind = args.values[i]->kind;

        if (!is_integer(args.values[i]) && kind != ND_VALUE_TEXT && kind != ND_VALUE_FLOAT)
            return nd_error_new(ND_INVALID, "invalid type for comparison");
    }
    return compare(args.values[0], args.values[1], ret);
}

static struct nd_error *
function_lt(struct template_run *run, struct template_arguments args, const struct nd_value **ret)
{
    int order = 0;

    ND_TRY(ordered(args, &order));
    *ret = nd_value_bool(run->arena, order < 0);
    return NULL;
}

static struct nd_error *
function_le(struct template_run *run, struct template_arguments args, const struct nd_value **ret)
{
    int order = 0;

    ND_TRY(ordered(args, &order));
    *ret = nd_value_bool(run->arena, order <= 0);
    return NULL;
}

static struct nd_error *
function_gt(struct template_run *run, struct template_arguments args, const struct nd_value **ret)
{
    int order = 0;

    ND_TRY(ordered(args, &order));
    *ret = nd_value_bool(run->arena, order > 0);
    return NULL;
}

static struct nd_error *
function_ge(struct template_run *run, struct template_arguments args, const struct nd_value **ret)
{
    int order = 0;

    ND_TRY(ordered(args, &order));
    *ret = nd_value_bool(run->arena, order >= 0);
    return NULL;
}

static struct nd_error *
function_len(struct template_run *run, struct template_arguments args, const struct nd_value **ret)
{
    const struct nd_value *v = args.values[0];
    size_t n;

    if (v->kind == ND_VALUE_TEXT)
        n = v->text.len;
    else if (v->kind == ND_VALUE_LIST || v->kind == ND_VALUE_MAP ||
             (v->kind == ND_VALUE_OBJECT && v->document))
        n = v->n_items;
    else if (is_nil(v))
        return nd_error_new(ND_INVALID, "len of nil pointer");
    else
        return nd_error_new(ND_INVALID, "len of type %s", nd_value_kind_name(v->kind));
    *ret = nd_value_int(run->arena, (int64_t)n);
    return NULL;
}

/* An index into `length` elements. */
static struct nd_error *
check_index(const struct nd_value *v, size_t length, size_t *ret)
{
    if (is_nil(v))
        return nd_error_new(ND_INVALID, "cannot index slice/array with nil");
    if (!is_integer(v))
        return nd_error_new(ND_INVALID, "cannot index slice/array with type %s",
                            nd_value_kind_name(v->kind));
    if ((v->kind == ND_VALUE_INT && v->i64 < 0) || v->u64 > length) {
        return nd_error_new(ND_INVALID, "index out of range: %lld", (long long)v->i64);
    }
    *ret = (size_t)v->u64;
    return NULL;
}

static struct nd_error *
index_map(struct template_run *run, const struct nd_value *map, const struct nd_value *key,
          const struct nd_value **ret)
{
    const struct nd_value *found;

    if (key->kind != ND_VALUE_TEXT)
        return nd_error_new(ND_INVALID, "value has type %s; should be string",
                            nd_value_kind_name(key->kind));
    found = map->kind == ND_VALUE_OBJECT ? nd_value_field(map, key->text)
                                         : nd_value_find(map, key->text);
    if (found == NULL && (map->n_items == 0 || map->items[0].value->kind == ND_VALUE_TEXT))
        found = nd_value_text(run->arena, ND_STR(""));
    *ret = found != NULL ? found : nd_value_new(run->arena, ND_VALUE_MISSING);
    return NULL;
}

static struct nd_error *
index_once(struct template_run *run, const struct nd_value *v, const struct nd_value *key,
           const struct nd_value **ret)
{
    size_t length = v->kind == ND_VALUE_TEXT ? v->text.len : v->n_items;
    size_t i = 0;

    if (v->kind == ND_VALUE_MAP || (v->kind == ND_VALUE_OBJECT && v->document))
        return index_map(run, v, key, ret);
    if (is_nil(v))
        return nd_error_new(ND_INVALID, "index of untyped nil");
    if (v->kind != ND_VALUE_LIST && v->kind != ND_VALUE_TEXT)
        return nd_error_new(ND_INVALID, "can't index item of type %s", nd_value_kind_name(v->kind));
    ND_TRY(check_index(key, length, &i));
    if (i == length)
        return nd_error_new(ND_INVALID, "index out of range: %zu", i);
    if (v->kind == ND_VALUE_TEXT)
        *ret = nd_value_uint(run->arena, (unsigned char)v->text.ptr[i]);
    else
        *ret = v->items[i].value;
    return NULL;
}

static struct nd_error *
function_index(struct template_run *run, struct template_arguments args,
               const struct nd_value **ret)
{
    const struct nd_value *v = args.values[0];

    for (size_t i = 1; i < args.n; i++)
        ND_TRY(index_once(run, v, args.values[i], &v));
    *ret = v;
    return NULL;
}

static struct nd_error *
function_slice(struct template_run *run, struct template_arguments args,
               const struct nd_value **ret)
{
    const struct nd_value *v = args.values[0];
    size_t length = v->kind == ND_VALUE_TEXT ? v->text.len : v->n_items;
    size_t bounds[2] = {0, length};
    struct nd_value *part;

    if (v->kind != ND_VALUE_TEXT && v->kind != ND_VALUE_LIST)
        return nd_error_new(ND_INVALID, "can't slice item of type %s", nd_value_kind_name(v->kind));
    if (args.n > 3)
        return nd_error_new(ND_INVALID, "too many slice indexes: %zu", args.n - 1);
    for (size_t i = 1; i < args.n; i++)
        ND_TRY(check_index(args.values[i], length, &bounds[i - 1]));
    if (bounds[0] > bounds[1])
        return nd_error_new(ND_INVALID, "invalid slice index: %zu > %zu", bounds[0], bounds[1]);
    part = nd_value_new(run->arena, v->kind);
    if (v->kind == ND_VALUE_TEXT) {
        part->text = nd_str_sub(v->text, bounds[0], bounds[1] - bounds[0]);
    } else if (bounds[1] > bounds[0]) {
        part->items = v->items + bounds[0];
        part->n_items = part->cap = bounds[1] - bounds[0];
    }
    *ret = part;
    return NULL;
}

static struct nd_error *
function_call(struct template_run *run, struct template_arguments args, const struct nd_value **ret)
{
    (void)run;
    (void)ret;
    return nd_error_new(ND_INVALID, "non-function of type %s",
                        nd_value_kind_name(args.values[0]->kind));
}

/* clang-format off */
static const struct template_function functions[] = {
    {"and",      NULL,               "v*",  FUNCTION_LAZY_AND},
    {"call",     function_call,      "v*",  0},
    {"eq",       function_eq,        "v*",  FUNCTION_KEEPS_HEADING},
    {"ge",       function_ge,        "vv",  FUNCTION_KEEPS_HEADING},
    {"gt",       function_gt,        "vv",  FUNCTION_KEEPS_HEADING},
    {"html",     template_html,      "*",   FUNCTION_KEEPS_HEADING},
    {"index",    function_index,     "v*",  FUNCTION_KEEPS_HEADING},
    {"join",     template_join,      "vs",  0},
    {"js",       template_js,        "*",   FUNCTION_KEEPS_HEADING},
    {"json",     template_json,      "v",   0},
    {"le",       function_le,        "vv",  FUNCTION_KEEPS_HEADING},
    {"len",      function_len,       "v",   FUNCTION_KEEPS_HEADING},
    {"lower",    template_lower,     "s",   0},
    {"lt",       function_lt,        "vv",  FUNCTION_KEEPS_HEADING},
    {"ne",       function_ne,        "vv",  FUNCTION_KEEPS_HEADING},
    {"not",      function_not,       "v",   FUNCTION_KEEPS_HEADING},
    {"or",       NULL,               "v*",  FUNCTION_LAZY_OR},
    {"pad",      template_pad,       "sii", FUNCTION_KEEPS_HEADING},
    {"print",    template_sprint,    "*",   FUNCTION_KEEPS_HEADING},
    {"printf",   template_sprintf,   "s*",  FUNCTION_KEEPS_HEADING},
    {"println",  template_sprintln,  "*",   FUNCTION_KEEPS_HEADING},
    {"slice",    function_slice,     "v*",  FUNCTION_KEEPS_HEADING},
    {"split",    template_split,     "ss",  0},
    {"title",    template_title,     "s",   0},
    {"truncate", template_truncate,  "si",  0},
    {"upper",    template_upper,     "s",   0},
    {"urlquery", template_urlquery,  "*",   FUNCTION_KEEPS_HEADING},
};
/* clang-format on */

const struct template_function *
template_find_function(struct nd_str name)
{
    for (size_t i = 0; i < ND_LEN(functions); i++) {
        if (nd_str_eqz(name, functions[i].name))
            return &functions[i];
    }
    return NULL;
}
