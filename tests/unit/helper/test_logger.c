/*
 * The log writer as a program: every byte arrives, the lock means what it says, nothing stops it.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "helper/limits.h"

#include "logger_run.h"

/* Both streams through one logger, in pieces of all sizes; what the log says is what was sent. */
static void
assert_arrives(struct nd_str out, struct nd_str err)
{
    struct run r;
    struct nd_str left[2] = {out, err};

    begin_logger(&r, "");
    while (left[0].len > 0 || left[1].len > 0) {
        uint64_t dice = nd_random_u64();
        struct nd_str *from = &left[dice & 1];
        size_t n = ND_MIN(from->len, (size_t)(dice >> 8) % (dice & 2 ? 40 : 50000));

        send_all(dice & 1 ? r.err : r.out, nd_str_sub(*from, 0, n));
        *from = nd_str_from(*from, n);
    }
    finish_logger(&r);
    assert_log_is(r.log, ND_LOG_STDOUT, out);
    assert_log_is(r.log, ND_LOG_STDERR, err);
    clean_container(&r);
}

static void
random_output_split_anywhere_arrives_byte_for_byte(void **state)
{
    struct nd_buf out = ND_BUF_INIT(LOG_MAX), err = ND_BUF_INIT(LOG_MAX);

    (void)state;
    random_output(&out, 2u << 20);
    random_output(&err, 1u << 20);
    assert_arrives(nd_buf_str(&out), nd_buf_str(&err));
    nd_buf_fini(&out);
    nd_buf_fini(&err);
}

/* No text at all: random bytes; and lines as long as they come, without one valid character. */
static void
binary_output_split_anywhere_arrives_byte_for_byte(void **state)
{
    enum { SIZE = 1 << 20 };
    char *out = nd_calloc(1, SIZE), *err = nd_calloc(1, SIZE);

    (void)state;
    nd_random(out, SIZE);
    nd_random(err, SIZE);
    for (size_t i = 0; i < SIZE; i++)
        err[i] = (char)(0x80 | (err[i] & 0x3f));
    assert_arrives(nd_str_n(out, SIZE), nd_str_n(err, SIZE));
    nd_free(out);
    nd_free(err);
}

/* A long line whose piece would end within a character: the piece ends before it. */
static void
a_full_piece_ends_between_two_characters(void **state)
{
    struct run r;
    struct nd_buf text = ND_BUF_INIT(LOG_MAX), file = ND_BUF_INIT(LOG_MAX);
    size_t first;

    (void)state;
    while (text.len < ND_LOGGER_PIECE_MAX - 1)
        nd_buf_putc(&text, 'x');
    nd_buf_putz(&text, "\xe2");
    first = text.len;
    nd_buf_putz(&text, "\x82\xac\n");
    begin_logger(&r, "");
    send_all(r.out, nd_str_sub(nd_buf_str(&text), 0, first));
    wait_log_has(&r, "xxxx\",\"stream\"");
    send_all(r.out, nd_str_from(nd_buf_str(&text), first));
    finish_logger(&r);
    read_whole(r.log, &file);
    assert_int_equal(nd_str_search(nd_buf_str(&file), ND_STR("raw")), SIZE_MAX);
    assert_log_is(r.log, ND_LOG_STDOUT, nd_buf_str(&text));
    nd_buf_fini(&text);
    nd_buf_fini(&file);
    clean_container(&r);
}

static void
a_writer_of_500_kb_that_exits_at_once_loses_nothing(void **state)
{
    struct nd_buf text = ND_BUF_INIT(LOG_MAX);

    (void)state;
    for (size_t i = 0; text.len < 500000; i++)
        nd_buf_printf(&text, "line %zu of the writer\n", i);
    for (size_t i = 0; i < 30; i++) {
        struct run r;

        begin_logger(&r, "");
        send_all(r.out, nd_buf_str(&text));
        finish_logger(&r);
        assert_log_is(r.log, ND_LOG_STDOUT, nd_buf_str(&text));
        clean_container(&r);
    }
    nd_buf_fini(&text);
}

