/*
 * JSON values on jansson, whose names stay in this room.
 *
 * jansson parses, keeps the order of keys and checks UTF-8; what it lacks is added here: limits on
 * depth and number of values, by one pass over the text before it, and integers above INT64_MAX,
 * which specs of other programs hold ("unlimited" is 2^64 - 1). Those are handed to jansson as
 * reals, by a ".0" behind them, and read and written as integers again.
 *
 * `struct nd_json` is a json_t under another name. Values here have one owner: a member belongs to
 * its object, so the counting of references never shows.
 */

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/limits.h"

#include "json_priv.h"

json_t *
nd_json_node(const struct nd_json *value)
{
    return (json_t *)value;
}

static struct nd_json *
value_of(json_t *node)
{
    ND_INVARIANT(node != NULL);
    return (struct nd_json *)node;
}

/* The pass before parsing. */
struct scan {
    struct nd_json_limits limits;
    size_t depth;
    size_t n_values;
    size_t n_big; /* integers that only an unsigned number holds */
};

static bool
in_number(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/* Length of the string or number at the front; anything else counts as one byte. */
static size_t
token_len(struct nd_str text)
{
    size_t i = 1;

    if (text.ptr[0] == '"') {
        while (i < text.len && text.ptr[i] != '"')
            i += text.ptr[i] == '\\' ? 2 : 1;
        return ND_MIN(i + 1, text.len);
    }
    if (in_number(text.ptr[0])) {
        while (i < text.len && in_number(text.ptr[i]))
            i++;
    }
    return i;
}

/* Whether the token is an integer above INT64_MAX. */
static bool
is_big(struct nd_str token)
{
    bool big = false;
    uint64_t v = 0;

    if (token.len >= 19 && token.len <= 20 && token.ptr[0] != '0') {
        struct nd_error *err = nd_parse_u64(token, UINT64_MAX, &v);

        big = err == NULL && v > INT64_MAX;
        nd_error_free(err);
    }
    return big;
}

static struct nd_error *
scan_text(struct scan *scan, struct nd_str text)
{
    if (text.len > scan->limits.max_bytes)
        return nd_error_new(ND_EXHAUSTED, "JSON text is longer than %zu bytes",
                            scan->limits.max_bytes);
    for (size_t i = 0; i < text.len;) {
        struct nd_str token = nd_str_sub(text, i, token_len(nd_str_from(text, i)));
        char c = token.ptr[0];

        if (c == '[' || c == '{')
            scan->depth++;
        else if ((c == ']' || c == '}') && scan->depth > 0)
            scan->depth--;
        scan->n_values += c == ',' || c == '[' || c == '{';
        scan->n_big += is_big(token);
        if (scan->depth > scan->limits.max_depth)
            return nd_error_new(ND_EXHAUSTED, "JSON is nested deeper than %zu",
                                scan->limits.max_depth);
        if (scan->n_values > scan->limits.max_values)
            return nd_error_new(ND_EXHAUSTED, "JSON has more than %zu values",
                                scan->limits.max_values);
        i += token.len;
    }
    return NULL;
}

/* The text with ".0" behind each big integer. */
static void
mark_big(struct nd_str text, struct nd_buf *ret)
{
    for (size_t i = 0; i < text.len;) {
        struct nd_str token = nd_str_sub(text, i, token_len(nd_str_from(text, i)));

        nd_buf_put(ret, token);
        if (is_big(token))
            nd_buf_putz(ret, ".0");
        i += token.len;
    }
}

static struct nd_json_limits
limits_or_defaults(const struct nd_json_limits *limits)
{
    struct nd_json_limits l = {ND_JSON_MAX_BYTES, ND_JSON_MAX_DEPTH, ND_JSON_MAX_VALUES};

    if (limits != NULL && limits->max_bytes > 0)
        l.max_bytes = limits->max_bytes;
    if (limits != NULL && limits->max_depth > 0)
        l.max_depth = limits->max_depth;
    if (limits != NULL && limits->max_values > 0)
        l.max_values = limits->max_values;
    return l;
}

struct nd_error *
nd_json_parse(struct nd_str text, const struct nd_json_limits *limits, struct nd_json **ret)
{
    struct scan scan = {.limits = limits_or_defaults(limits)};
    ND_AUTO(nd_buf_fini) struct nd_buf marked = ND_BUF_INIT(2 * scan.limits.max_bytes);
    json_error_t wrong;
    json_t *node;

    ND_TRY(scan_text(&scan, text));
    if (scan.n_big > 0) {
        mark_big(text, &marked);
        text = nd_buf_str(&marked);
    }
    node = json_loadb(text.len > 0 ? text.ptr : "", text.len, JSON_DECODE_ANY, &wrong);
    if (node == NULL)
        return nd_error_new(ND_INVALID, "not JSON: line %d, column %d: %s", wrong.line,
                            wrong.column, wrong.text);
    *ret = value_of(node);
    return NULL;
}

void
nd_json_free(struct nd_json *value)
{
    json_decref(nd_json_node(value));
}

void
nd_json_freep(struct nd_json **value)
{
    nd_json_free(*value);
}

struct nd_json *
nd_json_copy(const struct nd_json *value)
{
    return value_of(json_deep_copy(nd_json_node(value)));
}

bool
nd_json_eq(const struct nd_json *a, const struct nd_json *b)
{
    return json_equal(nd_json_node(a), nd_json_node(b)) != 0;
}

bool
nd_json_is_big(const json_t *node)
{
    double v = json_is_real(node) ? json_real_value(node) : 0;

    return v >= 0x1p63 && v <= 0x1p64 && trunc(v) == v;
}

uint64_t
nd_json_big_value(const json_t *node)
{
    double v = json_real_value(node);

    return v >= 0x1p64 ? UINT64_MAX : (uint64_t)v;
}

enum nd_json_type
nd_json_type(const struct nd_json *value)
{
    if (value == NULL)
        return ND_JSON_NULL;
    switch (json_typeof(nd_json_node(value))) {
    case JSON_OBJECT:
        return ND_JSON_OBJECT;
    case JSON_ARRAY:
        return ND_JSON_ARRAY;
    case JSON_STRING:
        return ND_JSON_STR;
    case JSON_INTEGER:
        return ND_JSON_INT;
    case JSON_REAL:
        return nd_json_is_big(nd_json_node(value)) ? ND_JSON_INT : ND_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return ND_JSON_BOOL;
    case JSON_NULL:
        return ND_JSON_NULL;
    }
    return ND_JSON_NULL;
}

const struct nd_json *
nd_json_find(const struct nd_json *object, const char *key)
{
    json_t *node = json_object_get(nd_json_node(object), key);

    return node == NULL || json_is_null(node) ? NULL : value_of(node);
}

static struct nd_error *
not_a(const struct nd_json *value, const char *wanted)
{
    static const char *const names[] = {
        [ND_JSON_NULL] = "null",        [ND_JSON_BOOL] = "a boolean", [ND_JSON_INT] = "a number",
        [ND_JSON_REAL] = "a number",    [ND_JSON_STR] = "a string",   [ND_JSON_ARRAY] = "an array",
        [ND_JSON_OBJECT] = "an object",
    };

    return nd_error_new(ND_INVALID, "is %s, not %s", names[nd_json_type(value)], wanted);
}

struct nd_error *
nd_json_as_str(const struct nd_json *value, struct nd_str *ret)
{
    if (nd_json_type(value) != ND_JSON_STR)
        return not_a(value, "a string");
    *ret = nd_json_string(value);
    return NULL;
}

struct nd_error *
nd_json_as_i64(const struct nd_json *value, int64_t *ret)
{
    const json_t *node = nd_json_node(value);

    if (!json_is_integer(node))
        return not_a(value, "an integer of 64 bits with a sign");
    *ret = json_integer_value(node);
    return NULL;
}

struct nd_error *
nd_json_as_u64(const struct nd_json *value, uint64_t *ret)
{
    const json_t *node = nd_json_node(value);

    if (nd_json_is_big(node)) {
        *ret = nd_json_big_value(node);
        return NULL;
    }
    if (!json_is_integer(node) || json_integer_value(node) < 0)
        return not_a(value, "an integer from 0");
    *ret = (uint64_t)json_integer_value(node);
    return NULL;
}

struct nd_error *
nd_json_as_bool(const struct nd_json *value, bool *ret)
{
    if (nd_json_type(value) != ND_JSON_BOOL)
        return not_a(value, "a boolean");
    *ret = json_is_true(nd_json_node(value));
    return NULL;
}

static struct nd_error *
as_type(const struct nd_json *value, enum nd_json_type type, const struct nd_json **ret)
{
    if (nd_json_type(value) != type)
        return not_a(value, type == ND_JSON_OBJECT ? "an object" : "an array");
    *ret = value;
    return NULL;
}

/* Say which key it was. */
static struct nd_error *
of_key(struct nd_error *err, const char *key)
{
    return err != NULL ? nd_error_in_field(err, key) : NULL;
}

struct nd_error *
nd_json_get_object(const struct nd_json *object, const char *key, const struct nd_json **ret)
{
    const struct nd_json *value = nd_json_find(object, key);

    if (value != NULL)
        return of_key(as_type(value, ND_JSON_OBJECT, ret), key);
    *ret = NULL;
    return NULL;
}

struct nd_error *
nd_json_get_array(const struct nd_json *object, const char *key, const struct nd_json **ret)
{
    const struct nd_json *value = nd_json_find(object, key);

    if (value != NULL)
        return of_key(as_type(value, ND_JSON_ARRAY, ret), key);
    *ret = NULL;
    return NULL;
}

struct nd_error *
nd_json_get_str(const struct nd_json *object, const char *key, struct nd_str *ret)
{
    const struct nd_json *value = nd_json_find(object, key);

    if (value != NULL)
        return of_key(nd_json_as_str(value, ret), key);
    *ret = ND_STR_NONE;
    return NULL;
}

struct nd_error *
nd_json_get_i64(const struct nd_json *object, const char *key, int64_t *ret)
{
    const struct nd_json *value = nd_json_find(object, key);

    if (value != NULL)
        return of_key(nd_json_as_i64(value, ret), key);
    *ret = 0;
    return NULL;
}

struct nd_error *
nd_json_get_u64(const struct nd_json *object, const char *key, uint64_t *ret)
{
    const struct nd_json *value = nd_json_find(object, key);

    if (value != NULL)
        return of_key(nd_json_as_u64(value, ret), key);
    *ret = 0;
    return NULL;
}

struct nd_error *
nd_json_get_bool(const struct nd_json *object, const char *key, bool *ret)
{
    const struct nd_json *value = nd_json_find(object, key);

    if (value != NULL)
        return of_key(nd_json_as_bool(value, ret), key);
    *ret = false;
    return NULL;
}

double
nd_json_real(const struct nd_json *value)
{
    return json_number_value(nd_json_node(value));
}

struct nd_str
nd_json_string(const struct nd_json *value)
{
    const json_t *node = nd_json_node(value);

    return nd_str_n(json_string_value(node), json_string_length(node));
}

size_t
nd_json_count(const struct nd_json *value)
{
    const json_t *node = nd_json_node(value);

    return json_is_array(node) ? json_array_size(node) : json_object_size(node);
}

const struct nd_json *
nd_json_at(const struct nd_json *array, size_t i)
{
    return (const struct nd_json *)json_array_get(nd_json_node(array), i);
}

bool
nd_json_next(const struct nd_json *object, void **pos, struct nd_str *ret_key,
             const struct nd_json **ret_value)
{
    json_t *node = nd_json_node(object);

    *pos = *pos == NULL ? json_object_iter(node) : json_object_iter_next(node, *pos);
    if (*pos == NULL)
        return false;
    if (ret_key != NULL)
        *ret_key = nd_str_n(json_object_iter_key(*pos), json_object_iter_key_len(*pos));
    if (ret_value != NULL)
        *ret_value = value_of(json_object_iter_value(*pos));
    return true;
}
