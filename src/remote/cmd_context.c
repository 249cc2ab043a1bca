/*
 * context: names for daemons. The one command that changes something here and nothing elsewhere.
 *
 * The context "default" always exists and is what the environment says; it cannot be changed.
 */

#include "remote/format.h"
#include "remote/table.h"

#include "cli.h"
#include "targets.h"

static const struct nd_flag create_flags[] = {
    {"description", '\0', ND_FLAG_STRING, "", "What it is for", 0, NULL},
    {"docker", '\0', ND_FLAG_ARRAY, "",
     "docker's way to say it: host=tcp://...,ca=FILE,cert=FILE,key=FILE", 0, NULL},
};

static const struct nd_flag ls_flags[] = {
    {"format", '\0', ND_FLAG_STRING, "", "Format the output: json, or a Go template", 0, NULL},
    {"quiet", 'q', ND_FLAG_BOOL, "", "Only print names", 0, NULL},
};

static const struct nd_flag rm_flags[] = {
    {"force", 'f', ND_FLAG_BOOL, "", "Also the current one, and those that are not there", 0, NULL},
};

static const struct nd_flag inspect_flags[] = {
    {"format", 'f', ND_FLAG_STRING, "", "Format the output: json, or a Go template", 0, NULL},
};

static const char *const headings[][2] = {
    {"Name", "NAME"},           {"Description", "DESCRIPTION"}, {"Host", "HOST"},
    {"Namespace", "NAMESPACE"}, {"Current", "CURRENT"},
};

static const struct nd_context default_context = {
    .name = ND_DEFAULT_CONTEXT,
    .description = "The local daemon, or NERDCTL_HOST",
    .host = ND_DEFAULT_HOST,
    .namespace = "",
    .ca = "",
    .cert = "",
    .key = "",
};

static struct nd_error *
check_name(struct nd_str name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-";
    bool good = name.len > 0 && name.len <= 128 && name.ptr[0] != '.' && name.ptr[0] != '-';

    for (size_t i = 0; i < name.len && good; i++)
        good = memchr(allowed, name.ptr[i], sizeof(allowed) - 1) != NULL;
    if (!good)
        return nd_error_new(
            ND_INVALID, "context name \"%.*s\" is invalid: letters, digits and _.+- are allowed",
            ND_STR_ARG(name));
    if (nd_str_eqz(name, ND_DEFAULT_CONTEXT))
        return nd_error_new(ND_INVALID, "\"" ND_DEFAULT_CONTEXT "\" is a reserved context name");
    return NULL;
}

/* "key=value" of docker's description of an endpoint, into the context. */
static struct nd_error *
read_endpoint_part(struct nd_cli *cli, struct nd_str part, struct nd_context *context)
{
    const struct {
        const char *key;
        const char **value;
        bool tls;
    } keys[] = {
        {"host", &context->host, false},
        {"ca", &context->ca, true},
        {"cert", &context->cert, true},
        {"key", &context->key, true},
    };
    size_t equals = nd_str_find(part, '=');
    struct nd_str key = nd_str_sub(part, 0, equals);
    struct nd_str value = equals == SIZE_MAX ? ND_STR_NONE : nd_str_from(part, equals + 1);

    if (nd_str_eqz(key, "skip-tls-verify")) {
        ND_TRY_DOING(nd_parse_bool(value, &context->skip_verify), "--docker skip-tls-verify");
        context->tls = true;
        return NULL;
    }
    for (size_t i = 0; i < ND_LEN(keys); i++) {
        if (!nd_str_eqz(key, keys[i].key) || equals == SIZE_MAX)
            continue;
        *keys[i].value = nd_arena_str(cli->arena, value);
        context->tls = context->tls || keys[i].tls;
        return NULL;
    }
    return nd_error_new(ND_INVALID, "--docker: unrecognized config key: %.*s", ND_STR_ARG(key));
}

static struct nd_error *
read_endpoint(struct nd_cli *cli, struct nd_str text, struct nd_context *context)
{
    struct nd_texts parts = {.n = 0};

    ND_TRY_DOING(nd_csv_parse(cli->arena, text, &parts), "--docker");
    for (size_t i = 0; i < parts.n; i++)
        ND_TRY(read_endpoint_part(cli, parts.items[i], context));
    return NULL;
}

