/*
 * A process in the foreground.
 *
 * One fiber receives and writes what comes, one waits for our signals, and where input is wanted
 * one reads it and one sends it (attach_input.c). The receiver decides when it is over; the others
 * are cancelled then. A signal that arrives before the process runs means "stop preparing": the
 * call is cancelled, and the daemon undoes what it began.
 *
 *     stdin, signals --> call --> daemon
 *                         |
 *     stdout, stderr <-- receiver <--- daemon
 *
 * With a session the connection may break: the receiver connects again and says how far everything
 * came, so that nothing is lost and nothing comes twice. Nobody waits for it meanwhile: signals and
 * the size of our terminal are owed until the session goes on, and who leaves by the keys leaves at
 * once.
 */

#include "attach.h"

#include <signal.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fiber/process.h"

#include "attach_session.h"
#include "logline.h"
#include "terminal.h"
#include "writer.h"

#define FORCED_AFTER        3 /* interrupts */
#define FORCED_EXIT_CODE    1
#define SEND_SIGNAL_TIMEOUT (5 * ND_SECOND)
#define RESUME_PAUSE_NS     (200 * ND_MILLISECOND)

static const struct {
    int number;
    const char *name;
} proxied[] = {
    {SIGINT, "INT"},   {SIGTERM, "TERM"}, {SIGHUP, "HUP"},   {SIGQUIT, "QUIT"},
    {SIGUSR1, "USR1"}, {SIGUSR2, "USR2"}, {SIGALRM, "ALRM"}, {SIGWINCH, "WINCH"},
};

struct nd_error *
nd_attach_say(struct session *session, const union nd_attach_message *message)
{
    ND_AUTO(nd_mutex_unlockp) struct nd_mutex *lock = NULL;

    if (session->is_cut)
        return nd_error_new(ND_UNAVAILABLE, "the connection is broken");
    ND_TRY(nd_mutex_lock(&session->talking));
    lock = &session->talking;
    return nd_client_call_send(session->call, message);
}

struct nd_error *
nd_attach_control(struct session *session, Pb__StreamControl *control)
{
    union nd_attach_message message;

    session->kind->make_control(&message, control);
    return nd_attach_say(session, &message);
}

/*
 * What is said on a call that is over is said to nobody; the receiver knows what that means. Takes
 * `err`.
 */
static struct nd_error *
unless_over(struct nd_error *err)
{
    if (nd_error_code(err) != ND_ABORTED && nd_error_code(err) != ND_UNAVAILABLE)
        return err;
    nd_error_free(err);
    return NULL;
}

static struct nd_error *
acknowledge(struct session *session, const Pb__Output *output, bool is_error)
{
    Pb__StreamControl control = PB__STREAM_CONTROL__INIT;
    Pb__Acknowledgement ack = PB__ACKNOWLEDGEMENT__INIT;

    if (session->name == NULL)
        return NULL;
    session->at[is_error] = output->offset + output->data.len;
    ack.stream = output->stream;
    ack.offset = session->at[is_error];
    control.control_case = PB__STREAM_CONTROL__CONTROL_ACKNOWLEDGEMENT;
    control.acknowledgement = &ack;
    return unless_over(nd_attach_control(session, &control));
}

static struct nd_error *
write_output(struct session *session, const Pb__Output *output)
{
    const struct nd_attach *attach = session->attach;
    bool is_error = output->stream == PB__OUTPUT_STREAM__OUTPUT_STREAM_STDERR;

    if (!(is_error ? attach->no_stderr : attach->no_stdout))
        ND_TRY(nd_write_all(is_error ? STDERR_FILENO : STDOUT_FILENO,
                            nd_str_n(output->data.data, output->data.len)));
    return acknowledge(session, output, is_error);
}

/*
 * What cannot be said now is owed, and said when the session goes on. Takes `err`; whether it is
 * that.
 */
static bool
is_cut_off(const struct session *session, struct nd_error *err)
{
    enum nd_code code = nd_error_code(err);

    if (session->name == NULL || (code != ND_ABORTED && code != ND_UNAVAILABLE))
        return false;
    nd_error_free(err);
    return true;
}

