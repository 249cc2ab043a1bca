#ifndef REMOTE_TEMPLATE_H
#define REMOTE_TEMPLATE_H

/*
 * Go's text/template over values, with docker's functions: what --format takes. Output, conditions,
 * functions and error texts are those of Go; left out are complex numbers and calling functions
 * that are values. What a template may do is bounded (remote/limits.h), because it may come from
 * anywhere. Context of everything here: any.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "remote/value.h"

struct nd_template;

/*
 * Owns:  everything is in `arena`; `text` is copied.
 * Fails: ND_INVALID "template: :LINE: ..."
 */
struct nd_error *nd_template_parse(struct nd_arena *arena, struct nd_str text,
                                   struct nd_template **ret) ND_CHECK_RESULT;

/*
 * Run it over one element and append what it prints to `out`; what was printed before a failure
 * stays there. Temporaries go to `arena`.
 * Fails: ND_INVALID "template: :LINE:COLUMN: executing ...", ND_EXHAUSTED (a limit).
 */
struct nd_error *nd_template_run(const struct nd_template *t, struct nd_arena *arena,
                                 const struct nd_value *dot, struct nd_buf *out) ND_CHECK_RESULT;

/*
 * The same for the heading of a table: `headings` maps field names to column titles, and functions
 * that change text leave it alone.
 */
struct nd_error *nd_template_run_heading(const struct nd_template *t, struct nd_arena *arena,
                                         const struct nd_value *headings,
                                         struct nd_buf *out) ND_CHECK_RESULT;

#endif
