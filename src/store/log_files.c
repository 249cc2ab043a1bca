/*
 * Which file comes next, while a logger may be rotating.
 *
 * A logger renames the current file to <path>.N, N one more than before, and begins a new one; it
 * removes the smallest numbers. So from number K the way leads to the smallest number above K, and
 * from the largest to the current file. The current file has no number until it is rotated; an open
 * descriptor keeps its inode, by which it is found again.
 *
 * The order of steps makes it safe: the current file is opened first, the directory is listed then.
 * Had the file been rotated between the two, it appears in the list under its number, and is taken
 * from there; nothing is left out. A file that is listed but gone when it is opened was removed:
 * look again. What is missing is told by the numbers; when the file that was current until now has
 * been removed, its number is not known, and so is not what came behind it (log_trail.c counts
 * rotations).
 *
 * nerdctl's own logger begins at 1 again after each restart and overwrites what it finds. When the
 * file that was just rotated gets the number 1 while there are older files 2 and 3, these are told
 * by their time: they were finished before.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "store/limits.h"
#include "wire/rotated.h"

#include "log_files_priv.h"

#define LOOKS_MAX  16u /* rotations that may come between listing and opening, again and again */
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

/* A rotated file as it was listed. */
struct rotated {
    uint64_t number;
    dev_t dev;
    ino_t ino;
    struct timespec finished;
};

struct listing {
    struct rotated *files; /* in order of number */
    size_t n;
};

static int
compare_rotated(const void *a, const void *b)
{
    const struct rotated *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

static void
list_entries(DIR *dir, const char *base, struct listing *ret)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
    for (struct dirent *e; ret->n < ND_LOG_ROTATED_MAX && (e = readdir(dir)) != NULL;) {
        uint64_t number = nd_wire_rotated_number(e->d_name, base);
        struct stat st;

        if (number == 0 || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(st.st_mode))
            continue;
        ret->files = nd_realloc(ret->files, ret->n + 1, sizeof(*ret->files));
        ret->files[ret->n++] = (struct rotated){number, st.st_dev, st.st_ino, st.st_mtim};
    }
    if (ret->n > 1)
        qsort(ret->files, ret->n, sizeof(*ret->files), compare_rotated);
}

/* Everything that was rotated. Returns an errno; `ret` has to be freed then, too. */
static int
list_rotated(const char *path, struct listing *ret)
{
    const char *slash = strrchr(path, '/');
    ND_AUTO(nd_freep) char *dir_path = nd_strndup(path, (size_t)(slash - path) + 1);
    DIR *dir = opendir(dir_path);

    if (dir == NULL)
        return errno == ENOENT ? 0 : errno;
    list_entries(dir, slash + 1, ret);
    closedir(dir);
    return 0;
}

static int
open_log(const char *path, uint64_t number, struct log_file *ret)
{
    ND_AUTO(nd_freep)
    char *name =
        number == LOG_FILE_CURRENT ? nd_strdup(path) : nd_asprintf("%s.%" PRIu64, path, number);
    ND_AUTO(nd_closep) int fd = open(name, OPEN_FLAGS);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return EINVAL;
    *ret = (struct log_file){.number = number, .dev = st.st_dev, .ino = st.st_ino};
    ret->fd = ND_TAKE_FD(fd);
    return 0;
}

static const struct rotated *
find_inode(const struct listing *listing, const struct log_file *file)
{
    for (size_t i = 0; i < listing->n; i++) {
        if (listing->files[i].ino == file->ino && listing->files[i].dev == file->dev)
            return &listing->files[i];
    }
    return NULL;
}

