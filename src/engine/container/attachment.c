/*
 * One client and one process.
 *
 *     helper ──events──▶ pump ──▶ feed ──▶ client       in the fiber of the call
 *     helper ◀──INPUT── sender ◀── input ◀── controls   in a fiber of its own, and the reader's
 *
 * The pump waits where the client does not read; then the helper's socket fills, and the helper
 * waits or passes it over, as was agreed in the beginning. So the daemon holds one frame of output
 * and at most ND_INPUT_MAX_BYTES of input for each client, whatever either side does.
 *
 * What the client acknowledges is passed on; for one that does not acknowledge, what was handed to
 * its connection counts as arrived.
 *
 * A session is left politely when the client was told of the process's end, or asked to leave. In
 * every other case (connection cut, daemon stopped) the helper holds it, and the client may come
 * back.
 */

#include "base/fault.h"
#include "base/log.h"
#include "base/random.h"

#include "attachment_priv.h"
#include "finished_priv.h"
#include "signals_priv.h"
#include "start_priv.h"
#include "stream_options_priv.h"

static Pb__OutputStream
output_of(enum nd_wire_stream stream)
{
    return stream == ND_WIRE_STDERR ? PB__OUTPUT_STREAM__OUTPUT_STREAM_STDERR
                                    : PB__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT;
}

static struct nd_error *
feed_event(struct nd_attachment *a, const Pb__StreamEvent *event)
{
    ND_AUTO(nd_mutex_unlockp) struct nd_mutex *lock = NULL;

    if (a->feed->event == NULL)
        return NULL;
    ND_TRY(nd_mutex_lock(&a->feeding));
    lock = &a->feeding;
    a->fed_ns = nd_loop_now().ns;
    return a->feed->event(a->feed->arg, event);
}

static struct nd_error *
feed_output(struct nd_attachment *a, const struct nd_relay_event *event)
{
    ND_AUTO(nd_mutex_unlockp) struct nd_mutex *lock = NULL;
    const struct nd_container_output output = {
        .stream = output_of(event->stream), .offset = event->offset, .bytes = event->bytes};

    ND_TRY(nd_mutex_lock(&a->feeding));
    lock = &a->feeding;
    a->fed_ns = nd_loop_now().ns;
    return a->feed->output(a->feed->arg, &output);
}

int64_t
nd_session_hold_ns(const struct nd_containers *cs)
{
    return nd_host_settings(cs->host)->session_hold_ns;
}

uint32_t
nd_session_hold_ms(const struct nd_containers *cs)
{
    return (uint32_t)(nd_session_hold_ns(cs) / ND_MILLISECOND);
}

void
nd_session_format(const uint8_t session[ND_WIRE_SESSION], char ret[ND_SESSION_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < ND_WIRE_SESSION; i++) {
        ret[2 * i] = digits[session[i] >> 4];
        ret[2 * i + 1] = digits[session[i] & 15];
    }
    ret[ND_SESSION_TEXT_SIZE - 1] = '\0';
}

struct nd_error *
nd_session_gone(void)
{
    struct nd_error *err = nd_error_new(
        ND_NOT_FOUND, "there is nothing left of this session: it was away for too long, or the "
                      "process has ended");

    return nd_error_reason(err, "SESSION_NOT_FOUND");
}

bool
nd_session_is_named(const Pb__StreamOptions *options)
{
    return options != NULL && options->session_id[0] != '\0';
}

static struct nd_error *
connect_relay(struct nd_attachment *a, const struct nd_relay_options *options)
{
    struct nd_error *err = nd_relay_open(options, &a->relay);

    if (nd_error_code(err) == ND_NOT_FOUND && nd_session_is_named(a->options)) {
        nd_error_free(err);
        return nd_session_gone();
    }
    return nd_error_code(err) == ND_INVALID ? nd_error_in_field(err, "stream") : err;
}

