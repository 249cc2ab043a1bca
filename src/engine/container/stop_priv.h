#ifndef CONTAINER_STOP_PRIV_H
#define CONTAINER_STOP_PRIV_H

/* What stop and kill share, and the recovery of both. Context of all: fiber, unless it says so. */

#include "operation/change.h"

#include "containers_priv.h"

/* How a process is made to end; in the payload of the intent. */
struct ending {
    uint32_t pid; /* of the container's first process: another one is left alone. 0: it had none */
    int signo;
    int64_t until_ms; /* since 1970, when it gets SIGKILL; or one of these */
#define ENDING_AT_ONCE     0
#define ENDING_IN_ITS_TIME (-1)
};

/* Begin a change with this payload, and wait for it. */
struct nd_error *nd_ending_begin(struct nd_containers *cs, const struct nd_change_spec *spec,
                                 const struct ending *ending,
                                 struct nd_change *ret) ND_CHECK_RESULT;

/* Fails: ND_INVALID. Context: any. */
struct nd_error *nd_ending_parse(struct nd_str payload, struct ending *ret) ND_CHECK_RESULT;

/*
 * The signal that begins a stop: `asked`, else that of the container, else SIGTERM. Fails:
 * ND_INVALID about "signal". Context: any.
 */
struct nd_error *nd_stop_signal(const record *rec, const char *asked, int *ret) ND_CHECK_RESULT;

/* It is somebody's wish that it ends: no restart policy undoes that. */
struct nd_error *nd_mark_stopped(struct nd_containers *cs, const char *ns,
                                 const record *rec) ND_CHECK_RESULT;

/* It has a process that a signal reaches; that is frozen. Context: any. */
bool nd_task_can_end(const task *t);
bool nd_task_is_frozen(const task *t);

/* Let a frozen process run. Not frozen any more, or gone: a success, too. */
struct nd_error *nd_task_wake(struct nd_containers *cs, const char *ns,
                              const char *id) ND_CHECK_RESULT;

/* Finish a stop; may take as long as that. */
struct nd_error *nd_recover_stop(void *containers,
                                 const struct nd_open_intent *intent) ND_CHECK_RESULT;

/* The same of a kill; `rec` may be NULL. The caller has the lock. */
struct nd_error *nd_kill_again(struct nd_containers *cs, const struct nd_open_intent *intent,
                               const record *rec) ND_CHECK_RESULT;

#endif
