/*
 * Frames: numbers to bytes and back. What may stand where is one table, so that a frame that was
 * read is known to be of the right length for its type, and the rest of both programs need not ask
 * again.
 */

#include "wire/frame.h"

#include <string.h>

#define WELCOME_PAYLOAD 32u

/* What a type may carry. */
static const struct {
    enum nd_wire_type type;
    bool has_stream;
    size_t min, max; /* bytes of payload */
} types[] = {
    {ND_WIRE_HELLO, false, ND_WIRE_HELLO_PAYLOAD, ND_WIRE_HELLO_PAYLOAD},
    {ND_WIRE_ACK, true, 0, 0},
    {ND_WIRE_INPUT, false, 1, ND_WIRE_INPUT_WINDOW},
    {ND_WIRE_INPUT_END, false, 0, 0},
    {ND_WIRE_BYE, false, 0, 0},
    {ND_WIRE_EXITED, false, 0, 0},
    {ND_WIRE_WELCOME, false, WELCOME_PAYLOAD, WELCOME_PAYLOAD},
    {ND_WIRE_DATA, true, 1, ND_WIRE_DATA_MAX},
    {ND_WIRE_GAP, true, 0, 0},
    {ND_WIRE_END, true, 0, 0},
    {ND_WIRE_TAKEN, false, 0, 0},
    {ND_WIRE_INPUT_CLOSED, false, 0, 0},
    {ND_WIRE_REFUSED, false, 0, 0},
};

static char *
put_u32(char *dst, uint32_t v)
{
    for (size_t i = 0; i < 4; i++)
        *dst++ = (char)(v >> (8 * i) & 0xff);
    return dst;
}

static char *
put_u64(char *dst, uint64_t v)
{
    return put_u32(put_u32(dst, (uint32_t)v), (uint32_t)(v >> 32));
}

static uint32_t
get_u32(const char **src)
{
    uint32_t v = 0;

    for (size_t i = 0; i < 4; i++)
        v |= (uint32_t)(unsigned char)(*src)[i] << (8 * i);
    *src += 4;
    return v;
}

static uint64_t
get_u64(const char **src)
{
    uint64_t low = get_u32(src);

    return low | (uint64_t)get_u32(src) << 32;
}

void
nd_wire_put_header(char dst[ND_WIRE_HEADER], const struct nd_wire_header *header)
{
    memset(dst, 0, 2);
    dst[2] = (char)header->stream;
    dst[3] = (char)header->type;
    put_u64(put_u32(dst + 4, header->len), header->offset);
}

bool
nd_wire_get_header(struct nd_str frame, struct nd_wire_header *ret)
{
    const char *at = frame.ptr + 4;
    struct nd_wire_header h;

    if (frame.len < ND_WIRE_HEADER || frame.ptr[0] != 0 || frame.ptr[1] != 0 ||
        (unsigned char)frame.ptr[2] >= ND_WIRE_STREAMS)
        return false;
    h.stream = (enum nd_wire_stream)frame.ptr[2];
    h.type = (enum nd_wire_type)(unsigned char)frame.ptr[3];
    h.len = get_u32(&at);
    h.offset = get_u64(&at);
    if (h.len != frame.len - ND_WIRE_HEADER)
        return false;
    for (size_t i = 0; i < ND_LEN(types); i++) {
        if (types[i].type != h.type)
            continue;
        if (h.len < types[i].min || h.len > types[i].max || (h.stream != 0 && !types[i].has_stream))
            return false;
        *ret = h;
        return true;
    }
    return false;
}

size_t
nd_wire_put_hello(char *dst, const struct nd_wire_hello *hello)
{
    const struct nd_wire_header header = {.type = ND_WIRE_HELLO, .len = ND_WIRE_HELLO_PAYLOAD};
    char *p = dst + ND_WIRE_HEADER;

    nd_wire_put_header(dst, &header);
    p = put_u32(put_u32(p, hello->version), hello->flags);
    p = mempcpy(p, hello->session, ND_WIRE_SESSION);
    p = put_u32(put_u32(p, hello->hold_ms), hello->patience_ms);
    p = put_u64(p, hello->from[ND_WIRE_STDOUT]);
    p = put_u64(p, hello->from[ND_WIRE_STDERR]);
    return (size_t)(p - dst);
}

void
nd_wire_get_hello(struct nd_str frame, struct nd_wire_hello *ret)
{
    const char *at = frame.ptr + ND_WIRE_HEADER;

    ret->version = get_u32(&at);
    ret->flags = get_u32(&at);
    memcpy(ret->session, at, ND_WIRE_SESSION);
    at += ND_WIRE_SESSION;
    ret->hold_ms = get_u32(&at);
    ret->patience_ms = get_u32(&at);
    ret->from[ND_WIRE_STDOUT] = get_u64(&at);
    ret->from[ND_WIRE_STDERR] = get_u64(&at);
}

size_t
nd_wire_put_welcome(char *dst, const struct nd_wire_welcome *welcome)
{
    const struct nd_wire_header header = {.type = ND_WIRE_WELCOME, .len = WELCOME_PAYLOAD};
    char *p = dst + ND_WIRE_HEADER;

    nd_wire_put_header(dst, &header);
    p = put_u32(put_u32(p, welcome->version), welcome->flags);
    p = put_u64(p, welcome->taken);
    p = put_u64(p, welcome->from[ND_WIRE_STDOUT]);
    p = put_u64(p, welcome->from[ND_WIRE_STDERR]);
    return (size_t)(p - dst);
}

void
nd_wire_get_welcome(struct nd_str frame, struct nd_wire_welcome *ret)
{
    const char *at = frame.ptr + ND_WIRE_HEADER;

    ret->version = get_u32(&at);
    ret->flags = get_u32(&at);
    ret->taken = get_u64(&at);
    ret->from[ND_WIRE_STDOUT] = get_u64(&at);
    ret->from[ND_WIRE_STDERR] = get_u64(&at);
}
