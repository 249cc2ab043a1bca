/*
 * Wire bytes to protobuf-c's structs, checked on the way.
 *
 * protobuf-c's own decoder trusts its input more than a server can: it does not look at UTF-8, its
 * strings end at a NUL inside them, it recurses as deep as the bytes say, and it takes whatever
 * memory a few bytes ask for (an empty nested message: 2 bytes against some hundred). It is also
 * slow, as it notes every field down before it takes any. Here the bytes are gone over once: each
 * field is checked and stored as it comes.
 *
 * All memory is the arena's and is counted against a limit. Arrays of repeated fields have room for
 * the next power of two, so their count tells whether there is room for one more, and a nested
 * message that occurs again is merged into the first by going on where that ended, as the format
 * wants it.
 *
 * A few bytes on the wire can be much work, so who decodes what came from outside lets others run
 * in between.
 *
 * When the bytes are the arena's as well, texts are not copied but stay where they came:
 *
 *     tag len c o n t a i n e r tag ...      the next tag, once it has been read, becomes the NUL:
 *             '------ text ----' 0           behind a text there is nothing but a tag or the end
 *
 * Generated code describes messages by offsets; those of a field are `offset`, and
 * `quantifier_offset` for what goes with it: a count, a has-flag, or which one of a oneof is set.
 */

#include <stdio.h>

#include "codec/limits.h"
#include "codec/pb.h"

#include "pb_wire_priv.h"

#define OBJECT_OVERHEAD 16 /* the arena's rounding, per object */

struct decoder {
    struct nd_arena *arena;
    size_t max_depth;
    size_t memory_left;
    size_t depth; /* of the message at hand */
    size_t unknown_left;
    bool in_place;
    uint8_t
        *text_end; /* in place: where the last text wants its NUL, when the tag there was read */
    size_t until_pause;
    nd_pb_pause *pause; /* NULL: none */
    bool stopped;       /* by an error of it */
};

/* Where a message's bytes are, and what becomes of them. */
struct target {
    const ProtobufCMessageDescriptor *desc;
    ProtobufCMessage *message;
    struct nd_wire_cursor bytes;
};

static void *
at_offset(const struct target *t, unsigned offset)
{
    return (char *)t->message + offset;
}

static size_t *
count_of(const struct target *t, const ProtobufCFieldDescriptor *field)
{
    return at_offset(t, field->quantifier_offset);
}

static bool
is_repeated(const ProtobufCFieldDescriptor *field)
{
    return field->label == PROTOBUF_C_LABEL_REPEATED;
}

/* What a type is in memory, and how it stands on the wire when it is not packed. */
static const struct type_info {
    size_t size;
    enum nd_wire_type wire;
} types[] = {
    [PROTOBUF_C_TYPE_INT32] = {sizeof(int32_t), ND_WIRE_VARINT},
    [PROTOBUF_C_TYPE_SINT32] = {sizeof(int32_t), ND_WIRE_VARINT},
    [PROTOBUF_C_TYPE_SFIXED32] = {sizeof(int32_t), ND_WIRE_32BIT},
    [PROTOBUF_C_TYPE_INT64] = {sizeof(int64_t), ND_WIRE_VARINT},
    [PROTOBUF_C_TYPE_SINT64] = {sizeof(int64_t), ND_WIRE_VARINT},
    [PROTOBUF_C_TYPE_SFIXED64] = {sizeof(int64_t), ND_WIRE_64BIT},
    [PROTOBUF_C_TYPE_UINT32] = {sizeof(uint32_t), ND_WIRE_VARINT},
    [PROTOBUF_C_TYPE_FIXED32] = {sizeof(uint32_t), ND_WIRE_32BIT},
    [PROTOBUF_C_TYPE_UINT64] = {sizeof(uint64_t), ND_WIRE_VARINT},
    [PROTOBUF_C_TYPE_FIXED64] = {sizeof(uint64_t), ND_WIRE_64BIT},
    [PROTOBUF_C_TYPE_FLOAT] = {sizeof(float), ND_WIRE_32BIT},
    [PROTOBUF_C_TYPE_DOUBLE] = {sizeof(double), ND_WIRE_64BIT},
    [PROTOBUF_C_TYPE_BOOL] = {sizeof(protobuf_c_boolean), ND_WIRE_VARINT},
    [PROTOBUF_C_TYPE_ENUM] = {sizeof(uint32_t), ND_WIRE_VARINT},
    [PROTOBUF_C_TYPE_STRING] = {sizeof(char *), ND_WIRE_BYTES},
    [PROTOBUF_C_TYPE_BYTES] = {sizeof(ProtobufCBinaryData), ND_WIRE_BYTES},
    [PROTOBUF_C_TYPE_MESSAGE] = {sizeof(ProtobufCMessage *), ND_WIRE_BYTES},
};

