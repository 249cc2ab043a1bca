/*
 * What a terminal obeys, made visible.
 *
 * An escape sequence in a container's label can clear the screen, retitle the window, rewrite the
 * lines above or make the terminal type something. So tables, messages and everything else that is
 * printed for people goes through here; what programs read (templates, JSON, a container's own
 * output) does not.
 *
 * The text is taken apart as UTF-8: the C1 control characters hide there, and bytes that belong to
 * no character would be taken for them by a terminal that does not speak UTF-8.
 */

#include "remote/printable.h"

#define INVALID UINT32_MAX

static const struct {
    uint32_t first, last;
} obeyed[] = {
    {0x00, 0x1f},     /* C0: escape, carriage return, bell, ... */
    {0x7f, 0x9f},     /* delete, C1: CSI, OSC, ... */
    {0x061c, 0x061c}, /* direction marks */
    {0x200e, 0x200f},
    {0x2028, 0x202e}, /* separators of lines, embeddings and overrides of the direction */
    {0x2066, 0x2069}, /* isolates */
    {INVALID, INVALID},
};

/* The character at the front and its bytes; INVALID and 1 for a byte that begins none. */
static uint32_t
take_character(struct nd_str text, size_t *ret_len)
{
    unsigned char lead = (unsigned char)text.ptr[0];
    size_t len = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint32_t c = len == 1 ? lead : lead & (0x7fu >> len);

    *ret_len = 1;
    if (len == 0 || len > text.len)
        return INVALID;
    for (size_t i = 1; i < len; i++) {
        if (((unsigned char)text.ptr[i] & 0xc0) != 0x80)
            return INVALID;
        c = c << 6 | ((unsigned char)text.ptr[i] & 0x3f);
    }
    *ret_len = len;
    return c;
}

static bool
is_obeyed(uint32_t c, const char *keep)
{
    if (c != 0 && c < 0x80 && strchr(keep, (int)c) != NULL)
        return false;
    for (size_t i = 0; i < ND_LEN(obeyed); i++) {
        if (c >= obeyed[i].first && c <= obeyed[i].last)
            return true;
    }
    return false;
}

/* How many bytes from the front are fit to be shown as they are. */
static size_t
harmless_len(struct nd_str text, const char *keep)
{
    size_t i = 0, len;

    for (; i < text.len; i += len) {
        if (is_obeyed(take_character(nd_str_from(text, i), &len), keep))
            return i;
    }
    return i;
}

static struct nd_error *
add_escape(struct nd_buf *out, struct nd_str text, size_t *ret_len)
{
    uint32_t c = take_character(text, ret_len);

    ND_TRY(nd_buf_reserve(out, sizeof("\\u12345678")));
    if (c >= 0x80 && c != INVALID)
        nd_buf_printf(out, "\\u%04x", c);
    else
        nd_buf_printf(out, "\\x%02x", (unsigned)(unsigned char)text.ptr[0]);
    return NULL;
}

struct nd_error *
nd_printable(struct nd_buf *out, struct nd_str text, const char *keep)
{
    while (text.len > 0) {
        size_t len = harmless_len(text, keep);

        ND_TRY(nd_buf_add(out, nd_str_sub(text, 0, len)));
        text = nd_str_from(text, len);
        if (text.len == 0)
            break;
        ND_TRY(add_escape(out, text, &len));
        text = nd_str_from(text, len);
    }
    return NULL;
}

struct nd_str
nd_printable_str(struct nd_arena *arena, struct nd_str text, const char *keep)
{
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(6 * text.len + sizeof("\\u12345678"));
    struct nd_error *err;

    if (harmless_len(text, keep) == text.len)
        return text;
    err = nd_printable(&out, text, keep);
    ND_INVARIANT(err == NULL); /* the longest escape of a byte has room for each */
    return nd_str_n(nd_arena_str(arena, nd_buf_str(&out)), out.len);
}
