/* namespace ls: the namespaces of containerd and what is in them. */

#include "remote/format.h"
#include "remote/table.h"

#include "cli.h"
#include "nerdctl_methods.h"

static const struct nd_flag flags[] = {
    {"format", 'f', ND_FLAG_STRING, "", "Format the output: json, or a Go template", 0, NULL},
    {"quiet", 'q', ND_FLAG_BOOL, "", "Only print names", 0, NULL},
};

static const char *const headings[][2] = {
    {"Name", "NAME"},       {"Containers", "CONTAINERS"}, {"Images", "IMAGES"},
    {"Volumes", "VOLUMES"}, {"Labels", "LABELS"},
};

struct listing {
    struct nd_cli *cli;
    Pb__NamespaceServiceListResponse *reply;
};

static struct nd_error *
ask(void *arg)
{
    struct listing *l = arg;
    Pb__NamespaceServiceListRequest request = PB__NAMESPACE_SERVICE_LIST_REQUEST__INIT;

    return nd_cli_unary(l->cli, PB_NAMESPACE_SERVICE_LIST, &request, &l->reply);
}

static struct nd_value *
labels_value(struct nd_arena *a, const Pb__Namespace *ns)
{
    struct nd_value *labels = nd_value_new(a, ND_VALUE_MAP);

    for (size_t i = 0; i < ns->n_labels; i++)
        nd_value_set(a, labels, nd_str(ns->labels[i]->key),
                     nd_value_textz(a, ns->labels[i]->value));
    return labels;
}

static struct nd_value *
row_value(struct nd_arena *a, const Pb__Namespace *ns)
{
    struct nd_value *row = nd_value_new(a, ND_VALUE_OBJECT);

    nd_value_set_as(a, row, "Name", NULL, 0, nd_value_textz(a, ns->name));
    nd_value_set_as(a, row, "Containers", NULL, 0, nd_value_int(a, ns->containers));
    nd_value_set_as(a, row, "Images", NULL, 0, nd_value_int(a, ns->images));
    nd_value_set_as(a, row, "Volumes", NULL, 0, nd_value_int(a, ns->volumes));
    nd_value_set_as(a, row, "Labels", NULL, 0, labels_value(a, ns));
    return row;
}

static const char *
labels_text(struct nd_arena *a, const struct nd_value *labels)
{
    const char *text = "";

    for (size_t i = 0; i < labels->n_items; i++)
        text = nd_arena_printf(a, "%s%s%.*s=%.*s", text, i > 0 ? "," : "",
                               ND_STR_ARG(labels->items[i].name),
                               ND_STR_ARG(labels->items[i].value->text));
    return text;
}

/* Rows, but not the header, have one more, empty cell. */
static struct nd_error *
print_table(struct nd_cli *cli, const Pb__NamespaceServiceListResponse *reply)
{
    struct nd_arena *a = cli->arena;
    struct nd_table *table = nd_table_new(a, 4, 4);

    for (size_t i = 0; i < ND_LEN(headings); i++)
        nd_table_cellz(table, headings[i][1]);
    nd_table_end_line(table);
    for (size_t i = 0; i < reply->n_namespaces; i++) {
        const Pb__Namespace *ns = reply->namespaces[i];

        nd_table_cellz(table, ns->name);
        nd_table_cellz(table, nd_arena_printf(a, "%d", ns->containers));
        nd_table_cellz(table, nd_arena_printf(a, "%d", ns->images));
        nd_table_cellz(table, nd_arena_printf(a, "%d", ns->volumes));
        nd_table_cellz(table, labels_text(a, labels_value(a, ns)));
        nd_table_cellz(table, "");
        nd_table_end_line(table);
    }
    return nd_table_print(table, &cli->out);
}

static struct nd_error *
run(struct nd_cli *cli)
{
    bool quiet = nd_flag_bool(cli->flags, "quiet");
    struct listing l = {.cli = cli};
    struct nd_format format;

    ND_TRY(nd_format_parse(cli->arena, nd_flag_text(cli->flags, "format"), quiet, &format));
    ND_TRY(nd_cli_call(cli, ask, &l));
    if (!quiet && !nd_format_is_by_element(&format))
        return print_table(cli, l.reply);
    ND_TRY(nd_format_heading(&format, cli->arena, headings, ND_LEN(headings)));
    for (size_t i = 0; i < l.reply->n_namespaces; i++) {
        if (quiet)
            nd_buf_printf(&cli->out, "%s\n", l.reply->namespaces[i]->name);
        else
            ND_TRY(nd_format_element(&format, cli->arena,
                                     row_value(cli->arena, l.reply->namespaces[i]), &cli->out));
    }
    return nd_format_end(&format, &cli->out);
}

const struct nd_command nd_command_namespace_ls = {
    .path = "namespace ls",
    .aliases = "namespace list,ns ls,ns list",
    .usage = "namespace ls [flags]",
    .help = "List containerd namespaces",
    .max_args = ND_ARGS_ANY,
    .flags = ND_FLAG_TABLE(flags),
    .run = run,
};
