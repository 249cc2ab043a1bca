#ifndef GRPC_FRAME_PRIV_H
#define GRPC_FRAME_PRIV_H

/*
 * Length-prefixed messages: from received bytes, and into a send queue.
 * Follows: contracts/grpc-wire.md 1.5. Context of everything here: any, unless it says so.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "grpc/method.h"

#define ND_FRAME_PREFIX 5

/* How the messages of one direction may be compressed: the value of grpc-encoding. */
enum nd_encoding {
    ND_ENCODING_IDENTITY,
    ND_ENCODING_GZIP,
    ND_ENCODING_FOREIGN, /* none of ours */
};

/* What we read, for grpc-accept-encoding. */
#define ND_ACCEPT_ENCODING "identity,gzip"

enum nd_encoding nd_encoding_parse(struct nd_str name);

/* Whether a grpc-accept-encoding lists gzip. */
bool nd_encoding_list_has_gzip(struct nd_str list);

/* Received bytes. Plain value. */
struct nd_frames {
    struct nd_buf buf;
    size_t pos; /* bytes before it have been taken */
    size_t max_message;
    size_t taken; /* bytes of the message taken last, prefix included, as received */
    bool taken_compressed;
    enum nd_encoding encoding;
    bool inflating;      /* the message at the front: bytes must stay where they are in `buf` */
    struct nd_buf plain; /* it, decompressed */
};

void nd_frames_init(struct nd_frames *f, size_t max_message);
void nd_frames_fini(struct nd_frames *f);

/* Forget everything, keep the memory when it is small. */
void nd_frames_reuse(struct nd_frames *f);

/* Forget what was received and not taken; not while a message is inflated. What was taken stays. */
void nd_frames_drop(struct nd_frames *f);

/* Add received bytes. */
void nd_frames_feed(struct nd_frames *f, struct nd_str bytes);

/* Bytes not taken. */
size_t nd_frames_pending(const struct nd_frames *f);

/*
 * Take the message at the front, decompressed; borrowed until the next call on `f`, which feeding
 * is not for a compressed one. *ret_found is false while it is incomplete. Fails, and then for
 * good: ND_EXHAUSTED (more than the maximum, as announced or after decompression), ND_INTERNAL (not
 * a prefix; compressed without or against `encoding`); ND_CANCELLED, ND_DEADLINE. Context: any; for
 * a compressed message fiber, others run while a large one is inflated.
 */
struct nd_error *nd_frames_next(struct nd_frames *f, struct nd_str *ret,
                                bool *ret_found) ND_CHECK_RESULT;

/* Whether the message at the front says that it is compressed. */
bool nd_frames_is_compressed(const struct nd_frames *f);

/*
 * Decode the message that was taken last, which `bytes` are, and forget them. A large one is
 * decoded where it is, and its memory becomes the arena's. Fails: as nd_pb_decode(); ND_CANCELLED,
 * ND_DEADLINE. Context: fiber; others run while a large one is decoded.
 */
struct nd_error *nd_frames_decode(struct nd_frames *f, const ProtobufCMessageDescriptor *type,
                                  struct nd_str bytes, struct nd_arena *arena,
                                  ProtobufCMessage **ret) ND_CHECK_RESULT;

/* The message taken last has been used: its memory goes, if it is large. */
void nd_frames_release(struct nd_frames *f);

/* The same check of the prefix at the front, without taking anything. */
struct nd_error *nd_frames_check(const struct nd_frames *f, bool *ret_complete) ND_CHECK_RESULT;

/* Of the complete message at the front, prefix included. */
size_t nd_frames_first_size(const struct nd_frames *f);

/* Append a message with its prefix. Fails: ND_EXHAUSTED (over 2 GiB). */
struct nd_error *nd_frame_put(struct nd_buf *queue, const void *message) ND_CHECK_RESULT;

/*
 * The same, compressed, if that makes it smaller.
 * Fails: also ND_CANCELLED, ND_DEADLINE; nothing is appended then.
 * Context: fiber; others run while a large message is compressed.
 */
struct nd_error *nd_frame_put_gzip(struct nd_buf *queue, const void *message) ND_CHECK_RESULT;

/* compression.c, for nd_frames_next(): decompress `len` bytes behind the prefix at the front. */
struct nd_error *nd_frames_inflate(struct nd_frames *f, size_t len) ND_CHECK_RESULT;

/* frame.c: the prefix of a message of `len` bytes. */
void nd_frame_prefix(char dst[ND_FRAME_PREFIX], bool compressed, size_t len);

#define ND_FRAME_SEND_MAX INT32_MAX /* bytes of a message sent, before compression */

#endif
