#ifndef FIBER_WORK_H
#define FIBER_WORK_H

/*
 * What really blocks goes to a thread; the fiber waits. A job is a function over one argument
 * struct: no arena of the call, no fiber functions, no shared state; it fills in results and an
 * errno, or makes its own nd_error (which is plain memory). Jobs are joined, never abandoned: when
 * the context ends during the job, the call still returns only after it, with success.
 *
 * Context of everything here: fiber, except where it says that the thread is meant.
 */

#include <sys/types.h>

#include "fiber/fiber.h"

enum nd_work_kind {
    ND_WORK_SHORT, /* milliseconds: files, fsync, getaddrinfo */
    ND_WORK_BULK,  /* seconds: file trees, hashing, inflating */
};

/*
 * Run `fn(arg)` on a thread of its kind. Fails: ND_CANCELLED, ND_DEADLINE before it started.
 * Context: fiber.
 */
struct nd_error *nd_work(enum nd_work_kind kind, void (*fn)(void *arg), void *arg) ND_CHECK_RESULT;

/*
 * A bridge for a bulk job that consumes bytes which a fiber produces (an archive that a client
 * streams). The fiber puts, the thread takes; bounded, both sides wait.
 */
struct nd_pipe;
/* Freed by the fiber, when no job uses it any more; NULL is fine. */
struct nd_pipe *nd_pipe_new(size_t capacity_bytes) __attribute__((__returns_nonnull__));
void nd_pipe_free(struct nd_pipe *pipe);
void nd_pipe_freep(struct nd_pipe **pipe);
/*
 * Copy bytes in; waits while it is full. Fails: ND_ABORTED when the taker has stopped. Context:
 * fiber.
 */
struct nd_error *nd_pipe_put(struct nd_pipe *pipe, struct nd_str bytes) ND_CHECK_RESULT;
/* No more bytes; with `failed`, the taker sees an error instead of the end. Context: fiber. */
void nd_pipe_finish(struct nd_pipe *pipe, bool failed);
/* On the thread: up to `cap` bytes; 0 at the end, -1 after a failed finish. Blocks the thread. */
ssize_t nd_pipe_take(struct nd_pipe *pipe, void *dst, size_t cap);
/* On the thread: no more will be taken; puts fail from now on. */
void nd_pipe_stop(struct nd_pipe *pipe);

#endif