static struct nd_error *
say_signal(struct session *session, const char *name)
{
    union nd_attach_message message;
    ND_DEADLINE_IN(SEND_SIGNAL_TIMEOUT);

    session->kind->make_signal(&message, (char *)name);
    return nd_attach_say(session, &message);
}

static struct nd_error *
send_signal(struct session *session, size_t i)
{
    struct nd_error *err = say_signal(session, proxied[i].name);

    if (is_cut_off(session, err)) {
        session->owed_signals |= 1u << i;
        return nd_ctx_check();
    }
    if (err != NULL && !session->receiver_done)
        nd_line(ND_LINE_WARN, "signal %s was not passed on: %s", proxied[i].name,
                nd_error_message(err));
    nd_error_free(err);
    return nd_ctx_check();
}

static struct nd_error *
send_size(struct session *session)
{
    Pb__StreamControl control = PB__STREAM_CONTROL__INIT;
    Pb__TerminalSize size;
    struct nd_error *err;

    if (!nd_terminal_size(&size))
        return NULL;
    control.control_case = PB__STREAM_CONTROL__CONTROL_RESIZE;
    control.resize = &size;
    err = nd_attach_control(session, &control);
    if (is_cut_off(session, err)) {
        session->owes_size = true;
        return NULL;
    }
    return unless_over(err);
}

static struct nd_error *
send_what_is_owed(struct session *session)
{
    unsigned signals = session->owed_signals;
    bool size = session->owes_size;

    session->owed_signals = 0;
    session->owes_size = false;
    if (size && session->tty)
        ND_TRY(send_size(session));
    for (size_t i = 0; i < ND_LEN(proxied); i++) {
        if ((signals & 1u << i) != 0)
            ND_TRY(send_signal(session, i));
    }
    return NULL;
}

static struct nd_error *
take_session(struct session *session, const Pb__StreamSession *told)
{
    struct nd_arena *arena = session->attach->cli->arena;

    session->is_attached = true;
    session->tty = told->tty;
    session->at[0] = told->stdout_offset;
    session->at[1] = told->stderr_offset;
    if (told->id[0] != '\0' && session->name == NULL)
        session->name = nd_arena_strdup(arena, told->id);
    ND_TRY(send_what_is_owed(session));
    if (session->name == NULL || !session->attach->stdin_wanted)
        return NULL;
    return nd_attach_input_begin(session, told);
}

static struct nd_error *
take_stream_event(struct session *session, const Pb__StreamEvent *event)
{
    switch (event->event_case) {
    case PB__STREAM_EVENT__EVENT_SESSION:
        return take_session(session, event->session);
    case PB__STREAM_EVENT__EVENT_GAP:
        nd_line(ND_LINE_WARN, "%llu bytes of output are lost: they were not read in time",
                (unsigned long long)event->gap->length);
        session->at[event->gap->stream == PB__OUTPUT_STREAM__OUTPUT_STREAM_STDERR] =
            event->gap->offset;
        return NULL;
    case PB__STREAM_EVENT__EVENT_INPUT_TAKEN:
        nd_attach_input_taken(session, event->input_taken);
        return NULL;
    default: /* heartbeats; newer daemons may say more than we understand */
        return NULL;
    }
}

static struct nd_error *
take_id(struct session *session, const char *id)
{
    struct nd_attach *attach = session->attach;

    if (attach->is_running)
        return NULL; /* said again after the connection broke */
    attach->is_running = true;
    session->id = nd_arena_strdup(attach->cli->arena, id);
    return attach->started != NULL ? attach->started(attach, id) : NULL;
}

static struct nd_error *
handle_event(struct session *session, const struct nd_attach_event *event)
{
    struct nd_attach *attach = session->attach;

    if (event->progress != NULL && !attach->quiet)
        nd_progress_show(event->progress);
    if (event->id != NULL || event->output != NULL || event->exit != NULL)
        nd_progress_clear();
    for (size_t i = 0; i < event->n_warnings; i++)
        nd_line(ND_LINE_WARN, "%s", event->warnings[i]);
    if (event->id != NULL)
        ND_TRY(take_id(session, event->id));
    if (event->stream != NULL)
        ND_TRY(take_stream_event(session, event->stream));
    if (event->output != NULL)
        ND_TRY(write_output(session, event->output));
    if (event->exit != NULL) {
        attach->has_ended = true;
        attach->exit_code = (int)(event->exit->code & 0xff);
    }
    return NULL;
}

