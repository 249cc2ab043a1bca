/*
 * The check before decoding, against protobuf-c itself: what passes it is decoded, searched, encoded
 * and decoded again, and nothing of that may break a promise.
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
        return 0;
    }
    check_tree((const CodecTest__Tree *)message);
    (void)nd_pb_unknown_field(message, &path);
    err = nd_pb_copy(message, arena, &copy);
    ND_INVARIANT(err == NULL || nd_error_code(err) == ND_EXHAUSTED);
    return 0;
}
