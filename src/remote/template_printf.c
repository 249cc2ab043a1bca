/*
 * Go's print, println and printf.
 *
 * A verb is "%", flags, width, precision, letter; what it makes is first written without padding,
 * then padded, so that width works the same for all. Wrong kinds are no errors: they print as Go
 * prints them, "%!d(string=web)", as do missing and superfluous arguments.
 */

#include <ctype.h>
#include <math.h>
#include <stdio.h>

#include "remote/limits.h"

#include "template_priv.h"

#define MAX_NUMBER_TEXT 1200 /* %f of the largest double with MAX_PRECISION digits behind the dot */
#define MAX_PRECISION   800

struct verb {
    bool minus, plus, sharp, space, zero;
    bool has_width, has_precision;
    int width, precision;
    char letter;
};

static struct nd_error *
put(struct nd_buf *out, const char *text)
{
    return nd_buf_add(out, nd_str(text));
}

static bool
is_text(const struct nd_value *v)
{
    return v->kind == ND_VALUE_TEXT;
}

struct nd_error *
template_print(struct nd_buf *out, struct template_arguments args, bool line)
{
    for (size_t i = 0; i < args.n; i++) {
        bool blank = line || (i > 0 && !is_text(args.values[i]) && !is_text(args.values[i - 1]));

        if (i > 0 && blank)
            ND_TRY(put(out, " "));
        /* As an argument a missing value is Go's nil. */
        if (args.values[i]->kind == ND_VALUE_MISSING)
            ND_TRY(put(out, "<nil>"));
        else
            ND_TRY(nd_value_print(out, args.values[i]));
    }
    return line ? put(out, "\n") : NULL;
}

/* Bytes of the character at the front: 0 when they are no UTF-8. */
static size_t
character_length(struct nd_str s)
{
    for (size_t n = 1; n <= 4 && n <= s.len; n++) {
        if (nd_str_is_utf8(nd_str_sub(s, 0, n)))
            return n;
    }
    return 0;
}

/* One character of a quoted text, cut off the front of `*rest`. */
static struct nd_error *
quote_character(struct nd_buf *out, struct nd_str *rest)
{
    static const char escapes[] = "\aa\bb\ff\nn\rr\tt\vv\"\"\\\\";
    char c = rest->ptr[0];
    char text[] = {'\\', '\0', '\0'};
    size_t n = character_length(*rest);
    struct nd_str plain = nd_str_sub(*rest, 0, n);
    const char *e = escapes;
    char hex[8];

    while (*e != '\0' && *e != c)
        e += 2;
    *rest = nd_str_from(*rest, n > 0 ? n : 1);
    if (*e != '\0') {
        text[1] = e[1];
        return put(out, text);
    }
    if (n > 0 && (unsigned char)c >= 0x20 && c != 0x7f)
        return nd_buf_add(out, plain);
    (void)snprintf(hex, sizeof(hex), "\\x%02x", (unsigned char)c);
    return put(out, hex);
}

struct nd_error *
template_quote(struct nd_buf *out, struct nd_str text)
{
    ND_TRY(put(out, "\""));
    while (text.len > 0)
        ND_TRY(quote_character(out, &text));
    return put(out, "\"");
}

