/*
 * Tables: cells are collected line by line and laid out once, when all are known.
 *
 * The layout is that of Go's tabwriter, because people cut its columns by eye and by script: a
 * column reaches over the consecutive lines that have it, so a line with fewer cells ends a column.
 * For each column of a block of lines the width is computed once and the block is written; the last
 * cell of a line belongs to no column. Cells hold texts of others: what a terminal would obey is
 * made visible.
 */

#include "remote/table.h"

#include "remote/printable.h"

struct line {
    struct nd_str *cells;
    size_t *widths; /* of the column, for each cell but the last */
    size_t n;
    size_t cap;
};

struct nd_table {
    struct nd_arena *arena;
    size_t min_width;
    size_t gap;
    struct line *lines;
    size_t n_lines;
    size_t cap;
    struct line current;
};

struct nd_table *
nd_table_new(struct nd_arena *arena, size_t min_width, size_t gap)
{
    struct nd_table *table = nd_arena_new_object(arena, struct nd_table);

    table->arena = arena;
    table->min_width = min_width;
    table->gap = gap;
    return table;
}

void
nd_table_cell(struct nd_table *table, struct nd_str text)
{
    struct line *line = &table->current;

    if (line->n == line->cap) {
        size_t cap = line->cap == 0 ? 12 : line->cap * 2;
        struct nd_str *cells = nd_arena_new_array(table->arena, cap, struct nd_str);

        if (line->n != 0)
            memcpy(cells, line->cells, line->n * sizeof(*cells));
        line->cells = cells;
        line->cap = cap;
    }
    line->cells[line->n++] = nd_printable_str(table->arena, text, "");
}

void
nd_table_cellz(struct nd_table *table, const char *text)
{
    nd_table_cell(table, nd_str(text));
}

void
nd_table_end_line(struct nd_table *table)
{
    struct line line = table->current;

    if (table->n_lines == table->cap) {
        size_t cap = table->cap == 0 ? 64 : table->cap * 2;
        struct line *lines = nd_arena_new_array(table->arena, cap, struct line);

        if (table->n_lines != 0)
            memcpy(lines, table->lines, table->n_lines * sizeof(*lines));
        table->lines = lines;
        table->cap = cap;
    }
    line.widths = nd_arena_new_array(table->arena, line.n + 1, size_t);
    table->lines[table->n_lines++] = line;
    table->current = (struct line){.n = 0};
}

void
nd_table_text(struct nd_table *table, struct nd_str text)
{
    size_t start = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '\t' && text.ptr[i] != '\n')
            continue;
        nd_table_cell(table, nd_str_sub(text, start, i - start));
        if (text.ptr[i] == '\n')
            nd_table_end_line(table);
        start = i + 1;
    }
    if (start < text.len) {
        nd_table_cell(table, nd_str_from(text, start));
        nd_table_end_line(table);
    }
}

static size_t
count_characters(struct nd_str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

/* Lines from `first` on that have a column `column`: all of them get the width of the widest. */
static size_t
lay_out_block(const struct nd_table *table, size_t first, size_t column)
{
    size_t width = table->min_width;
    size_t end = first;

    for (; end < table->n_lines && table->lines[end].n > column + 1; end++) {
        size_t wanted = count_characters(table->lines[end].cells[column]) + table->gap;

        width = ND_MAX(width, wanted);
    }
    for (size_t i = first; i < end; i++)
        table->lines[i].widths[column] = width;
    return end;
}

static void
lay_out(const struct nd_table *table)
{
    bool found = true;

    for (size_t column = 0; found; column++) {
        found = false;
        for (size_t i = 0; i < table->n_lines;) {
            size_t end = lay_out_block(table, i, column);

            found = found || end > i;
            i = end > i ? end : i + 1;
        }
    }
}

static struct nd_error *
print_line(const struct line *line, struct nd_buf *out)
{
    for (size_t i = 0; i < line->n; i++) {
        size_t blanks = i + 1 < line->n ? line->widths[i] - count_characters(line->cells[i]) : 0;

        ND_TRY(nd_buf_add(out, line->cells[i]));
        ND_TRY(nd_buf_reserve(out, blanks + 1));
        while (blanks-- > 0)
            nd_buf_putc(out, ' ');
    }
    return nd_buf_add(out, ND_STR("\n"));
}

struct nd_error *
nd_table_print(const struct nd_table *table, struct nd_buf *out)
{
    lay_out(table);
    for (size_t i = 0; i < table->n_lines; i++)
        ND_TRY(print_line(&table->lines[i], out));
    return NULL;
}
