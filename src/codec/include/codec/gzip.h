#ifndef CODEC_GZIP_H
#define CODEC_GZIP_H

/*
 * gzip (RFC 1952), piece by piece, in memory. The tables of either direction exist only as long as
 * its object, and the caller decides how much is done at a time: a step costs well under a
 * millisecond, so a fiber can let others run between two. Context of everything here: any thread.
 */

#include "base/buf.h"

#define ND_GZIP_STEP_BYTES ((size_t)16 << 10) /* uncompressed, per step */

struct nd_gzip;

/* `size` is how much will be added, roughly: little needs small tables. */
struct nd_gzip *nd_gzip_new(size_t size) __attribute__((__returns_nonnull__));
void nd_gzip_free(struct nd_gzip *gzip); /* NULL is fine */
void nd_gzip_freep(struct nd_gzip **gzip);

/* Compress `bytes` behind what is in `dst`. Fails: ND_EXHAUSTED (the buffer's maximum). */
struct nd_error *nd_gzip_add(struct nd_gzip *gzip, struct nd_str bytes,
                             struct nd_buf *dst) ND_CHECK_RESULT;

/* Append what is left and the end mark; nothing can be added any more. Fails: as nd_gzip_add(). */
struct nd_error *nd_gzip_finish(struct nd_gzip *gzip, struct nd_buf *dst) ND_CHECK_RESULT;

struct nd_gunzip;

struct nd_gunzip *nd_gunzip_new(void) __attribute__((__returns_nonnull__));
void nd_gunzip_free(struct nd_gunzip *gunzip); /* NULL is fine */
void nd_gunzip_freep(struct nd_gunzip **gunzip);

/*
 * Take bytes from the front of `*in` and append at most ND_GZIP_STEP_BYTES to `dst`. Members may
 * follow one another. The maximum of `dst` bounds what is held: no byte beyond it is kept. Fails:
 * ND_INVALID (not gzip, or damaged), ND_EXHAUSTED (more than the maximum of `dst`).
 */
struct nd_error *nd_gunzip_step(struct nd_gunzip *gunzip, struct nd_str *in,
                                struct nd_buf *dst) ND_CHECK_RESULT;

/* Whether a step may append something without more input. */
bool nd_gunzip_has_more(const struct nd_gunzip *gunzip);

/* Whether what was taken ends with the end of a member; false also when nothing was taken. */
bool nd_gunzip_is_done(const struct nd_gunzip *gunzip);

#endif
