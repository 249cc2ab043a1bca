/*
 * `exec`: a command in a container that runs.
 *
 *   look ─▶ FIFOs ─▶ helper ─▶ Tasks.Exec ─▶ attach ─▶ Tasks.Start ─┬─▶ streams, exit code  (the call)
 *                                                                 └─▶ reaping             (background)
 *
 * The command belongs to nobody's call: its helper holds its streams, and the background forgets it
 * when it has ended and nobody wants its output any more. So a client may vanish at any moment and
 * come back by the name of its session; what it has not acknowledged is still there, and the
 * command waits.
 */

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/random.h"
#include "codec/pb.h"
#include "container/attach.h"
#include "store/state.h"
#include "stream/folder.h"

#include "attachment_priv.h"
#include "changes_priv.h"
#include "exec_priv.h"
#include "launch_priv.h"
#include "remove_priv.h"
#include "start_priv.h"
#include "stream_options_priv.h"

/* A command and the call about it. */
struct exec {
    struct nd_containers *cs;
    const char *ns;
    const Pb__ExecOptions *options;
    const struct nd_container_feed *feed;
    struct nd_arena *arena;
    const record *rec;
    struct nd_state *state;
    struct process_name process;
    char id[33];
    uint8_t session[ND_WIRE_SESSION]; /* of who begins it */
    const char *folder;
    struct nd_buf spec;

    /* The wait for its end, under way before anybody can forget it. */
    struct nd_group *group;
    struct task_exit exit;
    bool ended;
    struct nd_error *err;
    struct nd_cond changed;

    struct nd_attachment attachment;
};

static void
fini_exec(struct exec *e)
{
    nd_attachment_fini(&e->attachment);
    nd_group_end(e->group);
    nd_error_free(ND_TAKE(e->err));
    nd_state_free(e->state);
    nd_buf_fini(&e->spec);
}

const char *
nd_exec_folder(const char *state_path, const char *exec_id, struct nd_arena *arena)
{
    return nd_arena_printf(arena, "%s/exec/%s", state_path, exec_id);
}

static struct nd_error *
check_task(const struct exec *e, uint32_t *ret_pid)
{
    struct nd_error *err;
    task *t;

    ND_TRY(nd_task_get(e->cs, e->ns, e->rec->id, e->arena, &t));
    if (t != NULL && t->status == CT_TASKS__STATUS__RUNNING) {
        *ret_pid = t->pid;
        return NULL;
    }
    if (t != NULL &&
        (t->status == CT_TASKS__STATUS__PAUSED || t->status == CT_TASKS__STATUS__PAUSING)) {
        err = nd_error_new(ND_PRECONDITION, "container %.12s is paused", e->rec->id);
        return nd_error_hint(nd_error_reason(err, "CONTAINER_PAUSED"), "unpause it");
    }
    err = nd_error_new(ND_PRECONDITION, "container %.12s is not running", e->rec->id);
    return nd_error_hint(nd_error_reason(err, "CONTAINER_NOT_RUNNING"), "start it first");
}

static struct nd_error *
run_wait(void *arg)
{
    struct exec *e = arg;

    e->err = nd_exec_wait(&e->process, &e->exit);
    e->ended = true;
    nd_cond_broadcast(&e->changed);
    return NULL; /* whoever joins gets the error */
}

static struct nd_error *
begin_wait(struct exec *e)
{
    return nd_group_spawn(e->group, run_wait, e);
}

static struct nd_error *
make_streams(struct exec *e)
{
    const struct nd_streams_helper helper = {
        .program = nd_host_settings(e->cs->host)->helper_path,
        .folder = e->folder,
        .tty = e->options->tty,
    };
    const char *above = nd_arena_printf(e->arena, "%s/exec", nd_state_path(e->state));

    if (mkdir(above, 0700) < 0 && errno != EEXIST)
        return nd_error_errno(errno, "make %s", above);
    ND_TRY(nd_streams_folder_make(e->folder, (e->options->interactive ? ND_FIFO_STDIN : 0u) |
                                                 ND_FIFO_STDOUT |
                                                 (e->options->tty ? 0u : ND_FIFO_STDERR)));
    return nd_streams_helper_start(&helper);
}

static struct nd_error *
register_command(struct exec *e)
{
    const struct exec_io io = {
        .stdin = e->options->interactive ? nd_arena_printf(e->arena, "%s/stdin", e->folder) : "",
        .stdout = nd_arena_printf(e->arena, "%s/stdout", e->folder),
        .stderr = e->options->tty ? "" : nd_arena_printf(e->arena, "%s/stderr", e->folder),
        .tty = e->options->tty,
        .spec = nd_buf_str(&e->spec),
    };

    return nd_exec_register(&e->process, &io);
}