/*
 * The exit code is not the end of the call: with --rm the container goes first, so that its name is
 * free when we return. What fails after the exit code is no failure of the run.
 */
static struct nd_error *
receive_one(struct session *session, struct nd_arena *arena, const void **ret)
{
    struct nd_error *err = nd_client_call_recv(session->call, arena, ret);

    if (err == NULL || !session->attach->has_ended)
        return err;
    nd_error_free(err);
    *ret = NULL;
    return NULL;
}

/* One call to its end. */
static struct nd_error *
receive_call(struct session *session)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    for (;;) {
        struct nd_attach_event event = {.n_warnings = 0};
        const void *reply;

        nd_arena_reset(arena);
        ND_TRY(receive_one(session, arena, &reply));
        if (reply == NULL)
            return NULL;
        session->resume_until_ns = 0;
        session->told_of_break = false;
        session->kind->read(reply, &event);
        ND_TRY(handle_event(session, &event));
    }
}

/* The call with its first message; the only one when nobody waits for the process. */
static struct nd_error *
begin_call(struct session *session, const void *first)
{
    struct nd_cli *cli = session->attach->cli;
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    ND_TRY(nd_client_call_begin(cli->channel, session->kind->method, &cli->options, &call));
    ND_TRY(nd_client_call_send(call, first));
    if (session->attach->detach)
        ND_TRY(nd_client_call_finish_sending(call));
    nd_client_call_end(session->call);
    session->call = ND_TAKE(call);
    session->is_cut = false;
    return NULL;
}

/* By default as long as the daemon holds a session. */
static int64_t
resume_until_ns(const struct session *session)
{
    int64_t now_ns = nd_loop_now().ns;
    int64_t timeout_ns = nd_flag_duration(session->attach->cli->globals, "resume-timeout");

    return now_ns + ND_MIN(timeout_ns, INT64_MAX - now_ns);
}

/* Not for longer than there is time for. */
static struct nd_error *
connect_again(struct session *session)
{
    ND_DEADLINE_IN(ND_MAX(session->resume_until_ns - nd_loop_now().ns, (int64_t)0));
    return nd_channel_connect(session->attach->cli->channel);
}

/*
 * Nothing is known yet of a process, or of how we are attached to it: the same request once more.
 */
static bool
may_ask_again(const struct session *session)
{
    const struct nd_attach *attach = session->attach;

    return attach->is_request && !session->is_attached && !(attach->is_running && attach->detach);
}

static struct nd_error *
ask_again(struct session *session)
{
    ND_AUTO(nd_mutex_unlockp) struct nd_mutex *lock = NULL;

    ND_TRY(connect_again(session));
    ND_TRY(nd_mutex_lock(&session->talking));
    lock = &session->talking;
    return begin_call(session, session->attach->options);
}

/* Go on with the session: in a command, or in a container's first process. */
static struct nd_error *
begin_again(struct session *session)
{
    ND_AUTO(nd_mutex_unlockp) struct nd_mutex *lock = NULL;
    union nd_attach_message first;
    Pb__AttachOptions attach = PB__ATTACH_OPTIONS__INIT;
    Pb__ExecOptions exec = PB__EXEC_OPTIONS__INIT;
    Pb__StreamOptions stream = *session->attach->stream;
    Pb__TerminalSize size;

    ND_TRY(connect_again(session));
    if (nd_terminal_size(&size))
        stream.terminal_size = &size; /* as it is now */
    stream.session_id = session->name;
    stream.stdout_offset = session->at[0];
    stream.stderr_offset = session->at[1];
    if (session->attach->container != NULL) {
        session->kind = nd_attach_kind_exec();
        exec.container = (char *)session->attach->container;
        exec.exec_id = session->id;
        exec.stream = &stream;
        pb__container_service_exec_request__init(&first.exec);
        first.exec.request_case = PB__CONTAINER_SERVICE_EXEC_REQUEST__REQUEST_OPTIONS;
        first.exec.options = &exec;
    } else {
        session->kind = nd_attach_kind_attach();
        attach.container = session->id;
        attach.stream = &stream;
        pb__container_service_attach_request__init(&first.attach);
        first.attach.request_case = PB__CONTAINER_SERVICE_ATTACH_REQUEST__REQUEST_OPTIONS;
        first.attach.options = &attach;
    }
    ND_TRY(nd_mutex_lock(&session->talking));
    lock = &session->talking;
    return begin_call(session, &first);
}

