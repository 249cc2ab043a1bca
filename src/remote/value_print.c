/*
 * A value as text, in the two ways that Go has: what fmt prints for %v, and what encoding/json
 * writes.
 *
 * People parse both, so the corner cases matter: floats are the shortest text that reads back as
 * the same number, with an exponent outside of [1e-4, 1e6) (JSON: [1e-6, 1e21)); JSON escapes
 * U+2028 and U+2029 and leaves < > & alone; empty lists and maps stay on one line when indented.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "remote/value.h"

#define MAX_FLOAT_TEXT 64 /* bytes of a float as %.17e prints it, and more */

static struct nd_error *
put(struct nd_buf *out, const char *text)
{
    return nd_buf_add(out, nd_str(text));
}

static struct nd_error *
put_blanks(struct nd_buf *out, size_t n)
{
    ND_TRY(nd_buf_reserve(out, n));
    while (n-- > 0)
        nd_buf_putc(out, ' ');
    return NULL;
}

/* The digits of the shortest text that reads back as `v` (positive, finite), and its exponent. */
static void
shortest_digits(double v, char digits[MAX_FLOAT_TEXT], int *ret_exponent)
{
    char text[MAX_FLOAT_TEXT];
    size_t n = 0;
    const char *p;

    for (int precision = 0; precision <= 17; precision++) {
        (void)snprintf(text, sizeof(text), "%.*e", precision, v);
        if (strtod(text, NULL) == v)
            break;
    }
    for (p = text; *p != 'e'; p++) {
        if (*p >= '0' && *p <= '9')
            digits[n++] = *p;
    }
    digits[n] = '\0';
    *ret_exponent = (p[1] == '-' ? -1 : 1) * (int)strtod(p + 2, NULL);
}

/* `d.ddde+XX`. */
static struct nd_error *
put_with_exponent(struct nd_buf *out, const char *digits, int exponent, bool json)
{
    char text[MAX_FLOAT_TEXT + 16];

    /* JSON writes 1e-7 where %v prints 1e-07. */
    (void)snprintf(text, sizeof(text), json && exponent < 0 ? "%c%s%se%c%d" : "%c%s%se%c%02d",
                   digits[0], digits[1] != '\0' ? "." : "", digits + 1, exponent < 0 ? '-' : '+',
                   exponent < 0 ? -exponent : exponent);
    return put(out, text);
}

static struct nd_error *
put_plain(struct nd_buf *out, const char *digits, int exponent)
{
    int n = (int)nd_str(digits).len;

    if (exponent < 0) {
        ND_TRY(put(out, "0."));
        for (int i = -1; i > exponent; i--)
            ND_TRY(put(out, "0"));
        return put(out, digits);
    }
    for (int i = 0; i <= exponent || i < n; i++) {
        if (i == exponent + 1)
            ND_TRY(put(out, "."));
        ND_TRY(nd_buf_add(out, i < n ? nd_str_n(digits + i, 1) : ND_STR("0")));
    }
    return NULL;
}

static struct nd_error *
put_float(struct nd_buf *out, double v, bool json)
{
    char digits[MAX_FLOAT_TEXT] = "0";
    int exponent;

    if (isnan(v))
        return put(out, "NaN");
    if (isinf(v))
        return put(out, v < 0 ? "-Inf" : "+Inf");
    if (signbit(v)) {
        ND_TRY(put(out, "-"));
        v = -v;
    }
    if (v == 0)
        return put(out, "0");
    shortest_digits(v, digits, &exponent);
    if (exponent < (json ? -6 : -4) || exponent >= (json ? 21 : 6))
        return put_with_exponent(out, digits, exponent, json);
    return put_plain(out, digits, exponent);
}

struct nd_error *
nd_value_print_float(struct nd_buf *out, double v)
{
    return put_float(out, v, false);
}

