/*
 * Decoding a list reply of some megabyte, from the buffer that it came in to nothing left: our
 * checked decoding into an arena, in place as the transport does it with large messages, and with
 * copies as with small ones; and protobuf-c's own with malloc and free. Each round decodes once in
 * each way, each from a copy of the bytes that was made just before, so that all find the same
 * caches:
 *
 *     codec            # for each byte on standard input: "IN-PLACE COPIED MALLOC" in nanoseconds
 */

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "codec/pb.h"

#include "bench.pb-c.h"

#define ITEMS  1000u
#define TAGS   14u
#define LABELS 10u

static void
fill_item(Bench__Item *item, struct nd_arena *arena, unsigned n)
{
    bench__item__init(item);
    item->name = nd_arena_printf(arena, "container-%u-of-the-benchmark", n);
    item->created = 1700000000 + n;
    item->n_tags = TAGS;
    item->tags = nd_arena_alloc(arena, TAGS * sizeof(char *));
    for (unsigned i = 0; i < TAGS; i++)
        item->tags[i] = nd_arena_printf(arena, "a tag of some length %u.%u", n, i);
    item->n_labels = LABELS;
    item->labels = nd_arena_alloc(arena, LABELS * sizeof(Bench__Item__LabelsEntry *));
    for (unsigned i = 0; i < LABELS; i++) {
        item->labels[i] = nd_arena_alloc(arena, sizeof(Bench__Item__LabelsEntry));
        bench__item__labels_entry__init(item->labels[i]);
        item->labels[i]->key = nd_arena_printf(arena, "org.example.label-number-%u", i);
        item->labels[i]->value = nd_arena_printf(arena, "value %u of container %u", i, n);
    }
}

static struct nd_error *
encode_list(struct nd_buf *wire)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Bench__ItemList list = BENCH__ITEM_LIST__INIT;

    list.n_items = ITEMS;
    list.items = nd_arena_alloc(arena, ITEMS * sizeof(Bench__Item *));
    for (unsigned i = 0; i < ITEMS; i++) {
        list.items[i] = nd_arena_alloc(arena, sizeof(Bench__Item));
        fill_item(list.items[i], arena, i);
    }
    return nd_pb_encode(&list, wire);
}

/* A message that has just been received. */
static struct nd_buf
receive(struct nd_str wire)
{
    struct nd_buf buf = ND_BUF_INIT((size_t)64 << 20);

    nd_buf_put(&buf, wire);
    return buf;
}

static struct nd_error *
in_place(struct nd_str wire, int64_t *ret_ns)
{
    struct nd_buf buf = receive(wire);
    struct nd_mono begin = nd_mono_now();
    struct nd_arena *arena = nd_arena_new(0);
    ProtobufCMessage *message;

    ND_TRY(nd_pb_decode_in_place(&bench__item_list__descriptor, &buf, 0, NULL, arena, &message));
    nd_arena_free(arena);
    *ret_ns = nd_mono_now().ns - begin.ns;
    return NULL;
}

static struct nd_error *
copied(struct nd_str wire, int64_t *ret_ns)
{
    struct nd_buf buf = receive(wire);
    struct nd_mono begin = nd_mono_now();
    struct nd_arena *arena = nd_arena_new(0);
    ProtobufCMessage *message;

    ND_TRY(nd_pb_decode(&bench__item_list__descriptor, nd_buf_str(&buf), arena, &message));
    nd_buf_fini(&buf);
    nd_arena_free(arena);
    *ret_ns = nd_mono_now().ns - begin.ns;
    return NULL;
}

static struct nd_error *
by_malloc(struct nd_str wire, int64_t *ret_ns)
{
    struct nd_buf buf = receive(wire);
    struct nd_mono begin = nd_mono_now();
    Bench__ItemList *list = bench__item_list__unpack(NULL, buf.len, (const uint8_t *)buf.ptr);

    nd_buf_fini(&buf);
    bench__item_list__free_unpacked(list, NULL);
    *ret_ns = nd_mono_now().ns - begin.ns;
    return NULL;
}

static struct nd_error *
rounds(void)
{
    ND_AUTO(nd_buf_fini) struct nd_buf wire = ND_BUF_INIT((size_t)64 << 20);

    ND_TRY(encode_list(&wire));
    fprintf(stderr, "%zu bytes\n", nd_buf_str(&wire).len);
    while (getchar() != EOF) {
        int64_t ns[3];

        ND_TRY(in_place(nd_buf_str(&wire), &ns[0]));
        ND_TRY(copied(nd_buf_str(&wire), &ns[1]));
        ND_TRY(by_malloc(nd_buf_str(&wire), &ns[2]));
        printf("%jd %jd %jd\n", (intmax_t)ns[0], (intmax_t)ns[1], (intmax_t)ns[2]);
        fflush(stdout);
    }
    return NULL;
}

int
main(void)
{
    struct nd_error *err = rounds();

    if (err != NULL)
        fprintf(stderr, "codec: %s\n", nd_error_message(err));
    nd_error_free(err);
    return err != NULL;
}
