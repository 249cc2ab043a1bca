#ifndef CODEC_JSON_H
#define CODEC_JSON_H

/*
 * JSON values: parse, look into, build, write.
 *
 * A value is a heap object with one owner; what is inside belongs to the outermost one. Objects
 * keep the order in which their keys were set or read. A key that occurs twice in a text: the last
 * one counts, as in Go. Integers from INT64_MIN to UINT64_MAX; those above INT64_MAX are kept with
 * the precision of a double, except that 2^64 - 1 stays exact (it is how "unlimited" is written).
 * Context of everything here: any.
 */

#include "base/buf.h"
#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"

struct nd_json;

enum nd_json_type {
    ND_JSON_NULL,
    ND_JSON_BOOL,
    ND_JSON_INT,
    ND_JSON_REAL,
    ND_JSON_STR,
    ND_JSON_ARRAY,
    ND_JSON_OBJECT,
};

/* 0 in a member means the default of codec/limits.h. */
struct nd_json_limits {
    size_t max_bytes;
    size_t max_depth;
    size_t max_values;
};

/*
 * One value of any type and nothing behind it but white space. `limits` NULL: the defaults.
 * Fails: ND_INVALID    not JSON (line and column are in the message), a NUL in a string
 *        ND_EXHAUSTED  over a limit
 */
struct nd_error *nd_json_parse(struct nd_str text, const struct nd_json_limits *limits,
                               struct nd_json **ret) ND_CHECK_RESULT;

void nd_json_free(struct nd_json *value); /* NULL is fine */
void nd_json_freep(struct nd_json **value);

struct nd_json *nd_json_copy(const struct nd_json *value) __attribute__((__returns_nonnull__));
bool nd_json_eq(const struct nd_json *a, const struct nd_json *b); /* order of keys aside */

/* ND_JSON_NULL for NULL. */
enum nd_json_type nd_json_type(const struct nd_json *value);

/* --- looking into: everything returned is borrowed ------------------------------------------- */

/* The member, or NULL when it is absent or null or `object` is no object (or NULL). */
const struct nd_json *nd_json_find(const struct nd_json *object, const char *key);

/*
 * A member of a type. Absent or null (and an `object` that is NULL): `*ret` becomes NULL, empty, 0
 * or false. Fails: ND_INVALID, with the key as the error's field, when it has another type.
 */
struct nd_error *nd_json_get_object(const struct nd_json *object, const char *key,
                                    const struct nd_json **ret) ND_CHECK_RESULT;
struct nd_error *nd_json_get_array(const struct nd_json *object, const char *key,
                                   const struct nd_json **ret) ND_CHECK_RESULT;
struct nd_error *nd_json_get_str(const struct nd_json *object, const char *key,
                                 struct nd_str *ret) ND_CHECK_RESULT;
struct nd_error *nd_json_get_i64(const struct nd_json *object, const char *key,
                                 int64_t *ret) ND_CHECK_RESULT;
struct nd_error *nd_json_get_u64(const struct nd_json *object, const char *key,
                                 uint64_t *ret) ND_CHECK_RESULT; /* refuses negative ones */
struct nd_error *nd_json_get_bool(const struct nd_json *object, const char *key,
                                  bool *ret) ND_CHECK_RESULT;

/* The value itself, for elements of an array. Fails: ND_INVALID, without a field. */
struct nd_error *nd_json_as_str(const struct nd_json *value, struct nd_str *ret) ND_CHECK_RESULT;
struct nd_error *nd_json_as_i64(const struct nd_json *value, int64_t *ret) ND_CHECK_RESULT;
struct nd_error *nd_json_as_u64(const struct nd_json *value, uint64_t *ret) ND_CHECK_RESULT;
struct nd_error *nd_json_as_bool(const struct nd_json *value, bool *ret) ND_CHECK_RESULT;

/* The value of a number of either kind; 0 for all else. */
double nd_json_real(const struct nd_json *value);

/* The text of a string, the empty slice for all else. Always UTF-8; NUL stands behind it. */
struct nd_str nd_json_string(const struct nd_json *value);

/* Elements of an array, members of an object, 0 for all else. */
size_t nd_json_count(const struct nd_json *value);

/* Element `i`, or NULL. */
const struct nd_json *nd_json_at(const struct nd_json *array, size_t i);

/* Walk an object in order: start with *pos = NULL; false at the end. Do not change it meanwhile. */
bool nd_json_next(const struct nd_json *object, void **pos, struct nd_str *ret_key,
                  const struct nd_json **ret_value);

/* --- building: never NULL; bytes that are not UTF-8 become U+FFFD ----------------------------- */

struct nd_json *nd_json_new_object(void) __attribute__((__returns_nonnull__));
struct nd_json *nd_json_new_array(void) __attribute__((__returns_nonnull__));
struct nd_json *nd_json_new_str(struct nd_str text) __attribute__((__returns_nonnull__));
struct nd_json *nd_json_new_i64(int64_t v) __attribute__((__returns_nonnull__));
struct nd_json *nd_json_new_u64(uint64_t v) __attribute__((__returns_nonnull__));
struct nd_json *nd_json_new_real(double v) __attribute__((__returns_nonnull__)); /* finite */
struct nd_json *nd_json_new_bool(bool v) __attribute__((__returns_nonnull__));
struct nd_json *nd_json_new_null(void) __attribute__((__returns_nonnull__));

/* Set a member; takes `value`. A key that is there keeps its place. */
void nd_json_set(struct nd_json *object, struct nd_str key, struct nd_json *value);

/* The same for common types, with a key of our own. */
void nd_json_set_value(struct nd_json *object, const char *key, struct nd_json *value);
void nd_json_set_str(struct nd_json *object, const char *key, struct nd_str text);
void nd_json_set_text(struct nd_json *object, const char *key, const char *text); /* NULL: "" */
void nd_json_set_i64(struct nd_json *object, const char *key, int64_t v);
void nd_json_set_u64(struct nd_json *object, const char *key, uint64_t v);
void nd_json_set_bool(struct nd_json *object, const char *key, bool v);

/* Add to the end of an array; takes `value`. */
void nd_json_push(struct nd_json *array, struct nd_json *value);
void nd_json_push_str(struct nd_json *array, struct nd_str text);

/* Remove a member; no matter whether it is there. */
void nd_json_remove(struct nd_json *object, const char *key);

/* A member or element to change in place; NULL when it is not there. Borrowed. */
struct nd_json *nd_json_edit(struct nd_json *object, const char *key);
struct nd_json *nd_json_edit_at(struct nd_json *array, size_t i);

/* Put the members of one object (not of those inside) in the order of their keys' bytes: maps of
 * the programs that read our files are written that way. */
void nd_json_sort(struct nd_json *object);

/* --- writing ------------------------------------------------------------------------------- */

enum nd_json_style {
    ND_JSON_PLAIN = 0,  /* compact; nothing escaped that need not be */
    ND_JSON_GO = 1,     /* compact; < > & and U+2028/9 escaped, as Go's encoder does by default */
    ND_JSON_INDENT = 2, /* flag: a line per value, four spaces each level, as inspect prints it */
};

/* Append the text. Fails: ND_EXHAUSTED over the maximum of `buf`; it is then as before. */
struct nd_error *nd_json_write(const struct nd_json *value, unsigned style,
                               struct nd_buf *buf) ND_CHECK_RESULT;

#endif
