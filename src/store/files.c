/*
 * Files of the data root.
 *
 * Two ways of writing, and each file has one of them (a mix of both would break the other tool):
 *
 *   replace     names, meta.json, *.json of a container: a temporary file, then rename
 *   overwrite   hosts, resolv.conf, hostname: containers have them mounted, so their inode stays
 *
 * nerdctl calls fsync after each. Here nothing does: what a crash of the host may tear is repaired
 * from the intent that was committed before (an empty name file counts as free, for nerdctl too).
 *
 * nerdctl guards its overwrites with a marker in <data root>/filesystem-ops; one that says "remove"
 * makes it delete the file the next time that it looks. A marker left by a crash must not outlive a
 * write of ours. We leave none of our own.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fault.h"
#include "base/random.h"
#include "codec/digest.h"

#include "files_priv.h"

#define READ_MORE        ((size_t)4096)
#define REMOVE_TRIES     8u /* of a directory that is filled again */
#define TREE_DEPTH_MAX   100u
#define MARKER_BASE_LEN  16
#define MARKER_HASH_LEN  8
#define TEMP_RANDOM_SIZE 8u

struct nd_error *
nd_files_error(int errnum, const char *what, const char *path)
{
    if (errnum == EFBIG)
        return nd_error_new(ND_EXHAUSTED, "%s %s: larger than a file of its kind may be", what,
                            path);
    return nd_error_errno(errnum, "%s %s", what, path);
}

int
nd_files_mkdirs(const char *path, mode_t mode)
{
    ND_AUTO(nd_freep) char *copy = NULL;

    if (ND_FAULT_ERRNO("file.mkdirs") != 0)
        return EIO;
    if (mkdir(path, mode) == 0 || errno == EEXIST)
        return 0;
    if (errno != ENOENT)
        return errno;
    copy = nd_strdup(path);
    for (char *p = copy + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return errno;
        *p = '/';
    }
    return mkdir(path, mode) == 0 || errno == EEXIST ? 0 : errno;
}

/* Read to the end, or one byte beyond `max`. `first` is a good guess of the size. */
static int
read_all(int fd, size_t first, size_t max, struct nd_buf *ret)
{
    *ret = ND_BUF_INIT(max + 2 * READ_MORE);
    for (size_t want = first + 1;; want = READ_MORE) {
        struct nd_error *err = nd_buf_reserve(ret, want);
        ssize_t n;

        nd_error_free(err);
        if (err != NULL)
            return EFBIG;
        n = read(fd, ret->ptr + ret->len, want);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n == 0)
            break;
        ret->len += n > 0 ? (size_t)n : 0;
    }
    return ret->len > max ? EFBIG : 0;
}

int
nd_files_read(const char *path, size_t max, char **ret, size_t *ret_len)
{
    ND_AUTO(nd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(0);
    struct stat st;
    int errnum;

    if (fd < 0 || fstat(fd, &st) < 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return EINVAL;
    errnum = read_all(fd, (size_t)ND_MIN((uint64_t)st.st_size, (uint64_t)max), max, &buf);
    if (errnum != 0)
        return errnum;
    buf.ptr[buf.len] = '\0';
    *ret_len = buf.len;
    *ret = nd_buf_take(&buf);
    return 0;
}

static int
write_all(int fd, struct nd_str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);

        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0)
            bytes = nd_str_from(bytes, (size_t)n);
    }
    return 0;
}

int
nd_files_replace(const char *path, mode_t mode, struct nd_str bytes)
{
    const char *base = strrchr(path, '/') + 1;
    char random[2 * TEMP_RANDOM_SIZE + 1];
    ND_AUTO(nd_freep) char *temp = NULL;
    ND_AUTO(nd_closep) int fd = -1;
    int errnum;

    /* Not the name itself, as nerdctl does: a name of 255 bytes is allowed, too. */
    nd_random_hex(random, TEMP_RANDOM_SIZE);
    temp = nd_asprintf("%.*s.tmp-%s", (int)(base - path), path, random);
    fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return errno;
    errnum = ND_FAULT_ERRNO("file.replace empty");
    if (errnum == 0)
        errnum = write_all(fd, bytes);
    if (errnum == 0)
        errnum = ND_FAULT_ERRNO("file.replace written");
    if (errnum == 0 && rename(temp, path) < 0)
        errnum = errno;
    if (errnum != 0)
        unlink(temp);
    return errnum != 0 ? errnum : ND_FAULT_ERRNO("file.replace done");
}

