/*
 * inspect, container inspect, image inspect.
 *
 * The daemon sends a JSON object per thing. Without a format they are printed as one array; with
 * one, each on its own. What was found is printed even when something else was not, and the command
 * fails.
 */

#include "remote/format.h"

#include "cli.h"
#include "nerdctl_methods.h"
#include "protocol.h"
#include "targets.h"

static const struct nd_flag container_flags[] = {
    {"format", 'f', ND_FLAG_STRING, "", "Format the output: json, or a Go template", 0, NULL},
    {"mode", '\0', ND_FLAG_STRING, "dockercompat", "Whose fields: dockercompat or native", 0, NULL},
    {"size", 's', ND_FLAG_BOOL, "", "Add how much disk it uses", 0, NULL},
};

static const struct nd_flag image_flags[] = {
    {"format", 'f', ND_FLAG_STRING, "", "Format the output: json, or a Go template", 0, NULL},
    {"mode", '\0', ND_FLAG_STRING, "dockercompat", "Whose fields: dockercompat or native", 0, NULL},
    {"platform", '\0', ND_FLAG_STRING, "", "Which platform of the image (os/arch[/variant])", 0,
     NULL},
};

static const struct nd_flag any_flags[] = {
    {"format", 'f', ND_FLAG_STRING, "", "Format the output: json, or a Go template", 0, NULL},
    {"mode", '\0', ND_FLAG_STRING, "dockercompat", "Whose fields: dockercompat or native", 0, NULL},
    {"size", 's', ND_FLAG_BOOL, "", "Add how much disk it uses", 0, NULL},
    {"type", '\0', ND_FLAG_STRING, "", "Only look for this: container or image", 0, NULL},
};

enum kinds { KIND_CONTAINER = 1, KIND_IMAGE = 2 };

struct inspection {
    struct nd_cli *cli;
    unsigned kinds;
    Pb__InspectMode mode;
    bool size;
    const char *platform;
    const char **documents; /* per argument; NULL: not found */
    struct nd_error **errors;
};

static struct nd_error *
ask_image(struct inspection *in, const char *name, const char **ret)
{
    Pb__ImageServiceInspectRequest request = PB__IMAGE_SERVICE_INSPECT_REQUEST__INIT;
    Pb__ImageServiceInspectResponse *reply;

    request.image = (char *)name;
    request.platform = (char *)in->platform;
    request.mode = in->mode;
    ND_TRY(nd_cli_unary(in->cli, PB_IMAGE_SERVICE_INSPECT, &request, &reply));
    *ret = reply->document;
    return NULL;
}

static struct nd_error *
ask_container(struct inspection *in, const char *name, const char **ret)
{
    Pb__ContainerServiceInspectRequest request = PB__CONTAINER_SERVICE_INSPECT_REQUEST__INIT;
    Pb__ContainerServiceInspectResponse *reply;

    request.container = (char *)name;
    request.mode = in->mode;
    request.size = in->size;
    ND_TRY(nd_cli_unary(in->cli, PB_CONTAINER_SERVICE_INSPECT, &request, &reply));
    *ret = reply->document;
    return NULL;
}

/* A name that the image service cannot even parse may still be a container's. */
static bool
is_no_match(const struct nd_error *err)
{
    return nd_error_code(err) == ND_NOT_FOUND || nd_error_code(err) == ND_INVALID;
}

/* An image wins over a container of the same name, as in nerdctl. */
static struct nd_error *
ask_any(struct inspection *in, const char *name, const char **ret)
{
    struct nd_error *err = ask_image(in, name, ret);

    if (err == NULL || !is_no_match(err))
        return err;
    nd_error_free(err);
    err = ask_container(in, name, ret);
    if (err == NULL || nd_error_code(err) != ND_NOT_FOUND)
        return err;
    nd_error_free(err);
    return nd_error_new(ND_NOT_FOUND, "no such object %s", name);
}

static struct nd_error *
ask_all(void *arg)
{
    struct inspection *in = arg;

    for (size_t i = 0; i < in->cli->args.n; i++) {
        const char *name = nd_cli_arg(in->cli, i);

        if (in->kinds == KIND_IMAGE)
            in->errors[i] = ask_image(in, name, &in->documents[i]);
        else if (in->kinds == KIND_CONTAINER)
            in->errors[i] = ask_container(in, name, &in->documents[i]);
        else
            in->errors[i] = ask_any(in, name, &in->documents[i]);
    }
    return NULL;
}