static struct nd_error *
open_attachment(struct exec *e)
{
    e->attachment = (struct nd_attachment){
        .process = e->process,
        .feed = e->feed,
        .options = e->options->stream,
        .takes_input = true,
        .hold_ms = nd_session_hold_ms(e->cs),
        .patience_ms = ND_WIRE_FOR_EVER,
        .name = e->session,
    };
    return nd_attachment_open(&e->attachment, e->folder, 0);
}

/* Registered, and not begun: the wait can be asked for, and the client is attached. */
static struct nd_error *
start_command(struct exec *e)
{
    struct nd_error *err;

    if (!e->options->detach) {
        ND_TRY(open_attachment(e));
        ND_TRY(begin_wait(e));
    }
    err = nd_exec_start(&e->process);
    nd_streams_folder_hide(e->folder);
    return err != NULL ? nd_start_error(err) : NULL;
}

/* What containerd has to know: of which container, which runs, and what the command runs as. */
static struct nd_error *
tell_containerd(struct exec *e)
{
    uint32_t pid = 0;

    ND_TRY(check_task(e, &pid));
    e->spec = ND_BUF_INIT(ND_EXEC_SPEC_MAX);
    ND_TRY(nd_exec_process(e->cs, e->options, e->rec, pid, e->arena, &e->spec));
    return register_command(e);
}

static struct nd_error *
run_tell(void *arg)
{
    struct exec *e = arg;

    e->err = tell_containerd(e);
    return NULL; /* the other side is brought to its end, too */
}

/*
 * From nothing to a command that runs. The streams, and what containerd is told, need each other
 * only when the command is started, and take about as long; what containerd says is the better
 * reason.
 */
static struct nd_error *
launch(struct exec *e)
{
    struct nd_error *err = NULL;

    /* From here on its folder is not one that a dead daemon has left. */
    nd_map_set(e->cs->execs, nd_str(e->id), e);
    {
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("command", 1);

        ND_TRY(nd_group_spawn(group, run_tell, e));
        err = make_streams(e);
        nd_error_free(nd_group_wait(group));
    }
    if (e->err != NULL) {
        nd_error_free(err);
        return ND_TAKE(e->err);
    }
    ND_TRY(err);
    return start_command(e);
}

/* It may run already: whoever was told that it failed must find nothing of it. */
static struct nd_error *
end_command(const struct process_name *process, const task *t)
{
    struct task_exit exit;
    struct nd_error *err;

    if (t == NULL || t->status != CT_TASKS__STATUS__RUNNING)
        return NULL;
    ND_TRY(nd_process_signal(process, SIGKILL));
    ND_DEADLINE_IN(ND_KILL_WAIT_NS);
    err = nd_exec_wait(process, &exit);
    if (nd_error_code(err) != ND_NOT_FOUND)
        return err;
    nd_error_free(err);
    return NULL;
}

static bool
is_id(const char *text)
{
    return strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32;
}

static struct nd_error *
undo_launch(void *arg)
{
    struct exec *e = arg;
    task *t;

    nd_map_take(e->cs->execs, nd_str(e->id));
    nd_streams_helper_end(e->folder, true);
    e->attachment.is_over = true; /* there is nothing to come back for */
    ND_TRY(nd_process_get(&e->process, e->arena, &t));
    ND_TRY(end_command(&e->process, t));
    ND_TRY(nd_exec_delete(&e->process));
    nd_streams_folder_remove(e->folder);
    return NULL;
}

/* It runs, or has run: that is the answer when its request is repeated. */
static struct nd_error *
recover_command(struct nd_containers *cs, const struct nd_open_intent *intent, const char *exec_id,
                const char *folder)
{
    struct nd_str rest = intent->payload, first, session = ND_STR_NONE;
    Pb__RunResult more = PB__RUN_RESULT__INIT;
    char text[ND_SESSION_TEXT_SIZE] = "";

    if (nd_map_find(cs->execs, nd_str(exec_id)) == NULL)
        (void)nd_exec_reap_later(cs, intent->ns, intent->object, exec_id, folder);
    (void)nd_str_next(&rest, '\n', &first);
    (void)nd_str_next(&rest, '\n', &session);
    ND_TRY(nd_str_copy(text, sizeof(text), session, "session"));
    more.exec_id = (char *)exec_id;
    more.session_id = text;
    *intent->recovered = ND_RECOVERED_DONE;
    nd_buf_clear(intent->answer);
    return nd_pb_encode(&more, intent->answer);
}

