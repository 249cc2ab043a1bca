/*
 * JSON of the daemon as a value for templates: inspect documents and the payloads of events.
 *
 * Objects become documents, which answer to the names of Go and of JSON (document_names.c), except
 * those whose keys are data (labels, networks, ports), which become maps.
 */

#include "codec/json.h"

#include "value_priv.h"

static struct nd_str
copy_text(struct nd_arena *arena, struct nd_str text)
{
    return nd_str_n(nd_arena_str(arena, text), text.len);
}

static struct nd_value *
convert_number(struct nd_arena *arena, const struct nd_json *json)
{
    int64_t i64;
    uint64_t u64;
    struct nd_error *err = nd_json_as_i64(json, &i64);

    if (err == NULL)
        return nd_value_int(arena, i64);
    nd_error_free(err);
    err = nd_json_as_u64(json, &u64);
    if (err == NULL)
        return nd_value_uint(arena, u64);
    nd_error_free(err);
    return nd_value_float(arena, nd_json_real(json));
}

static struct nd_value *convert(struct nd_arena *arena, const struct nd_json *json, bool map);

static struct nd_value *
convert_array(struct nd_arena *arena, const struct nd_json *json)
{
    struct nd_value *list = nd_value_new(arena, ND_VALUE_LIST);

    for (size_t i = 0; i < nd_json_count(json); i++)
        nd_value_push(arena, list, convert(arena, nd_json_at(json, i), false));
    return list;
}

static struct nd_value *
convert_object(struct nd_arena *arena, const struct nd_json *json, bool map)
{
    struct nd_value *object = nd_value_new(arena, map ? ND_VALUE_MAP : ND_VALUE_OBJECT);
    const struct nd_json *member;
    struct nd_str key;
    void *pos = NULL;

    object->document = !map;
    while (nd_json_next(json, &pos, &key, &member))
        nd_value_set(arena, object, copy_text(arena, key),
                     convert(arena, member, !map && nd_document_is_map(key)));
    return object;
}

/* `map`: an object here is a map, because of the name it has. */
static struct nd_value *
convert(struct nd_arena *arena, const struct nd_json *json, bool map)
{
    bool boolean = false;

    switch (nd_json_type(json)) {
    case ND_JSON_NULL:
        break;
    case ND_JSON_BOOL:
        nd_error_free(nd_json_as_bool(json, &boolean)); /* of this type, so it is NULL */
        return nd_value_bool(arena, boolean);
    case ND_JSON_INT:
    case ND_JSON_REAL:
        return convert_number(arena, json);
    case ND_JSON_STR:
        return nd_value_text(arena, copy_text(arena, nd_json_string(json)));
    case ND_JSON_ARRAY:
        return convert_array(arena, json);
    case ND_JSON_OBJECT:
        return convert_object(arena, json, map);
    }
    return nd_value_new(arena, ND_VALUE_NULL);
}

struct nd_error *
nd_value_from_json(struct nd_arena *arena, struct nd_str json, struct nd_value **ret)
{
    ND_AUTO(nd_json_freep) struct nd_json *parsed = NULL;

    ND_TRY_DOING(nd_json_parse(json, NULL, &parsed), "the daemon's document");
    *ret = convert(arena, parsed, false);
    return NULL;
}
