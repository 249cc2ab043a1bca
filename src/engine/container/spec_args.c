/*
 * process.args, without decoding the rest.
 *
 * A list of containers shows commands, and a spec is ten thousand bytes of which they are fifty,
 * near the front. So the text is walked from its beginning: members that are not asked for are
 * stepped over by their brackets and quotes alone, and the walk ends with the list. A text that is
 * not JSON, or has no such list, gives no arguments: a list is no place to report a broken spec.
 */

#include "codec/json.h"

#include "spec_args_priv.h"

#define MAX_DEPTH 64u

struct cursor {
    const char *at, *end;
};

static void
skip_space(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static bool
take(struct cursor *c, char byte)
{
    skip_space(c);
    if (c->at == c->end || *c->at != byte)
        return false;
    c->at++;
    return true;
}

/* A text with its quotes, still escaped. */
static bool
take_text(struct cursor *c, struct nd_str *ret)
{
    const char *start;

    skip_space(c);
    start = c->at;
    if (!take(c, '"'))
        return false;
    while (c->at < c->end && *c->at != '"')
        c->at += *c->at == '\\' && c->end - c->at > 1 ? 2 : 1;
    if (c->at >= c->end)
        return false;
    c->at++;
    *ret = nd_str_n(start, (size_t)(c->at - start));
    return true;
}

/* Any value: brackets are counted, texts are stepped over. */
static bool
skip_value(struct cursor *c)
{
    unsigned depth = 0;
    struct nd_str text;

    skip_space(c);
    while (c->at < c->end) {
        char byte = *c->at;

        if (byte == '"') {
            if (!take_text(c, &text))
                return false;
        } else if (byte == '{' || byte == '[') {
            if (++depth > MAX_DEPTH)
                return false;
            c->at++;
            continue;
        } else if (byte == '}' || byte == ']') {
            if (depth == 0)
                return true; /* the end of what the value is in */
            depth--;
            c->at++;
        } else if (byte == ',' && depth == 0) {
            return true;
        } else {
            c->at++;
        }
        if (depth == 0 && (byte == '}' || byte == ']' || byte == '"'))
            return true;
    }
    return false;
}

/* Enter the object at the cursor and stand before the value of a key. */
static bool
enter(struct cursor *c, const char *key)
{
    struct nd_str text;

    if (!take(c, '{'))
        return false;
    while (take_text(c, &text)) {
        if (!take(c, ':'))
            return false;
        if (text.len == strlen(key) + 2 && memcmp(text.ptr + 1, key, strlen(key)) == 0)
            return true;
        if (!skip_value(c) || !take(c, ','))
            return false;
    }
    return false;
}

void
nd_spec_args(struct nd_str spec, struct nd_arena *arena, char ***ret, size_t *ret_n)
{
    ND_AUTO(nd_json_freep) struct nd_json *list = NULL;
    struct cursor c = {spec.ptr, spec.ptr + spec.len};
    const char *start;
    struct nd_error *err;
    size_t n;

    *ret = NULL;
    *ret_n = 0;
    if (spec.len == 0 || !enter(&c, "process") || !enter(&c, "args"))
        return;
    skip_space(&c);
    start = c.at;
    if (!skip_value(&c))
        return;
    err = nd_json_parse(nd_str_n(start, (size_t)(c.at - start)), NULL, &list);
    nd_error_free(err);
    n = nd_json_type(list) == ND_JSON_ARRAY ? ND_MIN(nd_json_count(list), (size_t)ND_SPEC_ARGS_MAX)
                                            : 0;
    *ret = nd_arena_new_array(arena, n, char *);
    for (size_t i = 0; i < n; i++)
        (*ret)[i] = nd_arena_str(arena, nd_json_string(nd_json_at(list, i)));
    *ret_n = n;
}
