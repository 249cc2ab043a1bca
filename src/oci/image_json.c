/*
 * The pieces that documents of images are made of: texts, lists, maps, times, each with its limit
 * and with an error that names the place. Everything is copied into the arena, the JSON tree goes.
 */

#include <stdio.h>

#include "image_priv.h"

struct nd_error *
nd_oci_document(struct nd_str text, struct nd_json **ret)
{
    const struct nd_json_limits limits = {.max_bytes = ND_OCI_MAX_BYTES};
    ND_AUTO(nd_json_freep) struct nd_json *value = NULL;

    ND_TRY(nd_json_parse(text, &limits, &value));
    if (nd_json_type(value) != ND_JSON_OBJECT)
        return nd_error_new(ND_INVALID, "not a JSON object");
    *ret = ND_TAKE(value);
    return NULL;
}

struct nd_error *
nd_oci_in_element(struct nd_error *err, const char *key, size_t i)
{
    char place[64];

    if (err == NULL)
        return NULL;
    (void)snprintf(place, sizeof(place), "%s[%zu]", key, i);
    return nd_error_in_field(err, place);
}

struct nd_error *
nd_oci_get_text(const struct nd_json *object, const char *key, struct nd_arena *arena,
                const char **ret)
{
    struct nd_str text;

    ND_TRY(nd_json_get_str(object, key, &text));
    *ret = text.len > 0 ? nd_arena_str(arena, text) : "";
    return NULL;
}

static struct nd_error *
check_count(const char *key, size_t n, size_t max)
{
    if (n > max)
        return nd_error_recode(
            nd_error_field(key, "has %zu entries, at most %zu are allowed", n, max), ND_EXHAUSTED);
    return NULL;
}

struct nd_error *
nd_oci_get_list(const struct nd_json *object, const char *key, size_t max, struct nd_oci_list *ret)
{
    const struct nd_json *array;

    ND_TRY(nd_json_get_array(object, key, &array));
    ND_TRY(check_count(key, nd_json_count(array), max));
    *ret = (struct nd_oci_list){array, nd_json_count(array)};
    return NULL;
}

struct nd_error *
nd_oci_get_texts(const struct nd_json *object, const char *key, size_t max, struct nd_arena *arena,
                 const char *const **ret, size_t *ret_n)
{
    struct nd_oci_list list;
    const char **texts;

    ND_TRY(nd_oci_get_list(object, key, max, &list));
    texts = nd_arena_new_array(arena, list.n, const char *);
    for (size_t i = 0; i < list.n; i++) {
        struct nd_str text;

        ND_TRY(nd_oci_in_element(nd_json_as_str(nd_json_at(list.array, i), &text), key, i));
        texts[i] = nd_arena_str(arena, text);
    }
    *ret = texts;
    *ret_n = list.n;
    return NULL;
}

struct nd_error *
nd_oci_get_pairs(const struct nd_json *object, const char *key, struct nd_arena *arena,
                 const struct nd_oci_pair **ret, size_t *ret_n)
{
    const struct nd_json *map, *value;
    struct nd_oci_pair *pairs;
    struct nd_str name, text;
    void *pos = NULL;
    size_t n = 0;

    ND_TRY(nd_json_get_object(object, key, &map));
    ND_TRY(check_count(key, nd_json_count(map), ND_OCI_MAX_LIST));
    pairs = nd_arena_new_array(arena, nd_json_count(map), struct nd_oci_pair);
    while (nd_json_next(map, &pos, &name, &value)) {
        struct nd_error *err = nd_json_as_str(value, &text);

        pairs[n].key = nd_arena_str(arena, name);
        if (err != NULL)
            return nd_error_in_field(nd_error_in_field(err, pairs[n].key), key);
        pairs[n++].value = nd_arena_str(arena, text);
    }
    *ret = pairs;
    *ret_n = n;
    return NULL;
}

struct nd_error *
nd_oci_get_keys(const struct nd_json *object, const char *key, struct nd_arena *arena,
                const char *const **ret, size_t *ret_n)
{
    const struct nd_json *map;
    struct nd_str name;
    const char **names;
    void *pos = NULL;
    size_t n = 0;

    ND_TRY(nd_json_get_object(object, key, &map));
    ND_TRY(check_count(key, nd_json_count(map), ND_OCI_MAX_LIST));
    names = nd_arena_new_array(arena, nd_json_count(map), const char *);
    while (nd_json_next(map, &pos, &name, NULL))
        names[n++] = nd_arena_str(arena, name);
    *ret = names;
    *ret_n = n;
    return NULL;
}

struct nd_error *
nd_oci_get_time(const struct nd_json *object, const char *key, bool *ret_has, struct nd_wall *ret)
{
    struct nd_error *err;
    struct nd_str text;

    ND_TRY(nd_json_get_str(object, key, &text));
    *ret_has = false;
    if (text.len == 0)
        return NULL;
    err = nd_wall_parse(text, ret);
    if (err != NULL)
        return nd_error_in_field(err, key);
    *ret_has = true;
    return NULL;
}
