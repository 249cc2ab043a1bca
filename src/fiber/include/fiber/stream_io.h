#ifndef FIBER_STREAM_IO_H
#define FIBER_STREAM_IO_H

/*
 * The loop's side of a byte stream, for net/ alone: bytes are pushed by a callback, writes are
 * queued. A stream is used either this way or through fiber/stream.h, not both at once.
 *
 * A new kind of stream (TLS over another stream, a tunnel over a call) embeds struct nd_stream as
 * its first member and fills in an nd_stream_ops; the functions of fiber/stream.h then work on it.
 */

#include "fiber/stream.h"

/* What the reader of a stream is told. All in loop context; the stream may be closed inside. */
struct nd_stream_reader {
    /* `bytes` is borrowed for the call. */
    void (*on_bytes)(void *arg, struct nd_str bytes);
    /* The end: NULL, or an error that the callee owns. Nothing follows. */
    void (*on_end)(void *arg, struct nd_error *err);
    void *arg;
};

struct nd_stream_ops {
    void (*start)(struct nd_stream *s); /* bytes may flow; idempotent */
    void (*stop)(struct nd_stream *s);  /* none after it returns; idempotent */
    void (*write)(struct nd_stream *s,
                  struct nd_str bytes);          /* copies what it cannot write at once */
    size_t (*unsent)(const struct nd_stream *s); /* queued bytes */
    void (*shutdown)(struct nd_stream *s);       /* after the queue */
    void (*close)(struct nd_stream *s);          /* frees it, perhaps later; no callback after it */
    /* NULL: bytes are never lost unnoticed */
    void (*limit_unacked)(struct nd_stream *s, int64_t ns);
    /* NULL: pieces have the size that they have, and come when they come */
    void (*pace)(struct nd_stream *s);
};

struct nd_stream {
    const struct nd_stream_ops *ops;
    struct nd_peer peer;
    struct nd_stream_reader reader; /* set by nd_stream_attach() */
    /* Called when the write queue has become empty, or the stream failed while writing (then the
     * reader's on_end tells why). */
    void (*on_drain)(void *arg);
    void *drain_arg;
    bool failed;                         /* set by the ops: what is written goes nowhere any more */
    struct nd_stream_blocking *blocking; /* private to fiber/stream.h's functions */
};

/* Become the reader. Starts nothing. Context: fiber, loop. */
void nd_stream_attach(struct nd_stream *s, const struct nd_stream_reader *reader,
                      void (*on_drain)(void *arg), void *drain_arg);

/* Forwarders to the ops. Context: fiber, loop. */
void nd_stream_start(struct nd_stream *s);
void nd_stream_stop(struct nd_stream *s);
void nd_stream_push(struct nd_stream *s, struct nd_str bytes);
size_t nd_stream_unsent(const struct nd_stream *s);
void nd_stream_finish(struct nd_stream *s);

/*
 * Bytes that the other side does not acknowledge for so long end the stream (TCP); nothing on other
 * kinds. Context: fiber, loop.
 */
void nd_stream_limit_unacked(struct nd_stream *s, int64_t ns);

/*
 * Let it have its part of a turn from now on, and no more: how much is read at once follows what
 * the bytes before have taken, and whose bytes take long is read after all others. Nothing on kinds
 * that do not read. Context: fiber, loop.
 */
void nd_stream_pace(struct nd_stream *s);

#endif