struct nd_error *
nd_attachment_open(struct nd_attachment *a, const char *folder, uint64_t from)
{
    struct nd_relay_options options = {
        .folder = folder,
        .stdout_wanted = true,
        .stderr_wanted = true,
        .from = {from, from},
        .hold_ms = a->hold_ms,
        .patience_ms = a->patience_ms,
    };
    const struct nd_wire_welcome *welcome;
    bool resumes = nd_session_is_named(a->options);

    if (resumes) {
        ND_TRY(nd_session_parse(a->options->session_id, options.session));
        options.from[ND_WIRE_STDOUT] = a->options->stdout_offset;
        options.from[ND_WIRE_STDERR] = a->options->stderr_offset;
    } else if (a->name != NULL) {
        memcpy(options.session, a->name, sizeof(options.session));
    } else {
        nd_random(options.session, sizeof(options.session));
    }
    memcpy(a->session, options.session, sizeof(a->session));
    nd_doing("attach");
    ND_TRY(connect_relay(a, &options));
    welcome = nd_relay_welcome(a->relay);
    if (resumes && (welcome->flags & ND_WIRE_RESUMED) == 0) {
        a->is_over = true; /* do not keep what was made just now */
        return nd_session_gone();
    }
    a->takes_input = a->takes_input && (welcome->flags & ND_WIRE_HAS_INPUT) != 0;
    a->input_closed = (welcome->flags & ND_WIRE_INPUT_IS_CLOSED) != 0;
    a->sent = a->received = a->taken = welcome->taken;
    a->at[ND_WIRE_STDOUT] = welcome->from[ND_WIRE_STDOUT];
    a->at[ND_WIRE_STDERR] = welcome->from[ND_WIRE_STDERR];
    memcpy(a->acked, a->at, sizeof(a->acked));
    a->input = ND_BUF_INIT(ND_INPUT_MAX_BYTES);
    return NULL;
}

static struct nd_error *
tell_session(struct nd_attachment *a)
{
    const struct nd_wire_welcome *welcome = nd_relay_welcome(a->relay);
    Pb__StreamEvent event = PB__STREAM_EVENT__INIT;
    Pb__StreamSession session = PB__STREAM_SESSION__INIT;
    char id[ND_SESSION_TEXT_SIZE];

    nd_session_format(a->session, id);
    session.id = id;
    session.source = PB__OUTPUT_SOURCE__OUTPUT_SOURCE_PROCESS;
    session.tty = (welcome->flags & ND_WIRE_IS_TERMINAL) != 0;
    session.stdin = a->takes_input && !a->input_closed;
    session.stdin_offset = a->taken;
    session.stdout_offset = a->at[ND_WIRE_STDOUT];
    session.stderr_offset = a->at[ND_WIRE_STDERR];
    event.event_case = PB__STREAM_EVENT__EVENT_SESSION;
    event.session = &session;
    return feed_event(a, &event);
}

/* Something failed beside the pump: that ends it. */
static void
fail(struct nd_attachment *a, struct nd_error *err)
{
    if (a->err == NULL && !a->closing)
        a->err = ND_TAKE(err);
    nd_error_free(err);
    if (a->waiter != NULL)
        nd_fiber_cancel(a->waiter);
}

/* Input that may be sent now; waits for it. Nothing: all was sent, or goes nowhere. */
static struct nd_error *
next_input(struct nd_attachment *a, char *chunk, size_t *ret)
{
    for (;;) {
        size_t room = ND_WIRE_INPUT_WINDOW - (size_t)(a->sent - a->taken);
        size_t n = ND_MIN(a->input.len, room);

        *ret = n;
        if (a->input_closed || (a->input.len == 0 && a->input_ends))
            return NULL;
        if (n > 0) {
            memcpy(chunk, a->input.ptr, n);
            nd_buf_drop(&a->input, n);
            return NULL;
        }
        ND_TRY(nd_cond_wait(&a->changed));
    }
}

static struct nd_error *
send_input(struct nd_attachment *a)
{
    char chunk[ND_WIRE_INPUT_WINDOW];

    for (;;) {
        uint64_t offset = a->sent;
        size_t n;

        ND_TRY(next_input(a, chunk, &n));
        if (a->input_closed)
            return NULL;
        if (n == 0)
            break;
        a->sent += n;
        nd_cond_broadcast(&a->changed); /* there is room for more */
        ND_TRY(nd_relay_send(a->relay, ND_WIRE_INPUT, ND_WIRE_STDOUT, offset, nd_str_n(chunk, n)));
    }
    return nd_relay_send(a->relay, ND_WIRE_INPUT_END, ND_WIRE_STDOUT, a->sent, ND_STR_NONE);
}

static struct nd_error *
run_sender(void *arg)
{
    struct nd_attachment *a = arg;
    struct nd_error *err = send_input(a);

    /* A helper that has gone is noticed by the pump. */
    if (err != NULL && nd_error_code(err) != ND_CANCELLED && nd_error_code(err) != ND_UNAVAILABLE)
        fail(a, err);
    else
        nd_error_free(err);
    return NULL;
}

