/* The default seccomp profile, taken apart again: how many rules, and what each input changes. */

#include "codec/json.h"
#include "oci/seccomp.h"

#include "check.h"

static struct nd_json *
profile(const struct nd_seccomp_input *in)
{
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(1 << 20);
    struct nd_json_writer w = ND_JSON_WRITER(&text);
    struct nd_json *value = NULL;

    nd_seccomp_write(in, &w);
    check_ok(nd_json_parse(nd_buf_str(&text), NULL, &value));
    return value;
}

static const struct nd_json *
rule_at(const struct nd_json *profile, size_t i)
{
    return nd_json_at(nd_json_find(profile, "syscalls"), i);
}

static size_t
n_rules(const struct nd_json *profile)
{
    return nd_json_count(nd_json_find(profile, "syscalls"));
}

static bool
has_name(const struct nd_json *rule, const char *name)
{
    const struct nd_json *names = nd_json_find(rule, "names");

    for (size_t i = 0; i < nd_json_count(names); i++) {
        if (nd_str_eqz(nd_json_string(nd_json_at(names, i)), name))
            return true;
    }
    return false;
}

/* How many rules allow the call, whatever its arguments. */
static size_t
n_allowing(const struct nd_json *profile, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < n_rules(profile); i++) {
        const struct nd_json *rule = rule_at(profile, i);

        n += has_name(rule, name) && nd_json_find(rule, "args") == NULL &&
             nd_str_eqz(nd_json_string(nd_json_find(rule, "action")), "SCMP_ACT_ALLOW");
    }
    return n;
}

static const struct nd_seccomp_input base = {.kernel_major = 6, .kernel_minor = 1, .arch = "amd64"};

static void
the_default_set_gives_fourteen_rules(void **state)
{
    struct nd_seccomp_input in = base;
    ND_AUTO(nd_json_freep) struct nd_json *p = NULL;

    (void)state;
    in.bounding = nd_cap_default();
    p = profile(&in);
    /* always 1, socket 3, personality 5, ptrace 1, architecture 1, chroot 1, clone 1, clone3 1 */
    assert_int_equal(n_rules(p), 14);
    assert_int_equal(nd_json_count(nd_json_find(rule_at(p, 0), "names")), 363);
    assert_int_equal(n_allowing(p, "read"), 1);
    assert_int_equal(n_allowing(p, "chroot"), 1);
    assert_int_equal(n_allowing(p, "arch_prctl"), 1);
    assert_int_equal(n_allowing(p, "socket"), 0);
    assert_int_equal(n_allowing(p, "clone"), 0);
    assert_int_equal(n_allowing(p, "mount"), 0);
    assert_int_equal(n_allowing(p, "keyctl"), 0);
    assert_int_equal(n_allowing(p, "io_uring_setup"), 0);
}

static void
each_capability_adds_its_calls(void **state)
{
    static const struct {
        unsigned cap;
        const char *name;
    } rows[] = {
        {ND_CAP_DAC_READ_SEARCH, "open_by_handle_at"},
        {ND_CAP_SYS_ADMIN, "mount"},
        {ND_CAP_SYS_ADMIN, "clone3"},
        {ND_CAP_SYS_BOOT, "reboot"},
        {ND_CAP_SYS_CHROOT, "chroot"},
        {ND_CAP_SYS_MODULE, "init_module"},
        {ND_CAP_SYS_PACCT, "acct"},
        {ND_CAP_SYS_PTRACE, "kcmp"},
        {ND_CAP_SYS_RAWIO, "iopl"},
        {ND_CAP_SYS_TIME, "clock_settime"},
        {ND_CAP_SYS_TTY_CONFIG, "vhangup"},
        {ND_CAP_SYS_NICE, "mbind"},
        {ND_CAP_SYSLOG, "syslog"},
        {ND_CAP_BPF, "bpf"},
        {ND_CAP_PERFMON, "perf_event_open"},
    };
    ND_AUTO(nd_json_freep) struct nd_json *none = profile(&base);

    (void)state;
    assert_int_equal(n_rules(none), 13);
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        struct nd_seccomp_input in = base;
        ND_AUTO(nd_json_freep) struct nd_json *with = NULL;

        in.bounding = ND_CAP_BIT(rows[i].cap);
        with = profile(&in);
        assert_int_equal(n_allowing(none, rows[i].name), 0);
        assert_int_equal(n_allowing(with, rows[i].name), 1);
        assert_int_equal(n_rules(with), rows[i].cap == ND_CAP_SYS_ADMIN ? 12 : 14);
    }
}