struct nd_error *
nd_value_print_time(struct nd_buf *out, struct nd_wall at)
{
    char text[ND_RFC3339_SIZE];
    size_t len = nd_wall_format(at, text);

    /* 2026-01-02T03:04:05.6Z becomes 2026-01-02 03:04:05.6 +0000 UTC */
    text[10] = ' ';
    ND_TRY(nd_buf_add(out, nd_str_n(text, len - 1)));
    return put(out, " +0000 UTC");
}

static struct nd_error *
put_number(struct nd_buf *out, const struct nd_value *v)
{
    char text[32];

    if (v->kind == ND_VALUE_INT)
        (void)snprintf(text, sizeof(text), "%lld", (long long)v->i64);
    else
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)v->u64);
    return put(out, text);
}

static struct nd_error *
print_item(struct nd_buf *out, const struct nd_value_item *item, bool named, bool first)
{
    ND_TRY(put(out, first ? "" : " "));
    if (named) {
        ND_TRY(nd_buf_add(out, item->name));
        ND_TRY(put(out, ":"));
    }
    return nd_value_print(out, item->value);
}

static struct nd_error *
print_items(struct nd_buf *out, const struct nd_value *v)
{
    bool map = v->kind == ND_VALUE_MAP || v->kind == ND_VALUE_LOOKUP;
    bool first = true;

    ND_TRY(put(out, map ? "map[" : v->kind == ND_VALUE_LIST ? "[" : "{"));
    for (size_t i = 0; i < v->n_items; i++) {
        if ((v->items[i].marks & ND_VALUE_TEMPLATE_ONLY) != 0)
            continue;
        ND_TRY(print_item(out, &v->items[i], map, first));
        first = false;
    }
    return put(out, v->kind == ND_VALUE_OBJECT ? "}" : "]");
}

struct nd_error *
nd_value_print(struct nd_buf *out, const struct nd_value *v)
{
    switch (v->kind) {
    case ND_VALUE_NULL:
        return put(out, "<nil>");
    case ND_VALUE_MISSING:
        return put(out, "<no value>");
    case ND_VALUE_BOOL:
        return put(out, v->boolean ? "true" : "false");
    case ND_VALUE_INT:
    case ND_VALUE_UINT:
        return put_number(out, v);
    case ND_VALUE_FLOAT:
        return put_float(out, v->f64, false);
    case ND_VALUE_TEXT:
        return nd_buf_add(out, v->text);
    case ND_VALUE_TIME:
        return nd_value_print_time(out, v->time);
    case ND_VALUE_LIST:
    case ND_VALUE_OBJECT:
    case ND_VALUE_MAP:
    case ND_VALUE_LOOKUP:
        return print_items(out, v);
    }
    return NULL;
}

/* Length of the UTF-8 sequence at `p`, 0 when it is none. */
static size_t
utf8_length(const char *p, size_t left)
{
    for (size_t n = 1; n <= 4 && n <= left; n++) {
        if (nd_str_is_utf8(nd_str_n(p, n)))
            return n;
    }
    return 0;
}

