/*
 * Locks of the contract. They are BSD locks, because nerdctl's are, on the very directory or file
 * that it locks: any other would protect nothing.
 *
 * Opening goes to a thread, as a disk may be slow. flock(LOCK_NB) itself does not wait and is
 * called right here; between two tries the fiber sleeps. There is no queue in this: whoever comes
 * at the right moment gets the lock, and nerdctl, which waits in the kernel, is usually first.
 */

#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fiber/work.h"
#include "store/limits.h"

#include "files_priv.h"

struct nd_store_lock {
    int fd;
};

struct open_job {
    const char *path;
    enum nd_store_lock_kind kind;
    int fd;
    int errnum;
};

/* Returns an errno. One for which there is no room is not there, for nobody. */
static int
make_dir(const struct open_job *job)
{
    if (job->kind == ND_STORE_LOCK_DIR)
        return nd_files_mkdirs(job->path, 0700);
    if (mkdir(job->path, 0700) == 0 || errno == EEXIST)
        return 0;
    return errno == ENOSPC || errno == EDQUOT ? ENOENT : errno;
}

static void
open_target(void *arg)
{
    struct open_job *job = arg;

    if (job->kind == ND_STORE_LOCK_FILE) {
        job->fd = open(job->path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    } else {
        job->errnum = make_dir(job);
        if (job->errnum != 0)
            return;
        job->fd = open(job->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (job->fd < 0)
        job->errnum = errno;
}

struct nd_error *
nd_store_lock_take(const char *path, enum nd_store_lock_kind kind, struct nd_store_lock **ret)
{
    struct open_job job = {.path = path, .kind = kind, .fd = -1};
    ND_AUTO(nd_closep) int fd = -1;
    int64_t pause_ns = ND_STORE_LOCK_RETRY_MIN_NS;
    struct nd_store_lock *lock;

    ND_TRY(nd_work(ND_WORK_SHORT, open_target, &job));
    fd = job.fd;
    if (fd < 0)
        return nd_error_errno(job.errnum, "open %s to lock it", path);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return nd_error_errno(errno, "lock %s", path);
        ND_TRY_DOING(nd_fiber_sleep(pause_ns), "lock %s", path);
        pause_ns = ND_MIN(2 * pause_ns, ND_STORE_LOCK_RETRY_MAX_NS);
    }
    lock = nd_new(struct nd_store_lock);
    lock->fd = ND_TAKE_FD(fd);
    *ret = lock;
    return NULL;
}

struct nd_error *
nd_store_lock_is_held(const char *path, bool *ret)
{
    ND_AUTO(nd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0 && errno != ENOENT)
        return nd_error_errno(errno, "open %s", path);
    *ret = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
    return NULL;
}

void
nd_store_lock_release(struct nd_store_lock *lock)
{
    if (lock == NULL)
        return;
    close(lock->fd);
    nd_free(lock);
}

void
nd_store_lock_releasep(struct nd_store_lock **lock)
{
    nd_store_lock_release(*lock);
}
