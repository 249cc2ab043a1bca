#ifndef STATE_LEDGER_PRIV_H
#define STATE_LEDGER_PRIV_H

/* What the files of this room share: the queue of the writer, and its entries. */

#include <sys/queue.h>

#include "base/arena.h"
#include "fiber/sync.h"
#include "state/ledger.h"

#include "database_priv.h"

#define ENTRY_ARGS 16u

/*
 * One statement on its way to the writer. On the heap; texts and bytes of its arguments are in it.
 */
struct entry {
    TAILQ_ENTRY(entry) link;
    enum sql sql;
    struct sql_arg args[ENTRY_ARGS];
    size_t n_args;
    char *memory; /* where the arguments' bytes are */
    bool durable; /* must survive a power cut */
    bool lasting; /* says what has happened: never refused, and tried until it is written */
    bool reads;   /* its failure is its own; those of changes are all one */

    /* Called on the writer's thread for each row; the waiting fiber does nothing meanwhile. */
    void (*on_row)(void *arg, const struct sql_row *row);
    void *row_arg;

    unsigned refs; /* the queue, and whoever waits */
    bool queued;   /* not yet taken by the writer */
    bool finished;
    struct nd_error *err;
    struct nd_cond done;
};
TAILQ_HEAD(entries, entry);

/* A new entry with one reference; copies the arguments. */
struct entry *nd_entry_new(enum sql sql, const struct sql_arg *args, size_t n_args);
void nd_entry_unref(struct entry *e); /* NULL is fine */
void nd_entry_unrefp(struct entry **e);

/* To the writer, which takes a reference of its own. Fails: ND_EXHAUSTED. Does not suspend. */
struct nd_error *nd_ledger_submit(struct nd_ledger *ledger, struct entry *e) ND_CHECK_RESULT;

/* Fails: as the statement did; ND_CANCELLED, ND_DEADLINE. Context: fiber. */
struct nd_error *nd_entry_wait(struct entry *e) ND_CHECK_RESULT;

/* Take an entry back that the writer has not begun with; whether that went. */
bool nd_ledger_withdraw(struct nd_ledger *ledger, struct entry *e);

/* A change that nobody waits for. */
struct nd_error *nd_ledger_change(struct nd_ledger *ledger, enum sql sql,
                                  const struct sql_arg *args, size_t n_args) ND_CHECK_RESULT;

/* A question: `on_row` for each row, on the thread. Waits to the end whatever happens. */
struct nd_error *nd_ledger_ask(struct nd_ledger *ledger, enum sql sql, const struct sql_arg *args,
                               size_t n_args, void (*on_row)(void *arg, const struct sql_row *row),
                               void *arg) ND_CHECK_RESULT;

/* Intents that were left for a recovery in this process, first come, first served. */
struct left_intents;
struct left_intents *nd_ledger_left(struct nd_ledger *ledger);
void nd_left_intents_free(struct left_intents *left);
struct left_intents *nd_left_intents_new(void);

/* The next number of an intent, and the last one that was there at the opening. */
uint64_t nd_ledger_next_seq(struct nd_ledger *ledger);
uint64_t nd_ledger_dead_seq(const struct nd_ledger *ledger);

#endif
