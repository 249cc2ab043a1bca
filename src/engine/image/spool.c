/*
 * The archive on disk while it is read.
 *
 * A client sends as fast or as slowly as it likes; a thread that waited for it would be lost to the
 * others. So the fiber that receives the archive writes it to a file without a name (it goes with
 * its descriptor, also after kill -9), and reading it is work for a thread, a bounded step at a
 * time, that never waits for anybody.
 */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fiber/work.h"
#include "image/limits.h"

#include "spool_priv.h"

struct nd_spool {
    int fd;
    uint64_t size; /* written */
    uint64_t pos;  /* read */
    char *buf;     /* ND_LOAD_STEP_BYTES, what was read last */
};

struct nd_error *
nd_spool_new(const char *dir, struct nd_spool **ret)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    struct nd_spool *spool;

    if (fd < 0)
        return nd_error_errno(errno, "make a temporary file in %s", dir);
    spool = nd_new(struct nd_spool);
    spool->fd = fd;
    spool->buf = nd_new_array(ND_LOAD_STEP_BYTES, char);
    *ret = spool;
    return NULL;
}

void
nd_spool_free(struct nd_spool *spool)
{
    if (spool == NULL)
        return;
    (void)close(spool->fd);
    nd_free(spool->buf);
    nd_free(spool);
}

void
nd_spool_freep(struct nd_spool **spool)
{
    nd_spool_free(*spool);
}

uint64_t
nd_spool_size(const struct nd_spool *spool)
{
    return spool->size;
}

uint64_t
nd_spool_position(const struct nd_spool *spool)
{
    return spool->pos;
}

struct write_job {
    struct nd_spool *spool;
    struct nd_str bytes;
    int errnum;
};

static void
write_all(void *arg)
{
    struct write_job *job = arg;

    while (job->bytes.len > 0) {
        ssize_t n = pwrite(job->spool->fd, job->bytes.ptr, job->bytes.len, (off_t)job->spool->size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            job->errnum = errno;
            return;
        }
        job->spool->size += (uint64_t)n;
        job->bytes = nd_str_from(job->bytes, (size_t)n);
    }
}

static struct nd_error *
write_failure(int errnum)
{
    struct nd_error *err = nd_error_errno(errnum, "write the archive to disk");

    if (errnum != ENOSPC && errnum != EDQUOT)
        return err;
    return nd_error_hint(nd_error_reason(err, "DISK_FULL"),
                         "the disk of nerdctl's data root has no room for the archive");
}

struct nd_error *
nd_spool_add(struct nd_spool *spool, struct nd_str bytes)
{
    struct write_job job = {.spool = spool, .bytes = bytes};

    if (spool->size + bytes.len > ND_LOAD_MAX_ARCHIVE_BYTES)
        return nd_error_new(ND_EXHAUSTED, "the archive is larger than %llu bytes",
                            (unsigned long long)ND_LOAD_MAX_ARCHIVE_BYTES);
    ND_TRY(nd_work(ND_WORK_SHORT, write_all, &job));
    return job.errnum != 0 ? write_failure(job.errnum) : NULL;
}

struct nd_error *
nd_spool_source(void *arg, struct nd_str *ret_bytes)
{
    struct nd_spool *spool = arg;
    ssize_t n;

    do {
        n = pread(spool->fd, spool->buf, ND_LOAD_STEP_BYTES, (off_t)spool->pos);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return nd_error_errno(errno, "read the archive from disk");
    spool->pos += (uint64_t)n;
    *ret_bytes = nd_str_n(spool->buf, (size_t)n);
    return NULL;
}