static bool
lock_is_free(const struct run *r, int *ret_fd)
{
    int fd = open(r->lock, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        assert_int_equal(errno, EWOULDBLOCK);
        close(fd);
        return false;
    }
    *ret_fd = fd;
    return true;
}

static void
the_lock_is_held_from_ready_to_the_last_byte(void **state)
{
    struct run r;
    struct nd_buf text = ND_BUF_INIT(LOG_MAX);
    int fd = -1;
    struct stat st;

    (void)state;
    for (size_t i = 0; text.len < 900000; i++)
        nd_buf_printf(&text, "%zu\n", i);
    begin_logger(&r, "");
    assert_int_equal(stat(r.lock, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_false(lock_is_free(&r, &fd));
    send_all(r.err, nd_buf_str(&text));
    close_streams(&r);
    assert_int_equal(flock(fd = open(r.lock, O_RDONLY | O_CLOEXEC), LOCK_EX), 0);
    assert_log_is(r.log, ND_LOG_STDERR, nd_buf_str(&text));
    close(fd);
    finish_logger(&r);
    nd_buf_fini(&text);
    clean_container(&r);
}

static void
a_second_logger_waits_for_the_first(void **state)
{
    struct run r, second;
    struct pollfd p;

    (void)state;
    begin_logger(&r, "");
    second = r;
    start_logger(&second, RLIM_INFINITY);
    p = (struct pollfd){.fd = second.ready, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 100), 0);
    send_all(r.out, ND_STR("first\n"));
    finish_logger(&r);
    wait_ready(&second);
    send_all(second.out, ND_STR("second\n"));
    finish_logger(&second);
    assert_log_is(r.log, ND_LOG_STDOUT, ND_STR("first\nsecond\n"));
    clean_container(&r);
}

static void
sigterm_in_the_middle_loses_nothing(void **state)
{
    struct run r;
    struct nd_buf text = ND_BUF_INIT(LOG_MAX);

    (void)state;
    begin_logger(&r, "");
    for (size_t i = 0; i < 2000; i++) {
        size_t before = text.len;

        nd_buf_printf(&text, "line %zu before, between and after the signals\n", i);
        send_all(r.out, nd_str_from(nd_buf_str(&text), before));
        if (i % 100 == 50)
            assert_int_equal(kill(r.pid, SIGTERM), 0);
    }
    finish_logger(&r);
    assert_log_is(r.log, ND_LOG_STDOUT, nd_buf_str(&text));
    nd_buf_fini(&text);
    clean_container(&r);
}

static void
a_prompt_is_in_the_log_before_its_line_ends(void **state)
{
    struct run r;

    (void)state;
    begin_logger(&r, "");
    send_all(r.out, ND_STR("Password: \xe2\x82"));
    wait_log_has(&r, "{\"log\":\"Password: \",\"stream\":\"stdout\"");
    send_all(r.out, ND_STR("\xac\n"));
    finish_logger(&r);
    assert_log_is(r.log, ND_LOG_STDOUT, ND_STR("Password: \xe2\x82\xac\n"));
    clean_container(&r);
}

static void
a_line_torn_by_a_crash_is_ended_first(void **state)
{
    struct run r;
    struct nd_buf file = ND_BUF_INIT(LOG_MAX);

    (void)state;
    make_container(&r);
    write_file(r.log, "{\"log\":\"old\\n\",\"str");
    start_logger(&r, RLIM_INFINITY);
    wait_ready(&r);
    send_all(r.out, ND_STR("new\n"));
    finish_logger(&r);
    read_whole(r.log, &file);
    assert_true(nd_str_starts(nd_buf_str(&file),
                              ND_STR("{\"log\":\"old\\n\",\"str\n{\"log\":\"new\\n\",")));
    nd_buf_fini(&file);
    clean_container(&r);
}

static void
no_configuration_means_the_defaults(void **state)
{
    static const char *const broken[] = {NULL, "", "{\"driver\":", "\xff\xff\xff"};

    (void)state;
    for (size_t i = 0; i < ND_LEN(broken); i++) {
        struct run r;
        char path[192];

        make_container(&r);
        snprintf(path, sizeof(path), "%s/log-config.json", r.state);
        if (broken[i] != NULL)
            write_file(path, broken[i]);
        start_logger(&r, RLIM_INFINITY);
        wait_ready(&r);
        send_all(r.out, ND_STR("kept\n"));
        finish_logger(&r);
        assert_log_is(r.log, ND_LOG_STDOUT, ND_STR("kept\n"));
        clean_container(&r);
    }
}

static void
log_path_puts_the_log_elsewhere(void **state)
{
    struct run r;
    char option[160], path[128];
    struct stat st;

    (void)state;
    make_container(&r);
    snprintf(path, sizeof(path), "%s/else/where/x.log", r.dir);
    snprintf(option, sizeof(option), "\"log-path\":\"%s\"", path);
    configure(&r, option);
    start_logger(&r, RLIM_INFINITY);
    wait_ready(&r);
    send_all(r.out, ND_STR("there\n"));
    finish_logger(&r);
    assert_log_is(path, ND_LOG_STDOUT, ND_STR("there\n"));
    assert_int_equal(stat(r.log, &st), -1);
    clean_container(&r);
}

static void
with_a_terminal_the_end_of_stdout_is_the_end(void **state)
{
    struct run r;
    char path[128];
    int status;

    (void)state;
    make_container(&r);
    snprintf(path, sizeof(path), "%s/config.json", r.bundle);
    write_file(
        path,
        "{\"process\":{\"env\":[\"A=\\\"terminal\\\":false\"],\"terminal\": true,\"args\":[]}}");
    start_logger(&r, RLIM_INFINITY);
    wait_ready(&r);
    send_all(r.out, ND_STR("shell\r\n"));
    close(r.out);
    r.out = -1;
    assert_int_equal(waitpid(r.pid, &status, 0), r.pid); /* stderr is still open */
    assert_log_is(r.log, ND_LOG_STDOUT, ND_STR("shell\r\n"));
    close_streams(&r);
    clean_container(&r);
}

static int
run_with(const char *argument, bool with_env)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);

        dup2(null, 1);
        dup2(null, 2);
        closefrom(3);
        clearenv();
        if (with_env) {
            setenv("CONTAINER_ID", "../../etc", 1);
            setenv("CONTAINER_NAMESPACE", "default", 1);
        }
        execl(ND_HELPER_PROGRAM, "helper", argument, "/nonexistent", NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
a_call_that_is_none_of_a_logger_is_refused(void **state)
{
    (void)state;
    assert_int_equal(run_with("--version", false), 0);
    assert_int_equal(run_with("--help", false), 0);
    assert_int_equal(run_with("no-such-mode", false), 2);
    assert_int_equal(run_with("_NERDCTL_INTERNAL_LOGGING", false), 2);
    assert_int_equal(run_with("_NERDCTL_INTERNAL_LOGGING", true), 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_output_split_anywhere_arrives_byte_for_byte),
        cmocka_unit_test(binary_output_split_anywhere_arrives_byte_for_byte),
        cmocka_unit_test(a_full_piece_ends_between_two_characters),
        cmocka_unit_test(a_writer_of_500_kb_that_exits_at_once_loses_nothing),
        cmocka_unit_test(the_lock_is_held_from_ready_to_the_last_byte),
        cmocka_unit_test(a_second_logger_waits_for_the_first),
        cmocka_unit_test(sigterm_in_the_middle_loses_nothing),
        cmocka_unit_test(a_prompt_is_in_the_log_before_its_line_ends),
        cmocka_unit_test(a_line_torn_by_a_crash_is_ended_first),
        cmocka_unit_test(no_configuration_means_the_defaults),
        cmocka_unit_test(log_path_puts_the_log_elsewhere),
        cmocka_unit_test(with_a_terminal_the_end_of_stdout_is_the_end),
        cmocka_unit_test(a_call_that_is_none_of_a_logger_is_refused),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
