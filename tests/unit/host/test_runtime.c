/* What the runtime program says of itself. */

#include "../check.h"
#include "runtime_priv.h"

static void
version_of_the_runtime(void **state)
{
    static const struct {
        struct nd_str output;
        const char *version, *commit; /* NULL: refused */
    } cases[] = {
        {ND_STR("runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1\nspec: 1.0.2-dev\ngo: go1.19\n"),
         "1.1.5+ds1", "1.1.5+ds1-1"},
        {ND_STR("runc version 1.3.0"), "1.3.0", ""},
        {ND_STR("crun version 1.8\n"), NULL, NULL},
        {ND_STR("runc version \n"), NULL, NULL},
        {ND_STR("runc version \xff\n"), NULL, NULL},
        {ND_STR(""), NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        struct nd_host_runtime version;
        struct nd_error *err = nd_runtime_version_parse(cases[i].output, arena, &version);

        if (cases[i].version != NULL && err == NULL) {
            assert_string_equal(version.version, cases[i].version);
            assert_string_equal(version.commit, cases[i].commit);
        }
        check_row(i, "output", err, cases[i].version != NULL ? ND_OK : ND_UNAVAILABLE);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_of_the_runtime),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
