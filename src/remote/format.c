/*
 * --format: which words are keywords, and how elements are printed.
 *
 * nerdctl knows the keywords table, wide, raw and json, which must be the whole text; the rest is a
 * template. Docker in addition takes "table " in front of a template, aligns what it prints in
 * columns and makes a heading by running the template over the titles; nerdctl would print that
 * word, so nobody relies on it, and we do what docker does.
 */

#include "remote/format.h"

#include "remote/limits.h"
#include "remote/table.h"

#define COLUMNS_MIN_WIDTH 10
#define COLUMNS_GAP       3

static const struct {
    const char *word;
    enum nd_format_kind kind;
} keywords[] = {
    {"", ND_FORMAT_TABLE},
    {"table", ND_FORMAT_TABLE},
    {"wide", ND_FORMAT_WIDE},
    {"json", ND_FORMAT_JSON},
};

/* Docker: "\t" and "\n" typed as two characters are meant. */
static struct nd_str
expand_escapes(struct nd_arena *arena, struct nd_str text)
{
    char *dst = nd_arena_alloc(arena, text.len + 1);
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        struct nd_str rest = nd_str_from(text, i);

        dst[n] = text.ptr[i];
        if (nd_str_starts(rest, ND_STR("\\t")))
            dst[n] = '\t';
        else if (nd_str_starts(rest, ND_STR("\\n")))
            dst[n] = '\n';
        if (dst[n] != text.ptr[i])
            i++;
        n++;
    }
    return nd_str_n(dst, n);
}

struct nd_error *
nd_format_parse(struct nd_arena *arena, struct nd_str text, bool quiet, struct nd_format *ret)
{
    struct nd_format format = {.kind = ND_FORMAT_TEMPLATE};

    for (size_t i = 0; i < ND_LEN(keywords); i++) {
        if (nd_str_eqz(text, keywords[i].word))
            format.kind = keywords[i].kind;
    }
    if (nd_str_eqz(text, "raw"))
        return nd_error_new(ND_INVALID, "unsupported format: \"raw\"");
    if (format.kind == ND_FORMAT_TEMPLATE && nd_str_starts(text, ND_STR("table "))) {
        format.kind = ND_FORMAT_COLUMNS;
        format.table = nd_table_new(arena, COLUMNS_MIN_WIDTH, COLUMNS_GAP);
        text = expand_escapes(arena, nd_str_trim(nd_str_from(text, sizeof("table ") - 1)));
    }
    if (quiet && nd_format_is_by_element(&format))
        return nd_error_new(ND_INVALID, "format and quiet must not be specified together");
    if (format.kind == ND_FORMAT_TEMPLATE || format.kind == ND_FORMAT_COLUMNS)
        ND_TRY(nd_template_parse(arena, text, &format.template));
    *ret = format;
    return NULL;
}

bool
nd_format_is_by_element(const struct nd_format *format)
{
    return format->kind != ND_FORMAT_TABLE && format->kind != ND_FORMAT_WIDE;
}

/* Adds a rendered line to the table of columns. */
static void
add_columns(struct nd_format *format, struct nd_arena *arena, const struct nd_buf *line)
{
    nd_table_text(format->table, nd_str(nd_arena_printf(arena, "%.*s\n", (int)line->len,
                                                        line->len > 0 ? line->ptr : "")));
}

struct nd_error *
nd_format_heading(struct nd_format *format, struct nd_arena *arena,
                  const char *const (*headings)[2], size_t n_headings)
{
    ND_AUTO(nd_buf_fini) struct nd_buf line = ND_BUF_INIT(ND_REMOTE_MAX_DOCUMENT_BYTES);
    struct nd_value *titles = nd_value_new(arena, ND_VALUE_MAP);

    if (format->kind != ND_FORMAT_COLUMNS)
        return NULL;
    for (size_t i = 0; i < n_headings; i++)
        nd_value_set(arena, titles, nd_str(headings[i][0]), nd_value_textz(arena, headings[i][1]));
    ND_TRY(nd_template_run_heading(format->template, arena, titles, &line));
    add_columns(format, arena, &line);
    return NULL;
}

struct nd_error *
nd_format_element(struct nd_format *format, struct nd_arena *arena, const struct nd_value *element,
                  struct nd_buf *out)
{
    ND_AUTO(nd_buf_fini) struct nd_buf line = ND_BUF_INIT(ND_REMOTE_MAX_DOCUMENT_BYTES);
    struct nd_error *err;

    if (format->kind == ND_FORMAT_JSON) {
        ND_TRY(nd_value_json(out, element, 0));
        return nd_buf_add(out, ND_STR("\n"));
    }
    err = nd_template_run(format->template, arena, element,
                          format->kind == ND_FORMAT_COLUMNS ? &line : out);
    if (err != NULL)
        return err;
    if (format->kind == ND_FORMAT_TEMPLATE)
        return nd_buf_add(out, ND_STR("\n"));
    add_columns(format, arena, &line);
    return NULL;
}

struct nd_error *
nd_format_end(struct nd_format *format, struct nd_buf *out)
{
    return format->kind == ND_FORMAT_COLUMNS ? nd_table_print(format->table, out) : NULL;
}
