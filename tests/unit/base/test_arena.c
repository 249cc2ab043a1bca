/* Arenas: alignment, the maximum, reset, and what is let go with them. */

#include "base/alloc.h"
#include "base/arena.h"

#include "check.h"

static void
memory_is_zeroed_and_aligned(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    for (size_t size = 0; size < 300; size++) {
        unsigned char *p = nd_arena_alloc(arena, size);

        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, size);
    }
}

static void
objects_do_not_overlap(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    unsigned char *objects[500];

    (void)state;
    for (size_t i = 0; i < ND_LEN(objects); i++) {
        objects[i] = nd_arena_alloc(arena, 1 + i * 7);
        memset(objects[i], (int)(i & 0xff), 1 + i * 7);
    }
    for (size_t i = 0; i < ND_LEN(objects); i++) {
        for (size_t k = 0; k < 1 + i * 7; k++)
            assert_int_equal(objects[i][k], i & 0xff);
    }
}

static void
an_object_larger_than_a_block_fits(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    unsigned char *big = nd_arena_alloc(arena, 3000000);

    (void)state;
    big[2999999] = 1;
    assert_true(nd_arena_used(arena) >= 3000000);
}

static void
try_refuses_what_passes_the_maximum(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(10000);
    size_t n = 0;

    (void)state;
    assert_null(nd_arena_try(arena, 10001));
    assert_null(nd_arena_try(arena, SIZE_MAX));
    assert_null(nd_arena_try(arena, SIZE_MAX - 8));
    while (nd_arena_try(arena, 100) != NULL)
        n++;
    assert_in_range(n, 70, 100); /* most of the maximum is usable */
    assert_true(nd_arena_used(arena) <= 10000);
    assert_null(nd_arena_try(arena, 1000));
}

static void
reset_makes_room_again_and_keeps_one_block(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(100000);

    (void)state;
    assert_int_equal(nd_arena_used(arena), 0);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 400; i++)
            assert_non_null(nd_arena_try(arena, 128));
        nd_arena_reset(arena);
        assert_int_equal(nd_arena_used(arena), 4096);
    }
}

struct witness {
    int order[4];
    int n;
};

struct entry {
    struct witness *witness;
    int id;
};

static void
note(void *ptr)
{
    struct entry *e = ptr;

    e->witness->order[e->witness->n++] = e->id;
}

static void
deferred_calls_run_newest_first_once(void **state)
{
    struct witness w = {0};
    struct entry entries[] = {{&w, 1}, {&w, 2}, {&w, 3}};
    struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    nd_arena_defer(arena, note, &entries[0]);
    nd_arena_defer(arena, note, &entries[1]);
    nd_arena_reset(arena);
    assert_int_equal(w.n, 2);
    assert_int_equal(w.order[0], 2);
    assert_int_equal(w.order[1], 1);
    nd_arena_defer(arena, note, &entries[2]);
    nd_arena_free(arena);
    assert_int_equal(w.n, 3);
    assert_int_equal(w.order[2], 3);
}

static void
a_deferred_call_may_read_the_arena(void **state)
{
    struct witness w = {0};
    struct nd_arena *arena = nd_arena_new(0);
    struct entry *e = nd_arena_new_object(arena, struct entry);

    (void)state;
    *e = (struct entry){&w, 9};
    (void)nd_arena_alloc(arena, 100000);
    nd_arena_defer(arena, note, e);
    nd_arena_free(arena);
    assert_int_equal(w.order[0], 9);
}

static void
an_adopted_object_counts_and_goes_last(void **state)
{
    struct witness w = {0};
    struct nd_arena *arena = nd_arena_new(10000);
    struct entry *e = nd_new(struct entry);
    void *large = nd_calloc(1, 20000);
    size_t before;

    (void)state;
    *e = (struct entry){&w, 7};
    nd_arena_defer(arena, note, e);
    before = nd_arena_used(arena);
    assert_true(nd_arena_adopt(arena, e, 4000));
    assert_int_equal(nd_arena_used(arena), before + 4000);
    assert_false(nd_arena_adopt(arena, large, 20000));
    nd_free(large);
    nd_arena_reset(arena);
    assert_int_equal(w.order[0], 7);
    assert_true(nd_arena_used(arena) <= before);
    nd_arena_free(arena);
}

static void
texts_are_copied(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    assert_string_equal(nd_arena_strdup(arena, "abc"), "abc");
    assert_string_equal(nd_arena_strdup(arena, NULL), "");
    assert_string_equal(nd_arena_str(arena, nd_str_n("abcdef", 2)), "ab");
    assert_string_equal(nd_arena_printf(arena, "%s-%d", "x", 5), "x-5");
    assert_memory_equal(nd_arena_memdup(arena, "a\0b", 3), "a\0b", 3);
    assert_non_null(nd_arena_memdup(arena, NULL, 0));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(objects_do_not_overlap),
        cmocka_unit_test(an_object_larger_than_a_block_fits),
        cmocka_unit_test(try_refuses_what_passes_the_maximum),
        cmocka_unit_test(reset_makes_room_again_and_keeps_one_block),
        cmocka_unit_test(deferred_calls_run_newest_first_once),
        cmocka_unit_test(a_deferred_call_may_read_the_arena),
        cmocka_unit_test(an_adopted_object_counts_and_goes_last),
        cmocka_unit_test(texts_are_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
