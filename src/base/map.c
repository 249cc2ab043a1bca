/*
 * Open addressing with linear probing.
 *
 *     slots:  [ - ][ a ][ b ][ x ][ c ][ - ]      -  never used: a search ends here
 *                                                 x  removed:    a search goes on
 *
 * Keys come from clients, so the hash has a random key per map (SipHash with one round per word
 * and three at the end): nobody outside can make entries collide. A removed entry leaves a mark
 * instead of moving its neighbours, which is what lets a walk remove what it just returned; marks
 * go when the table is rebuilt, at three quarters full, marks counted. A rebuild chooses its size
 * from the entries that live, so it shrinks as well.
 */

#include "base/map.h"

#include "base/alloc.h"
#include "base/random.h"

#define FIRST_SLOTS ((size_t)16)

struct slot {
    void *value;  /* NULL: never used, REMOVED: a mark */
    char *key;    /* NULL: integer key */
    uint64_t num; /* the integer key, or the length of the string key */
    uint64_t hash;
};

struct nd_map {
    struct slot *slots;
    size_t n_slots; /* a power of two, or 0 */
    size_t n_used;  /* entries and marks */
    size_t n_entries;
    uint64_t seed[2];
};

static const char removed_mark;
#define REMOVED ((void *)&removed_mark)

/* A key while it is looked for. */
struct key {
    const char *ptr; /* NULL: integer key */
    uint64_t num;
    uint64_t hash;
};

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t
rotate(uint64_t v, int bits)
{
    return (v << bits) | (v >> (64 - bits));
}

static void
sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
}

static void
sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

