/* A configuration is right, or refused by the name of its field. */

#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "configs.h"
#include "plan_priv.h"

#define ARENA_MAX (64u * 1024u * 1024u)

/* clang-format off */
CHANGE(no_image) { c->image = (char *)""; }
CHANGE(long_image) { c->image = long_text(513); }
CHANGE(control_image) { c->image = (char *)"a\tb"; }
CHANGE(pull_always) { c->pull = PB__PULL_POLICY__PULL_POLICY_ALWAYS; }
CHANGE(pull_unknown) { c->pull = (Pb__PullPolicy)77; }
CHANGE(short_name) { c->name = (char *)"x"; }
CHANGE(slash_name) { c->name = (char *)"a/b"; }
CHANGE(empty_entrypoint) { TEXTS(entrypoint, (char *)""); }
CHANGE(long_arg) { TEXTS(args, (char *)"a", (char *)NULL); c->args[1] = long_text(ND_CONFIG_MAX_ARG_BYTES); }
CHANGE(many_args) { c->n_args = ND_CONFIG_MAX_ARGS + 1; }
CHANGE(bare_env) { TEXTS(env, (char *)"A=1", (char *)"B"); }
CHANGE(nameless_env) { TEXTS(env, (char *)"=x"); }
CHANGE(many_env) { c->n_env = ND_CONFIG_MAX_ENV + 1; }
CHANGE(relative_dir) { c->working_dir = (char *)"a/b"; }
CHANGE(dotdot_dir) { c->working_dir = (char *)"/a/../b"; }
CHANGE(two_colons) { c->user = (char *)"a:b:c"; }
CHANGE(no_user) { c->user = (char *)":5"; }
CHANGE(no_group) { c->user = (char *)"5:"; }
CHANGE(space_user) { c->user = (char *)"a b"; }
CHANGE(empty_group) { TEXTS(group_add, (char *)"5", (char *)""); }
CHANGE(long_host) { c->hostname = long_text(ND_HOSTNAME_MAX_BYTES + 1); }
CHANGE(space_host) { c->hostname = (char *)"a b"; }
CHANGE(dash_host) { c->hostname = (char *)"-a"; }
CHANGE(newline_domain) { c->domainname = (char *)"a\nb"; }
CHANGE(host_in_host_uts) { c->hostname = (char *)"h"; c->uts_mode = (char *)"host"; }
CHANGE(domain_in_host_uts) { c->domainname = (char *)"d"; c->uts_mode = (char *)"host"; }
CHANGE(reserved_label) { set_label(c, "nerdctl/name", "x"); }
CHANGE(our_label) { set_label(c, "nerdctl-grpc/x", "y"); }
CHANGE(gc_label) { set_label(c, "containerd.io/gc.root", "x"); }
CHANGE(stop_label) { set_label(c, "io.containerd.image.config.stop-signal", "x"); }
CHANGE(empty_label) { set_label(c, "", "x"); }
CHANGE(large_label) { set_label(c, "k", long_text(ND_LABEL_MAX_BYTES)); }
CHANGE(reserved_annotation) { set_annotation(c, "nerdctl/networks", "x"); }
CHANGE(group_annotation) { set_annotation(c, "io.containerd.runc.v2.group", "x"); }
CHANGE(empty_annotation) { set_annotation(c, "", "x"); }
CHANGE(no_network) { c->n_networks = 0; }
CHANGE(bridge_network) { set_networks(c, "bridge", NULL); }
CHANGE(shared_network) { set_networks(c, "container:x", NULL); }
CHANGE(unknown_network) { set_networks(c, "nosuch", NULL); }
CHANGE(empty_network) { set_networks(c, "", NULL); }
CHANGE(two_networks) { set_networks(c, "none", "host"); }
CHANGE(mount_no_target) { set_mount(c, "bind", "/etc", "", NULL); }
CHANGE(mount_relative_target) { set_mount(c, "bind", "/etc", "mnt", NULL); }
CHANGE(mount_root) { set_mount(c, "bind", "/etc", "//./", NULL); }
CHANGE(mount_dotdot) { set_mount(c, "bind", "/etc", "/a/../b", NULL); }
CHANGE(mount_relative_source) { set_mount(c, "bind", "etc", "/mnt", NULL); }
CHANGE(mount_no_source) { set_mount(c, "bind", "", "/mnt", NULL); }
CHANGE(mount_type) { set_mount(c, "nfs", "/etc", "/mnt", NULL); }
CHANGE(mount_option) { set_mount(c, "bind", "/etc", "/mnt", "explode"); }
CHANGE(mount_bind_size) { set_mount(c, "bind", "/etc", "/mnt", "size=1m"); }
CHANGE(tmpfs_source) { set_mount(c, "tmpfs", "/etc", "/mnt", NULL); }
CHANGE(tmpfs_size) { set_mount(c, "tmpfs", "", "/mnt", "size=lots"); }
CHANGE(tmpfs_mode) { set_mount(c, "tmpfs", "", "/mnt", "mode=9"); }
CHANGE(tmpfs_propagation) { set_mount(c, "tmpfs", "", "/mnt", "rshared"); }
CHANGE(volume) { set_mount(c, "volume", "data", "/mnt", NULL); }
CHANGE(volume_by_source) { set_mount(c, "", "data", "/mnt", NULL); }
CHANGE(ro_and_rw) { set_mount(c, "bind", "/etc", "/mnt", "rw"); c->mounts[0]->read_only = true; }
CHANGE(tmpfs_created) { set_mount(c, "tmpfs", "", "/mnt", NULL); c->mounts[0]->create_source = true; }
CHANGE(same_target) {
    static Pb__Mount a, b;
    static Pb__Mount *list[] = {&a, &b};
    pb__mount__init(&a);
    pb__mount__init(&b);
    a.source = b.source = (char *)"/etc";
    a.target = (char *)"/mnt";
    b.target = (char *)"/mnt//./";
    c->mounts = list;
    c->n_mounts = 2;
}
CHANGE(many_mounts) { c->n_mounts = ND_CONFIG_MAX_MOUNTS + 1; }
CHANGE(device_relative) { set_device(c, "null", "", ""); }
CHANGE(device_access) { set_device(c, "/dev/null", "", "rx"); }
CHANGE(device_access_twice) { set_device(c, "/dev/null", "", "rr"); }
CHANGE(device_inside) { set_device(c, "/dev/null", "x", ""); }
CHANGE(negative_memory) { set_resources(c)->memory = -5; }
CHANGE(tiny_memory) { set_resources(c)->memory = 6 * 1024 * 1024 - 1; }
CHANGE(swap_alone) { set_resources(c)->memory_swap = 1 << 30; }
CHANGE(swap_below) { Pb__Resources *r = set_resources(c); r->memory = 64 << 20; r->memory_swap = 32 << 20; }
CHANGE(swap_minus_two) { Pb__Resources *r = set_resources(c); r->memory = 64 << 20; r->memory_swap = -2; }
CHANGE(reservation) { set_resources(c)->memory_reservation = -1; }
CHANGE(reservation_above) { Pb__Resources *r = set_resources(c); r->memory = 64 << 20; r->memory_reservation = 65 << 20; }
CHANGE(swappiness) {
    Pb__Resources *r = set_resources(c);
    r->memory_swappiness_presence_case = PB__RESOURCES__MEMORY_SWAPPINESS_PRESENCE_MEMORY_SWAPPINESS;
    r->memory_swappiness = 101;
}
CHANGE(cpus_negative) { set_resources(c)->cpus = -1; }
CHANGE(cpus_nan) { set_resources(c)->cpus = NAN; }
CHANGE(cpus_infinite) { set_resources(c)->cpus = INFINITY; }
CHANGE(cpus_many) { set_resources(c)->cpus = 100000; }
CHANGE(cpus_and_quota) {
    Pb__Resources *r = set_resources(c);
    r->cpus = 0.5;
    r->cpu_quota_presence_case = PB__RESOURCES__CPU_QUOTA_PRESENCE_CPU_QUOTA;
    r->cpu_quota = 5000;
}
CHANGE(cpus_and_period) { Pb__Resources *r = set_resources(c); r->cpus = 0.5; r->cpu_period = 50000; }
CHANGE(quota_tiny) {
    Pb__Resources *r = set_resources(c);
    r->cpu_quota_presence_case = PB__RESOURCES__CPU_QUOTA_PRESENCE_CPU_QUOTA;
    r->cpu_quota = 999;
}
CHANGE(period_short) { set_resources(c)->cpu_period = 999; }
CHANGE(period_long) { set_resources(c)->cpu_period = 1000001; }
CHANGE(shares) { set_resources(c)->cpu_shares = 1; }
CHANGE(shares_many) { set_resources(c)->cpu_shares = 262145; }
CHANGE(rt_runtime) {
    Pb__Resources *r = set_resources(c);
    r->cpu_rt_period = 1000;
    r->cpu_rt_runtime_presence_case = PB__RESOURCES__CPU_RT_RUNTIME_PRESENCE_CPU_RT_RUNTIME;
    r->cpu_rt_runtime = 1001;
}
CHANGE(cpuset_words) { set_resources(c)->cpuset_cpus = (char *)"zero"; }
CHANGE(cpuset_reversed) { set_resources(c)->cpuset_cpus = (char *)"3-1"; }
CHANGE(cpuset_comma) { set_resources(c)->cpuset_cpus = (char *)"0,"; }
CHANGE(cpuset_empty_part) { set_resources(c)->cpuset_cpus = (char *)"0,,0"; }
CHANGE(cpuset_none_such) { set_resources(c)->cpuset_cpus = (char *)"0-8000"; }
CHANGE(mems_words) { set_resources(c)->cpuset_mems = (char *)"x"; }
CHANGE(pids) { set_resources(c)->pids_limit = -2; }
CHANGE(weight) { set_resources(c)->blkio_weight = 9; }
CHANGE(weight_large) { set_resources(c)->blkio_weight = 1001; }
CHANGE(ulimit_name) { set_ulimit(c, "nosuch", 1, 1); }
CHANGE(ulimit_soft) { set_ulimit(c, "nofile", 10, 5); }
CHANGE(ulimit_unlimited_soft) { set_ulimit(c, "nofile", -1, 5); }
CHANGE(ulimit_minus_two) { set_ulimit(c, "nofile", -2, 5); }
CHANGE(ulimit_hard) { set_ulimit(c, "nofile", -1, -2); }
CHANGE(ulimit_twice) {
    static Pb__Ulimit u;
    static Pb__Ulimit *list[] = {&u, &u};
    pb__ulimit__init(&u);
    u.name = (char *)"nofile";
    c->ulimits = list;
    c->n_ulimits = 2;
}
CHANGE(sysctl_host) { set_sysctl(c, "kernel.panic", "1"); }
CHANGE(sysctl_slash) { set_sysctl(c, "net/../kernel", "1"); }
CHANGE(sysctl_dots) { set_sysctl(c, "net.ipv4..x", "1"); }
CHANGE(sysctl_prefix_alone) { set_sysctl(c, "net.", "1"); }
CHANGE(sysctl_no_value) { set_sysctl(c, "net.ipv4.ip_forward", ""); }
CHANGE(sysctl_net_host) { set_networks(c, "host", NULL); set_sysctl(c, "net.ipv4.ip_forward", "1"); }
CHANGE(sysctl_ipc_host) { c->ipc_mode = (char *)"host"; set_sysctl(c, "kernel.shmmax", "1"); }
CHANGE(cap_unknown) { TEXTS(cap_add, (char *)"KILL", (char *)"FLY"); }
CHANGE(cap_drop_unknown) { TEXTS(cap_drop, (char *)"CAP_FLY"); }
CHANGE(security_unknown) { set_security(c, "magic=on", NULL); }
CHANGE(security_label) { set_security(c, "label=disable", NULL); }
CHANGE(security_twice) { set_security(c, "seccomp=unconfined", "seccomp=unconfined"); }
CHANGE(security_no_value) { set_security(c, "seccomp", NULL); }
CHANGE(security_empty_value) { set_security(c, "no-new-privileges=", NULL); }
CHANGE(security_bool) { set_security(c, "no-new-privileges=maybe", NULL); }
CHANGE(seccomp_broken) { set_security(c, "seccomp={broken", NULL); }
CHANGE(seccomp_list) { set_security(c, "seccomp=[]", NULL); }
CHANGE(seccomp_action) { set_security(c, "seccomp={\"defaultAction\":\"SCMP_ACT_NO\"}", NULL); }
CHANGE(seccomp_privileged) {
    c->privileged = true;
    set_security(c, "seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}", NULL);
}
CHANGE(shm_negative) { c->shm_size = -1; }
CHANGE(shm_tiny) { c->shm_size = 4095; }
CHANGE(shm_of_host) { c->shm_size = 1 << 20; c->ipc_mode = (char *)"host"; }
CHANGE(ipc_mode) { c->ipc_mode = (char *)"mine"; }
CHANGE(ipc_container) { c->ipc_mode = (char *)"container:x"; }
CHANGE(pid_mode) { c->pid_mode = (char *)"mine"; }
CHANGE(pid_container) { c->pid_mode = (char *)"container:x"; }
CHANGE(uts_mode) { c->uts_mode = (char *)"mine"; }
CHANGE(cgroupns) { c->cgroupns_mode = (char *)"mine"; }
CHANGE(cgroup_parent) { c->cgroup_parent = (char *)"/a/../../b"; }
CHANGE(oom_high) { c->oom_score_adj_presence_case = PB__CONTAINER_CONFIG__OOM_SCORE_ADJ_PRESENCE_OOM_SCORE_ADJ; c->oom_score_adj = 1001; }
CHANGE(oom_low) { c->oom_score_adj_presence_case = PB__CONTAINER_CONFIG__OOM_SCORE_ADJ_PRESENCE_OOM_SCORE_ADJ; c->oom_score_adj = -1001; }
CHANGE(stop_signal) { c->stop_signal = (char *)"SIGNOSUCH"; }
CHANGE(stop_timeout) { c->stop_timeout_presence_case = PB__CONTAINER_CONFIG__STOP_TIMEOUT_PRESENCE_STOP_TIMEOUT; c->stop_timeout = -1; }
CHANGE(log_driver) { set_log(c, "pigeon", NULL, NULL); }
CHANGE(log_later) { set_log(c, "journald", NULL, NULL); }
CHANGE(log_uri) { set_log(c, "binary:///x?y=z", NULL, NULL); }
CHANGE(log_option) { set_log(c, "", "nosuch", "1"); }
CHANGE(log_size) { set_log(c, "json-file", "max-size", "huge"); }
CHANGE(log_size_zero) { set_log(c, "json-file", "max-size", "0"); }
CHANGE(log_files) { set_log(c, "json-file", "max-file", "0"); }
CHANGE(log_path) { set_log(c, "json-file", "log-path", "/x"); }
CHANGE(log_none_option) { set_log(c, "none", "max-size", "1m"); }
CHANGE(dns) { TEXTS(dns, (char *)"192.0.2.1", (char *)"nowhere"); }
CHANGE(dns_search) { TEXTS(dns_search, (char *)"a b"); }
CHANGE(dns_option) { TEXTS(dns_options, (char *)"a\nb"); }
CHANGE(host_alone) { TEXTS(add_hosts, (char *)"db"); }
CHANGE(host_nowhere) { TEXTS(add_hosts, (char *)"db:nowhere"); }
CHANGE(host_nameless) { TEXTS(add_hosts, (char *)":10.0.0.1"); }
CHANGE(host_gateway) { TEXTS(add_hosts, (char *)"gw:host-gateway"); }
CHANGE(init_alone) { c->init_binary = (char *)"/sbin/tini"; }
CHANGE(init_name) { c->init = true; c->init_binary = (char *)"a b"; }
CHANGE(runtime) { c->runtime = (char *)"no such"; }
CHANGE(runtime_path) { c->runtime = (char *)"/a/../b"; }

