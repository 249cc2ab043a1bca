/*
 * What reading a log costs above reading its bytes. One file, warm in the page cache, three ways,
 * the best of several rounds each:
 *
 *     read     read(2) alone
 *     decode   read(2) and the decoder in a plain loop, no fibers, no rotation, no options
 *     reader   nd_log_reader, as the daemon uses it
 *
 *     bench_logs [FILE]      without FILE one of half a gigabyte is made and removed
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "fiber/fiber.h"
#include "store/limits.h"
#include "store/log_reader.h"

#define ROUNDS     5
#define MADE_LINES 3000000u
#define READ_BYTES ((size_t)1024 * 1024)

struct result {
    int64_t best_ns;
    uint64_t file_bytes, entries, payload;
};

static bool
make_log(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct nd_buf buf = ND_BUF_INIT(READ_BYTES);
    bool good = fd >= 0;

    for (unsigned i = 0; good && i < MADE_LINES; i++) {
        nd_buf_printf(
            &buf,
            "{\"log\":\"line %u of a log with some \\\"text\\\" in it, of the usual length, and "
            "a number: %u\\n\",\"stream\":\"stdout\",\"time\":\"2024-01-02T03:%02u:%02u.%09uZ\"}\n",
            i, i * 7, i / 6000000 % 60, i / 100000 % 60, i % 100000 * 9973);
        if (buf.len > READ_BYTES - 4096 || i + 1 == MADE_LINES) {
            good = write(fd, buf.ptr, buf.len) == (ssize_t)buf.len;
            nd_buf_clear(&buf);
        }
    }
    nd_buf_fini(&buf);
    nd_closep(&fd);
    return good;
}

static void
read_only(const char *path, struct result *ret)
{
    ND_AUTO(nd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ND_AUTO(nd_freep) char *buf = nd_calloc(1, READ_BYTES);
    ssize_t n;

    while (fd >= 0 && (n = read(fd, buf, READ_BYTES)) > 0)
        ret->file_bytes += (uint64_t)n;
}

static void
plain_loop(const char *path, struct result *ret)
{
    ND_AUTO(nd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ND_AUTO(nd_freep) char *buf = nd_calloc(1, READ_BYTES + ND_LOG_DECODE_PAD);
    ND_AUTO(nd_freep)
    struct nd_log_entry *entries = nd_new_array(ND_LOG_BATCH_ENTRIES, struct nd_log_entry);
    size_t len = 0;
    ssize_t n;

    while (fd >= 0 && (n = read(fd, buf + len, READ_BYTES - len)) > 0) {
        size_t at = 0;
        struct nd_log_decoded d;

        len += (size_t)n;
        ret->file_bytes += (uint64_t)n;
        do {
            nd_log_decode(buf + at, len - at, entries, ND_LOG_BATCH_ENTRIES, ND_LOG_BATCH_BYTES,
                          &d);
            at += d.consumed;
            ret->entries += d.n;
            ret->payload += d.payload;
        } while (d.consumed > 0);
        len -= at;
        memmove(buf, buf + at, len);
    }
}

struct reader_run {
    const char *path;
    struct result *result;
};

static struct nd_error *
read_all(void *arg)
{
    struct reader_run *run = arg;
    const struct nd_log_reader_options options = {.path = run->path, .tail = ND_LOG_TAIL_ALL};
    ND_AUTO(nd_log_reader_closep) struct nd_log_reader *reader = NULL;
    struct nd_log_batch batch;

    ND_TRY(nd_log_reader_open(&options, &reader));
    do {
        ND_TRY(nd_log_reader_next(reader, &batch));
        run->result->entries += batch.n;
        run->result->payload += batch.payload;
    } while (batch.n > 0);
    return NULL;
}

static void
with_reader(const char *path, struct result *ret)
{
    struct reader_run run = {path, ret};
    struct nd_error *err = nd_loop_run(read_all, &run, NULL);

    if (err != NULL)
        fprintf(stderr, "bench_logs: %s\n", nd_error_message(err));
    nd_error_free(err);
}

static int64_t
measure(const char *name, void (*fn)(const char *path, struct result *ret), const char *path,
        uint64_t file_bytes)
{
    struct result best = {.best_ns = INT64_MAX};

    for (int i = 0; i < ROUNDS; i++) {
        struct result r = {0};
        int64_t began_ns = nd_mono_now().ns;

        fn(path, &r);
        r.best_ns = nd_mono_now().ns - began_ns;
        best = r.best_ns < best.best_ns ? r : best;
    }
    if (best.file_bytes == 0)
        best.file_bytes = file_bytes;
    printf("%-8s %8.3f s %8.0f MB/s of file %10" PRIu64 " entries %12" PRIu64 " bytes of text\n",
           name, (double)best.best_ns / 1e9, (double)best.file_bytes * 1e3 / (double)best.best_ns,
           best.entries, best.payload);
    return best.best_ns;
}

int
main(int argc, char **argv)
{
    char made[] = "/tmp/bench_logs.XXXXXX";
    const char *path = argc > 1 ? argv[1] : made;
    struct result size = {0};
    int64_t plain_ns, reader_ns;
    int fd = argc > 1 ? -1 : mkstemp(made);

    nd_closep(&fd);
    if (argc < 2 && !make_log(made))
        return 1;
    read_only(path, &size);
    measure("read", read_only, path, 0);
    plain_ns = measure("decode", plain_loop, path, 0);
    reader_ns = measure("reader", with_reader, path, size.file_bytes);
    printf("reader / decode: %.2f\n", (double)reader_ns / (double)plain_ns);
    if (argc < 2)
        unlink(made);
    return 0;
}
