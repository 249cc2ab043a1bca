/*
 * `start`: a container that does not run, again.
 *
 * A task that has ended cannot be started again: it is deleted, and a new one is made on the same
 * snapshot. When the client is attached it gets what is written from this start on.
 */

#include "base/log.h"
#include "container/lifecycle.h"

#include "changes_priv.h"
#include "launch_priv.h"
#include "remove_priv.h"
#include "start_priv.h"
#include "stream_options_priv.h"

static struct nd_error *
paused(const char *id)
{
    struct nd_error *err = nd_error_new(ND_PRECONDITION, "container %s is paused", id);

    err = nd_error_meta(nd_error_reason(err, "CONTAINER_PAUSED"), "exit_code", "125");
    return nd_error_hint(err, "unpause it");
}

/* `*ret` is the task that has ended and must make way, or NULL; `*ret_running`: it runs already. */
static struct nd_error *
find_task(const struct launch *l, task **ret, bool *ret_running)
{
    ND_TRY(nd_task_get(l->cs, l->ns, l->id, l->arena, ret));
    *ret_running = *ret != NULL && (*ret)->status == CT_TASKS__STATUS__RUNNING;
    if (*ret != NULL &&
        ((*ret)->status == CT_TASKS__STATUS__PAUSED || (*ret)->status == CT_TASKS__STATUS__PAUSING))
        return paused(l->id);
    return NULL;
}

static struct nd_error *
clear_task(const struct launch *l)
{
    ND_SHIELDED(ND_SHIELD_GRACE_NS);
    return nd_task_delete(l->cs, l->ns, l->id);
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

/* A start while it goes on. */
struct starting {
    struct nd_containers *cs;
    const char *ns;
    const Pb__StartOptions *options;
    const struct nd_container_feed *feed;
    struct launch *launch;
    struct attached attached;
};

/*
 * Nothing of a start outlives a power cut, so its intent need not. It is there before the old task
 * goes: containerd gives that up in the middle when we die, and leaves a shim that nobody knows.
 */
static struct nd_error *
launch(struct launch *l, const task *before)
{
    const struct nd_change_spec spec = {
        .kind = CHANGE_START,
        .ns = l->ns,
        .object = l->id,
        .payload =
            before != NULL ? nd_str(nd_arena_printf(l->arena, "%u", before->pid)) : ND_STR(""),
        .lazy = true,
    };
    ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;

    ND_TRY(nd_change_begin(l->cs->host, &spec, &change));
    ND_TRY(nd_change_ready(&change));
    if (before != NULL)
        ND_TRY(clear_task(l));
    ND_TRY(nd_launch(l));
    nd_change_settle(&change);
    return NULL;
}

/* A task that runs already is joined: what it writes from now on. */
static struct nd_error *
start_or_join(struct starting *s)
{
    struct launch *l = s->launch;
    bool running;
    task *before;

    ND_TRY(find_task(l, &before, &running));
    if (s->options->attach)
        nd_launch_attach(l, s->options->stream, s->feed, &s->attached);
    if (!running) {
        ND_TRY(launch(l, before));
        nd_info("container started", ND_KV("container", l->id));
    } else if (s->options->attach) {
        ND_TRY(nd_attached_open(&s->attached, ND_WIRE_NOW, l->since, l->arena));
    }
    return NULL;
}

/* Up to here under the lock; following is not. */
static struct nd_error *
start_locked(struct starting *s, struct nd_arena *arena)
{
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    record *rec;

    ND_TRY(nd_container_find_locked(s->cs, s->ns, s->options->container, arena, &rec, &hold));
    s->launch = nd_arena_new_object(arena, struct launch);
    ND_TRY(nd_launch_from_record(s->cs, s->ns, rec, arena, s->launch));
    return start_or_join(s);
}

static void
fini_start(struct starting *s)
{
    nd_attached_fini(&s->attached);
}

struct nd_error *
nd_container_start(struct nd_containers *cs, const char *ns, const Pb__StartOptions *options,
                   const struct nd_container_feed *feed, struct nd_arena *arena)
{
    static const struct nd_container_feed silent = {0};
    ND_AUTO(fini_start)
    struct starting s = {
        .cs = cs, .ns = ns, .options = options, .feed = feed != NULL ? feed : &silent};
    struct nd_container_started started = {0};

    if (options->attach)
        ND_TRY(nd_stream_options_check(options->stream, false));
    ND_TRY(start_locked(&s, arena));
    started.id = s.launch->id;
    ND_TRY(nd_attached_tell(&s.attached, s.feed, &started));
    return options->attach ? nd_attached_join(&s.attached, arena, NULL) : NULL;
}
