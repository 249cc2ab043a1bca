/* The map against a plain array, and walks that remove. */

#include "base/alloc.h"
#include "base/map.h"

#include "check.h"

static int values[4096];

static void
an_empty_map_finds_nothing(void **state)
{
    ND_AUTO(nd_map_freep) struct nd_map *map = nd_map_new();
    size_t pos = 0;

    (void)state;
    assert_null(nd_map_find(map, ND_STR("a")));
    assert_null(nd_map_take_u64(map, 1));
    assert_int_equal(nd_map_count(map), 0);
    assert_false(nd_map_next(map, &pos, NULL, NULL));
    nd_map_free(NULL);
}

static void
keys_are_copied_and_may_hold_any_byte(void **state)
{
    ND_AUTO(nd_map_freep) struct nd_map *map = nd_map_new();
    char key[] = "a\0b";

    (void)state;
    assert_null(nd_map_set(map, nd_str_n(key, 3), &values[1]));
    assert_null(nd_map_set(map, ND_STR(""), &values[2]));
    memset(key, 'x', 3);
    assert_ptr_equal(nd_map_find(map, nd_str_n("a\0b", 3)), &values[1]);
    assert_null(nd_map_find(map, ND_STR("a")));
    assert_ptr_equal(nd_map_find(map, ND_STR_NONE), &values[2]);
    assert_ptr_equal(nd_map_set(map, ND_STR(""), &values[3]), &values[2]);
    assert_int_equal(nd_map_count(map), 2);
}

static void
integer_and_string_keys_do_not_meet(void **state)
{
    ND_AUTO(nd_map_freep) struct nd_map *map = nd_map_new();
    uint64_t num = UINT64_C(0x6161616161616161);
    uint64_t eight = 8;

    (void)state;
    nd_map_set_u64(map, num, &values[1]);
    nd_map_set_u64(map, eight, &values[3]);
    nd_map_set(map, ND_STR("aaaaaaaa"), &values[2]);
    assert_ptr_equal(nd_map_find_u64(map, num), &values[1]);
    assert_ptr_equal(nd_map_find(map, ND_STR("aaaaaaaa")), &values[2]);
    assert_null(nd_map_find(map, nd_str_n(&eight, 8)));
    assert_int_equal(nd_map_count(map), 3);
}

/* A small generator of our own: the run is the same each time. */
static uint32_t
next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

#define N_KEYS 700

static void
compare(const struct nd_map *map, void *const *model, bool integers)
{
    size_t n_model = 0, n_walk = 0, pos = 0;
    struct nd_str key;
    void *value;

    for (size_t k = 0; k < N_KEYS; k++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "key-%zu", k);
        value = integers ? nd_map_find_u64(map, k) : nd_map_find(map, nd_str(text));
        assert_ptr_equal(value, model[k]);
        n_model += model[k] != NULL;
    }
    while (nd_map_next(map, &pos, &key, &value)) {
        assert_true(integers == (key.ptr == NULL));
        n_walk++;
    }
    assert_int_equal(nd_map_count(map), n_model);
    assert_int_equal(n_walk, n_model);
}

static void
fuzz(bool integers, uint32_t seed)
{
    ND_AUTO(nd_map_freep) struct nd_map *map = nd_map_new();
    void *model[N_KEYS] = {0};

    for (int step = 0; step < 20000; step++) {
        uint32_t r = next_random(&seed);
        size_t k = r % N_KEYS;
        /* Waves of growing and shrinking: the table is rebuilt in both directions. */
        bool remove = (r >> 12) % 8 < (step / 2000 % 2 == 0 ? 2u : 6u);
        void *value = remove ? NULL : &values[r % ND_LEN(values)];
        void *before;
        char text[32];

        (void)snprintf(text, sizeof(text), "key-%zu", k);
        if (remove)
            before = integers ? nd_map_take_u64(map, k) : nd_map_take(map, nd_str(text));
        else
            before =
                integers ? nd_map_set_u64(map, k, value) : nd_map_set(map, nd_str(text), value);
        assert_ptr_equal(before, model[k]);
        model[k] = value;
        if (step % 500 == 0)
            compare(map, model, integers);
    }
    compare(map, model, integers);
}

static void
behaves_like_an_array_with_string_keys(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 4; seed++)
        fuzz(false, seed);
}

static void
behaves_like_an_array_with_integer_keys(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 4; seed++)
        fuzz(true, seed);
}

static void
a_walk_may_remove_what_it_returned(void **state)
{
    ND_AUTO(nd_map_freep) struct nd_map *map = nd_map_new();
    bool seen[1000] = {0};
    size_t pos = 0, n = 0;
    void *value;

    (void)state;
    for (size_t i = 0; i < ND_LEN(seen); i++)
        nd_map_set_u64(map, i, &values[i]);
    for (; nd_map_next(map, &pos, NULL, &value); n++) {
        size_t i = (size_t)((int *)value - values);

        assert_false(seen[i]);
        seen[i] = true;
        assert_ptr_equal(nd_map_take_u64(map, i), value);
    }
    assert_int_equal(n, ND_LEN(seen));
    assert_int_equal(nd_map_count(map), 0);
}

static void
many_removals_do_not_slow_it_down(void **state)
{
    ND_AUTO(nd_map_freep) struct nd_map *map = nd_map_new();
    size_t pos = 0;

    (void)state;
    for (uint64_t i = 0; i < 200000; i++) {
        nd_map_set_u64(map, i, values);
        nd_map_take_u64(map, i);
    }
    assert_false(nd_map_next(map, &pos, NULL, NULL));
    assert_true(pos <= 64); /* the marks were cleared away, the table stayed small */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_finds_nothing),
        cmocka_unit_test(keys_are_copied_and_may_hold_any_byte),
        cmocka_unit_test(integer_and_string_keys_do_not_meet),
        cmocka_unit_test(behaves_like_an_array_with_string_keys),
        cmocka_unit_test(behaves_like_an_array_with_integer_keys),
        cmocka_unit_test(a_walk_may_remove_what_it_returned),
        cmocka_unit_test(many_removals_do_not_slow_it_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
