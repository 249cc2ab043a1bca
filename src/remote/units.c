/*
 * Sizes, moments, comma lists and key=value files as users write them.
 *
 * The accepted forms are those of docker and nerdctl. Sizes are always powers of 1024, whatever the
 * letters suggest. Reading files happens here too: the files are the user's own and small, so they
 * are read before the loop starts, with a plain read().
 */

#include "remote/units.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "remote/limits.h"

#define MAX_NUMBER_TEXT 40

void
nd_texts_push(struct nd_arena *arena, struct nd_texts *texts, struct nd_str text)
{
    if (texts->n == texts->cap) {
        size_t cap = texts->cap == 0 ? 8 : texts->cap * 2;
        struct nd_str *items = nd_arena_new_array(arena, cap, struct nd_str);

        if (texts->n != 0)
            memcpy(items, texts->items, texts->n * sizeof(*items));
        texts->items = items;
        texts->cap = cap;
    }
    texts->items[texts->n++] = text;
}

struct nd_error *
nd_decimal_parse(struct nd_str text, double *ret)
{
    char number[MAX_NUMBER_TEXT];
    size_t digits = 0, dots = 0;

    for (size_t i = 0; i < text.len; i++) {
        digits += isdigit((unsigned char)text.ptr[i]) != 0;
        dots += text.ptr[i] == '.';
    }
    if (digits == 0 || dots > 1 || digits + dots != text.len || text.len >= sizeof(number))
        return nd_error_new(ND_INVALID, "not a number: \"%.*s\"", ND_STR_ARG(text));
    memcpy(number, text.ptr, text.len);
    number[text.len] = '\0';
    *ret = strtod(number, NULL);
    return NULL;
}

/* The power of 1024 that a unit means; false when it is none. */
static bool
parse_unit(struct nd_str unit, int *ret_shift)
{
    static const char letters[] = "kmgtp";
    const char *found;

    *ret_shift = 0;
    if (unit.len == 0 || nd_str_eq_nocase(unit, ND_STR("b")))
        return true;
    found = strchr(letters, tolower((unsigned char)unit.ptr[0]));
    if (found == NULL || *found == '\0')
        return false;
    *ret_shift = 10 * (int)(found - letters + 1);
    unit = nd_str_from(unit, 1);
    return unit.len == 0 || nd_str_eq_nocase(unit, ND_STR("b")) ||
           nd_str_eq_nocase(unit, ND_STR("ib"));
}

struct nd_error *
nd_size_parse(struct nd_str text, int64_t *ret)
{
    struct nd_str number = text;
    struct nd_str unit;
    double value = 0;
    int shift = 0;

    while (number.len > 0 && isalpha((unsigned char)number.ptr[number.len - 1]) != 0)
        number.len--;
    unit = nd_str_from(text, number.len);
    if (number.len > 0 && number.ptr[number.len - 1] == ' ')
        number.len--;
    if (!parse_unit(unit, &shift))
        return nd_error_new(ND_INVALID, "invalid suffix: '%.*s'", ND_STR_ARG(unit));
    if (nd_str_eqz(number, "") || !isdigit((unsigned char)number.ptr[0]))
        return nd_error_new(ND_INVALID, "invalid size: '%.*s'", ND_STR_ARG(text));
    ND_TRY_DOING(nd_decimal_parse(number, &value), "invalid size");
    value = ldexp(value, shift);
    if (value >= 9223372036854775807.0)
        return nd_error_new(ND_INVALID, "size is too large: '%.*s'", ND_STR_ARG(text));
    *ret = (int64_t)value;
    return NULL;
}

/* "1136073845" or "1136073845.000000001". */
static struct nd_error *
parse_seconds(struct nd_str text, struct nd_wall *ret)
{
    size_t dot = nd_str_find(text, '.');
    struct nd_str fraction = dot == SIZE_MAX ? ND_STR_NONE : nd_str_from(text, dot + 1);
    int64_t seconds;
    uint64_t nanoseconds = 0;

    ND_TRY(nd_parse_i64(nd_str_sub(text, 0, dot), INT64_MIN / 2, INT64_MAX / 2, &seconds));
    fraction = nd_str_sub(fraction, 0, 9);
    if (dot != SIZE_MAX)
        ND_TRY(nd_parse_u64(fraction, 999999999, &nanoseconds));
    for (size_t i = fraction.len; i < 9 && dot != SIZE_MAX; i++)
        nanoseconds *= 10;
    *ret = (struct nd_wall){seconds, (int32_t)nanoseconds};
    return NULL;
}

/* What RFC 3339 leaves no room to leave out: a date alone, no seconds, no zone. UTC is meant. */
static bool
parse_partial(struct nd_str text, struct nd_wall *ret)
{
    static const char *const tails[] = {"Z", ":00Z", ":00:00Z", "T00:00:00Z"};
    char whole[MAX_NUMBER_TEXT];

    for (size_t i = 0; i < ND_LEN(tails); i++) {
        size_t tail = strlen(tails[i]);
        struct nd_error *err;

        if (text.len + tail >= sizeof(whole))
            continue;
        memcpy(whole, text.ptr, text.len);
        memcpy(whole + text.len, tails[i], tail);
        err = nd_wall_parse(nd_str_n(whole, text.len + tail), ret);
        if (err == NULL)
            return true;
        nd_error_free(err);
    }
    return false;
}

