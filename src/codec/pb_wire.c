/* The long ways of pb_wire_priv.h: what few messages have, and what is wrong. */

#include "pb_wire_priv.h"

#define MAX_VARINT_BYTES 10

bool
nd_wire_long_varint(struct nd_wire_cursor *c, uint64_t *ret)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < MAX_VARINT_BYTES && c->at < c->end; i++) {
        uint8_t byte = *c->at++;

        if (i == MAX_VARINT_BYTES - 1 && byte > 1)
            return false;
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *ret = v;
            return true;
        }
    }
    return false;
}

const char *
nd_wire_wrong_type(enum nd_wire_type type)
{
    if (type == ND_WIRE_GROUP || type == ND_WIRE_GROUP_END)
        return "is a group, which is not supported";
    return "has an unknown wire type";
}
