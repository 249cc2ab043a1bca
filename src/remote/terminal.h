#ifndef REMOTE_TERMINAL_H
#define REMOTE_TERMINAL_H

/* The user's terminal. Context of everything here: any. */

#include "base/defs.h"
#include "nerdctl/v1/container.pb-c.h"

/* Whether standard input is one. */
bool nd_terminal_is_input(void);

/* The size of the one that standard input or output is; false when neither is. */
bool nd_terminal_size(Pb__TerminalSize *ret);

/*
 * Every key goes to the process: no echo, no lines, no signals. It is put back by the next, at
 * exit, or when a signal ends the program.
 */
void nd_terminal_make_raw(void);
bool nd_terminal_is_raw(void);

/* As it was before; no matter whether it was changed. */
void nd_terminal_restore(void);

#endif
