/*
 * protobuf-c on arenas.
 *
 * protobuf-c decodes into many small objects and wants them freed one by one; here its allocator is
 * the arena of the call, so decoding is bumping a pointer and freeing is nothing. What it does not
 * check (UTF-8, NUL, depth) nd_pb_check() has checked before, so what it can still refuse is little: a
 * full arena, a missing required field of proto2, and a nested message with a oneof that occurs
 * twice, which it cannot merge. No encoder writes that.
 */

#include "codec/pb.h"

#include "codec/limits.h"

static void
arena_free(void *arena, void *ptr)
{
    (void)arena;
    (void)ptr;
}

static void *
arena_alloc(void *arena, size_t size)
{
    return nd_arena_try(arena, size);
}

ProtobufCAllocator
nd_pb_allocator(struct nd_arena *arena)
{
    return (ProtobufCAllocator){.alloc = arena_alloc, .free = arena_free, .allocator_data = arena};
}

/* An arena that remembers whether it ran out. */
struct decoding {
    struct nd_arena *arena;
    bool full;
};

static void *
decoding_alloc(void *data, size_t size)
{
    struct decoding *d = data;
    void *ptr = nd_arena_try(d->arena, size);

    d->full |= ptr == NULL;
    return ptr;
}

struct nd_error *
nd_pb_decode(const ProtobufCMessageDescriptor *desc, struct nd_str bytes, struct nd_arena *arena,
             ProtobufCMessage **ret)
{
    struct decoding d = {arena, false};
    ProtobufCAllocator allocator = {decoding_alloc, arena_free, &d};
    const uint8_t *start = (const uint8_t *)(bytes.len > 0 ? bytes.ptr : "");
    ProtobufCMessage *message;

    ND_TRY(nd_pb_check(desc, bytes, NULL));
    message = protobuf_c_message_unpack(desc, &allocator, bytes.len, start);
    if (message == NULL && d.full)
        return nd_error_new(ND_EXHAUSTED, "%s of %zu bytes does not fit into the memory of a call",
                            desc->name, bytes.len);
    if (message == NULL)
        return nd_error_new(ND_INVALID, "%s cannot be put together from its parts", desc->name);
    *ret = message;
    return NULL;
}

struct nd_error *
nd_pb_encode(const void *message, struct nd_buf *buf)
{
    const ProtobufCMessage *m = message;
    size_t size = protobuf_c_message_get_packed_size(m);

    ND_TRY_DOING(nd_buf_reserve(buf, size), "encode %s", m->descriptor->name);
    buf->len += protobuf_c_message_pack(m, (uint8_t *)buf->ptr + buf->len);
    buf->ptr[buf->len] = '\0';
    return NULL;
}

void *
nd_pb_new(const ProtobufCMessageDescriptor *desc, struct nd_arena *arena)
{
    void *message = nd_arena_alloc(arena, desc->sizeof_message);

    desc->message_init(message);
    return message;
}

struct nd_error *
nd_pb_copy(const void *message, struct nd_arena *arena, ProtobufCMessage **ret)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(ND_PB_MAX_DECODED);
    const ProtobufCMessage *m = message;

    ND_TRY(nd_pb_encode(message, &buf));
    return nd_pb_decode(m->descriptor, nd_buf_str(&buf), arena, ret);
}
