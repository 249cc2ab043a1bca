/*
 * From a container to a running task.
 *
 *   shared memory, name ─▶ Tasks.Create ─▶ Tasks.Wait (attached) ─┬─▶ Tasks.Start ──────────────────┬─▶
 *                                                                 └─▶ lifecycle.json, labels        ┘
 *
 * Creating the task is where the time goes (the shim starts, runc sets the container up), so
 * nothing that can wait stands before it. Neither call is cut short: a create that is cancelled
 * leaves containerd cleaning up for seconds, in which the id cannot be used. What is written beside
 * the start (when it began, that nobody stopped it) is told as a warning when it fails, because the
 * process runs by then.
 *
 * Containers that nerdctl made have hooks in their spec, which runc runs: these take the name and
 * write lifecycle.json. For ours the engine does it here.
 */

#include "base/log.h"
#include "container/limits.h"
#include "store/names.h"

#include "labels_priv.h"
#include "launch_priv.h"
#include "shm_priv.h"

/* An arena's worth of an error's text: a label has 4096 bytes with its key. */
#define ERROR_LABEL_MAX 3000u

bool
nd_launch_has_log(const struct launch *l)
{
    return l->log_uri[0] != '\0' && strcmp(l->log_uri, "none") != 0;
}

static struct nd_error *
create_task(struct launch *l)
{
    CtTasks__CreateRequest req = CT_TASKS__CREATE_REQUEST__INIT;
    CtTasks__CreateResponse *rsp;
    struct task_streams streams;
    struct nd_error *err;

    if (l->mounts.n == 0)
        ND_TRY(nd_snapshot_mounts(l->cs, l->ns, l->snapshotter, l->snapshot_key, l->arena,
                                  &l->mounts));
    req.container_id = (char *)l->id;
    req.n_rootfs = l->mounts.n;
    req.rootfs = l->mounts.at;
    req.terminal = l->tty;
    ND_TRY(nd_launch_streams(l, &streams));
    req.stdin = (char *)streams.stdin;
    req.stdout = (char *)streams.stdout;
    req.stderr = (char *)streams.stderr;
    nd_doing("create task");
    err = nd_ctrd_call(nd_host_ctrd(l->cs->host), (struct nd_ctrd_scope){.ns = l->ns},
                       CT_TASKS_CREATE, &req, l->arena, &rsp);
    if (err != NULL)
        nd_launch_streams_undo(l);
    else if (l->attached != NULL)
        l->attached->exit.pid = rsp->pid;
    return err;
}

static struct nd_error *
start_task(struct launch *l)
{
    CtTasks__StartRequest req = CT_TASKS__START_REQUEST__INIT;
    CtTasks__StartResponse *rsp;

    req.container_id = (char *)l->id;
    nd_doing("start task");
    return nd_ctrd_call(nd_host_ctrd(l->cs->host), (struct nd_ctrd_scope){.ns = l->ns},
                        CT_TASKS_START, &req, l->arena, &rsp);
}

/* Beside the start: what others want to know of it. */
static struct nd_error *
write_marks(void *arg)
{
    struct launch *l = arg;
    const struct nd_lifecycle lifecycle = {.started_at = nd_wall_now()};

    if (!l->has_hooks)
        ND_TRY_DOING(nd_state_write_lifecycle(l->state, &lifecycle), "note the start");
    if (l->mark_running)
        ND_TRY(nd_container_record_set_label(l->cs, l->ns, l->id, LABEL_RESTART_STATUS, "running"));
    if (l->mark_started)
        ND_TRY(nd_container_record_set_label(l->cs, l->ns, l->id, LABEL_STOPPED, "false"));
    return NULL;
}

static struct nd_error *
start_and_mark(struct launch *l)
{
    ND_AUTO(nd_group_endp)
    struct nd_group *beside = nd_group_begin_independent("start container", 0);
    struct nd_error *err = nd_group_spawn_now(beside, write_marks, l);

    ND_TRY(err);
    ND_TRY(start_task(l));
    return nd_group_wait(beside);
}

static struct nd_error *
prepare_host(struct launch *l)
{
    struct nd_store *store;
    struct nd_error *err;

    if (l->shareable_shm)
        ND_TRY(nd_shm_mount(nd_state_path(l->state), l->shm_size));
    if (l->own_name || l->has_hooks || l->name[0] == '\0')
        return NULL;
    /* The name may have been freed with the last task, and taken by somebody else since. */
    ND_TRY(nd_containers_store(l->cs, &store));
    err = nd_name_acquire(store, l->ns, l->name, l->id);
    if (err != NULL)
        nd_warn("container is started without its name", ND_KV("container", l->id),
                ND_KV("name", l->name), ND_KV("error", err));
    nd_error_free(err);
    return NULL;
}

/* Takes `err`, and leaves it in the record for inspect. */
static struct nd_error *
note_failure(struct launch *l, struct nd_error *err)
{
    struct nd_str text = nd_str_sub(nd_str(nd_error_message(err)), 0, ERROR_LABEL_MAX);
    struct nd_error *label;

    while (text.len > 0 && !nd_str_is_utf8(text))
        text.len--;
    label = nd_container_record_set_label(l->cs, l->ns, l->id, LABEL_ERROR,
                                          nd_arena_str(l->arena, text));
    if (label != NULL)
        nd_warn("error is not in the record", ND_KV("container", l->id), ND_KV("error", label));
    nd_error_free(label);
    return err;
}

