#ifndef OPERATION_CHANGE_H
#define OPERATION_CHANGE_H

/*
 * A change: one mutation of the world, which is undone when it fails and finished or undone when
 * the daemon dies. All mutations are made of this.
 *
 *     ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;
 *
 *     ND_TRY(nd_change_begin(host, &spec, &change));    // the intent goes to disk ...
 *     ...                                               // ... while we look around
 *     ND_TRY(nd_change_ready(&change));                 // it is there: change things from here on
 *     nd_change_undo(&change, &step);                   // each step says how it is taken back
 *     ...
 *     ND_TRY(nd_change_done(&change));                  // the point of no return
 *
 * There are three sorts. One that makes something is taken back, by its undo list while the daemon
 * lives and by its recoverer (operation/recovery.h) when it died. One that removes something rolls
 * forward: it has no undo list, and what it did not finish its recoverer finishes. And one whose
 * middle decides is the first until nd_change_decide(), the second from there on; its recoverer
 * looks on which side it is.
 */

#include "host/host.h"
#include "state/intents.h"

struct nd_change_spec {
    const char *kind;      /* "container.create": who recovers it */
    const char *ns;        /* containerd's namespace */
    const char *object;    /* the id from which everything derives */
    struct nd_str payload; /* what the id does not tell */
    bool forward;          /* rolls forward */
    bool lazy;             /* something else on disk says the same after a power cut */
};

struct nd_change {
    struct nd_intent *intent; /* private from here on; NULL: over, or not begun */
    struct nd_undo undo;
    bool forward;
    bool ready;
};
#define ND_CHANGE_INIT ((struct nd_change){0})

/* Fails: ND_EXHAUSTED. Context: fiber; does not suspend. */
struct nd_error *nd_change_begin(struct nd_host *host, const struct nd_change_spec *spec,
                                 struct nd_change *ret) ND_CHECK_RESULT;

/* Wait until the intent is on disk. Fails: as nd_intent_wait(). Context: fiber. */
struct nd_error *nd_change_ready(struct nd_change *change) ND_CHECK_RESULT;

/* Push a step that takes back what is done next; `step` lives as long as the change. */
void nd_change_undo(struct nd_change *change, struct nd_undo_step *step);

/* What was done cannot be taken back any more: it rolls forward from here on. */
void nd_change_decide(struct nd_change *change);

/*
 * It is done, and a daemon that dies from here on leaves it so. Fails when that cannot be written:
 * it is taken back then, because nobody may be told of a thing that the next daemon undoes. Within
 * a request (operation/request.h) it is written with the answer. Context: fiber; suspends for the
 * write.
 */
struct nd_error *nd_change_commit(struct nd_change *change) ND_CHECK_RESULT;

/* The same, unless the caller's context has ended. Fails: also ND_CANCELLED, ND_DEADLINE. */
struct nd_error *nd_change_done(struct nd_change *change) ND_CHECK_RESULT;

/*
 * It is over, and what would be done about it by a recovery does no harm: one that rolled forward
 * to its end. Written now or later.
 */
void nd_change_settle(struct nd_change *change);

/* The end of the scope: what is not done is undone, or left to the recovery. Shielded. */
void nd_change_end(struct nd_change *change);

#endif
