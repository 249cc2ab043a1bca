#ifndef CODEC_PB_WIRE_PRIV_H
#define CODEC_PB_WIRE_PRIV_H

/*
 * The fields of a message as they stand on the wire, one after the other (protobuf.dev,
 * "Encoding"). Inline, because a large message has ten thousands of them; nearly every tag and
 * length is one byte. Groups are not supported: proto3 has none.
 */

#include "codec/pb.h"

enum nd_wire_type {
    ND_WIRE_VARINT = 0,
    ND_WIRE_64BIT = 1,
    ND_WIRE_BYTES = 2,
    ND_WIRE_GROUP = 3,
    ND_WIRE_GROUP_END = 4,
    ND_WIRE_32BIT = 5,
};

struct nd_wire_cursor {
    const uint8_t *at;
    const uint8_t *end;
};

struct nd_wire_item {
    uint32_t number; /* of the field */
    enum nd_wire_type type;
    uint64_t varint;
    struct nd_wire_cursor value; /* its bytes; of a length-prefixed one: its content */
    const uint8_t *after_tag;    /* where the value begins, with its length in front */
};

#define ND_WIRE_SHORT_BYTES 5 /* at most, of a varint with 32 bits: tags and lengths */
#define ND_WIRE_MAX_FIELD   ((UINT64_C(1) << 29) - 1)

bool nd_wire_long_varint(struct nd_wire_cursor *c, uint64_t *ret);
const char *nd_wire_wrong_type(enum nd_wire_type type);

/* Fails when it is cut off or has more than 64 bits. */
static inline bool
nd_wire_varint(struct nd_wire_cursor *c, uint64_t *ret)
{
    if (c->at < c->end && *c->at < 0x80) {
        *ret = *c->at++;
        return true;
    }
    return nd_wire_long_varint(c, ret);
}

/* One that must fit into 32 bits. */
static inline bool
nd_wire_short_varint(struct nd_wire_cursor *c, uint64_t *ret)
{
    const uint8_t *start = c->at;

    return nd_wire_varint(c, ret) && c->at - start <= ND_WIRE_SHORT_BYTES;
}

/* Move over `n` bytes that become the item's value. */
static inline const char *
nd_wire_bytes(struct nd_wire_cursor *c, uint64_t n, struct nd_wire_item *item)
{
    if (n > (size_t)(c->end - c->at))
        return "is cut off";
    item->value = (struct nd_wire_cursor){c->at, c->at + n};
    c->at += n;
    return NULL;
}

/* Move over the next tag. Static text that says what is wrong, or NULL. */
static inline const char *
nd_wire_tag(struct nd_wire_cursor *c, struct nd_wire_item *ret)
{
    uint64_t tag;

    if (!nd_wire_short_varint(c, &tag))
        return "has a broken field tag";
    if (tag >> 3 == 0 || tag >> 3 > ND_WIRE_MAX_FIELD)
        return "has a field number out of range";
    ret->number = (uint32_t)(tag >> 3);
    ret->type = (enum nd_wire_type)(tag & 7);
    ret->after_tag = c->at;
    ret->value = (struct nd_wire_cursor){c->at, c->at};
    return NULL;
}

/* Move over the value behind it. The same. */
static inline const char *
nd_wire_value(struct nd_wire_cursor *c, struct nd_wire_item *item)
{
    uint64_t length;

    switch (item->type) {
    case ND_WIRE_BYTES:
        if (!nd_wire_short_varint(c, &length))
            return "has a broken length";
        return nd_wire_bytes(c, length, item);
    case ND_WIRE_VARINT:
        if (!nd_wire_varint(c, &item->varint))
            return "has a broken varint";
        item->value = (struct nd_wire_cursor){item->after_tag, c->at};
        return NULL;
    case ND_WIRE_64BIT:
        return nd_wire_bytes(c, 8, item);
    case ND_WIRE_32BIT:
        return nd_wire_bytes(c, 4, item);
    case ND_WIRE_GROUP:
    case ND_WIRE_GROUP_END:
        break;
    }
    return nd_wire_wrong_type(item->type);
}

#endif