static const char *
short_escape(char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

/* One character of a JSON text; returns how many bytes of `rest` it took. */
static struct nd_error *
json_character(struct nd_buf *out, struct nd_str rest, size_t *ret_taken)
{
    char c = rest.ptr[0];
    char escaped[8];
    size_t n;

    *ret_taken = 1;
    if (c == '\0') /* valid UTF-8, but not for nd_str_is_utf8() */
        return put(out, "\\u0000");
    if (short_escape(c) != NULL)
        return put(out, short_escape(c));
    if ((unsigned char)c < 0x20) {
        (void)snprintf(escaped, sizeof(escaped), "\\u%04x", (unsigned)c);
        return put(out, escaped);
    }
    n = utf8_length(rest.ptr, rest.len);
    if (n == 0)
        return put(out, "\\ufffd");
    *ret_taken = n;
    if (n == 3 && memcmp(rest.ptr, "\xe2\x80\xa8", 3) == 0)
        return put(out, "\\u2028");
    if (n == 3 && memcmp(rest.ptr, "\xe2\x80\xa9", 3) == 0)
        return put(out, "\\u2029");
    return nd_buf_add(out, nd_str_n(rest.ptr, n));
}

static bool
is_plain(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x7f && c != '"' && c != '\\';
}

struct nd_error *
nd_value_json_text(struct nd_buf *out, struct nd_str text)
{
    ND_TRY(put(out, "\""));
    while (text.len > 0) {
        size_t n = 0;

        while (n < text.len && is_plain(text.ptr[n]))
            n++;
        if (n > 0)
            ND_TRY(nd_buf_add(out, nd_str_n(text.ptr, n)));
        else
            ND_TRY(json_character(out, text, &n));
        text = nd_str_from(text, n);
    }
    return put(out, "\"");
}

static struct nd_error *
json_time(struct nd_buf *out, struct nd_wall at)
{
    char text[ND_RFC3339_SIZE];

    (void)nd_wall_format(at, text);
    return nd_value_json_text(out, nd_str(text));
}

static bool
is_in_json(const struct nd_value_item *item)
{
    if ((item->marks & ND_VALUE_TEMPLATE_ONLY) != 0 || item->value->kind == ND_VALUE_LOOKUP)
        return false;
    return (item->marks & ND_VALUE_OMIT_EMPTY) == 0 || !nd_value_is_empty(item->value);
}

struct json_style {
    unsigned indent; /* blanks a level; 0: one line */
    unsigned level;
};

static struct nd_error *json_value(struct nd_buf *out, const struct nd_value *v,
                                   struct json_style style);

static struct nd_error *
json_new_line(struct nd_buf *out, struct json_style style)
{
    if (style.indent == 0)
        return NULL;
    ND_TRY(put(out, "\n"));
    return put_blanks(out, (size_t)style.indent * style.level);
}

static struct nd_error *
json_item(struct nd_buf *out, const struct nd_value_item *item, bool named, struct json_style style)
{
    ND_TRY(json_new_line(out, style));
    if (named) {
        ND_TRY(nd_value_json_text(out, item->json));
        ND_TRY(put(out, style.indent != 0 ? ": " : ":"));
    }
    return json_value(out, item->value, style);
}

static struct nd_error *
json_items(struct nd_buf *out, const struct nd_value *v, struct json_style style)
{
    bool named = v->kind != ND_VALUE_LIST;
    struct json_style inner = {style.indent, style.level + 1};
    bool first = true;

    ND_TRY(put(out, named ? "{" : "["));
    for (size_t i = 0; i < v->n_items; i++) {
        if (!is_in_json(&v->items[i]))
            continue;
        ND_TRY(put(out, first ? "" : ","));
        ND_TRY(json_item(out, &v->items[i], named, inner));
        first = false;
    }
    if (!first)
        ND_TRY(json_new_line(out, style));
    return put(out, named ? "}" : "]");
}

static struct nd_error *
json_value(struct nd_buf *out, const struct nd_value *v, struct json_style style)
{
    switch (v->kind) {
    case ND_VALUE_NULL:
    case ND_VALUE_MISSING:
        return put(out, "null");
    case ND_VALUE_BOOL:
        return put(out, v->boolean ? "true" : "false");
    case ND_VALUE_INT:
    case ND_VALUE_UINT:
        return put_number(out, v);
    case ND_VALUE_FLOAT:
        if (!isfinite(v->f64))
            return nd_error_new(ND_INVALID, "json: unsupported value: %g", v->f64);
        return put_float(out, v->f64, true);
    case ND_VALUE_TEXT:
        return nd_value_json_text(out, v->text);
    case ND_VALUE_TIME:
        return json_time(out, v->time);
    case ND_VALUE_LIST:
    case ND_VALUE_OBJECT:
    case ND_VALUE_MAP:
    case ND_VALUE_LOOKUP:
        return json_items(out, v, style);
    }
    return NULL;
}

struct nd_error *
nd_value_json(struct nd_buf *out, const struct nd_value *v, unsigned indent)
{
    return json_value(out, v, (struct json_style){indent, 0});
}
