/*
 * A conversation about one process.
 *
 *      client ── options ──▶ engine ──▶ id, output ..., exit ──▶ client
 *             ── signal, control ... ──▶ reader ──▶ process
 *
 * While one fiber runs the engine and sends what it tells, a second one reads what else the client
 * says. A signal waits until the process runs, what is for its streams until the client is
 * attached. The end of the client's messages means nothing, so that a connection that is cut is
 * never taken for an end of input; a client that is gone cancels both fibers.
 */

#include "codec/pb.h"

#include "session_priv.h"

struct nd_error *
nd_session_keep(struct session *s, const void *options)
{
    ProtobufCMessage *copy;

    ND_TRY(nd_pb_copy(options, nd_call_arena(s->call), &copy));
    s->options = copy;
    return NULL;
}

static struct nd_error *
tell_started(void *arg, const struct nd_container_started *started)
{
    struct session *s = arg;
    const struct told told = {
        .id = started->id, .warnings = started->warnings, .n_warnings = started->n_warnings};

    s->container = nd_arena_strdup(nd_call_arena(s->call), started->id);
    nd_cond_broadcast(&s->changed);
    ND_TRY(nd_session_note_started(s, started));
    return s->kind->send(s, &told);
}

static struct nd_error *
tell_output(void *arg, const struct nd_container_output *piece)
{
    struct session *s = arg;
    Pb__Output output = PB__OUTPUT__INIT;
    const struct told told = {.output = &output};

    output.stream = piece->stream;
    output.offset = piece->offset;
    output.data = nd_bytes(piece->bytes);
    return s->kind->send(s, &told);
}

static struct nd_error *
tell_event(void *arg, const Pb__StreamEvent *event)
{
    struct session *s = arg;
    const struct told told = {.event = (Pb__StreamEvent *)event};

    return s->kind->send(s, &told);
}

static void
on_attached(void *arg, struct nd_attachment *attachment)
{
    struct session *s = arg;

    s->attachment = attachment;
    s->was_attached = s->was_attached || attachment != NULL;
    s->is_alone = attachment == NULL;
    nd_cond_broadcast(&s->changed);
}

static struct nd_error *
tell_ended(void *arg, Pb__ExitStatus *exit)
{
    struct session *s = arg;
    const struct told told = {.exit = exit};

    nd_session_note_exit(s, exit);
    ND_TRY(s->kind->send(s, &told));
    ND_TRY(nd_call_flush(s->call)); /* then nobody has to come back for it */
    s->has_ended = true;
    return NULL;
}

/* It is over with success: what still goes on for it is not needed any more. */
static void
finish(struct session *s)
{
    s->done = true;
    nd_group_cancel(s->group);
}

static struct nd_error *
run_engine(void *arg)
{
    struct session *s = arg;
    const struct nd_container_feed feed = {.started = tell_started,
                                           .output = tell_output,
                                           .event = tell_event,
                                           .attached = on_attached,
                                           .ended = tell_ended,
                                           .arg = s};

    ND_TRY(nd_session_run(s, &feed));
    if (s->has_ended && s->kind->after != NULL)
        s->kind->after(s);
    finish(s);
    return NULL;
}

static struct nd_error *
wait_for_attachment(struct session *s)
{
    while (s->attachment == NULL && !s->is_alone)
        ND_TRY(nd_cond_wait(&s->changed));
    return NULL;
}

/* Pass a signal on, as soon as there is somebody to receive it. */
static struct nd_error *
forward_signal(struct session *s, const char *signal)
{
    while (s->container == NULL)
        ND_TRY(nd_cond_wait(&s->changed));
    if (!s->kind->is_command)
        return nd_container_signal(s->containers, s->ns, s->container, signal);
    ND_TRY(wait_for_attachment(s));
    return s->attachment != NULL ? nd_attachment_signal(s->attachment, signal) : NULL;
}

static struct nd_error *
forward_control(struct session *s, const Pb__StreamControl *control)
{
    ND_TRY(wait_for_attachment(s));
    if (s->attachment != NULL)
        return nd_attachment_control(s->attachment, control);
    if (s->was_attached)
        return NULL; /* too late */
    if (control->control_case == PB__STREAM_CONTROL__CONTROL_DETACH)
        finish(s); /* there is a follower of a log, and nobody to tell */
    if (control->control_case != PB__STREAM_CONTROL__CONTROL_INPUT)
        return NULL;
    return nd_error_reason(
        nd_error_new(ND_PRECONDITION, "the process has no standard input to write to"),
        "NO_STANDARD_INPUT");
}

static struct nd_error *
read_messages(struct session *s)
{
    for (;;) {
        struct heard heard = {NULL, NULL};

        ND_TRY(s->kind->next(s, &heard));
        if (heard.signal != NULL)
            ND_TRY(forward_signal(s, heard.signal));
        else if (heard.control != NULL)
            ND_TRY(forward_control(s, heard.control));
        else
            return NULL;
    }
}

struct nd_error *
nd_session_unexpected(void)
{
    return nd_error_field("request", "only signals and controls may follow the first message");
}

/* What its failure means: nothing once the engine is through. */
static struct nd_error *
run_reader(void *arg)
{
    struct session *s = arg;
    struct nd_error *err = read_messages(s);

    if (!s->done)
        return err;
    nd_error_free(err);
    return NULL;
}

struct nd_error *
nd_session_hold(struct nd_call *call, const struct session_kind *kind)
{
    struct session s = {.kind = kind, .call = call, .containers = nd_services_of(call)->containers};
    ND_AUTO(nd_group_endp) struct nd_group *group = NULL;

    ND_TRY(nd_services_namespace(call, &s.ns));
    ND_TRY(kind->open(&s));
    group = nd_group_begin("conversation", 0);
    s.group = group;
    ND_TRY(nd_group_spawn(group, run_reader, &s));
    ND_TRY(nd_group_spawn(group, run_engine, &s));
    return nd_group_wait(group);
}
