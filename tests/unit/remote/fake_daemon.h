#ifndef FAKE_DAEMON_H
#define FAKE_DAEMON_H

/*
 * A daemon that only pretends: what a container does follows from the name of its image, so that
 * each behaviour of the client can be asked for. Runs in a process of its own.
 *
 *   echo      prints "out" and "err", ends with 7
 *   grumble   ends with 5, then the call fails
 *   signals   prints "up", then each signal that it is sent; INT ends it with 3
 *   deaf      prints "up", ends by nothing
 *   missing   cannot be run: NOT_FOUND with two suggestions
 *   noexec    cannot be run: the meta "exit_code" says 126
 *   badfield  cannot be run: a field is wrong
 *   die       prints "up", then the daemon's process ends
 *   silent    the call ends without an exit code
 *   slow      warns "this takes a while", and is never ready
 *   flood     prints a megabyte and ends with 0
 */

#include <sys/types.h>

/* Start it; `socket_path` is its address when this returns. Stop it with SIGKILL. */
pid_t fake_daemon_start(const char *socket_path);

#endif
