#ifndef STORE_LOG_TRAIL_PRIV_H
#define STORE_LOG_TRAIL_PRIV_H

/* The files of a log in the order in which they are to be read. Context of all: fiber. */

#include <sys/queue.h>

#include "fiber/sync.h"
#include "store/dir_watch.h"

#include "log_files_priv.h"

struct log_step {
    struct log_file file;
    uint64_t lost; /* files before it that were removed before they were opened; at least so many */
    TAILQ_ENTRY(log_step) link; /* private */
};

struct log_trail {
    const char *path;            /* borrowed */
    int64_t since_sec;           /* skip rotated files that were finished before */
    unsigned ahead_max;          /* files */
    struct nd_dir_watch *births; /* of the current file, ours; NULL: the log is not followed */

    struct nd_mutex busy;                  /* one looks at a time */
    struct nd_cond room;                   /* a step was taken */
    TAILQ_HEAD(log_steps, log_step) ahead; /* opened, not taken */
    size_t n_ahead;
    struct log_file newest; /* where the trail ends; its descriptor is the step's, or its taker's */

    /* Of the last current file on the trail, and what came since. */
    bool counts; /* the next two hold */
    struct nd_dir_births births_then;
    uint64_t passed; /* rotated files */
    uint64_t told;   /* lost ones that steps tell of */
};

/* `births`, when the log is followed, is set before the first file is asked for. */
void log_trail_init(struct log_trail *trail, const char *path, int64_t since_sec,
                    unsigned ahead_max);
void log_trail_fini(struct log_trail *trail); /* nobody may hold it */

/* Rotations so far. Context: any. */
struct nd_dir_births log_trail_births(const struct log_trail *trail);

/*
 * Begin behind `start`, which was found after `before`, instead of with the oldest file. Context:
 * any.
 */
void log_trail_begin(struct log_trail *trail, const struct log_file *start,
                     struct nd_dir_births before);

/* The next file, the caller's from then on. `ret->file.fd` is -1 when there is none now. */
struct nd_error *log_trail_next(struct log_trail *trail, struct log_step *ret) ND_CHECK_RESULT;

size_t log_trail_ahead(const struct log_trail *trail); /* files that are open and not taken */

/* Open what appears, until cancelled. */
struct nd_error *log_trail_hold(struct log_trail *trail) ND_CHECK_RESULT;

#endif
