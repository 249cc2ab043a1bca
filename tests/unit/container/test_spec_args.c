/* The command out of a spec, without decoding the rest, and out of texts that are none. */

#include "check.h"
#include "spec_args_priv.h"

static void
args_are_found(void **state)
{
    static const struct {
        const char *spec;
        size_t n;
        const char *first;
    } cases[] = {
        {"{\"process\":{\"args\":[\"sh\",\"-c\",\"x\"]}}", 3, "sh"},
        {"{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":true,\"user\":{\"uid\":0,\"gid\":0},"
         "\"args\":[\"a\"],\"env\":[]}}",
         1, "a"},
        {" { \"x\" : [ { \"process\" : 1 } , \"}\" ] , \"process\" : { \"args\" : [ \"b\" ] } }", 1,
         "b"},
        {"{\"x\":\"\\\"process\\\":{\",\"process\":{\"y\":\"\\\\\",\"args\":[\"c\"]}}", 1, "c"},
        {"{\"process\":{\"args\":[\"\\u0041\\n\"]}}", 1, "A\n"},
        {"{\"root\":{\"process\":{\"args\":[\"no\"]}},\"process\":{\"args\":[\"yes\"]}}", 1, "yes"},
        {"{\"process\":{\"args\":[]}}", 0, NULL},
        {"{\"process\":{\"args\":null}}", 0, NULL},
        {"{\"process\":{\"cwd\":\"/\"}}", 0, NULL},
        {"{\"process\":null}", 0, NULL},
        {"{\"process\":{\"args\":\"text\"}}", 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        char **args;
        size_t n;

        nd_spec_args(nd_str(cases[i].spec), arena, &args, &n);
        assert_int_equal(n, cases[i].n);
        if (n > 0)
            assert_string_equal(args[0], cases[i].first);
    }
}

static void
broken_texts_have_no_args(void **state)
{
    static const char whole[] =
        "{\"x\":[{\"y\":\"z\\\"\"},1.5e3],\"process\":{\"user\":{},\"args\":[\"sh\",\"-c\"]}}";
    static const char *const cases[] = {
        "",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "{\"process",
        "{\"process\"",
        "{\"process\":",
        "{\"process\":{\"args\":[",
        "{\"process\":{\"args\":[\"a\"",
        "[\"process\"]",
        "process",
        "{\"process\":{\"args\":[1,2}}",
        "{\"process\":{\"args\":[\"a\\\"",
        "{,}",
        "{\"a\":}",
        "\\\\\\\\",
        "{\"a\":{{{{{{{{",
        "{\"\\",
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        char **args;
        size_t n;

        nd_spec_args(nd_str(cases[i]), arena, &args, &n);
        assert_int_equal(n, 0);
    }
    /* Cut anywhere: no read beyond the end (the sanitizers watch a copy of exactly that size). */
    for (size_t len = 0; len < sizeof(whole); len++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        char *copy = test_malloc(len + 1);
        char **args;
        size_t n;

        memcpy(copy, whole, len);
        nd_spec_args(nd_str_n(copy, len), arena, &args, &n);
        assert_true(n == 0 || n == 2);
        test_free(copy);
    }
}

static void
deep_nesting_is_given_up(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    char spec[300] = "{\"x\":";
    char **args;
    size_t n;

    (void)state;
    memset(spec + 5, '[', 100);
    memset(spec + 105, ']', 100);
    memcpy(spec + 205, ",\"process\":{\"args\":[\"a\"]}}",
           sizeof(",\"process\":{\"args\":[\"a\"]}}"));
    nd_spec_args(nd_str(spec), arena, &args, &n);
    assert_int_equal(n, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(args_are_found),
        cmocka_unit_test(broken_texts_have_no_args),
        cmocka_unit_test(deep_nesting_is_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
