/* Which entries of a folder are rotated files of a log. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "wire/rotated.h"

static void
only_a_log_with_a_number_behind_it_is_a_rotated_one(void **state)
{
    static const struct {
        const char *name;
        uint64_t number;
    } cases[] = {
        {"a.log.1", 1},
        {"a.log.10", 10},
        {"a.log.4294967296", 4294967296},
        {"a.log.42949672959", 42949672959},
        {"a.log.42949672960", 0},
        {"a.log.99999999999999999999999", 0},
        {"a.log", 0},
        {"a.log.", 0},
        {"a.log.0", 0},
        {"a.log.01", 0},
        {"a.log.-1", 0},
        {"a.log.1 ", 0},
        {"a.log.1.gz", 0},
        {"a.log1", 0},
        {"a.log-1", 0},
        {"b.log.1", 0},
        {"a.lo.1", 0},
        {"", 0},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        if (nd_wire_rotated_number(cases[i].name, "a.log") != cases[i].number)
            fail_msg("\"%s\"", cases[i].name);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_log_with_a_number_behind_it_is_a_rotated_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