struct nd_error *
nd_moment_parse(struct nd_str text, struct nd_wall now, struct nd_wall *ret)
{
    ND_AUTO(nd_error_freep) struct nd_error *no_time = nd_wall_parse(text, ret);
    ND_AUTO(nd_error_freep) struct nd_error *no_number = NULL;
    ND_AUTO(nd_error_freep) struct nd_error *no_duration = NULL;
    int64_t back_ns;

    if (no_time == NULL)
        return NULL;
    no_number = parse_seconds(text, ret);
    if (no_number == NULL)
        return NULL;
    no_duration = nd_duration_parse(text, &back_ns);
    if (no_duration == NULL && back_ns != INT64_MIN) {
        *ret = nd_wall_add(now, -back_ns);
        return NULL;
    }
    if (text.len > 0 && parse_partial(text, ret))
        return NULL;
    return nd_error_new(ND_INVALID,
                        "\"%.*s\" is neither a time (RFC 3339), a date, seconds since 1970 nor a "
                        "duration like 10m",
                        ND_STR_ARG(text));
}

/* The value in quotes at the front of `*rest`, which begins with the quote; cuts it off. */
static struct nd_error *
csv_quoted(struct nd_arena *arena, struct nd_str *rest, struct nd_str *ret)
{
    char *dst = nd_arena_alloc(arena, rest->len + 1);
    size_t n = 0, i = 1;

    for (;; i++) {
        if (i >= rest->len)
            return nd_error_new(ND_INVALID, "extraneous or missing \" in quoted-field");
        if (rest->ptr[i] == '"') {
            if (i + 1 >= rest->len || rest->ptr[i + 1] != '"')
                break;
            i++;
        }
        dst[n++] = rest->ptr[i];
    }
    *rest = nd_str_from(*rest, i + 1);
    if (rest->len > 0 && rest->ptr[0] != ',')
        return nd_error_new(ND_INVALID, "extraneous or missing \" in quoted-field");
    *ret = nd_str_n(dst, n);
    return NULL;
}

static struct nd_error *
csv_plain(struct nd_str *rest, struct nd_str *ret)
{
    struct nd_str value = nd_str_sub(*rest, 0, nd_str_find(*rest, ','));

    *rest = nd_str_from(*rest, value.len);
    if (nd_str_find(value, '"') != SIZE_MAX)
        return nd_error_new(ND_INVALID, "bare \" in non-quoted-field");
    *ret = value;
    return NULL;
}

struct nd_error *
nd_csv_parse(struct nd_arena *arena, struct nd_str line, struct nd_texts *ret)
{
    struct nd_str rest = line;

    if (nd_str_find(line, '\n') != SIZE_MAX || nd_str_find(line, '\r') != SIZE_MAX)
        return nd_error_new(ND_INVALID, "line break in \"%.*s\"", ND_STR_ARG(line));
    for (;;) {
        struct nd_str value = ND_STR_NONE;

        if (rest.len > 0 && rest.ptr[0] == '"')
            ND_TRY(csv_quoted(arena, &rest, &value));
        else
            ND_TRY(csv_plain(&rest, &value));
        if (ret->n >= ND_REMOTE_MAX_LIST_VALUES)
            return nd_error_new(ND_INVALID, "more than %u values", ND_REMOTE_MAX_LIST_VALUES);
        nd_texts_push(arena, ret, value);
        if (rest.len == 0)
            return NULL;
        rest = nd_str_from(rest, 1);
    }
}

static struct nd_error *
check_key(struct nd_str line, const char *name, size_t number)
{
    struct nd_str key = nd_str_sub(line, 0, nd_str_find(line, '='));

    if (key.len == 0)
        return nd_error_new(ND_INVALID, "%s: line %zu: no variable name on line '%.*s'", name,
                            number, ND_STR_ARG(line));
    for (size_t i = 0; i < key.len; i++) {
        if (isspace((unsigned char)key.ptr[i]) != 0)
            return nd_error_new(ND_INVALID, "%s: line %zu: variable '%.*s' contains whitespaces",
                                name, number, ND_STR_ARG(key));
    }
    return NULL;
}

struct nd_error *
nd_key_file_parse(struct nd_arena *arena, struct nd_str content, const char *name,
                  struct nd_texts *ret)
{
    struct nd_str line;

    if (nd_str_starts(content, ND_STR("\xef\xbb\xbf")))
        content = nd_str_from(content, 3);
    for (size_t number = 1; nd_str_next(&content, '\n', &line); number++) {
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (!nd_str_is_utf8(line))
            return nd_error_new(ND_INVALID, "%s: line %zu is not UTF-8", name, number);
        while (line.len > 0 && isspace((unsigned char)line.ptr[0]) != 0)
            line = nd_str_from(line, 1);
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        ND_TRY(check_key(line, name, number));
        if (ret->n >= ND_REMOTE_MAX_LIST_VALUES)
            return nd_error_new(ND_INVALID, "%s: more than %u lines", name,
                                ND_REMOTE_MAX_LIST_VALUES);
        nd_texts_push(arena, ret, line);
    }
    return NULL;
}

struct nd_error *
nd_file_read(struct nd_arena *arena, const char *path, struct nd_str *ret)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(ND_REMOTE_MAX_FILE_BYTES);
    ND_AUTO(nd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    char piece[4096];
    ssize_t n;

    if (fd < 0)
        return nd_error_errno(errno, "open %s", path);
    while ((n = read(fd, piece, sizeof(piece))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return nd_error_errno(errno, "read %s", path);
        ND_TRY_DOING(nd_buf_add(&buf, nd_str_n(piece, (size_t)n)), "read %s", path);
    }
    *ret = nd_str_n(nd_arena_str(arena, nd_buf_str(&buf)), buf.len);
    return NULL;
}
