#ifndef REMOTE_TABLE_H
#define REMOTE_TABLE_H

/*
 * Aligned columns, laid out as Go's tabwriter does: a column is as wide as its widest cell plus the
 * gap, over the consecutive lines that have it; the last cell of a line is not padded. Widths count
 * characters. Context of everything here: any.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

struct nd_table;

/* Cells are at least `min_width` characters wide, gap included. Lives in the arena. */
struct nd_table *nd_table_new(struct nd_arena *arena, size_t min_width, size_t gap)
    __attribute__((__returns_nonnull__));

/* The next cell of the current line. Not copied. */
void nd_table_cell(struct nd_table *table, struct nd_str text);
void nd_table_cellz(struct nd_table *table, const char *text);

/* The current line is complete. */
void nd_table_end_line(struct nd_table *table);

/* Cells separated by tabs and lines by newlines, as templates make them. Not copied. */
void nd_table_text(struct nd_table *table, struct nd_str text);

/* Append the table. Fails: ND_EXHAUSTED (buffer is full). */
struct nd_error *nd_table_print(const struct nd_table *table, struct nd_buf *out) ND_CHECK_RESULT;

#endif
