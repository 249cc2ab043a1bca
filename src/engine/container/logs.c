/*
 * `logs`: what a container wrote, and with follow what it will write.
 *
 * The log is read where our helper and nerdctl's logger write it. A container that does not run is
 * read to its end, once its logger is done; one that runs is followed until it has ended. One that
 * has been started again by then, or will be by its restart policy, has not ended: what its next
 * logger writes follows. A client that asks for it follows through every restart until the
 * container is removed.
 */

#include "base/buf.h"
#include "container/limits.h"

#include "labels_priv.h"
#include "output_priv.h"
#include "status_priv.h"

#define DETAILS_MAX (16u * 1024u)

static struct nd_error *
not_readable(const char *container, const char *driver)
{
    struct nd_error *err =
        nd_error_new(ND_PRECONDITION, "logs of container %s cannot be read: its log driver is %s",
                     container, driver);

    return nd_error_meta(nd_error_reason(err, "LOGS_NOT_READABLE"), "driver", driver);
}

/* One that is not complete yet, or on its way out, has no such file either. */
static struct nd_error *
check_driver(struct nd_containers *cs, const char *ns, const record *rec, struct nd_state *state,
             struct nd_arena *arena, struct nd_log_config *ret)
{
    struct nd_error *err = nd_state_read_log_config(state, arena, ret);

    if (nd_error_code(err) == ND_NOT_FOUND) {
        nd_error_free(err);
        ND_TRY(nd_container_still_there(cs, ns, rec->id));
        err = nd_state_read_log_config(state, arena, ret);
    }
    if (nd_error_code(err) == ND_NOT_FOUND) {
        nd_error_free(err);
        return not_readable(rec->id, "none");
    }
    ND_TRY(err);
    if (strcmp(ret->driver, "json-file") != 0)
        return not_readable(rec->id, ret->driver);
    return NULL;
}

static void
add_detail(struct nd_buf *buf, struct nd_str key, struct nd_str value)
{
    struct nd_error *err;

    if (buf->len + key.len + value.len + 3 > DETAILS_MAX)
        return;
    if (buf->len > 0)
        nd_buf_putc(buf, ',');
    err = nd_buf_add(buf, key);
    nd_error_free(err);
    nd_buf_putc(buf, '=');
    err = nd_buf_add(buf, value);
    nd_error_free(err);
}

static void
add_variable(struct nd_buf *buf, const record *rec, struct nd_str name, struct nd_arena *arena)
{
    const struct nd_json *spec, *env;
    struct nd_error *err = nd_container_record_spec(rec, arena, &spec);

    if (err != NULL) {
        nd_error_free(err);
        return;
    }
    env = nd_json_find(nd_json_find(spec, "process"), "env");
    for (size_t i = 0; i < nd_json_count(env); i++) {
        struct nd_str variable = nd_json_string(nd_json_at(env, i));

        if (nd_str_starts(variable, name) && variable.len > name.len &&
            variable.ptr[name.len] == '=')
            add_detail(buf, name, nd_str_from(variable, name.len + 1));
    }
}

/* The values of the labels and variables that the log options name: "k=v,k=v ". */
static const char *
make_details(const record *rec, const struct nd_log_config *config, struct nd_arena *arena)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(DETAILS_MAX + 8);
    struct nd_str names, name;

    names = nd_str(nd_log_config_option(config, "labels"));
    while (nd_str_next(&names, ',', &name)) {
        const char *value = nd_container_record_label(rec, nd_arena_str(arena, name));

        if (value != NULL)
            add_detail(&buf, name, nd_str(value));
    }
    names = nd_str(nd_log_config_option(config, "env"));
    while (nd_str_next(&names, ',', &name))
        add_variable(&buf, rec, name, arena);
    nd_buf_putc(&buf, ' ');
    return nd_arena_str(arena, nd_buf_str(&buf));
}

static struct nd_error *
check_time(const char *field, const Google__Protobuf__Timestamp *ts)
{
    if (ts == NULL)
        return NULL;
    if (ts->nanos < 0 || ts->nanos > 999999999 || ts->seconds < 0 ||
        ts->seconds > INT64_C(253402300799))
        return nd_error_field(field, "is no time between 1970 and 9999");
    return NULL;
}

static struct nd_error *
check_request(const Pb__ContainerServiceLogsRequest *req)
{
    bool has_tail =
        req->tail_presence_case == PB__CONTAINER_SERVICE_LOGS_REQUEST__TAIL_PRESENCE_TAIL;

    if (has_tail && req->tail < 0)
        return nd_error_field("tail", "is negative");
    if (req->restarts && !req->follow)
        return nd_error_field("restarts", "needs follow");
    ND_TRY(check_time("since", req->since));
    ND_TRY(check_time("until", req->until));
    if (req->since != NULL && req->until != NULL &&
        nd_wall_cmp(nd_wall_of(req->since), nd_wall_of(req->until)) > 0)
        return nd_error_field("until", "is before since");
    return NULL;
}

/* A container that has ended is read to its last byte: its logger may still be writing that. */
static struct nd_error *
wait_for_logger(struct nd_state *state)
{
    struct nd_error *err;

    {
        ND_DEADLINE_IN(ND_LOGGER_WAIT_NS);
        err = nd_state_wait_logger(state);
    }
    if (nd_error_code(err) != ND_DEADLINE && nd_error_code(err) != ND_NOT_FOUND)
        return err;
    nd_error_free(err); /* what is there is read */
    return nd_ctx_check();
}

