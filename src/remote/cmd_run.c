/*
 * run and create: from a command line to a container.
 *
 * Exit codes are docker's: the container's own when it ran in the foreground; 127 and 126 when its
 * program is not there or cannot be executed; 125 for every other failure before that, and when the
 * daemon is lost.
 */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "remote/container_config.h"

#include "attach.h"
#include "logline.h"
#include "nerdctl_methods.h"

#define U ND_FLAG_UNSUPPORTED
#define FLAG(name, short, type, fallback, help, marks, same_as) \
    {name, short, ND_FLAG_##type, fallback, help, marks, same_as},

static const struct nd_flag run_flags[] = {
#include "container_flags.def"
    {"attach", 'a', ND_FLAG_SLICE, "", "Outputs to connect: stdout, stderr", 0, NULL},
    {"detach", 'd', ND_FLAG_BOOL, "", "Run in the background and print the id", 0, NULL},
};

static struct nd_error *
check_cidfile(const struct nd_cli *cli)
{
    const char *path = nd_flag_textz(cli->flags, "cidfile");

    if (path[0] != '\0' && access(path, F_OK) == 0)
        return nd_error_new(ND_EXISTS,
                            "container ID file found, make sure the other container isn't running "
                            "or delete %s",
                            path);
    return NULL;
}

static struct nd_error *
write_cidfile(const struct nd_cli *cli, const char *id)
{
    const char *path = nd_flag_textz(cli->flags, "cidfile");
    ND_AUTO(nd_closep) int fd = -1;

    if (path[0] == '\0')
        return NULL;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return nd_error_errno(errno, "create container id file %s", path);
    if (write(fd, id, strlen(id)) != (ssize_t)strlen(id))
        return nd_error_errno(errno, "write container id file %s", path);
    return NULL;
}

static void
warn_of_dead_flags(const struct nd_cli *cli)
{
    if (nd_flag_given(cli->flags, "kernel-memory"))
        nd_line(ND_LINE_WARN,
                "The --kernel-memory flag is no longer supported. This flag is a noop.");
}

static struct nd_error *
check_run_flags(const struct nd_cli *cli)
{
    const struct nd_flags *f = cli->flags;
    bool detach = nd_flag_bool(f, "detach"), interactive = nd_flag_bool(f, "interactive");
    const struct nd_texts *attach = nd_flag_list(f, "attach");

    if (detach && attach->n > 0)
        return nd_error_new(ND_INVALID, "incompatible flags -d and -a");
    if (interactive && detach && !nd_flag_bool(f, "tty"))
        return nd_error_new(ND_INVALID, "flags -i and -d need -t too");
    if (!detach)
        ND_TRY(nd_attach_check_terminal(nd_flag_bool(f, "tty"), interactive));
    for (size_t i = 0; i < attach->n; i++) {
        struct nd_str stream = attach->items[i];

        if (!nd_str_eq_nocase(stream, ND_STR("stdin")) &&
            !nd_str_eq_nocase(stream, ND_STR("stdout")) &&
            !nd_str_eq_nocase(stream, ND_STR("stderr")))
            return nd_error_new(ND_INVALID, "invalid stream specified with -a flag: %.*s",
                                ND_STR_ARG(stream));
    }
    return NULL;
}

static struct nd_error *
started(struct nd_attach *attach, const char *id)
{
    struct nd_cli *cli = attach->cli;

    ND_TRY(write_cidfile(cli, id));
    if (!attach->detach)
        return NULL;
    nd_buf_printf(&cli->out, "%s\n", id);
    return nd_cli_flush(cli);
}

/* -a names the streams that are wanted; without it both outputs are, and input with -i. */
static void
choose_outputs(const struct nd_cli *cli, struct nd_attach *attach)
{
    const struct nd_texts *streams = nd_flag_list(cli->flags, "attach");

    attach->stdin_wanted = nd_flag_bool(cli->flags, "interactive") && !attach->detach;
    attach->no_stdout = attach->no_stderr = streams->n > 0;
    for (size_t i = 0; i < streams->n; i++) {
        if (nd_str_eq_nocase(streams->items[i], ND_STR("stdout")))
            attach->no_stdout = false;
        else if (nd_str_eq_nocase(streams->items[i], ND_STR("stderr")))
            attach->no_stderr = false;
        else
            attach->stdin_wanted = !attach->detach;
    }
}

static struct nd_error *
run(struct nd_cli *cli)
{
    Pb__ContainerServiceRunRequest first = PB__CONTAINER_SERVICE_RUN_REQUEST__INIT;
    Pb__RunOptions options = PB__RUN_OPTIONS__INIT;
    struct nd_attach attach = {
        .cli = cli,
        .kind = nd_attach_kind_run(),
        .options = &first,
        .stream = nd_attach_stream(cli->arena),
        .started = started,
        .detach = nd_flag_bool(cli->flags, "detach"),
        .sig_proxy = nd_flag_bool(cli->flags, "sig-proxy"),
        .quiet = nd_flag_bool(cli->flags, "quiet"),
        .is_request = true,
    };
    struct nd_error *err;

    ND_TRY(check_run_flags(cli));
    ND_TRY(check_cidfile(cli));
    ND_TRY(nd_detach_keys_parse(nd_flag_text(cli->flags, "detach-keys"), &attach.keys));
    ND_TRY(nd_container_config(cli->arena, cli->flags, &cli->args, &options.config));
    warn_of_dead_flags(cli);
    choose_outputs(cli, &attach);
    options.config->interactive = options.config->interactive || attach.stdin_wanted;
    options.detach = attach.detach;
    options.stream = attach.detach ? NULL : attach.stream;
    options.request_id = nd_cli_request_id(cli);
    first.request_case = PB__CONTAINER_SERVICE_RUN_REQUEST__REQUEST_OPTIONS;
    first.options = &options;
    err = nd_attach_run(&attach);
    if (cli->exit_code != 0) { /* forced by the user, who was told */
        nd_error_free(err);
        return NULL;
    }
    cli->exit_code = err != NULL ? nd_attach_exit_code(err, 125) : attach.exit_code;
    return err == NULL ? NULL : nd_container_config_explain(err);
}

/* The last message has the id. */
static struct nd_error *
receive_created(struct nd_cli *cli, struct nd_client_call *call, const char **ret)
{
    Pb__ContainerServiceCreateResponse *reply;
    const char *id = NULL;

    for (;;) {
        ND_TRY(nd_client_call_recv(call, cli->arena, &reply));
        if (reply == NULL)
            break;
        if (reply->response_case == PB__CONTAINER_SERVICE_CREATE_RESPONSE__RESPONSE_PROGRESS &&
            !nd_flag_bool(cli->flags, "quiet"))
            nd_progress_show(reply->progress);
        for (size_t i = 0; i < reply->n_warnings; i++)
            nd_line(ND_LINE_WARN, "%s", reply->warnings[i]);
        if (reply->response_case == PB__CONTAINER_SERVICE_CREATE_RESPONSE__RESPONSE_CONTAINER_ID)
            id = reply->container_id;
    }
    nd_progress_clear();
    if (id == NULL)
        return nd_error_new(ND_INTERNAL, "the daemon ended the call without an id");
    *ret = id;
    return NULL;
}

struct creation {
    struct nd_cli *cli;
    Pb__ContainerServiceCreateRequest request;
    const char *id; /* once it is there */
};

static struct nd_error *
ask_for_container(void *arg)
{
    struct creation *creation = arg;
    struct nd_cli *cli = creation->cli;
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    ND_TRY(nd_client_call_begin(cli->channel, PB_CONTAINER_SERVICE_CREATE, &cli->options, &call));
    ND_TRY(nd_client_call_send(call, &creation->request));
    ND_TRY(nd_client_call_finish_sending(call));
    return receive_created(cli, call, &creation->id);
}

static struct nd_error *
create_container(void *arg)
{
    struct creation *creation = arg;
    struct nd_cli *cli = creation->cli;

    creation->request.request_id = nd_cli_request_id(cli);
    ND_TRY(nd_cli_repeat(cli, ask_for_container, creation));
    ND_TRY(write_cidfile(cli, creation->id));
    nd_buf_printf(&cli->out, "%s\n", creation->id);
    return NULL;
}

static struct nd_error *
create(struct nd_cli *cli)
{
    struct creation creation = {.cli = cli, .request = PB__CONTAINER_SERVICE_CREATE_REQUEST__INIT};
    struct nd_error *err;

    ND_TRY(check_cidfile(cli));
    ND_TRY(nd_container_config(cli->arena, cli->flags, &cli->args, &creation.request.config));
    warn_of_dead_flags(cli);
    err = nd_cli_call(cli, create_container, &creation);
    return err == NULL ? NULL : nd_container_config_explain(err);
}

const struct nd_command nd_command_container_run = {
    .path = "container run",
    .aliases = "run",
    .usage = "run [flags] IMAGE [COMMAND] [ARG...]",
    .help = "Make and start a container",
    .min_args = 1,
    .max_args = ND_ARGS_ANY,
    .marks = ND_COMMAND_FLAGS_FIRST | ND_COMMAND_EXIT_125,
    .flags = ND_FLAG_TABLE(run_flags),
    .run = run,
};

/* Without the two flags at the end, which are run's own. */
const struct nd_command nd_command_container_create = {
    .path = "container create",
    .aliases = "create",
    .usage = "create [flags] IMAGE [COMMAND] [ARG...]",
    .help = "Make a container without starting it",
    .min_args = 1,
    .max_args = ND_ARGS_ANY,
    .marks = ND_COMMAND_FLAGS_FIRST | ND_COMMAND_EXIT_125,
    .flags = {run_flags, ND_LEN(run_flags) - 2},
    .run = create,
};
