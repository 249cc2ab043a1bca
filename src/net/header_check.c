/*
 * The checks of a request's header block that nghttp2 makes in its messaging mode, without the ones
 * on :authority. Only for Unix sockets, where clients put all sorts of things there (raw and
 * escaped paths, nothing at all; contracts/grpc-wire.md 3.6) and nghttp2 would reset their streams.
 *
 * Malformed is what RFC 9113 8.2 and 8.3 call so; a value with control characters is dropped, as it
 * is on other listeners.
 */

#include "session_priv.h"

enum {
    SEEN_METHOD = 1,
    SEEN_SCHEME = 2,
    SEEN_PATH = 4,
    SEEN_AUTHORITY = 8,
    SEEN_REGULAR = 16,
};

static const struct {
    struct nd_str name;
    unsigned bit;
} pseudo[] = {
    {{":method", 7}, SEEN_METHOD},
    {{":scheme", 7}, SEEN_SCHEME},
    {{":path", 5}, SEEN_PATH},
    {{":authority", 10}, SEEN_AUTHORITY},
};

static const struct nd_str connection_headers[] = {
    {"connection", 10},        {"keep-alive", 10}, {"proxy-connection", 16},
    {"transfer-encoding", 17}, {"upgrade", 7},
};

static bool
is_token(struct nd_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];

        if (c <= 0x20 || c >= 0x7f || (c >= 'A' && c <= 'Z') ||
            strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
            return false;
    }
    return name.len != 0;
}

static bool
is_value(struct nd_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool
malformed(struct nd_h2_stream *s)
{
    s->malformed = true;
    return false;
}

static bool
check_pseudo(struct nd_h2_stream *s, struct nd_str name, struct nd_str value)
{
    for (size_t i = 0; i < ND_LEN(pseudo); i++) {
        if (!nd_str_eq(name, pseudo[i].name))
            continue;
        if ((s->seen & (pseudo[i].bit | SEEN_REGULAR)) != 0 || !is_value(value))
            return malformed(s);
        if (value.len == 0 && pseudo[i].bit != SEEN_AUTHORITY)
            return malformed(s);
        s->seen |= pseudo[i].bit;
        return true;
    }
    return malformed(s);
}

static bool
check_length(struct nd_h2_stream *s, struct nd_str value)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    uint64_t length;

    err = nd_parse_u64(value, UINT64_MAX - 1, &length);
    if (err != NULL || s->content_left != UINT64_MAX)
        return malformed(s);
    s->content_left = length;
    return true;
}

bool
nd_header_check(struct nd_h2_stream *s, struct nd_str name, struct nd_str value)
{
    if (nd_str_starts(name, ND_STR(":")))
        return check_pseudo(s, name, value);
    s->seen |= SEEN_REGULAR;
    if (!is_token(name))
        return malformed(s);
    for (size_t i = 0; i < ND_LEN(connection_headers); i++) {
        if (nd_str_eq(name, connection_headers[i]))
            return malformed(s);
    }
    if (nd_str_eq(name, ND_STR("te")) && !nd_str_eq_nocase(value, ND_STR("trailers")))
        return malformed(s);
    if (nd_str_eq(name, ND_STR("content-length")))
        return check_length(s, value);
    return is_value(value);
}

bool
nd_header_check_end(const struct nd_h2_stream *s)
{
    const unsigned needed = SEEN_METHOD | SEEN_SCHEME | SEEN_PATH;

    return (s->seen & needed) == needed;
}
