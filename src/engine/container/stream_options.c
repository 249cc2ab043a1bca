/*
 * What a client may ask for about its standard streams, checked before anything is done for it.
 */

#include <stdint.h>
#include <string.h>

#include "stream_options_priv.h"

static unsigned
hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
           : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                                  : 16;
}

struct nd_error *
nd_session_parse(const char *text, uint8_t ret[ND_WIRE_SESSION])
{
    bool good = strlen(text) == (size_t)2 * ND_WIRE_SESSION;

    for (size_t i = 0; good && i < ND_WIRE_SESSION; i++) {
        unsigned high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

        good = high < 16 && low < 16;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return good ? NULL : nd_error_field("session_id", "is no session's");
}

struct nd_error *
nd_terminal_size_check(const Pb__TerminalSize *size, const char *field)
{
    if (size->width > UINT16_MAX || size->height > UINT16_MAX)
        return nd_error_field(field, "is more than %u characters", UINT16_MAX);
    return NULL;
}

static struct nd_error *
check_begin(const Pb__StreamOptions *o)
{
    if (o->stdout_offset != 0)
        return nd_error_field("stdout_offset", "is of a session, and session_id names none");
    if (o->stderr_offset != 0)
        return nd_error_field("stderr_offset", "is of a session, and session_id names none");
    return NULL;
}

static struct nd_error *
check_options(const Pb__StreamOptions *o, bool may_resume)
{
    uint8_t session[ND_WIRE_SESSION];

    if (o->terminal_size != NULL)
        ND_TRY(nd_terminal_size_check(o->terminal_size, "terminal_size"));
    if (o->session_id[0] == '\0')
        return check_begin(o);
    if (!may_resume)
        return nd_error_field("session_id", "is for Attach: this is the beginning");
    return nd_session_parse(o->session_id, session);
}

struct nd_error *
nd_stream_options_check(const Pb__StreamOptions *options, bool may_resume)
{
    struct nd_error *err = options != NULL ? check_options(options, may_resume) : NULL;

    return err != NULL ? nd_error_in_field(err, "stream") : NULL;
}
