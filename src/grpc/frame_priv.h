#ifndef GRPC_FRAME_PRIV_H
#define GRPC_FRAME_PRIV_H

/*
 * Length-prefixed messages: from received bytes, and into a send queue.
 * Follows: contracts/grpc-wire.md 1.5. Context of everything here: any.
 */

#include "base/buf.h"
#include "base/error.h"
#include "grpc/method.h"

#define ND_FRAME_PREFIX 5

/* Received bytes. Plain value. */
struct nd_frames {
    struct nd_buf buf;
    size_t pos; /* bytes before it have been taken */
    size_t max_message;
};

void nd_frames_init(struct nd_frames *f, size_t max_message);
void nd_frames_fini(struct nd_frames *f);

/* Forget everything, keep the memory when it is small. */
void nd_frames_reuse(struct nd_frames *f);

/* Add received bytes. */
void nd_frames_feed(struct nd_frames *f, struct nd_str bytes);

/* Bytes not taken. */
size_t nd_frames_pending(const struct nd_frames *f);

/*
 * Take the message at the front, borrowed until the next call on `f`; *ret_found is false while it is
 * incomplete. Fails, and then for good: ND_EXHAUSTED (announces more than the maximum), ND_INTERNAL
 * (not a prefix, or compressed).
 */
struct nd_error *nd_frames_next(struct nd_frames *f, struct nd_str *ret,
                                bool *ret_found) ND_CHECK_RESULT;

/* The same check of the prefix at the front, without taking anything. */
struct nd_error *nd_frames_check(const struct nd_frames *f, bool *ret_complete) ND_CHECK_RESULT;

/* Of the complete message at the front, prefix included. */
size_t nd_frames_first_size(const struct nd_frames *f);

/* Append a message with its prefix. Fails: ND_EXHAUSTED (over 2 GiB). */
struct nd_error *nd_frame_put(struct nd_buf *queue, const void *message) ND_CHECK_RESULT;

#endif
