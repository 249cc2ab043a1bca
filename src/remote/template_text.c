/*
 * Functions of templates that make text: print and its kin, escaping, and what docker adds for
 * rows of tables (join, split, upper, pad, ...).
 *
 * Each makes its text in a buffer with a maximum and hands it over as a value of the run; the bytes
 * count as work, so that a template cannot fill the memory step by step.
 */

#include <ctype.h>
#include <locale.h>
#include <wctype.h>

#include "remote/limits.h"

#include "template_functions_priv.h"

static const char hex_digits[] = "0123456789ABCDEF";

#define TEXT_BUF(name) \
    ND_AUTO(nd_buf_fini) struct nd_buf name = ND_BUF_INIT(ND_REMOTE_MAX_DOCUMENT_BYTES)

/* What was made becomes a value. */
static struct nd_error *
take_text(struct template_run *run, const struct nd_buf *buf, const struct nd_value **ret)
{
    struct nd_str text = nd_buf_str(buf);

    ND_TRY(template_work(run, text.len));
    *ret = nd_value_text(run->arena, nd_str_n(nd_arena_str(run->arena, text), text.len));
    return NULL;
}

struct nd_error *
template_sprint(struct template_run *run, struct template_arguments args,
                const struct nd_value **ret)
{
    TEXT_BUF(buf);

    ND_TRY(template_print(&buf, args, false));
    return take_text(run, &buf, ret);
}

struct nd_error *
template_sprintln(struct template_run *run, struct template_arguments args,
                  const struct nd_value **ret)
{
    TEXT_BUF(buf);

    ND_TRY(template_print(&buf, args, true));
    return take_text(run, &buf, ret);
}

struct nd_error *
template_sprintf(struct template_run *run, struct template_arguments args,
                 const struct nd_value **ret)
{
    struct template_arguments rest = {args.values + 1, args.n - 1};
    TEXT_BUF(buf);

    ND_TRY(template_printf(&buf, args.values[0]->text, rest));
    return take_text(run, &buf, ret);
}

/* The arguments as one text, then each byte through `escape`. */
static struct nd_error *
escaped(struct template_run *run, struct template_arguments args,
        struct nd_error *(*escape)(struct nd_buf *out, char c), const struct nd_value **ret)
{
    TEXT_BUF(plain);
    TEXT_BUF(out);

    ND_TRY(template_print(&plain, args, false));
    for (size_t i = 0; i < plain.len; i++)
        ND_TRY(escape(&out, plain.ptr[i]));
    return take_text(run, &out, ret);
}

struct replacement {
    char c;
    const char *text;
};

static struct nd_error *
replace(struct nd_buf *out, char c, const struct replacement *table, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (table[i].c == c)
            return nd_buf_add(out, nd_str(table[i].text));
    }
    return nd_buf_add(out, nd_str_n(&c, 1));
}

static struct nd_error *
escape_html(struct nd_buf *out, char c)
{
    static const struct replacement table[] = {
        {'"', "&#34;"}, {'\'', "&#39;"}, {'&', "&amp;"},
        {'<', "&lt;"},  {'>', "&gt;"},   {'\0', "\xef\xbf\xbd"},
    };

    return replace(out, c, table, ND_LEN(table));
}

static struct nd_error *
escape_js(struct nd_buf *out, char c)
{
    static const struct replacement table[] = {
        {'\\', "\\\\"},   {'\'', "\\'"},    {'"', "\\\""},    {'<', "\\u003C"},
        {'>', "\\u003E"}, {'&', "\\u0026"}, {'=', "\\u003D"},
    };

    if ((unsigned char)c < 0x20) {
        char text[] = {'\\', 'u', '0', '0', hex_digits[(unsigned char)c >> 4], hex_digits[c & 15]};

        return nd_buf_add(out, nd_str_n(text, sizeof(text)));
    }
    return replace(out, c, table, ND_LEN(table));
}

static struct nd_error *
escape_url(struct nd_buf *out, char c)
{
    char text[] = {'%', hex_digits[(unsigned char)c >> 4], hex_digits[c & 15]};

    if (c == ' ')
        return nd_buf_add(out, ND_STR("+"));
    if ((unsigned char)c < 0x80 && (isalnum(c) != 0 || (c != '\0' && strchr("-_.~", c) != NULL)))
        return nd_buf_add(out, nd_str_n(&c, 1));
    return nd_buf_add(out, nd_str_n(text, sizeof(text)));
}

