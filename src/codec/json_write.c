/*
 * Writing JSON.
 *
 * Two dialects. Files and labels that other programs compare byte by byte are written the way Go's
 * encoder does it: `<`, `>`, `&` and the two Unicode line separators are escaped, so that the text
 * can stand in HTML. What people read has none of that. Neither escapes a slash.
 *
 * The buffer's maximum may be reached at any point; the first failure is kept, the rest of the walk
 * does nothing, and the caller gets the buffer as it was.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json_priv.h"

#define INDENT_WIDTH 4

struct out {
    struct nd_buf *buf;
    unsigned style;
    unsigned depth;
    struct nd_error *err;
};

static void
put(struct out *out, struct nd_str text)
{
    if (out->err == NULL)
        out->err = nd_buf_add(out->buf, text);
}

/* The escape of a byte that may not stand in a string as it is, or none. */
static struct nd_str
escape_of(const struct out *out, unsigned char c, char scratch[8])
{
    static const char short_forms[] = {
        ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
        ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
    };
    bool go = (out->style & ND_JSON_GO) != 0;
    int len = 0;

    if (c < sizeof(short_forms) && short_forms[c] != '\0')
        len = snprintf(scratch, 8, "\\%c", short_forms[c]);
    else if (c < 0x20 || (go && (c == '<' || c == '>' || c == '&')))
        len = snprintf(scratch, 8, "\\u%04x", c);
    return nd_str_n(scratch, (size_t)len);
}

/* U+2028 or U+2029 at the front of `s`, for Go. */
static bool
is_separator(const struct out *out, struct nd_str s)
{
    return (out->style & ND_JSON_GO) != 0 &&
           (nd_str_starts(s, ND_STR("\xe2\x80\xa8")) || nd_str_starts(s, ND_STR("\xe2\x80\xa9")));
}

static void
put_string(struct out *out, struct nd_str text)
{
    size_t plain = 0; /* start of what can be copied as it is */
    char scratch[8];

    put(out, ND_STR("\""));
    for (size_t i = 0; i < text.len;) {
        struct nd_str escape = escape_of(out, (unsigned char)text.ptr[i], scratch);
        size_t size = 1;

        if (escape.len == 0 && is_separator(out, nd_str_from(text, i))) {
            escape = text.ptr[i + 2] == '\xa8' ? ND_STR("\\u2028") : ND_STR("\\u2029");
            size = 3;
        }
        if (escape.len > 0) {
            put(out, nd_str_sub(text, plain, i - plain));
            put(out, escape);
            plain = i + size;
        }
        i += size;
    }
    put(out, nd_str_from(text, plain));
    put(out, ND_STR("\""));
}

/* The shortest digits that read back as the same number. */
static void
put_real(struct out *out, const json_t *node)
{
    double v = json_real_value(node) + 0.0; /* no -0: it would be read as an integer */
    char text[40];

    if (nd_json_is_big(node)) {
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)nd_json_big_value(node));
        put(out, nd_str(text));
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    put(out, nd_str(text));
}

static void
new_line(struct out *out)
{
    if ((out->style & ND_JSON_INDENT) == 0)
        return;
    put(out, ND_STR("\n"));
    for (unsigned i = 0; i < out->depth; i++)
        put(out, nd_str_n("        ", INDENT_WIDTH));
}

static void put_value(struct out *out, const json_t *node);

static void
put_array(struct out *out, const json_t *node)
{
    size_t n = json_array_size(node);

    put(out, ND_STR("["));
    out->depth++;
    for (size_t i = 0; i < n && out->err == NULL; i++) {
        put(out, i > 0 ? ND_STR(",") : ND_STR_NONE);
        new_line(out);
        put_value(out, json_array_get(node, i));
    }
    out->depth--;
    if (n > 0)
        new_line(out);
    put(out, ND_STR("]"));
}

static void
put_object(struct out *out, const json_t *node)
{
    const struct nd_json *value;
    struct nd_str key;
    void *pos = NULL;
    bool first = true;

    put(out, ND_STR("{"));
    out->depth++;
    while (out->err == NULL && nd_json_next((const struct nd_json *)node, &pos, &key, &value)) {
        put(out, first ? ND_STR_NONE : ND_STR(","));
        new_line(out);
        put_string(out, key);
        put(out, (out->style & ND_JSON_INDENT) != 0 ? ND_STR(": ") : ND_STR(":"));
        put_value(out, nd_json_node(value));
        first = false;
    }
    out->depth--;
    if (!first)
        new_line(out);
    put(out, ND_STR("}"));
}

static void
put_value(struct out *out, const json_t *node)
{
    char number[32];

    switch (json_typeof(node)) {
    case JSON_OBJECT:
        put_object(out, node);
        break;
    case JSON_ARRAY:
        put_array(out, node);
        break;
    case JSON_STRING:
        put_string(out, nd_str_n(json_string_value(node), json_string_length(node)));
        break;
    case JSON_INTEGER:
        (void)snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(node));
        put(out, nd_str(number));
        break;
    case JSON_REAL:
        put_real(out, node);
        break;
    case JSON_TRUE:
        put(out, ND_STR("true"));
        break;
    case JSON_FALSE:
        put(out, ND_STR("false"));
        break;
    case JSON_NULL:
        put(out, ND_STR("null"));
        break;
    }
}

struct nd_error *
nd_json_write(const struct nd_json *value, unsigned style, struct nd_buf *buf)
{
    struct out out = {.buf = buf, .style = style};
    size_t before = buf->len;

    put_value(&out, nd_json_node(value));
    if (out.err != NULL && buf->ptr != NULL) {
        buf->len = before;
        buf->ptr[before] = '\0';
    }
    return out.err;
}