/* An empty line stands behind it. */
static struct nd_error *
print_array(struct nd_cli *cli, struct nd_value *all)
{
    ND_TRY(nd_value_json(&cli->out, all, 4));
    return nd_buf_add(&cli->out, ND_STR("\n\n"));
}

static struct nd_error *
print_documents(struct inspection *in, struct nd_format *format)
{
    struct nd_cli *cli = in->cli;
    struct nd_value *all = nd_value_new(cli->arena, ND_VALUE_LIST);

    for (size_t i = 0; i < cli->args.n; i++) {
        struct nd_value *value;

        if (in->documents[i] == NULL)
            continue;
        ND_TRY(nd_value_from_json(cli->arena, nd_str(in->documents[i]), &value));
        nd_value_push(cli->arena, all, value);
        if (nd_format_is_by_element(format))
            ND_TRY_DOING(nd_format_element(format, cli->arena, value, &cli->out),
                         "template parsing error");
    }
    return nd_format_is_by_element(format) ? NULL : print_array(cli, all);
}

static struct nd_error *
parse_format(struct nd_cli *cli, struct nd_format *ret)
{
    struct nd_str text = nd_flag_text(cli->flags, "format");

    ND_TRY(nd_format_parse(cli->arena, text, false, ret));
    if ((text.len > 0 && !nd_format_is_by_element(ret)) || ret->kind == ND_FORMAT_COLUMNS)
        return nd_error_new(ND_INVALID, "unsupported format: \"%.*s\"", ND_STR_ARG(text));
    return NULL;
}

static struct nd_error *
inspect(struct inspection *in)
{
    struct nd_cli *cli = in->cli;
    struct nd_error *err, *failed;
    struct nd_format format;

    ND_TRY(parse_format(cli, &format));
    ND_TRY(nd_protocol_mode(nd_flag_text(cli->flags, "mode"), &in->mode));
    in->documents = nd_arena_new_array(cli->arena, cli->args.n + 1, const char *);
    in->errors = nd_arena_new_array(cli->arena, cli->args.n + 1, struct nd_error *);
    ND_TRY(nd_cli_call(cli, ask_all, in));
    failed = nd_errors_join(in->errors, cli->args.n);
    err = print_documents(in, &format);
    if (failed == NULL)
        return err;
    nd_error_free(err);
    return failed;
}

static struct nd_error *
inspect_container(struct nd_cli *cli)
{
    struct inspection in = {.cli = cli,
                            .kinds = KIND_CONTAINER,
                            .size = nd_flag_bool(cli->flags, "size"),
                            .platform = ""};

    return inspect(&in);
}

static struct nd_error *
inspect_image(struct nd_cli *cli)
{
    struct inspection in = {
        .cli = cli, .kinds = KIND_IMAGE, .platform = nd_flag_textz(cli->flags, "platform")};

    return inspect(&in);
}

static struct nd_error *
inspect_any(struct nd_cli *cli)
{
    struct inspection in = {.cli = cli,
                            .kinds = KIND_CONTAINER | KIND_IMAGE,
                            .size = nd_flag_bool(cli->flags, "size"),
                            .platform = ""};
    struct nd_str type = nd_flag_text(cli->flags, "type");

    if (nd_str_eqz(type, "container"))
        in.kinds = KIND_CONTAINER;
    else if (nd_str_eqz(type, "image"))
        in.kinds = KIND_IMAGE;
    else if (type.len > 0)
        return nd_error_new(ND_INVALID, "\"%.*s\" is not a valid value for --type",
                            ND_STR_ARG(type));
    return inspect(&in);
}

const struct nd_command nd_command_inspect = {
    .path = "inspect",
    .aliases = "",
    .usage = "inspect [flags] NAME|ID [NAME|ID...]",
    .help = "Show details of images and containers",
    .min_args = 1,
    .max_args = ND_ARGS_ANY,
    .flags = ND_FLAG_TABLE(any_flags),
    .run = inspect_any,
};

const struct nd_command nd_command_container_inspect = {
    .path = "container inspect",
    .aliases = "",
    .usage = "container inspect [flags] CONTAINER [CONTAINER, ...]",
    .help = "Show details of containers",
    .min_args = 1,
    .max_args = ND_ARGS_ANY,
    .flags = ND_FLAG_TABLE(container_flags),
    .run = inspect_container,
};

const struct nd_command nd_command_image_inspect = {
    .path = "image inspect",
    .aliases = "",
    .usage = "image inspect [flags] IMAGE [IMAGE...]",
    .help = "Show details of images",
    .min_args = 1,
    .max_args = ND_ARGS_ANY,
    .flags = ND_FLAG_TABLE(image_flags),
    .run = inspect_image,
};
