/*
 * Building JSON values.
 *
 * Nothing here can fail: text that is not UTF-8 (an environment variable, a file name) is mended
 * with U+FFFD, which is what the programs that read our files write themselves in that case.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#include "json_priv.h"

static struct nd_json *
value_of(json_t *node)
{
    ND_INVARIANT(node != NULL);
    return (struct nd_json *)node;
}

/* Length of the valid character at the front, 0 when there is none. NUL counts as valid. */
static size_t
valid_char(struct nd_str s)
{
    unsigned char first = (unsigned char)s.ptr[0];
    size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    if (first == '\0')
        return 1;
    return size <= s.len && nd_str_is_utf8(nd_str_n(s.ptr, size)) ? size : 0;
}

/* `text` with what is not UTF-8 replaced. */
static void
mend(struct nd_str text, struct nd_buf *ret)
{
    for (size_t i = 0; i < text.len;) {
        size_t size = valid_char(nd_str_from(text, i));

        if (size > 0)
            nd_buf_put(ret, nd_str_sub(text, i, size));
        else
            nd_buf_putz(ret, "\xef\xbf\xbd");
        i += size > 0 ? size : 1;
    }
}

struct nd_json *
nd_json_new_object(void)
{
    return value_of(json_object());
}

struct nd_json *
nd_json_new_array(void)
{
    return value_of(json_array());
}

struct nd_json *
nd_json_new_str(struct nd_str text)
{
    ND_AUTO(nd_buf_fini) struct nd_buf mended = ND_BUF_INIT(3 * text.len);
    json_t *node = json_stringn(text.len > 0 ? text.ptr : "", text.len);

    if (node == NULL) {
        mend(text, &mended);
        node = json_stringn(mended.ptr, mended.len);
    }
    return value_of(node);
}

struct nd_json *
nd_json_new_i64(int64_t v)
{
    return value_of(json_integer(v));
}

struct nd_json *
nd_json_new_u64(uint64_t v)
{
    return value_of(v > INT64_MAX ? json_real((double)v) : json_integer((json_int_t)v));
}

struct nd_json *
nd_json_new_real(double v)
{
    ND_INVARIANT(isfinite(v));
    return value_of(json_real(v));
}

struct nd_json *
nd_json_new_bool(bool v)
{
    return value_of(json_boolean(v));
}

struct nd_json *
nd_json_new_null(void)
{
    return value_of(json_null());
}

void
nd_json_set(struct nd_json *object, struct nd_str key, struct nd_json *value)
{
    ND_AUTO(nd_buf_fini) struct nd_buf mended = ND_BUF_INIT(3 * key.len);

    mend(key, &mended);
    ND_INVARIANT(json_object_setn_new(nd_json_node(object), mended.len > 0 ? mended.ptr : "",
                                      mended.len, nd_json_node(value)) == 0);
}

void
nd_json_set_value(struct nd_json *object, const char *key, struct nd_json *value)
{
    ND_INVARIANT(json_object_set_new(nd_json_node(object), key, nd_json_node(value)) == 0);
}

void
nd_json_set_str(struct nd_json *object, const char *key, struct nd_str text)
{
    nd_json_set_value(object, key, nd_json_new_str(text));
}

void
nd_json_set_text(struct nd_json *object, const char *key, const char *text)
{
    nd_json_set_str(object, key, nd_str(text));
}

void
nd_json_set_i64(struct nd_json *object, const char *key, int64_t v)
{
    nd_json_set_value(object, key, nd_json_new_i64(v));
}

void
nd_json_set_u64(struct nd_json *object, const char *key, uint64_t v)
{
    nd_json_set_value(object, key, nd_json_new_u64(v));
}

void
nd_json_set_bool(struct nd_json *object, const char *key, bool v)
{
    nd_json_set_value(object, key, nd_json_new_bool(v));
}

void
nd_json_push(struct nd_json *array, struct nd_json *value)
{
    ND_INVARIANT(json_array_append_new(nd_json_node(array), nd_json_node(value)) == 0);
}

void
nd_json_push_str(struct nd_json *array, struct nd_str text)
{
    nd_json_push(array, nd_json_new_str(text));
}

void
nd_json_remove(struct nd_json *object, const char *key)
{
    (void)json_object_del(nd_json_node(object), key);
}

struct nd_json *
nd_json_edit(struct nd_json *object, const char *key)
{
    return (struct nd_json *)json_object_get(nd_json_node(object), key);
}

struct nd_json *
nd_json_edit_at(struct nd_json *array, size_t i)
{
    return (struct nd_json *)json_array_get(nd_json_node(array), i);
}

struct member {
    char *key; /* may have a NUL inside */
    size_t key_len;
    json_t *value;
};

static int
by_key(const void *a, const void *b)
{
    const struct member *x = a;
    const struct member *y = b;

    return nd_str_cmp(nd_str_n(x->key, x->key_len), nd_str_n(y->key, y->key_len));
}

void
nd_json_sort(struct nd_json *object)
{
    size_t n = nd_json_count(object);
    ND_AUTO(nd_freep) struct member *members = nd_new_array(n, struct member);
    const struct nd_json *value;
    struct nd_str key;
    void *pos = NULL;
    size_t i = 0;

    for (; i < n && nd_json_next(object, &pos, &key, &value); i++) {
        members[i].key = nd_str_dup(key);
        members[i].key_len = key.len;
        members[i].value = json_incref(nd_json_node(value));
    }
    qsort(members, n, sizeof(members[0]), by_key);
    json_object_clear(nd_json_node(object));
    for (i = 0; i < n; i++) {
        nd_json_set(object, nd_str_n(members[i].key, members[i].key_len),
                    value_of(members[i].value));
        nd_free(members[i].key);
    }
}
