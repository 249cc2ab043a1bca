/* start: start stopped containers, one of them attached if that is wanted. */

#include "attach.h"
#include "nerdctl_methods.h"
#include "targets.h"

static const struct nd_flag flags[] = {
    {"attach", 'a', ND_FLAG_BOOL, "", "Show its output and pass signals on", 0, NULL},
    {"checkpoint", '\0', ND_FLAG_STRING, "", "Restore from a checkpoint", ND_FLAG_UNSUPPORTED,
     NULL},
    {"checkpoint-dir", '\0', ND_FLAG_STRING, "", "Where checkpoints are", ND_FLAG_UNSUPPORTED,
     NULL},
    {"detach-keys", '\0', ND_FLAG_STRING, "ctrl-p,ctrl-q", "Keys that detach the terminal", 0,
     NULL},
    {"interactive", 'i', ND_FLAG_BOOL, "", "Connect standard input", 0, NULL},
};

static void
make_request(const char *name, bool attach, Pb__StartOptions *options,
             Pb__ContainerServiceStartRequest *request)
{
    pb__start_options__init(options);
    options->container = (char *)name;
    options->attach = attach;
    pb__container_service_start_request__init(request);
    request->request_case = PB__CONTAINER_SERVICE_START_REQUEST__REQUEST_OPTIONS;
    request->options = options;
}

struct start {
    struct nd_cli *cli;
    Pb__ContainerServiceStartRequest request;
};

/* Started, not attached: the call ends by itself. */
static struct nd_error *
ask_to_start(void *arg)
{
    struct start *start = arg;
    struct nd_cli *cli = start->cli;
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Pb__ContainerServiceStartResponse *reply;

    ND_TRY(nd_client_call_begin(cli->channel, PB_CONTAINER_SERVICE_START, &cli->options, &call));
    ND_TRY(nd_client_call_send(call, &start->request));
    ND_TRY(nd_client_call_finish_sending(call));
    do
        ND_TRY(nd_client_call_recv(call, cli->arena, &reply));
    while (reply != NULL);
    return NULL;
}

static struct nd_error *
start_one(struct nd_target_job *job)
{
    struct start start = {.cli = job->cli};
    Pb__StartOptions options;

    make_request(job->name, false, &options, &start.request);
    options.request_id = nd_cli_request_id(job->cli);
    ND_TRY(nd_cli_repeat(job->cli, ask_to_start, &start));
    job->text = job->name;
    return NULL;
}

static struct nd_error *
start_attached(struct nd_cli *cli)
{
    Pb__ContainerServiceStartRequest first;
    Pb__StartOptions options;
    struct nd_attach attach = {
        .cli = cli,
        .kind = nd_attach_kind_start(),
        .options = &first,
        .stream = nd_attach_stream(cli->arena),
        .stdin_wanted = nd_flag_bool(cli->flags, "interactive"),
        .sig_proxy = true,
        .is_request = true,
    };
    struct nd_error *err;

    if (cli->args.n != 1)
        return nd_error_new(ND_INVALID, "you cannot start and attach multiple containers at once");
    ND_TRY(nd_detach_keys_parse(nd_flag_text(cli->flags, "detach-keys"), &attach.keys));
    make_request(nd_cli_arg(cli, 0), true, &options, &first);
    options.stream = attach.stream;
    options.request_id = nd_cli_request_id(cli);
    err = nd_attach_run(&attach);
    if (cli->exit_code != 0) { /* forced by the user, who was told */
        nd_error_free(err);
        return NULL;
    }
    cli->exit_code = attach.exit_code;
    return err;
}

static struct nd_error *
run(struct nd_cli *cli)
{
    if (nd_flag_bool(cli->flags, "attach") || nd_flag_bool(cli->flags, "interactive"))
        return start_attached(cli);
    return nd_targets_run(cli, start_one, NULL);
}

const struct nd_command nd_command_container_start = {
    .path = "container start",
    .aliases = "start",
    .usage = "start [flags] CONTAINER [CONTAINER, ...]",
    .help = "Start containers that do not run",
    .min_args = 1,
    .max_args = ND_ARGS_ANY,
    .marks = ND_COMMAND_FLAGS_FIRST,
    .flags = ND_FLAG_TABLE(flags),
    .run = run,
};
