/*
 * Capabilities by name, and what --cap-add and --cap-drop make of the default.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "oci/capability.h"

#define HOST_ALL (ND_CAP_BIT(ND_CAP_COUNT) - 1)

static void
names_are_read_in_any_case_with_and_without_prefix(void **state)
{
    static const char *const spellings[] = {"SYS_ADMIN", "sys_admin", "CAP_SYS_ADMIN",
                                            "cap_Sys_Admin"};

    (void)state;
    for (size_t i = 0; i < ND_LEN(spellings); i++) {
        unsigned cap = 0;

        assert_null(nd_cap_parse(nd_str(spellings[i]), &cap));
        assert_int_equal(cap, ND_CAP_SYS_ADMIN);
    }
}

static void
the_table_agrees_with_the_kernels_numbers(void **state)
{
    (void)state;
    assert_string_equal(nd_cap_name(0), "CAP_CHOWN");
    assert_string_equal(nd_cap_name(ND_CAP_SYS_ADMIN), "CAP_SYS_ADMIN");
    assert_string_equal(nd_cap_name(ND_CAP_SYSLOG), "CAP_SYSLOG");
    assert_string_equal(nd_cap_name(ND_CAP_BPF), "CAP_BPF");
    assert_string_equal(nd_cap_name(40), "CAP_CHECKPOINT_RESTORE");
    assert_null(nd_cap_name(ND_CAP_COUNT));
}

static nd_capset
apply(const char *add, const char *drop)
{
    nd_capset set = 0;

    assert_null(nd_cap_apply(HOST_ALL, &add, add != NULL, &drop, drop != NULL, &set));
    return set;
}

static void
adding_and_dropping_follow_docker(void **state)
{
    const nd_capset defaults = nd_cap_default();

    (void)state;
    assert_int_equal(__builtin_popcountll(defaults), 14);
    assert_true(apply(NULL, NULL) == defaults);
    assert_true(apply("SYS_ADMIN", NULL) == (defaults | ND_CAP_BIT(ND_CAP_SYS_ADMIN)));
    assert_true(apply(NULL, "CHOWN") == (defaults & ~ND_CAP_BIT(0)));
    assert_true(apply(NULL, "ALL") == 0);
    assert_true(apply("all", NULL) == HOST_ALL);
    assert_true(apply("CHOWN", "ALL") == ND_CAP_BIT(0));
    assert_true(apply("ALL", "CHOWN") == (HOST_ALL & ~ND_CAP_BIT(0)));
}

static void
unknown_and_missing_ones_are_refused_by_field(void **state)
{
    static const char *const add[] = {"CHOWN", "NOT_A_CAP"};
    static const char *const bpf[] = {"BPF"};
    nd_capset set = 42;
    struct nd_error *err;

    (void)state;
    err = nd_cap_apply(HOST_ALL, add, ND_LEN(add), NULL, 0, &set);
    assert_int_equal(nd_error_code(err), ND_INVALID);
    assert_string_equal(nd_error_get_field(err), "cap_add[1]");
    nd_error_free(err);
    err = nd_cap_apply(nd_cap_default(), bpf, ND_LEN(bpf), NULL, 0, &set);
    assert_string_equal(nd_error_get_field(err), "cap_add[0]");
    nd_error_free(err);
    err = nd_cap_apply(HOST_ALL, NULL, 0, add, ND_LEN(add), &set);
    assert_string_equal(nd_error_get_field(err), "cap_drop[1]");
    nd_error_free(err);
    assert_true(set == 42);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_in_any_case_with_and_without_prefix),
        cmocka_unit_test(the_table_agrees_with_the_kernels_numbers),
        cmocka_unit_test(adding_and_dropping_follow_docker),
        cmocka_unit_test(unknown_and_missing_ones_are_refused_by_field),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