/* Characters, as Go counts width. */
static size_t
count_characters(struct nd_str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

static struct nd_error *
put_filling(struct nd_buf *out, char c, size_t n)
{
    char piece[256];

    memset(piece, c, sizeof(piece));
    for (; n > sizeof(piece); n -= sizeof(piece))
        ND_TRY(nd_buf_add(out, nd_str_n(piece, sizeof(piece))));
    return nd_buf_add(out, nd_str_n(piece, n));
}

static struct nd_error *
pad(struct nd_buf *out, const struct verb *verb, struct nd_str text, bool number)
{
    size_t length = count_characters(text);
    size_t blanks =
        verb->has_width && (size_t)verb->width > length ? (size_t)verb->width - length : 0;
    bool zeros = verb->zero && !verb->minus;

    if (verb->minus)
        ND_TRY(nd_buf_add(out, text));
    if (zeros && number && text.len > 0 && strchr("+- ", text.ptr[0]) != NULL) {
        ND_TRY(nd_buf_add(out, nd_str_sub(text, 0, 1)));
        text = nd_str_from(text, 1);
    }
    ND_TRY(put_filling(out, zeros ? '0' : ' ', blanks));
    return verb->minus ? NULL : nd_buf_add(out, text);
}

static unsigned
base_of(char letter)
{
    switch (letter) {
    case 'b':
        return 2;
    case 'o':
        return 8;
    case 'x':
    case 'X':
        return 16;
    default:
        return 10;
    }
}

/* What '#' puts in front of the digits. */
static const char *
prefix_of(char letter)
{
    switch (letter) {
    case 'b':
        return "0b";
    case 'o':
        return "0";
    case 'x':
        return "0x";
    case 'X':
        return "0X";
    default:
        return "";
    }
}

static const char *
sign_of(const struct verb *verb, bool negative)
{
    if (negative)
        return "-";
    return verb->plus ? "+" : verb->space ? " " : "";
}

/* The digits of an integer in a base, with sign and prefix. */
static size_t
format_integer(char dst[MAX_NUMBER_TEXT], const struct verb *verb, const struct nd_value *v)
{
    bool negative = v->kind == ND_VALUE_INT && v->i64 < 0;
    uint64_t magnitude = negative ? 0 - (uint64_t)v->i64 : v->u64;
    const char *digits = verb->letter == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    const char *sign = sign_of(verb, negative);
    char reversed[MAX_NUMBER_TEXT];
    size_t n = 0, length;
    int least = verb->has_precision ? verb->precision : 1;

    if (verb->zero && verb->has_width && !verb->minus && !verb->has_precision)
        least = verb->width - (int)strlen(sign);
    least = ND_MIN(least, MAX_PRECISION);
    while (magnitude > 0 || (int)n < least) {
        reversed[n++] = digits[magnitude % base_of(verb->letter)];
        magnitude /= base_of(verb->letter);
    }
    length = (size_t)snprintf(dst, MAX_NUMBER_TEXT, "%s%s", sign,
                              verb->sharp ? prefix_of(verb->letter) : "");
    while (n > 0)
        dst[length++] = reversed[--n];
    return length;
}

static struct nd_error *
put_character(struct nd_buf *out, const struct verb *verb, const struct nd_value *v)
{
    uint64_t code = v->u64;
    char utf8[4];
    size_t n;

    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        code = 0xfffd;
    if (code < 0x80) {
        utf8[0] = (char)code;
        n = 1;
    } else if (code < 0x800) {
        utf8[0] = (char)(0xc0 | code >> 6);
        utf8[1] = (char)(0x80 | (code & 0x3f));
        n = 2;
    } else if (code < 0x10000) {
        utf8[0] = (char)(0xe0 | code >> 12);
        utf8[1] = (char)(0x80 | (code >> 6 & 0x3f));
        utf8[2] = (char)(0x80 | (code & 0x3f));
        n = 3;
    } else {
        utf8[0] = (char)(0xf0 | code >> 18);
        utf8[1] = (char)(0x80 | (code >> 12 & 0x3f));
        utf8[2] = (char)(0x80 | (code >> 6 & 0x3f));
        utf8[3] = (char)(0x80 | (code & 0x3f));
        n = 4;
    }
    return pad(out, verb, nd_str_n(utf8, n), false);
}

static struct nd_error *
put_float(struct nd_buf *out, const struct verb *verb, double v)
{
    ND_AUTO(nd_buf_fini) struct nd_buf shortest = ND_BUF_INIT(MAX_NUMBER_TEXT);
    char text[MAX_NUMBER_TEXT];
    int precision = ND_MIN(verb->has_precision ? verb->precision : 6, MAX_PRECISION);
    const char *sign = verb->plus ? "+" : verb->space ? " " : "";
    size_t n = 0;

    if (!isfinite(v) || ((verb->letter == 'g' || verb->letter == 'v') && !verb->has_precision)) {
        if (!signbit(v) && !isinf(v))
            ND_TRY(put(&shortest, sign));
        ND_TRY(nd_value_print_float(&shortest, v));
        return pad(out, verb, nd_buf_str(&shortest), isfinite(v));
    }
    if (!signbit(v) && *sign != '\0')
        text[n++] = *sign;
    switch (verb->letter) {
    case 'e':
        (void)snprintf(text + n, sizeof(text) - n, "%.*e", precision, v);
        break;
    case 'f':
    case 'F':
        (void)snprintf(text + n, sizeof(text) - n, "%.*f", precision, v);
        break;
    default:
        (void)snprintf(text + n, sizeof(text) - n, "%.*g", precision, v);
        break;
    }
    return pad(out, verb, nd_str(text), true);
}

/* "%!d(string=web)": the verb does not suit the value. */
static struct nd_error *
put_wrong_kind(struct nd_buf *out, const struct verb *verb, const struct nd_value *v)
{
    char letter[] = {'%', '!', verb->letter, '('};

    ND_TRY(nd_buf_add(out, nd_str_n(letter, sizeof(letter))));
    if (v->kind == ND_VALUE_NULL || v->kind == ND_VALUE_MISSING)
        return put(out, "<nil>)");
    ND_TRY(put(out, nd_value_kind_name(v->kind)));
    ND_TRY(put(out, "="));
    ND_TRY(nd_value_print(out, v));
    return put(out, ")");
}

static struct nd_error *
put_hex(struct nd_buf *out, const struct verb *verb, struct nd_str text)
{
    const char *digits = verb->letter == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    ND_AUTO(nd_buf_fini) struct nd_buf hex = ND_BUF_INIT(ND_REMOTE_MAX_DOCUMENT_BYTES);

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        char pair[] = {digits[c >> 4], digits[c & 15]};

        if (verb->space && i > 0)
            ND_TRY(put(&hex, " "));
        if (verb->sharp && (i == 0 || verb->space))
            ND_TRY(put(&hex, verb->letter == 'X' ? "0X" : "0x"));
        ND_TRY(nd_buf_add(&hex, nd_str_n(pair, 2)));
    }
    return pad(out, verb, nd_buf_str(&hex), false);
}

