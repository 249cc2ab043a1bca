/*
 * A growing run of bytes.
 *
 * The memory doubles, and always has one byte more than the content for a NUL, so the content can
 * be handed to a library as a C string. The maximum is decided where the buffer is made: input
 * that does not fit is an error of whoever sent it (nd_buf_add), text of our own that does not
 * fit is a wrong maximum (nd_buf_put).
 */

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

#define FIRST_CAP ((size_t)64)

void
nd_buf_fini(struct nd_buf *buf)
{
    nd_free(buf->ptr);
    *buf = ND_BUF_INIT(buf->max);
}

void
nd_buf_clear(struct nd_buf *buf)
{
    buf->len = 0;
    if (buf->ptr != NULL)
        buf->ptr[0] = '\0';
}

void
nd_buf_drop(struct nd_buf *buf, size_t n)
{
    if (n >= buf->len) {
        nd_buf_clear(buf);
        return;
    }
    buf->len -= n;
    memmove(buf->ptr, buf->ptr + n, buf->len + 1);
}

/* False when `extra` more bytes would pass the maximum. */
static bool
make_room(struct nd_buf *buf, size_t extra)
{
    size_t need;
    size_t cap;

    if (buf->len > buf->max || extra > buf->max - buf->len)
        return false;
    ND_INVARIANT(buf->max < SIZE_MAX / 4);
    need = buf->len + extra + 1;
    if (need <= buf->cap)
        return true;

    cap = ND_MAX(buf->cap * 2, FIRST_CAP);
    cap = ND_MAX(ND_MIN(cap, buf->max + 1), need);
    buf->ptr = nd_realloc(buf->ptr, cap, 1);
    buf->ptr[buf->len] = '\0';
    buf->cap = cap;
    return true;
}

struct nd_error *
nd_buf_reserve(struct nd_buf *buf, size_t extra)
{
    if (!make_room(buf, extra))
        return nd_error_new(ND_EXHAUSTED, "more than %zu bytes", buf->max);
    return NULL;
}

static void
append(struct nd_buf *buf, struct nd_str bytes)
{
    if (bytes.len > 0)
        memcpy(buf->ptr + buf->len, bytes.ptr, bytes.len);
    buf->len += bytes.len;
    buf->ptr[buf->len] = '\0';
}

struct nd_error *
nd_buf_add(struct nd_buf *buf, struct nd_str bytes)
{
    ND_TRY(nd_buf_reserve(buf, bytes.len));
    append(buf, bytes);
    return NULL;
}

void
nd_buf_put(struct nd_buf *buf, struct nd_str bytes)
{
    ND_INVARIANT(make_room(buf, bytes.len));
    append(buf, bytes);
}

void
nd_buf_putz(struct nd_buf *buf, const char *text)
{
    nd_buf_put(buf, nd_str(text));
}

void
nd_buf_putc(struct nd_buf *buf, char c)
{
    nd_buf_put(buf, nd_str_n(&c, 1));
}

/* The length of the formatted text, which goes to `dst` as far as it fits. */
static size_t __attribute__((__format__(__printf__, 3, 0)))
format(char *dst, size_t size, const char *fmt, va_list args)
{
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the caller has started it */
    int len = vsnprintf(dst, size, fmt, args);

    ND_INVARIANT(len >= 0);
    return (size_t)len;
}

void
nd_buf_printf(struct nd_buf *buf, const char *fmt, ...)
{
    va_list args;
    size_t len;

    va_start(args, fmt);
    len = format(NULL, 0, fmt, args);
    va_end(args);
    ND_INVARIANT(make_room(buf, len));

    va_start(args, fmt);
    buf->len += format(buf->ptr + buf->len, len + 1, fmt, args);
    va_end(args);
}

struct nd_str
nd_buf_str(const struct nd_buf *buf)
{
    return nd_str_n(buf->ptr, buf->len);
}

char *
nd_buf_take(struct nd_buf *buf)
{
    char *ptr = buf->ptr != NULL ? buf->ptr : nd_strndup("", 0);

    *buf = ND_BUF_INIT(buf->max);
    return ptr;
}
