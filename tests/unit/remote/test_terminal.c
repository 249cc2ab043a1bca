/* Whatever ends the program, the terminal is as it was. */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/defs.h"

#include "terminal.h"

/* A terminal of our own; the end that programs have. */
static int
open_terminal(int *ret_master)
{
    int slave;

    *ret_master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(*ret_master >= 0);
    assert_int_equal(grantpt(*ret_master), 0);
    assert_int_equal(unlockpt(*ret_master), 0);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    slave = open(ptsname(*ret_master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(slave >= 0);
    return slave;
}

/* A program that makes it raw and ends by `signo`, or by itself when that is 0. */
static void
run_raw(int slave, int signo)
{
    struct termios now;

    if (dup2(slave, STDIN_FILENO) < 0)
        _exit(1);
    nd_terminal_make_raw();
    if (tcgetattr(STDIN_FILENO, &now) < 0 || (now.c_lflag & (tcflag_t)(ECHO | ICANON)) != 0)
        _exit(1);
    if (signo != 0)
        (void)raise(signo);
    exit(0); /* NOLINT(concurrency-mt-unsafe): there is one thread */
}

static void
the_terminal_is_put_back_on_every_way_out(void **state)
{
    static const int ways[] = {0, SIGHUP, SIGINT, SIGQUIT, SIGTERM};

    (void)state;
    for (size_t i = 0; i < ND_LEN(ways); i++) {
        struct termios before, after;
        int master, slave = open_terminal(&master), status;
        pid_t pid;

        assert_int_equal(tcgetattr(slave, &before), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            run_raw(slave, ways[i]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WIFSIGNALED(status) ? WTERMSIG(status) : 0, ways[i]);
        assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : 0, 0);
        assert_int_equal(tcgetattr(slave, &after), 0);
        assert_int_equal(before.c_lflag, after.c_lflag);
        assert_int_equal(before.c_iflag, after.c_iflag);
        assert_int_equal(before.c_oflag, after.c_oflag);
        close(slave);
        close(master);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_terminal_is_put_back_on_every_way_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
