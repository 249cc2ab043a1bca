#ifndef CODEC_PB_H
#define CODEC_PB_H

/*
 * Protocol buffers on arenas: decode, encode, copy.
 *
 * Messages are protobuf-c's generated structs. A decoded message and all that it points at lives in
 * the arena it was decoded into and is never freed alone.
 * Context of everything here: any.
 */

#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"

/* 0 in a member means the default of codec/limits.h. */
struct nd_pb_limits {
    size_t max_depth;
    size_t max_decoded; /* bytes in memory */
};

/*
 * Decode into `arena`, within the default limits. Nothing points into `bytes` afterwards. What
 * `desc` does not know is kept as unknown fields if it is well formed; the required fields of
 * proto2 are not asked for. When it fails, `*ret` is untouched and the arena holds some garbage.
 *
 * Fails: ND_INVALID    broken wire format, a wrong wire type, a string with a NUL inside or that is
 *                      not UTF-8, a group; the field is named as in the proto: "labels[2].key"
 *        ND_EXHAUSTED  nested too deeply, too large in memory (also for so few bytes), or the arena is at
 *                      its maximum
 */
struct nd_error *nd_pb_decode(const ProtobufCMessageDescriptor *desc, struct nd_str bytes,
                              struct nd_arena *arena, ProtobufCMessage **ret) ND_CHECK_RESULT;

/* The same within other limits; NULL: the defaults. */
struct nd_error *nd_pb_decode_within(const ProtobufCMessageDescriptor *desc, struct nd_str bytes,
                                     const struct nd_pb_limits *limits, struct nd_arena *arena,
                                     ProtobufCMessage **ret) ND_CHECK_RESULT;

/* Called now and then in a long decoding, to let others run; its error ends the decoding. */
typedef struct nd_error *nd_pb_pause(void);

/*
 * Decode what `*buf` holds from `at` to its end, and keep its memory in the arena: the message's
 * texts and bytes are not copied, they point into it. For messages that are most of their buffer.
 * `*buf` is empty afterwards, also after a failure, unless it was the arena's maximum that did not
 * allow it. `pause` may be NULL.
 *
 * Fails: as nd_pb_decode(), and as `pause`.
 */
struct nd_error *nd_pb_decode_in_place(const ProtobufCMessageDescriptor *desc, struct nd_buf *buf,
                                       size_t at, nd_pb_pause *pause, struct nd_arena *arena,
                                       ProtobufCMessage **ret) ND_CHECK_RESULT;

/* Append the encoded message. Fails: ND_EXHAUSTED over the maximum of `buf`. `message` is any
 * generated struct; const void so that no call needs a cast. */
struct nd_error *nd_pb_encode(const void *message, struct nd_buf *buf) ND_CHECK_RESULT;

/* An empty message in the arena. Never NULL. */
void *nd_pb_new(const ProtobufCMessageDescriptor *desc, struct nd_arena *arena)
    __attribute__((__returns_nonnull__));

/*
 * A deep copy in the arena. Fails: ND_EXHAUSTED when the arena is at its maximum, ND_INVALID when
 * the message holds what nd_pb_decode() refuses.
 */
struct nd_error *nd_pb_copy(const void *message, struct nd_arena *arena,
                            ProtobufCMessage **ret) ND_CHECK_RESULT;

/*
 * Put the entries of all maps from texts to texts in the decoded message in one order, at any
 * depth: two messages that mean the same are encoded as the same bytes then.
 */
void nd_pb_sort_maps(void *message);

/*
 * Whether the decoded message holds, at any depth, a field that this program does not know. If so
 * its place is appended to `path`, as far as it fits: "spec.mounts[2].15".
 */
bool nd_pb_unknown_field(const void *message, struct nd_buf *path);

#endif
