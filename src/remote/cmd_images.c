/*
 * images: the image store, in two views.
 *
 * The short view has one row per name: what it is, how much disk it takes, whether a container uses
 * it. The classic view, which templates and the flags about columns ask for, has one row per
 * platform that is here. IDs are digests of the index or manifest, as everywhere in nerdctl.
 */

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "remote/format.h"
#include "remote/human.h"
#include "remote/table.h"

#include "cli.h"
#include "logline.h"
#include "nerdctl_methods.h"
#include "protocol.h"

static const struct nd_flag flags[] = {
    {"all", 'a', ND_FLAG_BOOL, "true", "No effect: everything is always listed", ND_FLAG_NO_EFFECT,
     NULL},
    {"digests", '\0', ND_FLAG_BOOL, "", "Show digests", 0, NULL},
    {"filter", 'f', ND_FLAG_SLICE, "",
     "Only those that match (before, since, label, reference, dangling)", 0, NULL},
    {"format", '\0', ND_FLAG_STRING, "", "Format the output: table, wide, json, or a Go template",
     0, NULL},
    {"names", '\0', ND_FLAG_BOOL, "", "Show names as they are stored", 0, NULL},
    {"no-trunc", '\0', ND_FLAG_BOOL, "", "Do not shorten", 0, NULL},
    {"quiet", 'q', ND_FLAG_BOOL, "", "Only print ids", 0, NULL},
};

static const char *const headings[][2] = {
    {"Repository", "REPOSITORY"}, {"Tag", "TAG"},           {"Digest", "DIGEST"},
    {"ID", "IMAGE ID"},           {"Name", "NAME"},         {"CreatedSince", "CREATED"},
    {"CreatedAt", "CREATED AT"},  {"Platform", "PLATFORM"}, {"Size", "SIZE"},
    {"BlobSize", "BLOB SIZE"},
};

struct listing {
    struct nd_cli *cli;
    bool no_trunc, digests, names, quiet;
    struct nd_format format;
    Pb__ImageServiceListRequest request;
    Pb__ImageServiceListResponse *reply;
};

static struct nd_error *
ask(void *arg)
{
    struct listing *l = arg;

    return nd_cli_unary(l->cli, PB_IMAGE_SERVICE_LIST, &l->request, &l->reply);
}

static const char *
platform_text(struct nd_arena *a, const Pb__Platform *p)
{
    if (p == NULL)
        return "";
    return nd_arena_printf(a, "%s/%s%s%s", p->os, p->architecture, p->variant[0] != '\0' ? "/" : "",
                           p->variant);
}

static struct nd_str
id_text(const struct listing *l, const Pb__Image *image)
{
    return nd_human_id(nd_str(image->digest), l->no_trunc);
}

