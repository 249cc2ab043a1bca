/*
 * The tree behind --format: building it and asking it.
 *
 * A value is a small tagged union; lists, objects and maps share one growing array of items. The
 * difference between an object and a map is Go's: an object has the fields it was given, in that
 * order, and asking for another one is an error; a map is sorted and gives "nothing" for a key that
 * it does not have. Lookups are linear in objects (a row has a dozen fields) and binary in maps
 * (labels can be many).
 *
 * How a value becomes text is in value_print.c, how JSON becomes a value in document.c.
 */

#include "remote/value.h"

#include <string.h>

#include "value_priv.h"

struct nd_value *
nd_value_new(struct nd_arena *arena, enum nd_value_kind kind)
{
    struct nd_value *v = nd_arena_new_object(arena, struct nd_value);

    v->kind = kind;
    return v;
}

struct nd_value *
nd_value_bool(struct nd_arena *arena, bool v)
{
    struct nd_value *value = nd_value_new(arena, ND_VALUE_BOOL);

    value->boolean = v;
    return value;
}

struct nd_value *
nd_value_int(struct nd_arena *arena, int64_t v)
{
    struct nd_value *value = nd_value_new(arena, ND_VALUE_INT);

    value->i64 = v;
    return value;
}

struct nd_value *
nd_value_uint(struct nd_arena *arena, uint64_t v)
{
    struct nd_value *value = nd_value_new(arena, ND_VALUE_UINT);

    value->u64 = v;
    return value;
}

struct nd_value *
nd_value_float(struct nd_arena *arena, double v)
{
    struct nd_value *value = nd_value_new(arena, ND_VALUE_FLOAT);

    value->f64 = v;
    return value;
}

struct nd_value *
nd_value_text(struct nd_arena *arena, struct nd_str v)
{
    struct nd_value *value = nd_value_new(arena, ND_VALUE_TEXT);

    value->text = v;
    return value;
}

struct nd_value *
nd_value_textz(struct nd_arena *arena, const char *v)
{
    return nd_value_text(arena, nd_str(v));
}

struct nd_value *
nd_value_time(struct nd_arena *arena, struct nd_wall v)
{
    struct nd_value *value = nd_value_new(arena, ND_VALUE_TIME);

    value->time = v;
    return value;
}

/* Room for one more item at `at`; the items behind it move up. */
static struct nd_value_item *
insert_item(struct nd_arena *arena, struct nd_value *v, size_t at)
{
    if (v->n_items == v->cap) {
        size_t cap = v->cap == 0 ? 8 : v->cap * 2;
        struct nd_value_item *items = nd_arena_new_array(arena, cap, struct nd_value_item);

        if (v->n_items != 0)
            memcpy(items, v->items, v->n_items * sizeof(*items));
        v->items = items;
        v->cap = cap;
    }
    memmove(v->items + at + 1, v->items + at, (v->n_items - at) * sizeof(*v->items));
    v->n_items++;
    v->items[at] = (struct nd_value_item){.marks = ND_VALUE_PLAIN};
    return &v->items[at];
}

void
nd_value_push(struct nd_arena *arena, struct nd_value *list, struct nd_value *v)
{
    ND_INVARIANT(list->kind == ND_VALUE_LIST);
    insert_item(arena, list, list->n_items)->value = v;
}

static bool
is_sorted(const struct nd_value *v)
{
    return v->kind == ND_VALUE_MAP || v->kind == ND_VALUE_LOOKUP;
}

/* Where `name` is, or, in maps, where it belongs. */
static bool
find_item(const struct nd_value *v, struct nd_str name, size_t *ret_at)
{
    size_t low = 0, high = v->n_items;

    if (!is_sorted(v)) {
        while (low < high && !nd_str_eq(v->items[low].name, name))
            low++;
        *ret_at = low;
        return low < high;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = nd_str_cmp(v->items[middle].name, name);

        if (order == 0) {
            *ret_at = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_at = low;
    return false;
}

void
nd_value_set(struct nd_arena *arena, struct nd_value *object, struct nd_str name,
             struct nd_value *v)
{
    size_t at;

    ND_INVARIANT(object->kind == ND_VALUE_OBJECT || is_sorted(object));
    if (!find_item(object, name, &at)) {
        struct nd_value_item *item = insert_item(arena, object, at);

        item->name = name;
        item->json = name;
    }
    object->items[at].value = v;
}

void
nd_value_set_as(struct nd_arena *arena, struct nd_value *object, const char *name, const char *json,
                unsigned marks, struct nd_value *v)
{
    struct nd_value_item *item;

    ND_INVARIANT(object->kind == ND_VALUE_OBJECT);
    item = insert_item(arena, object, object->n_items);
    item->name = nd_str(name);
    item->json = nd_str(json != NULL ? json : name);
    item->marks = marks;
    item->value = v;
}

struct nd_value *
nd_value_find(const struct nd_value *v, struct nd_str name)
{
    size_t at;

    if (v->kind != ND_VALUE_OBJECT && !is_sorted(v))
        return NULL;
    return find_item(v, name, &at) ? v->items[at].value : NULL;
}

struct nd_value *
nd_value_field(const struct nd_value *object, struct nd_str name)
{
    struct nd_value *found = nd_value_find(object, name);

    if (found == NULL && object->kind == ND_VALUE_OBJECT && object->document)
        found = nd_document_field(object, name);
    return found;
}

bool
nd_value_is_empty(const struct nd_value *v)
{
    switch (v->kind) {
    case ND_VALUE_NULL:
    case ND_VALUE_MISSING:
        return true;
    case ND_VALUE_BOOL:
        return !v->boolean;
    case ND_VALUE_INT:
        return v->i64 == 0;
    case ND_VALUE_UINT:
        return v->u64 == 0;
    case ND_VALUE_FLOAT:
        return v->f64 == 0;
    case ND_VALUE_TEXT:
        return v->text.len == 0;
    case ND_VALUE_TIME: /* structs are never empty, and a time is one */
    case ND_VALUE_OBJECT:
        return false;
    case ND_VALUE_LIST:
    case ND_VALUE_MAP:
    case ND_VALUE_LOOKUP:
        return v->n_items == 0;
    }
    return true;
}

const char *
nd_value_kind_name(enum nd_value_kind kind)
{
    switch (kind) {
    case ND_VALUE_NULL:
    case ND_VALUE_MISSING:
        return "<nil>";
    case ND_VALUE_BOOL:
        return "bool";
    case ND_VALUE_INT:
        return "int";
    case ND_VALUE_UINT:
        return "uint64";
    case ND_VALUE_FLOAT:
        return "float64";
    case ND_VALUE_TEXT:
        return "string";
    case ND_VALUE_TIME:
        return "time.Time";
    case ND_VALUE_LIST:
        return "slice";
    case ND_VALUE_OBJECT:
        return "object";
    case ND_VALUE_MAP:
    case ND_VALUE_LOOKUP:
        return "map";
    }
    return "<nil>";
}
