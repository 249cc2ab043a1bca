/* Texts of the machine: os-release and meminfo. */

#include "../check.h"
#include "machine_priv.h"

static void
values_of_os_release(void **state)
{
    static const struct {
        const char *file, *want;
    } cases[] = {
        {"ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
         "Debian GNU/Linux 12 (bookworm)"},
        {"PRETTY_NAME=Alpine\n", "Alpine"},
        {"PRETTY_NAME='single \\\"'\n", "single \\\""},
        {"PRETTY_NAME=\"a \\\"quoted\\\" \\$x\"\r\n", "a \"quoted\" $x"},
        {"NOT_PRETTY_NAME=x\n#PRETTY_NAME=y\n", ""},
        {"PRETTY_NAME=\"unfinished\\", "unfinished\\"},
        {"PRETTY_NAME=\"", ""},
        {"PRETTY_NAME=", ""},
        {"PRETTY_NAME", ""},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        struct nd_str value = nd_os_release_find(nd_str(cases[i].file), "PRETTY_NAME", arena);

        if (!nd_str_eqz(value, cases[i].want))
            fail_msg("row %zu: \"%.*s\", not \"%s\"", i, ND_STR_ARG(value), cases[i].want);
    }
}

static void
memory_of_meminfo(void **state)
{
    static const struct {
        const char *file;
        uint64_t want;
    } cases[] = {
        {"MemTotal:        8123456 kB\nMemFree: 1 kB\n", UINT64_C(8123456) * 1024},
        {"MemFree: 1 kB\nMemTotal: 5 kB", 5 * 1024},
        {"MemTotal: 18446744073709551615 kB\n", 0},
        {"MemTotal: -5 kB\n", 0},
        {"MemTotal: kB\n", 0},
        {"MemTotal:\n", 0},
        {"", 0},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++)
        assert_int_equal(nd_meminfo_total(nd_str(cases[i].file)), cases[i].want);
}

static void
this_machine_has_processors_and_memory(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct machine machine;

    (void)state;
    nd_machine_look(arena, &machine);
    assert_true(machine.n_cpus > 0);
    assert_true(machine.memory_bytes > 0);
    assert_string_not_equal(machine.name, "");
    assert_string_not_equal(machine.architecture, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_os_release),
        cmocka_unit_test(memory_of_meminfo),
        cmocka_unit_test(this_machine_has_processors_and_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
