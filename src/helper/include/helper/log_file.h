#ifndef HELPER_LOG_FILE_H
#define HELPER_LOG_FILE_H

/*
 * The log file of one container: appending whole entries, rotating, and going on when the disk is
 * full. Nothing here fails towards the caller: what cannot be written is counted, and an entry says
 * so as soon as something can be written again. Context of everything here: the helper's one
 * thread; only nd_log_file_open() allocates.
 */

#include "base/defs.h"
#include "base/str.h"
#include "helper/limits.h"
#include "wire/loss.h"

struct nd_log_file_options {
    const char *path;
    uint64_t max_bytes; /* of one file; 0: no rotation */
    unsigned max_files; /* at least 1: the current one and those that were rotated */
    int loss_fd; /* of the file in which a loss is noted (wire/loss.h), stays the caller's; -1: none */
};

/* Storage is the caller's; members are private. */
struct nd_log_file {
    char path[ND_LOGGER_PATH_MAX];
    int fd; /* -1: not open, tried again at each write */
    uint64_t max_bytes;
    uint64_t rotate_at; /* max_bytes, or more after a failed rotation */
    uint64_t size;
    unsigned keep;            /* rotated files */
    uint64_t rotated;         /* number of the newest one */
    struct nd_wire_loss lost; /* that no entry tells of; `why` is set at each failure */
    int loss_fd;
};

/*
 * Open for appending, 0600; a line that a crash left unfinished is ended, and a loss that the
 * logger before could not tell of is owed. Texts are copied.
 */
void nd_log_file_open(struct nd_log_file *file, const struct nd_log_file_options *options);

/* Append whole entries. */
void nd_log_file_write(struct nd_log_file *file, struct nd_str entries);

/* Whether output was dropped and the log does not say so yet. */
bool nd_log_file_owes_notice(const struct nd_log_file *file);

/* Try to write that notice. */
void nd_log_file_settle(struct nd_log_file *file);

void nd_log_file_close(struct nd_log_file *file);

#endif
