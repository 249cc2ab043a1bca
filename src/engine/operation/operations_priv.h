#ifndef OPERATION_OPERATIONS_PRIV_H
#define OPERATION_OPERATIONS_PRIV_H

/* What the two files of operations share: one that runs, and how operations are shown. */

#include "base/clock.h"
#include "base/map.h"
#include "fiber/group.h"
#include "fiber/sync.h"
#include "operation/operations.h"
#include "state/intents.h"
#include "state/limits.h"
#include "state/outcomes.h"

#define OPERATION_ID_BYTES 16

struct progress {
    char *id, *action;
    int64_t current, total;
};

struct nd_operation {
    struct nd_operations *ops;
    unsigned refs; /* its call, and those who watch */
    char id[2 * OPERATION_ID_BYTES + 1];
    const char *method;
    char *ns, *owner;
    int64_t begun_ms;
    struct nd_group *group; /* while its work is done */
    bool cancelled;
    bool ended;
    uint64_t version; /* counts changes */
    struct nd_cond changed;
    struct progress progress[ND_OPERATION_MAX_PROGRESS];
    size_t n_progress;
};

struct nd_operations {
    struct nd_host *host;
    struct nd_map *running; /* by id */
    uint64_t n_begun;       /* with requests */
};

/* For the intents of a request; "" when a recovery cannot know its answer. */
const char *nd_request_note(const struct nd_outcome *o, const ProtobufCMessageDescriptor *answer,
                            struct nd_arena *arena);

/*
 * What a recovery made of the intent, if it did not take it back, the request of its note has come
 * to. Submits.
 */
struct nd_error *nd_request_recovered(struct nd_host *host, const struct nd_open_intent *intent,
                                      enum nd_recovered recovered) ND_CHECK_RESULT;

/* Wall-clock time, since 1970. */
int64_t nd_operations_now_ms(void);

/*
 * What is too old, or too much, is forgotten now and then: before another one begins. Does not
 * suspend.
 */
struct nd_error *nd_operations_make_room(struct nd_operations *ops) ND_CHECK_RESULT;

void nd_operation_unref(struct nd_operation *op);

/* As it is remembered, without an end. Texts are borrowed from it. */
struct nd_outcome nd_operation_outcome(const struct nd_operation *op);

/* As the API shows it, in the arena. */
Pb__Operation *nd_operation_show(const struct nd_outcome *o, struct nd_arena *arena);
void nd_operation_show_progress(const struct nd_operation *op, struct nd_arena *arena,
                                Pb__Operation *shown);

#endif
