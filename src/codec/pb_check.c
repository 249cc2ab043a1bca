/*
 * One pass over the wire bytes of a message before it is decoded.
 *
 * protobuf-c trusts its input more than a server can: it does not look at UTF-8, its strings end at
 * a NUL inside them, and it recurses as deep as the bytes say. Most of all, a few bytes on the wire
 * can become many in memory (an empty nested message: 2 bytes against some hundred), so the size
 * after decoding is added up here and held against a limit.
 *
 * The pass keeps no state per field. The index in "labels[2].key" is counted only when an error
 * has already been found, by going over the same message again up to that place.
 */

#include <stdio.h>

#include "codec/limits.h"
#include "codec/pb.h"

#define MAX_VARINT_BYTES 10
#define MAX_FIELD_NUMBER ((UINT64_C(1) << 29) - 1)
#define OBJECT_OVERHEAD  16 /* the arena's rounding, per object */
#define FREE_ITEMS       16 /* fields of a message that protobuf-c notes down on its stack ... */
#define ITEM_OVERHEAD    96 /* ... and bytes of the arena for each further one, as lists double */

enum wire_type {
    WIRE_VARINT = 0,
    WIRE_64BIT = 1,
    WIRE_BYTES = 2,
    WIRE_GROUP = 3,
    WIRE_GROUP_END = 4,
    WIRE_32BIT = 5,
};

struct check {
    size_t max_depth;
    size_t memory_left;
};

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

/* One field as it stands on the wire. */
struct item {
    uint32_t number;
    enum wire_type type;
    struct cursor value; /* of a length-prefixed field: its content */
};

static bool
take_varint(struct cursor *c, uint64_t *ret)
{
    uint64_t v = 0;

    for (int i = 0; i < MAX_VARINT_BYTES && c->at < c->end; i++) {
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

/* Move over `n` bytes that become the item's value. */
static const char *
take_bytes(struct cursor *c, uint64_t n, struct item *item)
{
    if (n > (size_t)(c->end - c->at))
        return "is cut off";
    item->value = (struct cursor){c->at, c->at + n};
    c->at += n;
    return NULL;
}

/* The value behind a tag. What is wrong with it, or NULL. */
static const char *
take_value(struct cursor *c, struct item *item)
{
    const uint8_t *start = c->at;
    uint64_t v;

    switch (item->type) {
    case WIRE_VARINT:
        if (!take_varint(c, &v))
            return "has a broken varint";
        item->value = (struct cursor){start, c->at};
        return NULL;
    case WIRE_64BIT:
        return take_bytes(c, 8, item);
    case WIRE_BYTES:
        if (!take_varint(c, &v) || c->at - start > 5)
            return "has a broken length";
        return take_bytes(c, v, item);
    case WIRE_32BIT:
        return take_bytes(c, 4, item);
    case WIRE_GROUP:
    case WIRE_GROUP_END:
        return "is a group, which is not supported";
    }
    return "has an unknown wire type";
}

/* What is wrong with the next tag, or NULL. */
static const char *
take_tag(struct cursor *c, struct item *item)
{
    const uint8_t *start = c->at;
    uint64_t tag;

    if (!take_varint(c, &tag) || c->at - start > 5)
        return "has a broken field tag";
    if (tag >> 3 == 0 || tag >> 3 > MAX_FIELD_NUMBER)
        return "has a field number out of range";
    item->number = (uint32_t)(tag >> 3);
    item->type = (enum wire_type)(tag & 7);
    return NULL;
}

/* How values of a type stand on the wire when they are not packed. */
static enum wire_type
wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_ENUM:
        return WIRE_VARINT;
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_32BIT;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_64BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_BYTES;
    }
    return WIRE_BYTES;
}

/* Which occurrence of its field in `message` the one that ends at `end` is, from 0. */
static size_t
count_before(struct cursor message, uint32_t number, const uint8_t *end)
{
    struct item item;
    size_t n = 0;

    while (message.at < end && take_tag(&message, &item) == NULL &&
           take_value(&message, &item) == NULL)
        n += item.number == number;
    return n > 0 ? n - 1 : 0;
}

/* Put the name of a field of `message` in front of the error's field path. */
static struct nd_error *
in_field(struct nd_error *err, const ProtobufCFieldDescriptor *field, struct cursor message,
         const struct item *item)
{
    char name[256];

    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        (void)snprintf(name, sizeof(name), "%s[%zu]", field->name,
                       count_before(message, item->number, item->value.end));
    else
        (void)snprintf(name, sizeof(name), "%s", field->name);
    return nd_error_in_field(err, name);
}

static struct nd_error *
use_memory(struct check *check, size_t n)
{
    if (n > check->memory_left)
        return nd_error_new(ND_EXHAUSTED, "the message takes more memory than a call may use");
    check->memory_left -= n;
    return NULL;
}

