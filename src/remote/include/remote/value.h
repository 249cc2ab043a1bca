#ifndef REMOTE_VALUE_H
#define REMOTE_VALUE_H

/*
 * The value that --format works on: what a command has to show, as a tree. Objects remember the
 * order of their fields, and for each the name in templates and the name in JSON.
 * Trees live in an arena and share parts freely; nothing is changed once it is shown to a template.
 * Context of everything here: any.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"

enum nd_value_kind {
    ND_VALUE_NULL,    /* prints "<nil>", JSON null */
    ND_VALUE_MISSING, /* what a map gives for a key it does not have: prints "<no value>" */
    ND_VALUE_BOOL,
    ND_VALUE_INT,
    ND_VALUE_UINT,
    ND_VALUE_FLOAT,
    ND_VALUE_TEXT,
    ND_VALUE_TIME,
    ND_VALUE_LIST,   /* items without names */
    ND_VALUE_OBJECT, /* items with names, in the order they were set: a struct of Go */
    ND_VALUE_MAP,    /* items with names, sorted: a map of Go */
    ND_VALUE_LOOKUP, /* a map that is asked like a method: {{.Label "key"}}; not in JSON */
};

struct nd_value_item;

struct nd_value {
    enum nd_value_kind kind;
    bool document; /* OBJECT: came as JSON, so names are forgiving (see nd_value_field()) */
    union {
        bool boolean;
        int64_t i64;
        uint64_t u64;
        double f64;
        struct nd_str text;
        struct nd_wall time;
        struct {
            struct nd_value_item *items;
            size_t n_items;
            size_t cap;
        };
    };
};

/* How a field of an object behaves. */
enum nd_value_mark {
    ND_VALUE_PLAIN = 0,
    ND_VALUE_OMIT_EMPTY = 1,    /* not in JSON when it is empty */
    ND_VALUE_TEMPLATE_ONLY = 2, /* never in JSON, nor when the object is printed as a whole */
};

struct nd_value_item {
    struct nd_str name; /* empty in lists */
    struct nd_str json; /* the name in JSON */
    unsigned marks;
    struct nd_value *value;
};

/* Constructors. Text is not copied: it must live as long as the arena. */
struct nd_value *nd_value_new(struct nd_arena *arena, enum nd_value_kind kind)
    __attribute__((__returns_nonnull__));
struct nd_value *nd_value_bool(struct nd_arena *arena, bool v);
struct nd_value *nd_value_int(struct nd_arena *arena, int64_t v);
struct nd_value *nd_value_uint(struct nd_arena *arena, uint64_t v);
struct nd_value *nd_value_float(struct nd_arena *arena, double v);
struct nd_value *nd_value_text(struct nd_arena *arena, struct nd_str v);
struct nd_value *nd_value_textz(struct nd_arena *arena, const char *v); /* NULL: empty */
struct nd_value *nd_value_time(struct nd_arena *arena, struct nd_wall v);

/* Add to a list. */
void nd_value_push(struct nd_arena *arena, struct nd_value *list, struct nd_value *v);

/* Add to an object or a map; maps stay sorted, a name that is there gets the new value. */
void nd_value_set(struct nd_arena *arena, struct nd_value *object, struct nd_str name,
                  struct nd_value *v);

/* The same to an object, with the name in JSON (NULL: the same) and marks. */
void nd_value_set_as(struct nd_arena *arena, struct nd_value *object, const char *name,
                     const char *json, unsigned marks, struct nd_value *v);

/* The item of a map or object with exactly this name, or NULL. */
struct nd_value *nd_value_find(const struct nd_value *v, struct nd_str name);

/*
 * The field of an object as templates name it, or NULL. In documents the names of Go and of JSON
 * both work ("ID" finds "Id"), and fields that are left out when empty exist with their zero value.
 */
struct nd_value *nd_value_field(const struct nd_value *object, struct nd_str name);

/* False, 0, empty text, empty list or map, null: what {{if}} takes for no. */
bool nd_value_is_empty(const struct nd_value *v);

/* As Go prints it with %v: "[a b]", "map[k:v]", "{x y}". Fails: ND_EXHAUSTED (buffer is full). */
struct nd_error *nd_value_print(struct nd_buf *out, const struct nd_value *v) ND_CHECK_RESULT;

/*
 * As JSON the way Go writes it, without escaping of < > &. `indent` is the number of blanks a
 * level, 0 for one line. Fails: ND_EXHAUSTED (buffer is full).
 */
struct nd_error *nd_value_json(struct nd_buf *out, const struct nd_value *v,
                               unsigned indent) ND_CHECK_RESULT;

/* Pieces of the two, for printf and for logs. */
struct nd_error *nd_value_json_text(struct nd_buf *out, struct nd_str text) ND_CHECK_RESULT;
struct nd_error *nd_value_print_float(struct nd_buf *out, double v) ND_CHECK_RESULT;
struct nd_error *nd_value_print_time(struct nd_buf *out, struct nd_wall at) ND_CHECK_RESULT;

/* What Go calls the type: "string", "int", "map", "slice", ... for error messages. */
const char *nd_value_kind_name(enum nd_value_kind kind);

/* Parse a JSON document (an object of the daemon). Fails: ND_INVALID. */
struct nd_error *nd_value_from_json(struct nd_arena *arena, struct nd_str json,
                                    struct nd_value **ret) ND_CHECK_RESULT;

#endif
