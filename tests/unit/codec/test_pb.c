/* Protocol buffers: what decoding refuses, and what comes out of it. */

#include "codec/limits.h"
#include "codec/pb.h"

#include "check.h"
#include "tree.pb-c.h"

#define TREE (&codec_test__tree__descriptor)

/* Append a length-prefixed field. */
static void
put_field(struct nd_buf *buf, unsigned number, struct nd_str content)
{
    unsigned tag = number << 3 | 2;

    if (tag >= 128)
        nd_buf_putc(buf, (char)((tag & 0x7f) | 0x80));
    nd_buf_putc(buf, (char)(tag >= 128 ? tag >> 7 : tag));
    assert_true(content.len < 16384);
    if (content.len >= 128)
        nd_buf_putc(buf, (char)((content.len & 0x7f) | 0x80));
    nd_buf_putc(buf, (char)(content.len >= 128 ? content.len >> 7 : content.len));
    nd_buf_put(buf, content);
}

/* Decode a copy of the bytes, with something in front of it, which the arena then keeps. */
static struct nd_error *
decode_in_place(struct nd_str bytes, struct nd_arena *arena, ProtobufCMessage **ret)
{
    struct nd_buf buf = ND_BUF_INIT(16 << 20);
    struct nd_error *err;

    nd_buf_putz(&buf, "front");
    nd_buf_put(&buf, bytes);
    err = nd_pb_decode_in_place(TREE, &buf, 5, NULL, arena, ret);
    assert_null(buf.ptr);
    return err;
}

/* The same message, or the same failure. */
static void
check_in_place(struct nd_str bytes, const struct nd_error *wanted_err,
               const ProtobufCMessage *wanted)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf a = ND_BUF_INIT(16 << 20);
    ND_AUTO(nd_buf_fini) struct nd_buf b = ND_BUF_INIT(16 << 20);
    ProtobufCMessage *message = NULL;
    ND_AUTO(nd_error_freep) struct nd_error *err = decode_in_place(bytes, arena, &message);

    assert_int_equal(nd_error_code(err), nd_error_code(wanted_err));
    if (wanted_err != NULL) {
        assert_string_equal(nd_error_message(err), nd_error_message(wanted_err));
        return;
    }
    check_ok(nd_pb_encode(wanted, &a));
    check_ok(nd_pb_encode(message, &b));
    assert_int_equal(a.len, b.len);
    assert_memory_equal(nd_buf_str(&a).len != 0 ? a.ptr : "", b.len != 0 ? b.ptr : "", a.len);
}

/* Decode within limits, for the outcome alone. */
static struct nd_error *
try_decode(struct nd_str bytes, const struct nd_pb_limits *limits)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ProtobufCMessage *message = NULL;
    struct nd_error *err = nd_pb_decode_within(TREE, bytes, limits, arena, &message);

    if (limits == NULL)
        check_in_place(bytes, err, message);
    return err;
}

static void
a_message_survives_the_round_trip(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(1 << 20);
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(1 << 20);
    CodecTest__Tree *tree = nd_pb_new(TREE, arena);
    CodecTest__Pair *pair = nd_pb_new(&codec_test__pair__descriptor, arena);
    CodecTest__Tree *back;
    int32_t numbers[] = {1, -2, INT32_MAX};
    char *names[] = {nd_arena_strdup(arena, "a"), nd_arena_strdup(arena, "\xc3\xa4")};

    (void)state;
    pair->key = nd_arena_strdup(arena, "k");
    tree->name = nd_arena_strdup(arena, "root");
    tree->n_labels = 1;
    tree->labels = &pair;
    tree->n_numbers = 3;
    tree->numbers = numbers;
    tree->n_names = 2;
    tree->names = names;
    tree->big = -77;
    tree->raw = (ProtobufCBinaryData){3, (uint8_t *)nd_arena_memdup(arena, "\0\xff\x01", 3)};
    check_ok(nd_pb_encode(tree, &buf));
    check_ok(nd_pb_decode(TREE, nd_buf_str(&buf), arena, (ProtobufCMessage **)&back));
    nd_buf_fini(&buf);

    assert_string_equal(back->name, "root");
    assert_int_equal(back->n_labels, 1);
    assert_string_equal(back->labels[0]->key, "k");
    assert_string_equal(back->labels[0]->value, "");
    assert_int_equal(back->n_numbers, 3);
    assert_int_equal(back->numbers[1], -2);
    assert_string_equal(back->names[1], "\xc3\xa4");
    assert_true(back->big == -77);
    assert_int_equal(back->raw.len, 3);
}

