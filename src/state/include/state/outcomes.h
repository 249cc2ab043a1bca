#ifndef STATE_OUTCOMES_H
#define STATE_OUTCOMES_H

/*
 * Outcomes: operations as they are remembered, while they run and for a while after their end. One
 * that came with a request id is found by it, so that a repeated request gets the same answer.
 */

#include "base/arena.h"
#include "base/str.h"
#include "state/ledger.h"

enum nd_outcome_state {
    ND_OUTCOME_RUNNING = 1,
    ND_OUTCOME_SUCCEEDED = 2,
    ND_OUTCOME_FAILED = 3,
};

/* Texts are never NULL; "" is none. */
struct nd_outcome {
    const char *id;
    const char *method;   /* "/nerdctl.v1.ImageService/Load" */
    const char *ns;       /* containerd's namespace */
    const char *owner;    /* who began it */
    const char *request;  /* the client's request id */
    struct nd_str digest; /* of the request, when there is a request id */
    const char *object;   /* what it works on */
    enum nd_outcome_state state;
    int64_t begun_ms, ended_ms; /* since 1970; 0: not ended */
    const char *result_type;    /* "nerdctl.v1.Image" */
    struct nd_str result;       /* the message, encoded */
    enum nd_code code;          /* of the failure */
    const char *message, *reason;
};

/* Insert or replace, by id; submitted. Fails: ND_EXHAUSTED. Context: fiber; does not suspend. */
struct nd_error *nd_outcome_put(struct nd_ledger *ledger,
                                const struct nd_outcome *outcome) ND_CHECK_RESULT;

/* The same, and wait until a dying process cannot lose it; with `durable`, nor a power cut. */
struct nd_error *nd_outcome_put_and_wait(struct nd_ledger *ledger, const struct nd_outcome *outcome,
                                         bool durable) ND_CHECK_RESULT;

/* Fails: ND_NOT_FOUND. Context of these: fiber; what is found lies in `arena`. */
struct nd_error *nd_outcome_get(struct nd_ledger *ledger, const char *id, struct nd_arena *arena,
                                struct nd_outcome *ret) ND_CHECK_RESULT;
struct nd_error *nd_outcome_by_request(struct nd_ledger *ledger, const char *owner,
                                       const char *request, struct nd_arena *arena,
                                       struct nd_outcome *ret) ND_CHECK_RESULT;

/* Which are listed: newest first, those that come behind (begun_ms, id) in that order. */
struct nd_outcome_query {
    const char *ns;          /* "": of all namespaces */
    const char *owner;       /* "": of all owners */
    int64_t before_begun_ms; /* INT64_MAX: from the newest */
    const char *before_id;
    size_t max; /* at most ND_OUTCOMES_PAGE */
};
struct nd_error *nd_outcomes_list(struct nd_ledger *ledger, const struct nd_outcome_query *query,
                                  struct nd_arena *arena, struct nd_outcome **ret,
                                  size_t *ret_n) ND_CHECK_RESULT;

/* Submitted; not there is fine. */
struct nd_error *nd_outcome_delete(struct nd_ledger *ledger, const char *id) ND_CHECK_RESULT;

/*
 * Those that were running when their daemon died have failed: ND_ABORTED, and their request ids are
 * free again. Then forget ended ones that are too old or too many. Submitted.
 */
struct nd_error *nd_outcomes_abort_running(struct nd_ledger *ledger,
                                           int64_t now_ms) ND_CHECK_RESULT;
struct nd_error *nd_outcomes_trim(struct nd_ledger *ledger, int64_t now_ms) ND_CHECK_RESULT;

#endif
