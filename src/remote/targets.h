#ifndef REMOTE_TARGETS_H
#define REMOTE_TARGETS_H

/*
 * Commands that do the same to several objects ("stop a b c"): all at once, each with its own
 * outcome, reported in the order of the arguments.
 */

#include "cli.h"

struct nd_target_job {
    struct nd_cli *cli;
    const char *name;     /* the argument */
    const void *arg;      /* of the command */
    const char *text;     /* result: what to print when it went well; NULL: nothing */
    struct nd_error *err; /* result */
    struct nd_error *(*fn)(struct nd_target_job *job);
};

/*
 * Run `fn` for every argument, at most ND_TARGETS_AT_ONCE at a time, and print what they give. A
 * failure of one does not stop the others. Fails: with the only failure, or with all of them as
 * "N errors:" and one a line. Context: not inside a loop.
 */
#define ND_TARGETS_AT_ONCE 16u
struct nd_error *nd_targets_run(struct nd_cli *cli,
                                struct nd_error *(*fn)(struct nd_target_job *job),
                                const void *arg) ND_CHECK_RESULT;

/* Several failures as one, in order; takes them. NULLs among them are left out. */
struct nd_error *nd_errors_join(struct nd_error **errors, size_t n) ND_CHECK_RESULT;

#endif
