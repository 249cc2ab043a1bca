#ifndef REMOTE_LOGLINE_H
#define REMOTE_LOGLINE_H

/*
 * Lines for people on standard error, in the two shapes that nerdctl has: key=value when it is no
 * terminal, `FATA[0000] text` in colour when it is one. Context of everything here: any.
 */

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"

enum nd_line_level {
    ND_LINE_DEBUG,
    ND_LINE_INFO,
    ND_LINE_WARN,
    ND_LINE_ERROR,
    ND_LINE_FATAL,
};

/* One line, newline included. `seconds` since the start is shown on terminals, `now` elsewhere. */
void nd_line_format(struct nd_buf *out, bool terminal, enum nd_line_level level, struct nd_wall now,
                    int64_t seconds, struct nd_str text);

/* Write a line to standard error now. */
void nd_line(enum nd_line_level level, const char *fmt, ...) ND_PRINTF(2, 3);

/* An error and its hints, one "hint: ..." line each. */
void nd_line_error(enum nd_line_level level, const struct nd_error *err);

#endif
