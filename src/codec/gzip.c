/*
 * gzip on zlib.
 *
 * Compression is tuned for messages, not for archives: the fastest level, and tables no larger than
 * the message needs. A deflate state is 256 KiB by default, most of it hash tables that are cleared
 * at the start; for a message of 1 KiB these are a hundred times its own size.
 *
 * Decompression trusts nothing: the size in a member's trailer is not even looked at, the output
 * grows with what was really made, and once it stands at the maximum the rest is inflated into one
 * byte that must stay unused.
 *
 * zlib fails for bad data and for no memory; the second is small here (under 300 KiB) and ends the
 * program like other small allocations.
 */

#include "codec/gzip.h"

#include <zlib.h>

#include "base/alloc.h"

#define FORMAT_GZIP 16 /* added to the window bits: zlib reads and writes gzip's head and trailer */
#define OUT_BYTES   ((size_t)4096) /* room made for compressed bytes at a time */

struct nd_gzip {
    z_stream z;
};

struct nd_gunzip {
    z_stream z;
    bool between;  /* a member has ended and the next has not begun */
    bool has_more; /* output may be waiting without more input */
};

/* Bits of a window that spans `size` bytes. */
static int
window_bits(size_t size)
{
    int bits = 9;

    while (bits < MAX_WBITS && ((size_t)1 << bits) < size)
        bits++;
    return bits;
}

struct nd_gzip *
nd_gzip_new(size_t size)
{
    struct nd_gzip *gzip = nd_new(struct nd_gzip);
    int bits = window_bits(size);
    int rv = deflateInit2(&gzip->z, Z_BEST_SPEED, Z_DEFLATED, bits + FORMAT_GZIP, bits - 7,
                          Z_DEFAULT_STRATEGY);

    ND_INVARIANT(rv == Z_OK);
    return gzip;
}

void
nd_gzip_free(struct nd_gzip *gzip)
{
    if (gzip == NULL)
        return;
    deflateEnd(&gzip->z);
    nd_free(gzip);
}

void
nd_gzip_freep(struct nd_gzip **gzip)
{
    nd_gzip_free(ND_TAKE(*gzip));
}

/* One call of deflate, into fresh room. True in *ret_again: the room was too small. */
static struct nd_error *
deflate_some(struct nd_gzip *gzip, int flush, struct nd_buf *dst, bool *ret_again)
{
    int rv;

    ND_TRY(nd_buf_reserve(dst, ND_MIN(OUT_BYTES, dst->max - dst->len)));
    if (dst->cap - 1 == dst->len)
        return nd_error_new(ND_EXHAUSTED, "more than %zu bytes", dst->max);
    gzip->z.next_out = (Bytef *)dst->ptr + dst->len;
    gzip->z.avail_out = (uInt)ND_MIN(dst->cap - 1 - dst->len, UINT32_MAX);
    rv = deflate(&gzip->z, flush);
    ND_INVARIANT(rv == Z_OK || rv == Z_STREAM_END || rv == Z_BUF_ERROR);
    dst->len = (size_t)((char *)gzip->z.next_out - dst->ptr);
    dst->ptr[dst->len] = '\0';
    *ret_again = gzip->z.avail_out == 0 && rv != Z_STREAM_END;
    return NULL;
}

struct nd_error *
nd_gzip_add(struct nd_gzip *gzip, struct nd_str bytes, struct nd_buf *dst)
{
    while (bytes.len != 0) {
        struct nd_str piece = nd_str_sub(bytes, 0, ND_GZIP_STEP_BYTES);
        bool again = true;

        gzip->z.next_in = (z_const Bytef *)piece.ptr;
        gzip->z.avail_in = (uInt)piece.len;
        while (again)
            ND_TRY(deflate_some(gzip, Z_NO_FLUSH, dst, &again));
        bytes = nd_str_from(bytes, piece.len);
    }
    return NULL;
}

struct nd_error *
nd_gzip_finish(struct nd_gzip *gzip, struct nd_buf *dst)
{
    bool again = true;

    while (again)
        ND_TRY(deflate_some(gzip, Z_FINISH, dst, &again));
    return NULL;
}

struct nd_gunzip *
nd_gunzip_new(void)
{
    struct nd_gunzip *gunzip = nd_new(struct nd_gunzip);
    int rv = inflateInit2(&gunzip->z, MAX_WBITS + FORMAT_GZIP);

    ND_INVARIANT(rv == Z_OK);
    return gunzip;
}

void
nd_gunzip_free(struct nd_gunzip *gunzip)
{
    if (gunzip == NULL)
        return;
    inflateEnd(&gunzip->z);
    nd_free(gunzip);
}

void
nd_gunzip_freep(struct nd_gunzip **gunzip)
{
    nd_gunzip_free(ND_TAKE(*gunzip));
}

/*
 * One call of inflate, what it took cut from `*in`, what it made in `out`; returns zlib's answer.
 */
static int
inflate_some(struct nd_gunzip *gunzip, struct nd_str *in, void *out, size_t cap)
{
    z_stream *z = &gunzip->z;
    size_t offered = ND_MIN(in->len, UINT32_MAX);
    int rv;

    z->next_in = (z_const Bytef *)in->ptr;
    z->avail_in = (uInt)offered;
    z->next_out = out;
    z->avail_out = (uInt)cap;
    gunzip->between = gunzip->between && offered == 0;
    rv = inflate(z, Z_NO_FLUSH);
    *in = nd_str_from(*in, offered - z->avail_in);
    gunzip->has_more = z->avail_out == 0;
    if (rv == Z_STREAM_END) {
        gunzip->between = true;
        gunzip->has_more = false;
        inflateReset(z);
    }
    return rv;
}

static struct nd_error *
check(const struct nd_gunzip *gunzip, int rv)
{
    if (rv == Z_OK || rv == Z_STREAM_END || rv == Z_BUF_ERROR)
        return NULL;
    ND_INVARIANT(rv != Z_MEM_ERROR);
    return nd_error_new(ND_INVALID, "gzip: %s",
                        gunzip->z.msg != NULL ? gunzip->z.msg : "needs a dictionary");
}

/* `dst` is full: only an end without another byte is fine. */
static struct nd_error *
step_without_room(struct nd_gunzip *gunzip, struct nd_str *in, const struct nd_buf *dst)
{
    char unused;
    int rv = inflate_some(gunzip, in, &unused, 1);

    if (gunzip->z.avail_out == 0)
        return nd_error_new(ND_EXHAUSTED, "more than %zu bytes", dst->max);
    return check(gunzip, rv);
}

struct nd_error *
nd_gunzip_step(struct nd_gunzip *gunzip, struct nd_str *in, struct nd_buf *dst)
{
    size_t room = ND_MIN(dst->max - dst->len, ND_GZIP_STEP_BYTES);
    int rv;

    if (room == 0)
        return step_without_room(gunzip, in, dst);
    ND_TRY(nd_buf_reserve(dst, room));
    rv = inflate_some(gunzip, in, dst->ptr + dst->len, room);
    dst->len += room - gunzip->z.avail_out;
    dst->ptr[dst->len] = '\0';
    return check(gunzip, rv);
}

bool
nd_gunzip_has_more(const struct nd_gunzip *gunzip)
{
    return gunzip->has_more;
}

bool
nd_gunzip_is_done(const struct nd_gunzip *gunzip)
{
    return gunzip->between;
}
