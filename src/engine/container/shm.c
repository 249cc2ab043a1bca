/*
 * Shareable /dev/shm: other containers can join it, so it cannot be the container's own mount.
 * nerdctl mounts it anew at each start and unmounts it at stop and rm; a container that is made but
 * never started has none here. Whether it is mounted already is told by the device number, which
 * differs from its parent's.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/str.h"
#include "fiber/work.h"

#include "shm_priv.h"

struct shm_job {
    char path[PATH_MAX];
    char parent[PATH_MAX];
    int64_t size;
    int errnum;
};

static bool
is_mounted(const struct shm_job *job)
{
    struct stat own, parent;

    return stat(job->path, &own) == 0 && stat(job->parent, &parent) == 0 &&
           own.st_dev != parent.st_dev;
}

static void
mount_it(void *arg)
{
    struct shm_job *job = arg;
    char options[64];

    if (mkdir(job->path, 0700) < 0 && errno != EEXIST) {
        job->errnum = errno;
        return;
    }
    if (is_mounted(job))
        return;
    (void)snprintf(options, sizeof(options), "mode=1777,size=%lld", (long long)job->size);
    if (mount("shm", job->path, "tmpfs", MS_NOEXEC | MS_NOSUID | MS_NODEV, options) < 0)
        job->errnum = errno;
}

static void
unmount_it(void *arg)
{
    struct shm_job *job = arg;

    if (is_mounted(job) && umount2(job->path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
        job->errnum = errno;
}

static struct nd_error *
do_job(const char *state_path, int64_t size, void (*fn)(void *), const char *what)
{
    struct shm_job job = {.size = size};

    if (snprintf(job.path, sizeof(job.path), "%s/shm", state_path) >= (int)sizeof(job.path))
        return nd_error_new(ND_INVALID, "path of shared memory is too long");
    ND_TRY(nd_str_copy(job.parent, sizeof(job.parent), nd_str(state_path), "state folder"));
    ND_TRY(nd_work(ND_WORK_SHORT, fn, &job));
    return job.errnum != 0 ? nd_error_errno(job.errnum, "%s %s", what, job.path) : NULL;
}

struct nd_error *
nd_shm_mount(const char *state_path, int64_t size_bytes)
{
    return do_job(state_path, size_bytes > 0 ? size_bytes : ND_SHM_DEFAULT_BYTES, mount_it,
                  "mount shared memory");
}

struct nd_error *
nd_shm_unmount(const char *state_path)
{
    return do_job(state_path, 0, unmount_it, "unmount shared memory");
}
