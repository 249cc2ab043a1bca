/*
 * `attach`: the streams of a container that runs already.
 *
 * A helper of ours is asked first. Where there is none, because another program started the container, its
 * log is followed from now on if it can be read; then there is no session and no input.
 */

#include "container/attach.h"

#include "store/state.h"

#include "attachment_priv.h"
#include "labels_priv.h"
#include "output_priv.h"
#include "start_priv.h"

/* An attach while it goes on. */
struct attaching {
    struct nd_containers *cs;
    const char *ns;
    const Pb__AttachOptions *options;
    const struct nd_container_feed *feed;
    struct nd_arena *arena;
    const record *rec;
    struct nd_state *state;
    struct attached attached;
};

static void
fini_attaching(struct attaching *at)
{
    nd_attached_fini(&at->attached);
    nd_state_free(at->state);
}

static struct nd_error *
not_running(const char *id)
{
    struct nd_error *err = nd_error_new(ND_PRECONDITION, "container %.12s is not running", id);

    return nd_error_hint(nd_error_reason(err, "CONTAINER_NOT_RUNNING"), "start it first");
}

static bool
resumes(const Pb__StreamOptions *options)
{
    return options != NULL && options->session_id[0] != '\0';
}

/* A session may outlive its process by a moment: its last bytes and exit code are still to be had. */
static struct nd_error *
check_running(struct attaching *at)
{
    task *t;

    ND_TRY(nd_task_get(at->cs, at->ns, at->rec->id, at->arena, &t));
    if (t == NULL || (t->status == CT_TASKS__STATUS__STOPPED && !resumes(at->options->stream)))
        return not_running(at->rec->id);
    return NULL;
}

static struct nd_error *
open_streams(struct attaching *at)
{
    struct nd_attachment *a = &at->attached.streams;

    *a = (struct nd_attachment){
        .process = {.cs = at->cs, .ns = at->ns, .id = at->rec->id, .exec_id = ""},
        .feed = at->feed,
        .options = at->options->stream,
        .takes_input = true,
        .hold_ms = ND_SESSION_HOLD_MS,
        .patience_ms = ND_SESSION_PATIENCE_MS,
    };
    at->attached.has_streams = true;
    return nd_attachment_open(a, nd_arena_printf(at->arena, "%s/streams", nd_state_path(at->state)),
                              ND_WIRE_NOW);
}

static struct nd_error *
open_log(struct attaching *at)
{
    struct attached *a = &at->attached;
    struct nd_log_config config;
    struct nd_error *err = nd_state_read_log_config(at->state, at->arena, &config);

    if (err != NULL || strcmp(config.driver, "json-file") != 0) {
        nd_error_free(err);
        return nd_error_reason(
            nd_error_new(ND_PRECONDITION,
                         "the output of container %.12s can be had neither from a helper of ours "
                         "nor from a log",
                         at->rec->id),
            "STREAMS_NOT_READABLE");
    }
    a->has_streams = false;
    a->follows = true;
    a->follower = (struct follower){.cs = at->cs,
                                    .state = at->state,
                                    .since = nd_wall_now(),
                                    .exit = &a->exit,
                                    .feed = at->feed,
                                    .launched = true};
    return nd_follower_begin(&a->follower, a->group);
}

static struct nd_error *
open_attached(struct attaching *at)
{
    struct attached *a = &at->attached;
    struct nd_error *err;

    a->feed = at->feed;
    a->group = nd_group_begin("attached", 0);
    a->use = nd_hold_use(at->cs, at->ns, at->rec->id);
    a->exit = (struct exit_watch){.cs = at->cs, .ns = at->ns, .id = at->rec->id};
    ND_TRY(check_running(at));
    ND_TRY(nd_exit_watch_begin(&a->exit, a->group));
    err = open_streams(at);
    if (nd_error_code(err) != ND_NOT_FOUND || resumes(at->options->stream))
        return err;
    nd_error_free(err);
    return open_log(at);
}

/* Without a session, say so. */
static struct nd_error *
tell_of_log(struct attaching *at)
{
    Pb__StreamEvent event = PB__STREAM_EVENT__INIT;
    Pb__StreamSession session = PB__STREAM_SESSION__INIT;

    if (at->attached.has_streams || at->feed->event == NULL)
        return NULL;
    session.source = PB__OUTPUT_SOURCE__OUTPUT_SOURCE_LOG;
    event.event_case = PB__STREAM_EVENT__EVENT_SESSION;
    event.session = &session;
    return at->feed->event(at->feed->arg, &event);
}

struct nd_error *
nd_container_attach(struct nd_containers *cs, const char *ns, const Pb__AttachOptions *options,
                    const struct nd_container_feed *feed, struct nd_arena *arena,
                    Pb__ExitStatus **ret_exit)
{
    ND_AUTO(fini_attaching)
    struct attaching at = {.cs = cs, .ns = ns, .options = options, .feed = feed, .arena = arena};
    struct nd_store *store;
    struct task_exit end;
    record *rec;

    if (nd_session_find_finished(cs, options->stream, &end)) {
        *ret_exit = nd_exit_status(&end, arena);
        return feed->started(feed->arg, &(struct nd_container_started){.id = options->container});
    }
    ND_TRY(nd_container_find(cs, ns, options->container, arena, &rec));
    at.rec = rec;
    ND_TRY(nd_containers_store(cs, &store));
    ND_TRY(nd_state_new(store, ns, rec->id, &at.state));
    ND_TRY(open_attached(&at));
    ND_TRY(feed->started(feed->arg, &(struct nd_container_started){.id = rec->id}));
    ND_TRY(tell_of_log(&at));
    *ret_exit = NULL;
    ND_TRY(nd_attached_join(&at.attached, &end));
    if (!nd_attached_has_left(&at.attached))
        *ret_exit = nd_exit_status(&end, arena);
    return NULL;
}

struct nd_error *
nd_container_resize(struct nd_containers *cs, const char *ns,
                    const Pb__ContainerServiceResizeRequest *req, struct nd_arena *arena,
                    Pb__ContainerServiceResizeResponse *rsp)
{
    struct process_name process = {.cs = cs, .ns = ns, .exec_id = req->exec_id};
    record *rec;
    task *t;

    if (req->size == NULL)
        return nd_error_field("size", "is missing");
    ND_TRY(nd_container_find(cs, ns, req->container, arena, &rec));
    ND_TRY(nd_task_get(cs, ns, rec->id, arena, &t));
    if (t == NULL || t->status == CT_TASKS__STATUS__STOPPED)
        return not_running(rec->id);
    process.id = rec->id;
    ND_TRY(nd_process_resize(&process, req->size));
    rsp->container_id = rec->id;
    return NULL;
}
