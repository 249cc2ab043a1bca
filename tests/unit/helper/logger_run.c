#include "logger_run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"

void
write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

void
make_container(struct run *r)
{
    char path[128];

    *r = (struct run){.out = -1, .err = -1, .ready = -1};
    snprintf(r->dir, sizeof(r->dir), "/tmp/nd-logger-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    snprintf(path, sizeof(path), "%s/containers", r->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/containers/default", r->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(r->state, sizeof(r->state), "%s/containers/default/%s", r->dir, ID);
    assert_int_equal(mkdir(r->state, 0700), 0);
    snprintf(r->bundle, sizeof(r->bundle), "%s/bundle", r->dir);
    assert_int_equal(mkdir(r->bundle, 0700), 0);
    snprintf(r->log, sizeof(r->log), "%s/%s-json.log", r->state, ID);
    snprintf(r->lock, sizeof(r->lock), "%s/logger-lock", r->state);
}

void
configure(struct run *r, const char *options)
{
    char path[192], text[512];

    snprintf(path, sizeof(path), "%s/log-config.json", r->state);
    snprintf(text, sizeof(text), "{\"driver\":\"json-file\",\"opts\":{%s},\"address\":\"/run/x\"}",
             options);
    write_file(path, text);
}

static void
become_logger(const struct run *r, int out, int err, int ready)
{
    char id[] = "CONTAINER_ID=" ID, ns[] = "CONTAINER_NAMESPACE=default";
    char *const env[] = {id, ns, NULL};
    char program[] = ND_HELPER_PROGRAM, mode[] = "_NERDCTL_INTERNAL_LOGGING", store[64];
    char *const argv[] = {program, mode, store, NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    memcpy(store, r->dir, sizeof(store));
    /* Out of the way first: the numbers 3 to 5 may be in use. */
    out = fcntl(out, F_DUPFD, 10);
    err = fcntl(err, F_DUPFD, 10);
    ready = fcntl(ready, F_DUPFD, 10);
    dup2(null, 0);
    dup2(null, 1);
    dup2(out, 3);
    dup2(err, 4);
    dup2(ready, 5);
    close(out);
    close(err);
    close(ready);
    if (chdir(r->bundle) < 0)
        _exit(126);
    execve(program, argv, env);
    _exit(127);
}

/* Start it, without waiting for "ready". */
void
start_logger(struct run *r, rlim_t file_size)
{
    int out[2], err[2], ready[2];

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    r->pid = fork();
    assert_true(r->pid >= 0);
    if (r->pid == 0) {
        struct rlimit limit = {file_size, RLIM_INFINITY};

        setrlimit(RLIMIT_FSIZE, &limit);
        become_logger(r, out[0], err[0], ready[1]);
    }
    close(out[0]);
    close(err[0]);
    close(ready[1]);
    r->out = out[1];
    r->err = err[1];
    r->ready = ready[0];
}

void
wait_ready(struct run *r)
{
    struct pollfd p = {.fd = r->ready, .events = POLLIN};
    char byte;

    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
    assert_int_equal(read(r->ready, &byte, 1), 1);
    assert_int_equal(read(r->ready, &byte, 1), 0);
    close(r->ready);
    r->ready = -1;
}

void
begin_logger(struct run *r, const char *options)
{
    make_container(r);
    if (options != NULL)
        configure(r, options);
    start_logger(r, RLIM_INFINITY);
    wait_ready(r);
}

void
close_streams(struct run *r)
{
    if (r->out >= 0)
        close(r->out);
    if (r->err >= 0)
        close(r->err);
    r->out = r->err = -1;
}

/* End the streams and wait for the logger. */
void
finish_logger(struct run *r)
{
    int status;

    close_streams(r);
    assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    r->pid = 0;
}

void
clean_container(struct run *r)
{
    char command_dir[80];
    pid_t pid;

    memcpy(command_dir, r->dir, sizeof(r->dir));
    pid = fork();
    if (pid == 0) {
        execl("/bin/rm", "rm", "-rf", command_dir, NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

void
send_all(int fd, struct nd_str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);

        assert_true(n > 0 || errno == EINTR);
        bytes = nd_str_from(bytes, n > 0 ? (size_t)n : 0);
    }
}

void
read_whole(const char *path, struct nd_buf *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    assert_true(fd >= 0);
    do {
        nd_error_free(nd_buf_reserve(ret, 1 << 20));
        n = read(fd, ret->ptr + ret->len, 1 << 20);
        assert_true(n >= 0);
        ret->len += (size_t)n;
    } while (n > 0);
    close(fd);
}

/* What the log of one stream says, text after text; every line of the file must be a record. */
void
read_log(const char *path, enum nd_log_stream stream, struct nd_buf *ret)
{
    static struct nd_log_entry entries[512];
    struct nd_buf file = ND_BUF_INIT(LOG_MAX);
    size_t at = 0, total;

    read_whole(path, &file);
    total = file.len;
    nd_error_free(nd_buf_reserve(&file, ND_LOG_DECODE_PAD));
    while (at < total) {
        struct nd_log_decoded d;

        nd_log_decode(file.ptr + at, total - at, entries, ND_LEN(entries), SIZE_MAX, &d);
        assert_int_equal(d.skipped, 0);
        assert_true(d.consumed > 0);
        at += d.consumed;
        for (size_t i = 0; i < d.n; i++) {
            assert_true(entries[i].at.sec > 1700000000);
            if (entries[i].stream == stream)
                nd_buf_put(ret, entries[i].bytes);
        }
    }
    nd_buf_fini(&file);
}

void
assert_log_is(const char *path, enum nd_log_stream stream, struct nd_str want)
{
    struct nd_buf got = ND_BUF_INIT(LOG_MAX);

    read_log(path, stream, &got);
    if (got.len != want.len)
        print_error("got %zu bytes, want %zu\n", got.len, want.len);
    assert_int_equal(got.len, want.len);
    if (want.len > 0)
        assert_int_equal(memcmp(got.ptr, want.ptr, want.len), 0);
    nd_buf_fini(&got);
}

/* Wait until the log holds `text`; there is no other sign from the logger. */
void
wait_log_has(const struct run *r, const char *text)
{
    int64_t give_up = nd_mono_now().ns + PATIENCE_MS * ND_MILLISECOND;

    for (;;) {
        struct nd_buf file = ND_BUF_INIT(LOG_MAX);
        bool found;

        read_whole(r->log, &file);
        found = nd_str_search(nd_buf_str(&file), nd_str(text)) != SIZE_MAX;
        nd_buf_fini(&file);
        if (found)
            return;
        assert_true(nd_mono_now().ns < give_up);
        poll(NULL, 0, 1);
    }
}

/* Random output: mostly text, with long lines, binary stretches and characters of every length. */
void
random_output(struct nd_buf *ret, size_t len)
{
    static const char *const likely[] = {"\n",           "some words ",      "\xc3\xbc",
                                         "\xe4\xb8\x96", "\xf0\x9f\x98\x80", "<&>\"\\",
                                         "\r\n",         "0123456789abcdef"};

    while (ret->len < len) {
        unsigned char raw[64];
        size_t n = 1 + nd_random_u64() % sizeof(raw);
        uint64_t kind = nd_random_u64();

        if (kind % 5 == 0) {
            nd_random(raw, n);
            nd_buf_put(ret, nd_str_n(raw, n));
        } else if (kind % 997 == 1) {
            for (size_t i = 0; i < 2000; i++)
                nd_buf_putz(ret, "\xe2\x82\xac pay ");
        } else {
            nd_buf_putz(ret, likely[nd_random_u64() % ND_LEN(likely)]);
        }
    }
}