/*
 * Of one that containerd does not know: it never came to that, unless everything of the container
 * has ended.
 */
static struct nd_error *
recover_nothing(struct nd_containers *cs, const struct nd_open_intent *intent,
                struct nd_arena *arena)
{
    task *t;

    ND_TRY(nd_task_get(cs, intent->ns, intent->object, arena, &t));
    if (!nd_task_is_alive(t))
        *intent->recovered = ND_RECOVERED_UNKNOWN;
    return NULL;
}

struct nd_error *
nd_exec_recover(struct nd_containers *cs, const struct nd_open_intent *intent)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_state_freep) struct nd_state *state = NULL;
    const char *exec_id =
        nd_arena_str(arena, nd_str_sub(intent->payload, 0, nd_str_find(intent->payload, '\n')));
    const struct process_name process = {
        .cs = cs, .ns = intent->ns, .id = intent->object, .exec_id = exec_id};
    struct nd_store *store;
    const char *folder;
    task *t;

    if (!is_id(exec_id)) { /* "" would be the container's own process */
        nd_warn("an intent names no command", ND_KV("container", intent->object),
                ND_KV("command", exec_id));
        return NULL;
    }
    ND_TRY(nd_containers_store(cs, &store));
    ND_TRY(nd_state_new(store, intent->ns, intent->object, &state));
    folder = nd_exec_folder(nd_state_path(state), exec_id, arena);
    ND_TRY(nd_process_get(&process, arena, &t));
    if (t != NULL && t->status != CT_TASKS__STATUS__CREATED)
        return recover_command(cs, intent, exec_id, folder);
    if (t == NULL)
        ND_TRY(recover_nothing(cs, intent, arena));
    ND_TRY(nd_exec_delete(&process));
    nd_streams_helper_end(folder, true);
    nd_streams_folder_remove(folder);
    return NULL;
}

/*
 * Nothing of a command outlives a power cut, so its intent need not. Who asks again after a death
 * of the daemon gets the session from it.
 */
static struct nd_error *
begin_change(struct exec *e, struct nd_change *ret)
{
    struct nd_change_spec spec = {
        .kind = CHANGE_EXEC, .ns = e->ns, .object = e->rec->id, .lazy = true};
    char session[ND_SESSION_TEXT_SIZE] = "";

    nd_random_hex(e->id, (sizeof(e->id) - 1) / 2);
    nd_random(e->session, sizeof(e->session));
    if (!e->options->detach)
        nd_session_format(e->session, session);
    spec.payload = nd_str(nd_arena_printf(e->arena, "%s\n%s", e->id, session));
    return nd_change_begin(e->cs->host, &spec, ret);
}

/* A new command. */
static struct nd_error *
begin_command(struct exec *e)
{
    ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;
    struct nd_undo_step step = {.fn = undo_launch, .arg = e, .what = "take the command back"};

    ND_TRY(nd_exec_check(e->options));
    ND_TRY(begin_change(e, &change));
    if (nd_map_count(e->cs->execs) >= ND_EXEC_MAX_RUNNING)
        return nd_error_reason(
            nd_error_new(ND_EXHAUSTED, "more than %u commands run already", ND_EXEC_MAX_RUNNING),
            "TOO_MANY_COMMANDS");
    e->folder = nd_exec_folder(nd_state_path(e->state), e->id, e->arena);
    ND_TRY(nd_ctx_check());
    ND_TRY(nd_change_ready(&change));
    nd_change_undo(&change, &step);
    ND_SHIELDED(ND_TASK_CREATE_NS);
    ND_TRY(launch(e));
    nd_change_settle(&change);
    return NULL;
}

/* Failures with a reason of their own: the request's, the caller's, or the command's. */
static bool
is_explained(const struct nd_error *err)
{
    const char *reason = nd_error_get_reason(err);

    switch (nd_error_code(err)) {
    case ND_UNKNOWN:
    case ND_INTERNAL:
    case ND_NOT_FOUND:
        return false;
    case ND_PRECONDITION:
        return reason == NULL || strcmp(reason, "CONTAINER_START_FAILED") != 0;
    default:
        return true;
    }
}

/*
 * When the container has ended, or gone, that is the reason for everything else. Takes `err`; NULL
 * is fine.
 */