/* --- memory --- */

/* Count what is about to be taken, with what the arena adds to it. */
static struct nd_error *
charge(struct decoder *d, size_t n)
{
    if (n > d->memory_left || d->memory_left - n < OBJECT_OVERHEAD)
        return nd_error_new(ND_EXHAUSTED, "the message takes more memory than a call may use");
    d->memory_left -= n + OBJECT_OVERHEAD;
    return NULL;
}

static struct nd_error *
arena_is_full(void)
{
    return nd_error_new(ND_EXHAUSTED, "the message does not fit into the memory of a call");
}

/* Not zeroed. */
static struct nd_error *
take(struct decoder *d, size_t n, void *ret)
{
    void **ptr = ret;

    ND_TRY(charge(d, n));
    *ptr = nd_arena_try(d->arena, n);
    return *ptr != NULL ? NULL : arena_is_full();
}

/* Bytes with a NUL behind them. */
static struct nd_error *
take_bytes(struct decoder *d, struct nd_wire_cursor bytes, uint8_t **ret)
{
    size_t n = (size_t)(bytes.end - bytes.at);
    uint8_t *copy;

    if (d->in_place) {
        *ret = (uint8_t *)bytes.at;
        d->text_end = *ret + n;
        return NULL;
    }

    ND_TRY(charge(d, n + 1));
    copy = nd_arena_try_bytes(d->arena, n + 1);
    if (copy == NULL)
        return arena_is_full();
    memcpy(copy, bytes.at, n);
    copy[n] = '\0';
    *ret = copy;
    return NULL;
}

/* --- errors --- */

/* Put the field's name in front of the error's path. Takes and returns `err`. Kept out of the way of the
 * fast path, for its buffer. */
static __attribute__((__noinline__, __cold__)) struct nd_error *
in_field(struct nd_error *err, const struct target *t, const ProtobufCFieldDescriptor *field)
{
    char name[256];

    if (is_repeated(field))
        (void)snprintf(name, sizeof(name), "%s[%zu]", field->name, *count_of(t, field));
    else
        (void)snprintf(name, sizeof(name), "%s", field->name);
    return nd_error_in_field(err, name);
}

/* --- arrays --- */

#define FIRST_ROOM 4u

static size_t
room_of(size_t n)
{
    size_t room = FIRST_ROOM;

    if (n == 0)
        return 0;
    while (room < n)
        room *= 2;
    return room;
}

/* Room for `more` elements behind the `n` that are there. */
static struct nd_error *
make_room(struct decoder *d, size_t size, size_t n, size_t more, void *array)
{
    const size_t room = room_of(n);
    void **slot = array;
    void *larger;

    if (n + more <= room)
        return NULL;
    ND_TRY(take(d, size * room_of(n + more), &larger));
    if (n != 0)
        memcpy(larger, *slot, size * n);
    *slot = larger;
    return NULL;
}

/* --- values --- */

static struct nd_error *decode_message(struct decoder *d, const struct target *t);

static uint64_t
unzigzag(uint64_t v)
{
    return (v >> 1) ^ (0 - (v & 1));
}

/* A number, from its varint or its bytes (little endian, as every host that we run on). */
static void
store_number(ProtobufCType type, const struct nd_wire_item *item, void *slot)
{
    uint64_t v = item->varint;

    if (types[type].wire != ND_WIRE_VARINT) {
        memcpy(slot, item->value.at, types[type].size);
        return;
    }
    if (type == PROTOBUF_C_TYPE_BOOL)
        v = v != 0;
    else if (type == PROTOBUF_C_TYPE_SINT32)
        v = unzigzag(v & UINT32_MAX);
    else if (type == PROTOBUF_C_TYPE_SINT64)
        v = unzigzag(v);
    memcpy(slot, &v, types[type].size);
}

/* `merge`: a message may be there already. */
static struct nd_error *
store_message(struct decoder *d, const ProtobufCMessageDescriptor *desc,
              const struct nd_wire_item *item, bool merge, ProtobufCMessage **slot)
{
    struct target t = {desc, merge ? *slot : NULL, item->value};

    if (t.message == NULL) {
        ND_TRY(take(d, desc->sizeof_message, &t.message));
        desc->message_init(t.message);
        *slot = t.message;
    }
    return decode_message(d, &t);
}

static struct nd_error *
store(struct decoder *d, const ProtobufCFieldDescriptor *field, const struct nd_wire_item *item,
      bool merge, void *slot)
{
    const size_t len = (size_t)(item->value.end - item->value.at);
    ProtobufCBinaryData *bytes = slot;

    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return store_message(d, field->descriptor, item, merge, slot);
    case PROTOBUF_C_TYPE_STRING:
        if (!nd_str_is_utf8(nd_str_n(item->value.at, len)))
            return nd_error_new(ND_INVALID, "is not UTF-8 text without NUL");
        return take_bytes(d, item->value, slot);
    case PROTOBUF_C_TYPE_BYTES:
        bytes->len = len;
        return take_bytes(d, item->value, &bytes->data);
    default:
        store_number(field->type, item, slot);
        return NULL;
    }
}

