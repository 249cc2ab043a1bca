#ifndef REMOTE_UNITS_H
#define REMOTE_UNITS_H

/*
 * What people write on command lines and in files of theirs, as values: sizes, points in time,
 * comma lists, key=value files. Context of everything here: any.
 */

#include "base/arena.h"
#include "base/clock.h"
#include "base/str.h"

/* Texts in an arena. */
struct nd_texts {
    struct nd_str *items;
    size_t n;
    size_t cap;
};
void nd_texts_push(struct nd_arena *arena, struct nd_texts *texts, struct nd_str text);

/*
 * "512m", "1.5 GiB", "4096": bytes, powers of 1024. Fails: ND_INVALID.
 */
struct nd_error *nd_size_parse(struct nd_str text, int64_t *ret) ND_CHECK_RESULT;

/*
 * RFC 3339, a date (with or without time of day, UTC), seconds since 1970 (with fraction), or a Go
 * duration that is counted back from `now`. Fails: ND_INVALID.
 */
struct nd_error *nd_moment_parse(struct nd_str text, struct nd_wall now,
                                 struct nd_wall *ret) ND_CHECK_RESULT;

/* "1.5", a plain decimal number. Fails: ND_INVALID. */
struct nd_error *nd_decimal_parse(struct nd_str text, double *ret) ND_CHECK_RESULT;

/*
 * One line of comma-separated values; values in quotes may hold commas, doubled quotes are one
 * quote. An empty text is one empty value. Fails: ND_INVALID (a stray quote, a line break).
 */
struct nd_error *nd_csv_parse(struct nd_arena *arena, struct nd_str line,
                              struct nd_texts *ret) ND_CHECK_RESULT;

/*
 * Lines of KEY=VALUE, as --env-file and --label-file take: empty lines and lines that begin with
 * '#' are skipped, leading blanks go, the rest stays as it is. A line without '=' stays KEY alone.
 * `name` is the file's, for messages. Fails: ND_INVALID names file and line.
 */
struct nd_error *nd_key_file_parse(struct nd_arena *arena, struct nd_str content, const char *name,
                                   struct nd_texts *ret) ND_CHECK_RESULT;

/* A whole file, at most ND_REMOTE_MAX_FILE_BYTES, read now ("-" is not special). Blocks shortly. */
struct nd_error *nd_file_read(struct nd_arena *arena, const char *path,
                              struct nd_str *ret) ND_CHECK_RESULT;

#endif
