/*
 * When has the container ended?
 *
 * The container writes into our pipes, but the shim holds their writing ends too, and some versions do so
 * until the task is deleted, which may be days after the end of the container: the end of the streams says
 * that everything was read, but it may not come. So the first process is watched as well. runc puts its
 * number into init.pid in the bundle, by renaming, before the container starts:
 *
 *      bundle ──inotify──▶ init.pid ──pidfd_open()──▶ readable: it has ended
 *
 * When it ends, the kernel has ended everything else in its process namespace before, so what the
 * pipes hold then is all that will come. Kernels without pidfd are asked now and then.
 */

#include "init_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"

#define PID_FILE    "init.pid"
#define PID_MAX     4194304u /* the kernel's own limit */
#define ASK_WAIT_MS 50       /* between two questions where there is no pidfd */

void
init_watch_begin(struct init_watch *w)
{
    *w = (struct init_watch){.bundle = -1, .fd = -1};
    w->bundle = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->bundle < 0 || w->fd < 0 ||
        inotify_add_watch(w->fd, ".", IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR) < 0)
        init_watch_end(w); /* the streams' end has to do */
    else
        init_watch_look(w);
}

void
init_watch_end(struct init_watch *w)
{
    if (w->bundle >= 0)
        close(w->bundle);
    if (w->fd >= 0)
        close(w->fd);
    w->bundle = w->fd = -1;
}

/* The number in the file; 0 when it is not there, or not whole. */
static int
read_pid(const struct init_watch *w)
{
    char text[24];
    ND_AUTO(nd_closep) int fd = openat(w->bundle, PID_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    unsigned pid = 0;

    for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9' && pid <= PID_MAX; i++)
        pid = 10 * pid + (unsigned)(text[i] - '0');
    return pid <= PID_MAX ? (int)pid : 0;
}

/* From the file to the process. */
static void
find_process(struct init_watch *w)
{
    w->pid = read_pid(w);
    if (w->pid == 0)
        return;
    init_watch_end(w);
    w->fd = (int)syscall(SYS_pidfd_open, w->pid, 0);
    w->has_pidfd = w->fd >= 0;
    w->ended = w->fd < 0 && errno == ESRCH;
}

void
init_watch_look(struct init_watch *w)
{
    char events[1024];

    if (w->pid == 0) {
        while (w->fd >= 0 && read(w->fd, events, sizeof(events)) > 0)
            continue;
        if (w->bundle >= 0)
            find_process(w);
        return;
    }
    /* A pidfd is readable from the end of the process on. */
    if (w->has_pidfd)
        w->ended = true;
    else if (!w->ended && kill(w->pid, 0) < 0 && errno == ESRCH)
        w->ended = true;
}

int
init_watch_wait_ms(const struct init_watch *w)
{
    return w->pid != 0 && !w->has_pidfd && !w->ended ? ASK_WAIT_MS : -1;
}
