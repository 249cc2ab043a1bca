/*
 * ps: containers as a table, as rows for templates, or as ids.
 *
 * The fields of a row are nerdctl's in nerdctl's order, so that JSON looks the same; behind them
 * stand the names that only docker has, for templates alone.
 */

#include "remote/format.h"
#include "remote/human.h"
#include "remote/ports.h"
#include "remote/table.h"

#include "cli.h"
#include "nerdctl_methods.h"
#include "protocol.h"
#include "template_priv.h"

#define COMMAND_WIDTH 20

static const struct nd_flag flags[] = {
    {"all", 'a', ND_FLAG_BOOL, "", "Also those that do not run", 0, NULL},
    {"filter", 'f', ND_FLAG_SLICE, "",
     "Only those that match (id, name, label, exited, status, ...)", 0, NULL},
    {"format", '\0', ND_FLAG_STRING, "", "Format the output: table, wide, json, or a Go template",
     0, NULL},
    {"last", 'n', ND_FLAG_INT, "-1", "The last so many made, running or not", 0, NULL},
    {"latest", 'l', ND_FLAG_BOOL, "", "The last one made, running or not", 0, NULL},
    {"no-trunc", '\0', ND_FLAG_BOOL, "", "Do not shorten", 0, NULL},
    {"quiet", 'q', ND_FLAG_BOOL, "", "Only print ids", 0, NULL},
    {"size", 's', ND_FLAG_BOOL, "", "Show how much disk they use", 0, NULL},
};

static const char *const headings[][2] = {
    {"ID", "CONTAINER ID"},    {"Image", "IMAGE"},          {"Command", "COMMAND"},
    {"RunningFor", "CREATED"}, {"CreatedAt", "CREATED AT"}, {"Status", "STATUS"},
    {"State", "STATE"},        {"Ports", "PORTS"},          {"Names", "NAMES"},
    {"Runtime", "RUNTIME"},    {"Platform", "PLATFORM"},    {"Size", "SIZE"},
    {"Labels", "LABELS"},      {"Mounts", "MOUNTS"},        {"Networks", "NETWORKS"},
};

struct listing {
    struct nd_cli *cli;
    bool no_trunc;
    Pb__ContainerServiceListRequest request;
    Pb__ContainerServiceListResponse *reply;
};

static struct nd_error *
ask(void *arg)
{
    struct listing *l = arg;

    return nd_cli_unary(l->cli, PB_CONTAINER_SERVICE_LIST, &l->request, &l->reply);
}

/* The command line in quotes, cut before quoting. */
static const char *
command_text(const struct listing *l, const Pb__Container *c)
{
    struct nd_arena *a = l->cli->arena;
    ND_AUTO(nd_buf_fini) struct nd_buf plain = ND_BUF_INIT(16u << 20);
    ND_AUTO(nd_buf_fini) struct nd_buf quoted = ND_BUF_INIT(128u << 20);
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    struct nd_str text;

    for (size_t i = 0; i < c->n_command && err == NULL; i++) {
        if (i > 0)
            err = nd_buf_add(&plain, ND_STR(" "));
        if (err == NULL)
            err = nd_buf_add(&plain, nd_str(c->command[i]));
    }
    text = nd_buf_str(&plain);
    if (!l->no_trunc)
        text = nd_human_cut(a, text, COMMAND_WIDTH);
    if (err == NULL)
        err = template_quote(&quoted, text);
    return err == NULL ? nd_arena_str(a, nd_buf_str(&quoted)) : "\"\"";
}

static const char *
size_text(struct nd_arena *a, const Pb__Container *c)
{
    return nd_arena_printf(a, "%s (virtual %s)", nd_human_binary_wide(a, c->size_rw),
                           nd_human_binary_wide(a, c->size_root_fs));
}

static const char *
state_text(const Pb__Container *c)
{
    switch (c->state) {
    case PB__CONTAINER_STATE__CONTAINER_STATE_CREATED:
        return "created";
    case PB__CONTAINER_STATE__CONTAINER_STATE_RUNNING:
        return "running";
    case PB__CONTAINER_STATE__CONTAINER_STATE_PAUSED:
        return "paused";
    case PB__CONTAINER_STATE__CONTAINER_STATE_EXITED:
        return "exited";
    case PB__CONTAINER_STATE__CONTAINER_STATE_RESTARTING:
        return "restarting";
    default:
        return "unknown";
    }
}

