/*
 * `run`: create, start, and unless detached follow until the end, as one call.
 *
 *   create ─▶ wait under way ─▶ start ─▶ told ─▶ output ... ─▶ exit code ─▶ (removal in the background)
 *
 * The lock is held from the making to the start, so nobody comes between. The answer is the exit
 * code and the output before it; a container that is to go is removed behind the answer, which need
 * not wait for that. A client that vanishes before the start leaves nothing; after it, the
 * container runs on.
 */

#include "base/log.h"

#include "creation_priv.h"
#include "launch_priv.h"
#include "remove_priv.h"
#include "shm_priv.h"
#include "stream_options_priv.h"

static void
launch_from_creation(const struct creation *c, struct launch *ret)
{
    *ret = (struct launch){
        .cs = c->cs,
        .ns = c->ns,
        .arena = c->arena,
        .id = c->id,
        .name = c->name,
        .snapshotter = c->image.snapshotter,
        .snapshot_key = c->id,
        .state = c->state,
        .log_uri = c->log_uri,
        .tty = c->plan->config->tty,
        .interactive = c->plan->config->interactive,
        .own_name = true,
        .shareable_shm = c->plan->ipc == PLAN_IPC_SHAREABLE,
        .shm_size = c->plan->config->shm_size,
        .mounts = c->mounts,
    };
}

/*
 * It cannot be started, or the client left before the start. As with docker a container that cannot
 * be started stays, unless it was to be removed. Takes `err`.
 */
static struct nd_error *
after_failure(struct creation *c, struct nd_error *err)
{
    bool left = nd_error_code(err) == ND_CANCELLED || nd_error_code(err) == ND_DEADLINE;
    struct nd_error *unwritten;

    if (left || c->plan->config->auto_remove)
        return err;
    unwritten = nd_change_commit(c->change);
    if (unwritten == NULL)
        return nd_error_meta(err, "container", c->id);
    nd_error_free(unwritten); /* then it goes, after all */
    return err;
}

/* What a launch adds; the task itself is gone already unless that failed. */
static struct nd_error *
undo_launch(void *arg)
{
    struct creation *c = arg;
    task *t;

    ND_TRY(nd_task_get(c->cs, c->ns, c->id, c->arena, &t));
    ND_TRY(nd_task_end(c->cs, c->ns, c->id, t));
    return nd_shm_unmount(nd_state_path(c->state));
}

/* Create and launch under one lock. */
static struct nd_error *
create_and_launch(struct creation *c, const Pb__RunOptions *options,
                  const struct nd_container_feed *feed, struct attached *attached)
{
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;
    struct launch *l = nd_arena_new_object(c->arena, struct launch);
    struct nd_undo_step step = {.fn = undo_launch, .arg = c, .what = "end the task"};
    struct nd_error *err;

    c->change = &change;
    ND_TRY(nd_creation_run(c, &hold));
    launch_from_creation(c, l);
    nd_change_undo(&change, &step);
    if (!options->detach)
        nd_launch_attach(l, options->stream, feed, attached);
    err = nd_launch(l);
    if (err != NULL)
        return after_failure(c, err);
    ND_TRY(nd_change_commit(&change)); /* it runs: a client that leaves now does not change that */
    nd_info("container runs", ND_KV("container", (const char *)c->id), ND_KV("name", c->name));
    return NULL;
}

static struct nd_error *
make_plan(struct creation *c, const Pb__RunOptions *options)
{
    ND_TRY(nd_stream_options_check(options->stream, false));
    return nd_plan_make(options->config, nd_host_facts(c->cs->host), nd_host_settings(c->cs->host),
                        c->arena, &c->plan);
}

struct nd_error *
nd_container_run(struct nd_containers *cs, const char *ns, const Pb__RunOptions *options,
                 const struct nd_container_feed *feed, struct nd_arena *arena)
{
    static const struct nd_container_feed silent = {0};
    struct creation *c = nd_arena_new_object(arena, struct creation);
    ND_AUTO(nd_attached_fini) struct attached attached = {0};
    struct nd_container_started started;
    bool ended;

    *c = (struct creation){
        .cs = cs, .ns = ns, .arena = arena, .will_start = true, .detached = options->detach};
    if (feed == NULL)
        feed = &silent;
    ND_TRY(make_plan(c, options));
    ND_TRY(create_and_launch(c, options, feed, &attached));
    started = (struct nd_container_started){
        .id = c->id, .warnings = c->plan->warnings, .n_warnings = c->plan->n_warnings};
    ND_TRY(nd_attached_tell(&attached, feed, &started));
    if (options->detach)
        return NULL;
    ND_TRY(nd_attached_join(&attached, arena, &ended));
    if (ended && c->plan->config->auto_remove)
        nd_remove_later(cs, ns, c->id);
    return NULL;
}
