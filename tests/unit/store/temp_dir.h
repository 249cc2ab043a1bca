#ifndef TESTS_UNIT_STORE_TEMP_DIR_H
#define TESTS_UNIT_STORE_TEMP_DIR_H

/*
 * A directory of one test, and files in it. Every function fails the test when the disk says no.
 *
 *     ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"

struct temp_dir {
    char path[64];
};

static inline struct temp_dir
temp_dir_make(void)
{
    struct temp_dir dir = {"/tmp/nd-store-XXXXXX"};

    assert_non_null(mkdtemp(dir.path));
    return dir;
}

static inline void
temp_dir_remove(struct temp_dir *dir)
{
    pid_t pid = fork();

    if (pid == 0) {
        execl("/bin/rm", "rm", "-rf", dir->path, NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

/* <dir>/<name>, in one of 64 static buffers that are used in turn. */
static inline const char *
in_dir(const struct temp_dir *dir, const char *name)
{
    static char paths[64][512];
    static unsigned turn;
    char *path = paths[turn++ % 64];

    snprintf(path, sizeof(paths[0]), "%s/%s", dir->path, name);
    return path;
}

static inline void
put_file_flags(const char *path, struct nd_str bytes, int flags)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);

    if (fd < 0)
        print_error("%s: %d\n", path, errno);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes.ptr, bytes.len), (ssize_t)bytes.len);
    close(fd);
}

static inline void
put_file(const char *path, struct nd_str bytes)
{
    put_file_flags(path, bytes, O_TRUNC);
}

static inline void
append_file(const char *path, struct nd_str bytes)
{
    put_file_flags(path, bytes, O_APPEND);
}

/* The content on the heap, NULL when there is no such file. */
static inline char *
get_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct nd_buf buf = ND_BUF_INIT(64u << 20);
    char block[4096];
    ssize_t n;

    if (fd < 0)
        return NULL;
    while ((n = read(fd, block, sizeof(block))) > 0)
        nd_buf_put(&buf, nd_str_n(block, (size_t)n));
    close(fd);
    return nd_buf_take(&buf);
}

static inline void
expect_file(const char *path, const char *want)
{
    char *got = get_file(path);

    if (got == NULL)
        print_error("no %s\n", path);
    assert_non_null(got);
    assert_string_equal(got, want);
    nd_free(got);
}

static inline void
expect_mode(const char *path, mode_t mode)
{
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static inline bool
exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

#endif
