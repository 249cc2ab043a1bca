/*
 * Compression of messages: gzip, each message on its own, so nothing is kept between two.
 *
 * Neither direction holds more than it must. A message to send is packed piece by piece into the
 * compressor and never exists in plain form; a received one is inflated from the buffer that it
 * arrived in, and stops growing at the maximum message, however much a few bytes may promise.
 *
 * A megabyte takes milliseconds, and these are everybody's: after each step of 64 KiB the other
 * fibers have their turn.
 */

#include <protobuf-c/protobuf-c.h>

#include "codec/gzip.h"
#include "fiber/fiber.h"

#include "frame_priv.h"

enum nd_encoding
nd_encoding_parse(struct nd_str name)
{
    if (nd_str_eq(name, ND_STR("identity")) || name.len == 0)
        return ND_ENCODING_IDENTITY;
    return nd_str_eq(name, ND_STR("gzip")) ? ND_ENCODING_GZIP : ND_ENCODING_FOREIGN;
}

bool
nd_encoding_list_has_gzip(struct nd_str list)
{
    struct nd_str name;

    /* What our client and the usual ones say, in every call. */
    if (nd_str_ends(list, ND_STR(",gzip")) || nd_str_ends(list, ND_STR(", gzip")))
        return true;
    while (nd_str_next(&list, ',', &name)) {
        if (nd_str_eq(nd_str_trim(name), ND_STR("gzip")))
            return true;
    }
    return false;
}

/* --- receiving --- */

/* Takes `err` and returns what the peer is told. */
static struct nd_error *
inflate_error(const struct nd_frames *f, struct nd_error *err)
{
    switch (nd_error_code(err)) {
    case ND_EXHAUSTED:
        nd_error_free(err);
        return nd_error_new(ND_EXHAUSTED,
                            "grpc: message after decompression larger than max (%zu vs. %zu)",
                            f->max_message + 1, f->max_message);
    case ND_INVALID:
        return nd_error_wrap(nd_error_recode(err, ND_INTERNAL),
                             "grpc: failed to decompress the message");
    default:
        return err;
    }
}

static struct nd_error *
inflate_all(struct nd_frames *f, size_t len)
{
    ND_AUTO(nd_gunzip_freep) struct nd_gunzip *gunzip = nd_gunzip_new();
    size_t left = len;

    do {
        /* Anew each time: the buffer may have been moved to grow. */
        size_t at = f->pos + ND_FRAME_PREFIX + len - left;
        struct nd_str in = nd_str_n(f->buf.ptr + at, left);

        ND_TRY(nd_gunzip_step(gunzip, &in, &f->plain));
        left = in.len;
        if (left != 0 || nd_gunzip_has_more(gunzip))
            ND_TRY(nd_fiber_yield());
    } while (left != 0 || nd_gunzip_has_more(gunzip));
    if (!nd_gunzip_is_done(gunzip))
        return nd_error_new(ND_INVALID, "gzip: ends too early");
    return NULL;
}

struct nd_error *
nd_frames_inflate(struct nd_frames *f, size_t len)
{
    struct nd_error *err;

    f->plain = ND_BUF_INIT(f->max_message);
    f->inflating = true;
    err = inflate_all(f, len);
    f->inflating = false;
    if (err == NULL)
        return NULL;
    nd_buf_fini(&f->plain);
    return inflate_error(f, err);
}

/* --- sending --- */

struct packer {
    ProtobufCBuffer base; /* first: protobuf-c calls back with it */
    struct nd_gzip *gzip;
    struct nd_buf *dst;
    size_t since_yield;
    struct nd_error *err; /* the first one: what follows is not looked at */
};

static struct nd_error *
pack_piece(struct packer *p, struct nd_str piece)
{
    ND_TRY(nd_gzip_add(p->gzip, piece, p->dst));
    p->since_yield += piece.len;
    if (p->since_yield < ND_GZIP_STEP_BYTES)
        return NULL;
    p->since_yield = 0;
    return nd_fiber_yield();
}

static void
on_packed(ProtobufCBuffer *buffer, size_t len, const uint8_t *data)
{
    struct packer *p = (struct packer *)buffer;
    struct nd_str bytes = nd_str_n(data, len);

    while (p->err == NULL && bytes.len != 0) {
        struct nd_str piece = nd_str_sub(bytes, 0, ND_GZIP_STEP_BYTES);

        p->err = pack_piece(p, piece);
        bytes = nd_str_from(bytes, piece.len);
    }
}

static struct nd_error *
deflate_message(const void *message, size_t size, struct nd_buf *dst)
{
    ND_AUTO(nd_gzip_freep) struct nd_gzip *gzip = nd_gzip_new(size);
    struct packer p = {.base = {.append = on_packed}, .gzip = gzip, .dst = dst};

    protobuf_c_message_pack_to_buffer(message, &p.base);
    ND_TRY(p.err);
    return nd_gzip_finish(gzip, dst);
}

struct nd_error *
nd_frame_put_gzip(struct nd_buf *queue, const void *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    struct nd_buf frame = ND_BUF_INIT(ND_FRAME_PREFIX + size);
    struct nd_error *err;

    if (size == 0 || size > ND_FRAME_SEND_MAX)
        return nd_frame_put(queue, message);
    nd_buf_put(&frame, nd_str_n("\0\0\0\0\0", ND_FRAME_PREFIX));
    err = deflate_message(message, size, &frame);
    if (err == NULL && frame.len < frame.max) {
        nd_frame_prefix(frame.ptr, true, frame.len - ND_FRAME_PREFIX);
        err = nd_buf_add(queue, nd_buf_str(&frame));
    } else if (err == NULL || nd_error_code(err) == ND_EXHAUSTED) {
        nd_error_free(err);
        err = nd_frame_put(queue, message);
    }
    nd_buf_fini(&frame);
    return err;
}
