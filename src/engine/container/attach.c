/*
 * `attach`: the streams of a container that runs already.
 *
 * A helper of ours is asked first. Where there is none, because another program started the
 * container, its log is followed from now on if it can be read; then there is no session and no
 * input.
 */

#include "container/attach.h"

#include "store/state.h"

#include "attached_priv.h"
#include "start_priv.h"
#include "stream_options_priv.h"

#define EXEC_ID_MAX 76u /* containerd's limit of identifiers */

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

/*
 * A session may outlive its process by a moment: its last bytes and exit code are still to be had.
 */
static struct nd_error *
check_running(struct attaching *at)
{
    task *t;

    ND_TRY(nd_task_get(at->cs, at->ns, at->rec->id, at->arena, &t));
    if (t == NULL ||
        (t->status == CT_TASKS__STATUS__STOPPED && !nd_session_is_named(at->options->stream)))
        return not_running(at->rec->id);
    at->attached.exit.pid = t->pid;
    return NULL;
}

static struct nd_error *
not_readable(const char *id)
{
    return nd_error_reason(
        nd_error_new(ND_PRECONDITION,
                     "the output of container %.12s can be had neither from a helper of ours "
                     "nor from a log",
                     id),
        "STREAMS_NOT_READABLE");
}

static struct nd_error *
open_attached(struct attaching *at)
{
    const struct attached_to to = {
        .cs = at->cs,
        .ns = at->ns,
        .id = at->rec->id,
        .state = at->state,
        .options = at->options->stream,
        .feed = at->feed,
        .takes_input = true,
        .patience_ms = ND_SESSION_PATIENCE_MS,
    };

    nd_attached_begin(&at->attached, &to);
    ND_TRY(check_running(at));
    ND_TRY(nd_attached_open(&at->attached, ND_WIRE_NOW, nd_wall_now(), at->arena));
    return nd_attached_is_fed(&at->attached) ? NULL : not_readable(at->rec->id);
}

struct nd_error *
nd_container_attach(struct nd_containers *cs, const char *ns, const Pb__AttachOptions *options,
                    const struct nd_container_feed *feed, struct nd_arena *arena)
{
    ND_AUTO(fini_attaching)
    struct attaching at = {.cs = cs, .ns = ns, .options = options, .feed = feed, .arena = arena};
    struct nd_store *store;
    struct task_exit end;
    record *rec;

    ND_TRY(nd_stream_options_check(options->stream, true));
    if (nd_session_find_finished(cs, options->stream, &end)) {
        ND_TRY(feed->started(feed->arg, &(struct nd_container_started){.id = options->container}));
        return feed->ended(feed->arg, nd_exit_status(&end, arena));
    }
    ND_TRY(nd_container_find(cs, ns, options->container, arena, &rec));
    at.rec = rec;
    ND_TRY(nd_containers_store(cs, &store));
    ND_TRY(nd_state_new(store, ns, rec->id, &at.state));
    ND_TRY(open_attached(&at));
    ND_TRY(feed->started(feed->arg, &(struct nd_container_started){.id = rec->id}));
    return nd_attached_join(&at.attached, arena, NULL);
}

/* Ids of commands are containerd's: ours and those of other programs. */
static struct nd_error *
check_exec_id(const char *id)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    if (strlen(id) > EXEC_ID_MAX || strspn(id, allowed) != strlen(id))
        return nd_error_field("exec_id", "is no command's");
    return NULL;
}

static struct nd_error *
check_has_terminal(const record *rec, struct nd_arena *arena)
{
    const struct nd_json *spec;
    bool terminal = false;

    ND_TRY(nd_container_record_spec(rec, arena, &spec));
    ND_TRY(nd_json_get_bool(nd_json_find(spec, "process"), "terminal", &terminal));
    if (terminal)
        return NULL;
    return nd_error_reason(
        nd_error_new(ND_PRECONDITION, "container %.12s has no terminal", rec->id), "NO_TERMINAL");
}

/* Takes `err`. That it has just ended its shim says without a code. */
static struct nd_error *
tell_missing(struct nd_error *err, const record *rec, const char *exec_id)
{
    if (nd_error_code(err) != ND_NOT_FOUND && nd_error_code(err) != ND_UNKNOWN)
        return err;
    nd_error_free(err);
    if (exec_id[0] == '\0')
        return not_running(rec->id);
    return nd_error_reason(
        nd_error_new(ND_NOT_FOUND, "no command %s runs in container %.12s", exec_id, rec->id),
        "COMMAND_NOT_FOUND");
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
    ND_TRY(nd_terminal_size_check(req->size, "size"));
    ND_TRY(check_exec_id(req->exec_id));
    ND_TRY(nd_container_find(cs, ns, req->container, arena, &rec));
    ND_TRY(nd_task_get(cs, ns, rec->id, arena, &t));
    if (t == NULL || t->status == CT_TASKS__STATUS__STOPPED)
        return not_running(rec->id);
    if (req->exec_id[0] == '\0')
        ND_TRY(check_has_terminal(rec, arena));
    process.id = rec->id;
    ND_TRY(tell_missing(nd_process_resize(&process, req->size), rec, req->exec_id));
    rsp->container_id = rec->id;
    return NULL;
}