/* "2026-01-02 03:04:05 +0100 CET", in the user's time zone. */
static const char *
local_time(struct nd_arena *a, struct nd_wall at)
{
    time_t seconds = (time_t)at.sec;
    char text[80];
    struct tm tm;

    if (localtime_r(&seconds, &tm) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %z %Z", &tm) == 0)
        return "";
    return nd_arena_strdup(a, text);
}

static const char *
age_text(const struct listing *l, const Pb__Image *image)
{
    struct nd_arena *a = l->cli->arena;

    return nd_arena_printf(a, "%s ago",
                           nd_human_since(a, nd_protocol_time(image->created_at), l->cli->now));
}

static void
set(struct nd_arena *a, struct nd_value *row, const char *name, const char *text)
{
    nd_value_set_as(a, row, name, NULL, 0, nd_value_textz(a, text));
}

static struct nd_value *
row_value(const struct listing *l, const Pb__Image *image, const Pb__ImagePlatform *p)
{
    struct nd_arena *a = l->cli->arena;
    struct nd_value *row = nd_value_new(a, ND_VALUE_OBJECT);

    set(a, row, "CreatedAt", local_time(a, nd_protocol_time(image->created_at)));
    set(a, row, "CreatedSince", age_text(l, image));
    set(a, row, "Digest", image->digest);
    nd_value_set_as(a, row, "ID", NULL, 0, nd_value_text(a, id_text(l, image)));
    set(a, row, "Repository", image->repository);
    set(a, row, "Tag", image->tag);
    set(a, row, "Name", image->name);
    set(a, row, "Size", nd_human_decimal(a, p->size, 4));
    set(a, row, "BlobSize", nd_human_decimal(a, p->blob_size, 4));
    set(a, row, "Platform", platform_text(a, p->platform));
    return row;
}

typedef struct nd_error *row_fn(struct listing *l, const Pb__Image *image,
                                const Pb__ImagePlatform *p, void *arg);

static struct nd_error *
for_each_platform(struct listing *l, const Pb__Image *image, row_fn *row, void *arg)
{
    for (size_t i = 0; i < image->n_platforms; i++) {
        if (image->platforms[i]->available)
            ND_TRY(row(l, image, image->platforms[i], arg));
    }
    return NULL;
}

/* Runs `row` for each platform that is here, of each image. */
static struct nd_error *
for_each_row(struct listing *l, row_fn *row, void *arg)
{
    for (size_t i = 0; i < l->reply->n_images; i++)
        ND_TRY(for_each_platform(l, l->reply->images[i], row, arg));
    return NULL;
}

/* As nerdctl does it: a row whose template fails is left out, and the others are printed. */
static struct nd_error *
print_element(struct listing *l, const Pb__Image *image, const Pb__ImagePlatform *p, void *arg)
{
    struct nd_cli *cli = l->cli;
    size_t before = cli->out.len;
    struct nd_error *err =
        nd_format_element(&l->format, cli->arena, row_value(l, image, p), &cli->out);

    (void)arg;
    if (err == NULL || nd_error_code(err) != ND_INVALID)
        return err;
    if (nd_flag_bool(cli->globals, "debug"))
        nd_line_error(ND_LINE_DEBUG, err);
    nd_error_free(err);
    cli->out.len = before;
    return NULL;
}

static struct nd_error *
print_row(struct listing *l, const Pb__Image *image, const Pb__ImagePlatform *p, void *arg)
{
    struct nd_arena *a = l->cli->arena;
    struct nd_table *table = arg;

    if (l->names) {
        nd_table_cellz(table, image->name);
    } else {
        nd_table_cellz(table, image->repository);
        nd_table_cellz(table, image->tag);
    }
    if (l->digests)
        nd_table_cellz(table, image->digest);
    nd_table_cell(table, id_text(l, image));
    nd_table_cellz(table, age_text(l, image));
    nd_table_cellz(table, platform_text(a, p->platform));
    nd_table_cellz(table, nd_human_decimal(a, p->size, 4));
    nd_table_cellz(table, nd_human_decimal(a, p->blob_size, 4));
    nd_table_end_line(table);
    return NULL;
}

static struct nd_error *
print_classic(struct listing *l)
{
    struct nd_table *table = nd_table_new(l->cli->arena, 4, 4);

    nd_table_cellz(table, l->names ? "NAME" : "REPOSITORY");
    if (!l->names)
        nd_table_cellz(table, "TAG");
    if (l->digests)
        nd_table_cellz(table, "DIGEST");
    nd_table_cellz(table, "IMAGE ID");
    nd_table_cellz(table, "CREATED");
    nd_table_cellz(table, "PLATFORM");
    nd_table_cellz(table, "SIZE");
    nd_table_cellz(table, "BLOB SIZE");
    nd_table_end_line(table);
    ND_TRY(for_each_row(l, print_row, table));
    return nd_table_print(table, &l->cli->out);
}

#define UNTAGGED "<untagged>"

struct short_row {
    const char *name;
    const Pb__Image *image;
};

static const char *
short_name(struct nd_arena *a, const Pb__Image *image)
{
    if (strcmp(image->tag, "<none>") != 0 && image->tag[0] != '\0')
        return nd_arena_printf(a, "%s:%s", image->repository, image->tag);
    if (strcmp(image->repository, "<none>") != 0 && image->repository[0] != '\0')
        return nd_arena_printf(a, "%s@%s", image->repository, image->digest);
    return UNTAGGED;
}

/* By name; those without one last. */
static int
compare_short_rows(const void *a, const void *b)
{
    const struct short_row *left = a, *right = b;
    bool left_last = strcmp(left->name, UNTAGGED) == 0;
    bool right_last = strcmp(right->name, UNTAGGED) == 0;

    if (left_last != right_last)
        return left_last ? 1 : -1;
    return strcmp(left->name, right->name);
}

/* A daemon may say anything: a sum that has no meaning stays at the largest number. */
static void
add_size(int64_t *sum, int64_t size)
{
    if (__builtin_add_overflow(*sum, size, sum))
        *sum = INT64_MAX;
}

static void
add_short_row(const struct listing *l, struct nd_table *table, const struct short_row *row)
{
    struct nd_arena *a = l->cli->arena;
    int64_t blobs = 0, all = 0;

    for (size_t i = 0; i < row->image->n_platforms; i++) {
        add_size(&blobs, row->image->platforms[i]->blob_size);
        add_size(&all, row->image->platforms[i]->size);
    }
    add_size(&all, blobs);
    nd_table_cellz(table, row->name);
    nd_table_cell(table, id_text(l, row->image));
    nd_table_cellz(table, nd_human_decimal(a, all, 3));
    nd_table_cellz(table, nd_human_decimal(a, blobs, 3));
    nd_table_cellz(table, row->image->in_use ? "U" : "");
    nd_table_end_line(table);
}

/* On a terminal a line above the table says what the letters of EXTRA mean. */
static void
print_legend(struct nd_cli *cli, struct nd_str table)
{
    static const char legend[] = "U  In Use";
    size_t width = nd_str_find(table, '\n');

    if (isatty(STDOUT_FILENO) == 1 && width != SIZE_MAX)
        nd_buf_printf(&cli->out, "%*s\n", (int)width, legend);
}

static struct nd_error *
print_short(struct listing *l)
{
    struct nd_cli *cli = l->cli;
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(cli->out.max);
    struct nd_table *table = nd_table_new(cli->arena, 4, 4);
    size_t n = l->reply->n_images;
    struct short_row *rows = nd_arena_new_array(cli->arena, n + 1, struct short_row);
    static const char *const titles[] = {"IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"};

    for (size_t i = 0; i < ND_LEN(titles); i++)
        nd_table_cellz(table, titles[i]);
    nd_table_end_line(table);
    for (size_t i = 0; i < n; i++)
        rows[i] =
            (struct short_row){short_name(cli->arena, l->reply->images[i]), l->reply->images[i]};
    qsort(rows, n, sizeof(rows[0]), compare_short_rows);
    for (size_t i = 0; i < n; i++)
        add_short_row(l, table, &rows[i]);
    ND_TRY(nd_table_print(table, &text));
    print_legend(cli, nd_buf_str(&text));
    return nd_buf_add(&cli->out, nd_buf_str(&text));
}

static struct nd_error *
print(struct listing *l)
{
    struct nd_cli *cli = l->cli;
    bool classic = l->no_trunc || l->digests || l->names || l->format.kind == ND_FORMAT_WIDE ||
                   nd_flag_given(cli->flags, "format");

    if (l->quiet) {
        for (size_t i = 0; i < l->reply->n_images; i++)
            nd_buf_printf(&cli->out, "%.*s\n", ND_STR_ARG(id_text(l, l->reply->images[i])));
        return NULL;
    }
    if (!nd_format_is_by_element(&l->format))
        return classic ? print_classic(l) : print_short(l);
    ND_TRY(nd_format_heading(&l->format, cli->arena, headings, ND_LEN(headings)));
    ND_TRY(for_each_row(l, print_element, NULL));
    return nd_format_end(&l->format, &cli->out);
}

static struct nd_error *
run(struct nd_cli *cli)
{
    const struct nd_texts *filters = nd_flag_list(cli->flags, "filter");
    struct listing l = {
        .cli = cli,
        .no_trunc = nd_flag_bool(cli->flags, "no-trunc"),
        .digests = nd_flag_bool(cli->flags, "digests"),
        .names = nd_flag_bool(cli->flags, "names"),
        .quiet = nd_flag_bool(cli->flags, "quiet"),
        .request = PB__IMAGE_SERVICE_LIST_REQUEST__INIT,
    };

    ND_TRY(nd_format_parse(cli->arena, nd_flag_text(cli->flags, "format"), l.quiet, &l.format));
    l.digests = l.digests || l.format.kind == ND_FORMAT_WIDE;
    l.request.n_filters = filters->n;
    l.request.filters = nd_protocol_texts(cli->arena, filters);
    if (cli->args.n > 0)
        l.request.reference = (char *)nd_cli_arg(cli, 0);
    ND_TRY(nd_cli_call(cli, ask, &l));
    return print(&l);
}

const struct nd_command nd_command_image_ls = {
    .path = "image ls",
    .aliases = "images,image list",
    .usage = "images [flags] [REPOSITORY[:TAG]]",
    .help = "List images",
    .max_args = 1,
    .flags = ND_FLAG_TABLE(flags),
    .run = run,
};
