#ifndef TESTS_UNIT_CTRD_PRIVATE_CONTAINERD_H
#define TESTS_UNIT_CTRD_PRIVATE_CONTAINERD_H

/*
 * A containerd of one's own, below a new directory, and a client of it in a loop:
 *
 *     IN_REAL_LOOP(promise)
 *     {
 *         ND_AUTO(world_endp) struct world *w = world_begin();
 *         ...
 *
 * It is started before the first test and stopped after the last one (containerd_setup, _teardown).
 */

#include <stdbool.h>
#include <sys/types.h>

#include "containerd/client.h"
#include "fiber/group.h"
#include "fiber/sync.h"

#include "../fiber/in_loop.h"

/* Exit code of a test program that cannot do its work here; the reason is printed. */
#define EXIT_SKIPPED 77
bool containerd_is_usable(void);

int containerd_setup(void **state);
int containerd_teardown(void **state);

/* Below a directory that goes away with it. */
const char *containerd_dir(void);
const char *containerd_socket(void);
pid_t containerd_pid(void);

/* SIGKILL, and wait for its end; and start it again (returns at once). */
void containerd_kill(void);
void containerd_start(void);

struct world {
    struct nd_ctrd *ctrd;
    bool borrowed; /* the client is not the world's */
    struct nd_group *group;
    struct nd_arena *arena;
    struct nd_cond changed;
    bool up;
    unsigned ups, downs; /* how often the listener was told */
};

/* Returns when it is connected. The second one watches over a client that somebody else has. */
struct world *world_begin(void);
struct world *world_begin_with(struct nd_ctrd *ctrd);
void world_endp(struct world **w);
void world_until(struct world *w, bool up);

#define NS ((struct nd_ctrd_scope){.ns = "test"})

#endif
