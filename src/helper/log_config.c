/*
 * A reader for one small file that nerdctl or the daemon wrote:
 *
 *     {"driver":"json-file","opts":{"max-size":"10m","max-file":"3"},"address":"..."}
 *
 * Why not the JSON of codec/: there is one helper per container for as long as it lives, so it
 * links no JSON library and no heap. A walk over objects and texts is all that this file needs;
 * everything else in it is stepped over.
 */

#include "helper/log_config.h"

#include <string.h>

#define NEST_MAX 32u

struct walk {
    char *at, *end;
};

static void
skip_space(struct walk *w)
{
    while (w->at < w->end && (*w->at == ' ' || *w->at == '\t' || *w->at == '\r' || *w->at == '\n'))
        w->at++;
}

static bool
take(struct walk *w, char c)
{
    skip_space(w);
    if (w->at == w->end || *w->at != c)
        return false;
    w->at++;
    return true;
}

/* The characters that a backslash and one letter stand for. */
static char
unescape(char c)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *found = c != '\0' ? strchr(letters, c) : NULL;

    return (char)(found != NULL ? meanings[found - letters] : '\0');
}

/* "\u00XX" for ASCII, which is all that keys and values of options need. */
static bool
unescape_ascii(struct walk *w, char *ret)
{
    unsigned value = 0;

    if (w->end - w->at < 4)
        return false;
    for (size_t i = 0; i < 4; i++) {
        char c = *w->at++;
        bool digit = c >= '0' && c <= '9';
        char letter = (char)(c | 0x20);

        if (!digit && (letter < 'a' || letter > 'f'))
            return false;
        value = value << 4 | (unsigned)(digit ? c - '0' : letter - 'a' + 10);
    }
    *ret = (char)(value > 0 && value < 0x80 ? value : '?');
    return true;
}

/* A text, decoded over itself. */
static bool
take_text(struct walk *w, struct nd_str *ret)
{
    char *start, *dst;

    if (!take(w, '"'))
        return false;
    start = dst = w->at;
    while (w->at < w->end && *w->at != '"') {
        char c = *w->at++;

        if (c == '\\') {
            if (w->at == w->end)
                return false;
            c = *w->at++;
            if (c == 'u' ? !unescape_ascii(w, &c) : (c = unescape(c)) == '\0')
                return false;
        }
        *dst++ = c;
    }
    *ret = nd_str_n(start, (size_t)(dst - start));
    return take(w, '"');
}

/* Step over one value of any kind. */
static bool
skip_value(struct walk *w)
{
    unsigned depth = 0;

    do {
        struct nd_str ignored;

        skip_space(w);
        if (w->at == w->end)
            return false;
        switch (*w->at) {
        case '"':
            if (!take_text(w, &ignored))
                return false;
            break;
        case '{':
        case '[':
            w->at++;
            if (++depth > NEST_MAX)
                return false;
            break;
        case '}':
        case ']':
            if (depth == 0)
                return false;
            w->at++;
            depth--;
            break;
        default: /* ',', ':' inside, or a byte of a number or word */
            if (depth == 0 && (*w->at == ',' || *w->at == ':'))
                return false;
            w->at++;
            while (w->at < w->end && strchr(" \t\r\n,:]}{[\"", *w->at) == NULL)
                w->at++;
        }
    } while (depth > 0);
    return true;
}

typedef bool on_member(struct walk *w, struct nd_str key, struct nd_logger_config *config);

/* Every member of an object; `on` takes the value. */
static bool
walk_object(struct walk *w, on_member *on, struct nd_logger_config *config)
{
    if (!take(w, '{'))
        return false;
    if (take(w, '}'))
        return true;
    do {
        struct nd_str key;

        if (!take_text(w, &key) || !take(w, ':') || !on(w, key, config))
            return false;
    } while (take(w, ','));
    return take(w, '}');
}

/* What a unit letter stands for; 0: it is none. */
static uint64_t
unit_of(char c)
{
    static const char letters[] = "kmgtKMGT";
    static const uint64_t units[] = {UINT64_C(1000), UINT64_C(1000000), UINT64_C(1000000000),
                                     UINT64_C(1000000000000)};
    const char *found = c != '\0' ? strchr(letters, c) : NULL;

    return found != NULL ? units[(size_t)(found - letters) % ND_LEN(units)] : 0;
}

/* What may follow the unit: "b" or "ib" (which go-units reads as decimal, too). */
static bool
is_unit_end(struct nd_str s)
{
    return s.len == 0 || nd_str_eq_nocase(s, ND_STR("b")) || nd_str_eq_nocase(s, ND_STR("ib"));
}

bool
nd_logger_size_parse(struct nd_str text, uint64_t *ret)
{
    uint64_t whole = 0, thousandths = 0, scale = 100, unit = 1;
    size_t i = 0;

    if (nd_str_eqz(text, "-1")) {
        *ret = 0;
        return true;
    }
    for (; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++) {
        if (whole > UINT64_MAX / 100)
            return false;
        whole = whole * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (i == 0)
        return false;
    if (i < text.len && text.ptr[i] == '.') {
        for (i++; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++, scale /= 10)
            thousandths += (uint64_t)(text.ptr[i] - '0') * scale;
    }
    if (i < text.len && text.ptr[i] == ' ')
        i++;
    if (i < text.len && unit_of(text.ptr[i]) != 0)
        unit = unit_of(text.ptr[i++]);
    if (!is_unit_end(nd_str_from(text, i)) || whole > UINT64_MAX / 2 / unit)
        return false;
    *ret = whole * unit + thousandths * unit / 1000;
    return *ret > 0;
}

static void
take_max_files(struct nd_str value, struct nd_logger_config *config)
{
    uint64_t n = 0;

    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9' || n > ND_LOGGER_FILES_MAX)
            return;
        n = n * 10 + (uint64_t)(value.ptr[i] - '0');
    }
    if (n >= 1)
        config->max_files = (unsigned)ND_MIN(n, (uint64_t)ND_LOGGER_FILES_MAX);
}

static bool
on_option(struct walk *w, struct nd_str key, struct nd_logger_config *config)
{
    struct nd_str value;

    skip_space(w);
    if (w->at == w->end || *w->at != '"')
        return skip_value(w);
    if (!take_text(w, &value))
        return false;
    if (nd_str_eqz(key, "max-size")) {
        nd_logger_size_parse(value, &config->max_bytes);
    } else if (nd_str_eqz(key, "max-file")) {
        take_max_files(value, config);
    } else if (nd_str_eqz(key, "log-path") && value.len > 0 && value.ptr[0] == '/' &&
               value.len < sizeof(config->log_path)) {
        memcpy(config->log_path, value.ptr, value.len);
        config->log_path[value.len] = '\0';
    }
    return true;
}

static bool
on_top_member(struct walk *w, struct nd_str key, struct nd_logger_config *config)
{
    skip_space(w);
    if (nd_str_eqz(key, "opts") && w->at < w->end && *w->at == '{')
        return walk_object(w, on_option, config);
    return skip_value(w);
}

bool /* NOLINTNEXTLINE(readability-non-const-parameter): it is decoded over itself */
nd_logger_config_parse(char *text, size_t len, struct nd_logger_config *ret)
{
    struct walk w = {text, text + len};

    *ret = (struct nd_logger_config){.max_bytes = ND_LOGGER_SIZE_DEFAULT,
                                     .max_files = ND_LOGGER_FILES_DEFAULT};
    return walk_object(&w, on_top_member, ret);
}
