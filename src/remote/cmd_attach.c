/* attach: connect with a container that runs. */

#include "attach.h"
#include "nerdctl_methods.h"

static const struct nd_flag flags[] = {
    {"detach-keys", '\0', ND_FLAG_STRING, "ctrl-p,ctrl-q", "Keys that detach the terminal", 0,
     NULL},
    {"no-stdin", '\0', ND_FLAG_BOOL, "", "Do not connect standard input", 0, NULL},
};

static struct nd_error *
run(struct nd_cli *cli)
{
    Pb__ContainerServiceAttachRequest first = PB__CONTAINER_SERVICE_ATTACH_REQUEST__INIT;
    Pb__AttachOptions options = PB__ATTACH_OPTIONS__INIT;
    struct nd_attach attach = {
        .cli = cli,
        .kind = nd_attach_kind_attach(),
        .options = &first,
        .stream = nd_attach_stream(cli->arena),
        .stdin_wanted = !nd_flag_bool(cli->flags, "no-stdin"),
        .sig_proxy = true,
    };
    struct nd_error *err;

    ND_TRY(nd_detach_keys_parse(nd_flag_text(cli->flags, "detach-keys"), &attach.keys));
    options.container = (char *)nd_cli_arg(cli, 0);
    options.stream = attach.stream;
    first.request_case = PB__CONTAINER_SERVICE_ATTACH_REQUEST__REQUEST_OPTIONS;
    first.options = &options;
    err = nd_attach_run(&attach);
    if (cli->exit_code != 0) { /* forced by the user, who was told */
        nd_error_free(err);
        return NULL;
    }
    cli->exit_code = attach.exit_code;
    return err;
}

const struct nd_command nd_command_container_attach = {
    .path = "container attach",
    .aliases = "attach",
    .usage = "attach [flags] CONTAINER",
    .help = "Connect with the standard streams of a container that runs",
    .min_args = 1,
    .max_args = 1,
    .flags = ND_FLAG_TABLE(flags),
    .run = run,
};