/* Once, and not before the first try to go on has failed: most breaks are mended at once. */
static void
tell_of_break(struct session *session, const struct nd_error *err)
{
    if (session->told_of_break)
        return;
    session->told_of_break = true;
    nd_line(ND_LINE_WARN, "the connection broke: %s; trying to go on", nd_error_message(err));
}

/* Takes `err`, with which a call ended, and returns NULL when another one goes on. */
static struct nd_error *
resume(struct session *session, struct nd_error *err)
{
    bool ask = may_ask_again(session) && nd_cli_was_cut(session->attach->cli, err);

    if (nd_error_code(err) != ND_UNAVAILABLE || session->attach->has_ended)
        return err;
    if (session->name == NULL && !ask)
        return err;
    if (session->resume_until_ns == 0)
        session->resume_until_ns = resume_until_ns(session);
    if (nd_loop_now().ns >= session->resume_until_ns)
        return err; /* somebody takes our calls, but not to a daemon that answers */
    session->may_send = false;
    session->is_cut = true;
    for (;;) {
        struct nd_error *again;

        if (session->attach->has_left)
            return err;
        again = nd_fiber_sleep(RESUME_PAUSE_NS);
        if (again == NULL)
            again = ask ? ask_again(session) : begin_again(session);
        if (again == NULL) {
            nd_error_free(err);
            return NULL;
        }
        if (nd_error_code(again) == ND_CANCELLED || session->attach->has_left ||
            nd_loop_now().ns >= session->resume_until_ns) {
            nd_error_free(again);
            return err;
        }
        tell_of_break(session, again);
        nd_error_free(again);
    }
}

static struct nd_error *
receive(struct session *session)
{
    struct nd_attach *attach = session->attach;

    for (;;) {
        struct nd_error *err = receive_call(session);

        if (err != NULL)
            err = resume(session, err);
        else
            break;
        if (err != NULL && attach->has_left) {
            nd_error_free(err); /* who leaves need not wait for the daemon to come back */
            break;
        }
        ND_TRY(err);
    }
    if (attach->has_ended || attach->has_left || (attach->is_running && attach->detach))
        return NULL;
    return nd_error_new(ND_INTERNAL, "the daemon ended the call without saying how it went");
}

static struct nd_error *
run_receiver(void *arg)
{
    struct session *session = arg;

    session->err = receive(session);
    session->receiver_done = true;
    nd_group_cancel(session->beside);
    return NULL;
}

void
nd_attach_stop(struct session *session)
{
    if (!session->receiver_done && session->receiver != NULL)
        nd_fiber_cancel(session->receiver);
}

static bool
is_interrupt(int signo)
{
    return signo == SIGINT || signo == SIGTERM;
}

/* Before there is a process signals mean us; also where the terminal's keys are the process's. */
static bool
is_for_us(const struct session *session, int signo)
{
    if (signo == SIGWINCH || signo == SIGUSR1 || signo == SIGUSR2)
        return false;
    return !session->attach->is_running || session->is_raw;
}

/* One signal of ours; false when we are to end without waiting for the process. */
static struct nd_error *
handle_signal(struct session *session, int signo, bool *ret_go_on)
{
    struct nd_cli *cli = session->attach->cli;

    *ret_go_on = true;
    session->interrupts += is_interrupt(signo);
    if (is_for_us(session, signo)) {
        cli->interrupted = true;
        *ret_go_on = false;
        return NULL;
    }
    if (!session->attach->is_running)
        return NULL;
    if (session->tty && signo == SIGWINCH)
        return send_size(session);
    if (is_interrupt(signo) && session->interrupts >= FORCED_AFTER) {
        nd_line(ND_LINE_ERROR,
                "got %d SIGTERM/SIGINTs, forcefully exiting; the container may still "
                "be running",
                FORCED_AFTER);
        cli->exit_code = FORCED_EXIT_CODE;
        *ret_go_on = false;
        return NULL;
    }
    for (size_t i = 0; i < ND_LEN(proxied); i++) {
        if (proxied[i].number == signo && session->attach->sig_proxy)
            return send_signal(session, i);
    }
    return NULL;
}

