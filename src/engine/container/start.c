/*
 * `start`: a container that does not run, again; and what `run` shares with it, following the output of what
 * was started.
 *
 * A task that has ended cannot be started again: it is deleted, and a new one is made on the same snapshot.
 * When the client is attached it gets what is written from this start on.
 */

#include "base/log.h"
#include "container/lifecycle.h"

#include "changes_priv.h"
#include "launch_priv.h"
#include "output_priv.h"
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

void
nd_attached_fini(struct attached *a)
{
    nd_attachment_fini(&a->streams);
    nd_group_end(a->group);
    nd_exit_watch_fini(&a->exit);
    nd_follower_fini(&a->follower);
    nd_hold_unusep(&a->use);
}

bool
nd_attached_has_left(const struct attached *a)
{
    return a->has_streams && a->streams.detached;
}

struct nd_error *
nd_attached_tell(const struct attached *a, const struct nd_container_feed *feed,
                 struct nd_container_started *started)
{
    char session[ND_SESSION_TEXT_SIZE];

    if (feed->started == NULL)
        return NULL;
    if (a->has_streams) {
        nd_session_format(a->streams.session, session);
        started->session = session;
    }
    return feed->started(feed->arg, started);
}

/* Who starts a process in the foreground may hold it up as long as he is there. */
static void
prepare_streams(struct attached *a, struct launch *l, const Pb__StreamOptions *options,
                const struct nd_container_feed *feed)
{
    a->has_streams = true;
    a->streams = (struct nd_attachment){
        .process = {.cs = l->cs, .ns = l->ns, .id = l->id, .exec_id = ""},
        .feed = feed,
        .options = options,
        .takes_input = l->interactive,
        .hold_ms = ND_SESSION_HOLD_MS,
        .patience_ms = ND_WIRE_FOR_EVER,
    };
    l->attachment = &a->streams;
}

struct nd_error *
nd_attach(struct attached *a, struct launch *l, struct nd_wall since,
          const Pb__StreamOptions *options, const struct nd_container_feed *feed)
{
    a->feed = feed;
    a->group = nd_group_begin("attached", 0);
    a->use = nd_hold_use(l->cs, l->ns, l->id);
    a->exit = (struct exit_watch){.cs = l->cs, .ns = l->ns, .id = l->id};
    l->exit = &a->exit;
    l->group = a->group;
    if (options != NULL && options->session_id[0] != '\0')
        return nd_error_field("stream.session_id", "is for Attach: this is the beginning");
    if (feed->output != NULL && nd_launch_has_streams(l)) {
        prepare_streams(a, l, options, feed);
        return NULL;
    }
    if (feed->output == NULL || !nd_launch_has_log(l))
        return NULL;
    a->follows = true;
    a->follower = (struct follower){
        .cs = l->cs, .state = l->state, .since = since, .exit = &a->exit, .feed = feed};
    return nd_follower_begin(&a->follower, a->group);
}

struct nd_error *
nd_attached_join(struct attached *a, struct task_exit *ret)
{
    if (a->has_streams) {
        ND_TRY(nd_attachment_begin(&a->streams));
        ND_TRY(nd_attachment_pump(&a->streams));
        if (a->streams.detached)
            return NULL;
    } else if (a->feed->attached != NULL) {
        a->feed->attached(a->feed->arg, NULL);
    }
    if (a->follows) {
        nd_follower_told(&a->follower);
        ND_TRY(nd_follower_join(&a->follower));
    }
    ND_TRY(nd_exit_watch_join(&a->exit, ret));
    if (a->has_streams)
        nd_attachment_finish(&a->streams, ret);
    return NULL;
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

/* Nothing of a start outlives a power cut, so its intent need not. */
static struct nd_error *
launch(struct launch *l)
{
    const struct nd_change_spec spec = {
        .kind = CHANGE_START, .ns = l->ns, .object = l->id, .lazy = true};
    ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;

    ND_TRY(nd_change_begin(l->cs->host, &spec, &change));
    ND_TRY(nd_change_ready(&change));
    ND_TRY(nd_launch(l));
    nd_change_settle(&change);
    return NULL;
}

/* A task that runs already is joined: what it writes from now on. */
static struct nd_error *
start_or_join(struct starting *s)
{
    struct launch *l = s->launch;
    struct nd_wall since = nd_wall_now();
    bool running;

    ND_TRY(clear_task(l->cs, l->ns, l->id, l->arena, &running));
    if (s->options->attach)
        ND_TRY(nd_attach(&s->attached, l, since, s->options->stream, s->feed));
    if (!running) {
        ND_TRY(launch(l));
        nd_info("container started", ND_KV("container", l->id));
    } else if (s->options->attach) {
        if (s->attached.has_streams)
            ND_TRY(nd_attachment_open(&s->attached.streams, nd_launch_folder(l), ND_WIRE_NOW));
        ND_TRY(nd_exit_watch_begin(&s->attached.exit, s->attached.group));
    }
    if (s->attached.follows)
        nd_follower_launched(&s->attached.follower);
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
                   const struct nd_container_feed *feed, struct nd_arena *arena,
                   Pb__ExitStatus **ret_exit)
{
    static const struct nd_container_feed silent = {0};
    ND_AUTO(fini_start)
    struct starting s = {
        .cs = cs, .ns = ns, .options = options, .feed = feed != NULL ? feed : &silent};
    struct nd_container_started started = {0};
    struct task_exit end;

    ND_TRY(start_locked(&s, arena));
    started.id = s.launch->id;
    ND_TRY(nd_attached_tell(&s.attached, s.feed, &started));
    *ret_exit = NULL;
    if (!options->attach)
        return NULL;
    ND_TRY(nd_attached_join(&s.attached, &end));
    if (nd_attached_has_left(&s.attached))
        return NULL;
    *ret_exit = nd_exit_status(&end, arena);
    return NULL;
}
