/*
 * Base64 over itself: four digits become three bytes at or before their own place. A wrong digit is
 * looked for once at the end, not in each round: it has a bit that no digit has, and all bits are
 * collected. Only the form that an encoder gives is taken: whole groups, padding at the end alone,
 * and no bits behind the last byte.
 */

#include "log_raw_priv.h"

#define BAD 0x80u /* in what is one less than the zero of no digit, and in no value of a digit */

/* clang-format off */
/* The value of each digit, and one. */
static const uint8_t value_and_one[256] = {
    ['A'] = 1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13,
            14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
    ['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39,
            40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
    ['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
    ['+'] = 63,
    ['/'] = 64,
};
/* clang-format on */

size_t
log_raw_len(struct nd_str text)
{
    size_t padding = 0;

    if (text.len == 0 || text.len % 4 != 0)
        return 0;
    while (padding < 2 && text.ptr[text.len - 1 - padding] == '=')
        padding++;
    return text.len / 4 * 3 - padding;
}

/* Up to four digits, those that are missing count as zero. */
static uint32_t
group_of(const unsigned char *p, size_t digits, uint32_t *seen)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < 4; i++) {
        uint32_t v = i < digits ? value_and_one[p[i]] - 1u : 0;

        *seen |= v;
        bits = bits << 6 | (v & 63);
    }
    return bits;
}

static char *
put_bytes(char *dst, uint32_t bits, size_t n)
{
    for (size_t i = 0; i < n; i++)
        *dst++ = (char)(bits >> (16 - 8 * i) & 0xff);
    return dst;
}

bool
log_raw_decode(char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text, *last = p + len - 4;
    const size_t rest = log_raw_len(nd_str_n(text, len)) - (len / 4 - 1) * 3;
    uint32_t seen = 0, bits;
    char *dst = text;

    for (; p < last; p += 4)
        dst = put_bytes(dst, group_of(p, 4, &seen), 3);
    bits = group_of(p, rest + 1, &seen);
    put_bytes(dst, bits, rest);
    /* Bits of the last digit that belong to no byte are zero. */
    return (seen & BAD) == 0 && (bits & (0xffffffu >> 8 * rest)) == 0;
}
