#ifndef FIBER_GROUP_H
#define FIBER_GROUP_H

/*
 * Groups: the only place where fibers are started. A group's scope ends only when its fibers have
 * ended, so there are no orphans and every error reaches somebody.
 *
 *     ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("pull", ND_PULL_WIDTH);
 *     ND_TRY(nd_group_spawn(g, pull_layer, &job));
 *     return nd_group_wait(g);
 */

#include "fiber/fiber.h"

/* Context of everything here: fiber, unless it says so. */
struct nd_group;

/*
 * `name` is static text; at most `width` fibers at once (0: no limit of its own). Context: fiber.
 */
struct nd_group *nd_group_begin(const char *name, unsigned width)
    __attribute__((__returns_nonnull__));

/*
 * The same, but the failure of one fiber does not stop the others: it is logged as a warning
 * (cancellation is not), and nd_group_wait() does not report it. For servers.
 */
struct nd_group *nd_group_begin_independent(const char *name, unsigned width)
    __attribute__((__returns_nonnull__));

/*
 * Start `fn(arg)`. It becomes ready, it does not run yet. Waits while the group is full. `arg` must
 * live until the fiber has ended; when the call fails the fiber was not started. Its deadline is
 * that of the fiber that began the group, never that of another one which spawns. Fails:
 * ND_CANCELLED, ND_DEADLINE; ND_EXHAUSTED at ND_FIBER_MAX; the group's first error, when one of its
 * fibers has failed already. Context: fiber.
 */
struct nd_error *nd_group_spawn(struct nd_group *group, nd_fiber_fn *fn, void *arg) ND_CHECK_RESULT;

/* The same without waiting: ND_EXHAUSTED when the group is full. Context: fiber, loop. */
struct nd_error *nd_group_spawn_now(struct nd_group *group, nd_fiber_fn *fn,
                                    void *arg) ND_CHECK_RESULT;

/* Ask every fiber of the group to end (also those spawned later). Context: fiber, loop. */
void nd_group_cancel(struct nd_group *group);

/* Fibers of the group alive now. Context: any. */
size_t nd_group_count(const struct nd_group *group);

/*
 * Wait until all have ended; the first failure cancels the others and is returned. When the
 * caller's own context ends, the fibers are cancelled, waited for, and that error is returned.
 * Context: fiber.
 */
struct nd_error *nd_group_wait(struct nd_group *group) ND_CHECK_RESULT;

/*
 * End of scope: cancels what still runs, waits for it, frees the group. In the fiber that began it;
 * waits also when that fiber is cancelled. NULL is fine.
 */
void nd_group_end(struct nd_group *group);
void nd_group_endp(struct nd_group **group);

/*
 * Cancel one fiber that was started with nd_group_spawn_now(): the handle is valid from the spawn
 * until its function has returned. Context: fiber, loop.
 */
struct nd_fiber;
struct nd_error *nd_group_spawn_handle(struct nd_group *group, nd_fiber_fn *fn, void *arg,
                                       struct nd_fiber **ret) ND_CHECK_RESULT;
void nd_fiber_cancel(struct nd_fiber *fiber);

/*
 * Give a fiber (not started yet or suspended) another deadline; INT64_MAX is none. Context: fiber,
 * loop.
 */
void nd_fiber_set_deadline(struct nd_fiber *fiber, struct nd_mono at);

#endif
