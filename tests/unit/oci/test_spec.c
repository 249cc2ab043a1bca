/*
 * The run spec, field by field against what nerdctl makes of `run -d IMAGE` (contracts 4.1 to 4.7),
 * and what each kind of option changes. The text is searched as text: keys are written in a fixed
 * order, so a fragment identifies its place.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "oci/seccomp.h"
#include "oci/spec.h"

static const char *const args[] = {"/bin/sh", "-c", "echo \"hi\"\n"};
static const char *const env[] = {"PATH=/bin", "HOSTNAME=abc"};

static struct nd_spec_input
plain_input(void)
{
    return (struct nd_spec_input){
        .args = args,
        .n_args = ND_LEN(args),
        .env = env,
        .n_env = ND_LEN(env),
        .cwd = "/",
        .caps = nd_cap_default(),
        .hostname = "abc",
        .cgroups_path = "/default/id",
        .cgroup = {.mode = ND_NS_HOST},
        .kernel_major = 6,
        .kernel_minor = 1,
        .arch = "amd64",
    };
}

static void
build(const struct nd_spec_input *in, struct nd_buf *text)
{
    assert_null(nd_spec_build(in, text));
}

static void
has(const struct nd_buf *text, const char *fragment)
{
    if (strstr(text->ptr, fragment) == NULL)
        fail_msg("not in the spec: %s\n%s", fragment, text->ptr);
}

static void
lacks(const struct nd_buf *text, const char *fragment)
{
    if (strstr(text->ptr, fragment) != NULL)
        fail_msg("in the spec: %s", fragment);
}

static void
a_plain_container_is_as_nerdctl_makes_it(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf t = ND_BUF_INIT(ND_SPEC_MAX_BYTES);
    struct nd_spec_input in = plain_input();

    (void)state;
    build(&in, &t);
    has(&t, "{\"ociVersion\":\"1.0.2\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},"
            "\"args\":[\"/bin/sh\",\"-c\",\"echo \\\"hi\\\"\\n\"],"
            "\"env\":[\"PATH=/bin\",\"HOSTNAME=abc\"],\"cwd\":\"/\","
            "\"capabilities\":{\"bounding\":[\"CAP_CHOWN\",\"CAP_DAC_OVERRIDE\",");
    has(&t, "\"CAP_SETFCAP\"]}},\"root\":{\"path\":\"rootfs\"},\"hostname\":\"abc\",\"mounts\":[");
    lacks(&t, "inheritable");
    lacks(&t, "ambient");
    lacks(&t, "noNewPrivileges");
    lacks(&t, "rlimits");
    lacks(&t, "oomScoreAdj");
    lacks(&t, "apparmorProfile");
    lacks(&t, "hooks");
    has(&t, "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},"
            "{\"type\":\"mount\"},{\"type\":\"network\"}]");
    has(&t, "\"cgroupsPath\":\"/default/id\"");
    has(&t, "\"memory\":{},\"cpu\":{\"realtimeRuntime\":0,\"realtimePeriod\":0}");
    has(&t, "\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},"
            "{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"rwm\"}");
    has(&t, "{\"allow\":true,\"type\":\"c\",\"major\":136,\"access\":\"rwm\"}");
    has(&t, "\"maskedPaths\":[\"/proc/acpi\",\"/proc/asound\",\"/proc/kcore\",\"/proc/keys\","
            "\"/proc/latency_stats\",\"/proc/timer_list\",\"/proc/timer_stats\","
            "\"/proc/sched_debug\",\"/sys/firmware\",\"/sys/devices/virtual/powercap\","
            "\"/proc/scsi\"],\"readonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\","
            "\"/proc/sys\",\"/proc/sysrq-trigger\"]");
}

static void
default_mounts_come_sorted_and_etc_files_last(void **state)
{
    static const char *const rbind[] = {"rbind"};
    static const struct nd_spec_mount user[] = {
        {"/a/b/c/d", "none", "/src", rbind, 1},
        {"/data", "none", "/src2", rbind, 1},
    };
    static const struct nd_spec_mount etc[] = {{"/etc/hosts", "bind", "/h", rbind, 1}};
    ND_AUTO(nd_buf_fini) struct nd_buf t = ND_BUF_INIT(ND_SPEC_MAX_BYTES);
    struct nd_spec_input in = plain_input();
    static const char *const order[] = {
        "\"destination\":\"/proc\"",    "\"destination\":\"/dev\"",
        "\"destination\":\"/sys\"",     "\"destination\":\"/data\"",
        "\"destination\":\"/dev/pts\"", "\"destination\":\"/dev/shm\"",
        "\"destination\":\"/a/b/c/d\"", "\"destination\":\"/etc/hosts\""};
    const char *at;

    (void)state;
    in.mounts = user;
    in.n_mounts = ND_LEN(user);
    in.etc_mounts = etc;
    in.n_etc_mounts = ND_LEN(etc);
    build(&in, &t);
    assert_non_null(t.ptr);
    at = t.ptr;
    for (size_t i = 0; i < ND_LEN(order); i++) {
        const char *found = strstr(at, order[i]);

        if (found == NULL)
            fail_msg("%s is missing or out of order", order[i]);
        at = found;
    }
    has(&t,
        "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"nosuid\","
        "\"strictatime\",\"mode=755\",\"size=65536k\"]}");
}

static void
user_mounts_replace_defaults(void **state)
{
    static const struct nd_spec_mount dev[] = {{"/dev", "none", "/dev", NULL, 0}};
    static const struct nd_spec_mount twice[] = {{"/x", "none", "/1", NULL, 0},
                                                 {"/x", "none", "/2", NULL, 0}};
    ND_AUTO(nd_buf_fini) struct nd_buf t = ND_BUF_INIT(ND_SPEC_MAX_BYTES);
    struct nd_spec_input in = plain_input();
    struct nd_error *err;

    (void)state;
    in.mounts = dev;
    in.n_mounts = 1;
    build(&in, &t);
    lacks(&t, "/dev/pts");
    lacks(&t, "/dev/shm");
    has(&t, "\"destination\":\"/sys/fs/cgroup\"");
    in.mounts = twice;
    in.n_mounts = 2;
    nd_buf_clear(&t);
    err = nd_spec_build(&in, &t);
    assert_int_equal(nd_error_code(err), ND_INVALID);
    assert_int_equal(t.len, 0);
    nd_error_free(err);
}

static void
shared_namespaces_leave_the_list(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf t = ND_BUF_INIT(ND_SPEC_MAX_BYTES);
    struct nd_spec_input in = plain_input();

    (void)state;
    in.network = (struct nd_spec_ns){.mode = ND_NS_PATH, .path = "/run/netns/x"};
    in.pid.mode = ND_NS_HOST;
    in.ipc.mode = ND_NS_HOST;
    in.cgroup.mode = ND_NS_PRIVATE;
    build(&in, &t);
    has(&t, "\"namespaces\":[{\"type\":\"uts\"},{\"type\":\"mount\"},"
            "{\"type\":\"network\",\"path\":\"/run/netns/x\"},{\"type\":\"cgroup\"}]");
    has(&t, "{\"destination\":\"/dev/shm\",\"type\":\"bind\",\"source\":\"/dev/shm\",\"options\":"
            "[\"rbind\",\"nosuid\",\"noexec\",\"nodev\"]}");
    has(&t, "{\"destination\":\"/dev/mqueue\",\"type\":\"bind\"");
}

static void
a_privileged_container_is_not_confined(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf t = ND_BUF_INIT(ND_SPEC_MAX_BYTES);
    struct nd_spec_input in = plain_input();

    (void)state;
    in.privileged = true;
    build(&in, &t);
    lacks(&t, "seccomp");
    lacks(&t, "maskedPaths");
    lacks(&t, "readonlyPaths");
    has(&t, "\"devices\":[{\"allow\":true,\"access\":\"rwm\"}]");
    has(&t, "\"type\":\"sysfs\",\"source\":\"sysfs\",\"options\":[\"nosuid\",\"noexec\",\"nodev\","
            "\"rw\"]");
}

static void
limits_and_flags_are_written(void **state)
{
    static const struct nd_spec_rlimit rlimits[] = {{"nofile", 1024, 4096}};
    static const struct nd_spec_pair sysctls[] = {{"net.ipv4.ip_unprivileged_port_start", "0"}};
    static const struct nd_spec_pair notes[] = {{"nerdctl/name", "web"}};
    static const uint32_t gids[] = {0, 10};
    ND_AUTO(nd_buf_fini) struct nd_buf t = ND_BUF_INIT(ND_SPEC_MAX_BYTES);
    struct nd_spec_input in = plain_input();

    (void)state;
    in.tty = true;
    in.gids = gids;
    in.n_gids = 2;
    in.readonly_root = true;
    in.no_new_privileges = true;
    in.has_oom_score_adj = true;
    in.rlimits = rlimits;
    in.n_rlimits = 1;
    in.sysctls = sysctls;
    in.n_sysctls = 1;
    in.annotations = notes;
    in.n_annotations = 1;
    in.shm_size_bytes = 1 << 20;
    in.resources = (struct nd_spec_resources){.memory = 1000,
                                              .memory_swap = 2000,
                                              .has_cpu_quota = true,
                                              .cpu_quota = -1,
                                              .cpuset_cpus = "0-1",
                                              .pids_limit = 7,
                                              .blkio_weight = 100};
    build(&in, &t);
    has(&t,
        "\"process\":{\"terminal\":true,\"user\":{\"uid\":0,\"gid\":0,\"additionalGids\":[0,10]}");
    has(&t, "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":4096,\"soft\":1024}]");
    has(&t, "\"noNewPrivileges\":true,\"oomScoreAdj\":0}");
    has(&t, "\"root\":{\"path\":\"rootfs\",\"readonly\":true}");
    has(&t, "\"sysctl\":{\"net.ipv4.ip_unprivileged_port_start\":\"0\"}");
    has(&t, "\"annotations\":{\"nerdctl/name\":\"web\"}");
    has(&t, "\"size=1024k\"");
    has(&t, "\"memory\":{\"limit\":1000,\"swap\":2000},\"cpu\":{\"quota\":-1,\"realtimeRuntime\":0,"
            "\"realtimePeriod\":0,\"cpus\":\"0-1\"},\"pids\":{\"limit\":7},\"blockIO\":{\"weight\":"
            "100}");
}

static void
seccomp_follows_the_capabilities(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf plain = ND_BUF_INIT(ND_SPEC_MAX_BYTES);
    ND_AUTO(nd_buf_fini) struct nd_buf admin = ND_BUF_INIT(ND_SPEC_MAX_BYTES);
    struct nd_json_writer wp = ND_JSON_WRITER(&plain), wa = ND_JSON_WRITER(&admin);
    struct nd_seccomp_input in = {
        .bounding = nd_cap_default(), .kernel_major = 6, .kernel_minor = 1, .arch = "amd64"};

    (void)state;
    nd_seccomp_write(&in, &wp);
    has(&plain, "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,\"architectures\":["
                "\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"]");
    has(&plain, "{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,"
                "\"value\":38,\"op\":\"SCMP_CMP_LT\"}]}");
    has(&plain, "{\"names\":[\"clone\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,"
                "\"value\":2114060288,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}");
    has(&plain, "{\"names\":[\"clone3\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":38}");
    has(&plain, "{\"names\":[\"chroot\"],\"action\":\"SCMP_ACT_ALLOW\"}");
    lacks(&plain, "\"mount\"");
    in.bounding |= ND_CAP_BIT(ND_CAP_SYS_ADMIN);
    nd_seccomp_write(&in, &wa);
    has(&admin, "\"mount\"");
    lacks(&admin, "SCMP_CMP_MASKED_EQ");
    lacks(&admin, "\"errnoRet\":38");
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_container_is_as_nerdctl_makes_it),
        cmocka_unit_test(default_mounts_come_sorted_and_etc_files_last),
        cmocka_unit_test(user_mounts_replace_defaults),
        cmocka_unit_test(shared_namespaces_leave_the_list),
        cmocka_unit_test(a_privileged_container_is_not_confined),
        cmocka_unit_test(limits_and_flags_are_written),
        cmocka_unit_test(seccomp_follows_the_capabilities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
