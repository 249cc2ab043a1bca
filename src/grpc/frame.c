/*
 * gRPC's framing: one byte of flags, four of length, the message. Received bytes are appended to
 * one buffer and taken from its front; what was taken is dropped when it makes up half of the
 * buffer, so many small messages cost no quadratic copying. The buffer grows with the bytes that
 * really came, never with the length that a prefix announces.
 *
 * A compressed message is inflated when it is taken (compression.c), which may let other fibers
 * run: what arrives meanwhile is appended as always, but nothing moves.
 */

#include <protobuf-c/protobuf-c.h>

#include "codec/pb.h"
#include "fiber/fiber.h"

#include "frame_priv.h"

#define KEEP_BYTES     4096u
#define IN_PLACE_BYTES 16384u /* a message of so many is not copied to be decoded */

void
nd_frames_init(struct nd_frames *f, size_t max_message)
{
    *f = (struct nd_frames){
        .buf = ND_BUF_INIT(SIZE_MAX / 8), .max_message = max_message, .plain = ND_BUF_INIT(0)};
}

void
nd_frames_fini(struct nd_frames *f)
{
    nd_buf_fini(&f->buf);
    nd_buf_fini(&f->plain);
    f->pos = 0;
}

/* Keep the memory when it is small. */
static void
drop_all(struct nd_frames *f)
{
    if (f->buf.cap > KEEP_BYTES)
        nd_buf_fini(&f->buf);
    nd_buf_clear(&f->buf);
    f->pos = 0;
}

void
nd_frames_release(struct nd_frames *f)
{
    if (f->plain.ptr != NULL)
        nd_buf_fini(&f->plain);
    if (f->pos != 0 && f->pos == f->buf.len)
        drop_all(f);
}

void
nd_frames_reuse(struct nd_frames *f)
{
    nd_frames_release(f);
    drop_all(f);
}

void
nd_frames_drop(struct nd_frames *f)
{
    ND_INVARIANT(!f->inflating);
    drop_all(f);
}

size_t
nd_frames_pending(const struct nd_frames *f)
{
    return f->buf.len - f->pos;
}

bool
nd_frames_is_compressed(const struct nd_frames *f)
{
    return nd_frames_pending(f) >= ND_FRAME_PREFIX && f->buf.ptr[f->pos] == 1;
}

static void
compact(struct nd_frames *f)
{
    if (f->pos == 0 || f->pos < nd_frames_pending(f) || f->inflating)
        return;
    nd_buf_drop(&f->buf, f->pos);
    f->pos = 0;
}

void
nd_frames_feed(struct nd_frames *f, struct nd_str bytes)
{
    compact(f);
    nd_buf_put(&f->buf, bytes);
}

static size_t
announced(const unsigned char *prefix)
{
    return (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 | prefix[4];
}

struct nd_error *
nd_frames_check(const struct nd_frames *f, bool *ret_complete)
{
    const unsigned char *prefix;

    *ret_complete = false;
    if (nd_frames_pending(f) < ND_FRAME_PREFIX)
        return NULL;
    prefix = (const unsigned char *)f->buf.ptr + f->pos;
    if (prefix[0] > 1)
        return nd_error_new(ND_INTERNAL, "grpc: unexpected payload format %u", prefix[0]);
    if (prefix[0] == 1 && f->encoding == ND_ENCODING_IDENTITY)
        return nd_error_new(ND_INTERNAL,
                            "grpc: compressed flag set with identity or empty encoding");
    if (prefix[0] == 1 && f->encoding != ND_ENCODING_GZIP)
        return nd_error_new(ND_INTERNAL, "grpc: a message is compressed, and not with gzip");
    if (announced(prefix) > f->max_message)
        return nd_error_new(ND_EXHAUSTED, "grpc: received message larger than max (%zu vs. %zu)",
                            announced(prefix), f->max_message);
    *ret_complete = nd_frames_pending(f) - ND_FRAME_PREFIX >= announced(prefix);
    return NULL;
}

size_t
nd_frames_first_size(const struct nd_frames *f)
{
    return ND_FRAME_PREFIX + announced((const unsigned char *)f->buf.ptr + f->pos);
}

struct nd_error *
nd_frames_next(struct nd_frames *f, struct nd_str *ret, bool *ret_found)
{
    size_t len;

    nd_frames_release(f);
    ND_TRY(nd_frames_check(f, ret_found));
    if (!*ret_found) {
        if (nd_frames_pending(f) == 0)
            nd_frames_reuse(f);
        return NULL;
    }
    len = announced((const unsigned char *)f->buf.ptr + f->pos);
    f->taken_compressed = f->buf.ptr[f->pos] != 0;
    if (f->taken_compressed) {
        ND_TRY(nd_frames_inflate(f, len));
        *ret = nd_buf_str(&f->plain);
    } else {
        *ret = nd_str_n(f->buf.ptr + f->pos + ND_FRAME_PREFIX, len);
    }
    f->taken = ND_FRAME_PREFIX + len;
    f->pos += f->taken;
    return NULL;
}

/* Give up the buffer with the message at its end; what has come behind it moves to another one. */
static struct nd_buf
take_out(struct nd_frames *f)
{
    struct nd_buf taken = f->buf;
    struct nd_str rest = nd_str_from(nd_buf_str(&f->buf), f->pos);

    f->buf = ND_BUF_INIT(taken.max);
    if (rest.len != 0)
        nd_buf_put(&f->buf, rest);
    taken.len = f->pos;
    f->pos = 0;
    return taken;
}

struct nd_error *
nd_frames_decode(struct nd_frames *f, const ProtobufCMessageDescriptor *type, struct nd_str bytes,
                 struct nd_arena *arena, ProtobufCMessage **ret)
{
    const struct nd_buf *holder = f->taken_compressed ? &f->plain : &f->buf;
    bool in_place = bytes.len >= IN_PLACE_BYTES && bytes.len >= holder->cap / 4;
    struct nd_error *err;

    if (in_place && f->taken_compressed) {
        err = nd_pb_decode_in_place(type, &f->plain, 0, nd_fiber_yield, arena, ret);
    } else if (in_place) {
        struct nd_buf taken = take_out(f);

        err =
            nd_pb_decode_in_place(type, &taken, taken.len - bytes.len, nd_fiber_yield, arena, ret);
        nd_buf_fini(&taken);
    } else {
        err = nd_pb_decode(type, bytes, arena, ret);
    }
    nd_frames_release(f);
    return err;
}

void
nd_frame_prefix(char dst[ND_FRAME_PREFIX], bool compressed, size_t len)
{
    dst[0] = (char)compressed;
    for (int i = 0; i < 4; i++)
        dst[1 + i] = (char)(uint8_t)(len >> (24 - 8 * i));
}

struct nd_error *
nd_frame_put(struct nd_buf *queue, const void *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    char *prefix;

    if (size > ND_FRAME_SEND_MAX)
        return nd_error_new(ND_EXHAUSTED, "a message of %zu bytes is too large to send", size);
    ND_TRY(nd_buf_reserve(queue, ND_FRAME_PREFIX + size));
    prefix = queue->ptr + queue->len;
    nd_frame_prefix(prefix, false, size);
    protobuf_c_message_pack(message, (uint8_t *)prefix + ND_FRAME_PREFIX);
    queue->len += ND_FRAME_PREFIX + size;
    queue->ptr[queue->len] = '\0';
    return NULL;
}
