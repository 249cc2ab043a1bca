/*
 * The memo gives back what it was given, byte for byte, and stays within its bounds.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "host/memo.h"

#include "../fiber/in_loop.h"

static bool
has(struct nd_memo *memo, const char *key, struct nd_str text)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_str found;

    if (!nd_memo_find(memo, key, arena, &found))
        return false;
    assert_true(nd_str_eq(found, text));
    assert_int_equal(found.ptr[found.len], 0);
    return true;
}

static const char *
key_of(unsigned i)
{
    static char key[16];

    (void)snprintf(key, sizeof(key), "k%u", i);
    return key;
}

static void
what_was_kept_is_found_by_its_whole_key(void **state)
{
    ND_AUTO(nd_memo_freep) struct nd_memo *memo = nd_memo_new();

    (void)state;
    assert_false(has(memo, "a", ND_STR("")));
    nd_memo_keep(memo, "a", ND_STR("with\0NUL"));
    nd_memo_keep(memo, "b", ND_STR(""));
    nd_memo_keep(memo, "a", ND_STR("another")); /* a key names one text for ever */
    assert_true(has(memo, "a", ND_STR("with\0NUL")));
    assert_true(has(memo, "b", ND_STR("")));
    assert_false(has(memo, "aa", ND_STR("")));
}

static void
the_one_not_asked_for_the_longest_goes(void **state)
{
    ND_AUTO(nd_memo_freep) struct nd_memo *memo = nd_memo_new();

    (void)state;
    for (unsigned i = 0; i < ND_MEMO_MAX_TEXTS; i++)
        nd_memo_keep(memo, key_of(i), ND_STR("x"));
    assert_true(has(memo, key_of(0), ND_STR("x")));
    nd_memo_keep(memo, "new", ND_STR("x"));
    assert_true(has(memo, key_of(0), ND_STR("x")));
    assert_false(has(memo, key_of(1), ND_STR("x")));
    assert_true(has(memo, key_of(2), ND_STR("x")));
    assert_true(has(memo, "new", ND_STR("x")));
}

static void
bytes_are_bounded_too(void **state)
{
    ND_AUTO(nd_memo_freep) struct nd_memo *memo = nd_memo_new();
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(ND_MEMO_TEXT_MAX_BYTES + 1);
    unsigned fit = ND_MEMO_MAX_BYTES / ND_MEMO_TEXT_MAX_BYTES, there = 0;

    (void)state;
    while (text.len < ND_MEMO_TEXT_MAX_BYTES)
        nd_buf_putc(&text, 'y');
    for (unsigned i = 0; i < 2 * fit; i++)
        nd_memo_keep(memo, key_of(i), nd_buf_str(&text));
    for (unsigned i = 0; i < 2 * fit; i++)
        there += has(memo, key_of(i), nd_buf_str(&text));
    assert_int_equal(there, fit);
    nd_buf_putc(&text, 'y');
    nd_memo_keep(memo, "larger", nd_buf_str(&text));
    assert_false(has(memo, "larger", nd_buf_str(&text)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_kept_is_found_by_its_whole_key),
        cmocka_unit_test(the_one_not_asked_for_the_longest_goes),
        cmocka_unit_test(bytes_are_bounded_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