/* Without sig-proxy all but the size of the terminal do what they always do. */
static struct nd_error *
watch_signals(void *arg)
{
    struct session *session = arg;
    ND_AUTO(nd_signals_closep) struct nd_signals *signals = NULL;
    int numbers[ND_LEN(proxied)] = {SIGWINCH};
    size_t n = session->attach->sig_proxy ? ND_LEN(proxied) : 1;
    bool go_on = true;
    int signo;

    for (size_t i = 0; i < ND_LEN(proxied) && session->attach->sig_proxy; i++)
        numbers[i] = proxied[i].number;
    ND_TRY(nd_signals_open(numbers, n, &signals));
    while (go_on) {
        ND_TRY(nd_signals_next(signals, &signo));
        ND_TRY(handle_signal(session, signo, &go_on));
    }
    nd_attach_stop(session);
    return NULL;
}

static void
end_call(struct session **session)
{
    nd_client_call_end(ND_TAKE((*session)->call));
}

static struct nd_error *
run_session(void *arg)
{
    struct session *session = arg;
    struct nd_attach *attach = session->attach;
    ND_AUTO(end_call) struct session *owner = session;
    ND_AUTO(nd_group_endp) struct nd_group *receivers = nd_group_begin("attach", 0);
    ND_AUTO(nd_group_endp) struct nd_group *beside = nd_group_begin_independent("beside", 0);

    ND_TRY(begin_call(session, attach->options));
    session->beside = beside;
    ND_TRY(nd_group_spawn_handle(receivers, run_receiver, session, &session->receiver));
    if (!attach->detach)
        ND_TRY(nd_group_spawn(beside, watch_signals, session));
    ND_TRY(nd_group_wait(receivers));
    nd_group_cancel(beside);
    ND_TRY(nd_group_wait(beside));
    return ND_TAKE(session->err);
}

struct nd_error *
nd_attach_run(struct nd_attach *attach)
{
    struct session session = {
        .attach = attach, .kind = attach->kind, .kept = ND_BUF_INIT(ND_ATTACH_INPUT_MAX)};
    struct nd_error *err = nd_cli_call(attach->cli, run_session, &session);

    nd_terminal_restore();
    nd_progress_clear();
    nd_buf_fini(&session.kept);
    nd_error_free(session.err);
    if (attach->has_left)
        nd_line(ND_LINE_INFO, "read detach keys");
    if (attach->cli->is_lost && attach->is_running)
        err = nd_error_hint(err,
                            "the container goes on: 'nerdctl-remote ps' and 'nerdctl-remote logs "
                            "-f' find it once the daemon is back");
    return err;
}

Pb__StreamOptions *
nd_attach_stream(struct nd_arena *arena)
{
    Pb__StreamOptions *stream = nd_arena_new_object(arena, Pb__StreamOptions);
    Pb__TerminalSize *size = nd_arena_new_object(arena, Pb__TerminalSize);

    pb__stream_options__init(stream);
    stream->acknowledge = true;
    if (nd_terminal_size(size))
        stream->terminal_size = size;
    return stream;
}

struct nd_error *
nd_attach_check_terminal(bool tty, bool interactive)
{
    if (!tty || !interactive || nd_terminal_is_input())
        return NULL;
    return nd_error_hint(nd_error_new(ND_INVALID, "the input device is not a TTY"),
                         "leave -t away when input does not come from a terminal");
}

int
nd_attach_exit_code(const struct nd_error *err, int fallback)
{
    for (size_t i = 0; i < nd_error_n_meta(err); i++) {
        struct nd_str value = nd_str(nd_error_meta_value(err, i));
        ND_AUTO(nd_error_freep) struct nd_error *bad = NULL;
        uint64_t code = 0;

        if (strcmp(nd_error_meta_key(err, i), "exit_code") != 0)
            continue;
        bad = nd_parse_u64(value, 255, &code);
        if (bad == NULL)
            return (int)code;
    }
    return fallback;
}