static const char *
age_text(const struct listing *l, const Pb__Container *c)
{
    struct nd_arena *a = l->cli->arena;

    return nd_arena_printf(a, "%s ago",
                           nd_human_since(a, nd_protocol_time(c->created_at), l->cli->now));
}

static const char *
joined(struct nd_arena *a, char *const *texts, size_t n)
{
    const char *all = "";

    for (size_t i = 0; i < n; i++)
        all = nd_arena_printf(a, "%s%s%s", all, i > 0 ? "," : "", texts[i]);
    return all;
}

static void
add_labels(struct nd_arena *a, const Pb__Container *c, struct nd_value *row)
{
    struct nd_value *map = nd_value_new(a, ND_VALUE_MAP);
    struct nd_value *lookup = nd_value_new(a, ND_VALUE_LOOKUP);
    const char *text = "";

    for (size_t i = 0; i < c->n_labels; i++) {
        struct nd_str key = nd_str(c->labels[i]->key);
        struct nd_value *value = nd_value_textz(a, c->labels[i]->value);

        nd_value_set(a, map, key, value);
        nd_value_set(a, lookup, key, value);
    }
    for (size_t i = 0; i < map->n_items; i++)
        text =
            nd_arena_printf(a, "%s%s%.*s=%.*s", text, i > 0 ? "," : "",
                            ND_STR_ARG(map->items[i].name), ND_STR_ARG(map->items[i].value->text));
    nd_value_set_as(a, row, "Labels", NULL, 0, nd_value_textz(a, text));
    nd_value_set_as(a, row, "LabelsMap", NULL, ND_VALUE_TEMPLATE_ONLY, map);
    nd_value_set_as(a, row, "Label", NULL, ND_VALUE_TEMPLATE_ONLY, lookup);
}

static const char *
mounts_text(struct nd_arena *a, const Pb__Container *c)
{
    const char *all = "";

    for (size_t i = 0; i < c->n_mounts; i++) {
        const Pb__Mount *m = c->mounts[i];

        all = nd_arena_printf(a, "%s%s%s", all, i > 0 ? "," : "",
                              m->source[0] != '\0' ? m->source : m->target);
    }
    return all;
}

static void
set(struct nd_arena *a, struct nd_value *row, const char *name, const char *text)
{
    nd_value_set_as(a, row, name, NULL, 0, nd_value_textz(a, text));
}

static void
set_docker(struct nd_arena *a, struct nd_value *row, const char *name, const char *text)
{
    nd_value_set_as(a, row, name, NULL, ND_VALUE_TEMPLATE_ONLY, nd_value_textz(a, text));
}

static struct nd_value *
row_value(const struct listing *l, const Pb__Container *c)
{
    struct nd_arena *a = l->cli->arena;
    struct nd_value *row = nd_value_new(a, ND_VALUE_OBJECT);

    set(a, row, "Command", command_text(l, c));
    nd_value_set_as(a, row, "CreatedAt", NULL, 0,
                    nd_value_time(a, nd_protocol_time(c->created_at)));
    nd_value_set_as(a, row, "ID", NULL, 0,
                    nd_value_text(a, nd_human_id(nd_str(c->id), l->no_trunc)));
    set(a, row, "Image", c->image);
    set(a, row, "Platform", c->platform);
    set(a, row, "Names", c->name);
    set(a, row, "Ports", nd_ports_text(a, c->ports, c->n_ports));
    set(a, row, "Status", c->status);
    set(a, row, "Runtime", c->runtime);
    set(a, row, "Size", l->request.size ? size_text(a, c) : "");
    add_labels(a, c, row);
    set_docker(a, row, "RunningFor", age_text(l, c));
    set_docker(a, row, "State", state_text(c));
    set_docker(a, row, "Mounts", mounts_text(a, c));
    set_docker(a, row, "Networks", joined(a, c->networks, c->n_networks));
    return row;
}

