#ifndef OPERATION_OPERATIONS_H
#define OPERATION_OPERATIONS_H

/*
 * Operations: long calls as objects that others can look at, follow and cancel, and what came of
 * them.
 *
 *     ND_AUTO(nd_operation_leavep) struct nd_operation *op = NULL;
 *
 *     ND_TRY(nd_operation_begin(operations, &spec, &op));
 *     err = nd_operation_run(op, work, &job);         // nd_operation_progress() from inside
 *     return nd_operation_end(op, err, &result);
 *
 * One that runs is in memory and, so that a crash does not lose it, in the ledger; an ended one is
 * in the ledger alone.
 */

#include "host/host.h"
#include "nerdctl/v1/operation.pb-c.h"

struct nd_operations;
struct nd_operation;

/* What dead daemons left running is aborted. `host` is borrowed. Context: fiber. */
struct nd_error *nd_operations_new(struct nd_host *host,
                                   struct nd_operations **ret) ND_CHECK_RESULT;
void nd_operations_free(struct nd_operations *ops); /* nothing runs; NULL is fine */
void nd_operations_freep(struct nd_operations **ops);

struct nd_operation_spec {
    const char *method; /* static text */
    const char *ns;
    const char *owner; /* who began it */
};

#define ND_OPERATIONS_MAX_RUNNING  1024u
#define ND_OPERATION_MAX_PROGRESS  64u  /* things whose progress is kept */
#define ND_OPERATION_MAX_ID_BYTES  256u /* of what is worked on; the rest is cut */
#define ND_OPERATIONS_PAGE_DEFAULT 100

/* Fails: ND_EXHAUSTED over ND_OPERATIONS_MAX_RUNNING. Context: fiber; does not suspend. */
struct nd_error *nd_operation_begin(struct nd_operations *ops, const struct nd_operation_spec *spec,
                                    struct nd_operation **ret) ND_CHECK_RESULT;
const char *nd_operation_id(const struct nd_operation *op);

/*
 * Do the work in a fiber of its own, which nd_operation_cancel() cancels. Returns what `fn`
 * returned; ND_CANCELLED, reason OPERATION_CANCELLED, when that was the reason. Context: fiber.
 */
struct nd_error *nd_operation_run(struct nd_operation *op, nd_fiber_fn *fn,
                                  void *arg) ND_CHECK_RESULT;

/* Tell how far it is; copied. Context: any. */
void nd_operation_progress(struct nd_operation *op, const Pb__Progress *progress);

/*
 * It has ended: by `err`, which is returned, or with `result`, a message. Written before it is
 * answered. Context: fiber.
 */
struct nd_error *nd_operation_end(struct nd_operation *op, struct nd_error *err,
                                  const ProtobufCMessage *result) ND_CHECK_RESULT;

/* The end of the caller's interest; one that was not ended has failed. NULL is fine. */
void nd_operation_leavep(struct nd_operation **op);

/*
 * --- for whoever asks; what is returned lies in `arena`. Context of all: fiber. -----------------
 */

/* Fails: ND_NOT_FOUND, reason OPERATION_NOT_FOUND; ND_INVALID about "id". The same below. */
struct nd_error *nd_operation_get(struct nd_operations *ops, const char *id, struct nd_arena *arena,
                                  Pb__Operation **ret) ND_CHECK_RESULT;

/* `ns` "": all namespaces. Fails: ND_INVALID about "page_size" or "page_token". */
struct nd_error *nd_operations_list(struct nd_operations *ops, const char *ns,
                                    const Pb__OperationServiceListRequest *req,
                                    struct nd_arena *arena,
                                    Pb__OperationServiceListResponse *rsp) ND_CHECK_RESULT;

/* Tell of it now and after each change, until it has ended; what is told lives for the call. */
struct nd_error *nd_operation_watch(struct nd_operations *ops, const char *id,
                                    struct nd_error *(*tell)(void *arg, Pb__Operation *operation),
                                    void *arg) ND_CHECK_RESULT;

/* Fails: ND_PRECONDITION, reason OPERATION_ENDED. */
struct nd_error *nd_operation_cancel(struct nd_operations *ops, const char *id) ND_CHECK_RESULT;

/* Fails: ND_PRECONDITION, reason OPERATION_RUNNING. */
struct nd_error *nd_operation_delete(struct nd_operations *ops, const char *id) ND_CHECK_RESULT;

#endif
