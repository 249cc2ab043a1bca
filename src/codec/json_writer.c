/*
 * The writer keeps two bits per level: what the level is, and whether it has a member yet. That is
 * all it takes to put commas right and to notice a call that is out of place.
 */

#include "codec/json_writer.h"

#include "base/log.h"

static bool
in_object(const struct nd_json_writer *w)
{
    return w->depth > 0 && (w->objects >> (w->depth - 1) & 1) != 0;
}

/* The comma in front of the next member of this level. */
static void
separate(struct nd_json_writer *w)
{
    uint32_t bit;

    if (w->depth == 0)
        return;
    bit = UINT32_C(1) << (w->depth - 1);
    if ((w->filled & bit) != 0)
        nd_buf_putc(w->buf, ',');
    w->filled |= bit;
}

/* What stands in front of a value: nothing behind a key, else a comma. */
static void
before_value(struct nd_json_writer *w)
{
    ND_INVARIANT(!in_object(w) || w->key_due);
    if (!w->key_due)
        separate(w);
    w->key_due = false;
}

static void
begin(struct nd_json_writer *w, char bracket, bool object)
{
    uint32_t bit;

    before_value(w);
    ND_INVARIANT(w->depth < ND_JSON_WRITER_DEPTH);
    bit = UINT32_C(1) << w->depth++;
    w->filled &= ~bit;
    w->objects = object ? w->objects | bit : w->objects & ~bit;
    nd_buf_putc(w->buf, bracket);
}

static void
end(struct nd_json_writer *w, char bracket, bool object)
{
    ND_INVARIANT(w->depth > 0 && in_object(w) == object && !w->key_due);
    w->depth--;
    nd_buf_putc(w->buf, bracket);
}

void
nd_json_begin_object(struct nd_json_writer *w)
{
    begin(w, '{', true);
}

void
nd_json_end_object(struct nd_json_writer *w)
{
    end(w, '}', true);
}

void
nd_json_begin_array(struct nd_json_writer *w)
{
    begin(w, '[', false);
}

void
nd_json_end_array(struct nd_json_writer *w)
{
    end(w, ']', false);
}

void
nd_json_key(struct nd_json_writer *w, const char *key)
{
    ND_INVARIANT(in_object(w) && !w->key_due);
    separate(w);
    nd_json_quote(w->buf, nd_str(key));
    nd_buf_putc(w->buf, ':');
    w->key_due = true;
}

void
nd_json_str(struct nd_json_writer *w, struct nd_str value)
{
    before_value(w);
    nd_json_quote(w->buf, value);
}

void
nd_json_text(struct nd_json_writer *w, const char *value)
{
    if (value == NULL)
        nd_json_null(w);
    else
        nd_json_str(w, nd_str(value));
}

void
nd_json_i64(struct nd_json_writer *w, int64_t value)
{
    before_value(w);
    nd_buf_printf(w->buf, "%lld", (long long)value);
}

void
nd_json_u64(struct nd_json_writer *w, uint64_t value)
{
    before_value(w);
    nd_buf_printf(w->buf, "%llu", (unsigned long long)value);
}

void
nd_json_bool(struct nd_json_writer *w, bool value)
{
    before_value(w);
    nd_buf_putz(w->buf, value ? "true" : "false");
}

void
nd_json_null(struct nd_json_writer *w)
{
    before_value(w);
    nd_buf_putz(w->buf, "null");
}

void
nd_json_raw(struct nd_json_writer *w, struct nd_str json)
{
    before_value(w);
    nd_buf_put(w->buf, json);
}

void
nd_json_put_text(struct nd_json_writer *w, const char *key, const char *value)
{
    nd_json_key(w, key);
    nd_json_text(w, value);
}

void
nd_json_put_i64(struct nd_json_writer *w, const char *key, int64_t value)
{
    nd_json_key(w, key);
    nd_json_i64(w, value);
}

void
nd_json_put_u64(struct nd_json_writer *w, const char *key, uint64_t value)
{
    nd_json_key(w, key);
    nd_json_u64(w, value);
}

void
nd_json_put_bool(struct nd_json_writer *w, const char *key, bool value)
{
    nd_json_key(w, key);
    nd_json_bool(w, value);
}

void
nd_json_texts(struct nd_json_writer *w, const char *const *texts, size_t n)
{
    nd_json_begin_array(w);
    for (size_t i = 0; i < n; i++)
        nd_json_text(w, texts[i]);
    nd_json_end_array(w);
}

void
nd_json_put_texts(struct nd_json_writer *w, const char *key, const char *const *texts, size_t n)
{
    nd_json_key(w, key);
    nd_json_texts(w, texts, n);
}