#define U ND_UNIMPLEMENTED
#define I ND_INVALID
static const struct {
    const char *name;
    void (*change)(Pb__ContainerConfig *c);
    enum nd_code code;
    const char *field;
} wrong[] = {
#define W(change, code, field) {#change, change, code, "config." field}
    W(no_image, I, "image"), W(long_image, I, "image"), W(control_image, I, "image"),
    W(pull_always, U, "pull"), W(pull_unknown, I, "pull"),
    W(short_name, I, "name"), W(slash_name, I, "name"),
    W(empty_entrypoint, I, "entrypoint[0]"), W(long_arg, I, "args[1]"), W(many_args, I, "args"),
    W(bare_env, I, "env[1]"), W(nameless_env, I, "env[0]"), W(many_env, I, "env"),
    W(relative_dir, I, "working_dir"), W(dotdot_dir, I, "working_dir"),
    W(two_colons, I, "user"), W(no_user, I, "user"), W(no_group, I, "user"), W(space_user, I, "user"),
    W(empty_group, I, "group_add[1]"), 
    W(long_host, I, "hostname"), W(space_host, I, "hostname"), W(dash_host, I, "hostname"),
    W(newline_domain, I, "domainname"), W(host_in_host_uts, I, "hostname"),
    W(domain_in_host_uts, I, "domainname"),
    W(reserved_label, I, "labels[\"nerdctl/name\"]"), W(our_label, I, "labels[\"nerdctl-grpc/x\"]"),
    W(gc_label, I, "labels[\"containerd.io/gc.root\"]"),
    W(stop_label, I, "labels[\"io.containerd.image.config.stop-signal\"]"),
    W(empty_label, I, "labels[\"\"]"), W(large_label, I, "labels[\"k\"]"),
    W(reserved_annotation, I, "annotations[\"nerdctl/networks\"]"),
    W(group_annotation, I, "annotations[\"io.containerd.runc.v2.group\"]"),
    W(empty_annotation, I, "annotations[\"\"]"),
    W(no_network, U, "networks"), W(bridge_network, U, "networks"), W(shared_network, U, "networks"),
    W(unknown_network, I, "networks[0]"), W(empty_network, I, "networks[0]"),
    W(two_networks, I, "networks"),
    W(mount_no_target, I, "mounts[0].target"), W(mount_relative_target, I, "mounts[0].target"),
    W(mount_root, I, "mounts[0].target"), W(mount_dotdot, I, "mounts[0].target"),
    W(mount_relative_source, I, "mounts[0].source"), W(mount_no_source, I, "mounts[0].source"),
    W(mount_type, I, "mounts[0].type"), W(mount_option, I, "mounts[0].options[0]"),
    W(mount_bind_size, I, "mounts[0].options[0]"), W(tmpfs_source, I, "mounts[0].source"),
    W(tmpfs_size, I, "mounts[0].options[0]"), W(tmpfs_mode, I, "mounts[0].options[0]"),
    W(tmpfs_propagation, I, "mounts[0].options[0]"),
    W(volume, U, "mounts[0].type"), W(volume_by_source, U, "mounts[0].type"),
    W(ro_and_rw, I, "mounts[0].read_only"), W(tmpfs_created, I, "mounts[0].create_source"),
    W(same_target, I, "mounts[1].target"), W(many_mounts, I, "mounts"),
    W(device_relative, I, "devices[0].host_path"), W(device_access, I, "devices[0].permissions"),
    W(device_access_twice, I, "devices[0].permissions"),
    W(device_inside, I, "devices[0].container_path"),
    W(negative_memory, I, "resources.memory"), W(tiny_memory, I, "resources.memory"),
    W(swap_alone, I, "resources.memory_swap"), W(swap_below, I, "resources.memory_swap"),
    W(swap_minus_two, I, "resources.memory_swap"), W(reservation, I, "resources.memory_reservation"),
    W(reservation_above, I, "resources.memory_reservation"),
    W(swappiness, I, "resources.memory_swappiness"),
    W(cpus_negative, I, "resources.cpus"), W(cpus_nan, I, "resources.cpus"),
    W(cpus_infinite, I, "resources.cpus"), W(cpus_many, I, "resources.cpus"),
    W(cpus_and_quota, I, "resources.cpus"), W(cpus_and_period, I, "resources.cpus"),
    W(quota_tiny, I, "resources.cpu_quota"), W(period_short, I, "resources.cpu_period"),
    W(period_long, I, "resources.cpu_period"), W(shares, I, "resources.cpu_shares"),
    W(shares_many, I, "resources.cpu_shares"), W(rt_runtime, I, "resources.cpu_rt_runtime"),
    W(cpuset_words, I, "resources.cpuset_cpus"), W(cpuset_reversed, I, "resources.cpuset_cpus"),
    W(cpuset_comma, I, "resources.cpuset_cpus"), W(cpuset_empty_part, I, "resources.cpuset_cpus"),
    W(cpuset_none_such, I, "resources.cpuset_cpus"), W(mems_words, I, "resources.cpuset_mems"),
    W(pids, I, "resources.pids_limit"), W(weight, I, "resources.blkio_weight"),
    W(weight_large, I, "resources.blkio_weight"),
    W(ulimit_name, I, "ulimits[0].name"), W(ulimit_soft, I, "ulimits[0].soft"),
    W(ulimit_unlimited_soft, I, "ulimits[0].soft"), W(ulimit_minus_two, I, "ulimits[0].soft"),
    W(ulimit_hard, I, "ulimits[0].hard"), W(ulimit_twice, I, "ulimits[1].name"),
    W(sysctl_host, I, "sysctls[\"kernel.panic\"]"), W(sysctl_slash, I, "sysctls[\"net/../kernel\"]"),
    W(sysctl_dots, I, "sysctls[\"net.ipv4..x\"]"), W(sysctl_prefix_alone, I, "sysctls[\"net.\"]"),
    W(sysctl_no_value, I, "sysctls[\"net.ipv4.ip_forward\"]"),
    W(sysctl_net_host, I, "sysctls[\"net.ipv4.ip_forward\"]"),
    W(sysctl_ipc_host, I, "sysctls[\"kernel.shmmax\"]"),
    W(cap_unknown, I, "cap_add[1]"), W(cap_drop_unknown, I, "cap_drop[0]"),
    W(security_unknown, I, "security_options[0]"), W(security_label, U, "security_options[0]"),
    W(security_twice, I, "security_options[1]"), W(security_no_value, I, "security_options[0]"),
    W(security_empty_value, I, "security_options[0]"), W(security_bool, I, "security_options[0]"),
    W(seccomp_broken, I, "security_options[0]"), W(seccomp_list, I, "security_options[0]"),
    W(seccomp_action, I, "security_options[0]"), W(seccomp_privileged, I, "security_options[0]"),
    W(shm_negative, I, "shm_size"), W(shm_tiny, I, "shm_size"), W(shm_of_host, I, "shm_size"),
    W(ipc_mode, I, "ipc_mode"), W(ipc_container, U, "ipc_mode"), W(pid_mode, I, "pid_mode"),
    W(pid_container, U, "pid_mode"), W(uts_mode, I, "uts_mode"), W(cgroupns, I, "cgroupns_mode"),
    W(cgroup_parent, I, "cgroup_parent"), W(oom_high, I, "oom_score_adj"), W(oom_low, I, "oom_score_adj"),
    W(stop_signal, I, "stop_signal"), W(stop_timeout, I, "stop_timeout"),
    W(log_driver, I, "log.driver"), W(log_later, U, "log.driver"), W(log_uri, U, "log.driver"),
    W(log_option, I, "log.options[\"nosuch\"]"), W(log_size, I, "log.options[\"max-size\"]"),
    W(log_size_zero, I, "log.options[\"max-size\"]"), W(log_files, I, "log.options[\"max-file\"]"),
    W(log_path, U, "log.options[\"log-path\"]"), W(log_none_option, I, "log.options"),
    W(dns, I, "dns[1]"), W(dns_search, I, "dns_search[0]"), W(dns_option, I, "dns_options[0]"),
    W(host_alone, I, "add_hosts[0]"), W(host_nowhere, I, "add_hosts[0]"),
    W(host_nameless, I, "add_hosts[0]"), W(host_gateway, U, "add_hosts[0]"),
    W(init_alone, I, "init_binary"), W(init_name, I, "init_binary"),
    W(runtime, I, "runtime"), W(runtime_path, I, "runtime"),
#undef W
};
#undef U
#undef I
/* clang-format on */