static struct nd_error *check_message(struct check *check, const ProtobufCMessageDescriptor *desc,
                                      struct cursor c, size_t depth);

/* A repeated number in its packed form. */
static struct nd_error *
check_packed(struct check *check, enum wire_type element, struct cursor c)
{
    size_t size = element == WIRE_32BIT ? 4 : 8;
    size_t n = 0;
    uint64_t v;

    if (element != WIRE_VARINT) {
        if ((size_t)(c.end - c.at) % size != 0)
            return nd_error_new(ND_INVALID, "is cut off");
        return use_memory(check, (size_t)(c.end - c.at));
    }
    for (; c.at < c.end; n++) {
        if (!take_varint(&c, &v))
            return nd_error_new(ND_INVALID, "has a broken varint");
    }
    return use_memory(check, n * size);
}

/* The value of a known field. */
static struct nd_error *
check_field(struct check *check, const ProtobufCFieldDescriptor *field, const struct item *item,
            size_t depth)
{
    size_t len = (size_t)(item->value.end - item->value.at);
    enum wire_type want = wire_type_of(field->type);
    bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;

    if (repeated && want != WIRE_BYTES && item->type == WIRE_BYTES)
        return check_packed(check, want, item->value);
    if (item->type != want)
        return nd_error_new(ND_INVALID, "has wire type %d, not %d", (int)item->type, (int)want);
    if (repeated)
        ND_TRY(use_memory(check, field->type == PROTOBUF_C_TYPE_BYTES ? 16 : 8));

    switch (want) {
    case WIRE_BYTES:
        if (field->type == PROTOBUF_C_TYPE_MESSAGE)
            return check_message(check, field->descriptor, item->value, depth + 1);
        ND_TRY(use_memory(check, len + 1 + OBJECT_OVERHEAD));
        if (field->type == PROTOBUF_C_TYPE_STRING && !nd_str_is_utf8(nd_str_n(item->value.at, len)))
            return nd_error_new(ND_INVALID, "is not UTF-8 text without NUL");
        return NULL;
    case WIRE_VARINT:
    case WIRE_64BIT:
    case WIRE_32BIT:
    case WIRE_GROUP:
    case WIRE_GROUP_END:
        return NULL;
    }
    return NULL;
}

/* The error for what take_tag() and take_value() found. */
static struct nd_error *
broken(const ProtobufCMessageDescriptor *desc, const char *what)
{
    return nd_error_new(ND_INVALID, "%s %s", desc->short_name, what);
}

static struct nd_error *
check_message(struct check *check, const ProtobufCMessageDescriptor *desc, struct cursor c,
              size_t depth)
{
    const struct cursor message = c;
    struct item item;
    size_t n_items = 0;

    if (depth > check->max_depth)
        return nd_error_new(ND_EXHAUSTED, "messages are nested deeper than %zu", check->max_depth);
    ND_TRY(use_memory(check, desc->sizeof_message + OBJECT_OVERHEAD));

    while (c.at < c.end) {
        const ProtobufCFieldDescriptor *field;
        const char *wrong = take_tag(&c, &item);
        struct nd_error *err;

        if (wrong != NULL)
            return broken(desc, wrong);
        if (++n_items > FREE_ITEMS)
            ND_TRY(use_memory(check, ITEM_OVERHEAD));
        item.value = (struct cursor){c.at, c.at};
        wrong = take_value(&c, &item);
        field = protobuf_c_message_descriptor_get_field(desc, item.number);
        if (wrong != NULL)
            err = field != NULL ? nd_error_new(ND_INVALID, "%s", wrong) : broken(desc, wrong);
        else if (field != NULL)
            err = check_field(check, field, &item, depth);
        else
            err = use_memory(check, sizeof(ProtobufCMessageUnknownField) + OBJECT_OVERHEAD +
                                        (size_t)(item.value.end - item.value.at));
        if (err != NULL)
            return field != NULL ? in_field(err, field, message, &item) : err;
    }
    return NULL;
}

struct nd_error *
nd_pb_check(const ProtobufCMessageDescriptor *desc, struct nd_str bytes,
            const struct nd_pb_limits *limits)
{
    const uint8_t *start = (const uint8_t *)(bytes.len > 0 ? bytes.ptr : "");
    struct check check = {ND_PB_MAX_DEPTH, ND_PB_MAX_DECODED};

    if (limits != NULL && limits->max_depth > 0)
        check.max_depth = limits->max_depth;
    if (limits != NULL && limits->max_decoded > 0)
        check.memory_left = limits->max_decoded;
    return check_message(&check, desc, (struct cursor){start, start + bytes.len}, 1);
}