static struct nd_error *
run_heartbeat(void *arg)
{
    struct nd_attachment *a = arg;
    Pb__StreamEvent event = PB__STREAM_EVENT__INIT;
    Pb__Heartbeat heartbeat = PB__HEARTBEAT__INIT;

    event.event_case = PB__STREAM_EVENT__EVENT_HEARTBEAT;
    event.heartbeat = &heartbeat;
    for (;;) {
        int64_t due_ns = a->fed_ns + ND_HEARTBEAT_NS - nd_loop_now().ns;

        if (due_ns > 0)
            ND_TRY(nd_fiber_sleep(due_ns));
        else
            ND_TRY(feed_event(a, &event));
    }
}

/* A process that has ended meanwhile, which its shim says without a code, needs no size. */
static struct nd_error *
resize(struct nd_attachment *a, const Pb__TerminalSize *size)
{
    struct nd_error *err = nd_process_resize(&a->process, size);

    if (nd_error_code(err) != ND_NOT_FOUND && nd_error_code(err) != ND_UNKNOWN)
        return err;
    nd_error_free(err);
    return NULL;
}

/* The client's terminal has a size of its own; the process's gets it. */
static struct nd_error *
set_size(struct nd_attachment *a)
{
    if (a->options == NULL || a->options->terminal_size == NULL ||
        (nd_relay_welcome(a->relay)->flags & ND_WIRE_IS_TERMINAL) == 0)
        return NULL;
    return resize(a, a->options->terminal_size);
}

struct nd_error *
nd_attachment_begin(struct nd_attachment *a)
{
    ND_TRY(tell_session(a));
    a->group = nd_group_begin_independent("attached", 0);
    if (a->takes_input && !a->input_closed)
        ND_TRY(nd_group_spawn(a->group, run_sender, a));
    ND_TRY(nd_group_spawn(a->group, run_heartbeat, a));
    if (a->input_closed)
        ND_TRY(nd_process_close_input(&a->process)); /* whoever was to do that may have died */
    ND_TRY(set_size(a));
    if (a->feed->attached != NULL)
        a->feed->attached(a->feed->arg, a);
    return NULL;
}

static struct nd_error *
pump_data(struct nd_attachment *a, const struct nd_relay_event *event)
{
    uint64_t end = event->offset + event->bytes.len;

    a->at[event->stream] = end; /* the client may be quicker than we are */
    ND_TRY(feed_output(a, event));
    if (a->options != NULL && a->options->acknowledge)
        return NULL;
    a->acked[event->stream] = end;
    return nd_relay_send(a->relay, ND_WIRE_ACK, event->stream, end, ND_STR_NONE);
}

static struct nd_error *
pump_gap(struct nd_attachment *a, const struct nd_relay_event *event)
{
    Pb__StreamEvent told = PB__STREAM_EVENT__INIT;
    Pb__OutputGap gap = PB__OUTPUT_GAP__INIT;

    gap.stream = output_of(event->stream);
    gap.offset = event->offset;
    gap.length = event->offset - a->at[event->stream];
    told.event_case = PB__STREAM_EVENT__EVENT_GAP;
    told.gap = &gap;
    a->at[event->stream] = a->acked[event->stream] = event->offset;
    return feed_event(a, &told);
}

static struct nd_error *
pump_taken(struct nd_attachment *a, uint64_t taken, bool closed)
{
    Pb__StreamEvent told = PB__STREAM_EVENT__INIT;
    Pb__InputTaken input = PB__INPUT_TAKEN__INIT;

    a->taken = taken;
    if (closed) {
        a->input_closed = true;
        nd_buf_clear(&a->input);
    }
    nd_cond_broadcast(&a->changed);
    if (closed)
        ND_TRY(nd_process_close_input(&a->process));
    input.offset = taken;
    input.closed = closed;
    told.event_case = PB__STREAM_EVENT__EVENT_INPUT_TAKEN;
    told.input_taken = &input;
    return feed_event(a, &told);
}

static struct nd_error *
pump_event(struct nd_attachment *a, const struct nd_relay_event *event)
{
    switch (event->type) {
    case ND_WIRE_DATA:
        return pump_data(a, event);
    case ND_WIRE_GAP:
        return pump_gap(a, event);
    case ND_WIRE_END:
        a->ended[event->stream] = true;
        return NULL;
    case ND_WIRE_TAKEN:
        return pump_taken(a, event->offset, false);
    case ND_WIRE_INPUT_CLOSED:
        return pump_taken(a, a->taken, true);
    default:
        return NULL;
    }
}