/* The first `n` characters. */
static struct nd_str
cut_characters(struct nd_str s, size_t n)
{
    size_t at = 0;

    for (; at < s.len; at++) {
        if (((unsigned char)s.ptr[at] & 0xc0) != 0x80 && n-- == 0)
            break;
    }
    return nd_str_sub(s, 0, at);
}

static struct nd_error *
put_text(struct nd_buf *out, const struct verb *verb, struct nd_str text)
{
    ND_AUTO(nd_buf_fini) struct nd_buf quoted = ND_BUF_INIT(ND_REMOTE_MAX_DOCUMENT_BYTES);

    if (verb->has_precision)
        text = cut_characters(text, (size_t)verb->precision);
    if (verb->letter != 'q')
        return pad(out, verb, text, false);
    ND_TRY(template_quote(&quoted, text));
    return pad(out, verb, nd_buf_str(&quoted), false);
}

static struct nd_error *
put_integer(struct nd_buf *out, const struct verb *verb, const struct nd_value *v)
{
    char text[MAX_NUMBER_TEXT];
    struct verb plain = *verb;

    if (verb->letter == 'c')
        return put_character(out, verb, v);
    plain.zero = false;
    return pad(out, &plain, nd_str_n(text, format_integer(text, verb, v)), true);
}

