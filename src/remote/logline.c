/*
 * Errors and warnings on standard error.
 *
 * Scripts grep these lines, so their shape is that of nerdctl's logger. The quoted form keeps an
 * error of several lines on one; on a terminal it is shown as it is.
 */

#include "logline.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "remote/printable.h"

#include "template_priv.h"
#include "terminal.h"

#define MAX_LINE_BYTES (1024u << 10)

struct level {
    const char *name;
    const char *shorthand;
    int colour; /* of ANSI */
};
static const struct level levels[] = {
    [ND_LINE_DEBUG] = {"debug", "DEBU", 37},  [ND_LINE_INFO] = {"info", "INFO", 36},
    [ND_LINE_WARN] = {"warning", "WARN", 33}, [ND_LINE_ERROR] = {"error", "ERRO", 31},
    [ND_LINE_FATAL] = {"fatal", "FATA", 31},
};

static bool
needs_quotes(struct nd_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c != '\0' && strchr("-._/@^+", c) != NULL);

        if (!plain)
            return true;
    }
    return text.len == 0;
}

/* RFC 3339 with seconds: fractions would only make lines longer. */
static void
put_time(struct nd_buf *out, struct nd_wall now)
{
    char text[ND_RFC3339_SIZE];

    now.nsec = 0;
    (void)nd_wall_format(now, text);
    nd_buf_putz(out, text);
}

void
nd_line_format(struct nd_buf *out, bool terminal, enum nd_line_level level, struct nd_wall now,
               int64_t seconds, struct nd_str text)
{
    struct nd_error *too_long = NULL;

    text = nd_str_sub(text, 0, MAX_LINE_BYTES / 8); /* quoting may make four bytes of one */
    if (terminal) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        struct nd_str shown = nd_printable_str(arena, text, ND_PRINTABLE_LINES);

        nd_buf_printf(out, "\033[%dm%s\033[0m[%04lld] %-44.*s \n", levels[level].colour,
                      levels[level].shorthand, (long long)seconds, ND_STR_ARG(shown));
        return;
    }
    nd_buf_putz(out, "time=\"");
    put_time(out, now);
    nd_buf_printf(out, "\" level=%s msg=", levels[level].name);
    if (needs_quotes(text))
        too_long = template_quote(out, text);
    else
        nd_buf_put(out, text);
    ND_INVARIANT(too_long == NULL);
    nd_buf_putc(out, '\n');
}

/* Standard error is the last resort: when it cannot be written there is nobody left to tell. */
static void
write_all(struct nd_str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(STDERR_FILENO, bytes.ptr, bytes.len);

        if (n <= 0)
            return;
        bytes = nd_str_from(bytes, (size_t)n);
    }
}

static int64_t
seconds_since_start(void)
{
    static int64_t start; /* of the first line: nothing before it takes a second unnoticed */
    int64_t now = nd_mono_now().ns / ND_SECOND;

    if (start == 0)
        start = now;
    return now - start;
}

static void
write_line(enum nd_line_level level, struct nd_str text)
{
    ND_AUTO(nd_buf_fini) struct nd_buf line = ND_BUF_INIT(MAX_LINE_BYTES);
    bool terminal = isatty(STDERR_FILENO) == 1, raw = terminal && nd_terminal_is_raw();

    /*
     * In the middle of a process's output, and a newline alone does not go back to the first
     * column.
     */
    if (raw)
        nd_buf_putz(&line, "\r\n");
    nd_line_format(&line, terminal, level, nd_wall_now(), seconds_since_start(), text);
    if (raw)
        nd_buf_putz(&line, "\r");
    write_all(nd_buf_str(&line));
}

void
nd_line(enum nd_line_level level, const char *fmt, ...)
{
    char text[4096];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    write_line(level, nd_str(text));
}

void
nd_line_error(enum nd_line_level level, const struct nd_error *err)
{
    ND_AUTO(nd_buf_fini) struct nd_buf hints = ND_BUF_INIT(MAX_LINE_BYTES);
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    write_line(level, nd_str(nd_error_message(err)));
    for (size_t i = 0; i < nd_error_n_hints(err); i++) {
        struct nd_str hint = nd_str_sub(nd_str(nd_error_get_hint(err, i)), 0, 4096);

        nd_buf_clear(&hints);
        hint = nd_printable_str(arena, hint, ND_PRINTABLE_LINES);
        nd_buf_printf(&hints, "hint: %.*s\n", ND_STR_ARG(hint));
        write_all(nd_buf_str(&hints));
    }
}
