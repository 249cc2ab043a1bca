/*
 * When has the container ended?
 *
 * The container writes into our pipes, but the shim holds their writing ends too, and some versions
 * do so until the task is deleted, which may be days after the end of the container: the end of the
 * streams says that everything was read, but it may not come. So the first process is watched as
 * well. runc puts its number into init.pid in the bundle, by renaming, before the container starts:
 *
 *      bundle ──every few ms, at first──▶ init.pid ──pidfd_open()──▶ readable: it has ended
 *
 * When it ends, the kernel has ended everything else in its process namespace before, so what the
 * pipes hold then is all that will come.
 *
 * The file is looked for and not waited for, although inotify could tell: closing an inotify
 * descriptor takes the kernel tens of milliseconds, and those would be the container's. A container
 * that is never started costs a look now and then. So does a kernel without pidfd.
 */

#include "init_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"

#define PID_FILE     "init.pid"
#define PID_MAX      4194304u /* the kernel's own limit */
#define LOOKS_SOON   200u /* so many looks follow one another quickly: runc needs 20 to 100 ms */
#define LOOK_SOON_MS 4
#define LOOK_MS      50

void
init_watch_begin(struct init_watch *w)
{
    *w = (struct init_watch){.fd = -1};
    w->bundle = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
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
    if (w->pid == 0) {
        w->looks++;
        return;
    }
    w->fd = (int)syscall(SYS_pidfd_open, w->pid, 0);
    w->ended = w->fd < 0 && errno == ESRCH;
    close(w->bundle);
    w->bundle = -1;
}

/* A pidfd is readable from the end of its process on. */
static bool
has_ended(const struct init_watch *w)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};

    return w->fd >= 0 ? poll(&p, 1, 0) == 1 : kill(w->pid, 0) < 0 && errno == ESRCH;
}

void
init_watch_look(struct init_watch *w)
{
    if (w->pid == 0 && w->bundle >= 0)
        find_process(w);
    else if (w->pid != 0 && !w->ended)
        w->ended = has_ended(w);
}

int
init_watch_wait_ms(const struct init_watch *w)
{
    if (w->ended || w->fd >= 0 || (w->pid == 0 && w->bundle < 0))
        return -1;
    return w->pid == 0 && w->looks < LOOKS_SOON ? LOOK_SOON_MS : LOOK_MS;
}
