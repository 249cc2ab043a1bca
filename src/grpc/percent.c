/*
 * grpc-message: UTF-8 in percent-encoding. Printable ASCII but '%' goes as it is. A space at either
 * end is escaped too, which is legal for any byte and needed because strict HTTP/2 libraries reset
 * streams over such values.
 */

#include "wire_priv.h"

static const char hex_digits[] = "0123456789ABCDEF";
static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

struct nd_str
nd_percent_decode(struct nd_arena *arena, struct nd_str text)
{
    char *dst;
    size_t len = 0;

    if (nd_str_find(text, '%') == SIZE_MAX)
        return nd_str_n(nd_arena_str(arena, text), text.len);
    dst = nd_arena_alloc(arena, text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        int hi = text.ptr[i] == '%' && i + 2 < text.len ? hex_value(text.ptr[i + 1]) : -1;
        int lo = hi >= 0 ? hex_value(text.ptr[i + 2]) : -1;

        dst[len++] = text.ptr[i];
        if (lo >= 0)
            dst[len - 1] = (char)(hi * 16 + lo);
        i += lo >= 0 ? 2 : 0;
    }
    return nd_str_n(dst, len);
}

/* Bytes of the character at the front; 0: not UTF-8. */
static size_t
character_len(struct nd_str s)
{
    for (size_t n = 1; n <= 4 && n <= s.len; n++) {
        if (nd_str_is_utf8(nd_str_sub(s, 0, n)))
            return n;
    }
    return 0;
}

static size_t
encode_bytes(char *dst, const char *ptr, size_t n, bool at_end)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)ptr[i];

        if (c >= 0x20 && c <= 0x7e && c != '%' && !(c == ' ' && at_end)) {
            dst[len++] = (char)c;
            continue;
        }
        dst[len++] = '%';
        dst[len++] = hex_digits[c >> 4];
        dst[len++] = hex_digits[c & 15];
    }
    return len;
}

struct nd_str
nd_percent_encode(struct nd_arena *arena, struct nd_str text, size_t max)
{
    size_t most = ND_MIN(text.len, max) * sizeof("%EF%BF%BD");
    char *dst = nd_arena_alloc(arena, ND_MIN(most, max) + 1);
    size_t len = 0;

    for (size_t i = 0; i < text.len;) {
        size_t n = character_len(nd_str_from(text, i));
        bool at_end = len == 0 || i + n == text.len;
        char one[12];
        size_t one_len = n != 0 ? encode_bytes(one, text.ptr + i, n, at_end)
                                : encode_bytes(one, replacement, 3, at_end);

        if (len + one_len > max)
            break;
        memcpy(dst + len, one, one_len);
        len += one_len;
        i += n != 0 ? n : 1;
    }
    while (len != 0 && dst[len - 1] == ' ') /* cut behind spaces */
        len--;
    return nd_str_n(dst, len);
}
