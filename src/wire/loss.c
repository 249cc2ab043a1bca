/*
 * The note about what a log could not take.
 */

#include "wire/loss.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAGIC "ND-loss1"

static void
put_u64(char *dst, uint64_t v)
{
    for (size_t i = 0; i < 8; i++)
        dst[i] = (char)(v >> 8 * i & 0xff);
}

static uint64_t
get_u64(const char *src)
{
    uint64_t v = 0;

    for (size_t i = 0; i < 8; i++)
        v |= (uint64_t)(unsigned char)src[i] << 8 * i;
    return v;
}

void
nd_wire_put_loss(char dst[ND_WIRE_LOSS], const struct nd_wire_loss *loss)
{
    memcpy(dst, MAGIC, sizeof(MAGIC) - 1);
    put_u64(dst + 8, loss->entries);
    put_u64(dst + 16, loss->bytes);
    put_u64(dst + 24, (uint32_t)loss->why);
}

bool
nd_wire_get_loss(struct nd_str bytes, struct nd_wire_loss *ret)
{
    uint64_t why;

    if (bytes.len < ND_WIRE_LOSS || memcmp(bytes.ptr, MAGIC, sizeof(MAGIC) - 1) != 0)
        return false;
    why = get_u64(bytes.ptr + 24);
    if (why > INT32_MAX || get_u64(bytes.ptr + 8) == 0)
        return false;
    *ret = (struct nd_wire_loss){
        .entries = get_u64(bytes.ptr + 8), .bytes = get_u64(bytes.ptr + 16), .why = (int)why};
    return true;
}

size_t
nd_wire_loss_text(const struct nd_wire_loss *loss, char dst[ND_WIRE_LOSS_TEXT])
{
    const char *why = strerrordesc_np(loss->why);
    int len = snprintf(dst, ND_WIRE_LOSS_TEXT,
                       "[nerdctl-grpc: %" PRIu64 " entries (%" PRIu64
                       " bytes) of output were dropped: %s]\n",
                       loss->entries, loss->bytes, why != NULL ? why : "for an unknown reason");

    return (size_t)len;
}
