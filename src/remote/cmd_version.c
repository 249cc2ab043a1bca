/*
 * version: what the client is, what the daemon is, and what that stands on.
 *
 * The client's part is known here; when the daemon cannot be reached it is still printed, and the
 * command fails.
 */

#include <sys/utsname.h>

#include "remote/format.h"

#include "cli.h"
#include "logline.h"
#include "nerdctl_methods.h"
#include "version.h"

static const struct nd_flag flags[] = {
    {"format", 'f', ND_FLAG_STRING, "", "Format the output: json, or a Go template", 0, NULL},
};

struct version {
    struct nd_cli *cli;
    Pb__SystemServiceVersionResponse *server; /* NULL: not reached */
};

static struct nd_error *
ask(void *arg)
{
    struct version *v = arg;
    Pb__SystemServiceVersionRequest request = PB__SYSTEM_SERVICE_VERSION_REQUEST__INIT;

    return nd_cli_unary(v->cli, PB_SYSTEM_SERVICE_VERSION, &request, &v->server);
}

/* Go's names of processors. */
static const char *
architecture(struct nd_arena *arena)
{
    static const char *const names[][2] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}};
    struct utsname uts;

    if (uname(&uts) < 0)
        return "";
    for (size_t i = 0; i < ND_LEN(names); i++) {
        if (strcmp(uts.machine, names[i][0]) == 0)
            return names[i][1];
    }
    return nd_arena_strdup(arena, uts.machine);
}

static void
set(struct nd_arena *arena, struct nd_value *object, const char *name, const char *text)
{
    nd_value_set_as(arena, object, name, NULL, 0, nd_value_textz(arena, text));
}

static struct nd_value *
client_value(struct nd_arena *a)
{
    struct nd_value *client = nd_value_new(a, ND_VALUE_OBJECT);

    set(a, client, "Version", ND_VERSION);
    set(a, client, "GitCommit", ND_GIT_COMMIT);
    set(a, client, "GoVersion", ""); /* nerdctl has it; there is no Go here */
    set(a, client, "Os", "linux");
    set(a, client, "Arch", architecture(a));
    nd_value_set_as(a, client, "Components", NULL, 0, nd_value_new(a, ND_VALUE_LIST));
    return client;
}

static struct nd_value *
component_value(struct nd_arena *a, const Pb__Component *component)
{
    struct nd_value *v = nd_value_new(a, ND_VALUE_OBJECT);
    struct nd_value *details = nd_value_new(a, ND_VALUE_MAP);

    set(a, v, "Name", component->name);
    set(a, v, "Version", component->version);
    for (size_t i = 0; i < component->n_details; i++)
        nd_value_set(a, details, nd_str(component->details[i]->key),
                     nd_value_textz(a, component->details[i]->value));
    nd_value_set_as(a, v, "Details", NULL, 0, details);
    return v;
}

/* The daemon itself stands first among the components, as containerd's client expects them. */
static struct nd_value *
daemon_value(struct nd_arena *a, const Pb__SystemServiceVersionResponse *server)
{
    struct nd_value *v = nd_value_new(a, ND_VALUE_OBJECT);
    struct nd_value *details = nd_value_new(a, ND_VALUE_MAP);

    set(a, v, "Name", "nerdctl-grpcd");
    set(a, v, "Version", server->version);
    nd_value_set(a, details, ND_STR("ApiVersion"), nd_value_textz(a, server->api_version));
    if (server->git_commit[0] != '\0')
        nd_value_set(a, details, ND_STR("GitCommit"), nd_value_textz(a, server->git_commit));
    nd_value_set_as(a, v, "Details", NULL, 0, details);
    return v;
}

static struct nd_value *
server_value(struct nd_arena *a, const Pb__SystemServiceVersionResponse *server)
{
    struct nd_value *v = nd_value_new(a, ND_VALUE_OBJECT);
    struct nd_value *components = nd_value_new(a, ND_VALUE_LIST);

    nd_value_push(a, components, daemon_value(a, server));
    for (size_t i = 0; i < server->n_components; i++)
        nd_value_push(a, components, component_value(a, server->components[i]));
    nd_value_set_as(a, v, "Components", NULL, 0, components);
    /* Docker's names, which tools ask for: nerdctl has only the components. */
    set(a, v, "Version", server->version);
    set(a, v, "APIVersion", server->api_version);
    set(a, v, "GitCommit", server->git_commit);
    set(a, v, "Os", server->os);
    set(a, v, "Arch", server->arch);
    return v;
}