static uint64_t
hash_bytes(const struct nd_map *map, struct nd_str bytes)
{
    struct sip s = {
        map->seed[0] ^ UINT64_C(0x736f6d6570736575),
        map->seed[1] ^ UINT64_C(0x646f72616e646f6d),
        map->seed[0] ^ UINT64_C(0x6c7967656e657261),
        map->seed[1] ^ UINT64_C(0x7465646279746573),
    };
    uint64_t word;
    size_t i;

    for (i = 0; bytes.len - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, bytes.ptr + i, sizeof(word));
        sip_word(&s, word);
    }
    word = (uint64_t)bytes.len << 56;
    for (size_t shift = 0; i < bytes.len; i++, shift += 8)
        word |= (uint64_t)(unsigned char)bytes.ptr[i] << shift;
    sip_word(&s, word);

    s.v2 ^= 0xff;
    for (int round = 0; round < 3; round++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

static struct key
string_key(const struct nd_map *map, struct nd_str text)
{
    if (text.ptr == NULL)
        text = ND_STR("");
    return (struct key){text.ptr, text.len, hash_bytes(map, text)};
}

static struct key
integer_key(const struct nd_map *map, uint64_t num)
{
    return (struct key){NULL, num, hash_bytes(map, nd_str_n(&num, sizeof(num)))};
}

struct nd_map *
nd_map_new(void)
{
    struct nd_map *map = nd_new(struct nd_map);

    nd_random(map->seed, sizeof(map->seed));
    return map;
}

void
nd_map_free(struct nd_map *map)
{
    if (map == NULL)
        return;
    for (size_t i = 0; i < map->n_slots; i++)
        nd_free(map->slots[i].key);
    nd_free(map->slots);
    nd_free(map);
}

void
nd_map_freep(struct nd_map **map)
{
    nd_map_free(*map);
}

size_t
nd_map_count(const struct nd_map *map)
{
    return map->n_entries;
}

static bool
is_entry(const struct slot *slot)
{
    return slot->value != NULL && slot->value != REMOVED;
}

static bool
holds(const struct slot *slot, const struct key *key)
{
    if (slot->hash != key->hash || slot->num != key->num || !is_entry(slot))
        return false;
    if (slot->key == NULL || key->ptr == NULL)
        return slot->key == key->ptr;
    return memcmp(slot->key, key->ptr, key->num) == 0;
}

static struct slot *
find_slot(const struct nd_map *map, const struct key *key)
{
    if (map->n_slots == 0)
        return NULL;
    for (size_t i = key->hash;; i++) {
        struct slot *slot = &map->slots[i & (map->n_slots - 1)];

        if (slot->value == NULL)
            return NULL;
        if (holds(slot, key))
            return slot;
    }
}

/* The first slot for that hash that holds no entry. There is one. */
static struct slot *
free_slot(const struct nd_map *map, uint64_t hash)
{
    for (size_t i = hash;; i++) {
        struct slot *slot = &map->slots[i & (map->n_slots - 1)];

        if (!is_entry(slot))
            return slot;
    }
}

/* A table for one entry more, without marks, half full at most. */
static void
rebuild(struct nd_map *map)
{
    struct slot *old = map->slots;
    size_t n_old = map->n_slots;

    map->n_slots = FIRST_SLOTS;
    while (map->n_slots < (map->n_entries + 1) * 2)
        map->n_slots *= 2;
    map->slots = nd_new_array(map->n_slots, struct slot);
    map->n_used = map->n_entries;
    for (size_t i = 0; i < n_old; i++) {
        if (is_entry(&old[i]))
            *free_slot(map, old[i].hash) = old[i];
    }
    nd_free(old);
}

static void *
set(struct nd_map *map, const struct key *key, void *value)
{
    struct slot *slot = find_slot(map, key);
    void *before;

    ND_INVARIANT(value != NULL);
    if (slot != NULL) {
        before = slot->value;
        slot->value = value;
        return before;
    }
    if (map->n_slots == 0 || map->n_used + 1 > map->n_slots / 4 * 3)
        rebuild(map);

    slot = free_slot(map, key->hash);
    map->n_used += slot->value == NULL;
    map->n_entries++;
    slot->value = value;
    slot->key = key->ptr != NULL ? nd_strndup(key->ptr, key->num) : NULL;
    slot->num = key->num;
    slot->hash = key->hash;
    return NULL;
}

static void *
take(struct nd_map *map, const struct key *key)
{
    struct slot *slot = find_slot(map, key);
    void *value;

    if (slot == NULL)
        return NULL;
    value = slot->value;
    nd_free(slot->key);
    *slot = (struct slot){.value = REMOVED};
    map->n_entries--;
    return value;
}

static void *
find(const struct nd_map *map, const struct key *key)
{
    const struct slot *slot = find_slot(map, key);

    return slot != NULL ? slot->value : NULL;
}

void *
nd_map_find(const struct nd_map *map, struct nd_str key)
{
    struct key k = string_key(map, key);

    return find(map, &k);
}

void *
nd_map_find_u64(const struct nd_map *map, uint64_t key)
{
    struct key k = integer_key(map, key);

    return find(map, &k);
}

void *
nd_map_set(struct nd_map *map, struct nd_str key, void *value)
{
    struct key k = string_key(map, key);

    return set(map, &k, value);
}

void *
nd_map_set_u64(struct nd_map *map, uint64_t key, void *value)
{
    struct key k = integer_key(map, key);

    return set(map, &k, value);
}

void *
nd_map_take(struct nd_map *map, struct nd_str key)
{
    struct key k = string_key(map, key);

    return take(map, &k);
}

void *
nd_map_take_u64(struct nd_map *map, uint64_t key)
{
    struct key k = integer_key(map, key);

    return take(map, &k);
}

bool
nd_map_next(const struct nd_map *map, size_t *pos, struct nd_str *ret_key, void **ret_value)
{
    for (; *pos < map->n_slots; (*pos)++) {
        const struct slot *slot = &map->slots[*pos];

        if (!is_entry(slot))
            continue;
        if (ret_key != NULL)
            *ret_key = slot->key != NULL ? nd_str_n(slot->key, slot->num) : ND_STR_NONE;
        if (ret_value != NULL)
            *ret_value = slot->value;
        (*pos)++;
        return true;
    }
    return false;
}
