/* Platforms: spellings, and what runs on what. */

#include "oci/platform.h"

#include "check.h"

static void
check_format(const struct nd_platform *p, const char *want)
{
    char text[ND_PLATFORM_TEXT_SIZE];

    nd_platform_format(p, text);
    assert_string_equal(text, want);
}

static struct nd_platform
parse(const char *text)
{
    struct nd_platform p;

    check_ok(nd_platform_parse(nd_str(text), &p));
    return p;
}

static void
spellings_become_one(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"linux/amd64", "linux/amd64"},
        {"linux/x86_64", "linux/amd64"},
        {"LINUX/X86-64", "linux/amd64"},
        {"linux/amd64/v1", "linux/amd64"},
        {"linux/amd64/v3", "linux/amd64/v3"},
        {"linux/i386", "linux/386"},
        {"linux/386/x", "linux/386"},
        {"linux/aarch64", "linux/arm64"},
        {"linux/arm64/v8", "linux/arm64"},
        {"linux/arm64/8", "linux/arm64"},
        {"linux/arm64/v9", "linux/arm64/v9"},
        {"linux/arm", "linux/arm/v7"},
        {"linux/arm/6", "linux/arm/v6"},
        {"linux/arm/v5", "linux/arm/v5"},
        {"linux/armhf", "linux/arm/v7"},
        {"linux/armel", "linux/arm/v6"},
        {"linux/ppc64le", "linux/ppc64le"},
        {"linux/some-thing_1.2", "linux/some-thing_1.2"},
        {"macos/arm64", "darwin/arm64"},
        {"windows/amd64", "windows/amd64"},
        {"arm64", "linux/arm64"},
        {"aarch64", "linux/arm64"},
        {"armhf", "linux/arm/v7"},
        {"s390x", "linux/s390x"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        struct nd_platform p = parse(rows[i].in);

        check_format(&p, rows[i].out);
    }
}

static void
broken_platforms_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "/",
        "linux/",
        "/amd64",
        "linux//v7",
        "linux/amd64/",
        "linux/arm/v7/x",
        "linux/a b",
        "linux/\xc3\xa4",
        "something",
        "lin*x/amd64",
        "linux/amd64,linux/arm64",
        "linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        struct nd_platform p;

        check_row(i, rows[i], nd_platform_parse(nd_str(rows[i]), &p), ND_INVALID);
    }
}

static void
the_longest_part_fits(void **state)
{
    struct nd_platform p = parse("linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");

    (void)state;
    assert_int_equal(strlen(p.architecture), ND_PLATFORM_PART_SIZE - 1);
}

static void
an_operating_system_alone_takes_the_hosts_architecture(void **state)
{
    struct nd_platform host, p = parse("linux");

    (void)state;
    nd_platform_host(&host);
    assert_true(nd_platform_eq(&host, &p));
    assert_string_equal(host.os, "linux");
}

static void
unknown_parts_are_empty(void **state)
{
    struct nd_platform p;

    (void)state;
    check_ok(nd_platform_make(ND_STR_NONE, ND_STR_NONE, ND_STR_NONE, &p));
    check_format(&p, "");
}

static void
a_machine_runs_what_is_in_its_list(void **state)
{
    static const struct {
        const char *machine, *image;
        bool runs;
    } rows[] = {
        {"linux/amd64", "linux/amd64", true},        {"linux/amd64", "linux/386", true},
        {"linux/amd64", "linux/amd64/v2", false},    {"linux/amd64", "linux/arm64", false},
        {"linux/amd64", "windows/amd64", false},     {"linux/amd64", "unknown/unknown", false},
        {"linux/amd64/v3", "linux/amd64", true},     {"linux/amd64/v3", "linux/amd64/v2", true},
        {"linux/amd64/v3", "linux/amd64/v4", false}, {"linux/arm64", "linux/arm/v7", true},
        {"linux/arm64", "linux/arm/v8", true},       {"linux/arm64", "linux/arm64/v8", true},
        {"linux/arm64/v9", "linux/arm64", true},     {"linux/arm/v7", "linux/arm/v6", true},
        {"linux/arm/v6", "linux/arm/v7", false},     {"linux/arm/v7", "linux/arm64", false},
        {"linux/386", "linux/amd64", false},         {"linux/riscv64", "linux/riscv64", true},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        struct nd_platform machine = parse(rows[i].machine), image = parse(rows[i].image);

        if (nd_platform_runs(&machine, &image) != rows[i].runs)
            fail_msg("%s on %s", rows[i].image, rows[i].machine);
    }
}

static void
the_nearest_is_better(void **state)
{
    struct nd_platform machine = parse("linux/arm64"), exact = parse("linux/arm64"),
                       v7 = parse("linux/arm/v7"), v6 = parse("linux/arm/v6"),
                       other = parse("linux/amd64");

    (void)state;
    assert_true(nd_platform_better(&machine, &exact, &v7));
    assert_true(nd_platform_better(&machine, &v7, &v6));
    assert_false(nd_platform_better(&machine, &v6, &v7));
    assert_false(nd_platform_better(&machine, &v7, &v7));
    assert_true(nd_platform_better(&machine, &v6, &other));
    assert_false(nd_platform_better(&machine, &other, &v6));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spellings_become_one),
        cmocka_unit_test(broken_platforms_are_refused),
        cmocka_unit_test(the_longest_part_fits),
        cmocka_unit_test(an_operating_system_alone_takes_the_hosts_architecture),
        cmocka_unit_test(unknown_parts_are_empty),
        cmocka_unit_test(a_machine_runs_what_is_in_its_list),
        cmocka_unit_test(the_nearest_is_better),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