/* The global flags that would choose a daemon now describe the one to remember. */
static struct nd_error *
read_flags(struct nd_cli *cli, struct nd_context *context)
{
    const struct nd_texts *endpoints = nd_flag_list(cli->flags, "docker");
    struct nd_target target;

    ND_TRY(nd_target_resolve(cli->arena, cli->globals, &target));
    context->description = nd_flag_textz(cli->flags, "description");
    context->host = target.host;
    context->namespace = nd_flag_textz(cli->globals, "namespace");
    context->ca = target.ca;
    context->cert = target.cert;
    context->key = target.key;
    context->tls = target.tls;
    context->skip_verify = target.skip_verify;
    for (size_t i = 0; i < endpoints->n; i++)
        ND_TRY(read_endpoint(cli, endpoints->items[i], context));
    return NULL;
}

static struct nd_error *
create(struct nd_cli *cli)
{
    struct nd_context context = {.name = nd_cli_arg(cli, 0), .host = ""};
    struct nd_contexts contexts;
    struct nd_context *items;
    struct nd_addr addr;

    ND_TRY(check_name(cli->args.items[0]));
    ND_TRY(nd_contexts_load(cli->arena, &contexts));
    if (nd_contexts_find(&contexts, context.name) != NULL)
        return nd_error_new(ND_EXISTS, "context \"%s\" already exists", context.name);
    ND_TRY(read_flags(cli, &context));
    ND_TRY_DOING(nd_addr_parse(nd_str(context.host), &addr), "host \"%s\"", context.host);
    items = nd_arena_new_array(cli->arena, contexts.n + 1, struct nd_context);
    memcpy(items, contexts.items, contexts.n * sizeof(*items));
    items[contexts.n++] = context;
    contexts.items = items;
    ND_TRY(nd_contexts_save(cli->arena, &contexts));
    nd_buf_printf(&cli->out, "%s\n", context.name);
    return NULL;
}

static struct nd_error *
current_name(struct nd_cli *cli, const struct nd_contexts *contexts, const char **ret)
{
    const char *origin;

    return nd_target_context_name(cli->arena, cli->globals, contexts, ret, &origin);
}

static struct nd_value *
context_value(struct nd_arena *a, const struct nd_context *c, bool current)
{
    struct nd_value *v = nd_value_new(a, ND_VALUE_OBJECT);
    struct nd_value *tls = nd_value_new(a, ND_VALUE_OBJECT);

    nd_value_set_as(a, v, "Name", NULL, 0, nd_value_textz(a, c->name));
    nd_value_set_as(a, v, "Description", NULL, 0, nd_value_textz(a, c->description));
    nd_value_set_as(a, v, "Host", NULL, 0, nd_value_textz(a, c->host));
    nd_value_set_as(a, v, "Namespace", NULL, 0, nd_value_textz(a, c->namespace));
    nd_value_set_as(a, tls, "CA", NULL, ND_VALUE_OMIT_EMPTY, nd_value_textz(a, c->ca));
    nd_value_set_as(a, tls, "Cert", NULL, ND_VALUE_OMIT_EMPTY, nd_value_textz(a, c->cert));
    nd_value_set_as(a, tls, "Key", NULL, ND_VALUE_OMIT_EMPTY, nd_value_textz(a, c->key));
    nd_value_set_as(a, tls, "SkipVerify", NULL, 0, nd_value_bool(a, c->skip_verify));
    nd_value_set_as(a, v, "TLS", NULL, 0, c->tls ? tls : nd_value_new(a, ND_VALUE_NULL));
    nd_value_set_as(a, v, "Current", NULL, 0, nd_value_bool(a, current));
    return v;
}

struct listing {
    struct nd_cli *cli;
    struct nd_format format;
    struct nd_table *table;
    const char *current;
    bool quiet;
};