static struct nd_error *put_value(struct nd_buf *out, const struct verb *verb,
                                  const struct nd_value *v);

static struct nd_error *
put_key(struct nd_buf *out, const struct verb *verb, struct nd_str name)
{
    struct nd_value key = {.kind = ND_VALUE_TEXT, .text = name};
    struct verb plain = {.letter = verb->letter};

    ND_TRY(put_value(out, &plain, &key));
    return put(out, ":");
}

/* A list, map or struct: the verb applies to each part. */
static struct nd_error *
put_parts(struct nd_buf *out, const struct verb *verb, const struct nd_value *v)
{
    bool map = v->kind == ND_VALUE_MAP;

    ND_TRY(put(out, map ? "map[" : v->kind == ND_VALUE_LIST ? "[" : "{"));
    for (size_t i = 0; i < v->n_items; i++) {
        ND_TRY(put(out, i > 0 ? " " : ""));
        if (map)
            ND_TRY(put_key(out, verb, v->items[i].name));
        ND_TRY(put_value(out, verb, v->items[i].value));
    }
    return put(out, v->kind == ND_VALUE_OBJECT ? "}" : "]");
}

static struct nd_error *
put_value(struct nd_buf *out, const struct verb *verb, const struct nd_value *v)
{
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(ND_REMOTE_MAX_DOCUMENT_BYTES);
    bool integer = v->kind == ND_VALUE_INT || v->kind == ND_VALUE_UINT;

    if (verb->letter == 'T')
        return pad(out, verb, nd_str(nd_value_kind_name(v->kind)), false);
    if (is_text(v) && strchr("sqv", verb->letter) != NULL)
        return put_text(out, verb, v->text);
    if (is_text(v) && strchr("xX", verb->letter) != NULL)
        return put_hex(out, verb, v->text);
    if (integer && strchr("dvxXobc", verb->letter) != NULL)
        return put_integer(out, verb, v);
    if (v->kind == ND_VALUE_FLOAT && strchr("feFgv", verb->letter) != NULL)
        return put_float(out, verb, v->f64);
    if (v->kind == ND_VALUE_TIME && strchr("sv", verb->letter) != NULL) {
        ND_TRY(nd_value_print_time(&text, v->time));
        return pad(out, verb, nd_buf_str(&text), false);
    }
    if (v->kind == ND_VALUE_LIST || v->kind == ND_VALUE_MAP || v->kind == ND_VALUE_OBJECT)
        return put_parts(out, verb, v);
    if (verb->letter == 'v' || (v->kind == ND_VALUE_BOOL && verb->letter == 't')) {
        if (v->kind == ND_VALUE_MISSING)
            return pad(out, verb, ND_STR("<nil>"), false);
        ND_TRY(nd_value_print(&text, v));
        return pad(out, verb, nd_buf_str(&text), false);
    }
    return put_wrong_kind(out, verb, v);
}

struct scan {
    struct nd_str rest;
    struct template_arguments args;
    size_t used;
};

/* A number in the format, or "*" and the next argument. False when it is out of bounds. */
static bool
scan_number(struct scan *scan, int *ret, bool *ret_found)
{
    int value = 0;

    *ret_found = false;
    if (scan->rest.len > 0 && scan->rest.ptr[0] == '*') {
        const struct nd_value *v =
            scan->used < scan->args.n ? scan->args.values[scan->used++] : NULL;

        scan->rest = nd_str_from(scan->rest, 1);
        *ret_found = true;
        if (v == NULL || v->kind != ND_VALUE_INT || v->i64 > ND_TEMPLATE_MAX_WIDTH ||
            v->i64 < -ND_TEMPLATE_MAX_WIDTH)
            return false;
        *ret = (int)v->i64;
        return true;
    }
    while (scan->rest.len > 0 && isdigit((unsigned char)scan->rest.ptr[0]) != 0) {
        value = value * 10 + (scan->rest.ptr[0] - '0');
        if (value > ND_TEMPLATE_MAX_WIDTH)
            return false;
        scan->rest = nd_str_from(scan->rest, 1);
        *ret_found = true;
    }
    *ret = value;
    return true;
}

