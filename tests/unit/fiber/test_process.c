/* Child processes and signals. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fiber/group.h"
#include "fiber/process.h"

#include "in_loop.h"

#define SH(script) ((const char *const[]){"sh", "-c", (script), NULL})

static struct nd_error *
run(const struct nd_process_options *options, int *ret)
{
    ND_AUTO(nd_process_freep) struct nd_process *p = NULL;

    ND_TRY(nd_process_start(options, &p));
    return nd_process_wait(p, ret);
}

IN_LOOP(the_status_of_a_process_is_told)
{
    struct nd_process_options seven = {.argv = SH("exit 7")};
    struct nd_process_options killed = {.argv = SH("kill -9 $$")};
    int status = 0;

    ND_TRY(run(&seven, &status));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    ND_TRY(run(&killed, &status));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    return NULL;
}

IN_LOOP(what_cannot_be_started_is_said)
{
    struct nd_process_options missing = {.argv = (const char *const[]){"nd-no-such", NULL}};
    struct nd_process_options absent = {.argv = (const char *const[]){"/nd/no-such", NULL}};
    struct nd_process_options nowhere = {.argv = SH("true"), .cwd = "/nd/no-such"};
    char path[] = "/tmp/nd-test-XXXXXX";
    struct nd_process_options denied = {.argv = (const char *const[]){path, NULL}};
    int status = 4711, fd = mkstemp(path);

    close(fd);
    expect_code(run(&missing, &status), ND_NOT_FOUND);
    expect_code(run(&absent, &status), ND_NOT_FOUND);
    expect_code(run(&nowhere, &status), ND_NOT_FOUND);
    expect_code(run(&denied, &status), ND_DENIED);
    assert_int_equal(status, 4711);
    unlink(path);
    return NULL;
}

/* All that `options` writes into descriptor `at` of its own. */
static struct nd_error *
output_of(struct nd_process_options *options, size_t at, char *dst, size_t size)
{
    ND_AUTO(nd_stream_closep) struct nd_stream *in = NULL;
    ND_AUTO(nd_process_freep) struct nd_process *p = NULL;
    int fds[2], status;
    size_t len = 0, n = 1;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    ND_TRY(nd_stream_from_fd(fds[0], &in));
    options->fds[at] = fds[1];
    ND_TRY(nd_process_start(options, &p));
    close(fds[1]);
    while (n != 0) {
        ND_TRY(nd_stream_read(in, dst + len, size - 1 - len, &n));
        len += n;
    }
    dst[len] = '\0';
    ND_TRY(nd_process_wait(p, &status));
    assert_int_equal(status, 0);
    return NULL;
}

IN_LOOP(a_process_has_exactly_the_descriptors_that_were_given)
{
    struct nd_process_options options = {
        .argv = SH("cd /proc/self/fd && echo * && readlink /proc/$$/fd/0 /proc/$$/fd/4"),
        .fds = {-1, -1, -1, -1, -1},
        .n_fds = 5,
    };
    int leaked = open("/dev/zero", O_RDONLY); /* without close-on-exec, as libraries may do */
    char out[200];

    ND_TRY(output_of(&options, 1, out, sizeof(out)));
    /* The shell's own directory handle may be one more. */
    assert_memory_equal(out, "0 1 2 3 4", 9);
    assert_null(strstr(out, "/dev/zero"));
    assert_non_null(strstr(out, "/dev/null\n/dev/null\n"));
    close(leaked);
    return NULL;
}

