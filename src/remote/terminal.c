/*
 * The terminal is shared with the shell that started us, so it is put back on every way out: when
 * the session ends, when the program exits, and before it dies of a closed pipe or a signal.
 * Signals that the session passes on are caught there; the handlers here are for those that would
 * end us at once.
 */

#include "terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct {
    struct termios before;
    bool is_raw;
    bool at_exit;
} terminal;

static const int deadly[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

bool
nd_terminal_is_input(void)
{
    return isatty(STDIN_FILENO) == 1;
}

bool
nd_terminal_size(Pb__TerminalSize *ret)
{
    struct winsize size;

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
        return false;
    pb__terminal_size__init(ret);
    ret->width = size.ws_col;
    ret->height = size.ws_row;
    return ret->width > 0 && ret->height > 0;
}

/*
 * By then the signal does again what it always does: it comes when this returns. Output that the
 * terminal does not take is not waited for.
 */
static void
restore_and_die(int signo)
{
    if (terminal.is_raw)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal.before);
    terminal.is_raw = false;
    (void)raise(signo);
}

/* Where nobody else has an opinion about it. */
static void
catch_deadly(void)
{
    const struct sigaction ours = {.sa_handler = restore_and_die, .sa_flags = (int)SA_RESETHAND};
    struct sigaction now;

    for (size_t i = 0; i < ND_LEN(deadly); i++) {
        if (sigaction(deadly[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
            (void)sigaction(deadly[i], &ours, NULL);
    }
}

void
nd_terminal_make_raw(void)
{
    struct termios raw;

    if (terminal.is_raw || tcgetattr(STDIN_FILENO, &terminal.before) < 0)
        return;
    raw = terminal.before;
    cfmakeraw(&raw);
    catch_deadly();
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
        return;
    terminal.is_raw = true;
    if (!terminal.at_exit)
        terminal.at_exit = atexit(nd_terminal_restore) == 0;
}

bool
nd_terminal_is_raw(void)
{
    return terminal.is_raw;
}

void
nd_terminal_restore(void)
{
    if (terminal.is_raw)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal.before);
    terminal.is_raw = false;
}
