#ifndef STORE_LOG_FILES_PRIV_H
#define STORE_LOG_FILES_PRIV_H

/*
 * The files of one log: <path>.1, <path>.2, ... upwards, and <path>, the current one. What blocks:
 * these functions run on a thread, over one struct each, and leave an errno.
 */

#include <sys/types.h>

#include "base/clock.h"
#include "base/defs.h"

#define LOG_FILE_NONE    UINT64_C(0) /* before the first */
#define LOG_FILE_CURRENT UINT64_MAX

/* Which file is being read. */
struct log_file {
    int fd;          /* -1: none */
    uint64_t number; /* of a rotated one, or LOG_FILE_CURRENT */
    dev_t dev;
    ino_t ino;
};

/*
 * Open the file that follows `now`. When `now` was the current one it was rotated: it is looked up
 * by its inode to learn its number. `next.fd` is -1 when there is no file at all.
 */
struct log_files_next {
    const char *path;
    struct log_file now;
    int64_t since_sec; /* skip rotated files that were finished before */

    struct log_file next;
    uint64_t lost;  /* files that stood between the two and have gone, by their numbers */
    bool untracked; /* `now` has gone, and with it the number that it got: there may be more */
    int errnum;
};
void log_files_next(void *arg);

/* Find the place from which on the log holds the last `lines` whole lines. */
struct log_files_tail {
    const char *path;
    uint64_t lines;

    struct log_file start;
    uint64_t offset;
    int errnum;
};
void log_files_tail(void *arg);

#endif