static struct nd_error *
list_one(struct listing *l, const struct nd_context *c)
{
    struct nd_cli *cli = l->cli;
    bool current = strcmp(c->name, l->current) == 0;

    if (l->quiet) {
        nd_buf_printf(&cli->out, "%s\n", c->name);
        return NULL;
    }
    if (nd_format_is_by_element(&l->format))
        return nd_format_element(&l->format, cli->arena, context_value(cli->arena, c, current),
                                 &cli->out);
    nd_table_cellz(l->table, nd_arena_printf(cli->arena, "%s%s", c->name, current ? " *" : ""));
    nd_table_cellz(l->table, c->description);
    nd_table_cellz(l->table, c->host);
    nd_table_cellz(l->table, c->namespace);
    nd_table_end_line(l->table);
    return NULL;
}

static struct nd_error *
ls(struct nd_cli *cli)
{
    struct listing l = {.cli = cli, .quiet = nd_flag_bool(cli->flags, "quiet")};
    struct nd_contexts contexts;

    ND_TRY(nd_format_parse(cli->arena, nd_flag_text(cli->flags, "format"), l.quiet, &l.format));
    ND_TRY(nd_contexts_load(cli->arena, &contexts));
    ND_TRY(current_name(cli, &contexts, &l.current));
    l.table = nd_table_new(cli->arena, 10, 3);
    for (size_t i = 0; i + 1 < ND_LEN(headings); i++)
        nd_table_cellz(l.table, headings[i][1]);
    nd_table_end_line(l.table);
    ND_TRY(nd_format_heading(&l.format, cli->arena, headings, ND_LEN(headings)));
    ND_TRY(list_one(&l, &default_context));
    for (size_t i = 0; i < contexts.n; i++)
        ND_TRY(list_one(&l, &contexts.items[i]));
    if (!l.quiet && !nd_format_is_by_element(&l.format))
        return nd_table_print(l.table, &cli->out);
    return nd_format_end(&l.format, &cli->out);
}

static struct nd_error *
no_such_context(const char *name)
{
    return nd_error_new(ND_NOT_FOUND, "context \"%s\" does not exist", name);
}

static struct nd_error *
use(struct nd_cli *cli)
{
    const char *name = nd_cli_arg(cli, 0);
    struct nd_contexts contexts;

    ND_TRY(nd_contexts_load(cli->arena, &contexts));
    contexts.current = name;
    if (strcmp(name, ND_DEFAULT_CONTEXT) == 0)
        contexts.current = "";
    else if (nd_contexts_find(&contexts, name) == NULL)
        return no_such_context(name);
    ND_TRY(nd_contexts_save(cli->arena, &contexts));
    nd_buf_printf(&cli->out, "%s\nCurrent context is now \"%s\"\n", name, name);
    return NULL;
}

static struct nd_error *
show(struct nd_cli *cli)
{
    struct nd_contexts contexts;
    const char *name;

    ND_TRY(nd_contexts_load(cli->arena, &contexts));
    ND_TRY(current_name(cli, &contexts, &name));
    nd_buf_printf(&cli->out, "%s\n", name);
    return NULL;
}

/* Takes one out of the list, if that is allowed. */
static struct nd_error *
remove_one(struct nd_contexts *contexts, const char *name, bool force)
{
    const struct nd_context *found = nd_contexts_find(contexts, name);
    size_t at;

    if (strcmp(name, ND_DEFAULT_CONTEXT) == 0)
        return nd_error_new(ND_INVALID, "context \"" ND_DEFAULT_CONTEXT "\" cannot be removed");
    if (found == NULL)
        return force ? NULL : no_such_context(name);
    if (strcmp(contexts->current, name) == 0) {
        if (!force)
            return nd_error_hint(
                nd_error_new(ND_PRECONDITION,
                             "context \"%s\" is in use, set -f flag to force remove", name),
                "or choose another one first: nerdctl-remote context use default");
        contexts->current = "";
    }
    at = (size_t)(found - contexts->items);
    memmove(&contexts->items[at], &contexts->items[at + 1],
            (contexts->n - at - 1) * sizeof(contexts->items[0]));
    contexts->n--;
    return NULL;
}