struct nd_error *
template_html(struct template_run *run, struct template_arguments args, const struct nd_value **ret)
{
    return escaped(run, args, escape_html, ret);
}

struct nd_error *
template_js(struct template_run *run, struct template_arguments args, const struct nd_value **ret)
{
    return escaped(run, args, escape_js, ret);
}

struct nd_error *
template_urlquery(struct template_run *run, struct template_arguments args,
                  const struct nd_value **ret)
{
    return escaped(run, args, escape_url, ret);
}

struct nd_error *
template_json(struct template_run *run, struct template_arguments args, const struct nd_value **ret)
{
    TEXT_BUF(buf);

    ND_TRY(nd_value_json(&buf, args.values[0], 0));
    return take_text(run, &buf, ret);
}

/* Bytes of the character at the front: the whole of a UTF-8 sequence, else one. */
static size_t
character_length(struct nd_str s)
{
    for (size_t n = 1; n <= 4 && n <= s.len; n++) {
        if (nd_str_is_utf8(nd_str_sub(s, 0, n)))
            return n;
    }
    return 1;
}

struct nd_error *
template_split(struct template_run *run, struct template_arguments args,
               const struct nd_value **ret)
{
    struct nd_str rest = args.values[0]->text, separator = args.values[1]->text;
    struct nd_value *list = nd_value_new(run->arena, ND_VALUE_LIST);
    size_t at;

    while (separator.len == 0 && rest.len > 0) {
        size_t n = character_length(rest);

        ND_TRY(template_work(run, 0));
        nd_value_push(run->arena, list, nd_value_text(run->arena, nd_str_sub(rest, 0, n)));
        rest = nd_str_from(rest, n);
    }
    while (separator.len > 0) {
        at = nd_str_search(rest, separator);
        ND_TRY(template_work(run, 0));
        nd_value_push(run->arena, list, nd_value_text(run->arena, nd_str_sub(rest, 0, at)));
        if (at == SIZE_MAX)
            break;
        rest = nd_str_from(rest, at + separator.len);
    }
    *ret = list;
    return NULL;
}

/* The values of a map as texts, sorted: what join makes of a map. */
static struct nd_error *
sorted_values(struct template_run *run, const struct nd_value *map, const struct nd_value **ret)
{
    struct nd_value *sorted = nd_value_new(run->arena, ND_VALUE_LIST);

    for (size_t i = 0; i < map->n_items; i++) {
        const struct nd_value *text;
        size_t at;
        TEXT_BUF(buf);

        ND_TRY(nd_value_print(&buf, map->items[i].value));
        ND_TRY(take_text(run, &buf, &text));
        nd_value_push(run->arena, sorted, NULL);
        for (at = i; at > 0 && nd_str_cmp(sorted->items[at - 1].value->text, text->text) > 0; at--)
            sorted->items[at] = sorted->items[at - 1];
        sorted->items[at].value = nd_value_text(run->arena, text->text);
    }
    *ret = sorted;
    return NULL;
}

struct nd_error *
template_join(struct template_run *run, struct template_arguments args, const struct nd_value **ret)
{
    const struct nd_value *list = args.values[0];
    TEXT_BUF(buf);

    if (list->kind == ND_VALUE_MAP)
        ND_TRY(sorted_values(run, list, &list));
    if (list->kind == ND_VALUE_NULL || list->kind == ND_VALUE_MISSING)
        return take_text(run, &buf, ret);
    if (list->kind != ND_VALUE_LIST)
        return nd_error_new(ND_INVALID, "expected slice, got %s", nd_value_kind_name(list->kind));
    for (size_t i = 0; i < list->n_items; i++) {
        ND_TRY(template_work(run, 0));
        if (i > 0)
            ND_TRY(nd_buf_add(&buf, args.values[1]->text));
        ND_TRY(nd_value_print(&buf, list->items[i].value));
    }
    return take_text(run, &buf, ret);
}

