/*
 * A conversation that begins something, as a request that may be repeated.
 *
 *   first time   engine ──▶ it runs: remembered, told ──▶ output ... ──▶ exit code: remembered, told
 *   repeated     told again ──▶ attached, in the session of the first time ──▶ exit code
 *
 * The request is over when the process runs; what the client hears from then on it can come back
 * for. Its session keeps what it did not get. When that is over the client is attached anew and
 * sees by the offsets that output is missing; and of a process that has ended it gets the exit
 * code.
 */

#include "codec/pb.h"

#include "session_priv.h"

static void
leave_request(struct session **s)
{
    nd_request_leave(&(*s)->request);
}

struct nd_error *
nd_session_note_started(struct session *s, const struct nd_container_started *started)
{
    Pb__RunResult *result = &s->result;

    if (s->kind->request == NULL || s->request.is_repeated)
        return NULL;
    pb__run_result__init(result);
    result->container_id = s->container;
    if (s->kind->is_command) {
        result->container_id = nd_arena_strdup(nd_call_arena(s->call), started->container);
        result->exec_id = s->container;
    }
    result->warnings = (char **)started->warnings; /* the arena's */
    result->n_warnings = started->n_warnings;
    if (started->session != NULL)
        result->session_id = nd_arena_strdup(nd_call_arena(s->call), started->session);
    return nd_request_end(&s->request, NULL, result);
}

void
nd_session_note_exit(struct session *s, Pb__ExitStatus *exit)
{
    if (s->kind->request == NULL)
        return;
    s->result.exit = exit;
    nd_request_update(&s->request, &s->result);
}

/* It was told before it was attached to. */
static struct nd_error *
tell_nothing(void *arg, const struct nd_container_started *started)
{
    (void)arg;
    (void)started;
    return NULL;
}

static struct nd_error *
keep_exit(void *arg, const Pb__ContainerServiceWaitResponse *rsp)
{
    struct session *s = arg;
    ProtobufCMessage *copy;

    if (rsp->exit == NULL)
        return NULL;
    ND_TRY(nd_pb_copy(rsp->exit, nd_call_arena(s->call), &copy));
    s->result.exit = (Pb__ExitStatus *)copy;
    return NULL;
}

/* Its task has gone, as all do with a power cut. */
static struct nd_error *
exit_is_unknown(const struct session *s)
{
    struct nd_error *err =
        nd_error_new(ND_PRECONDITION, "container %s does not run, and how it ended is not known",
                     s->result.container_id);

    err = nd_error_meta(nd_error_reason(err, "EXIT_UNKNOWN"), "container", s->result.container_id);
    return nd_error_hint(err, "start it to go on");
}

static struct nd_error *
wait_for_exit(struct session *s, const struct nd_container_feed *feed)
{
    Pb__ContainerServiceWaitRequest req = PB__CONTAINER_SERVICE_WAIT_REQUEST__INIT;

    req.containers = &s->result.container_id;
    req.n_containers = 1;
    ND_TRY(nd_containers_wait(s->containers, s->ns, &req, keep_exit, s));
    if (s->result.exit == NULL || s->result.exit->exited_at == NULL)
        return exit_is_unknown(s);
    return feed->ended(feed->arg, s->result.exit);
}

/* Takes `err`; whether that was its reason. */
static bool
is_reason(struct nd_error *err, const char *reason)
{
    const char *has = err != NULL ? nd_error_get_reason(err) : NULL;

    if (has == NULL || strcmp(has, reason) != 0)
        return false;
    nd_error_free(err);
    return true;
}

static struct nd_error *
attach_to_container(struct session *s, const struct nd_container_feed *feed,
                    Pb__StreamOptions *stream)
{
    Pb__AttachOptions options = PB__ATTACH_OPTIONS__INIT;
    struct nd_arena *arena = nd_call_arena(s->call);
    struct nd_error *err;

    options.container = s->result.container_id;
    options.stream = stream;
    err = nd_container_attach(s->containers, s->ns, &options, feed, arena);
    if (is_reason(err, "SESSION_NOT_FOUND")) {
        stream->session_id = nd_text("");
        err = nd_container_attach(s->containers, s->ns, &options, feed, arena);
    }
    return is_reason(err, "CONTAINER_NOT_RUNNING") ? wait_for_exit(s, feed) : err;
}

/* What it wrote is kept for its session alone. */
static struct nd_error *
attach_to_command(struct session *s, const struct nd_container_feed *feed,
                  Pb__StreamOptions *stream)
{
    Pb__ExecOptions options = PB__EXEC_OPTIONS__INIT;
    const Pb__RunResult *result = &s->result;
    struct nd_arena *arena = nd_call_arena(s->call);
    struct nd_error *err;

    options.container = result->container_id;
    options.exec_id = result->exec_id;
    options.stream = stream;
    err = nd_container_exec(s->containers, s->ns, &options, feed, arena);
    if (!is_reason(err, "SESSION_NOT_FOUND"))
        return err;
    ND_TRY(nd_container_exec_wait(s->containers, s->ns, result->container_id, result->exec_id,
                                  arena, &s->result.exit));
    return feed->ended(feed->arg, s->result.exit);
}

static struct nd_error *
attach_again(struct session *s, const struct nd_container_feed *feed,
             const Pb__StreamOptions *given)
{
    struct nd_container_feed quiet = *feed;
    Pb__StreamOptions stream = PB__STREAM_OPTIONS__INIT;

    if (given != NULL)
        stream = *given;
    quiet.started = tell_nothing;
    stream.session_id = s->result.session_id;
    stream.stdout_offset = stream.stderr_offset = 0;
    return s->kind->is_command ? attach_to_command(s, &quiet, &stream)
                               : attach_to_container(s, &quiet, &stream);
}

/* What was done before, told again. */
static struct nd_error *
repeat(struct session *s, const struct nd_container_feed *feed)
{
    struct nd_container_started started = {0};
    const Pb__StreamOptions *stream = NULL;
    ProtobufCMessage *before;

    ND_TRY(nd_services_repeat(s->call, &s->request, &pb__run_result__descriptor, &before));
    s->result = *(Pb__RunResult *)before;
    started.id = s->kind->is_command ? s->result.exec_id : s->result.container_id;
    started.warnings = s->result.warnings;
    started.n_warnings = s->result.n_warnings;
    ND_TRY(feed->started(feed->arg, &started));
    if (!s->kind->is_attached(s, &stream))
        return NULL;
    if (s->result.exit != NULL)
        return feed->ended(feed->arg, s->result.exit);
    return attach_again(s, feed, stream);
}

static struct nd_error *
run_engine(struct session *s, const struct nd_container_feed *feed)
{
    return nd_services_in_options(s->kind->engine(s, feed));
}

struct nd_error *
nd_session_run(struct session *s, const struct nd_container_feed *feed)
{
    ND_AUTO(leave_request) struct session *owner = s;
    const void *message;
    struct nd_error *err;
    const char *id;

    if (s->kind->request == NULL)
        return run_engine(s, feed);
    message = s->kind->request(s, &id);
    err =
        nd_services_request(s->call, s->ns, id, message, &pb__run_result__descriptor, &s->request);
    ND_TRY(nd_services_in_options(err));
    if (s->request.is_repeated)
        return repeat(s, feed);
    err = run_engine(s, feed);
    return err != NULL ? nd_request_end(&s->request, err, NULL) : NULL;
}
