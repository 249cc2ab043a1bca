#ifndef HELPER_LOGGER_H
#define HELPER_LOGGER_H

/* The log writer of one container: descriptors 3 and 4 to the json-file log. */

#include "base/defs.h"

/* argv[1] of a log writer, as in the log URI; argv[2] is the path of the data store. */
#define ND_LOGGER_MODE "_NERDCTL_INTERNAL_LOGGING"

/*
 * Run until both streams have ended. Returns the exit status of the process.
 *
 * Environment: CONTAINER_ID, CONTAINER_NAMESPACE. Descriptors: 3 and 4, read ends of stdout and
 * stderr; 5, written once and closed when the log is ready. Working directory: the task's bundle.
 * Follows: containerd's logging binaries; nerdctl's log file and lock.
 */
int nd_logger_main(const char *store);

#endif
