/*
 * A conversation about one container.
 *
 *      client ── options ──▶ engine ──▶ id, output ..., exit ──▶ client
 *             ── signal ... ──▶ reader ──▶ container
 *
 * While one fiber runs the engine and sends what it tells, a second one reads what else the client says. That
 * is signals, which wait until the container runs. The end of the client's messages means nothing; a client
 * that is gone cancels both fibers.
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
tell_started(void *arg, const char *id, char *const *warnings, size_t n_warnings)
{
    struct session *s = arg;
    const struct told told = {.id = id, .warnings = warnings, .n_warnings = n_warnings};

    s->container = nd_arena_strdup(nd_call_arena(s->call), id);
    nd_cond_broadcast(&s->running);
    return s->kind->send(s, &told);
}

static struct nd_error *
tell_output(void *arg, Pb__OutputStream stream, struct nd_str bytes)
{
    struct session *s = arg;
    Pb__Output output = PB__OUTPUT__INIT;
    const struct told told = {.output = &output};

    output.stream = stream;
    output.data = nd_bytes(bytes);
    return s->kind->send(s, &told);
}

/* The engine is through with success: nobody needs the reader any more. */
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
    const struct nd_container_feed feed = {
        .started = tell_started, .output = tell_output, .arg = s};
    struct told told = {0};

    ND_TRY(s->kind->engine(s, &feed, &told.exit));
    if (told.exit != NULL) {
        ND_TRY(s->kind->send(s, &told));
        if (s->kind->after != NULL)
            s->kind->after(s);
    }
    finish(s);
    return NULL;
}

/* Pass a signal on, as soon as there is somebody to receive it. */
static struct nd_error *
forward_signal(struct session *s, const char *signal)
{
    while (s->container == NULL)
        ND_TRY(nd_cond_wait(&s->running));
    return nd_container_signal(s->containers, s->ns, s->container, signal);
}

static struct nd_error *
read_signals(struct session *s)
{
    for (;;) {
        const char *signal = NULL;

        ND_TRY(s->kind->next_signal(s, &signal));
        if (signal == NULL)
            return NULL;
        ND_TRY(forward_signal(s, signal));
    }
}

/* What its failure means: nothing once the engine is through. */
static struct nd_error *
run_reader(void *arg)
{
    struct session *s = arg;
    struct nd_error *err = read_signals(s);

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
