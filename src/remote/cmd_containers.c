/*
 * stop, kill, rm, wait: commands that say one thing to each of several containers; and rename, of
 * one.
 */

#include "cli.h"
#include "logline.h"
#include "nerdctl_methods.h"
#include "targets.h"

static const struct nd_flag stop_flags[] = {
    {"signal", 's', ND_FLAG_STRING, "", "Signal to begin with; the container's own if not given", 0,
     NULL},
    {"time", 't', ND_FLAG_INT, "", "Seconds until it is killed; the container's own, or 10", 0,
     NULL},
    {"timeout", '\0', ND_FLAG_INT, "", "Same as --time", ND_FLAG_HIDDEN, "time"},
};

static const struct nd_flag kill_flags[] = {
    {"signal", 's', ND_FLAG_STRING, "KILL", "Signal to send, a name or a number", 0, NULL},
};

static const struct nd_flag rm_flags[] = {
    {"force", 'f', ND_FLAG_BOOL, "", "Also running ones, which are killed", 0, NULL},
    {"volumes", 'v', ND_FLAG_BOOL, "", "Also their anonymous volumes", 0, NULL},
};

static struct nd_error *
stop_one(struct nd_target_job *job)
{
    const struct nd_flags *flags = job->cli->flags;
    Pb__ContainerServiceStopRequest request = PB__CONTAINER_SERVICE_STOP_REQUEST__INIT;
    Pb__ContainerServiceStopResponse *reply;

    request.container = (char *)job->name;
    request.request_id = nd_cli_request_id(job->cli);
    request.signal = (char *)nd_flag_textz(flags, "signal");
    if (nd_flag_given(flags, "time")) {
        request.timeout_presence_case =
            PB__CONTAINER_SERVICE_STOP_REQUEST__TIMEOUT_PRESENCE_TIMEOUT;
        request.timeout = (int32_t)nd_flag_int(flags, "time");
    }
    ND_TRY(nd_cli_mutate(job->cli, PB_CONTAINER_SERVICE_STOP, &request, &reply));
    job->text = job->name;
    return NULL;
}

static struct nd_error *
stop(struct nd_cli *cli)
{
    return nd_targets_run(cli, stop_one, NULL);
}

static struct nd_error *
kill_one(struct nd_target_job *job)
{
    Pb__ContainerServiceKillRequest request = PB__CONTAINER_SERVICE_KILL_REQUEST__INIT;
    Pb__ContainerServiceKillResponse *reply;

    request.container = (char *)job->name;
    request.request_id = nd_cli_request_id(job->cli);
    request.signal = (char *)nd_flag_textz(job->cli->flags, "signal");
    ND_TRY(nd_cli_mutate(job->cli, PB_CONTAINER_SERVICE_KILL, &request, &reply));
    job->text = reply->container_id;
    return NULL;
}

static struct nd_error *
kill_all(struct nd_cli *cli)
{
    return nd_targets_run(cli, kill_one, NULL);
}

/* With --force, one that is not there is what was wanted, as for docker. */
static struct nd_error *
rm_one(struct nd_target_job *job)
{
    const struct nd_flags *flags = job->cli->flags;
    Pb__ContainerServiceRemoveRequest request = PB__CONTAINER_SERVICE_REMOVE_REQUEST__INIT;
    Pb__ContainerServiceRemoveResponse *reply;
    struct nd_error *err;

    request.container = (char *)job->name;
    request.request_id = nd_cli_request_id(job->cli);
    request.force = nd_flag_bool(flags, "force");
    request.volumes = nd_flag_bool(flags, "volumes");
    err = nd_cli_mutate(job->cli, PB_CONTAINER_SERVICE_REMOVE, &request, &reply);
    if (request.force && nd_error_code(err) == ND_NOT_FOUND) {
        nd_line(ND_LINE_ERROR, "%s", nd_error_message(err));
        nd_error_free(err);
        return NULL;
    }
    if (err != NULL)
        return err;
    for (size_t i = 0; i < reply->n_warnings; i++)
        nd_line(ND_LINE_WARN, "%s", reply->warnings[i]);
    job->text = job->name;
    return NULL;
}

