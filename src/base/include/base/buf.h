#ifndef BASE_BUF_H
#define BASE_BUF_H

/*
 * A growing run of bytes with a maximum. What goes beyond the maximum is refused with
 * ND_EXHAUSTED by the checked calls; the unchecked ones, for text of our own whose size is bounded
 * by construction, treat it as a broken invariant.
 * Context of everything here: any.
 */

#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"

/* Plain value; members may be read. `ptr` has a NUL behind `len` whenever it is not NULL. */
struct nd_buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t max;
};

#define ND_BUF_INIT(max_bytes) ((struct nd_buf){NULL, 0, 0, (max_bytes)})

/* Give the memory back; the maximum stays. */
void nd_buf_fini(struct nd_buf *buf);

/* Forget the content, keep the memory. */
void nd_buf_clear(struct nd_buf *buf);

/* Drop `n` bytes from the front (at most what is there). */
void nd_buf_drop(struct nd_buf *buf, size_t n);

/* Room for `extra` more bytes. Fails: ND_EXHAUSTED over the maximum. */
struct nd_error *nd_buf_reserve(struct nd_buf *buf, size_t extra) ND_CHECK_RESULT;

/* Append. Fails: ND_EXHAUSTED over the maximum, nothing is appended then. */
struct nd_error *nd_buf_add(struct nd_buf *buf, struct nd_str bytes) ND_CHECK_RESULT;

/* Append, where the size is bounded by construction. */
void nd_buf_put(struct nd_buf *buf, struct nd_str bytes);
void nd_buf_putz(struct nd_buf *buf, const char *text);
void nd_buf_putc(struct nd_buf *buf, char c);
void nd_buf_printf(struct nd_buf *buf, const char *fmt, ...) ND_PRINTF(2, 3);

/* The content, borrowed until the next change. */
struct nd_str nd_buf_str(const struct nd_buf *buf);

/* Take the memory out: the caller owns it (nd_free()), the buffer is empty. Never NULL. */
char *nd_buf_take(struct nd_buf *buf);

#endif
