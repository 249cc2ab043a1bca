/*
 * A container in the foreground.
 *
 * Two fibers share the call: one receives and writes what comes, one waits for our signals and sends
 * them. The receiver decides when it is over; the other is cancelled then. A signal that arrives before
 * the container runs means "stop preparing": the call is cancelled, and the daemon undoes what it began.
 *
 *     signals -----> call -----> daemon
 *                     |
 *     stdout <---- receiver <--- daemon
 *     stderr <-------'
 */

#include "attach.h"

#include <signal.h>
#include <unistd.h>

#include "fiber/group.h"
#include "fiber/process.h"

#include "logline.h"
#include "writer.h"

#define FORCED_AFTER        3 /* interrupts */
#define FORCED_EXIT_CODE    1
#define SEND_SIGNAL_TIMEOUT (5 * ND_SECOND)

static const struct {
    int number;
    const char *name;
} proxied[] = {
    {SIGINT, "INT"},   {SIGTERM, "TERM"}, {SIGHUP, "HUP"},   {SIGQUIT, "QUIT"},
    {SIGUSR1, "USR1"}, {SIGUSR2, "USR2"}, {SIGALRM, "ALRM"}, {SIGWINCH, "WINCH"},
};

struct session {
    struct nd_attach *attach;
    struct nd_client_call *call;
    struct nd_fiber *receiver; /* valid until it is done */
    bool receiver_done;
    struct nd_group *signals;
    struct nd_error *err; /* the receiver's */
    unsigned interrupts;
};

static struct nd_error *
write_output(const struct nd_attach *attach, const Pb__Output *output)
{
    bool is_error = output->stream == PB__OUTPUT_STREAM__OUTPUT_STREAM_STDERR;

    if (is_error ? attach->no_stderr : attach->no_stdout)
        return NULL;
    return nd_write_all(is_error ? STDERR_FILENO : STDOUT_FILENO,
                        nd_str_n(output->data.data, output->data.len));
}

static struct nd_error *
handle_event(struct nd_attach *attach, const struct nd_attach_event *event)
{
    if (event->progress != NULL && !attach->quiet)
        nd_progress_show(event->progress);
    if (event->container_id != NULL || event->output != NULL || event->exit != NULL)
        nd_progress_clear();
    for (size_t i = 0; i < event->n_warnings; i++)
        nd_line(ND_LINE_WARN, "%s", event->warnings[i]);
    if (event->container_id != NULL) {
        attach->is_running = true;
        if (attach->started != NULL)
            ND_TRY(attach->started(attach, event->container_id));
    }
    if (event->output != NULL)
        ND_TRY(write_output(attach, event->output));
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

static struct nd_error *
receive(struct session *session)
{
    struct nd_attach *attach = session->attach;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    for (;;) {
        struct nd_attach_event event = {.n_warnings = 0};
        const void *reply;

        nd_arena_reset(arena);
        ND_TRY(receive_one(session, arena, &reply));
        if (reply == NULL)
            break;
        attach->read(reply, &event);
        ND_TRY(handle_event(attach, &event));
    }
    if (attach->has_ended || (attach->is_running && attach->detach))
        return NULL;
    return nd_error_new(ND_INTERNAL, "the daemon ended the call without saying how it went");
}

static struct nd_error *
run_receiver(void *arg)
{
    struct session *session = arg;

    session->err = receive(session);
    session->receiver_done = true;
    if (session->signals != NULL)
        nd_group_cancel(session->signals);
    return NULL;
}

static void
stop_receiver(struct session *session)
{
    if (!session->receiver_done && session->receiver != NULL)
        nd_fiber_cancel(session->receiver);
}

static struct nd_error *
send_signal(struct session *session, const char *name)
{
    union {
        Pb__ContainerServiceRunRequest run;
        Pb__ContainerServiceStartRequest start;
    } message;
    struct nd_error *err;
    ND_DEADLINE_IN(SEND_SIGNAL_TIMEOUT);

    session->attach->make_signal(&message, (char *)name);
    err = nd_client_call_send(session->call, &message);
    if (err != NULL && !session->receiver_done)
        nd_line(ND_LINE_WARN, "signal %s was not passed on: %s", name, nd_error_message(err));
    nd_error_free(err);
    return nd_ctx_check();
}

static bool
is_interrupt(int signo)
{
    return signo == SIGINT || signo == SIGTERM;
}

/* One signal of ours; false when we are to end without waiting for the container. */
static struct nd_error *
handle_signal(struct session *session, int signo, bool *ret_go_on)
{
    struct nd_cli *cli = session->attach->cli;

    *ret_go_on = true;
    session->interrupts += is_interrupt(signo);
    if (!session->attach->is_running) {
        if (signo == SIGWINCH || signo == SIGUSR1 || signo == SIGUSR2)
            return NULL;
        cli->interrupted = true;
        *ret_go_on = false;
        return NULL;
    }
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
        if (proxied[i].number == signo)
            return send_signal(session, proxied[i].name);
    }
    return NULL;
}

static struct nd_error *
watch_signals(void *arg)
{
    struct session *session = arg;
    ND_AUTO(nd_signals_closep) struct nd_signals *signals = NULL;
    int numbers[ND_LEN(proxied)];
    bool go_on = true;
    int signo;

    for (size_t i = 0; i < ND_LEN(proxied); i++)
        numbers[i] = proxied[i].number;
    ND_TRY(nd_signals_open(numbers, ND_LEN(numbers), &signals));
    while (go_on) {
        ND_TRY(nd_signals_next(signals, &signo));
        ND_TRY(handle_signal(session, signo, &go_on));
    }
    stop_receiver(session);
    return NULL;
}

/* The call with its first message; the only one when nobody waits for the container. */
static struct nd_error *
begin_call(const struct nd_attach *attach, struct nd_client_call **ret)
{
    struct nd_cli *cli = attach->cli;
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    ND_TRY(nd_client_call_begin(cli->channel, attach->method, &cli->options, &call));
    ND_TRY(nd_client_call_send(call, attach->options));
    if (attach->detach)
        ND_TRY(nd_client_call_finish_sending(call));
    *ret = ND_TAKE(call);
    return NULL;
}

static struct nd_error *
run_session(void *arg)
{
    struct session *session = arg;
    struct nd_attach *attach = session->attach;
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    ND_AUTO(nd_group_endp) struct nd_group *receivers = nd_group_begin("attach", 0);
    ND_AUTO(nd_group_endp) struct nd_group *signals = nd_group_begin_independent("signals", 0);

    ND_TRY(begin_call(attach, &call));
    session->call = call;
    session->signals = signals;
    ND_TRY(nd_group_spawn_handle(receivers, run_receiver, session, &session->receiver));
    if (attach->sig_proxy && !attach->detach)
        ND_TRY(nd_group_spawn(signals, watch_signals, session));
    ND_TRY(nd_group_wait(receivers));
    nd_group_cancel(signals);
    ND_TRY(nd_group_wait(signals));
    return ND_TAKE(session->err);
}

struct nd_error *
nd_attach_run(struct nd_attach *attach)
{
    struct session session = {.attach = attach};
    struct nd_error *err = nd_cli_call(attach->cli, run_session, &session);

    nd_progress_clear();
    nd_error_free(session.err);
    if (attach->cli->is_lost && attach->is_running)
        err = nd_error_hint(err,
                            "the container goes on: 'nerdctl-remote ps' and 'nerdctl-remote logs "
                            "-f' find it once the daemon is back");
    return err;
}
