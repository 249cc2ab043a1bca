/*
 * The terminal is shared with the shell that started us, so it is put back on every way out: when the
 * session ends, when the program exits, and before it dies of a closed pipe.
 */

#include "terminal.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct {
    struct termios before;
    bool is_raw;
    bool at_exit;
} terminal;

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

void
nd_terminal_make_raw(void)
{
    struct termios raw;

    if (terminal.is_raw || tcgetattr(STDIN_FILENO, &terminal.before) < 0)
        return;
    raw = terminal.before;
    cfmakeraw(&raw);
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
        return;
    terminal.is_raw = true;
    if (!terminal.at_exit)
        terminal.at_exit = atexit(nd_terminal_restore) == 0;
}

void
nd_terminal_restore(void)
{
    if (terminal.is_raw)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal.before);
    terminal.is_raw = false;
}