static void
every_wrong_field_is_refused_by_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ND_LEN(wrong); i++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(ARENA_MAX);
        Pb__ContainerConfig c = good_config();
        struct plan *plan;

        wrong[i].change(&c);
        check_field(wrong[i].name, plan_with(&c, &facts, arena, &plan), wrong[i].code,
                    wrong[i].field);
    }
    assert_true(ND_LEN(wrong) >= 140);
}

static void
missing_config_is_refused(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct plan *plan;

    (void)state;
    check_field("no config", plan_with(NULL, &facts, arena, &plan), ND_INVALID, "config");
}

static struct plan *
plan_of(struct nd_arena *arena, void (*change)(Pb__ContainerConfig *c))
{
    Pb__ContainerConfig *c = nd_arena_new_object(arena, Pb__ContainerConfig);
    struct plan *plan;

    *c = good_config();
    if (change != NULL)
        change(c);
    check_ok(plan_with(c, &facts, arena, &plan));
    return plan;
}

static void
plain_config_has_the_defaults_of_nerdctl(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct plan *plan = plan_of(arena, NULL);

    (void)state;
    assert_int_equal(plan->net_mode, ND_NET_NONE);
    assert_true(plan->caps == nd_cap_default());
    assert_int_equal(plan->n_sysctls, 1);
    assert_string_equal(plan->sysctls[0].key, "net.ipv4.ip_unprivileged_port_start");
    assert_string_equal(plan->runtime, "io.containerd.runc.v2");
    assert_null(plan->runtime_binary);
    assert_false(plan->log_none);
    assert_string_equal(plan->log.driver, "json-file");
    assert_false(plan->cgroupns_private);
    assert_int_equal(plan->n_warnings, 0);
}

