#ifndef STATE_LEDGER_H
#define STATE_LEDGER_H

/*
 * The ledger: what only this daemon knows and must still know after it died. Intents
 * (state/intents.h) and outcomes of operations (state/outcomes.h) lie in one SQLite file,
 * <dir>/state.db.
 *
 * There is one writer. What is submitted while it is busy goes to disk together, with one sync for
 * all (group commit); what is submitted without a suspension in between commits together or not at
 * all.
 */

#include "base/defs.h"
#include "base/error.h"

struct nd_ledger;

/*
 * Open, and make folder (0700) and file where they are missing. `dir` NULL: in memory, gone with
 * the process. A file that is damaged is moved aside ("state.db.damaged-<time>") with a warning,
 * and a new one takes its place; one of an older version is brought up to date.
 *
 * Fails: ND_PRECONDITION  reason LEDGER_NEWER: written by a newer version; LEDGER_FOREIGN: not a ledger
 *        ND_UNAVAILABLE   reason LEDGER_IN_USE: another daemon has it
 *        ND_DENIED        the folder cannot be used
 * Context: fiber, which must also close it.
 */
struct nd_error *nd_ledger_open(const char *dir, struct nd_ledger **ret) ND_CHECK_RESULT;

/* Writes what was submitted, then closes. NULL is fine. Context: the fiber that opened it. */
void nd_ledger_close(struct nd_ledger *ledger);
void nd_ledger_closep(struct nd_ledger **ledger);

/* Identifies the run of the kernel: "" when it does not say. Borrowed. */
const char *nd_ledger_boot(const struct nd_ledger *ledger);

/* Commits and syncs so far: for metrics and tests. Context: any. */
struct nd_ledger_stats {
    uint64_t commits;
    uint64_t syncs;
    uint64_t changes;
};
void nd_ledger_get_stats(const struct nd_ledger *ledger, struct nd_ledger_stats *ret);

#endif
