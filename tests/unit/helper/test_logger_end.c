/*
 * The log writer ends with the container although somebody else, as the shim does, keeps the
 * writing ends of its pipes: it watches the process that runc names in the bundle.
 */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "logger_run.h"

/* A process that stands for the container's first one. */
static pid_t
start_init(void)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* not to be left behind by a test that fails */
        for (;;)
            pause();
    }
    return pid;
}

static void
end_init(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* As runc writes it: aside, then renamed. */
static void
name_init(const struct run *r, pid_t pid)
{
    char aside[128], path[128], text[16];

    snprintf(aside, sizeof(aside), "%s/.init.pid", r->bundle);
    snprintf(path, sizeof(path), "%s/init.pid", r->bundle);
    snprintf(text, sizeof(text), "%d", (int)pid);
    write_file(aside, text);
    assert_int_equal(rename(aside, path), 0);
}

static void
assert_ends_well(struct run *r)
{
    int status;

    assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void
it_ends_with_the_container_and_has_everything(void **state)
{
    struct nd_buf text = ND_BUF_INIT(LOG_MAX);

    (void)state;
    for (size_t i = 0; text.len < 200000; i++)
        nd_buf_printf(&text, "line %zu\n", i);
    nd_buf_putz(&text, "without newline");
    for (size_t i = 0; i < 10; i++) {
        pid_t init = start_init();
        struct run r;

        begin_logger(&r, "");
        name_init(&r, init);
        send_all(r.out, nd_buf_str(&text));
        end_init(init);
        assert_ends_well(&r); /* our ends are still open */
        assert_log_is(r.log, ND_LOG_STDOUT, nd_buf_str(&text));
        close_streams(&r);
        clean_container(&r);
    }
    nd_buf_fini(&text);
}

static void
lock_is_held_until_then(void **state)
{
    pid_t init = start_init();
    struct run r;
    int fd;

    (void)state;
    begin_logger(&r, "");
    name_init(&r, init);
    send_all(r.out, ND_STR("up\n"));
    wait_log_has(&r, "up");
    fd = open(r.lock, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
    end_init(init);
    assert_ends_well(&r);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
    close_streams(&r);
    clean_container(&r);
}

static void
a_container_that_ended_before_it_was_named_counts(void **state)
{
    pid_t init = start_init();
    struct run r;

    (void)state;
    begin_logger(&r, "");
    send_all(r.err, ND_STR("short life\n"));
    end_init(init);
    name_init(&r, init);
    assert_ends_well(&r);
    assert_log_is(r.log, ND_LOG_STDERR, ND_STR("short life\n"));
    close_streams(&r);
    clean_container(&r);
}

/* A prompt without newline is written when nothing follows for a moment; that moment is no end. */
static void
a_quiet_container_has_not_ended(void **state)
{
    pid_t init = start_init();
    struct run r;

    (void)state;
    begin_logger(&r, "");
    name_init(&r, init);
    send_all(r.out, ND_STR("prompt: "));
    wait_log_has(&r, "prompt: ");
    send_all(r.out, ND_STR("answer"));
    wait_log_has(&r, "answer");
    send_all(r.out, ND_STR("\nlast\n"));
    wait_log_has(&r, "last");
    end_init(init);
    assert_ends_well(&r);
    assert_log_is(r.log, ND_LOG_STDOUT, ND_STR("prompt: answer\nlast\n"));
    close_streams(&r);
    clean_container(&r);
}

static void
a_name_that_is_no_number_is_passed_over(void **state)
{
    static const char *const texts[] = {"", "x", "-5", "99999999999999999999"};

    (void)state;
    for (size_t i = 0; i < ND_LEN(texts); i++) {
        char path[128];
        struct run r;

        begin_logger(&r, "");
        snprintf(path, sizeof(path), "%s/init.pid", r.bundle);
        write_file(path, texts[i]);
        send_all(r.out, ND_STR("still here\n"));
        wait_log_has(&r, "still here");
        finish_logger(&r); /* the end of the streams counts as ever */
        clean_container(&r);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ends_with_the_container_and_has_everything),
        cmocka_unit_test(lock_is_held_until_then),
        cmocka_unit_test(a_container_that_ended_before_it_was_named_counts),
        cmocka_unit_test(a_quiet_container_has_not_ended),
        cmocka_unit_test(a_name_that_is_no_number_is_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