static struct nd_error *
pump(void *arg)
{
    struct nd_attachment *a = arg;

    nd_doing("attached");
    while (!(a->ended[ND_WIRE_STDOUT] && a->ended[ND_WIRE_STDERR])) {
        struct nd_relay_event event;
        struct nd_error *err = nd_relay_next(a->relay, &event);

        if (nd_error_code(err) == ND_UNAVAILABLE) {
            nd_warn("helper of standard streams has gone",
                    ND_KV("container", (const char *)a->process.id), ND_KV("error", err));
            a->is_away = true;
        }
        ND_TRY(err);
        ND_TRY(pump_event(a, &event));
    }
    /* What has not arrived may have to be sent again: the session is not over before. */
    while (a->acked[ND_WIRE_STDOUT] < a->at[ND_WIRE_STDOUT] ||
           a->acked[ND_WIRE_STDERR] < a->at[ND_WIRE_STDERR])
        ND_TRY(nd_cond_wait(&a->changed));
    return NULL;
}

/* Something that the client waits for. */
struct awaited {
    struct nd_attachment *a;
    nd_fiber_fn *fn;
    void *arg;
};

static struct nd_error *
run_awaited(void *arg)
{
    const struct awaited *w = arg;
    struct nd_attachment *a = w->a;
    struct nd_error *err = w->fn(w->arg);

    a->waiter = NULL;
    if (a->detached || a->err != NULL) {
        nd_error_free(err);
        return ND_TAKE(a->err);
    }
    return err;
}

/* In a fiber of its own, which can be cancelled alone. */
struct nd_error *
nd_attachment_wait(struct nd_attachment *a, nd_fiber_fn *fn, void *arg)
{
    struct awaited w = {a, fn, arg};
    ND_AUTO(nd_group_endp) struct nd_group *group = NULL;

    if (a->detached)
        return NULL;
    group = nd_group_begin("attached", 1);
    ND_TRY(nd_group_spawn_handle(group, run_awaited, &w, &a->waiter));
    return nd_group_wait(group);
}

struct nd_error *
nd_attachment_pump(struct nd_attachment *a)
{
    return nd_attachment_wait(a, pump, a);
}

static void
remember(const struct nd_attachment *a, const struct task_exit *exit)
{
    struct finished_session session = {
        .exit = *exit, .until_ns = nd_loop_now().ns + nd_session_hold_ns(a->process.cs)};

    memcpy(session.name, a->session, sizeof(session.name));
    memcpy(session.at, a->at, sizeof(session.at));
    nd_finished_put(a->process.cs->finished, &session, nd_loop_now().ns);
}

struct nd_error *
nd_attachment_end(struct nd_attachment *a, const struct task_exit *exit, struct nd_arena *arena)
{
    nd_group_end(ND_TAKE(a->group)); /* no heartbeat behind it */
    if (a->relay != NULL)
        remember(a, exit);
    if (a->feed->ended != NULL)
        ND_TRY(a->feed->ended(a->feed->arg, nd_exit_status(exit, arena)));
    nd_error_free(ND_FAULT("session.told"));
    a->is_over = true;
    return NULL;
}

bool
nd_session_find_finished(struct nd_containers *cs, const Pb__StreamOptions *options,
                         struct task_exit *ret)
{
    const struct finished_session *found;
    uint8_t name[ND_WIRE_SESSION];
    struct nd_error *err;

    if (!nd_session_is_named(options))
        return false;
    err = nd_session_parse(options->session_id, name);
    found = err == NULL ? nd_finished_find(cs->finished, name, nd_loop_now().ns) : NULL;
    nd_error_free(err);
    if (found == NULL || found->at[ND_WIRE_STDOUT] != options->stdout_offset ||
        found->at[ND_WIRE_STDERR] != options->stderr_offset)
        return false;
    *ret = found->exit;
    return true;
}

/*
 * Politely where nothing is left to be told: else the helper keeps it for the client to come back.
 */
static void
leave(struct nd_attachment *a)
{
    ND_SHIELDED(ND_SECOND);

    if ((a->detached || a->is_over) && !a->is_away)
        nd_error_free(nd_relay_send(a->relay, ND_WIRE_BYE, ND_WIRE_STDOUT, 0, ND_STR_NONE));
    nd_error_free(ND_FAULT("session.left"));
}

void
nd_attachment_fini(struct nd_attachment *a)
{
    a->closing = true;
    if (a->feed != NULL && a->feed->attached != NULL)
        a->feed->attached(a->feed->arg, NULL);
    nd_cond_broadcast(&a->changed);
    {
        ND_SHIELDED(INT64_MAX); /* they are the call's, and end with it at the latest */
        while (a->users > 0)
            nd_error_free(nd_cond_wait(&a->changed));
    }
    nd_group_end(a->group);
    if (a->relay != NULL)
        leave(a);
    nd_relay_close(a->relay);
    nd_buf_fini(&a->input);
    nd_error_free(ND_TAKE(a->err));
}