void
nd_launch_attach(struct launch *l, const Pb__StreamOptions *options,
                 const struct nd_container_feed *feed, struct attached *attached)
{
    const struct attached_to to = {
        .cs = l->cs,
        .ns = l->ns,
        .id = l->id,
        .state = l->state,
        .options = options,
        .feed = feed,
        .takes_input = l->interactive,
        .patience_ms = ND_WIRE_FOR_EVER,
    };

    nd_attached_begin(attached, &to);
    l->attached = attached;
    l->since = nd_wall_now();
}

static struct nd_error *
launch_shielded(struct launch *l)
{
    struct nd_error *err, *undo;

    ND_TRY(prepare_host(l));
    err = create_task(l);
    if (nd_error_code(err) == ND_EXISTS) {
        /* There was no task: this is the shim of one that containerd died over while it made it. */
        nd_error_free(err);
        ND_TRY(nd_task_delete(l->cs, l->ns, l->id));
        err = create_task(l);
    }
    if (err != NULL)
        return note_failure(l, nd_start_error(err));
    nd_launch_streams_ready(l);
    if (l->attached != NULL)
        err = nd_attached_open(l->attached, 0, l->since, l->arena);
    if (err == NULL)
        err = start_and_mark(l);
    if (err == NULL)
        return NULL;
    if (l->attached != NULL)
        l->attached->streams.is_over = true; /* there is nothing to come back for */
    undo = nd_task_delete(l->cs, l->ns, l->id);
    if (undo != NULL)
        nd_warn("task that could not be started stays", ND_KV("container", l->id),
                ND_KV("error", undo));
    nd_error_free(undo);
    return note_failure(l, nd_start_error(err));
}

struct nd_error *
nd_launch(struct launch *l)
{
    ND_TRY(nd_ctx_check());
    ND_SHIELDED(ND_TASK_CREATE_NS);
    return launch_shielded(l);
}

/*
 * What shares a namespace of another container by its process has a path in its spec that goes
 * stale.
 */
static struct nd_error *
check_startable(const record *rec, struct nd_arena *arena, const struct nd_json *ipc)
{
    const struct nd_json *networks;
    struct nd_str network, mode;
    const char *what = NULL;

    nd_container_record_json_label(rec, LABEL_NETWORKS, arena, &networks);
    network = nd_json_string(nd_json_at(networks, 0));
    mode = nd_json_string(nd_json_find(ipc, "mode"));
    if (nd_str_starts(network, ND_STR("container:")))
        what = "network";
    else if (nd_container_record_label(rec, LABEL_PID_CONTAINER) != NULL)
        what = "process";
    else if (nd_str_eqz(mode, "container"))
        what = "IPC";
    if (what == NULL)
        return NULL;
    return nd_error_hint(
        nd_error_reason(
            nd_error_new(ND_UNIMPLEMENTED,
                         "container %.12s shares the %s namespace of another container: "
                         "starting it is not part of this version",
                         rec->id, what),
            "NOT_SUPPORTED"),
        "start it with the nerdctl command");
}

static void
free_state(void *state)
{
    nd_state_free(state);
}

struct nd_error *
nd_launch_from_record(struct nd_containers *cs, const char *ns, const record *rec,
                      struct nd_arena *arena, struct launch *ret)
{
    const struct nd_json *spec, *ipc;
    const char *uri = nd_container_record_label(rec, LABEL_LOG_URI);
    struct launch l = {.cs = cs, .ns = ns, .arena = arena, .id = rec->id};
    struct nd_store *store;

    nd_container_record_json_label(rec, LABEL_IPC, arena, &ipc);
    ND_TRY(check_startable(rec, arena, ipc));
    ND_TRY(nd_container_record_spec(rec, arena, &spec));
    ND_TRY(nd_json_get_bool(nd_json_find(spec, "process"), "terminal", &l.tty));
    ND_TRY(nd_containers_store(cs, &store));
    ND_TRY(nd_state_new(store, ns, rec->id, &l.state));
    nd_arena_defer(arena, free_state, l.state);
    l.name = nd_container_record_name(rec);
    l.snapshotter = rec->snapshotter;
    l.snapshot_key = rec->snapshot_key;
    l.log_uri = uri != NULL ? uri : "";
    l.interactive = nd_container_record_label_is(rec, LABEL_INTERACTIVE, "true");
    l.has_hooks = nd_json_find(spec, "hooks") != NULL;
    l.mark_started = !nd_container_record_label_is(rec, LABEL_STOPPED, "false");
    l.mark_running = nd_container_record_label(rec, LABEL_RESTART_POLICY) != NULL;
    l.shareable_shm = nd_str_eqz(nd_json_string(nd_json_find(ipc, "mode")), "shareable");
    l.shm_size = nd_ipc_shm_size(ipc);
    *ret = l;
    return NULL;
}
