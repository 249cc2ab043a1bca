/*
 * One inotify descriptor for every fiber that watches a directory.
 *
 * The kernel gives a user 128 such descriptors by default, and there may be ten thousand followers
 * of logs. A descriptor has one waiter, so one of the waiting fibers waits for it on behalf of all:
 * it is the leader. It reads the events, marks the watches that they belong to and wakes their
 * fibers; when it leaves, because something happened to it or its context ended, it wakes another
 * that takes over.
 *
 *      waiting fibers:   leader ---- nd_fd_wait(inotify)
 *                        A, B, C --- nd_cond_wait(own)      any of them can become leader
 *
 * There is no fiber of its own to be started and stopped, and nothing runs while nobody waits.
 *
 * A watch may be for births alone: of files with one name, which it counts. Who follows a log
 * learns so how often it was rotated, and is not woken by each byte that is written to it.
 *
 * Only what changes a directory is asked for, not opens and closes for reading: a follower that
 * looks at the log would otherwise wake all others, and itself.
 */

#include "store/dir_watch.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/map.h"
#include "fiber/stream.h"
#include "fiber/sync.h"

#define EVENTS                                                                          \
    (IN_MODIFY | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | \
     IN_DELETE_SELF | IN_MOVE_SELF)

#define READ_BYTES 4096u

struct watched_dir {
    int wd; /* -1: the directory has gone */
    TAILQ_HEAD(, nd_dir_watch) watches;
};

struct nd_dir_watch {
    struct nd_dir_watcher *watcher;
    struct watched_dir *dir;
    char *name; /* whose births count, and nothing else; NULL: everything happens */
    struct nd_dir_births births;
    bool happened;
    bool waiting;
    struct nd_cond cond;
    TAILQ_ENTRY(nd_dir_watch) in_dir;
    TAILQ_ENTRY(nd_dir_watch) in_waiting;
};

struct nd_dir_watcher {
    int fd;
    bool led;            /* some fiber waits for fd */
    struct nd_map *dirs; /* by watch descriptor */
    TAILQ_HEAD(, nd_dir_watch) waiting;
};

struct nd_error *
nd_dir_watcher_open(struct nd_dir_watcher **ret)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    struct nd_dir_watcher *watcher;

    if (fd < 0)
        return nd_error_errno(errno, "open inotify");
    watcher = nd_new(struct nd_dir_watcher);
    watcher->fd = fd;
    watcher->dirs = nd_map_new();
    TAILQ_INIT(&watcher->waiting);
    *ret = watcher;
    return NULL;
}

void
nd_dir_watcher_close(struct nd_dir_watcher *watcher)
{
    if (watcher == NULL)
        return;
    ND_INVARIANT(nd_map_count(watcher->dirs) == 0 && TAILQ_EMPTY(&watcher->waiting));
    nd_map_free(watcher->dirs);
    close(watcher->fd);
    nd_free(watcher);
}

static struct nd_error *
begin(struct nd_dir_watcher *watcher, const char *path, const char *name, struct nd_dir_watch **ret)
{
    int wd = inotify_add_watch(watcher->fd, path, EVENTS | IN_ONLYDIR);
    struct watched_dir *dir;
    struct nd_dir_watch *watch;

    if (wd < 0 && errno == ENOSPC)
        return nd_error_new(ND_EXHAUSTED, "watch %s: fs.inotify.max_user_watches is reached", path);
    if (wd < 0)
        return nd_error_errno(errno, "watch %s", path);
    dir = nd_map_find_u64(watcher->dirs, (uint64_t)wd);
    if (dir == NULL) {
        dir = nd_new(struct watched_dir);
        dir->wd = wd;
        TAILQ_INIT(&dir->watches);
        nd_map_set_u64(watcher->dirs, (uint64_t)wd, dir);
    }
    watch = nd_new(struct nd_dir_watch);
    watch->watcher = watcher;
    watch->dir = dir;
    watch->name = nd_strdup(name);
    TAILQ_INSERT_TAIL(&dir->watches, watch, in_dir);
    *ret = watch;
    return NULL;
}

static void
forget_dir(struct nd_dir_watcher *watcher, struct watched_dir *dir)
{
    if (dir->wd < 0)
        return;
    nd_map_take_u64(watcher->dirs, (uint64_t)dir->wd);
    dir->wd = -1;
}

struct nd_error *
nd_dir_watch_begin(struct nd_dir_watcher *watcher, const char *path, struct nd_dir_watch **ret)
{
    return begin(watcher, path, NULL, ret);
}

