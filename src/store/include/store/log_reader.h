#ifndef STORE_LOG_READER_H
#define STORE_LOG_READER_H

/*
 * Reading a container's json-file log: across rotated files, from a tail, between two times,
 * following. Memory is bounded by ND_LOG_RECORD_MAX and ND_LOG_BATCH_ENTRIES whatever the file
 * holds; a follower that waits holds next to none.
 */

#include "base/clock.h"
#include "fiber/fiber.h"
#include "store/dir_watch.h"
#include "store/log_record.h"
#include "store/root.h"

#define ND_LOG_TAIL_ALL UINT64_MAX

struct nd_log_reader;

/* Texts are copied. */
struct nd_log_reader_options {
    const char *path; /* of the current file; rotated ones are <path>.1, <path>.2, ... upwards */
    uint64_t tail;    /* the last so many records, of both streams; ND_LOG_TAIL_ALL */
    unsigned streams; /* set of enum nd_log_stream; 0: both */
    struct nd_wall since; /* not before; {0, 0}: from the beginning */
    struct nd_wall until; /* not after; {0, 0}: to the end */

    /*
     * Follow: go on until the container has ended and its logger wrote the last byte. `watcher` and
     * `is_running` are needed then. `is_running` says whether more output may come (running,
     * paused, about to be restarted); it is asked when the end of the file is reached, in the
     * reader's fiber, and may suspend. `logger_lock` is the path of the lock that the logger holds;
     * NULL: there is none.
     */
    bool follow;
    struct nd_dir_watcher *watcher;
    bool (*is_running)(void *arg);
    void *arg;
    const char *logger_lock;
    unsigned ahead_files; /* for nd_log_reader_hold(); 0: ND_LOG_AHEAD_FILES */
};

/* Fails: ND_NOT_FOUND (no log file), ND_DENIED, ND_INVALID. Context: fiber. */
struct nd_error *nd_log_reader_open(const struct nd_log_reader_options *options,
                                    struct nd_log_reader **ret) ND_CHECK_RESULT;
void nd_log_reader_close(struct nd_log_reader *reader); /* NULL is fine */
void nd_log_reader_closep(struct nd_log_reader **reader);

struct nd_log_batch {
    const struct nd_log_entry *entries; /* the reader's, until its next call */
    size_t n;                           /* 0: the end */
    size_t payload;                     /* bytes in all entries */
    bool drained; /* nothing more is there now: the time to send what was held back */
    bool gap; /* records may be missing before these: files were lost, or the file was cut short */
    uint64_t
        lost_files; /* removed before they were read, directly before these; at least so many */
    uint64_t skipped_bytes; /* in lines that were no record, since the last batch */
};

/*
 * The next entries, at least one; `n` 0 at the end. A follower waits for them.
 * Fails:   ND_CANCELLED, ND_DEADLINE; errors of the disk
 * Context: fiber.
 */
struct nd_error *nd_log_reader_next(struct nd_log_reader *reader,
                                    struct nd_log_batch *ret) ND_CHECK_RESULT;

/*
 * Open the files of a followed log as they appear, so that what is removed before it is read is
 * read all the same, up to `ahead_files` and ND_LOG_AHEAD_BYTES. Runs until cancelled, in a fiber
 * beside the reader's, and must have ended when the reader is closed. Fails: errors of the disk;
 * the reader goes on without.
 */
struct nd_error *nd_log_reader_hold(struct nd_log_reader *reader) ND_CHECK_RESULT;

/* How many files behind the one that is read are open already. Context: any. */
size_t nd_log_reader_ahead(const struct nd_log_reader *reader);

#endif