IN_LOOP(descriptors_may_trade_places)
{
    /* Whatever stands at the low numbers here is wanted in another order there. */
    ND_AUTO(nd_process_freep) struct nd_process *p = NULL;
    struct nd_process_options options = {
        .argv = SH("echo one >&1; echo two >&2; cat <&0 >&2"),
        .fds = {0, 2, 1},
        .n_fds = 3,
    };
    int one[2], two[2], in[2], keep[3], status;
    char buf[20] = "";

    for (int i = 0; i < 3; i++)
        keep[i] = fcntl(i, F_DUPFD_CLOEXEC, 20);
    assert_int_equal(pipe2(one, O_CLOEXEC) + pipe2(two, O_CLOEXEC) + pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(write(in[1], "in\n", 3), 3);
    close(in[1]);
    dup2(in[0], 0);
    dup2(two[1], 1);
    dup2(one[1], 2);
    expect_ok(nd_process_start(&options, &p));
    for (int i = 0; i < 3; i++) {
        dup2(keep[i], i);
        close(keep[i]);
    }
    ND_TRY(nd_process_wait(p, &status));
    assert_int_equal(status, 0);
    assert_int_equal(read(one[0], buf, sizeof(buf)), 4);
    assert_memory_equal(buf, "one\n", 4);
    assert_int_equal(read(two[0], buf, sizeof(buf)), 7);
    assert_memory_equal(buf, "two\nin\n", 7);
    for (int i = 0; i < 2; i++) {
        close(one[i]);
        close(two[i]);
    }
    close(in[0]);
    return NULL;
}

IN_LOOP(directory_environment_and_session_are_as_asked)
{
    const char *const env[] = {"COLOUR=green", "PATH=/usr/bin:/bin", NULL};
    struct nd_process_options options = {
        .argv = SH("pwd; echo $COLOUR; cut -d' ' -f6 /proc/$$/stat; echo $$"),
        .env = env,
        .cwd = "/proc",
        .fds = {-1, -1, -1},
        .n_fds = 3,
        .new_session = true,
    };
    char out[200], expected[200];
    const char *pid;

    ND_TRY(output_of(&options, 1, out, sizeof(out)));
    pid = strrchr(nd_str_sub(nd_str(out), 0, strlen(out) - 1).ptr, '\n');
    assert_non_null(pid);
    *strrchr(out, '\n') = '\0';
    pid = strrchr(out, '\n') + 1;
    snprintf(expected, sizeof(expected), "/proc\ngreen\n%s\n%s", pid, pid);
    assert_string_equal(out, expected);
    return NULL;
}

IN_LOOP(a_process_starts_with_default_signals)
{
    struct nd_process_options options = {.argv = SH("kill -PIPE $$; exit 3")};
    sigset_t all, before;
    int status;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    expect_ok(run(&options, &status));
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGPIPE);
    return NULL;
}

static struct nd_error *
wait_for_it(void *arg)
{
    int status;

    return nd_process_wait(arg, &status);
}

