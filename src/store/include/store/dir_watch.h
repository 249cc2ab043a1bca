#ifndef STORE_DIR_WATCH_H
#define STORE_DIR_WATCH_H

/*
 * Watching directories, through one inotify descriptor for any number of fibers (the kernel allows
 * few descriptors per user, many directories).
 */

#include "fiber/fiber.h"

struct nd_dir_watcher;
struct nd_dir_watch;

/* Fails: ND_EXHAUSTED (the kernel's limit). Context: any. */
struct nd_error *nd_dir_watcher_open(struct nd_dir_watcher **ret) ND_CHECK_RESULT;
void nd_dir_watcher_close(struct nd_dir_watcher *watcher); /* no watch may be left; NULL is fine */

/*
 * Watch for anything that is written, closed, made, renamed or removed in the directory `path`.
 * Fails: ND_NOT_FOUND, ND_EXHAUSTED. Context: fiber, does not suspend.
 */
struct nd_error *nd_dir_watch_begin(struct nd_dir_watcher *watcher, const char *path,
                                    struct nd_dir_watch **ret) ND_CHECK_RESULT;

/*
 * The same for births alone: of files `name` in it, made there or renamed to it. They are counted.
 */
struct nd_error *nd_dir_watch_begin_births(struct nd_dir_watcher *watcher, const char *path,
                                           const char *name,
                                           struct nd_dir_watch **ret) ND_CHECK_RESULT;
void nd_dir_watch_end(struct nd_dir_watch *watch); /* NULL is fine */
void nd_dir_watch_endp(struct nd_dir_watch **watch);

/*
 * Wait until something happened in the directory since the last return, or since the beginning.
 * What happened is not told: look. Fails: ND_CANCELLED, ND_DEADLINE. Context: fiber.
 */
struct nd_error *nd_dir_watch_wait(struct nd_dir_watch *watch) ND_CHECK_RESULT;

struct nd_dir_births {
    uint64_t seen;  /* since the beginning */
    uint64_t holes; /* how often the kernel had too much to tell: births may be missing */
};

/* Up to this moment, also what nobody has waited for yet. Context: fiber, does not suspend. */
struct nd_dir_births nd_dir_watch_births(struct nd_dir_watch *watch);

#endif