/* How many numbers the packed form holds. */
static struct nd_error *
count_packed(const struct type_info *type, struct nd_wire_cursor c, size_t *ret)
{
    uint64_t v;

    *ret = 0;
    if (type->wire != ND_WIRE_VARINT) {
        *ret = (size_t)(c.end - c.at) / type->size;
        return (size_t)(c.end - c.at) % type->size == 0 ? NULL
                                                        : nd_error_new(ND_INVALID, "is cut off");
    }
    for (; c.at < c.end; ++*ret) {
        if (!nd_wire_varint(&c, &v))
            return nd_error_new(ND_INVALID, "has a broken varint");
    }
    return NULL;
}

static struct nd_error *
store_packed(struct decoder *d, const struct target *t, const ProtobufCFieldDescriptor *field,
             struct nd_wire_cursor c)
{
    const struct type_info *type = &types[field->type];
    char **array = at_offset(t, field->offset);
    size_t *n = count_of(t, field);
    size_t more;

    ND_TRY(count_packed(type, c, &more));
    ND_TRY(make_room(d, type->size, *n, more, array));
    while (c.at < c.end) {
        struct nd_wire_item element = {.value = c};

        if (type->wire == ND_WIRE_VARINT)
            (void)nd_wire_varint(&c, &element.varint); /* as count_packed() did */
        else
            c.at += type->size;
        store_number(field->type, &element, *array + (*n)++ * type->size);
    }
    return NULL;
}

/* --- fields --- */

/* Senders write fields in the order of their numbers: look near the last one first. */
static const ProtobufCFieldDescriptor *
find_field(const ProtobufCMessageDescriptor *desc, uint32_t number,
           const ProtobufCFieldDescriptor *last)
{
    if (last != NULL && last->id == number)
        return last;
    if (last != NULL && last + 1 < desc->fields + desc->n_fields && last[1].id == number)
        return last + 1;
    return protobuf_c_message_descriptor_get_field(desc, number);
}

/*
 * Say that a field which occurs once is there. Whether it was before: only then may it be merged.
 */
static bool
mark_set(const struct target *t, const ProtobufCFieldDescriptor *field)
{
    uint32_t *chosen;

    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        chosen = at_offset(t, field->quantifier_offset);
        if (*chosen == field->id)
            return true;
        *chosen = field->id;
        memset(at_offset(t, field->offset), 0, types[field->type].size);
        return false;
    }
    if (field->quantifier_offset != 0)
        *(protobuf_c_boolean *)at_offset(t, field->quantifier_offset) = 1;
    return true;
}

static struct nd_error *
take_field(struct decoder *d, const struct target *t, const ProtobufCFieldDescriptor *field,
           const struct nd_wire_item *item)
{
    const struct type_info *type = &types[field->type];
    char **array;
    size_t *n;

    if (is_repeated(field) && item->type == ND_WIRE_BYTES && type->wire != ND_WIRE_BYTES)
        return store_packed(d, t, field, item->value);
    if (item->type != type->wire)
        return nd_error_new(ND_INVALID, "has wire type %d, not %d", (int)item->type,
                            (int)type->wire);
    if (!is_repeated(field))
        return store(d, field, item, mark_set(t, field), at_offset(t, field->offset));
    array = at_offset(t, field->offset);
    n = count_of(t, field);
    ND_TRY(make_room(d, type->size, *n, 1, array));
    ND_TRY(store(d, field, item, false, *array + *n * type->size));
    ++*n;
    return NULL;
}

/* Kept as protobuf-c keeps it: the bytes behind the tag. */
static struct nd_error *
take_unknown(struct decoder *d, const struct target *t, const struct nd_wire_item *item)
{
    ProtobufCMessage *m = t->message;
    ProtobufCMessageUnknownField *unknown;

    if (d->unknown_left-- == 0)
        return nd_error_new(ND_EXHAUSTED, "more than %zu unknown fields", ND_PB_MAX_UNKNOWN);
    ND_TRY(make_room(d, sizeof(*unknown), m->n_unknown_fields, 1, &m->unknown_fields));
    unknown = &m->unknown_fields[m->n_unknown_fields];
    unknown->tag = item->number;
    unknown->wire_type = (ProtobufCWireType)item->type;
    unknown->len = (size_t)(item->value.end - item->after_tag);
    ND_TRY(
        take_bytes(d, (struct nd_wire_cursor){item->after_tag, item->value.end}, &unknown->data));
    m->n_unknown_fields++;
    return NULL;
}

