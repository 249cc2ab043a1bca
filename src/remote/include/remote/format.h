#ifndef REMOTE_FORMAT_H
#define REMOTE_FORMAT_H

/*
 * The value of --format: a keyword or a template. Commands that list build their own tables;
 * everything else is done here. Context of everything here: any.
 */

#include "remote/template.h"

enum nd_format_kind {
    ND_FORMAT_TABLE,    /* "" or "table": the command's own table */
    ND_FORMAT_WIDE,     /* "wide": the same with more columns */
    ND_FORMAT_JSON,     /* "json": an object a line */
    ND_FORMAT_TEMPLATE, /* an element a line */
    ND_FORMAT_COLUMNS,  /* "table {{.A}}\t{{.B}}": docker's way of choosing columns */
};

struct nd_format {
    enum nd_format_kind kind;
    struct nd_template *template; /* TEMPLATE, COLUMNS */
    struct nd_table *table;       /* COLUMNS: what was printed so far */
};

/* Fails: ND_INVALID ("raw", a template that does not parse, quiet together with a template). */
struct nd_error *nd_format_parse(struct nd_arena *arena, struct nd_str text, bool quiet,
                                 struct nd_format *ret) ND_CHECK_RESULT;

/* Whether elements are printed by nd_format_element(); otherwise the command prints its table. */
bool nd_format_is_by_element(const struct nd_format *format);

/*
 * COLUMNS: the heading, from pairs "Field", "TITLE". Nothing for other kinds. Fails: the template
 * does.
 */
struct nd_error *nd_format_heading(struct nd_format *format, struct nd_arena *arena,
                                   const char *const (*headings)[2],
                                   size_t n_headings) ND_CHECK_RESULT;

/* One element, and a newline. Fails: the template does. */
struct nd_error *nd_format_element(struct nd_format *format, struct nd_arena *arena,
                                   const struct nd_value *element,
                                   struct nd_buf *out) ND_CHECK_RESULT;

/* COLUMNS: print the table. Nothing for other kinds. */
struct nd_error *nd_format_end(struct nd_format *format, struct nd_buf *out) ND_CHECK_RESULT;

#endif
