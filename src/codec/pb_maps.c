/*
 * One form for messages with maps.
 *
 * A map has no order, and some clients write it in another one each time. For protobuf-c it is a
 * list of entries, with nothing that says so but what protoc calls such a message:
 * "<parent>.<Field>Entry", of a key, 1, and a value, 2.
 */

#include <stdlib.h>

#include "codec/pb.h"

#include "pb_walk_priv.h"

static bool
is_text(const ProtobufCFieldDescriptor *field, unsigned id, const char *name)
{
    return field->id == id && field->type == PROTOBUF_C_TYPE_STRING &&
           strcmp(field->name, name) == 0;
}

static bool
is_map(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    size_t parent = strlen(message->descriptor->name);

    return field->label == PROTOBUF_C_LABEL_REPEATED && entry->n_fields == 2 &&
           is_text(&entry->fields[0], 1, "key") && is_text(&entry->fields[1], 2, "value") &&
           strncmp(entry->name, message->descriptor->name, parent) == 0 &&
           entry->name[parent] == '.' && nd_str_ends(nd_str(entry->name), ND_STR("Entry"));
}

static const char *
text_of(const ProtobufCMessage *entry, unsigned field)
{
    const char *text;

    memcpy(&text, (const char *)entry + entry->descriptor->fields[field].offset, sizeof(text));
    return text;
}

/* By the key; two of the same key by their values. */
static int
compare(const void *a, const void *b)
{
    const ProtobufCMessage *const *x = a, *const *y = b;
    int order = strcmp(text_of(*x, 0), text_of(*y, 0));

    return order != 0 ? order : strcmp(text_of(*x, 1), text_of(*y, 1));
}

static void
sort_maps(const ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        ProtobufCMessage *const *children;
        size_t n;

        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        n = nd_pb_nested(message, field, &children);
        if (n > 1 && is_map(message, field))
            qsort((void *)(uintptr_t)children, n, sizeof(*children), compare);
        for (size_t k = 0; k < n; k++)
            sort_maps(children[k]);
    }
}

void
nd_pb_sort_maps(void *message)
{
    sort_maps(message);
}
