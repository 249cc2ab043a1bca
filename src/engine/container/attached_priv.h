#ifndef CONTAINER_ATTACHED_PRIV_H
#define CONTAINER_ATTACHED_PRIV_H

/* One who is attached to a container: what run, start and attach share. Context of all: fiber. */

#include "store/state.h"

#include "attachment_priv.h"
#include "containers_priv.h"
#include "exit_priv.h"

/* To what, and how; all borrowed. */
struct attached_to {
    struct nd_containers *cs;
    const char *ns, *id;
    struct nd_state *state;           /* of the container */
    const Pb__StreamOptions *options; /* NULL: the defaults */
    const struct nd_container_feed *feed;
    bool takes_input;
    uint32_t patience_ms; /* how long it may hold up the process */
};

/*
 * In the caller's storage:
 *     ND_AUTO(nd_attached_fini) struct attached a = {0};
 * and begun, opened, joined, in this order.
 */
struct attached {
    struct attached_to to;
    struct nd_group *group; /* of what waits for the end; NULL until begun */
    struct hold *use;       /* keeps a removal in the background from taking what is still read */
    struct exit_watch exit;
    struct task_exit end; /* what that has seen */
    struct nd_attachment streams;
    bool has_log;         /* there is no helper of ours, but a log that can be read, */
    struct nd_wall since; /* from here on */
};
void nd_attached_fini(struct attached *a);

/* Does not suspend. */
void nd_attached_begin(struct attached *a, const struct attached_to *to);

/*
 * Connect: with the helper, and its outputs from an offset on; or where there is none, because
 * another program's logger has the output, with the log, from `since` on. There may be neither.
 * From here on the end is waited for, too. Fails: as nd_attachment_open(), but for a helper that is
 * not there.
 */
struct nd_error *nd_attached_open(struct attached *a, uint64_t from, struct nd_wall since,
                                  struct nd_arena *arena) ND_CHECK_RESULT;

/* Whether there is output to be fed. Context: any. */
bool nd_attached_is_fed(const struct attached *a);

/* Tell what runs now, and the session of the client in it. */
struct nd_error *nd_attached_tell(const struct attached *a, const struct nd_container_feed *feed,
                                  struct nd_container_started *started) ND_CHECK_RESULT;

/*
 * After the client was told that it runs: feed, to the end, which is told last, or until the client
 * leaves. `*ret_ended` says which; may be NULL.
 */
struct nd_error *nd_attached_join(struct attached *a, struct nd_arena *arena,
                                  bool *ret_ended) ND_CHECK_RESULT;

#endif
