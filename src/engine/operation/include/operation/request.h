#ifndef OPERATION_REQUEST_H
#define OPERATION_REQUEST_H

/*
 * Requests that may be repeated: a client that got no answer sends the same one again, with the
 * same request id, and gets the answer that it missed; the thing is done once.
 *
 *     ND_AUTO(nd_request_leave) struct nd_request request = ND_REQUEST_INIT;
 *
 *     ND_TRY(nd_request_begin(operations, &spec, arena, &request));
 *     if (request.is_repeated)
 *         return answer(request.outcome.result);
 *     err = work();
 *     return nd_request_end(&request, err, &reply);
 *
 * What succeeded is remembered, and what failed and all the same left something that is to stay.
 * After another failure the same id tries again. The ends of the changes that were made in between
 * are committed together with the answer, so that a daemon which dies between the two has neither;
 * and when that cannot be written, what was made is taken back. What rolls forward is finished
 * then, and the answer is remembered by the recovery.
 *
 * A long call is answered when its work is done and its client goes on to listen: nd_request_end()
 * comes then, and nd_request_update() adds what became known since.
 */

#include "operation/operations.h"
#include "state/intents.h"
#include "state/outcomes.h"

#define ND_REQUEST_ID_MAX 128u /* characters: printable ASCII without the space */

/*
 * The reason of a failure (ND_ABORTED) of which nobody knows whether it is one, and which a repeat
 * does not try again: what must not be done twice.
 */
#define ND_REQUEST_UNKNOWN "OUTCOME_UNKNOWN"

struct nd_request_spec {
    const char *method; /* static text */
    const char *ns;
    const char *owner;
    const char *id;                           /* "" is none: nothing is remembered */
    const void *message;                      /* the request: another one with this id is refused */
    const ProtobufCMessageDescriptor *answer; /* its type; NULL: no recovery can give one */
};

/* Intents of changes that are done, to be dropped with the answer. */
struct nd_kept_intents {
    struct nd_intent *at[4];
    size_t n;
    const char *note; /* of the request, for its intents */
};

struct nd_request {
    bool is_repeated;          /* it was done: see `outcome` */
    struct nd_outcome outcome; /* in the arena */
    struct nd_operations *ops; /* private from here on; NULL: without an id */
    struct nd_host_lock *lock; /* NULL: not begun, or ended */
    struct nd_kept_intents kept;
};
#define ND_REQUEST_INIT ((struct nd_request){0})

/*
 * Waits for one with the same id that is under way.
 * Fails: ND_INVALID about "request_id": not such an id, or (reason REQUEST_ID_REUSED) used for another
 *        request; with what the first one failed with, if that is remembered; ND_CANCELLED, ND_DEADLINE.
 * Context: fiber, in which the work is done then.
 */
struct nd_error *nd_request_begin(struct nd_operations *ops, const struct nd_request_spec *spec,
                                  struct nd_arena *arena, struct nd_request *ret) ND_CHECK_RESULT;

/* A long call's row in the ledger is that of its operation. Before the end; `id` is copied. */
void nd_request_is_operation(struct nd_request *request, const char *id, struct nd_arena *arena);

/*
 * Returns `err`; NULL: `reply` is remembered before this returns. Repeats are answered from here
 * on. Fails also when it cannot be written. Context: fiber.
 */
struct nd_error *nd_request_end(struct nd_request *request, struct nd_error *err,
                                const void *reply) ND_CHECK_RESULT;

/*
 * What is remembered becomes another reply; submitted: before anything that is written later. A
 * failure is logged, and the older one stays. Context: fiber; does not suspend.
 */
void nd_request_update(struct nd_request *request, const void *reply);

/*
 * Whether what this fiber does may be asked for again: it is within a request with an id. Context:
 * fiber.
 */
bool nd_request_is_repeatable(void);

/* One that was not ended has failed. */
void nd_request_leave(struct nd_request *request);

#endif
