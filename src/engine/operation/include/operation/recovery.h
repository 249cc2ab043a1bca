#ifndef OPERATION_RECOVERY_H
#define OPERATION_RECOVERY_H

/*
 * Recovery: what mutations of dead daemons left half done is finished or taken back before anybody
 * is served, and what a living one could not undo is tried until it works.
 */

#include "host/host.h"
#include "state/intents.h"

/*
 * Finish or take back one mutation, by its kind and its object's id alone. It may have been cut off
 * at any point, this very recovery as well, so every step is fine with what is not there. Called
 * again after a failure. Sets *intent->recovered. Context: fiber.
 */
typedef struct nd_error *nd_recover_fn(void *arg, const struct nd_open_intent *intent);

struct nd_recovery;
struct nd_recovery *nd_recovery_new(struct nd_host *host) __attribute__((__returns_nonnull__));
void nd_recovery_free(struct nd_recovery *recovery); /* NULL is fine */
void nd_recovery_freep(struct nd_recovery **recovery);

/*
 * An attempt that takes longer goes on beside the others, without the place that it had among them,
 * and nobody is held up by it any more but who wants its object. Another time than this one: before
 * the run.
 */
#define ND_RECOVERY_PLACE_NS (10 * ND_SECOND)
void nd_recovery_set_place_ns(struct nd_recovery *recovery, int64_t place_ns);

/* Who recovers a kind. Before the run; at most ND_RECOVERY_MAX_KINDS; `kind` is static text. */
#define ND_RECOVERY_MAX_KINDS 32u
void nd_recovery_add(struct nd_recovery *recovery, const char *kind, nd_recover_fn *fn, void *arg);

/*
 * The same for what takes as long as somebody else wants: nobody is held up by it, and it is not
 * cut short.
 */
void nd_recovery_add_patient(struct nd_recovery *recovery, const char *kind, nd_recover_fn *fn,
                             void *arg);

/*
 * The same for what makes an object that is nobody else's: taken back once before anybody is
 * served, and again for some seconds. What the dead daemon asked of containerd last may be under
 * way still, and arrive after nothing was found of it.
 */
void nd_recovery_add_making(struct nd_recovery *recovery, const char *kind, nd_recover_fn *fn,
                            void *arg);

/*
 * Recover, then wait for what is left by this process. Runs until cancelled: for a group of the
 * server.
 */
struct nd_error *nd_recovery_run(void *recovery) ND_CHECK_RESULT;

/*
 * Wait until everything that dead daemons left was dealt with, or tried in vain. While containerd
 * is away nothing can be, and nobody is held up: calls fail by themselves then. Fails:
 * ND_CANCELLED, ND_DEADLINE. Context: fiber.
 */
struct nd_error *nd_recovery_wait(struct nd_recovery *recovery) ND_CHECK_RESULT;

/* The same, but until containerd is there: for who clears away what a recovery has to see first. */
struct nd_error *nd_recovery_wait_for_tries(struct nd_recovery *recovery) ND_CHECK_RESULT;

#endif