/* Follow a running container's end in a fiber of `group`; one that does not run has ended. */
static struct nd_error *
watch_end(struct exit_watch *exit, struct nd_group *group, struct nd_state *state,
          struct nd_arena *arena, bool follow)
{
    task *t;

    ND_TRY(nd_task_get(exit->cs, exit->ns, exit->id, arena, &t));
    exit->ended = t == NULL || t->status == CT_TASKS__STATUS__STOPPED ||
                  t->status == CT_TASKS__STATUS__CREATED;
    if (exit->ended)
        return wait_for_logger(state);
    exit->pid = t->pid;
    return follow ? nd_exit_watch_begin(exit, group) : NULL;
}

struct log_end {
    struct exit_watch *exit;
    const char *lock_path;
    bool restarts; /* asked for by the client */
};

/* Whoever starts it again deletes its old task first: with a policy that is no end, either. */
static bool
may_write(const record *rec, const task *t)
{
    if (t == NULL)
        return nd_container_record_label(rec, LABEL_RESTART_POLICY) != NULL &&
               nd_container_record_label_is(rec, LABEL_RESTART_STATUS, "running");
    return nd_state_of(rec, t) != PB__CONTAINER_STATE__CONTAINER_STATE_EXITED;
}

/* It has ended once. What it does now decides; who cannot be asked is asked again. */
static struct nd_error *
look_again(const struct log_end *end, bool *ret)
{
    const struct exit_watch *exit = end->exit;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    record *rec = NULL;
    task *t = NULL;

    *ret = true;
    ND_TRY(nd_container_record_get(exit->cs, exit->ns, exit->id, arena, &rec));
    if (end->restarts)
        return NULL;
    ND_TRY(nd_task_get(exit->cs, exit->ns, exit->id, arena, &t));
    *ret = may_write(rec, t);
    return NULL;
}

static bool
is_running(void *arg)
{
    const struct log_end *end = arg;
    struct nd_error *err;
    bool again;

    if (nd_output_is_running(end->exit, end->lock_path))
        return true;
    err = look_again(end, &again);
    if (err != NULL)
        again = nd_error_code(err) != ND_NOT_FOUND;
    nd_error_free(err); /* cancelled: the reader's next wait says so */
    return again;
}

/* The reader does without when this fails, and tells of what it misses. */
static struct nd_error *
hold_files(void *reader)
{
    nd_error_free(nd_log_reader_hold(reader));
    return NULL;
}

static struct nd_error *
read_log(struct nd_containers *cs, struct nd_state *state,
         const Pb__ContainerServiceLogsRequest *req, struct exit_watch *exit, struct nd_output *out)
{
    ND_AUTO(nd_log_reader_closep) struct nd_log_reader *reader = NULL;
    ND_AUTO(nd_group_endp) struct nd_group *holder = nd_group_begin("hold the log", 0);
    struct log_end end = {
        .exit = exit, .lock_path = nd_state_logger_lock_path(state), .restarts = req->restarts};
    bool has_tail =
        req->tail_presence_case == PB__CONTAINER_SERVICE_LOGS_REQUEST__TAIL_PRESENCE_TAIL;
    struct nd_log_reader_options options = {
        .path = nd_state_log_path(state),
        .tail = has_tail ? (uint64_t)req->tail : ND_LOG_TAIL_ALL,
        .since = nd_wall_of(req->since),
        .until = nd_wall_of(req->until),
        .follow = req->follow,
        .is_running = is_running,
        .arg = &end,
        .logger_lock = end.lock_path,
        .ahead_files = ND_LOGS_AHEAD_FILES,
    };
    struct nd_store *store;

    ND_TRY(nd_containers_store(cs, &store));
    options.watcher = nd_store_watcher(store);
    ND_TRY(nd_log_reader_open(&options, &reader));
    if (req->follow)
        ND_TRY(nd_group_spawn_now(holder, hold_files, reader));
    return nd_output_pump(reader, out);
}

struct nd_error *
nd_container_logs(struct nd_containers *cs, const char *ns,
                  const Pb__ContainerServiceLogsRequest *req, const struct nd_output_sink *sink)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_state_freep) struct nd_state *state = NULL;
    ND_AUTO(nd_output_freep) struct nd_output *out = NULL;
    ND_AUTO(nd_exit_watch_fini) struct exit_watch exit = {.cs = cs, .ns = ns};
    ND_AUTO(nd_group_endp) struct nd_group *group = NULL;
    struct nd_output_format format = {.timestamps = req->timestamps};
    struct nd_log_config config;
    struct nd_error *err, *gone;
    struct nd_store *store;
    record *rec;

    ND_TRY(check_request(req));
    ND_TRY(nd_container_find(cs, ns, req->container, arena, &rec));
    ND_TRY(nd_containers_store(cs, &store));
    ND_TRY(nd_state_new(store, ns, rec->id, &state));
    ND_TRY(check_driver(cs, ns, rec, state, arena, &config));
    if (req->details)
        format.details = make_details(rec, &config, arena);
    out = nd_output_new(sink, &format);
    exit.id = rec->id;
    group = nd_group_begin("logs", 0);
    ND_TRY(watch_end(&exit, group, state, arena, req->follow));
    err = read_log(cs, state, req, &exit, out);
    if (nd_error_code(err) != ND_NOT_FOUND)
        return err;
    gone = nd_container_still_there(cs, ns, rec->id);
    if (gone == NULL)
        return err;
    nd_error_free(err);
    return gone;
}
