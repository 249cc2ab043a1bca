#ifndef CONTAINER_TASKS_PRIV_H
#define CONTAINER_TASKS_PRIV_H

/*
 * Tasks for those who only look. One whose shim does not answer has the status UNKNOWN and nothing
 * else; it holds nobody up for long, and nobody at all once it is known. Context of all: fiber.
 */

#include "containers_priv.h"

/* `*ret` is NULL when there is no task. */
struct nd_error *nd_task_look(struct nd_containers *cs, const char *ns, const char *id,
                              struct nd_arena *arena, task **ret) ND_CHECK_RESULT;

/* The same for the container of each record: `*ret` is an array beside theirs, in the arena. */
struct nd_error *nd_tasks_look(struct nd_containers *cs, const char *ns, record *const *records,
                               size_t n, struct nd_arena *arena, task ***ret) ND_CHECK_RESULT;

#endif