static void
no_bytes_are_an_empty_message(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CodecTest__Tree *tree;

    (void)state;
    check_ok(nd_pb_decode(TREE, ND_STR_NONE, arena, (ProtobufCMessage **)&tree));
    assert_string_equal(tree->name, "");
    assert_null(tree->child);
}

static void
broken_bytes_are_refused(void **state)
{
    static const struct {
        struct nd_str bytes;
        const char *says;
    } rows[] = {
        {{"\x0a", 1}, "broken length"},
        {{"\x0a\x05"
          "ab",
          4},
         "is cut off"},
        {{"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10}, "broken length"},
        {{"\x0a\x80\x80\x80\x80\x80\x00", 7}, "broken length"},
        {{"\x80", 1}, "broken field tag"},
        {{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, "broken field tag"},
        {{"\x02\x00", 2}, "number out of range"},
        {{"\x60", 1}, "broken varint"},
        {{"\x60\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12}, "broken varint"},
        {{"\x60\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11}, "broken varint"},
        {{"\x51\x01\x02", 3}, "is cut off"},
        {{"\xa5\x06\x01\x02\x03", 5}, "is cut off"}, /* unknown field 100, 32 bits */
        {{"\xa3\x06", 2}, "is a group"},
        {{"\xa4\x06", 2}, "is a group"},
        {{"\xa6\x06", 2}, "unknown wire type"},
        {{"\xa7\x06", 2}, "unknown wire type"},
        {{"\x08\x01", 2}, "name: has wire type 0, not 2"},
        {{"\x62\x01\x01", 3}, "yes: has wire type 2, not 0"},
        {{"\x32\x02\x01\x80", 4}, "numbers[0]: has a broken varint"},
        {{"\x3a\x03\x01\x02\x03", 5}, "words[0]: is cut off"},
        {{"\x0a\x02"
          "a\0",
          4},
         "name: is not UTF-8"},
        {{"\x0a\x02\xc3(", 4}, "name: is not UTF-8"},
        {{"\x42\x01\xff", 3}, "text: is not UTF-8"},
        {{"\x6a\x01"
          "a\x6a\x01\x80",
          6},
         "names[1]: is not UTF-8"},
        {{"\x12\x00\x12\x00\x12\x03\x0a\x01\xff", 9}, "labels[2].key: is not UTF-8"},
        {{"\x72\x03\x12\x01\xff", 5}, "options[0].value: is not UTF-8"},
        {{"\x1a\x05\x22\x03\x0a\x01\xff", 7}, "child.children[0].name: is not UTF-8"},
        {{"\x1a\x02\x0a\x05", 4}, "child.name: is cut off"},
        {{"\x1a\x02\x78\x80", 4}, "child: Tree has a broken varint"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++)
        check_message(try_decode(rows[i].bytes, NULL), ND_INVALID, rows[i].says);
}

static void
the_failing_field_is_a_field_of_the_error(void **state)
{
    ND_AUTO(nd_error_freep)
    struct nd_error *err = try_decode(nd_str_n("\x12\x00\x12\x03\x12\x01\xff", 7), NULL);

    (void)state;
    assert_string_equal(nd_error_get_field(err), "labels[1].value");
}

static void
valid_oddities_are_accepted(void **state)
{
    static const struct nd_str rows[] = {
        {"\x0a\x81\x00"
         "a",
         4},                             /* a length in two bytes where one would do */
        {"\x30\x01\x32\x02\x01\x02", 6}, /* a repeated number packed and not */
        {"\x3d\x01\x00\x00\x00", 5},     /* a packable number alone */
        {"\x0a\x01"
         "a\x0a\x01"
         "b",
         6},                         /* the last one counts */
        {"\x4a\x00\x4a\x00", 4},     /* merged */
        {"\xa2\x06\x02\xff\x00", 5}, /* bytes of an unknown field are not looked at */
        {"\x2a\x03\x00\xff\xfe", 5}, /* bytes are any bytes */
        {"\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, /* -1 */
        {"\x32\x00", 2},                                      /* packed, empty */
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(1 << 20);

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        ProtobufCMessage *message;

        check_row(i, "", nd_pb_decode(TREE, rows[i], arena, &message), ND_OK);
        check_in_place(rows[i], NULL, message);
    }
}

static void
a_message_that_occurs_again_is_merged(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(1 << 20);
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(1 << 16);
    const CodecTest__Tree *tree;

    (void)state;
    for (int i = 0; i < 100; i++) {
        /* child { name: "a" or "b", numbers: 1, names: "n", 100: 7 } */
        put_field(&buf, 3,
                  nd_str_n(i % 2 == 0 ? "\x0a\x01"
                                        "a\x30\x01"
                                      : "\x0a\x01"
                                        "b\x30\x01",
                           5));
        put_field(&buf, 3, nd_str_n("\x6a\x01n\xa0\x06\x07", 6));
    }
    check_ok(nd_pb_decode(TREE, nd_buf_str(&buf), arena, (ProtobufCMessage **)&tree));
    check_in_place(nd_buf_str(&buf), NULL, &tree->base);
    assert_string_equal(tree->child->name, "b");
    assert_int_equal(tree->child->n_numbers, 100);
    assert_int_equal(tree->child->numbers[99], 1);
    assert_int_equal(tree->child->n_names, 100);
    assert_string_equal(tree->child->names[57], "n");
    assert_int_equal(tree->child->base.n_unknown_fields, 100);
}

static void
the_last_of_a_oneof_counts(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(1 << 20);
    const CodecTest__Tree *tree;

    (void)state;
    /* pair, then text, then an empty pair again: nothing of the first pair is left */
    check_ok(nd_pb_decode(TREE, nd_str_n("\x4a\x03\x0a\x01k\x42\x01t\x4a\x00", 10), arena,
                          (ProtobufCMessage **)&tree));
    assert_int_equal(tree->choice_case, CODEC_TEST__TREE__CHOICE_PAIR);
    assert_string_equal(tree->pair->key, "");
}

/* A tree of that many levels. */
static void
nest(struct nd_buf *buf, int levels)
{
    ND_AUTO(nd_buf_fini) struct nd_buf inner = ND_BUF_INIT(16000);

    nd_buf_clear(buf);
    for (int i = 1; i < levels; i++) {
        nd_buf_clear(&inner);
        nd_buf_put(&inner, nd_buf_str(buf));
        nd_buf_clear(buf);
        put_field(buf, 3, nd_buf_str(&inner));
    }
}

static void
the_depth_limit_is_exact(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(16000);
    const struct nd_pb_limits three = {.max_depth = 3};

    (void)state;
    nest(&buf, ND_PB_MAX_DEPTH);
    check_ok(try_decode(nd_buf_str(&buf), NULL));
    nest(&buf, ND_PB_MAX_DEPTH + 1);
    check_message(try_decode(nd_buf_str(&buf), NULL), ND_EXHAUSTED, "child.child.child");
    nest(&buf, 3);
    check_ok(try_decode(nd_buf_str(&buf), &three));
    nest(&buf, 4);
    check_code(try_decode(nd_buf_str(&buf), &three), ND_EXHAUSTED);
}

static void
few_bytes_cannot_become_much_memory(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(8 << 20);
    const struct nd_pb_limits limits = {.max_decoded = 1 << 20};
    const struct nd_pb_limits most = {.max_decoded = ND_PB_MAX_DECODED};

    (void)state;
    for (int i = 0; i < 2000; i++)
        nd_buf_put(&buf, nd_str_n("\x22\x00", 2)); /* an empty child */
    check_ok(try_decode(nd_buf_str(&buf), NULL));
    for (int i = 0; i < 4000; i++)
        nd_buf_put(&buf, nd_str_n("\x22\x00", 2));
    check_code(try_decode(nd_buf_str(&buf), &limits), ND_EXHAUSTED);
    for (int i = 0; i < 40000; i++)
        nd_buf_put(&buf, nd_str_n("\x22\x00", 2));
    check_code(try_decode(nd_buf_str(&buf), NULL), ND_EXHAUSTED);
    check_ok(try_decode(nd_buf_str(&buf), &most));
    for (int i = 0; i < 1200000; i++)
        nd_buf_put(&buf, nd_str_n("\x22\x00", 2));
    check_code(try_decode(nd_buf_str(&buf), &most), ND_EXHAUSTED);
}

/*
 * What is counted against the limit is not less than what is taken, for each kind of field in bulk.
 */
static void
the_limit_counts_what_decoding_takes(void **state)
{
    static const struct nd_str kinds[] = {
        {"\x22\x00", 2},
        {"\x12\x00", 2},
        {"\x30\x01", 2},
        {"\x6a\x01"
         "a",
         3},
        {"\xa0\x06\x01", 3},
        {"\x2a\x00", 2},
        {"\x72\x03\x12\x01"
         "a",
         5},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(kinds); i++) {
        ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(1 << 20);
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        ProtobufCMessage *message;
        struct nd_pb_limits limits;

        for (int k = 0; k < 16000; k++)
            nd_buf_put(&buf, kinds[i]);
        check_ok(nd_pb_decode_within(TREE, nd_buf_str(&buf),
                                     &(struct nd_pb_limits){.max_decoded = ND_PB_MAX_DECODED},
                                     arena, &message));
        /* Blocks of the arena and its gaps between objects under the sanitizer are not counted. */
        limits.max_depth = 0;
        limits.max_decoded = nd_arena_used(arena) / 3;
        check_code(try_decode(nd_buf_str(&buf), &limits), ND_EXHAUSTED);
    }
}

static void
a_full_arena_is_an_error(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(4096);
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(1 << 20);
    ProtobufCMessage *message = NULL;

    (void)state;
    for (int i = 0; i < 1000; i++)
        nd_buf_put(&buf, nd_str_n("\x22\x00", 2));
    check_code(nd_pb_decode(TREE, nd_buf_str(&buf), arena, &message), ND_EXHAUSTED);
    assert_null(message);
}

static void
encoding_respects_the_buffer(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(5);
    CodecTest__Tree *tree = nd_pb_new(TREE, arena);

    (void)state;
    tree->name = nd_arena_strdup(arena, "abcd");
    check_message(nd_pb_encode(tree, &buf), ND_EXHAUSTED, "codec_test.Tree");
    assert_int_equal(buf.len, 0);
    tree->name = nd_arena_strdup(arena, "abc");
    check_ok(nd_pb_encode(tree, &buf));
    assert_memory_equal(buf.ptr,
                        "\x0a\x03"
                        "abc",
                        5);
}

static void
unknown_fields_are_found_at_any_depth(void **state)
{
    static const struct {
        struct nd_str bytes;
        const char *path;
    } rows[] = {
        {{"\xa0\x06\x01", 3}, "100"},
        {{"\x0a\x01"
          "a\x78\x01",
          5},
         "15"},
        {{"\x12\x00\x12\x02\x18\x01", 6}, "labels[1].3"},
        {{"\x1a\x06\x22\x00\x22\x02\x78\x01", 8}, "child.children[1].15"},
        {{"\x4a\x02\x18\x01", 4}, "pair.3"},
        {{"\x72\x02\x18\x01", 4}, "options[0].3"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        ND_AUTO(nd_buf_fini) struct nd_buf path = ND_BUF_INIT(100);
        ND_AUTO(nd_buf_fini) struct nd_buf tiny = ND_BUF_INIT(6);
        ProtobufCMessage *message;

        check_ok(nd_pb_decode(TREE, rows[i].bytes, arena, &message));
        check_in_place(rows[i].bytes, NULL, message);
        assert_true(nd_pb_unknown_field(message, &path));
        assert_string_equal(path.ptr, rows[i].path);
        assert_true(nd_pb_unknown_field(message, &tiny));
        assert_memory_equal(tiny.ptr, rows[i].path, tiny.len);
    }
}

static void
a_known_message_has_no_unknown_field(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf path = ND_BUF_INIT(100);
    ProtobufCMessage *message;

    (void)state;
    check_ok(nd_pb_decode(TREE,
                          nd_str_n("\x12\x00\x1a\x02\x42\x00\x42\x01"
                                   "a",
                                   9),
                          arena, &message));
    assert_false(nd_pb_unknown_field(message, &path));
    assert_int_equal(path.len, 0);
}

/* {"labels": two pairs, "options": as told, "child": the same} */
static void
put_tree_with_map(struct nd_buf *buf, const char *order)
{
    ND_AUTO(nd_buf_fini) struct nd_buf child = ND_BUF_INIT(4096);

    put_field(buf, 2, ND_STR("\12\1z"));
    put_field(buf, 2, ND_STR("\12\1a"));
    for (const char *c = order; *c != '\0'; c++) {
        char entry[] = {'\12', 1, *c, '\22', 1, '1'};

        put_field(buf, 14, nd_str_n(entry, sizeof(entry)));
        put_field(&child, 14, nd_str_n(entry, sizeof(entry)));
    }
    put_field(buf, 3, nd_buf_str(&child));
}

static void
encode_sorted(const char *order, struct nd_buf *ret)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf bytes = ND_BUF_INIT(4096);
    ProtobufCMessage *message;

    put_tree_with_map(&bytes, order);
    check_ok(nd_pb_decode(TREE, nd_buf_str(&bytes), arena, &message));
    nd_pb_sort_maps(message);
    assert_string_equal(((CodecTest__Tree *)message)->labels[0]->key,
                        "z"); /* a list has an order */
    check_ok(nd_pb_encode(message, ret));
}

static void
maps_in_another_order_become_the_same_bytes(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf wanted = ND_BUF_INIT(4096);
    static const char *const orders[] = {"bac", "cba", "bca", "acb"};

    (void)state;
    encode_sorted("abc", &wanted);
    for (size_t i = 0; i < ND_LEN(orders); i++) {
        ND_AUTO(nd_buf_fini) struct nd_buf got = ND_BUF_INIT(4096);

        encode_sorted(orders[i], &got);
        assert_true(nd_str_eq(nd_buf_str(&got), nd_buf_str(&wanted)));
    }
    {
        ND_AUTO(nd_buf_fini) struct nd_buf other = ND_BUF_INIT(4096);

        encode_sorted("abd", &other);
        assert_false(nd_str_eq(nd_buf_str(&other), nd_buf_str(&wanted)));
    }
}

static void
a_copy_is_deep(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *kept = nd_arena_new(0);
    struct nd_arena *gone = nd_arena_new(0);
    ProtobufCMessage *message;
    CodecTest__Tree *copy;

    (void)state;
    check_ok(nd_pb_decode(TREE,
                          nd_str_n("\x0a\x01"
                                   "a\x12\x03\x0a\x01"
                                   "k\xa0\x06\x07",
                                   11),
                          gone, &message));
    check_ok(nd_pb_copy(message, kept, (ProtobufCMessage **)&copy));
    nd_arena_free(gone);
    assert_string_equal(copy->name, "a");
    assert_string_equal(copy->labels[0]->key, "k");
    assert_int_equal(copy->base.n_unknown_fields, 1);
}

/* Each text lies in the bytes that were given away and ends where it should. */
static void
in_place_texts_are_not_copied(void **state)
{
    static const struct nd_str bytes = {"\x0a\x04root"
                                        "\x12\x07\x0a\x03key\x12\x00"
                                        "\x1a\x04\x0a\x02in"
                                        "\x2a\x03\x00\xff\x01"
                                        "\xa2\x06\x02\x0a\x00"
                                        "\x6a\x03"
                                        "end",
                                        36};
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_buf buf = ND_BUF_INIT(100);
    const CodecTest__Tree *tree;
    const char *begin;

    (void)state;
    nd_buf_put(&buf, bytes);
    begin = buf.ptr;
    check_ok(nd_pb_decode_in_place(TREE, &buf, 0, NULL, arena, (ProtobufCMessage **)&tree));
    assert_ptr_equal(tree->name, begin + 2);
    assert_string_equal(tree->name, "root");
    assert_string_equal(tree->labels[0]->key, "key");
    assert_string_equal(tree->labels[0]->value, "");
    assert_string_equal(tree->child->name, "in");
    assert_int_equal(tree->raw.len, 3);
    assert_memory_equal(tree->raw.data, "\0\xff\x01", 4);
    assert_memory_equal(tree->base.unknown_fields[0].data, "\x02\x0a\x00", 4);
    assert_string_equal(tree->names[0], "end");
    assert_ptr_equal(tree->names[0], begin + 33);
}

static void
an_arena_that_is_full_does_not_take_the_bytes(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(4096);
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(1 << 20);
    ProtobufCMessage *message;

    (void)state;
    nd_buf_put(&buf, nd_str_n("\x0a\x01"
                              "a",
                              3));
    check_ok(nd_buf_reserve(&buf, 8000));
    check_code(nd_pb_decode_in_place(TREE, &buf, 0, NULL, arena, &message), ND_EXHAUSTED);
    assert_int_equal(buf.len, 3);
}

static unsigned n_pauses, last_pause;

static struct nd_error *
pause_until_last(void)
{
    return ++n_pauses == last_pause ? nd_error_new(ND_CANCELLED, "enough") : NULL;
}

/* However the fields are nested; and an error of the pause is none of the field. */
static void
a_long_decoding_pauses(void **state)
{
    (void)state;
    for (last_pause = 0; last_pause <= 2; last_pause += 2) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
        struct nd_buf buf = ND_BUF_INIT(1 << 20);
        ProtobufCMessage *message;

        for (size_t i = 0; i < 2 * ND_PB_PAUSE_ITEMS; i++)
            nd_buf_put(&buf, nd_str_n("\x12\x02\x0a\x00", 4));
        n_pauses = 0;
        err = nd_pb_decode_in_place(TREE, &buf, 0, pause_until_last, arena, &message);
        assert_int_equal(nd_error_code(err), last_pause == 0 ? ND_OK : ND_CANCELLED);
        assert_int_equal(n_pauses, last_pause == 0 ? 3 : 2);
        if (err != NULL)
            assert_string_equal(nd_error_message(err), "enough");
    }
}

static void
unknown_fields_have_a_limit(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(1 << 20);

    (void)state;
    for (size_t i = 0; i < ND_PB_MAX_UNKNOWN; i++)
        nd_buf_put(&buf, nd_str_n("\xa0\x06\x01", 3));
    check_ok(try_decode(nd_buf_str(&buf), NULL));
    nd_buf_put(&buf, nd_str_n("\xa0\x06\x01", 3));
    check_message(try_decode(nd_buf_str(&buf), NULL), ND_EXHAUSTED, "unknown fields");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_survives_the_round_trip),
        cmocka_unit_test(no_bytes_are_an_empty_message),
        cmocka_unit_test(broken_bytes_are_refused),
        cmocka_unit_test(the_failing_field_is_a_field_of_the_error),
        cmocka_unit_test(valid_oddities_are_accepted),
        cmocka_unit_test(a_message_that_occurs_again_is_merged),
        cmocka_unit_test(the_last_of_a_oneof_counts),
        cmocka_unit_test(the_depth_limit_is_exact),
        cmocka_unit_test(few_bytes_cannot_become_much_memory),
        cmocka_unit_test(the_limit_counts_what_decoding_takes),
        cmocka_unit_test(a_full_arena_is_an_error),
        cmocka_unit_test(encoding_respects_the_buffer),
        cmocka_unit_test(unknown_fields_are_found_at_any_depth),
        cmocka_unit_test(a_known_message_has_no_unknown_field),
        cmocka_unit_test(maps_in_another_order_become_the_same_bytes),
        cmocka_unit_test(a_copy_is_deep),
        cmocka_unit_test(in_place_texts_are_not_copied),
        cmocka_unit_test(a_long_decoding_pauses),
        cmocka_unit_test(unknown_fields_have_a_limit),
        cmocka_unit_test(an_arena_that_is_full_does_not_take_the_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
