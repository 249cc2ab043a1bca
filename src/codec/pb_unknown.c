/*
 * Looking for what this program does not know in a decoded message.
 *
 * protobuf-c keeps unknown fields with each message that had them. The search walks the message by
 * its descriptor, the way it was decoded: the depth is bounded by the check before decoding. The
 * path is built on the way down and cut back on the way up.
 */

#include <stdio.h>

#include "codec/pb.h"

#include "pb_walk_priv.h"

/* Append as much of a text as fits. */
static void
add_text(struct nd_buf *path, const char *text)
{
    struct nd_str s = nd_str(text);

    nd_buf_put(path, nd_str_sub(s, 0, path->max - path->len));
}

/* ".name" or ".name[2]" */
static void
add_step(struct nd_buf *path, const ProtobufCFieldDescriptor *field, size_t index)
{
    char text[32];

    if (path->len > 0)
        add_text(path, ".");
    add_text(path, field->name);
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return;
    (void)snprintf(text, sizeof(text), "[%zu]", index);
    add_text(path, text);
}

static void
cut_to(struct nd_buf *path, size_t len)
{
    if (path->len > len) {
        path->len = len;
        path->ptr[len] = '\0';
    }
}

/* Whether the field of a oneof is the one that is set. */
static bool
is_chosen(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    uint32_t chosen;

    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)
        return true;
    memcpy(&chosen, (const char *)message + field->quantifier_offset, sizeof(chosen));
    return chosen == field->id;
}

size_t
nd_pb_nested(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
             ProtobufCMessage *const **ret)
{
    const char *base = (const char *)message;
    ProtobufCMessage *const *at = (ProtobufCMessage *const *)(const void *)(base + field->offset);
    size_t n;

    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        *ret = at;
        return *at != NULL && is_chosen(message, field) ? 1 : 0;
    }
    memcpy(&n, base + field->quantifier_offset, sizeof(n));
    memcpy(ret, at, sizeof(*ret));
    return n;
}

static bool
find_unknown(const ProtobufCMessage *message, struct nd_buf *path)
{
    size_t here = path->len;
    char number[16];

    if (message->n_unknown_fields > 0) {
        (void)snprintf(number, sizeof(number), "%s%u", here > 0 ? "." : "",
                       message->unknown_fields[0].tag);
        add_text(path, number);
        return true;
    }
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        ProtobufCMessage *const *children;
        size_t n;

        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        n = nd_pb_nested(message, field, &children);
        for (size_t k = 0; k < n; k++) {
            add_step(path, field, k);
            if (find_unknown(children[k], path))
                return true;
            cut_to(path, here);
        }
    }
    return false;
}

bool
nd_pb_unknown_field(const void *message, struct nd_buf *path)
{
    return find_unknown(message, path);
}
