#ifndef STATE_INTENTS_H
#define STATE_INTENTS_H

/*
 * Intents: what a mutation is about to do, written down before its first change. One that is still
 * there when a daemon starts belongs to a mutation that died in the middle.
 *
 *     ND_TRY(nd_intent_begin(ledger, &spec, &intent));    // goes to disk while we look around
 *     ND_TRY(nd_intent_wait(intent));                     // before the first change
 *     ...
 *     nd_intent_drop(intent);                             // done, or undone
 */

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "state/ledger.h"

struct nd_intent;

/*
 * Texts are copied. Over a limit of state/limits.h is a broken invariant: ids are checked before.
 */
struct nd_intent_spec {
    const char *kind;      /* "container.create": decides who recovers it */
    const char *ns;        /* containerd's namespace */
    const char *object;    /* id: everything that the mutation makes derives from it */
    const char *operation; /* "" when it is part of none */
    struct nd_str payload; /* what the id does not tell */
    bool lazy;             /* need not survive a power cut: something else on disk says the same */
};

/*
 * Begin: submitted, not yet on disk. `*ret` is the caller's until nd_intent_drop() or
 * nd_intent_leave(). Fails: ND_EXHAUSTED (the writer is ND_LEDGER_MAX_QUEUE changes behind).
 * Context: fiber; does not suspend.
 */
struct nd_error *nd_intent_begin(struct nd_ledger *ledger, const struct nd_intent_spec *spec,
                                 struct nd_intent **ret) ND_CHECK_RESULT;

/*
 * Wait until it is on disk. Fails: ND_EXHAUSTED (disk full, or ND_LEDGER_MAX_BYTES), ND_DATA_LOSS,
 * ND_UNAVAILABLE, ND_CANCELLED, ND_DEADLINE. Context: fiber.
 */
struct nd_error *nd_intent_wait(struct nd_intent *intent) ND_CHECK_RESULT;

/* It has come to this step; submitted. Context: fiber; does not suspend. */
struct nd_error *nd_intent_advance(struct nd_intent *intent, unsigned step) ND_CHECK_RESULT;

/*
 * The mutation is over. Submitted; when `flush`, waits until a dying process cannot lose it any
 * more, shielded from the caller's end. A power cut may lose it, so that a recovery must look
 * whether the thing is whole (nd_open_intent.same_boot). Takes the intent. A failure is logged, and
 * it is written as soon as the disk takes it, at the closing of the ledger at the latest. Context:
 * fiber.
 */
void nd_intent_drop(struct nd_intent *intent, bool flush);

/*
 * The same, but it counts as over only once that is written. Waits, shielded from the caller's end.
 * On success it takes the intent; a failure leaves it open, and the caller takes the mutation back.
 * Fails: ND_EXHAUSTED, ND_DATA_LOSS, ND_UNAVAILABLE. Context: fiber.
 */
struct nd_error *nd_intent_close(struct nd_intent *intent) ND_CHECK_RESULT;

/*
 * The two halves of that, for several and for what is to be written with them: submit the end of
 * each, then what else there is, without a suspension; wait for that; it was written or failed with
 * all of them. Then nd_intent_free(), or nd_intent_leave().
 */
struct nd_error *nd_intent_submit_end(struct nd_intent *intent) ND_CHECK_RESULT;
void nd_intent_free(struct nd_intent *intent);

/*
 * The mutation failed and could not be undone, or not be finished: leave it to a recovery, that of
 * this process (nd_intent_next_left()) or of the next. Takes the intent. Does not suspend.
 */
void nd_intent_leave(struct nd_intent *intent);

/* Wait for one that was left; the caller owns it. Context: fiber. */
struct nd_error *nd_intent_next_left(struct nd_ledger *ledger,
                                     struct nd_intent **ret) ND_CHECK_RESULT;

/* Its number in the ledger. */
uint64_t nd_intent_seq(const struct nd_intent *intent);

/* What a recovery made of one. */
enum nd_recovered {
    ND_RECOVERED_BACK = 0, /* taken back: it has not been */
    ND_RECOVERED_DONE,     /* finished, or it was done */
    ND_RECOVERED_UNKNOWN,  /* left alone: done or not, nobody knows */
};

#define ND_RECOVERED_ANSWER_MAX 1024u /* bytes */

/* One as it is found again. */
struct nd_open_intent {
    uint64_t seq;
    const char *kind, *ns, *object, *operation;
    unsigned step;
    struct nd_str payload;        /* with a NUL behind it */
    bool same_boot;               /* the kernel has not started again since */
    enum nd_recovered *recovered; /* for who recovers it: to be set */
    struct nd_buf *answer;        /* the same: more of the answer than the container, encoded */
};

/* What it says; lives as long as the intent. */
void nd_intent_view(const struct nd_intent *intent, struct nd_open_intent *ret);

/* Those that were there when the ledger was opened, oldest first, in `arena`. Context: fiber. */
struct nd_error *nd_intents_of_the_dead(struct nd_ledger *ledger, struct nd_arena *arena,
                                        struct nd_open_intent **ret, size_t *ret_n) ND_CHECK_RESULT;

/* It has been recovered: submitted. Context: fiber. */
struct nd_error *nd_intent_forget(struct nd_ledger *ledger, uint64_t seq) ND_CHECK_RESULT;

#endif
