/*
 * Literals of templates: numbers and quoted texts, with Go's syntax and Go's escapes.
 */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "template_priv.h"

#define MAX_NUMBER_TEXT 64 /* longer ones are refused; 2^64 in binary would just not fit */

static int
digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

/* Digits of a base, underscores ignored; false when that is not all, or too large. */
static bool
parse_digits(const char *text, unsigned base, uint64_t *ret)
{
    uint64_t value = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text == '_')
            continue;
        if (digit_value(*text) >= (int)base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit_value(*text), &value))
            return false;
    }
    *ret = value;
    return true;
}

/*
 * The base that a prefix says; cuts the prefix off. Go takes a leading zero for octal, as C does.
 */
static unsigned
take_base(const char **text)
{
    char c = (char)tolower((unsigned char)(*text)[(*text)[0] == '0']);

    if ((*text)[0] != '0' || c == '\0')
        return 10;
    *text += c == 'x' || c == 'b' || c == 'o' ? 2 : 1;
    return c == 'x' ? 16 : c == 'b' ? 2 : 8;
}

static bool
parse_integer(const char *text, bool negative, struct nd_value *value)
{
    unsigned base = take_base(&text);
    uint64_t magnitude;

    if (!parse_digits(text, base, &magnitude) || magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    value->kind = ND_VALUE_INT;
    value->i64 = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

static bool
parse_float(const char *text, bool negative, struct nd_value *value)
{
    char plain[MAX_NUMBER_TEXT];
    size_t n = 0;
    char *end;
    double v;

    if (strpbrk(text, ".eE") == NULL || strpbrk(text, "xXbBoO") != NULL)
        return false;
    for (; *text != '\0'; text++) {
        if (*text != '_')
            plain[n++] = *text;
    }
    plain[n] = '\0';
    v = strtod(plain, &end);
    if (*end != '\0' || n == 0)
        return false;
    value->kind = ND_VALUE_FLOAT;
    value->f64 = negative ? -v : v;
    return true;
}

static struct nd_error *
parse_character(struct nd_arena *arena, struct nd_str text, struct nd_value *value)
{
    struct nd_str plain = ND_STR_NONE;
    uint32_t c;
    size_t n;

    ND_TRY(template_unquote(arena, text, &plain));
    if (plain.len == 0)
        return nd_error_new(ND_INVALID, "malformed character constant: %.*s", ND_STR_ARG(text));
    c = (unsigned char)plain.ptr[0];
    n = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (n != plain.len)
        return nd_error_new(ND_INVALID, "malformed character constant: %.*s", ND_STR_ARG(text));
    if (n > 1)
        c &= 0x3fu >> (n - 1);
    for (size_t i = 1; i < n; i++)
        c = (c << 6) | ((unsigned char)plain.ptr[i] & 0x3fu);
    value->kind = ND_VALUE_INT;
    value->i64 = c;
    return NULL;
}

struct nd_error *
template_parse_number(struct nd_arena *arena, const struct template_token *token,
                      struct nd_value **ret)
{
    struct nd_value *value = nd_value_new(arena, ND_VALUE_INT);
    struct nd_str text = token->text;
    char digits[MAX_NUMBER_TEXT];
    bool negative;

    if (token->kind == TOKEN_CHARACTER) {
        ND_TRY(parse_character(arena, text, value));
        *ret = value;
        return NULL;
    }
    negative = text.len > 0 && text.ptr[0] == '-';
    if (text.len > 0 && (negative || text.ptr[0] == '+'))
        text = nd_str_from(text, 1);
    if (text.len >= sizeof(digits))
        return nd_error_new(ND_INVALID, "number is too long");
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    if (!parse_integer(digits, negative, value) && !parse_float(digits, negative, value)) {
        bool plain = digits[0] != '\0' && strspn(digits, "0123456789_") == text.len;

        return nd_error_new(ND_INVALID, "%s: \"%.*s\"",
                            plain ? "integer overflow" : "bad number syntax",
                            ND_STR_ARG(token->text));
    }
    *ret = value;
    return NULL;
}

static void
put_utf8(char *dst, size_t *n, uint32_t c)
{
    if (c < 0x80) {
        dst[(*n)++] = (char)c;
        return;
    }
    if (c < 0x800) {
        dst[(*n)++] = (char)(0xc0 | (c >> 6));
    } else if (c < 0x10000) {
        dst[(*n)++] = (char)(0xe0 | (c >> 12));
        dst[(*n)++] = (char)(0x80 | ((c >> 6) & 0x3f));
    } else {
        dst[(*n)++] = (char)(0xf0 | (c >> 18));
        dst[(*n)++] = (char)(0x80 | ((c >> 12) & 0x3f));
        dst[(*n)++] = (char)(0x80 | ((c >> 6) & 0x3f));
    }
    dst[(*n)++] = (char)(0x80 | (c & 0x3f));
}

/* A backslash and one letter. */
static const char simple_escapes[] = "a\ab\bf\fn\nr\rt\tv\v\\\\\"\"''";

/* Digits that follow the letter of a numeric escape; 0: it is none. */
static size_t
numeric_escape(char c, unsigned *ret_base)
{
    *ret_base = 16;
    switch (c) {
    case 'x':
        return 2;
    case 'u':
        return 4;
    case 'U':
        return 8;
    default:
        *ret_base = 8;
        return c >= '0' && c <= '7' ? 3 : 0;
    }
}

/* The escape at the front of `rest`, behind its backslash; cuts it off. False when it is none. */
static bool
unescape(struct nd_str *rest, char quote, char *dst, size_t *n)
{
    char digits[9] = {0};
    unsigned base;
    uint64_t value;
    size_t width;
    bool octal;
    char c;

    if (rest->len == 0)
        return false;
    c = rest->ptr[0];
    for (const char *e = simple_escapes; *e != '\0'; e += 2) {
        if (e[0] == c && !((c == '"' || c == '\'') && c != quote)) {
            dst[(*n)++] = e[1];
            *rest = nd_str_from(*rest, 1);
            return true;
        }
    }
    width = numeric_escape(c, &base);
    octal = base == 8;
    if (width == 0 || rest->len < width + (octal ? 0 : 1))
        return false;
    memcpy(digits, rest->ptr + (octal ? 0 : 1), width);
    if (!parse_digits(digits, base, &value) || memchr(digits, '_', width) != NULL)
        return false;
    *rest = nd_str_from(*rest, width + (octal ? 0 : 1));
    if (octal || c == 'x') {
        if (value > 255)
            return false;
        dst[(*n)++] = (char)value;
        return true;
    }
    if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return false;
    put_utf8(dst, n, (uint32_t)value);
    return true;
}

struct nd_error *
template_unquote(struct nd_arena *arena, struct nd_str quoted, struct nd_str *ret)
{
    char quote = quoted.ptr[0];
    struct nd_str rest = nd_str_sub(quoted, 1, quoted.len - 2);
    char *dst = nd_arena_alloc(arena, quoted.len + 1); /* no escape grows */
    size_t n = 0;

    while (rest.len > 0) {
        char c = rest.ptr[0];

        rest = nd_str_from(rest, 1);
        if (c == '\r' && quote == '`')
            continue;
        if (c != '\\' || quote == '`')
            dst[n++] = c;
        else if (!unescape(&rest, quote, dst, &n))
            return nd_error_new(ND_INVALID, "invalid syntax");
    }
    *ret = nd_str_n(dst, n);
    return NULL;
}