/* Letters beyond ASCII need the tables of a locale; without one they stay as they are. */
static struct nd_error *
map_character(struct nd_buf *out, struct nd_str c, locale_t locale, wint_t (*map)(wint_t, locale_t))
{
    unsigned char bytes[4];
    uint32_t code = (unsigned char)c.ptr[0];

    if (c.len == 1 || c.len > 3 || locale == (locale_t)0)
        return nd_buf_add(out, c);
    code &= 0x7fu >> c.len;
    for (size_t i = 1; i < c.len; i++)
        code = (code << 6) | ((unsigned char)c.ptr[i] & 0x3fu);
    code = (uint32_t)map(code, locale);
    if (code < 0x80) {
        bytes[0] = (unsigned char)code;
        return nd_buf_add(out, nd_str_n(bytes, 1));
    }
    if (code < 0x800) {
        bytes[0] = (unsigned char)(0xc0 | code >> 6);
        bytes[1] = (unsigned char)(0x80 | (code & 0x3f));
        return nd_buf_add(out, nd_str_n(bytes, 2));
    }
    bytes[0] = (unsigned char)(0xe0 | code >> 12);
    bytes[1] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
    bytes[2] = (unsigned char)(0x80 | (code & 0x3f));
    return nd_buf_add(out, nd_str_n(bytes, 3));
}

static struct nd_error *
map_case(struct template_run *run, struct nd_str text, bool up, const struct nd_value **ret)
{
    locale_t locale = (locale_t)0;
    struct nd_error *err = NULL;
    TEXT_BUF(buf);

    while (text.len > 0 && err == NULL) {
        size_t n = character_length(text);
        char c =
            (char)(up ? toupper((unsigned char)text.ptr[0]) : tolower((unsigned char)text.ptr[0]));

        if (n > 1 && locale == (locale_t)0)
            locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
        if (n == 1)
            err = nd_buf_add(&buf, nd_str_n(&c, 1));
        else
            err = map_character(&buf, nd_str_sub(text, 0, n), locale, up ? towupper_l : towlower_l);
        text = nd_str_from(text, n);
    }
    if (locale != (locale_t)0)
        freelocale(locale);
    if (err != NULL)
        return err;
    return take_text(run, &buf, ret);
}

struct nd_error *
template_lower(struct template_run *run, struct template_arguments args,
               const struct nd_value **ret)
{
    return map_case(run, args.values[0]->text, false, ret);
}

struct nd_error *
template_upper(struct template_run *run, struct template_arguments args,
               const struct nd_value **ret)
{
    return map_case(run, args.values[0]->text, true, ret);
}

/* Whether a word ends behind this byte: ASCII that is neither letter, digit nor underscore. */
static bool
separates_words(char c)
{
    return (unsigned char)c < 0x80 && isalnum((unsigned char)c) == 0 && c != '_';
}

struct nd_error *
template_title(struct template_run *run, struct template_arguments args,
               const struct nd_value **ret)
{
    struct nd_str text = args.values[0]->text;
    bool begins = true;
    TEXT_BUF(buf);

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (begins)
            c = (char)toupper((unsigned char)c);
        ND_TRY(nd_buf_add(&buf, nd_str_n(&c, 1)));
        begins = separates_words(c);
    }
    return take_text(run, &buf, ret);
}

static struct nd_error *
put_blanks(struct nd_buf *out, int64_t n)
{
    if (n > ND_TEMPLATE_MAX_WIDTH)
        return nd_error_new(ND_INVALID, "more than %d blanks", ND_TEMPLATE_MAX_WIDTH);
    if (n <= 0)
        return NULL;
    ND_TRY(nd_buf_reserve(out, (size_t)n));
    while (n-- > 0)
        nd_buf_putc(out, ' ');
    return NULL;
}

struct nd_error *
template_pad(struct template_run *run, struct template_arguments args, const struct nd_value **ret)
{
    TEXT_BUF(buf);

    if (args.values[0]->text.len > 0) {
        ND_TRY(put_blanks(&buf, args.values[1]->i64));
        ND_TRY(nd_buf_add(&buf, args.values[0]->text));
        ND_TRY(put_blanks(&buf, args.values[2]->i64));
    }
    return take_text(run, &buf, ret);
}

struct nd_error *
template_truncate(struct template_run *run, struct template_arguments args,
                  const struct nd_value **ret)
{
    int64_t length = args.values[1]->i64;

    if (length < 0)
        return nd_error_new(ND_INVALID, "slice bounds out of range [:%lld]", (long long)length);
    *ret = nd_value_text(run->arena, nd_str_sub(args.values[0]->text, 0, (size_t)length));
    return NULL;
}
