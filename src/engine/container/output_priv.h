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

/* Who follows the output of a container by its log; all borrowed. */
struct follower {
    struct nd_containers *cs;
    struct nd_state *state;
    struct nd_wall since;    /* {0, 0}: all of the log */
    struct exit_watch *exit; /* under way */
    const struct nd_container_feed *feed;
};

/* Feed what the log has and gets, until the container has ended. Fails: as nd_output_pump(). */
struct nd_error *nd_follow(const struct follower *f) ND_CHECK_RESULT;

#endif
