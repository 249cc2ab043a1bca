#ifndef SERVER_DAEMON_H
#define SERVER_DAEMON_H

/* The wiring of the daemon: everything made, joined, run and taken apart in order. */

#include "options.h"

/* The first fiber: serves until told to stop. `options` is a struct nd_options. */
struct nd_error *nd_daemon_run(void *options) ND_CHECK_RESULT;

#endif
