#ifndef CONTAINER_START_PRIV_H
#define CONTAINER_START_PRIV_H

/* What start and run share. */

#include "container/lifecycle.h"

#include "launch_priv.h"

/* In the arena. Context: any. */
Pb__ExitStatus *nd_exit_status(const struct task_exit *exit, struct nd_arena *arena);

/* Feed the output of what was launched, and wait for its end. Context: fiber. */
struct nd_error *nd_follow_to_end(struct launch *l, struct nd_wall since,
                                  const struct nd_container_feed *feed,
                                  struct task_exit *ret) ND_CHECK_RESULT;

#endif