IN_LOOP(waiting_for_a_process_ends_with_cancelling_and_deadline)
{
    struct nd_process_options options = {.argv = (const char *const[]){"sleep", "1000", NULL}};
    ND_AUTO(nd_process_freep) struct nd_process *p = NULL;
    int status;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_process_start(&options, &p));
    ND_TRY(nd_group_spawn(g, wait_for_it, p));
    ND_TRY(nd_fiber_yield());
    nd_group_cancel(g);
    ND_TRY(nd_group_wait(g));
    {
        ND_DEADLINE_IN(ND_SECOND);
        expect_code(nd_process_wait(p, &status), ND_DEADLINE);
        expect_code(nd_process_start(&options, &p), ND_DEADLINE);
    }
    ND_TRY(nd_process_kill(p, 0));
    ND_TRY(nd_process_kill(p, SIGTERM));
    ND_TRY(nd_process_wait(p, &status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
    expect_code(nd_process_kill(p, SIGTERM), ND_NOT_FOUND);
    return NULL;
}

static pid_t forgotten;

static struct nd_error *
forget_a_process(void *arg)
{
    struct nd_process_options options = {.argv = (const char *const[]){"sleep", "1000", NULL}};
    ND_AUTO(nd_process_freep) struct nd_process *p = NULL;

    (void)arg;
    ND_TRY(nd_process_start(&options, &p));
    forgotten = nd_process_pid(p);
    return NULL;
}

static void
a_forgotten_process_is_killed_and_reaped(void **state)
{
    (void)state;
    expect_ok(nd_loop_run(forget_a_process, NULL, NULL));
    assert_int_equal(kill(forgotten, 0), -1);
    assert_int_equal(waitpid(forgotten, NULL, WNOHANG), -1);
}

IN_REAL_LOOP(one_forgotten_while_the_loop_goes_on_is_reaped_too)
{
    ND_TRY(forget_a_process(NULL));
    while (kill(forgotten, 0) == 0)
        ND_TRY(nd_fiber_yield());
    return NULL;
}

static struct nd_error *
run_true(void *arg)
{
    struct nd_process_options options = {.argv = SH("exit 0")};
    int status;

    (void)arg;
    ND_TRY(run(&options, &status));
    assert_int_equal(status, 0);
    return NULL;
}

IN_LOOP(many_processes_run_at_once)
{
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    for (int i = 0; i < 30; i++)
        ND_TRY(nd_group_spawn(g, run_true, NULL));
    return nd_group_wait(g);
}

/* --- signals --- */

IN_LOOP(signals_come_in_the_order_of_their_arrival)
{
    const int wanted[] = {SIGUSR1, SIGUSR2};
    ND_AUTO(nd_signals_closep) struct nd_signals *s = NULL;
    int signo = 0;

    ND_TRY(nd_signals_open(wanted, ND_LEN(wanted), &s));
    raise(SIGUSR2);
    ND_TRY(nd_signals_next(s, &signo));
    assert_int_equal(signo, SIGUSR2);
    raise(SIGUSR1);
    raise(SIGUSR2);
    raise(SIGUSR1);
    ND_TRY(nd_signals_next(s, &signo));
    assert_int_equal(signo, SIGUSR1);
    ND_TRY(nd_signals_next(s, &signo));
    assert_int_equal(signo, SIGUSR2);
    ND_TRY(nd_signals_next(s, &signo));
    assert_int_equal(signo, SIGUSR1);
    return NULL;
}

static struct nd_error *
next_signal(void *arg)
{
    int signo;

    return nd_signals_next(arg, &signo);
}

IN_LOOP(waiting_for_a_signal_ends_with_cancelling_and_deadline)
{
    const int wanted[] = {SIGUSR1};
    ND_AUTO(nd_signals_closep) struct nd_signals *s = NULL;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_signals_open(wanted, ND_LEN(wanted), &s));
    ND_TRY(nd_group_spawn(g, next_signal, s));
    ND_TRY(nd_fiber_yield());
    nd_group_cancel(g);
    ND_TRY(nd_group_wait(g));
    ND_DEADLINE_IN(ND_SECOND);
    expect_code(next_signal(s), ND_DEADLINE);
    return NULL;
}

IN_LOOP(a_signal_that_cannot_be_caught_is_refused)
{
    const int wanted[] = {SIGUSR1, SIGKILL};
    struct nd_signals *s = NULL;

    expect_code(nd_signals_open(wanted, ND_LEN(wanted), &s), ND_INVALID);
    assert_null(s);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_status_of_a_process_is_told),
        cmocka_unit_test(what_cannot_be_started_is_said),
        cmocka_unit_test(a_process_has_exactly_the_descriptors_that_were_given),
        cmocka_unit_test(descriptors_may_trade_places),
        cmocka_unit_test(directory_environment_and_session_are_as_asked),
        cmocka_unit_test(a_process_starts_with_default_signals),
        cmocka_unit_test(waiting_for_a_process_ends_with_cancelling_and_deadline),
        cmocka_unit_test(a_forgotten_process_is_killed_and_reaped),
        cmocka_unit_test(one_forgotten_while_the_loop_goes_on_is_reaped_too),
        cmocka_unit_test(many_processes_run_at_once),
        cmocka_unit_test(signals_come_in_the_order_of_their_arrival),
        cmocka_unit_test(waiting_for_a_signal_ends_with_cancelling_and_deadline),
        cmocka_unit_test(a_signal_that_cannot_be_caught_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