static struct nd_error *
rm(struct nd_cli *cli)
{
    return nd_targets_run(cli, rm_one, NULL);
}

static struct nd_error *
rename_container(void *arg)
{
    struct nd_cli *cli = arg;
    Pb__ContainerServiceRenameRequest request = PB__CONTAINER_SERVICE_RENAME_REQUEST__INIT;
    Pb__ContainerServiceRenameResponse *reply;

    request.container = (char *)nd_cli_arg(cli, 0);
    request.new_name = (char *)nd_cli_arg(cli, 1);
    request.request_id = nd_cli_request_id(cli);
    return nd_cli_mutate(cli, PB_CONTAINER_SERVICE_RENAME, &request, &reply);
}

static struct nd_error *
rename_one(struct nd_cli *cli)
{
    return nd_cli_call(cli, rename_container, cli);
}

/* One exit code a line, in the order of the arguments, as soon as it is known. */
static struct nd_error *
wait_for_all(void *arg)
{
    struct nd_cli *cli = arg;
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Pb__ContainerServiceWaitRequest request = PB__CONTAINER_SERVICE_WAIT_REQUEST__INIT;
    Pb__ContainerServiceWaitResponse *reply;

    request.n_containers = cli->args.n;
    request.containers = nd_arena_new_array(cli->arena, cli->args.n + 1, char *);
    for (size_t i = 0; i < cli->args.n; i++)
        request.containers[i] = (char *)nd_cli_arg(cli, i);
    ND_TRY(nd_client_call_begin(cli->channel, PB_CONTAINER_SERVICE_WAIT, &cli->options, &call));
    ND_TRY(nd_client_call_send(call, &request));
    ND_TRY(nd_client_call_finish_sending(call));
    for (;;) {
        ND_TRY(nd_client_call_recv(call, cli->arena, &reply));
        if (reply == NULL)
            return NULL;
        nd_buf_printf(&cli->out, "%u\n", reply->exit != NULL ? reply->exit->code : 0);
        ND_TRY(nd_cli_flush(cli));
    }
}

static struct nd_error *
wait_all(struct nd_cli *cli)
{
    return nd_cli_call(cli, wait_for_all, cli);
}

const struct nd_command nd_command_container_stop = {
    .path = "container stop",
    .aliases = "stop",
    .usage = "stop [flags] CONTAINER [CONTAINER, ...]",
    .help = "Ask containers to end, and after a time make them",
    .min_args = 1,
    .max_args = ND_ARGS_ANY,
    .flags = ND_FLAG_TABLE(stop_flags),
    .run = stop,
};

const struct nd_command nd_command_container_kill = {
    .path = "container kill",
    .aliases = "kill",
    .usage = "kill [flags] CONTAINER [CONTAINER, ...]",
    .help = "Send a signal to containers",
    .min_args = 1,
    .max_args = ND_ARGS_ANY,
    .flags = ND_FLAG_TABLE(kill_flags),
    .run = kill_all,
};

const struct nd_command nd_command_container_rm = {
    .path = "container rm",
    .aliases = "rm,container remove,remove",
    .usage = "rm [flags] CONTAINER [CONTAINER, ...]",
    .help = "Remove containers",
    .min_args = 1,
    .max_args = ND_ARGS_ANY,
    .flags = ND_FLAG_TABLE(rm_flags),
    .run = rm,
};

const struct nd_command nd_command_container_rename = {
    .path = "container rename",
    .aliases = "rename",
    .usage = "rename [flags] CONTAINER NEW_NAME",
    .help = "Give a container another name",
    .min_args = 2,
    .max_args = 2,
    .marks = ND_COMMAND_USAGE,
    .run = rename_one,
};

const struct nd_command nd_command_container_wait = {
    .path = "container wait",
    .aliases = "wait",
    .usage = "wait [flags] CONTAINER [CONTAINER, ...]",
    .help = "Wait until containers have ended, print their exit codes",
    .min_args = 1,
    .max_args = ND_ARGS_ANY,
    .run = wait_all,
};