static struct nd_error *
rest(struct decoder *d)
{
    struct nd_error *err = d->pause != NULL ? d->pause() : NULL;

    d->until_pause = ND_PB_PAUSE_ITEMS;
    d->stopped = err != NULL;
    return err;
}

static struct nd_error *
decode_message(struct decoder *d, const struct target *t)
{
    const ProtobufCFieldDescriptor *field = NULL;
    struct nd_wire_cursor c = t->bytes;
    struct nd_wire_item item;

    if (d->depth == d->max_depth)
        return nd_error_new(ND_EXHAUSTED, "messages are nested deeper than %zu", d->max_depth);
    d->depth++;
    while (c.at < c.end) {
        const char *wrong;
        struct nd_error *err;

        if (d->until_pause-- == 0)
            ND_TRY(rest(d));
        wrong = nd_wire_tag(&c, &item);
        if (wrong != NULL)
            return nd_error_new(ND_INVALID, "%s %s", t->desc->short_name, wrong);
        *d->text_end = '\0';
        field = find_field(t->desc, item.number, field);
        wrong = nd_wire_value(&c, &item);
        if (wrong != NULL && field == NULL)
            return nd_error_new(ND_INVALID, "%s %s", t->desc->short_name, wrong);
        if (wrong != NULL)
            err = nd_error_new(ND_INVALID, "%s", wrong);
        else
            err = field != NULL ? take_field(d, t, field, &item) : take_unknown(d, t, &item);
        if (err != NULL)
            return field != NULL && !d->stopped ? in_field(err, t, field) : err;
    }
    d->depth--;
    return NULL;
}

/*
 * Objects are larger than their bytes, but not without measure: a nested message may be two bytes.
 */
static size_t
memory_for(size_t len)
{
    if (len > (ND_PB_MAX_DECODED - ND_PB_GROWTH_FREE) / ND_PB_MAX_GROWTH)
        return ND_PB_MAX_DECODED;
    return ND_PB_GROWTH_FREE + len * ND_PB_MAX_GROWTH;
}

/* Decoding of `len` bytes within the default limits. */
static struct decoder
make_decoder(struct nd_arena *arena, size_t len)
{
    return (struct decoder){
        .arena = arena,
        .max_depth = ND_PB_MAX_DEPTH,
        .memory_left = memory_for(len),
        .unknown_left = ND_PB_MAX_UNKNOWN,
        .until_pause = ND_PB_PAUSE_ITEMS,
    };
}

static struct nd_error *
decode(struct decoder *d, const ProtobufCMessageDescriptor *desc, const uint8_t *bytes, size_t len,
       ProtobufCMessage **ret)
{
    const struct nd_wire_item whole = {.value = {bytes, bytes + len}};
    ProtobufCMessage *message;
    uint8_t nowhere;

    d->text_end = &nowhere;
    ND_TRY(store_message(d, desc, &whole, false, &message));
    *d->text_end = '\0';
    *ret = message;
    return NULL;
}

struct nd_error *
nd_pb_decode_within(const ProtobufCMessageDescriptor *desc, struct nd_str bytes,
                    const struct nd_pb_limits *limits, struct nd_arena *arena,
                    ProtobufCMessage **ret)
{
    struct decoder d = make_decoder(arena, bytes.len);

    if (limits != NULL && limits->max_depth > 0)
        d.max_depth = limits->max_depth;
    if (limits != NULL && limits->max_decoded > 0)
        d.memory_left = limits->max_decoded;
    return decode(&d, desc, (const uint8_t *)(bytes.len > 0 ? bytes.ptr : ""), bytes.len, ret);
}

struct nd_error *
nd_pb_decode(const ProtobufCMessageDescriptor *desc, struct nd_str bytes, struct nd_arena *arena,
             ProtobufCMessage **ret)
{
    return nd_pb_decode_within(desc, bytes, NULL, arena, ret);
}

struct nd_error *
nd_pb_decode_in_place(const ProtobufCMessageDescriptor *desc, struct nd_buf *buf, size_t at,
                      nd_pb_pause *pause, struct nd_arena *arena, ProtobufCMessage **ret)
{
    size_t len = buf->len - at;
    struct decoder d = make_decoder(arena, len);

    ND_INVARIANT(at <= buf->len);
    if (buf->ptr == NULL)
        return nd_pb_decode(desc, ND_STR_NONE, arena, ret);
    if (!nd_arena_adopt(arena, buf->ptr, buf->cap))
        return arena_is_full();
    d.in_place = true;
    d.pause = pause;
    return decode(&d, desc, (uint8_t *)nd_buf_take(buf) + at, len, ret);
}