static struct nd_error *
explain(struct exec *e, struct nd_error *err)
{
    struct nd_error *now;
    uint32_t pid;

    if (is_explained(err))
        return err;
    now = nd_container_still_there(e->cs, e->ns, e->rec->id);
    if (now == NULL)
        now = check_task(e, &pid);
    if (nd_error_code(now) != ND_NOT_FOUND && nd_error_code(now) != ND_PRECONDITION) {
        nd_error_free(now);
        return err;
    }
    nd_error_free(err);
    return now;
}

/* One that runs already, or has just ended. */
static struct nd_error *
resume_command(struct exec *e)
{
    if (!is_id(e->options->exec_id))
        return nd_error_field("exec_id", "does not name the command of this session");
    memcpy(e->id, e->options->exec_id, sizeof(e->id));
    e->folder = nd_exec_folder(nd_state_path(e->state), e->id, e->arena);
    ND_TRY(begin_wait(e));
    return open_attachment(e);
}

static struct nd_error *
begin(struct exec *e)
{
    struct nd_store *store;
    record *rec;

    ND_TRY(nd_container_find(e->cs, e->ns, e->options->container, e->arena, &rec));
    e->rec = rec;
    ND_TRY(nd_containers_store(e->cs, &store));
    ND_TRY(nd_state_new(store, e->ns, rec->id, &e->state));
    e->process = (struct process_name){.cs = e->cs, .ns = e->ns, .id = rec->id, .exec_id = e->id};
    if (nd_session_is_named(e->options->stream))
        return resume_command(e);
    if (e->options->exec_id[0] != '\0')
        return nd_error_field("exec_id", "needs a session in stream.session_id");
    return explain(e, begin_command(e));
}

/*
 * Told, and with that remembered where it is a request. Only then it may be forgotten when it has
 * ended, or a daemon that dies in between leaves nothing to see that it has run.
 */
static struct nd_error *
tell_started(struct exec *e)
{
    struct nd_container_started started = {.id = e->id, .container = e->rec->id};
    char session[ND_SESSION_TEXT_SIZE];
    struct nd_error *err;

    if (e->attachment.relay != NULL) {
        nd_session_format(e->attachment.session, session);
        started.session = session;
    }
    err = e->feed->started(e->feed->arg, &started);
    if (!nd_session_is_named(e->options->stream) &&
        !nd_exec_reap_later(e->cs, e->ns, e->rec->id, e->id, e->folder))
        nd_warn("nobody forgets a command", ND_KV("container", (const char *)e->rec->id),
                ND_KV("command", (const char *)e->id));
    return err;
}

static struct nd_error *
wait_for_end(void *arg)
{
    struct exec *e = arg;

    while (!e->ended)
        ND_TRY(nd_cond_wait(&e->changed));
    return ND_TAKE(e->err);
}

/* A command may go on without its outputs, and its client may leave it then as before. */
static struct nd_error *
join(struct exec *e)
{
    struct nd_attachment *a = &e->attachment;

    ND_TRY(nd_attachment_begin(a));
    ND_TRY(nd_attachment_pump(a));
    ND_TRY(nd_attachment_wait(a, wait_for_end, e));
    return a->detached ? NULL : nd_attachment_end(a, &e->exit, e->arena);
}

struct nd_error *
nd_container_exec(struct nd_containers *cs, const char *ns, const Pb__ExecOptions *options,
                  const struct nd_container_feed *feed, struct nd_arena *arena)
{
    ND_AUTO(fini_exec)
    struct exec e = {.cs = cs, .ns = ns, .options = options, .feed = feed, .arena = arena};

    ND_TRY(nd_stream_options_check(options->stream, true));
    if (nd_session_find_finished(cs, options->stream, &e.exit)) {
        ND_TRY(feed->started(feed->arg, &(struct nd_container_started){.id = options->exec_id}));
        return feed->ended(feed->arg, nd_exit_status(&e.exit, arena));
    }
    e.group =
        nd_group_begin("exec", 0); /* not under the shield of the launch: the wait outlasts it */
    ND_TRY(begin(&e));
    ND_TRY(tell_started(&e));
    if (options->detach)
        return NULL;
    return join(&e);
}

struct nd_error *
nd_container_exec_wait(struct nd_containers *cs, const char *ns, const char *id,
                       const char *exec_id, struct nd_arena *arena, Pb__ExitStatus **ret)
{
    const struct process_name process = {.cs = cs, .ns = ns, .id = id, .exec_id = exec_id};
    struct task_exit exit;
    struct nd_error *err = nd_exec_wait(&process, &exit);

    if (nd_error_code(err) == ND_NOT_FOUND) {
        nd_error_free(err);
        return nd_session_gone();
    }
    ND_TRY(err);
    *ret = nd_exit_status(&exit, arena);
    return NULL;
}