static struct nd_str
text_of(const struct nd_value *object, const char *name)
{
    return nd_value_find(object, nd_str(name))->text;
}

static void
print_client(struct nd_buf *out, const struct nd_value *client)
{
    nd_buf_putz(out, "Client:\n");
    nd_buf_printf(out, " Version:\t%.*s\n", ND_STR_ARG(text_of(client, "Version")));
    nd_buf_printf(out, " OS/Arch:\t%.*s/%.*s\n", ND_STR_ARG(text_of(client, "Os")),
                  ND_STR_ARG(text_of(client, "Arch")));
    nd_buf_printf(out, " Git commit:\t%.*s\n", ND_STR_ARG(text_of(client, "GitCommit")));
}

static void
print_server(struct nd_buf *out, const struct nd_value *server)
{
    const struct nd_value *components = nd_value_find(server, ND_STR("Components"));

    nd_buf_putz(out, "\nServer:\n");
    for (size_t i = 0; i < components->n_items; i++) {
        const struct nd_value *c = components->items[i].value;
        const struct nd_value *details = nd_value_find(c, ND_STR("Details"));

        nd_buf_printf(out, " %.*s:\n", ND_STR_ARG(text_of(c, "Name")));
        nd_buf_printf(out, "  Version:\t%.*s\n", ND_STR_ARG(text_of(c, "Version")));
        for (size_t k = 0; k < details->n_items; k++)
            nd_buf_printf(out, "  %.*s:\t%.*s\n", ND_STR_ARG(details->items[k].name),
                          ND_STR_ARG(details->items[k].value->text));
    }
}

static struct nd_error *
print(struct nd_cli *cli, struct nd_format *format, const struct version *v)
{
    struct nd_arena *a = cli->arena;
    struct nd_value *whole = nd_value_new(a, ND_VALUE_OBJECT);
    struct nd_value *client = client_value(a);
    struct nd_value *server =
        v->server != NULL ? server_value(a, v->server) : nd_value_new(a, ND_VALUE_NULL);

    nd_value_set_as(a, whole, "Client", NULL, 0, client);
    nd_value_set_as(a, whole, "Server", NULL, 0, server);
    if (nd_format_is_by_element(format)) {
        ND_TRY(nd_format_element(format, a, whole, &cli->out));
        return nd_format_end(format, &cli->out);
    }
    print_client(&cli->out, client);
    if (v->server != NULL)
        print_server(&cli->out, server);
    return NULL;
}

/* A daemon leaves out what does not answer it. */
static bool
has_containerd(const Pb__SystemServiceVersionResponse *server)
{
    for (size_t i = 0; i < server->n_components; i++) {
        if (nd_str_eqz(nd_str(server->components[i]->name), "containerd"))
            return true;
    }
    return false;
}

static struct nd_error *
run(struct nd_cli *cli)
{
    struct version v = {.cli = cli};
    struct nd_format format;
    struct nd_error *unreachable, *err;

    ND_TRY(nd_format_parse(cli->arena, nd_flag_text(cli->flags, "format"), false, &format));
    unreachable = nd_cli_call(cli, ask, &v);
    err = print(cli, &format, &v);
    if (v.server != NULL && !has_containerd(v.server))
        nd_line(ND_LINE_WARN, "the daemon cannot reach containerd");
    if (unreachable == NULL)
        return err;
    nd_error_free(err); /* the template missed what the daemon would have said */
    return unreachable;
}

const struct nd_command nd_command_version = {
    .path = "version",
    .aliases = "",
    .usage = "version [flags]",
    .help = "Show the versions of client and daemon",
    .flags = ND_FLAG_TABLE(flags),
    .run = run,
};