static void
ptrace_needs_a_kernel_or_a_capability(void **state)
{
    static const struct {
        unsigned major, minor;
        nd_capset caps;
        size_t rules;
    } rows[] = {
        {4, 7, 0, 0},
        {4, 8, 0, 1},
        {5, 0, 0, 1},
        {3, 10, 0, 0},
        {4, 7, ND_CAP_BIT(ND_CAP_SYS_PTRACE), 1},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        struct nd_seccomp_input in = base;
        ND_AUTO(nd_json_freep) struct nd_json *p = NULL;

        in.kernel_major = rows[i].major;
        in.kernel_minor = rows[i].minor;
        in.bounding = rows[i].caps;
        p = profile(&in);
        assert_int_equal(n_allowing(p, "ptrace"), rows[i].rules);
    }
}

static void
architectures_bring_their_relatives_and_calls(void **state)
{
    static const struct {
        const char *arch, *last, *call;
        size_t n;
    } rows[] = {
        {"amd64", "SCMP_ARCH_X32", "modify_ldt", 3},
        {"arm64", "SCMP_ARCH_AARCH64", "set_tls", 2},
        {"s390x", "SCMP_ARCH_S390X", "s390_runtime_instr", 2},
        {"riscv64", "SCMP_ARCH_RISCV64", "riscv_hwprobe", 1},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        struct nd_seccomp_input in = base;
        ND_AUTO(nd_json_freep) struct nd_json *p = NULL;
        const struct nd_json *archs;

        in.arch = rows[i].arch;
        p = profile(&in);
        archs = nd_json_find(p, "architectures");
        assert_int_equal(nd_json_count(archs), rows[i].n);
        assert_true(nd_str_eqz(nd_json_string(nd_json_at(archs, rows[i].n - 1)), rows[i].last));
        assert_int_equal(n_allowing(p, rows[i].call), 1);
    }
}

/* The rules on socket() as libseccomp reads them: any of them suffices. */
static bool
socket_allowed(const struct nd_json *profile, uint64_t family)
{
    for (size_t i = 0; i < n_rules(profile); i++) {
        const struct nd_json *arg = nd_json_at(nd_json_find(rule_at(profile, i), "args"), 0);
        struct nd_str op = nd_json_string(nd_json_find(arg, "op"));
        uint64_t value;

        if (!has_name(rule_at(profile, i), "socket"))
            continue;
        check_ok(nd_json_get_u64(arg, "value", &value));
        if ((nd_str_eqz(op, "SCMP_CMP_LT") && family < value) ||
            (nd_str_eqz(op, "SCMP_CMP_EQ") && family == value) ||
            (nd_str_eqz(op, "SCMP_CMP_GT") && family > value))
            return true;
    }
    return false;
}

static void
only_two_address_families_are_refused(void **state)
{
    ND_AUTO(nd_json_freep) struct nd_json *p = profile(&base);

    (void)state;
    for (uint64_t family = 0; family < 64; family++)
        assert_int_equal(socket_allowed(p, family), family != 38 && family != 40);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_set_gives_fourteen_rules),
        cmocka_unit_test(each_capability_adds_its_calls),
        cmocka_unit_test(ptrace_needs_a_kernel_or_a_capability),
        cmocka_unit_test(architectures_bring_their_relatives_and_calls),
        cmocka_unit_test(only_two_address_families_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
