/*
 * A library to preload: the allocation number ND_FAIL_ALLOCATION of the process fails, whoever asks
 * for it (ours, nghttp2, OpenSSL, libuv, the C library), and so do the ones behind it that
 * ND_FAIL_MORE says.
 *
 * At exit the number of allocations is written to the file that ND_COUNT_ALLOCATIONS names.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);

static atomic_ulong n_allocations;
static unsigned long first_failure; /* 0: none */
static unsigned long last_failure;

static unsigned long
number_in(const char *name)
{
    const char *text = getenv(name);
    unsigned long n = 0;

    for (; text != NULL && *text >= '0' && *text <= '9'; text++)
        n = n * 10 + (unsigned long)(*text - '0');
    return n;
}

static void __attribute__((constructor)) begin(void)
{
    first_failure = number_in("ND_FAIL_ALLOCATION");
    last_failure = first_failure + number_in("ND_FAIL_MORE");
}

static void __attribute__((destructor)) end(void)
{
    const char *path = getenv("ND_COUNT_ALLOCATIONS");
    char text[32];
    int fd, len;

    if (path == NULL)
        return;
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    len = snprintf(text, sizeof(text), "%lu\n", atomic_load(&n_allocations));
    if (fd < 0 || write(fd, text, (size_t)len) != len)
        _exit(99);
    close(fd);
}

static bool
fails(void)
{
    unsigned long n = atomic_fetch_add(&n_allocations, 1) + 1;

    if (first_failure == 0 || n < first_failure || n > last_failure)
        return false;
    errno = ENOMEM;
    return true;
}

void *
malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *ptr, size_t size)
{
    return fails() ? NULL : __libc_realloc(ptr, size);
}
