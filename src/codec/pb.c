/* protobuf-c's encoder and its messages on arenas; the decoder is pb_decode.c. */

#include "codec/pb.h"

#include "codec/limits.h"

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