static void
print_heading(struct nd_table *table, bool wide, bool size)
{
    static const char *const titles[] = {"CONTAINER ID", "IMAGE", "COMMAND", "CREATED",
                                         "STATUS",       "PORTS", "NAMES"};

    for (size_t i = 0; i < ND_LEN(titles); i++)
        nd_table_cellz(table, titles[i]);
    if (wide) {
        nd_table_cellz(table, "RUNTIME");
        nd_table_cellz(table, "PLATFORM");
    }
    if (size)
        nd_table_cellz(table, "SIZE");
    nd_table_end_line(table);
}

static struct nd_error *
print_table(const struct listing *l, bool wide)
{
    struct nd_arena *a = l->cli->arena;
    struct nd_table *table = nd_table_new(a, 4, 4);

    print_heading(table, wide, l->request.size);
    for (size_t i = 0; i < l->reply->n_containers; i++) {
        const Pb__Container *c = l->reply->containers[i];

        nd_table_cell(table, nd_human_id(nd_str(c->id), l->no_trunc));
        nd_table_cellz(table, c->image);
        nd_table_cellz(table, command_text(l, c));
        nd_table_cellz(table, age_text(l, c));
        nd_table_cellz(table, c->status);
        nd_table_cellz(table, nd_ports_text(a, c->ports, c->n_ports));
        nd_table_cellz(table, c->name);
        if (wide) {
            nd_table_cellz(table, c->runtime);
            nd_table_cellz(table, c->platform);
        }
        if (l->request.size)
            nd_table_cellz(table, size_text(a, c));
        nd_table_end_line(table);
    }
    return nd_table_print(table, &l->cli->out);
}

static void
make_request(struct nd_cli *cli, bool wide, Pb__ContainerServiceListRequest *request)
{
    const struct nd_texts *filters = nd_flag_list(cli->flags, "filter");
    int64_t last = nd_flag_int(cli->flags, "last");

    pb__container_service_list_request__init(request);
    request->all = nd_flag_bool(cli->flags, "all");
    request->size = nd_flag_bool(cli->flags, "size") || wide;
    request->last = last > 0 ? (int32_t)last : 0;
    if (nd_flag_bool(cli->flags, "latest"))
        request->last = 1;
    request->n_filters = filters->n;
    request->filters = nd_protocol_texts(cli->arena, filters);
}

static struct nd_error *
print_elements(const struct listing *l, struct nd_format *format, bool quiet)
{
    struct nd_cli *cli = l->cli;

    ND_TRY(nd_format_heading(format, cli->arena, headings, ND_LEN(headings)));
    for (size_t i = 0; i < l->reply->n_containers; i++) {
        const Pb__Container *c = l->reply->containers[i];

        if (quiet)
            nd_buf_printf(&cli->out, "%.*s\n", ND_STR_ARG(nd_human_id(nd_str(c->id), l->no_trunc)));
        else
            ND_TRY(nd_format_element(format, cli->arena, row_value(l, c), &cli->out));
    }
    return nd_format_end(format, &cli->out);
}

static struct nd_error *
run(struct nd_cli *cli)
{
    bool quiet = nd_flag_bool(cli->flags, "quiet");
    struct listing l = {.cli = cli, .no_trunc = nd_flag_bool(cli->flags, "no-trunc")};
    struct nd_format format;

    ND_TRY(nd_format_parse(cli->arena, nd_flag_text(cli->flags, "format"), quiet, &format));
    make_request(cli, format.kind == ND_FORMAT_WIDE && !quiet, &l.request);
    ND_TRY(nd_cli_call(cli, ask, &l));
    if (quiet || nd_format_is_by_element(&format))
        return print_elements(&l, &format, quiet);
    return print_table(&l, format.kind == ND_FORMAT_WIDE);
}

const struct nd_command nd_command_container_ls = {
    .path = "container ls",
    .aliases = "ps,container list",
    .usage = "ps [flags]",
    .help = "List containers",
    .flags = ND_FLAG_TABLE(flags),
    .run = run,
};