static struct nd_error *
rm(struct nd_cli *cli)
{
    struct nd_error **errors = nd_arena_new_array(cli->arena, cli->args.n + 1, struct nd_error *);
    struct nd_contexts contexts;

    ND_TRY(nd_contexts_load(cli->arena, &contexts));
    for (size_t i = 0; i < cli->args.n; i++) {
        errors[i] = remove_one(&contexts, nd_cli_arg(cli, i), nd_flag_bool(cli->flags, "force"));
        if (errors[i] == NULL)
            nd_buf_printf(&cli->out, "%s\n", nd_cli_arg(cli, i));
    }
    errors[cli->args.n] = nd_contexts_save(cli->arena, &contexts);
    return nd_errors_join(errors, cli->args.n + 1);
}

static struct nd_error *
inspect_one(struct nd_cli *cli, const struct nd_contexts *contexts, const char *name,
            const char *current, struct nd_value **ret)
{
    const struct nd_context *c =
        strcmp(name, ND_DEFAULT_CONTEXT) == 0 ? &default_context : nd_contexts_find(contexts, name);

    if (c == NULL)
        return no_such_context(name);
    *ret = context_value(cli->arena, c, strcmp(name, current) == 0);
    return NULL;
}

static struct nd_error *
inspect(struct nd_cli *cli)
{
    struct nd_value *all = nd_value_new(cli->arena, ND_VALUE_LIST), *one = NULL;
    struct nd_contexts contexts;
    struct nd_format format;
    const char *current = "";

    ND_TRY(nd_format_parse(cli->arena, nd_flag_text(cli->flags, "format"), false, &format));
    ND_TRY(nd_contexts_load(cli->arena, &contexts));
    ND_TRY(current_name(cli, &contexts, &current));
    for (size_t i = 0; i < cli->args.n || (i == 0 && cli->args.n == 0); i++) {
        const char *name = cli->args.n > 0 ? nd_cli_arg(cli, i) : current;

        ND_TRY(inspect_one(cli, &contexts, name, current, &one));
        nd_value_push(cli->arena, all, one);
    }
    if (!nd_format_is_by_element(&format)) {
        ND_TRY(nd_value_json(&cli->out, all, 4));
        return nd_buf_add(&cli->out, ND_STR("\n"));
    }
    for (size_t i = 0; i < all->n_items; i++)
        ND_TRY(nd_format_element(&format, cli->arena, all->items[i].value, &cli->out));
    return nd_format_end(&format, &cli->out);
}

const struct nd_command nd_command_context_create = {
    .path = "context create",
    .aliases = "",
    .usage = "--host HOST [--tlscacert FILE ...] context create [flags] CONTEXT",
    .help = "Give a daemon a name; the global flags say which",
    .min_args = 1,
    .max_args = 1,
    .flags = ND_FLAG_TABLE(create_flags),
    .run = create,
};

const struct nd_command nd_command_context_inspect = {
    .path = "context inspect",
    .aliases = "",
    .usage = "context inspect [flags] [CONTEXT] [CONTEXT...]",
    .help = "Show details of contexts",
    .max_args = ND_ARGS_ANY,
    .flags = ND_FLAG_TABLE(inspect_flags),
    .run = inspect,
};

const struct nd_command nd_command_context_ls = {
    .path = "context ls",
    .aliases = "context list",
    .usage = "context ls [flags]",
    .help = "List contexts",
    .flags = ND_FLAG_TABLE(ls_flags),
    .run = ls,
};

const struct nd_command nd_command_context_rm = {
    .path = "context rm",
    .aliases = "context remove",
    .usage = "context rm [flags] CONTEXT [CONTEXT...]",
    .help = "Forget contexts",
    .min_args = 1,
    .max_args = ND_ARGS_ANY,
    .flags = ND_FLAG_TABLE(rm_flags),
    .run = rm,
};

const struct nd_command nd_command_context_show = {
    .path = "context show",
    .aliases = "",
    .usage = "context show",
    .help = "Print the name of the current context",
    .run = show,
};

const struct nd_command nd_command_context_use = {
    .path = "context use",
    .aliases = "",
    .usage = "context use CONTEXT",
    .help = "Make a context the current one",
    .min_args = 1,
    .max_args = 1,
    .run = use,
};