struct nd_error *
nd_dir_watch_begin_births(struct nd_dir_watcher *watcher, const char *path, const char *name,
                          struct nd_dir_watch **ret)
{
    return begin(watcher, path, name, ret);
}

void
nd_dir_watch_end(struct nd_dir_watch *watch)
{
    struct watched_dir *dir;

    if (watch == NULL)
        return;
    ND_INVARIANT(!watch->waiting);
    dir = watch->dir;
    TAILQ_REMOVE(&dir->watches, watch, in_dir);
    if (TAILQ_EMPTY(&dir->watches)) {
        if (dir->wd >= 0)
            inotify_rm_watch(watch->watcher->fd, dir->wd);
        forget_dir(watch->watcher, dir);
        nd_free(dir);
    }
    nd_free(watch->name);
    nd_free(watch);
}

void
nd_dir_watch_endp(struct nd_dir_watch **watch)
{
    nd_dir_watch_end(*watch);
}

static void
mark(struct nd_dir_watch *watch)
{
    watch->happened = true;
    nd_cond_signal(&watch->cond);
}

static bool
is_birth_of(const struct inotify_event *event, const char *name)
{
    return (event->mask & (IN_CREATE | IN_MOVED_TO)) != 0 && event->len > 0 &&
           strcmp(event->name, name) == 0;
}

static void
mark_dir(struct watched_dir *dir, const struct inotify_event *event)
{
    bool gone = (event->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF)) != 0;
    struct nd_dir_watch *watch;

    TAILQ_FOREACH (watch, &dir->watches, in_dir) {
        bool birth = watch->name != NULL && is_birth_of(event, watch->name);

        watch->births.seen += birth;
        if (birth || gone || watch->name == NULL)
            mark(watch);
    }
}

/* The kernel's queue was full: anything may have happened. */
static void
mark_all(struct nd_dir_watcher *watcher)
{
    size_t pos = 0;
    struct nd_str key;
    void *value;

    while (nd_map_next(watcher->dirs, &pos, &key, &value)) {
        struct watched_dir *dir = value;
        struct nd_dir_watch *watch;

        TAILQ_FOREACH (watch, &dir->watches, in_dir) {
            watch->births.holes++;
            mark(watch);
        }
    }
}

static void
dispatch(struct nd_dir_watcher *watcher, const struct inotify_event *event)
{
    struct watched_dir *dir;

    if (event->mask & IN_Q_OVERFLOW) {
        mark_all(watcher);
        return;
    }
    /* An event of a watch that was ended since belongs to nobody. */
    dir = nd_map_find_u64(watcher->dirs, (uint64_t)event->wd);
    if (dir == NULL)
        return;
    mark_dir(dir, event);
    if (event->mask & IN_IGNORED)
        forget_dir(watcher, dir);
}

static void
read_events(struct nd_dir_watcher *watcher)
{
    _Alignas(struct inotify_event) char events[READ_BYTES];
    ssize_t n;

    while ((n = read(watcher->fd, events, sizeof(events))) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *event = (const void *)(events + at);

            dispatch(watcher, event);
            at += (ssize_t)(sizeof(*event) + event->len);
        }
    }
}

struct nd_dir_births
nd_dir_watch_births(struct nd_dir_watch *watch)
{
    read_events(watch->watcher);
    return watch->births;
}

/* Wait for the descriptor, for all. */
static struct nd_error *
lead(struct nd_dir_watcher *watcher)
{
    struct nd_error *err;

    watcher->led = true;
    err = nd_fd_wait(watcher->fd, ND_FD_READ);
    watcher->led = false;
    if (err == NULL)
        read_events(watcher);
    return err;
}

static struct nd_error *
follow(struct nd_dir_watch *watch)
{
    struct nd_error *err;

    watch->waiting = true;
    TAILQ_INSERT_TAIL(&watch->watcher->waiting, watch, in_waiting);
    err = nd_cond_wait(&watch->cond);
    TAILQ_REMOVE(&watch->watcher->waiting, watch, in_waiting);
    watch->waiting = false;
    return err;
}

struct nd_error *
nd_dir_watch_wait(struct nd_dir_watch *watch)
{
    struct nd_dir_watcher *watcher = watch->watcher;
    struct nd_error *err = NULL;

    while (!watch->happened && err == NULL)
        err = watcher->led ? follow(watch) : lead(watcher);

    /* Whoever leaves while nobody leads hands over, whether it led or was just asked to. */
    if (!watcher->led && !TAILQ_EMPTY(&watcher->waiting))
        nd_cond_signal(&TAILQ_FIRST(&watcher->waiting)->cond);
    if (err == NULL)
        watch->happened = false;
    return err;
}
