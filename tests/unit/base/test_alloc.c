/* Small heap objects. */

#include "base/alloc.h"

#include "check.h"

static void
new_objects_are_zeroed(void **state)
{
    ND_AUTO(nd_freep) unsigned char *bytes = nd_new_array(4096, unsigned char);

    (void)state;
    for (size_t i = 0; i < 4096; i++)
        assert_int_equal(bytes[i], 0);
}

static void
nothing_is_still_an_object(void **state)
{
    ND_AUTO(nd_freep) void *none = nd_calloc(0, 0);

    (void)state;
    assert_non_null(none);
    none = nd_realloc(none, 0, 8);
    assert_non_null(none);
}

static void
realloc_keeps_the_content(void **state)
{
    ND_AUTO(nd_freep) char *text = nd_strdup("abc");

    (void)state;
    text = nd_realloc(text, 100000, 1);
    assert_string_equal(text, "abc");
}

static void
copies_end_with_nul(void **state)
{
    ND_AUTO(nd_freep) char *part = nd_strndup("abcdef", 3);
    ND_AUTO(nd_freep) char *none = nd_strndup(NULL, 0);

    (void)state;
    assert_string_equal(part, "abc");
    assert_string_equal(none, "");
    assert_null(nd_strdup(NULL));
}

static void
asprintf_holds_any_length(void **state)
{
    ND_AUTO(nd_freep) char *text = nd_asprintf("%5000d|%s", 7, "end");

    (void)state;
    assert_int_equal(strlen(text), 5004);
    assert_string_equal(text + 4999, "7|end");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_objects_are_zeroed),    cmocka_unit_test(nothing_is_still_an_object),
        cmocka_unit_test(realloc_keeps_the_content), cmocka_unit_test(copies_end_with_nul),
        cmocka_unit_test(asprintf_holds_any_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
