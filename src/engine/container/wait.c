/*
 * `wait`: how containers ended, in the order of the request.
 *
 * All are waited for at once, so that one which removes itself meanwhile is not missed; the replies
 * keep the order. A container without a task has nothing to wait for: it never ran, or its task was
 * deleted with the code it ended with.
 */

#include <stdio.h>

#include "container/lifecycle.h"
#include "container/limits.h"

#include "containers_priv.h"

struct waiting {
    struct nd_containers *cs;
    const char *ns;
    const char *id;
    bool done;
    struct task_exit exit;
    struct nd_error *err;
    struct nd_cond *changed; /* of all */
};

static struct nd_error *
wait_one(struct waiting *w)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_error *err;
    task *t;

    ND_TRY(nd_task_get(w->cs, w->ns, w->id, arena, &t));
    if (t == NULL || t->status == CT_TASKS__STATUS__CREATED)
        return NULL;
    if (t->status == CT_TASKS__STATUS__STOPPED) {
        w->exit = (struct task_exit){.code = t->exit_status, .at = nd_wall_of(t->exited_at)};
        return NULL;
    }
    err = nd_task_wait(w->cs, w->ns, w->id, t->pid, &w->exit);
    if (nd_error_code(err) != ND_NOT_FOUND)
        return err;
    nd_error_free(err); /* deleted between the two calls */
    return NULL;
}

static struct nd_error *
wait_fiber(void *arg)
{
    struct waiting *w = arg;

    w->err = wait_one(w);
    w->done = true;
    nd_cond_broadcast(w->changed);
    return NULL;
}

static struct nd_error *
reply_in_order(struct waiting *all, size_t n,
               struct nd_error *(*reply)(void *arg, const Pb__ContainerServiceWaitResponse *rsp),
               void *arg)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    for (size_t i = 0; i < n; i++) {
        Pb__ContainerServiceWaitResponse rsp = PB__CONTAINER_SERVICE_WAIT_RESPONSE__INIT;
        Pb__ExitStatus exit = PB__EXIT_STATUS__INIT;

        while (!all[i].done)
            ND_TRY(nd_cond_wait(all[i].changed));
        ND_TRY(ND_TAKE(all[i].err));
        exit.code = all[i].exit.code;
        exit.exited_at = nd_timestamp_of(all[i].exit.at, arena);
        rsp.container_id = (char *)all[i].id;
        rsp.exit = &exit;
        ND_TRY(reply(arg, &rsp));
    }
    return NULL;
}

static struct nd_error *
find_all(struct nd_containers *cs, const char *ns, const Pb__ContainerServiceWaitRequest *req,
         struct nd_arena *arena, struct waiting *all)
{
    for (size_t i = 0; i < req->n_containers; i++) {
        record *rec;
        char path[40];

        (void)snprintf(path, sizeof(path), "containers[%zu]", i);
        if (req->containers[i][0] == '\0')
            return nd_error_field(path, "is empty");
        ND_TRY(nd_container_find(cs, ns, req->containers[i], arena, &rec));
        all[i].cs = cs;
        all[i].ns = ns;
        all[i].id = rec->id;
    }
    return NULL;
}

/* Errors that nobody took. The fibers have ended. */
struct all_waiting {
    struct waiting *at;
    size_t n;
};

static void
free_errors(struct all_waiting *all)
{
    for (size_t i = 0; i < all->n; i++)
        nd_error_free(ND_TAKE(all->at[i].err));
}

struct nd_error *
nd_containers_wait(
    struct nd_containers *cs, const char *ns, const Pb__ContainerServiceWaitRequest *req,
    struct nd_error *(*reply)(void *arg, const Pb__ContainerServiceWaitResponse *rsp), void *arg)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_cond changed = {0};
    ND_AUTO(free_errors) struct all_waiting all = {NULL, 0};
    ND_AUTO(nd_group_endp) struct nd_group *group = NULL;

    if (req->n_containers == 0)
        return nd_error_field("containers", "is empty");
    if (req->n_containers > ND_WAIT_MAX_CONTAINERS)
        return nd_error_field("containers", "has more than %u entries", ND_WAIT_MAX_CONTAINERS);
    all.at = nd_arena_new_array(arena, req->n_containers, struct waiting);
    ND_TRY(find_all(cs, ns, req, arena, all.at));
    all.n = req->n_containers;
    group = nd_group_begin("wait for containers", 0);
    for (size_t i = 0; i < all.n; i++) {
        all.at[i].changed = &changed;
        ND_TRY(nd_group_spawn(group, wait_fiber, &all.at[i]));
    }
    return reply_in_order(all.at, all.n, reply, arg);
}
