/*
 * Filters: texts in containerd's little language. Values come from users, so they are always
 * quoted; a quoted value follows Go's rules for string literals, where a quote, a backslash and
 * control characters need an escape and everything else stands for itself.
 */

#include "ctrd_priv.h"

void
nd_ctrd_filter_eq(struct nd_buf *buf, const char *field_path, struct nd_str value)
{
    nd_buf_putz(buf, field_path);
    nd_buf_putz(buf, "==\"");
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];

        if (c == '"' || c == '\\') {
            nd_buf_putc(buf, '\\');
            nd_buf_putc(buf, c);
        } else if ((unsigned char)c < 0x20 || c == 0x7f) {
            nd_buf_printf(buf, "\\x%02x", (unsigned)c);
        } else {
            nd_buf_putc(buf, c);
        }
    }
    nd_buf_putc(buf, '"');
}
