/*
 * How long a keystroke takes to come back from a terminal.
 *
 *     echo_pty own|passed PROGRAM ARGUMENT...
 *
 * PROGRAM, which must end up as a `cat`, gets a terminal of its own. With "own" that terminal's
 * echo is measured. With "passed" the program hands a far terminal through: it first switches off
 * the echo of ours, and what comes back then comes from the far one.
 *
 * For each byte read from standard input one line is typed: KEYS keystrokes, each after a pause as
 * between those of a quick typist, so that everybody on the way has gone to sleep. Then a line with
 * KEYS numbers: nanoseconds from the keystroke until it was there again. The newline behind them
 * makes `cat` say everything once more, which proves that it was there.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/defs.h"

#define KEYS        100
#define PAUSE_NS    (4 * ND_MILLISECOND)
#define PATIENCE_MS 30000
#define KEY         'k'

static void
pause_ns(int64_t ns)
{
    const struct timespec pause = {.tv_nsec = ns};

    nanosleep(&pause, NULL);
}

/* The child: the slave becomes its controlling terminal and its three descriptors. */
static void
become(const char *slave, char **argv)
{
    int fd;

    setsid();
    fd = open(slave, O_RDWR | O_CLOEXEC);
    if (fd < 0 || dup2(fd, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(126);
    execvp(argv[0], argv);
    _exit(127);
}

static int
open_terminal(char *slave, size_t size)
{
    const struct winsize window = {.ws_row = 24, .ws_col = 80};
    int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd < 0 || unlockpt(fd) < 0 || ptsname_r(fd, slave, size) != 0 ||
        ioctl(fd, TIOCSWINSZ, &window) < 0)
        return -1;
    return fd;
}

static bool
echoes(int fd)
{
    struct termios settings;

    return tcgetattr(fd, &settings) < 0 || (settings.c_lflag & ECHO) != 0;
}

/* One byte that comes within the patience. */
static bool
read_byte(int fd, char *ret)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, PATIENCE_MS) == 1 && read(fd, ret, 1) == 1;
}

/* Type one character and wait for its echo; the nanoseconds, or -1. */
static int64_t
type_key(int fd)
{
    struct nd_mono begin = nd_mono_now();
    char back;

    if (write(fd, &(char){KEY}, 1) != 1 || !read_byte(fd, &back) || back != KEY)
        return -1;
    return nd_mono_now().ns - begin.ns;
}

/*
 * End the line of `n` keys: its newline is echoed, then `cat` says all of it. How many returns
 * stand before a newline depends on how many terminals are passed.
 */
static bool
end_line(int fd, int n)
{
    char back;

    if (write(fd, "\n", 1) != 1)
        return false;
    for (int i = 0; i < 1 + n + 1;) {
        if (!read_byte(fd, &back))
            return false;
        if (back == '\r')
            continue;
        if (back != (i == 0 || i == n + 1 ? '\n' : KEY))
            return false;
        i++;
    }
    return true;
}

static bool
type_line(int fd)
{
    int64_t took_ns[KEYS];

    for (int i = 0; i < KEYS; i++) {
        pause_ns(PAUSE_NS);
        took_ns[i] = type_key(fd);
        if (took_ns[i] < 0)
            return false;
    }
    if (!end_line(fd, KEYS))
        return false;
    for (int i = 0; i < KEYS; i++)
        printf("%" PRId64 "%c", took_ns[i], i + 1 < KEYS ? ' ' : '\n');
    return fflush(stdout) == 0;
}

int
main(int argc, char **argv)
{
    char slave[64], go;
    int fd = open_terminal(slave, sizeof(slave));
    bool passed;

    if (argc < 3 || fd < 0) {
        (void)fputs("usage: echo_pty own|passed PROGRAM ARGUMENT...\n", stderr);
        return 2;
    }
    passed = strcmp(argv[1], "passed") == 0;
    if (fork() == 0)
        become(slave, argv + 2);
    for (int i = 0; passed && echoes(fd) && i < PATIENCE_MS; i++)
        pause_ns(ND_MILLISECOND);
    if (passed && echoes(fd)) {
        (void)fputs("echo_pty: the program does not take the terminal over\n", stderr);
        return 1;
    }
    if (type_key(fd) < 0 || !end_line(fd, 1)) { /* everybody is there */
        (void)fputs("echo_pty: nothing comes back\n", stderr);
        return 1;
    }
    while (read(0, &go, 1) == 1) {
        if (!type_line(fd)) {
            (void)fputs("echo_pty: a keystroke did not come back\n", stderr);
            return 1;
        }
    }
    return 0;
}