static void
scan_flags(struct scan *scan, struct verb *verb)
{
    for (; scan->rest.len > 0; scan->rest = nd_str_from(scan->rest, 1)) {
        switch (scan->rest.ptr[0]) {
        case '-':
            verb->minus = true;
            break;
        case '+':
            verb->plus = true;
            break;
        case '#':
            verb->sharp = true;
            break;
        case ' ':
            verb->space = true;
            break;
        case '0':
            verb->zero = true;
            break;
        default:
            return;
        }
    }
}

/* Width and precision; what is wrong with them is printed, and they do not count then. */
static struct nd_error *
scan_sizes(struct nd_buf *out, struct scan *scan, struct verb *verb)
{
    bool good = scan_number(scan, &verb->width, &verb->has_width);

    if (verb->has_width && verb->width < 0) {
        verb->width = -verb->width;
        verb->minus = true;
    }
    verb->has_width = verb->has_width && good;
    ND_TRY(put(out, good ? "" : "%!(BADWIDTH)"));
    if (scan->rest.len == 0 || scan->rest.ptr[0] != '.')
        return NULL;
    scan->rest = nd_str_from(scan->rest, 1);
    good = scan_number(scan, &verb->precision, &verb->has_precision) && verb->precision >= 0;
    verb->has_precision = true;
    if (good)
        return NULL;
    verb->precision = 0;
    return put(out, "%!(BADPREC)");
}

/* What stands behind a "%". */
static struct nd_error *
put_verb(struct nd_buf *out, struct scan *scan)
{
    struct verb verb = {.letter = '\0'};

    scan_flags(scan, &verb);
    ND_TRY(scan_sizes(out, scan, &verb));
    if (scan->rest.len == 0)
        return put(out, "%!(NOVERB)");
    verb.letter = scan->rest.ptr[0];
    scan->rest = nd_str_from(scan->rest, 1);
    if (verb.letter == '%')
        return put(out, "%");
    if (scan->used >= scan->args.n) {
        char text[] = {'%', '!', verb.letter};

        ND_TRY(nd_buf_add(out, nd_str_n(text, sizeof(text))));
        return put(out, "(MISSING)");
    }
    return put_value(out, &verb, scan->args.values[scan->used++]);
}

static struct nd_error *
put_extra_one(struct nd_buf *out, const struct nd_value *v)
{
    if (v->kind == ND_VALUE_NULL || v->kind == ND_VALUE_MISSING)
        return put(out, "<nil>");
    ND_TRY(put(out, nd_value_kind_name(v->kind)));
    ND_TRY(put(out, "="));
    return nd_value_print(out, v);
}

static struct nd_error *
put_extra(struct nd_buf *out, const struct scan *scan)
{
    ND_TRY(put(out, "%!(EXTRA "));
    for (size_t i = scan->used; i < scan->args.n; i++) {
        ND_TRY(put(out, i > scan->used ? ", " : ""));
        ND_TRY(put_extra_one(out, scan->args.values[i]));
    }
    return put(out, ")");
}

struct nd_error *
template_printf(struct nd_buf *out, struct nd_str format, struct template_arguments args)
{
    struct scan scan = {.rest = format, .args = args};

    while (scan.rest.len > 0) {
        size_t at = nd_str_find(scan.rest, '%');

        ND_TRY(nd_buf_add(out, nd_str_sub(scan.rest, 0, at)));
        if (at == SIZE_MAX)
            break;
        scan.rest = nd_str_from(scan.rest, at + 1);
        ND_TRY(put_verb(out, &scan));
    }
    return scan.used < args.n ? put_extra(out, &scan) : NULL;
}
