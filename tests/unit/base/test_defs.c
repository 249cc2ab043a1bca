/* Broken promises end the process and say where; descriptors are closed by their scope. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/defs.h"

#include "check.h"

static void
report(void)
{
    (void)!write(2, "fiber seven\n", 12);
}

/* What a child that breaks a promise writes to descriptor 2. */
static void
break_promise(char *out, size_t size, int *ret_status)
{
    int pipe_fds[2];
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(pipe_fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(pipe_fds[1], 2);
        nd_invariant_reporter(report);
        ND_INVARIANT(1 + 1 == 3);
        _exit(0);
    }
    close(pipe_fds[1]);
    for (size_t len = 0; (n = read(pipe_fds[0], out + len, size - 1 - len)) > 0; out[len] = '\0')
        len += (size_t)n;
    close(pipe_fds[0]);
    assert_int_equal(waitpid(pid, ret_status, 0), pid);
}

static void
a_broken_invariant_aborts_and_names_itself(void **state)
{
    char out[1024] = "";
    int status;

    (void)state;
    break_promise(out, sizeof(out), &status);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(out, "broken invariant: 1 + 1 == 3 ("));
    assert_non_null(strstr(out, "test_defs.c:"));
    assert_non_null(strstr(out, "fiber seven"));
}

static void
the_scope_closes_descriptors_unless_taken(void **state)
{
    int closed, taken;

    (void)state;
    {
        ND_AUTO(nd_closep) int a = open("/dev/null", O_RDONLY | O_CLOEXEC);
        ND_AUTO(nd_closep) int b = open("/dev/null", O_RDONLY | O_CLOEXEC);

        closed = a;
        taken = ND_TAKE_FD(b);
        assert_int_equal(b, -1);
        errno = 4711;
    }
    assert_int_equal(errno, 4711);
    assert_int_equal(fcntl(closed, F_GETFD), -1);
    assert_int_not_equal(fcntl(taken, F_GETFD), -1);
    close(taken);
}

static void
take_empties_its_source(void **state)
{
    char *text = (char *)"x";
    char *moved = ND_TAKE(text);

    (void)state;
    assert_null(text);
    assert_string_equal(moved, "x");
    assert_int_equal(ND_MIN(3, ND_MAX(1, 2)), 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_invariant_aborts_and_names_itself),
        cmocka_unit_test(the_scope_closes_descriptors_unless_taken),
        cmocka_unit_test(take_empties_its_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