/* clang-format off */
CHANGE(memory_alone) { set_resources(c)->memory = 64 << 20; }
CHANGE(smallest_memory) { set_resources(c)->memory = 6 * 1024 * 1024; }
CHANGE(no_swap_limit) { Pb__Resources *r = set_resources(c); r->memory = 64 << 20; r->memory_swap = -1; }
CHANGE(half_cpu) { set_resources(c)->cpus = 0.5; }
CHANGE(longest_label) { set_label(c, "k", long_text(ND_LABEL_MAX_BYTES - 1)); }
CHANGE(longest_host) { c->hostname = (char *)"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; }
CHANGE(valueless_label) { set_label(c, "k", ""); }
CHANGE(bypass_label) { set_label(c, "nerdctl/bypass4netns", "true"); }
CHANGE(tmpfs) { set_mount(c, "tmpfs", "", "/t", "size=64m"); }
CHANGE(tmpfs_exec) { set_mount(c, "tmpfs", "", "/t", "exec"); }
CHANGE(bind) { set_mount(c, "", "/etc//x/./", "//mnt/", NULL); }
CHANGE(bind_shared) { set_mount(c, "bind", "/etc", "/mnt", "rshared"); }
CHANGE(bind_ro) { set_mount(c, "bind", "/etc", "/mnt", NULL); c->mounts[0]->read_only = true; }
CHANGE(privileged) { c->privileged = true; }
CHANGE(host_v6) { TEXTS(add_hosts, (char *)"db:[2001:db8::1]", (char *)"x:::1"); }
CHANGE(own_low_ports) { set_sysctl(c, "net.ipv4.ip_unprivileged_port_start", "80"); }
CHANGE(crun) { c->runtime = (char *)"crun"; }
CHANGE(kata) { c->runtime = (char *)"io.containerd.kata.v2"; }
CHANGE(files_alone) { set_log(c, "json-file", "max-file", "3"); }
CHANGE(no_oom_killer) { set_resources(c)->oom_kill_disable = true; }
CHANGE(nofile) { set_ulimit(c, "nofile", -1, -1); }
/* clang-format on */

static void
memory_alone_allows_as_much_swap(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    assert_int_equal(plan_of(arena, memory_alone)->resources.memory_swap, 128 << 20);
    assert_int_equal(plan_of(arena, no_swap_limit)->resources.memory_swap, -1);
    assert_int_equal(plan_of(arena, smallest_memory)->resources.memory, 6 * 1024 * 1024);
}

static void
cpus_become_a_quota(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct plan *plan = plan_of(arena, half_cpu);

    (void)state;
    assert_true(plan->resources.has_cpu_quota);
    assert_int_equal(plan->resources.cpu_quota, 50000);
    assert_int_equal(plan->resources.cpu_period, 100000);
}

static void
values_at_their_limit_are_fine(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    (void)plan_of(arena, longest_label);
    (void)plan_of(arena, longest_host);
    (void)plan_of(arena, bypass_label);
}

static void
options_of_mounts_are_what_nerdctl_makes_of_them(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const struct plan_mount *m;

    (void)state;
    m = &plan_of(arena, tmpfs)->mounts[0];
    assert_string_equal(m->mode, "size=64m,noexec,nosuid,nodev");
    assert_false(m->read_only);
    m = &plan_of(arena, tmpfs_exec)->mounts[0];
    assert_string_equal(m->mode, "exec,nosuid,nodev");
    m = &plan_of(arena, bind)->mounts[0];
    assert_string_equal(m->source, "/etc/x");
    assert_string_equal(m->target, "/mnt");
    assert_string_equal(m->mode, "");
    assert_int_equal(m->n_options, 2);
    assert_string_equal(m->options[0], "rprivate");
    assert_string_equal(m->options[1], "rbind");
    m = &plan_of(arena, bind_shared)->mounts[0];
    assert_string_equal(m->propagation, "rshared");
    assert_string_equal(m->options[0], "rshared");
    m = &plan_of(arena, bind_ro)->mounts[0];
    assert_true(m->read_only);
    assert_string_equal(m->mode, "ro");
    assert_string_equal(m->options[0], "ro");
}

static void
privileged_has_all_that_the_host_has(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    assert_true(plan_of(arena, privileged)->caps == facts.bounding_caps);
}

static void
extra_hosts_may_be_ipv6(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct plan *plan = plan_of(arena, host_v6);

    (void)state;
    assert_string_equal(plan->extra_hosts[0].ip, "2001:db8::1");
    assert_string_equal(plan->extra_hosts[1].host, "x");
    assert_string_equal(plan->extra_hosts[1].ip, "::1");
}

static void
own_value_of_low_ports_wins(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct plan *plan = plan_of(arena, own_low_ports);

    (void)state;
    assert_int_equal(plan->n_sysctls, 1);
    assert_string_equal(plan->sysctls[0].value, "80");
}

static void
runtime_is_a_shim_or_a_program(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    assert_string_equal(plan_of(arena, crun)->runtime, "io.containerd.runc.v2");
    assert_string_equal(plan_of(arena, crun)->runtime_binary, "crun");
    assert_string_equal(plan_of(arena, kata)->runtime, "io.containerd.kata.v2");
    assert_null(plan_of(arena, kata)->runtime_binary);
}

static void
what_is_half_without_effect_is_warned_about(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    assert_int_equal(plan_of(arena, valueless_label)->n_warnings, 1);
    assert_int_equal(plan_of(arena, files_alone)->n_warnings, 1);
    assert_int_equal(plan_of(arena, no_oom_killer)->n_warnings, 1);
}

static void
what_the_host_cannot_limit_is_refused(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const struct nd_host_facts poor = {.bounding_caps = facts.bounding_caps};
    const struct nd_host_facts v2 = {.bounding_caps = facts.bounding_caps, .cgroup_v2 = true};
    Pb__ContainerConfig c = good_config();
    struct plan *plan;

    (void)state;
    memory_alone(&c);
    check_field("memory", plan_with(&c, &poor, arena, &plan), ND_PRECONDITION,
                "config.resources.memory");
    half_cpu(&c);
    check_field("cpus", plan_with(&c, &poor, arena, &plan), ND_PRECONDITION,
                "config.resources.cpus");
    no_oom_killer(&c);
    check_field("oom", plan_with(&c, &v2, arena, &plan), ND_PRECONDITION,
                "config.resources.oom_kill_disable");
    c = good_config();
    set_security(&c, "apparmor=x", NULL);
    check_field("apparmor", plan_with(&c, &poor, arena, &plan), ND_PRECONDITION,
                "config.security_options[0]");
}

static void
limits_are_lowered_where_they_cannot_be_raised(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const struct nd_host_facts weak = {.nofile_hard = 4096, .nproc_hard = 100};
    Pb__ContainerConfig c = good_config();
    struct plan *plan;

    (void)state;
    nofile(&c);
    check_ok(plan_with(&c, &weak, arena, &plan));
    assert_int_equal(plan->rlimits[0].hard, 4096);
    assert_int_equal(plan->rlimits[0].soft, 4096);
    assert_int_equal(plan->n_warnings, 1);
    check_ok(plan_with(&c, &facts, arena, &plan));
    assert_true(plan->rlimits[0].hard == UINT64_MAX);
}

static void
sizes_of_logs_are_decimal(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
        enum nd_code code;
    } cases[] = {
        {"10m", 10000000, ND_OK},
        {"10MB", 10000000, ND_OK},
        {"1k", 1000, ND_OK},
        {"5", 5, ND_OK},
        {"7b", 7, ND_OK},
        {"2 g", 2000000000, ND_OK},
        {"", 0, ND_INVALID},
        {"m", 0, ND_INVALID},
        {"1x", 0, ND_INVALID},
        {"-1", 0, ND_INVALID},
        {"1.5m", 0, ND_INVALID},
        {"99999999999999999999", 0, ND_INVALID},
        {"9999999999999g", 0, ND_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        uint64_t bytes = 0;

        check_row(i, cases[i].text, nd_log_size_parse(nd_str(cases[i].text), &bytes),
                  cases[i].code);
        assert_int_equal(bytes, cases[i].bytes);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_wrong_field_is_refused_by_its_name),
        cmocka_unit_test(missing_config_is_refused),
        cmocka_unit_test(plain_config_has_the_defaults_of_nerdctl),
        cmocka_unit_test(memory_alone_allows_as_much_swap),
        cmocka_unit_test(cpus_become_a_quota),
        cmocka_unit_test(values_at_their_limit_are_fine),
        cmocka_unit_test(options_of_mounts_are_what_nerdctl_makes_of_them),
        cmocka_unit_test(privileged_has_all_that_the_host_has),
        cmocka_unit_test(extra_hosts_may_be_ipv6),
        cmocka_unit_test(own_value_of_low_ports_wins),
        cmocka_unit_test(runtime_is_a_shim_or_a_program),
        cmocka_unit_test(what_is_half_without_effect_is_warned_about),
        cmocka_unit_test(what_the_host_cannot_limit_is_refused),
        cmocka_unit_test(limits_are_lowered_where_they_cannot_be_raised),
        cmocka_unit_test(sizes_of_logs_are_decimal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
