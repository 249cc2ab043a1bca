/*
 * Slices: comparing, searching, cutting, and the checked conversions from text.
 *
 * Nothing here looks behind `len`, and nothing here depends on the locale. Numbers are read digit
 * by digit with an explicit maximum: no sign, space, prefix or overflow slips through, which is
 * what strtol() and its friends are bad at. The UTF-8 check runs over every string of every
 * request, so it takes eight ASCII bytes at a time.
 */

#include "base/str.h"

#include "base/alloc.h"

bool
nd_str_eq(struct nd_str a, struct nd_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool
nd_str_eqz(struct nd_str a, const char *b)
{
    return nd_str_eq(a, nd_str(b));
}

static char
ascii_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool
nd_str_eq_nocase(struct nd_str a, struct nd_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
            return false;
    }
    return true;
}

int
nd_str_cmp(struct nd_str a, struct nd_str b)
{
    size_t len = ND_MIN(a.len, b.len);
    int cmp = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;

    if (cmp != 0)
        return cmp < 0 ? -1 : 1;
    return (a.len > b.len) - (a.len < b.len);
}

bool
nd_str_starts(struct nd_str s, struct nd_str prefix)
{
    return s.len >= prefix.len && nd_str_eq(nd_str_sub(s, 0, prefix.len), prefix);
}

bool
nd_str_ends(struct nd_str s, struct nd_str suffix)
{
    return s.len >= suffix.len && nd_str_eq(nd_str_from(s, s.len - suffix.len), suffix);
}

size_t
nd_str_find(struct nd_str s, char c)
{
    const char *at = s.len > 0 ? memchr(s.ptr, c, s.len) : NULL;

    return at != NULL ? (size_t)(at - s.ptr) : SIZE_MAX;
}

size_t
nd_str_rfind(struct nd_str s, char c)
{
    const char *at = s.len > 0 ? memrchr(s.ptr, c, s.len) : NULL;

    return at != NULL ? (size_t)(at - s.ptr) : SIZE_MAX;
}

size_t
nd_str_search(struct nd_str s, struct nd_str needle)
{
    const char *at;

    if (needle.len == 0)
        return 0;
    at = s.len > 0 ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
    return at != NULL ? (size_t)(at - s.ptr) : SIZE_MAX;
}

struct nd_str
nd_str_from(struct nd_str s, size_t start)
{
    return nd_str_sub(s, start, SIZE_MAX);
}

struct nd_str
nd_str_sub(struct nd_str s, size_t start, size_t len)
{
    start = ND_MIN(start, s.len);
    if (s.ptr == NULL)
        return s;
    return nd_str_n(s.ptr + start, ND_MIN(len, s.len - start));
}

static bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct nd_str
nd_str_trim(struct nd_str s)
{
    size_t start = 0;

    while (start < s.len && is_space(s.ptr[start]))
        start++;
    while (s.len > start && is_space(s.ptr[s.len - 1]))
        s.len--;
    return nd_str_from(s, start);
}

bool
nd_str_next(struct nd_str *rest, char sep, struct nd_str *ret_piece)
{
    size_t at = nd_str_find(*rest, sep);

    if (rest->len == 0)
        return false;
    *ret_piece = nd_str_sub(*rest, 0, at);
    *rest = nd_str_from(*rest, at < rest->len ? at + 1 : rest->len);
    return true;
}

char *
nd_str_dup(struct nd_str s)
{
    return nd_strndup(s.ptr, s.len);
}

struct nd_error *
nd_str_copy(char *dst, size_t size, struct nd_str s, const char *what)
{
    if (s.len >= size)
        return nd_error_new(ND_INVALID, "%s is longer than %zu bytes", what, size - 1);
    if (nd_str_find(s, '\0') != SIZE_MAX)
        return nd_error_new(ND_INVALID, "%s has a NUL inside", what);
    if (s.len > 0)
        memcpy(dst, s.ptr, s.len);
    dst[s.len] = '\0';
    return NULL;
}

/* Eight bytes that are ASCII without NUL. */
static bool
is_ascii_word(const unsigned char *p)
{
    const uint64_t high = UINT64_C(0x8080808080808080);
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return ((word | (word - ones)) & high) == 0; /* a byte that borrowed was zero */
}

