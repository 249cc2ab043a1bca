/*
 * Base64 of "-bin" values: standard alphabet, written without padding, read with and without. What
 * is left of a value is decoded strictly: a foreign character, a single left-over character or bits
 * behind the last byte are malformed.
 */

#include "wire_priv.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int
nd_base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

size_t
nd_base64_write(char *dst, struct nd_str bytes, bool padded)
{
    size_t len = 0;
    uint32_t bits = 0;
    unsigned n_bits = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | (unsigned char)bytes.ptr[i];
        for (n_bits += 8; n_bits >= 6; n_bits -= 6)
            dst[len++] = alphabet[bits >> (n_bits - 6) & 63];
    }
    if (n_bits != 0)
        dst[len++] = alphabet[bits << (6 - n_bits) & 63];
    while (padded && len % 4 != 0)
        dst[len++] = '=';
    return len;
}

struct nd_str
nd_base64_encode(struct nd_arena *arena, struct nd_str bytes)
{
    char *dst = nd_arena_alloc(arena, bytes.len / 3 * 4 + 5);

    return nd_str_n(dst, nd_base64_write(dst, bytes, false));
}

static struct nd_str
without_padding(struct nd_str text)
{
    if (text.len == 0 || text.len % 4 != 0)
        return text;
    for (int i = 0; i < 2 && nd_str_ends(text, ND_STR("=")); i++)
        text.len--;
    return text;
}

bool
nd_base64_decode(struct nd_arena *arena, struct nd_str text, struct nd_str *ret)
{
    char *dst;
    size_t len = 0;
    uint32_t bits = 0;
    unsigned n_bits = 0;

    text = without_padding(text);
    if (text.len % 4 == 1)
        return false;
    dst = nd_arena_alloc(arena, text.len / 4 * 3 + 3);
    for (size_t i = 0; i < text.len; i++) {
        int v = nd_base64_value(text.ptr[i]);

        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            dst[len++] = (char)(bits >> n_bits & 255);
        }
    }
    if ((bits & ((1u << n_bits) - 1)) != 0)
        return false;
    *ret = nd_str_n(dst, len);
    return true;
}
