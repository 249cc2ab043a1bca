#ifndef HELPER_LOGGER_H
#define HELPER_LOGGER_H

/* What reads the output of one process, for its log and for those who attach. */

#include "base/defs.h"

/* argv[1] of a log writer, as in the log URI; argv[2] is the path of the data store. */
#define ND_LOGGER_MODE "_NERDCTL_INTERNAL_LOGGING"

/* The same for a container whose output is not kept. */
#define ND_STREAMS_MODE "streams"

/*
 * Run until both streams have ended. Returns the exit status of the process. Without a log there is
 * still somebody to attach to.
 *
 * Environment: CONTAINER_ID, CONTAINER_NAMESPACE. Descriptors: 3 and 4, read ends of stdout and
 * stderr; 5, written once and closed when the log is ready. Working directory: the task's bundle.
 * Follows: containerd's logging binaries; nerdctl's log file and lock.
 */
int nd_logger_main(const char *store, bool keeps_log);

/*
 * argv[1] when the daemon starts us, and the arguments that follow: the folder with the FIFOs
 * "stdout", "stderr" and perhaps "stdin", in which the socket is made; "tty" or "pipes"; and for a
 * container with a log the data store, the namespace and the id.
 */
#define ND_RELAY_MODE "relay"

/*
 * Detach, and return once people can attach; what goes on until the streams have ended is a process
 * of its own. Returns the exit status: 0 when it goes on.
 */
int nd_relay_main(int argc, char **argv);

#endif
