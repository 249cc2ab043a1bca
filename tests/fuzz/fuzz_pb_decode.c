/*
 * Decoding: what comes out is searched, encoded and decoded again, and nothing of that may break a
 * promise. protobuf-c's own decoder is the judge: what either makes of the input, both must take
 * for the same message once it is encoded again. (Not of the input itself: protobuf-c loses parts
 * of messages that it merges.)
 */

#include "codec/limits.h"
#include "codec/pb.h"

#include "tree.pb-c.h"

#define ARENA_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every string that came out ends where its field ended: it has no NUL inside and is UTF-8. */
static void
check_tree(const CodecTest__Tree *tree)
{
    ND_INVARIANT(nd_str_is_utf8(nd_str(tree->name)));
    for (size_t i = 0; i < tree->n_names; i++)
        ND_INVARIANT(nd_str_is_utf8(nd_str(tree->names[i])));
    for (size_t i = 0; i < tree->n_children; i++)
        check_tree(tree->children[i]);
    if (tree->child != NULL)
        check_tree(tree->child);
}

/* Both decoders make what is encoded in `bytes` out of it. */
static void
compare_decoders(const ProtobufCMessageDescriptor *desc, struct nd_str bytes)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf by_us = ND_BUF_INIT(ARENA_MAX);
    ND_AUTO(nd_buf_fini) struct nd_buf by_them = ND_BUF_INIT(ARENA_MAX);
    ProtobufCMessage *ours;
    ProtobufCMessage *theirs =
        protobuf_c_message_unpack(desc, NULL, bytes.len, (const uint8_t *)bytes.ptr);
    struct nd_error *err = nd_pb_decode(desc, bytes, arena, &ours);

    ND_INVARIANT(theirs != NULL && err == NULL);
    err = nd_pb_encode(theirs, &by_them);
    ND_INVARIANT(err == NULL && nd_str_eq(nd_buf_str(&by_them), bytes));
    err = nd_pb_encode(ours, &by_us);
    ND_INVARIANT(err == NULL && nd_str_eq(nd_buf_str(&by_us), bytes));
    protobuf_c_message_free_unpacked(theirs, NULL);
}

static void
ask_the_judge(const ProtobufCMessage *ours, struct nd_str input)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(ARENA_MAX);
    ProtobufCMessage *theirs;
    struct nd_error *err = nd_pb_encode(ours, &buf);

    ND_INVARIANT(err == NULL);
    compare_decoders(ours->descriptor, nd_buf_str(&buf));
    theirs =
        protobuf_c_message_unpack(ours->descriptor, NULL, input.len, (const uint8_t *)input.ptr);
    if (theirs == NULL)
        return;
    nd_buf_clear(&buf);
    err = nd_pb_encode(theirs, &buf);
    ND_INVARIANT(err == NULL);
    compare_decoders(ours->descriptor, nd_buf_str(&buf));
    protobuf_c_message_free_unpacked(theirs, NULL);
}

/*
 * Decoding in place comes to the same: the same message, or a failure if the other one (`ours`
 * NULL) failed.
 */
static void
decode_in_place(const ProtobufCMessageDescriptor *desc, struct nd_str input,
                const ProtobufCMessage *ours)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf wanted = ND_BUF_INIT(ARENA_MAX);
    ND_AUTO(nd_buf_fini) struct nd_buf got = ND_BUF_INIT(ARENA_MAX);
    struct nd_buf bytes = ND_BUF_INIT(ARENA_MAX);
    ProtobufCMessage *message;
    struct nd_error *err;

    nd_buf_put(&bytes, input);
    err = nd_pb_decode_in_place(desc, &bytes, 0, NULL, arena, &message);
    ND_INVARIANT((err == NULL) == (ours != NULL) && bytes.ptr == NULL);
    nd_error_free(err);
    if (ours == NULL)
        return;
    check_tree((const CodecTest__Tree *)message);
    err = nd_pb_encode(ours, &wanted);
    ND_INVARIANT(err == NULL);
    err = nd_pb_encode(message, &got);
    ND_INVARIANT(err == NULL && nd_str_eq(nd_buf_str(&got), nd_buf_str(&wanted)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ProtobufCMessageDescriptor *desc = &codec_test__tree__descriptor;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(ARENA_MAX);
    ND_AUTO(nd_buf_fini) struct nd_buf path = ND_BUF_INIT(64);
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    ProtobufCMessage *message, *copy;

    err = nd_pb_decode(desc, nd_str_n(data, size), arena, &message);
    if (err != NULL) {
        ND_INVARIANT(nd_error_code(err) == ND_INVALID || nd_error_code(err) == ND_EXHAUSTED);
        if (nd_error_code(err) == ND_INVALID)
            decode_in_place(desc, nd_str_n(data, size), NULL);
        return 0;
    }
    check_tree((const CodecTest__Tree *)message);
    decode_in_place(desc, nd_str_n(data, size), message);
    ask_the_judge(message, nd_str_n(data, size));
    (void)nd_pb_unknown_field(message, &path);
    err = nd_pb_copy(message, arena, &copy);
    ND_INVARIANT(err == NULL || nd_error_code(err) == ND_EXHAUSTED);
    return 0;
}