static void
hash8(struct nd_str text, char ret[2 * ND_HASH_MAX_BYTES + 1])
{
    nd_hash_hex(ND_SHA256, text, ret);
    ret[MARKER_HASH_LEN] = '\0';
}

/* The directory part is hashed as it was split off: with its slash, or without. */
static void
drop_marker(const char *data_root, struct nd_str dir, const char *base)
{
    static const char *const kinds[] = {"in-progress", "backup"};
    char dir_hash[2 * ND_HASH_MAX_BYTES + 1], base_hash[2 * ND_HASH_MAX_BYTES + 1];

    hash8(dir, dir_hash);
    hash8(nd_str(base), base_hash);
    for (size_t i = 0; i < ND_LEN(kinds); i++) {
        ND_AUTO(nd_freep)
        char *marker = nd_asprintf("%s/filesystem-ops/%s-%.*s-%s-%s", data_root, dir_hash,
                                   MARKER_BASE_LEN, base, base_hash, kinds[i]);

        unlink(marker);
    }
}

static void
drop_markers(const char *data_root, const char *path)
{
    const char *base = strrchr(path, '/') + 1;
    struct nd_str dir = nd_str_n(path, (size_t)(base - path));

    drop_marker(data_root, dir, base);
    drop_marker(data_root, nd_str_sub(dir, 0, dir.len - 1), base);
}

int
nd_files_overwrite(const char *data_root, const char *path, mode_t mode, struct nd_str bytes)
{
    ND_AUTO(nd_closep) int fd = -1;

    drop_markers(data_root, path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
              mode);
    if (fd < 0 || fchmod(fd, mode) < 0)
        return errno;
    if (ND_FAULT_ERRNO("file.overwrite empty") != 0)
        return EIO;
    return write_all(fd, bytes);
}

static int remove_entries(int parent, const char *name, dev_t dev, unsigned depth);

/* One entry of a directory, whatever it is. */
static int
remove_entry(int dir, const char *name, dev_t dev, unsigned depth)
{
    struct stat st;
    int errnum;

    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return errno;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : errno;
    if (!S_ISDIR(st.st_mode))
        return EPERM;
    if (st.st_dev != dev)
        return EBUSY; /* a mount: its content is not ours to remove */
    /* A helper that is being started may put something into it meanwhile. */
    for (unsigned i = 0; i < REMOVE_TRIES; i++) {
        errnum = remove_entries(dir, name, dev, depth);
        if (errnum != 0)
            return errnum;
        if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            return 0;
        if (errno != ENOTEMPTY && errno != EEXIST)
            return errno;
    }
    return ENOTEMPTY;
}

/* What is in the directory `name` of `parent`. */
static int
remove_entries(int parent, const char *name, dev_t dev, unsigned depth)
{
    int fd, errnum = 0;
    DIR *dir;

    if (depth == TREE_DEPTH_MAX)
        return ELOOP;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : errno;
    dir = fdopendir(fd);
    if (dir == NULL) {
        errnum = errno;
        close(fd);
        return errnum;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
    for (struct dirent *e; errnum == 0 && (e = readdir(dir)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        errnum = ND_FAULT_ERRNO("file.remove entry");
        if (errnum == 0)
            errnum = remove_entry(fd, e->d_name, dev, depth + 1);
    }
    closedir(dir);
    return errnum;
}

int
nd_files_remove_tree(const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : errno;
    return remove_entry(AT_FDCWD, path, st.st_dev, 0);
}
