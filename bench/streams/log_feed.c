/*
 * What writing a log costs: the program that writes it gets lines as fast as it takes them.
 *
 *     log_feed FEEDER_CPU WRITER_CPU FILE COPIES helper HELPER STORE ID
 *     log_feed FEEDER_CPU WRITER_CPU FILE COPIES floor PATH BYTES
 *
 * For each byte read from standard input one round: a process is started that reads a pipe of 1
 * MiB, and FILE goes into it COPIES times. Then a line with three numbers: nanoseconds from the
 * first byte until the process had ended, and the nanoseconds of processor time that it took as a
 * user and in the kernel. Each of the two has a processor of its own.
 *
 *   helper   is started as containerd's shim would: pipes in descriptors 3 to 5, the names of the
 *            container in the environment, the folder STORE/bundle as working directory.
 *   floor    is what any writer of the same log has to do, and nothing else: take the lines, hand
 *            BYTES of anything to PATH, and begin a new file where a log is rotated.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"

#define PIPE_BYTES   (1024 * 1024)
#define FEED_BYTES   ((size_t)64 * 1024)
#define FLOOR_READ   ((size_t)64 * 1024)
#define FLOOR_WRITE  ((size_t)256 * 1024)
#define FLOOR_ROTATE ((uint64_t)100 * 1024 * 1024)
#define NUMBER_MAX   (UINT64_C(1) << 40)

struct feed {
    char **argv;
    int feeder_cpu, writer_cpu, copies;
    const char *text;
    size_t len;
};

static void
fail(const char *what)
{
    (void)fprintf(stderr, "log_feed: %s: %s\n", what, strerrordesc_np(errno));
    _exit(1);
}

static uint64_t
number(const char *text)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    uint64_t ret = 0;

    err = nd_parse_u64(nd_str(text), NUMBER_MAX, &ret);
    if (err != NULL) {
        (void)fprintf(stderr, "log_feed: %s: %s\n", text, nd_error_message(err));
        _exit(2);
    }
    return ret;
}

static void
stay_on(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        fail("processor");
}

/* The child: descriptors 3, 4 and 5 are what a logger expects. */
static void
become_helper(const struct feed *f, int out, int ready)
{
    char ns[] = "CONTAINER_NAMESPACE=bench", id[128], bundle[4096];
    char *const env[] = {id, ns, NULL};
    char *const argv[] = {f->argv[6], (char *)"_NERDCTL_INTERNAL_LOGGING", f->argv[7], NULL};
    int none[2];

    snprintf(id, sizeof(id), "CONTAINER_ID=%s", f->argv[8]);
    snprintf(bundle, sizeof(bundle), "%s/bundle", f->argv[7]);
    if (chdir(bundle) < 0)
        fail(bundle);
    out = fcntl(out, F_DUPFD, 10);
    ready = fcntl(ready, F_DUPFD, 10);
    if (out < 0 || ready < 0 || pipe(none) < 0)
        fail("descriptors");
    none[0] = fcntl(none[0], F_DUPFD, 10);
    if (dup2(out, 3) < 0 || dup2(none[0], 4) < 0 || dup2(ready, 5) < 0)
        fail("descriptors");
    for (int fd = 6; fd < 20; fd++)
        close(fd);
    execve(argv[0], argv, env);
    fail(argv[0]);
}

static int
open_log(const char *path)
{
    int fd;

    (void)unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        fail(path);
    return fd;
}

static void
write_log(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);

        if (done <= 0)
            fail("write");
        n -= (size_t)done;
    }
}

/* The child: for each byte taken as many are written as the log has for it. */
static void
be_floor(const struct feed *f, int out, int ready)
{
    static char text[FLOOR_READ], log[FLOOR_WRITE];
    double ratio = (double)number(f->argv[7]) / ((double)f->len * f->copies);
    int fd = open_log(f->argv[6]);
    uint64_t taken = 0, written = 0, in_file = 0;
    ssize_t n;

    memset(log, 'x', sizeof(log));
    close(ready);
    while ((n = read(out, text, sizeof(text))) > 0) {
        size_t due;

        taken += (uint64_t)n;
        due = (size_t)((double)taken * ratio - (double)written);
        write_log(fd, log, ND_MIN(due, sizeof(log)));
        written += due;
        in_file += due;
        if (in_file < FLOOR_ROTATE)
            continue;
        close(fd);
        fd = open_log(f->argv[6]);
        in_file = 0;
    }
    _exit(0);
}

static pid_t
start_writer(const struct feed *f, int *ret_pipe)
{
    int out[2], ready[2];
    char byte;
    pid_t pid;

    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(ready, O_CLOEXEC) < 0)
        fail("pipe");
    if (fcntl(out[1], F_SETPIPE_SZ, PIPE_BYTES) < 0)
        fail("size of a pipe");
    pid = fork();
    if (pid == 0) {
        stay_on(f->writer_cpu);
        close(out[1]);
        close(ready[0]);
        if (strcmp(f->argv[5], "helper") == 0)
            become_helper(f, out[0], ready[1]);
        be_floor(f, out[0], ready[1]);
    }
    close(out[0]);
    close(ready[1]);
    if (pid < 0 || read(ready[0], &byte, 1) < 0)
        fail("writer");
    close(ready[0]);
    *ret_pipe = out[1];
    return pid;
}

static void
feed_all(const struct feed *f, int fd)
{
    for (int i = 0; i < f->copies; i++) {
        for (size_t at = 0; at < f->len;) {
            ssize_t n = write(fd, f->text + at, ND_MIN(f->len - at, FEED_BYTES));

            if (n <= 0)
                fail("feed");
            at += (size_t)n;
        }
    }
    close(fd);
}

static int64_t
ns_of(struct timeval t)
{
    return t.tv_sec * ND_SECOND + t.tv_usec * ND_MICROSECOND;
}

static void
one_round(const struct feed *f)
{
    int fd, status;
    pid_t pid = start_writer(f, &fd);
    struct nd_mono begin = nd_mono_now();
    struct rusage used;

    feed_all(f, fd);
    if (wait4(pid, &status, 0, &used) != pid || status != 0) {
        (void)fprintf(stderr, "log_feed: the writer ended with %#x\n", (unsigned)status);
        _exit(1);
    }
    printf("%" PRId64 " %" PRId64 " %" PRId64 "\n", nd_mono_now().ns - begin.ns,
           ns_of(used.ru_utime), ns_of(used.ru_stime));
    if (fflush(stdout) != 0)
        fail("answer");
}

/* All of it in memory, and touched, so that the feeder is never the slow one. */
static void
load(struct feed *f, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *text;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
        fail(path);
    text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (text == MAP_FAILED)
        fail(path);
    f->text = text;
    f->len = (size_t)st.st_size;
    close(fd);
}

int
main(int argc, char **argv)
{
    struct feed f = {.argv = argv};
    char go;

    if (argc != 9 && !(argc == 8 && strcmp(argv[5], "floor") == 0)) {
        (void)fputs(
            "usage: log_feed CPU CPU FILE COPIES helper HELPER STORE ID | floor PATH BYTES\n",
            stderr);
        return 2;
    }
    f.feeder_cpu = (int)number(argv[1]);
    f.writer_cpu = (int)number(argv[2]);
    f.copies = (int)number(argv[4]);
    load(&f, argv[3]);
    stay_on(f.feeder_cpu);
    while (read(0, &go, 1) == 1)
        one_round(&f);
    return 0;
}