/* What the client says ------------------------------------------------------------------------- */

static struct nd_error *
take_input(struct nd_attachment *a, const Pb__Input *input)
{
    struct nd_str bytes = nd_str_n(input->data.data, input->data.len);

    if (!a->takes_input)
        return nd_error_reason(
            nd_error_new(ND_PRECONDITION, "the process has no standard input to write to"),
            "NO_STANDARD_INPUT");
    if (a->input_closed)
        return NULL; /* the client was told */
    if (input->offset > a->received)
        return nd_error_field("control.input.offset", "leaves out bytes: %llu came before",
                              (unsigned long long)a->received);
    bytes = nd_str_from(bytes, (size_t)ND_MIN((uint64_t)bytes.len, a->received - input->offset));
    if (bytes.len > 0 && a->input_ends)
        return nd_error_field("control.input", "comes after its end");
    while (bytes.len > 0 && !a->input_closed && !a->closing) {
        size_t n = ND_MIN(bytes.len, ND_INPUT_MAX_BYTES - a->input.len);

        if (n == 0) {
            ND_TRY(nd_cond_wait(&a->changed));
            continue;
        }
        nd_buf_put(&a->input, nd_str_sub(bytes, 0, n));
        a->received += n;
        bytes = nd_str_from(bytes, n);
        nd_cond_broadcast(&a->changed);
    }
    if (input->end) {
        a->input_ends = true;
        nd_cond_broadcast(&a->changed);
    }
    return NULL;
}

static struct nd_error *
take_acknowledgement(struct nd_attachment *a, const Pb__Acknowledgement *ack)
{
    enum nd_wire_stream stream =
        ack->stream == PB__OUTPUT_STREAM__OUTPUT_STREAM_STDERR ? ND_WIRE_STDERR : ND_WIRE_STDOUT;
    struct nd_error *err;

    if (ack->stream != PB__OUTPUT_STREAM__OUTPUT_STREAM_STDERR &&
        ack->stream != PB__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT)
        return nd_error_field("control.acknowledgement.stream", "is none");
    if (a->options == NULL || !a->options->acknowledge)
        return nd_error_field("control.acknowledgement", "was not announced in the options");
    if (ack->offset > a->at[stream])
        return nd_error_field("control.acknowledgement.offset", "is beyond what was sent");
    a->acked[stream] = ND_MAX(a->acked[stream], ack->offset);
    nd_cond_broadcast(&a->changed);
    err = nd_relay_send(a->relay, ND_WIRE_ACK, stream, ack->offset, ND_STR_NONE);
    if (nd_error_code(err) != ND_UNAVAILABLE)
        return err;
    nd_error_free(err); /* it has gone, having told us everything */
    return NULL;
}

static struct nd_error *
take_control(struct nd_attachment *a, const Pb__StreamControl *control)
{
    switch (control->control_case) {
    case PB__STREAM_CONTROL__CONTROL_INPUT:
        return take_input(a, control->input);
    case PB__STREAM_CONTROL__CONTROL_RESIZE:
        ND_TRY(nd_terminal_size_check(control->resize, "control.resize"));
        return resize(a, control->resize);
    case PB__STREAM_CONTROL__CONTROL_ACKNOWLEDGEMENT:
        return take_acknowledgement(a, control->acknowledgement);
    case PB__STREAM_CONTROL__CONTROL_DETACH:
        a->detached = true;
        if (a->waiter != NULL)
            nd_fiber_cancel(a->waiter);
        return NULL;
    default:
        return nd_error_field("control", "is empty");
    }
}

struct nd_error *
nd_attachment_control(struct nd_attachment *a, const Pb__StreamControl *control)
{
    struct nd_error *err;

    a->users++;
    err = take_control(a, control);
    a->users--;
    nd_cond_broadcast(&a->changed);
    return err;
}

struct nd_error *
nd_attachment_signal(struct nd_attachment *a, const char *signal)
{
    struct nd_error *err;
    int signo;

    err = nd_signal_parse(nd_str(signal), &signo);
    if (err != NULL)
        return nd_error_in_field(err, "signal");
    a->users++;
    err = nd_process_signal(&a->process, signo);
    a->users--;
    nd_cond_broadcast(&a->changed);
    return err;
}