/* Length of the run at the front that is ASCII without NUL, as far as whole words tell. */
static size_t
ascii_words(const unsigned char *p, size_t len)
{
    size_t i = 0;

    while (len - i >= sizeof(uint64_t) && is_ascii_word(p + i))
        i += sizeof(uint64_t);
    /* What is left of a word, by one that begins earlier. */
    if (i != 0 && len - i < sizeof(uint64_t) && is_ascii_word(p + len - sizeof(uint64_t)))
        return len;
    return i;
}

/* Length of the character at `p` (at most `len` bytes are there), 0 when it is none. */
static size_t
utf8_char(const unsigned char *p, size_t len)
{
    unsigned char first = p[0];
    unsigned char low = 0x80; /* bounds of the second byte: rule out overlong, surrogates, > max */
    unsigned char high = 0xbf;
    size_t size;

    if (first < 0x80)
        return first != 0;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    if (len < size || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return size;
}

bool
nd_str_is_utf8(struct nd_str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t i = 0;

    while (i < s.len) {
        size_t n = ascii_words(p + i, s.len - i);

        i += n;
        if (i == s.len)
            break;
        n = utf8_char(p + i, s.len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

/* The whole of `s` as a number of that base; false on anything else or above `max`. */
static bool
read_digits(struct nd_str s, unsigned base, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned char)s.ptr[i] - (unsigned)'0';

        if (digit >= base || digit > max || v > (max - digit) / base)
            return false;
        v = v * base + digit;
    }
    *ret = v;
    return true;
}

/* Quoting input in an error: no more than this of it. */
#define SHOWN 64

static struct nd_str
shown(struct nd_str s)
{
    return nd_str_sub(s, 0, SHOWN);
}

struct nd_error *
nd_parse_u64(struct nd_str s, uint64_t max, uint64_t *ret)
{
    if (!read_digits(s, 10, max, ret))
        return nd_error_new(ND_INVALID, "\"%.*s\" is not a number from 0 to %llu",
                            ND_STR_ARG(shown(s)), (unsigned long long)max);
    return NULL;
}

struct nd_error *
nd_parse_i64(struct nd_str s, int64_t min, int64_t max, int64_t *ret)
{
    bool negative = nd_str_starts(s, ND_STR("-"));
    uint64_t bound = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t v = 0;
    int64_t out = 0;
    bool ok;

    ok = read_digits(nd_str_from(s, negative ? 1 : 0), 10, bound, &v);
    if (ok)
        out = negative ? (int64_t)(0 - v) : (int64_t)v;
    if (!ok || out < min || out > max)
        return nd_error_new(ND_INVALID, "\"%.*s\" is not a number from %lld to %lld",
                            ND_STR_ARG(shown(s)), (long long)min, (long long)max);
    *ret = out;
    return NULL;
}

struct nd_error *
nd_parse_octal(struct nd_str s, uint64_t max, uint64_t *ret)
{
    if (!read_digits(s, 8, max, ret))
        return nd_error_new(ND_INVALID, "\"%.*s\" is not an octal number up to %llo",
                            ND_STR_ARG(shown(s)), (unsigned long long)max);
    return NULL;
}

struct nd_error *
nd_parse_bool(struct nd_str s, bool *ret)
{
    static const struct {
        const char *text;
        bool value;
    } words[] = {
        {"1", true},    {"t", true},      {"T", true},      {"true", true},
        {"TRUE", true}, {"True", true},   {"0", false},     {"f", false},
        {"F", false},   {"false", false}, {"FALSE", false}, {"False", false},
    };

    for (size_t i = 0; i < ND_LEN(words); i++) {
        if (nd_str_eqz(s, words[i].text)) {
            *ret = words[i].value;
            return NULL;
        }
    }
    return nd_error_new(ND_INVALID, "\"%.*s\" is neither true nor false", ND_STR_ARG(shown(s)));
}

static const char hex_digits[] = "0123456789abcdef";

void
nd_hex(char *dst, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < len; i++) {
        dst[2 * i] = hex_digits[p[i] >> 4];
        dst[2 * i + 1] = hex_digits[p[i] & 0xf];
    }
    dst[2 * len] = '\0';
}

bool
nd_str_is_hex(struct nd_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return s.len > 0;
}
