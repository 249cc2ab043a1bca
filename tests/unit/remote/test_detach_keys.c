/* The keys that leave a terminal: no other key is lost, none comes twice. */

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

#include "detach_keys.h"

static struct nd_detach_keys
keys_of(const char *text)
{
    struct nd_detach_keys keys;

    assert_null(nd_detach_keys_parse(nd_str(text), &keys));
    return keys;
}

static void
sequences_are_understood(void **state)
{
    static const struct {
        const char *text, *keys;
    } cases[] = {
        {"ctrl-p,ctrl-q", "\x10\x11"},
        {"a", "a"},
        {"ctrl-a,d", "\x01"
                     "d"},
        {"CTRL-Z", "\x1a"},
        {"ctrl-[", "\x1b"},
        {"ctrl-_,x,y", "\x1fxy"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_detach_keys keys = keys_of(cases[i].text);

        assert_int_equal(keys.n, strlen(cases[i].keys));
        assert_memory_equal(keys.keys, cases[i].keys, keys.n);
    }
    assert_int_equal(keys_of("").n, 0);
    assert_int_equal(keys_of("ctrl-@").keys[0], 0);
}

static void
what_is_no_sequence_is_refused(void **state)
{
    static const char *const cases[] = {"ctrl-", "ctrl-1", "ctrl-pp",
                                        "ab",    ",",      "a,,b",
                                        "alt-x", "ctrl p", "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a"};

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_detach_keys keys;
        struct nd_error *err = nd_detach_keys_parse(nd_str(cases[i]), &keys);

        if (err == NULL)
            print_error("\"%s\" was taken\n", cases[i]);
        assert_int_equal(nd_error_code(err), ND_INVALID);
        nd_error_free(err);
    }
}

static void
typed_keys_pass_or_detach(void **state)
{
    static const struct {
        const char *keys, *typed, *passed;
        bool detaches;
    } cases[] = {
        {"ctrl-p,ctrl-q", "ls\n", "ls\n", false},
        {"ctrl-p,ctrl-q", "ls\x10\x11", "ls", true},
        {"ctrl-p,ctrl-q", "\x10x", "\x10x", false},
        {"ctrl-p,ctrl-q", "\x10\x10\x11more", "\x10", true},
        {"ctrl-p,ctrl-q", "\x11\x10", "\x11", false}, /* the last is held back */
        {"a,a,b", "aaab", "a", true},
        {"a,b,a,c", "ababac", "ab", true},
        {"", "\x10\x11", "\x10\x11", false},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_detach_keys keys = keys_of(cases[i].keys);
        char passed[64];
        size_t len, at_once = strlen(cases[i].passed);

        assert_int_equal(nd_detach_keys_filter(&keys, nd_str(cases[i].typed), passed, &len),
                         cases[i].detaches);
        assert_int_equal(len, at_once);
        assert_memory_equal(passed, cases[i].passed, len);
    }
}

/* However it is cut into pieces, what passes is the same. */
static void
pieces_do_not_matter(void **state)
{
    (void)state;
    for (size_t round = 0; round < 2000; round++) {
        struct nd_detach_keys whole = keys_of("a,b,a"), parts = whole;
        char typed[24], once[64], cut[64];
        size_t n_once = 0, n_cut = 0;
        bool left_once, left_cut = false;

        for (size_t i = 0; i < sizeof(typed); i++)
            typed[i] = (char)('a' + nd_random_u64() % 3);
        left_once = nd_detach_keys_filter(&whole, nd_str_n(typed, sizeof(typed)), once, &n_once);
        for (size_t i = 0; i < sizeof(typed) && !left_cut; i++) {
            size_t n = 0;

            left_cut = nd_detach_keys_filter(&parts, nd_str_n(typed + i, 1), cut + n_cut, &n);
            n_cut += n;
        }
        assert_int_equal(left_once, left_cut);
        assert_int_equal(n_once, n_cut);
        assert_memory_equal(once, cut, n_cut);
        assert_memory_equal(once, typed, n_once);
        assert_int_equal(left_once, memmem(typed, sizeof(typed), "aba", 3) != NULL);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_are_understood),
        cmocka_unit_test(what_is_no_sequence_is_refused),
        cmocka_unit_test(typed_keys_pass_or_detach),
        cmocka_unit_test(pieces_do_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
