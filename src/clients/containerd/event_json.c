/*
 * Payloads as JSON, the way containerd's own command prints them: Go's encoder over the generated
 * structs, whose field names are those of the .proto. So no event needs code of its own, the
 * message descriptors tell everything:
 *
 *     zero and empty fields    are left out
 *     map<string, string>      an object with sorted keys
 *     Timestamp                RFC 3339, as many digits as are needed
 *     bytes                    base64
 */

#include "base/clock.h"
#include "codec/json.h"
#include "google/protobuf/timestamp.pb-c.h"

#include "event_priv.h"

static struct nd_json *
timestamp_json(const Google__Protobuf__Timestamp *at)
{
    char text[ND_RFC3339_SIZE];
    size_t len;

    /* Go's zero time is in the year 1: it means that there is none. */
    if (at->seconds <= 0 || at->nanos < 0 || at->nanos > 999999999)
        return NULL;
    len = nd_wall_format((struct nd_wall){.sec = at->seconds, .nsec = at->nanos}, text);
    return nd_json_new_str(nd_str_n(text, len));
}

static struct nd_json *
bytes_json(const ProtobufCBinaryData *bytes)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    struct nd_buf buf = ND_BUF_INIT(bytes->len / 3 * 4 + 4);
    struct nd_json *text;

    if (bytes->len == 0)
        return NULL;
    for (size_t i = 0; i < bytes->len; i += 3) {
        size_t n = ND_MIN(bytes->len - i, (size_t)3);
        uint32_t word = (uint32_t)bytes->data[i] << 16;

        if (n > 1)
            word |= (uint32_t)bytes->data[i + 1] << 8;
        if (n > 2)
            word |= bytes->data[i + 2];
        nd_buf_putc(&buf, digits[word >> 18]);
        nd_buf_putc(&buf, digits[word >> 12 & 63]);
        nd_buf_putc(&buf, digits[n > 1 ? word >> 6 & 63 : 64]);
        nd_buf_putc(&buf, digits[n > 2 ? word & 63 : 64]);
    }
    text = nd_json_new_str(nd_buf_str(&buf));
    nd_buf_fini(&buf);
    return text;
}

static struct nd_json *
message_json_or_null(const ProtobufCMessage *message)
{
    if (message == NULL)
        return NULL;
    if (message->descriptor == &google__protobuf__timestamp__descriptor)
        return timestamp_json((const Google__Protobuf__Timestamp *)message);
    return nd_ctrd_message_json(message);
}

/*
 * One value that stands at `at`; NULL for a zero one. Types that no payload has print as nothing.
 */
static struct nd_json *
value_json(const ProtobufCFieldDescriptor *f, const void *at)
{
    const char *text;

    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        text = *(const char *const *)at;
        return text[0] != '\0' ? nd_json_new_str(nd_str(text)) : NULL;
    case PROTOBUF_C_TYPE_MESSAGE:
        return message_json_or_null(*(const ProtobufCMessage *const *)at);
    case PROTOBUF_C_TYPE_BYTES:
        return bytes_json(at);
    case PROTOBUF_C_TYPE_BOOL:
        return *(const protobuf_c_boolean *)at ? nd_json_new_bool(true) : NULL;
    case PROTOBUF_C_TYPE_UINT32:
        return *(const uint32_t *)at != 0 ? nd_json_new_u64(*(const uint32_t *)at) : NULL;
    case PROTOBUF_C_TYPE_INT64:
        return *(const int64_t *)at != 0 ? nd_json_new_i64(*(const int64_t *)at) : NULL;
    default:
        return NULL;
    }
}

/* Of a map<string, string>. */
static bool
is_map_entry(const ProtobufCFieldDescriptor *f)
{
    const ProtobufCMessageDescriptor *entry = f->descriptor;

    return f->type == PROTOBUF_C_TYPE_MESSAGE && entry->n_fields == 2 &&
           strcmp(entry->fields[0].name, "key") == 0 && strcmp(entry->fields[1].name, "value") == 0;
}

static struct nd_json *
map_json(const ProtobufCMessage *const *entries, size_t n)
{
    struct nd_json *object = nd_json_new_object();

    for (size_t i = 0; i < n; i++)
        nd_json_set(object, nd_str(nd_ctrd_text_field(entries[i], "key")),
                    nd_json_new_str(nd_str(nd_ctrd_text_field(entries[i], "value"))));
    nd_json_sort(object);
    return object;
}

/* Texts and messages, both of which are arrays of pointers. */
static struct nd_json *
repeated_json(const ProtobufCFieldDescriptor *f, const void *const *values, size_t n)
{
    struct nd_json *array;

    if (n == 0)
        return NULL;
    if (is_map_entry(f))
        return map_json((const ProtobufCMessage *const *)values, n);
    if (f->type != PROTOBUF_C_TYPE_STRING && f->type != PROTOBUF_C_TYPE_MESSAGE)
        return NULL;
    array = nd_json_new_array();
    for (size_t i = 0; i < n; i++) {
        if (f->type == PROTOBUF_C_TYPE_STRING)
            nd_json_push_str(array, nd_str(values[i]));
        else
            nd_json_push(array, nd_ctrd_message_json(values[i]));
    }
    return array;
}

struct nd_json *
nd_ctrd_message_json(const ProtobufCMessage *message)
{
    struct nd_json *object = nd_json_new_object();

    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &message->descriptor->fields[i];
        const char *base = (const char *)message;
        struct nd_json *value;

        if (f->label == PROTOBUF_C_LABEL_REPEATED)
            value = repeated_json(f, *(const void *const *const *)(base + f->offset),
                                  *(const size_t *)(base + f->quantifier_offset));
        else
            value = value_json(f, base + f->offset);
        if (value != NULL)
            nd_json_set_value(object, f->name, value);
    }
    return object;
}

struct nd_error *
nd_ctrd_event_json(const Ct__Envelope *event, struct nd_buf *buf)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_json_freep) struct nd_json *value = NULL;
    ProtobufCMessage *payload;

    if (nd_ctrd_event_decode(event, arena, &payload) != NULL) {
        value = nd_ctrd_message_json(payload);
    } else {
        value = nd_json_new_object();
        if (event->event != NULL)
            nd_json_set_text(value, "type_url", event->event->type_url);
    }
    return nd_json_write(value, ND_JSON_GO, buf);
}
