/* Random identifiers. */

#include "base/random.h"
#include "base/str.h"

#include "check.h"

static void
hex_has_the_length_asked_for(void **state)
{
    static const size_t sizes[] = {0, 1, 31, 32, 33, 64};

    (void)state;
    for (size_t i = 0; i < ND_LEN(sizes); i++) {
        char text[130];

        memset(text, 'x', sizeof(text));
        nd_random_hex(text, sizes[i]);
        assert_int_equal(strlen(text), 2 * sizes[i]);
        assert_true(sizes[i] == 0 || nd_str_is_hex(nd_str(text)));
    }
}

static void
two_draws_differ(void **state)
{
    char a[65], b[65];

    (void)state;
    nd_random_hex(a, 32);
    nd_random_hex(b, 32);
    assert_string_not_equal(a, b);
    assert_true(nd_random_u64() != nd_random_u64() || nd_random_u64() != nd_random_u64());
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_has_the_length_asked_for),
        cmocka_unit_test(two_draws_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
