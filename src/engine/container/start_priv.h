#ifndef CONTAINER_START_PRIV_H
#define CONTAINER_START_PRIV_H

/* How an end is told. */

#include "container/lifecycle.h"

#include "containers_priv.h"

/* In the arena. Context: any. */
Pb__ExitStatus *nd_exit_status(const struct task_exit *exit, struct nd_arena *arena);

#endif