static bool
is_before(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

/*
 * The rotated file that follows, NULL: the current one does. As the smallest numbers go first,
 * nothing is missing behind a file that is still there. What was finished before the file that was
 * current until now is older, whatever its number.
 */
static const struct rotated *
choose_next(struct log_files_next *job, const struct listing *listing)
{
    const struct rotated *now = find_inode(listing, &job->now);
    bool was_current = job->now.number == LOG_FILE_CURRENT;
    uint64_t after = !was_current ? job->now.number : now != NULL ? now->number : LOG_FILE_NONE;
    struct stat st;

    if (was_current && fstat(job->now.fd, &st) < 0)
        was_current = false;
    for (size_t i = 0; i < listing->n; i++) {
        const struct rotated *f = &listing->files[i];

        if (f->number <= after || f->finished.tv_sec < job->since_sec)
            continue;
        if (!was_current || !is_before(f->finished, st.st_mtim))
            return f;
    }
    return NULL;
}

/* What is missing between the file that was read and the next one. */
static void
find_losses(struct log_files_next *job, const struct listing *listing, const struct rotated *next)
{
    bool gone = find_inode(listing, &job->now) == NULL;

    job->lost = 0;
    job->untracked = false;
    if (!gone || job->now.number == LOG_FILE_NONE)
        return;
    if (job->now.number == LOG_FILE_CURRENT || next == NULL)
        job->untracked = true;
    else
        job->lost = next->number - job->now.number - 1;
}

/* One look. False: somebody rotated meanwhile, look again. */
static bool
try_next(struct log_files_next *job)
{
    struct log_file current = {.fd = -1};
    int current_errnum = open_log(job->path, LOG_FILE_CURRENT, &current);
    struct listing listing = {NULL, 0};
    const struct rotated *next;
    bool found = true;

    job->errnum = list_rotated(job->path, &listing);
    next = choose_next(job, &listing);
    find_losses(job, &listing, next);
    if (job->errnum == 0 && next != NULL) {
        int errnum = open_log(job->path, next->number, &job->next);

        found = errnum != ENOENT;
        job->errnum = found ? errnum : 0;
    } else if (job->errnum == 0) {
        job->errnum = current_errnum == ENOENT ? 0 : current_errnum;
        job->next = current;
        current.fd = -1;
    }
    nd_closep(&current.fd);
    nd_free(listing.files);
    return found;
}

void
log_files_next(void *arg)
{
    struct log_files_next *job = arg;

    job->next = (struct log_file){.fd = -1};
    for (unsigned i = 0; i < LOOKS_MAX; i++) {
        if (try_next(job))
            return;
    }
    job->errnum = EAGAIN;
}

/* --- tail ----------------------------------------------------------------------------------- */

/*
 * Pass newlines from the end of a block towards its front, until `*newlines` of them were passed:
 * then the byte behind the last one is returned. NULL when there are fewer; `*newlines` is what is
 * missing.
 */
static const char *
pass_newlines(const char *block, size_t len, uint64_t *newlines)
{
    const char *p;

    while (len > 0 && (p = memrchr(block, '\n', len)) != NULL) {
        if (--*newlines == 0)
            return p + 1;
        len = (size_t)(p - block);
    }
    return NULL;
}

/* Go back in one file in the same way; `*ret_offset` is 0 when it has fewer. */
static int
go_back(int fd, uint64_t *newlines, uint64_t *ret_offset)
{
    ND_AUTO(nd_freep) char *block = nd_calloc(1, ND_LOG_TAIL_BLOCK);
    struct stat st;

    if (fstat(fd, &st) < 0)
        return errno;
    for (uint64_t start, end = (uint64_t)st.st_size; end > 0; end = start) {
        const char *found;
        ssize_t len;

        start = end > ND_LOG_TAIL_BLOCK ? end - ND_LOG_TAIL_BLOCK : 0;
        len = pread(fd, block, (size_t)(end - start), (off_t)start);
        if (len < 0)
            return errno;
        found = pass_newlines(block, (size_t)len, newlines);
        if (found != NULL) {
            *ret_offset = start + (uint64_t)(found - block);
            return 0;
        }
    }
    *ret_offset = 0;
    return 0;
}

/* Go back through the rotated files, newest first, from the one before `job->start`. */
static int
go_back_further(struct log_files_tail *job, const struct listing *listing, uint64_t newlines)
{
    const struct rotated *was_current = find_inode(listing, &job->start);
    uint64_t below = was_current != NULL ? was_current->number : LOG_FILE_CURRENT;

    for (size_t i = listing->n; i > 0 && newlines > 1; i--) {
        struct log_file older = {.fd = -1};
        int errnum;

        if (listing->files[i - 1].number >= below)
            continue;
        errnum = open_log(job->path, listing->files[i - 1].number, &older);
        if (errnum == ENOENT)
            break; /* removed meanwhile, and so are all before it */
        if (errnum == 0)
            errnum = go_back(older.fd, &newlines, &job->offset);
        if (errnum != 0) {
            nd_closep(&older.fd);
            return errnum;
        }
        nd_closep(&job->start.fd);
        job->start = older;
    }
    return 0;
}

/*
 * The last N lines begin behind the newline before them: the (N + 1)th from the end. When a file
 * has fewer it has N - missing + 1 whole lines, and the search goes on for what is missing. Bytes
 * behind the last newline are a line that is being written, or was torn; they are no line yet.
 * There may be no current file for a moment, while it is rotated.
 */
void
log_files_tail(void *arg)
{
    struct log_files_tail *job = arg;
    struct listing listing = {NULL, 0};
    uint64_t newlines = job->lines + 1;

    job->start = (struct log_file){.fd = -1};
    job->errnum = open_log(job->path, LOG_FILE_CURRENT, &job->start);
    if (job->errnum == ENOENT)
        job->errnum = 0;
    else if (job->errnum == 0)
        job->errnum = go_back(job->start.fd, &newlines, &job->offset);
    if (job->errnum == 0 && newlines > 1)
        job->errnum = list_rotated(job->path, &listing);
    if (job->errnum == 0 && newlines > 1)
        job->errnum = go_back_further(job, &listing, newlines);
    if (job->errnum == 0 && job->start.fd < 0)
        job->errnum = ENOENT;
    if (job->errnum != 0)
        nd_closep(&job->start.fd);
    nd_free(listing.files);
}
