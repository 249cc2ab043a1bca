/*
 * `start`: a container that does not run, again; and what `run` shares with it, following the output of what
 * was started.
 *
 * A task that has ended cannot be started again: it is deleted, and a new one is made on the same snapshot.
 * When the client is attached it gets what is written from this start on.
 */

#include "base/log.h"
#include "container/lifecycle.h"

#include "launch_priv.h"
#include "output_priv.h"
#include "plan_priv.h"
#include "remove_priv.h"
#include "start_priv.h"

static struct nd_error *
paused(const char *id)
{
    struct nd_error *err = nd_error_new(ND_PRECONDITION, "container %s is paused", id);

    err = nd_error_meta(nd_error_reason(err, "CONTAINER_PAUSED"), "exit_code", "125");
    return nd_error_hint(err, "unpause it");
}

/* Make way for a new task. `*ret` says that it runs already. */
static struct nd_error *
clear_task(struct nd_containers *cs, const char *ns, const char *id, struct nd_arena *arena,
           bool *ret)
{
    task *t;

    *ret = false;
    ND_TRY(nd_task_get(cs, ns, id, arena, &t));
    if (t == NULL)
        return NULL;
    switch (t->status) {
    case CT_TASKS__STATUS__RUNNING:
        *ret = true;
        return NULL;
    case CT_TASKS__STATUS__PAUSED:
    case CT_TASKS__STATUS__PAUSING:
        return paused(id);
    default:
        break;
    }
    ND_SHIELDED(ND_SHIELD_GRACE_NS);
    return nd_task_delete(cs, ns, id);
}

Pb__ExitStatus *
nd_exit_status(const struct task_exit *exit, struct nd_arena *arena)
{
    Pb__ExitStatus *status = nd_arena_new_object(arena, Pb__ExitStatus);

    pb__exit_status__init(status);
    status->code = exit->code;
    status->exited_at = nd_timestamp_of(exit->at, arena);
    return status;
}

struct nd_error *
nd_follow_to_end(struct launch *l, struct nd_wall since, const struct nd_container_feed *feed,
                 struct task_exit *ret)
{
    if (feed->output != NULL && nd_launch_has_log(l))
        ND_TRY(nd_output_follow(l->cs, l->state, since, l->exit, feed));
    return nd_exit_watch_join(l->exit, ret);
}

static struct nd_error *
start_or_join(struct nd_containers *cs, const char *ns, const Pb__StartOptions *options,
              struct nd_arena *arena, struct launch *l, struct hold **ret_use, bool *ret_running)
{
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    struct exit_watch *exit = l->exit;
    struct nd_group *group = l->group;
    record *rec;

    ND_TRY(nd_container_find_locked(cs, ns, options->container, arena, &rec, &hold));
    ND_TRY(nd_launch_from_record(cs, ns, rec, arena, l));
    l->exit = exit;
    l->group = group;
    if (exit != NULL) {
        if (l->tty)
            return nd_not_yet("attach",
                              "attaching to a terminal (tty) is not part of this version");
        *exit = (struct exit_watch){.cs = cs, .ns = ns, .id = rec->id};
        *ret_use = nd_hold_use(cs, ns, rec->id);
    }
    ND_TRY(clear_task(cs, ns, rec->id, arena, ret_running));
    if (*ret_running)
        return exit != NULL ? nd_exit_watch_begin(exit, group) : NULL;
    ND_TRY(nd_launch(l));
    nd_info("container started", ND_KV("container", (const char *)rec->id));
    return NULL;
}

struct nd_error *
nd_container_start(struct nd_containers *cs, const char *ns, const Pb__StartOptions *options,
                   const struct nd_container_feed *feed, struct nd_arena *arena,
                   Pb__ExitStatus **ret_exit)
{
    static const struct nd_container_feed silent = {0};
    struct nd_wall since = nd_wall_now();
    ND_AUTO(nd_hold_unusep) struct hold *use = NULL;
    ND_AUTO(nd_exit_watch_fini) struct exit_watch exit = {0};
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("start", 0);
    struct launch l = {.exit = options->attach ? &exit : NULL, .group = group};
    struct task_exit end;
    bool running;

    if (feed == NULL)
        feed = &silent;
    ND_TRY(start_or_join(cs, ns, options, arena, &l, &use, &running));
    if (feed->started != NULL)
        ND_TRY(feed->started(feed->arg, l.id, NULL, 0));
    *ret_exit = NULL;
    if (!options->attach)
        return NULL;
    ND_TRY(nd_follow_to_end(&l, since, feed, &end));
    *ret_exit = nd_exit_status(&end, arena);
    return NULL;
}
