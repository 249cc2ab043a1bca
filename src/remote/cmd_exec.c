/*
 * exec: run a command in a container.
 *
 * Exit codes are docker's: the command's own; 127 and 126 when it is not there or cannot be
 * executed; 1 for other failures before it runs.
 */

#include "remote/container_config.h"

#include "attach.h"
#include "nerdctl_methods.h"

static const struct nd_flag flags[] = {
    {"detach", 'd', ND_FLAG_BOOL, "", "Start the command and return", 0, NULL},
    {"env", 'e', ND_FLAG_ARRAY, "", "Set an environment variable (KEY=VALUE; KEY copies yours)", 0,
     NULL},
    {"env-file", '\0', ND_FLAG_SLICE, "", "Read environment variables from a file here", 0, NULL},
    {"interactive", 'i', ND_FLAG_BOOL, "", "Connect standard input", 0, NULL},
    {"privileged", '\0', ND_FLAG_BOOL, "", "All capabilities", 0, NULL},
    {"tty", 't', ND_FLAG_BOOL, "", "With a terminal", 0, NULL},
    {"user", 'u', ND_FLAG_STRING, "", "User, and group (name or number[:name or number])", 0, NULL},
    {"workdir", 'w', ND_FLAG_STRING, "", "Working directory in the container", 0, NULL},
};

static struct nd_error *
fill_options(struct nd_cli *cli, Pb__ExecOptions *o)
{
    const struct nd_flags *f = cli->flags;

    o->container = (char *)nd_cli_arg(cli, 0);
    o->n_args = cli->args.n - 1;
    o->args = nd_arena_new_array(cli->arena, o->n_args, char *);
    for (size_t i = 0; i < o->n_args; i++)
        o->args[i] = (char *)nd_cli_arg(cli, i + 1);
    o->working_dir = (char *)nd_flag_textz(f, "workdir");
    o->user = (char *)nd_flag_textz(f, "user");
    o->tty = nd_flag_bool(f, "tty");
    o->interactive = nd_flag_bool(f, "interactive");
    o->detach = nd_flag_bool(f, "detach");
    o->privileged = nd_flag_bool(f, "privileged");
    o->request_id = nd_cli_request_id(cli);
    if (o->detach && o->interactive)
        return nd_error_new(ND_INVALID, "incompatible flags -d and -i");
    return nd_container_env(cli->arena, f, &o->env, &o->n_env);
}

static struct nd_error *
run(struct nd_cli *cli)
{
    Pb__ContainerServiceExecRequest first = PB__CONTAINER_SERVICE_EXEC_REQUEST__INIT;
    Pb__ExecOptions options = PB__EXEC_OPTIONS__INIT;
    struct nd_attach attach = {
        .cli = cli,
        .kind = nd_attach_kind_exec(),
        .options = &first,
        .stream = nd_attach_stream(cli->arena),
        .is_request = true,
    };
    struct nd_error *err;

    ND_TRY(fill_options(cli, &options));
    if (!options.detach)
        ND_TRY(nd_attach_check_terminal(options.tty, options.interactive));
    attach.container = options.container;
    attach.stdin_wanted = options.interactive;
    attach.detach = options.detach;
    options.stream = options.detach ? NULL : attach.stream;
    first.request_case = PB__CONTAINER_SERVICE_EXEC_REQUEST__REQUEST_OPTIONS;
    first.options = &options;
    err = nd_attach_run(&attach);
    cli->exit_code = err != NULL ? nd_attach_exit_code(err, 1) : attach.exit_code;
    return err;
}

const struct nd_command nd_command_container_exec = {
    .path = "container exec",
    .aliases = "exec",
    .usage = "exec [flags] CONTAINER COMMAND [ARG...]",
    .help = "Run a command in a container that runs",
    .min_args = 2,
    .max_args = ND_ARGS_ANY,
    .marks = ND_COMMAND_FLAGS_FIRST,
    .flags = ND_FLAG_TABLE(flags),
    .run = run,
};
