#ifndef CONTAINER_OUTPUT_PRIV_H
#define CONTAINER_OUTPUT_PRIV_H

/* From log records to pieces of output. Context of all: fiber. */

#include "container/lifecycle.h"
#include "container/query.h"
#include "store/log_reader.h"
#include "store/state.h"

#include "containers_priv.h"
#include "exit_priv.h"

/* Pieces of one stream, collected until they are large enough or nothing follows. */
struct nd_output;

struct nd_output_format {
    bool timestamps;     /* RFC 3339 and a space in front of each record */
    const char *details; /* text in front of each record, after the time; NULL: none */
};

struct nd_output *nd_output_new(const struct nd_output_sink *sink,
                                const struct nd_output_format *format)
    __attribute__((__returns_nonnull__));
void nd_output_freep(struct nd_output **out);

/* Fails: as the sink. */
struct nd_error *nd_output_add(struct nd_output *out, const struct nd_log_entry *entries,
                               size_t n) ND_CHECK_RESULT;
struct nd_error *nd_output_flush(struct nd_output *out) ND_CHECK_RESULT;

/* Whether a followed container may still write. `lock_path` is the logger's. */
bool nd_output_is_running(struct exit_watch *exit, const char *lock_path);

/* Everything a reader gives, to its end. Fails: ND_DATA_LOSS, reason OUTPUT_LOST. */
struct nd_error *nd_output_pump(struct nd_log_reader *reader,
                                struct nd_output *out) ND_CHECK_RESULT;

/*
 * Following the output of a container that is being started, in a fiber of its own: it makes ready while
 * the start goes on, so that nothing is left to do at the end but to read the last bytes.
 * In the caller's storage, which outlives the group.
 */
struct follower {
    struct nd_containers *cs;
    struct nd_state *state;
    struct nd_wall since; /* {0, 0}: all of the log */
    struct exit_watch *exit;
    const struct nd_container_feed *feed;

    bool launched; /* there is a logger, and soon output */
    bool told;     /* the client knows that it runs: output may be fed */
    bool done;
    struct nd_error *err; /* ours */
    struct nd_cond changed;
};

/* Begin in `group`. Does not suspend. */
struct nd_error *nd_follower_begin(struct follower *f, struct nd_group *group) ND_CHECK_RESULT;
void nd_follower_launched(struct follower *f);
void nd_follower_told(struct follower *f);

/* Wait until everything was fed. Its error is handed over. */
struct nd_error *nd_follower_join(struct follower *f) ND_CHECK_RESULT;
void nd_follower_fini(struct follower *f); /* after the end of the group */

#endif
