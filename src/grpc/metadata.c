/*
 * Metadata: a list of keys and values whose text lives in one arena. Lookups walk the list: calls
 * carry a dozen fields, not hundreds (the header list limit sees to that).
 *
 * Reserved names never pass in either direction, but for :authority and user-agent, which handlers
 * may see, and a few grpc- keys that are ordinary metadata by the specification.
 */

#include "grpc/metadata.h"

#include "base/alloc.h"
#include "grpc/limits.h"

#include "metadata_priv.h"
#include "wire_priv.h"

/* Names that belong to HTTP or to gRPC itself. */
static const struct nd_str reserved[] = {
    {"connection", 10}, {"content-length", 14},    {"content-type", 12},
    {"host", 4},        {"keep-alive", 10},        {"proxy-connection", 16},
    {"te", 2},          {"transfer-encoding", 17}, {"upgrade", 7},
};

static const struct nd_str ordinary_grpc[] = {
    {"grpc-previous-rpc-attempts", 26},
    {"grpc-retry-pushback-ms", 22},
    {"grpc-trace-bin", 14},
    {"grpc-tags-bin", 13},
};

static bool
is_in(struct nd_str key, const struct nd_str *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (key.len == list[i].len && nd_str_eq(key, list[i]))
            return true;
    }
    return false;
}

static bool
is_reserved(struct nd_str key)
{
    if (nd_str_starts(key, ND_STR("grpc-")))
        return !is_in(key, ordinary_grpc, ND_LEN(ordinary_grpc));
    return is_in(key, reserved, ND_LEN(reserved));
}

static bool
is_binary(struct nd_str key)
{
    return nd_str_ends(key, ND_STR("-bin"));
}

void
nd_metadata_init(struct nd_metadata *md, struct nd_arena *arena)
{
    *md = (struct nd_metadata){.arena = arena};
}

struct nd_metadata *
nd_metadata_new(void)
{
    struct nd_metadata *md = nd_new(struct nd_metadata);

    md->arena = nd_arena_new(0);
    md->owns_arena = true;
    return md;
}

void
nd_metadata_free(struct nd_metadata *md)
{
    if (md == NULL)
        return;
    ND_INVARIANT(md->owns_arena);
    nd_arena_free(md->arena);
    nd_free(md);
}

void
nd_metadata_freep(struct nd_metadata **md)
{
    nd_metadata_free(ND_TAKE(*md));
}

/* Both texts are in the arena already. */
static void
append(struct nd_metadata *md, struct nd_str key, struct nd_str value)
{
    if (md->n == md->cap) {
        size_t cap = md->cap != 0 ? md->cap * 2 : 8;
        struct nd_header *entries = nd_arena_new_array(md->arena, cap, struct nd_header);

        if (md->n != 0)
            memcpy(entries, md->entries, md->n * sizeof(*entries));
        md->entries = entries;
        md->cap = cap;
    }
    md->entries[md->n++] = (struct nd_header){key, value};
}

static struct nd_str
keep(struct nd_metadata *md, struct nd_str text)
{
    return nd_str_n(nd_arena_str(md->arena, text), text.len);
}

/* In lower case, in the arena; the empty text when it is not a key. */
static struct nd_str
make_key(struct nd_metadata *md, struct nd_str key)
{
    char *copy = nd_arena_str(md->arena, key);

    for (size_t i = 0; i < key.len; i++) {
        char c = copy[i];

        if (c >= 'A' && c <= 'Z')
            copy[i] = c = (char)(c - 'A' + 'a');
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'))
            return ND_STR_NONE;
    }
    return nd_str_n(copy, key.len);
}

static bool
is_ascii_value(struct nd_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < 0x20 || value.ptr[i] > 0x7e)
            return false;
    }
    return true;
}

struct nd_error *
nd_metadata_add(struct nd_metadata *md, struct nd_str key, struct nd_str value)
{
    struct nd_str own_key = make_key(md, key);

    if (own_key.len == 0)
        return nd_error_new(ND_INVALID, "\"%.*s\" is not a metadata key", ND_STR_ARG(key));
    if (is_reserved(own_key) || nd_str_eq(own_key, ND_STR("user-agent")))
        return nd_error_new(ND_INVALID, "metadata key %.*s is reserved", ND_STR_ARG(own_key));
    if (!is_binary(own_key) && !is_ascii_value(value))
        return nd_error_new(ND_INVALID, "the value of metadata key %.*s is not printable ASCII",
                            ND_STR_ARG(own_key));
    append(md, own_key, keep(md, value));
    return NULL;
}

bool
nd_metadata_find(const struct nd_metadata *md, struct nd_str key, struct nd_str *ret_value)
{
    for (size_t i = 0; i < nd_metadata_count(md); i++) {
        if (nd_str_eq(md->entries[i].name, key)) {
            *ret_value = md->entries[i].value;
            return true;
        }
    }
    return false;
}

size_t
nd_metadata_count(const struct nd_metadata *md)
{
    return md != NULL ? md->n : 0;
}

void
nd_metadata_at(const struct nd_metadata *md, size_t i, struct nd_str *ret_key,
               struct nd_str *ret_value)
{
    ND_INVARIANT(i < nd_metadata_count(md));
    *ret_key = md->entries[i].name;
    *ret_value = md->entries[i].value;
}

static bool
receive_binary(struct nd_metadata *md, struct nd_str key, struct nd_str list)
{
    bool more = true;

    key = keep(md, key);
    while (more) {
        size_t comma = nd_str_find(list, ',');
        struct nd_str piece = nd_str_trim(nd_str_sub(list, 0, ND_MIN(comma, list.len)));
        struct nd_str bytes;

        if (md->n >= ND_GRPC_MAX_LISTED_VALUES || !nd_base64_decode(md->arena, piece, &bytes))
            return false;
        append(md, key, bytes);
        more = comma != SIZE_MAX;
        list = nd_str_from(list, more ? comma + 1 : list.len);
    }
    return true;
}

bool
nd_metadata_receive(struct nd_metadata *md, struct nd_str key, struct nd_str value)
{
    if (nd_str_starts(key, ND_STR(":")) ? !nd_str_eq(key, ND_STR(":authority")) : is_reserved(key))
        return true;
    if (is_binary(key))
        return receive_binary(md, key, value);
    append(md, keep(md, key), keep(md, value));
    return true;
}

size_t
nd_metadata_field_size(struct nd_str key, struct nd_str value)
{
    struct nd_header field = {key, value};

    if (is_binary(key))
        field.value.len = (value.len + 2) / 3 * 4;
    return nd_header_list_size(&field, 1);
}

size_t
nd_metadata_size(const struct nd_metadata *md)
{
    size_t size = 0;

    for (size_t i = 0; i < nd_metadata_count(md); i++)
        size += nd_metadata_field_size(md->entries[i].name, md->entries[i].value);
    return size;
}

size_t
nd_metadata_to_headers(const struct nd_metadata *md, struct nd_arena *arena, struct nd_header *dst)
{
    for (size_t i = 0; i < nd_metadata_count(md); i++) {
        dst[i] = md->entries[i];
        dst[i].value = is_binary(dst[i].name) ? nd_base64_encode(arena, dst[i].value)
                                              : nd_str_trim(dst[i].value);
    }
    return nd_metadata_count(md);
}
