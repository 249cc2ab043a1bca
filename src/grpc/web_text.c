/*
 * The text form of gRPC-Web: bodies in base64, for browsers that show a body while it arrives only
 * as text. A body is a sequence of groups of four characters, cut anywhere on its way. Each writer
 * may end with padding and go on, so a padded group is the end of nothing. What is not base64 is
 * refused: white space, bits behind the last byte, characters behind padding.
 */

#include "web_priv.h"
#include "wire_priv.h"

static size_t
end_group(struct nd_web_text *t, char *dst)
{
    size_t n = 3 - t->n_pads;

    for (size_t i = 0; i < n; i++)
        dst[i] = (char)(t->bits >> (16 - 8 * i) & 255);
    if (n < 3 && (t->bits & ((1u << (8 * t->n_pads)) - 1)) != 0)
        return 0;
    *t = (struct nd_web_text){0};
    return n;
}

bool
nd_web_text_decode(struct nd_web_text *t, struct nd_str text, char *dst, size_t *ret_len)
{
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        int value = nd_base64_value(text.ptr[i]);
        bool is_pad = text.ptr[i] == '=' && t->n_chars >= 2;

        if (!is_pad && (value < 0 || t->n_pads != 0))
            return false;
        t->bits = t->bits << 6 | (is_pad ? 0 : (uint32_t)value);
        t->n_pads += is_pad;
        if (++t->n_chars < 4)
            continue;
        size_t n = end_group(t, dst + len);
        if (n == 0)
            return false;
        len += n;
    }
    *ret_len = len;
    return true;
}

struct nd_error *
nd_web_text_encode(struct nd_buf *dst, struct nd_str bytes)
{
    ND_TRY(nd_buf_reserve(dst, (bytes.len + 2) / 3 * 4));
    dst->len += nd_base64_write(dst->ptr + dst->len, bytes, true);
    dst->ptr[dst->len] = '\0';
    return NULL;
}

enum nd_web_kind
nd_web_kind_of(struct nd_str content_type)
{
    static const struct {
        struct nd_str type;
        enum nd_web_kind kind;
    } types[] = {
        {{"application/grpc-web", 20}, ND_WEB_BINARY},
        {{"application/grpc-web-text", 25}, ND_WEB_TEXT},
    };

    for (size_t i = 0; i < ND_LEN(types); i++) {
        size_t len = types[i].type.len;

        if (nd_str_eq_nocase(nd_str_sub(content_type, 0, len), types[i].type) &&
            (content_type.len == len || content_type.ptr[len] == '+' ||
             content_type.ptr[len] == ';'))
            return types[i].kind;
    }
    return ND_WEB_NONE;
}
