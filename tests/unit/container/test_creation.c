/* What a new container is made of: process, names, labels, spec, from a request and an image. */

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"

#include "check.h"
#include "creation_priv.h"
#include "labels_priv.h"

static const struct nd_host_facts facts = {
    .kernel_major = 6, .kernel_minor = 1, .bounding_caps = (UINT64_C(1) << 41) - 1};

static const struct nd_host_settings settings = {
    .containerd_address = "/run/containerd/containerd.sock",
    .cgroup_manager = "cgroupfs",
    .helper_path = "/usr/bin/nerdctl-grpc-helper",
};

static char *none[] = {(char *)"none"}, *host[] = {(char *)"host"};

/* A creation with everything that containerd and the disk would have told. */
struct making {
    struct nd_arena *arena;
    char root[32]; /* a data root, for the paths */
    struct nd_store *store;
    Pb__ContainerConfig config;
    struct nd_oci_config image;
    struct creation c;
};

static void
begin(struct making *m)
{
    memset(m, 0, sizeof(*m));
    m->arena = nd_arena_new(0);
    memcpy(m->root, "/tmp/nd-creation-XXXXXX", 24);
    assert_non_null(mkdtemp(m->root));
    check_ok(nd_store_open(m->root, "/dev/null", &m->store)); /* any path that exists will do */
    pb__container_config__init(&m->config);
    m->config.image = (char *)"alpine";
    m->config.networks = none;
    m->config.n_networks = 1;
    m->image.user = m->image.working_dir = m->image.stop_signal = m->image.healthcheck = "";
    m->c.arena = m->arena;
    m->c.ns = "default";
    m->c.image = (struct nd_image_ready){.name = "docker.io/library/alpine:3",
                                         .platform = "linux/amd64",
                                         .snapshotter = "overlayfs",
                                         .chain_id = "sha256:x",
                                         .config = &m->image};
    m->c.name = "web";
    m->c.hostname = "h";
    m->c.user_text = "";
    m->c.hosts_path = "/store/etchosts/default/id/hosts";
    m->c.log_uri = "binary:///usr/bin/nerdctl-grpc-helper?_NERDCTL_INTERNAL_LOGGING=%2Fstore";
    memset(m->c.id, 'a', sizeof(m->c.id) - 1);
}

static void
plan_it(struct making *m)
{
    check_ok(nd_plan_make(&m->config, &facts, &settings, m->arena, &m->c.plan));
}

static void
end(struct making *m)
{
    pid_t pid = fork();

    if (pid == 0) {
        execl("/bin/rm", "rm", "-rf", m->root, NULL);
        _exit(127);
    }
    (void)waitpid(pid, NULL, 0);
    nd_buf_fini(&m->c.spec);
    nd_state_free(m->c.state);
    nd_store_close(m->store);
    nd_arena_free(m->arena);
}

#define LIST(name, ...) static const char *const name[] = {__VA_ARGS__}

static void
check_args(struct making *m, const char *joined)
{
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(1000);

    plan_it(m);
    check_ok(nd_creation_process(&m->c));
    for (size_t i = 0; i < m->c.n_args; i++)
        nd_buf_printf(&text, "%s%s", i > 0 ? " " : "", m->c.args[i]);
    assert_string_equal(text.ptr, joined);
}

static void
arguments_come_from_request_and_image(void **state)
{
    LIST(entrypoint, "/entry", "-x");
    LIST(cmd, "serve");
    static char *own_args[] = {(char *)"a", (char *)"b"}, *own_entry[] = {(char *)"sh"};
    struct making m;

    (void)state;
    begin(&m);
    m.image.entrypoint = entrypoint;
    m.image.n_entrypoint = 2;
    m.image.cmd = cmd;
    m.image.n_cmd = 1;
    check_args(&m, "/entry -x serve");
    m.config.args = own_args;
    m.config.n_args = 2;
    check_args(&m, "/entry -x a b");
    m.config.entrypoint = own_entry;
    m.config.n_entrypoint = 1;
    check_args(&m, "sh a b");
    m.config.n_args = 0;
    check_args(&m, "sh"); /* the image's command goes with its entrypoint */
    m.config.n_entrypoint = 0;
    m.config.clear_entrypoint = true;
    m.config.n_args = 2;
    check_args(&m, "a b");
    m.c.init_path = "/usr/bin/tini";
    check_args(&m, "/sbin/tini -- a b");
    end(&m);
}

static void
nothing_to_run_is_refused(void **state)
{
    struct making m;
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    (void)state;
    begin(&m);
    plan_it(&m);
    err = nd_creation_process(&m.c);
    assert_int_equal(nd_error_code(err), ND_INVALID);
    assert_string_equal(nd_error_get_field(err), "config.args");
    end(&m);
}

static void
later_variables_take_the_place_of_earlier_ones(void **state)
{
    LIST(env, "PATH=/image", "A=1", "broken");
    static char *own[] = {(char *)"A=2", (char *)"B=", (char *)"HOSTNAME=x"};
    static char *args[] = {(char *)"true"};
    static const char *const wanted[] = {"PATH=/image", "A=2", "TERM=xterm", "B=", "HOSTNAME=h"};
    struct making m;

    (void)state;
    begin(&m);
    m.image.env = env;
    m.image.n_env = 3;
    m.config.env = own;
    m.config.n_env = 3;
    m.config.args = args;
    m.config.n_args = 1;
    m.config.tty = true;
    plan_it(&m);
    check_ok(nd_creation_process(&m.c));
    assert_int_equal(m.c.n_env, ND_LEN(wanted));
    for (size_t i = 0; i < ND_LEN(wanted); i++)
        assert_string_equal(m.c.env[i], wanted[i]);
    assert_string_equal(m.c.cwd, "/");
    end(&m);
}

static void
image_without_path_gets_the_usual_one(void **state)
{
    static char *args[] = {(char *)"true"};
    struct making m;

    (void)state;
    begin(&m);
    m.config.args = args;
    m.config.n_args = 1;
    m.image.working_dir = "srv";
    plan_it(&m);
    check_ok(nd_creation_process(&m.c));
    assert_true(strncmp(m.c.env[0], "PATH=/usr/local/sbin:", 21) == 0);
    assert_string_equal(m.c.cwd, "/srv");
    end(&m);
}

static void
signal_of_the_image_wins_when_it_is_one(void **state)
{
    static const struct {
        const char *image, *own, *used;
        size_t warnings;
    } cases[] = {
        {"", "", "SIGTERM", 0},
        {"", "INT", "INT", 0},
        {"SIGQUIT", "INT", "SIGQUIT", 0},
        {"NOSUCH", "INT", "INT", 1},
    };
    static char *args[] = {(char *)"true"};

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct making m;

        begin(&m);
        m.config.args = args;
        m.config.n_args = 1;
        m.config.stop_signal = (char *)cases[i].own;
        m.image.stop_signal = cases[i].image;
        plan_it(&m);
        check_ok(nd_creation_process(&m.c));
        assert_string_equal(m.c.stop_signal, cases[i].used);
        assert_int_equal(m.c.plan->n_warnings, cases[i].warnings);
        end(&m);
    }
}

static void
default_names_come_from_the_image(void **state)
{
    static const struct {
        const char *image, *name;
    } cases[] = {
        {"docker.io/library/alpine:3", "alpine"},
        {"localhost:5000/a/b", "b"},
        {"docker.io/library/app@sha256:abc", "app"},
        {"docker.io/library/app:1@sha256:abc", "app"},
        {"sha256:0123", "untitled"},
        {"", "untitled"},
        {"@sha256:abc", "untitled"},
        {"a/", "untitled"},
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++)
        assert_string_equal(nd_image_short_name(cases[i].image, arena), cases[i].name);
}

static const char *
find_pair(const struct pair_list *list, const char *key)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->at[i].key, key) == 0)
            return list->at[i].value;
    }
    return NULL;
}

static void
make_labels(struct making *m)
{
    plan_it(m);
    m->c.stop_signal = "SIGTERM";
    check_ok(nd_state_new(m->store, "default", m->c.id, &m->c.state));
    check_ok(nd_creation_labels(&m->c));
}

static void
labels_are_those_of_nerdctl(void **state)
{
    static const struct {
        const char *key, *value;
    } wanted[] = {
        {"nerdctl/namespace", "default"},
        {"nerdctl/name", "web"},
        {"nerdctl/hostname", "h"},
        {"nerdctl/domainname", ""},
        {"nerdctl/extraHosts", "[\"db:10.0.0.5\"]"},
        {"nerdctl/networks", "[\"host\"]"},
        {"nerdctl/platform", "linux/amd64"},
        {"nerdctl/auto-remove", "true"},
        {"nerdctl/log-config",
         "{\"driver\":\"json-file\",\"address\":\"/run/containerd/containerd.sock\"}"},
        {"nerdctl/ipc", "{\"mode\":\"private\",\"shmSize\":\"65536\"}"},
        {"nerdctl/host-config", "{\"BlkioWeight\":0,\"CidFile\":\"\",\"Devices\":null}"},
        {"nerdctl/dns", "{\"DNSServers\":[\"192.0.2.1\"],\"DNSResolvConfOptions\":null,"
                        "\"DNSSearchDomains\":null}"},
        {"nerdctl/user", "7:8"},
        {"nerdctl/stop-timeout", "0"},
        {"nerdctl/mounts.0", "{\"Type\":\"tmpfs\",\"Source\":\"tmpfs\",\"Destination\":\"/t\","
                             "\"Mode\":\"noexec,nosuid,nodev\",\"RW\":true,\"Propagation\":\"\"}"},
        {"io.containerd.image.config.stop-signal", "SIGTERM"},
        {"nerdctl-grpc/attached", "true"},
        {"own", "label"},
    };
    static char *hosts[] = {(char *)"db:10.0.0.5"}, *dns[] = {(char *)"192.0.2.1"};
    Pb__ContainerConfig__LabelsEntry label = PB__CONTAINER_CONFIG__LABELS_ENTRY__INIT;
    Pb__ContainerConfig__LabelsEntry *labels[] = {&label};
    Pb__Mount mount = PB__MOUNT__INIT;
    Pb__Mount *mounts[] = {&mount};
    struct making m;

    (void)state;
    begin(&m);
    label.key = (char *)"own";
    label.value = (char *)"label";
    mount.type = (char *)"tmpfs";
    mount.target = (char *)"/t";
    m.config.networks = host;
    m.config.labels = labels;
    m.config.n_labels = 1;
    m.config.mounts = mounts;
    m.config.n_mounts = 1;
    m.config.add_hosts = hosts;
    m.config.n_add_hosts = 1;
    m.config.dns = dns;
    m.config.n_dns = 1;
    m.config.shm_size = 65536;
    m.config.auto_remove = true;
    m.config.stop_timeout_presence_case = PB__CONTAINER_CONFIG__STOP_TIMEOUT_PRESENCE_STOP_TIMEOUT;
    m.c.user_text = "7:8";
    make_labels(&m);
    for (size_t i = 0; i < ND_LEN(wanted); i++) {
        const char *value = find_pair(&m.c.labels, wanted[i].key);

        if (value == NULL || strcmp(value, wanted[i].value) != 0)
            print_error("%s: %s\n", wanted[i].key, value != NULL ? value : "missing");
        assert_non_null(value);
        assert_string_equal(value, wanted[i].value);
    }
    /* And each of nerdctl's, with its state folder and log, is an annotation, too. */
    assert_int_equal(m.c.labels.n, ND_LEN(wanted) + 2);
    assert_int_equal(m.c.annotations.n, m.c.labels.n - 3);
    assert_null(find_pair(&m.c.annotations, "own"));
    assert_string_equal(find_pair(&m.c.annotations, "nerdctl/name"), "web");
    end(&m);
}

static void
labels_of_an_image_cannot_pose_as_ours(void **state)
{
    static char large[5000];
    const struct nd_oci_pair pairs[] = {
        {"nerdctl/state-dir", "/etc"},
        {"nerdctl/anonymous-volumes", "[\"data\"]"},
        {"nerdctl-grpc/removing", "true"},
        {"containerd.io/restart.policy", "always"},
        {"io.cri-containerd.kind", "container"},
        {"io.containerd.image.config.stop-signal", "SIGKILL"},
        {"maintainer", "somebody"},
        {"large", large},
    };
    struct making m;

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    begin(&m);
    m.image.labels = pairs;
    m.image.n_labels = ND_LEN(pairs);
    make_labels(&m);
    assert_string_not_equal(find_pair(&m.c.labels, "nerdctl/state-dir"), "/etc");
    for (size_t i = 1; i < 5; i++)
        assert_null(find_pair(&m.c.labels, pairs[i].key));
    assert_string_equal(find_pair(&m.c.labels, pairs[5].key), "SIGTERM");
    assert_string_equal(find_pair(&m.c.labels, "maintainer"), "somebody");
    assert_null(find_pair(&m.c.labels, "large"));
    assert_int_equal(m.c.plan->n_warnings, 1);
    end(&m);
}

static void
what_does_not_fit_into_a_label_is_refused_by_its_field(void **state)
{
    static char *hosts[200];
    struct making m;
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    (void)state;
    begin(&m);
    for (size_t i = 0; i < ND_LEN(hosts); i++)
        hosts[i] = (char *)"a-rather-long-name.example.org:10.0.0.5";
    m.config.add_hosts = hosts;
    m.config.n_add_hosts = ND_LEN(hosts);
    plan_it(&m);
    m.c.stop_signal = "SIGTERM";
    check_ok(nd_state_new(m.store, "default", m.c.id, &m.c.state));
    err = nd_creation_labels(&m.c);
    assert_int_equal(nd_error_code(err), ND_INVALID);
    assert_string_equal(nd_error_get_field(err), "config.add_hosts");
    end(&m);
}

static void
health_check_of_an_image_gets_defaults(void **state)
{
    struct making m;

    (void)state;
    begin(&m);
    m.image.healthcheck = "{\"Test\":[\"CMD\",\"x\"],\"Interval\":5}";
    make_labels(&m);
    assert_string_equal(
        find_pair(&m.c.labels, "nerdctl/healthcheck"),
        "{\"Test\":[\"CMD\",\"x\"],\"Interval\":5,\"Timeout\":30000000000,\"Retries\":3}");
    end(&m);
}

static void
make_spec(struct making *m)
{
    static char *args[] = {(char *)"true"};

    m->config.args = args;
    m->config.n_args = 1;
    make_labels(m);
    check_ok(nd_creation_process(&m->c));
    check_ok(nd_creation_spec(&m->c));
}

static bool
spec_has(const struct making *m, const char *text)
{
    return nd_str_search(nd_buf_str(&m->c.spec), nd_str(text)) != SIZE_MAX;
}

static void
spec_has_what_was_asked_for(void **state)
{
    struct making m;

    (void)state;
    begin(&m);
    m.config.read_only = true;
    m.config.cgroup_parent = (char *)"/parent";
    make_spec(&m);
    assert_true(spec_has(&m, "\"args\":[\"true\"]"));
    assert_true(spec_has(&m, "\"readonly\":true"));
    assert_true(spec_has(&m, "\"cgroupsPath\":\"/parent/aaaa"));
    assert_true(spec_has(&m, "\"type\":\"network\""));
    assert_true(spec_has(&m, "\"hostname\":\"h\""));
    assert_true(spec_has(&m, "/store/etchosts/default/id/hosts"));
    assert_false(spec_has(&m, "\"hooks\""));
    end(&m);

    begin(&m);
    m.config.networks = host;
    m.config.uts_mode = (char *)"host";
    m.config.pid_mode = (char *)"host";
    make_spec(&m);
    assert_false(spec_has(&m, "\"type\":\"network\""));
    assert_false(spec_has(&m, "\"type\":\"uts\""));
    assert_false(spec_has(&m, "\"type\":\"pid\""));
    assert_false(spec_has(&m, "\"hostname\":"));
    assert_true(spec_has(&m, "\"cgroupsPath\":\"/default/aaaa"));
    end(&m);
}

static void
own_mount_on_a_file_below_etc_takes_its_place(void **state)
{
    Pb__Mount mount = PB__MOUNT__INIT;
    Pb__Mount *mounts[] = {&mount};
    struct making m;

    (void)state;
    begin(&m);
    mount.source = (char *)"/my/hosts";
    mount.target = (char *)"/etc/hosts";
    m.config.mounts = mounts;
    m.config.n_mounts = 1;
    make_spec(&m);
    assert_true(spec_has(&m, "/my/hosts"));
    assert_false(spec_has(&m, "/store/etchosts/default/id/hosts"));
    end(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_come_from_request_and_image),
        cmocka_unit_test(nothing_to_run_is_refused),
        cmocka_unit_test(later_variables_take_the_place_of_earlier_ones),
        cmocka_unit_test(image_without_path_gets_the_usual_one),
        cmocka_unit_test(signal_of_the_image_wins_when_it_is_one),
        cmocka_unit_test(default_names_come_from_the_image),
        cmocka_unit_test(labels_are_those_of_nerdctl),
        cmocka_unit_test(labels_of_an_image_cannot_pose_as_ours),
        cmocka_unit_test(what_does_not_fit_into_a_label_is_refused_by_its_field),
        cmocka_unit_test(health_check_of_an_image_gets_defaults),
        cmocka_unit_test(spec_has_what_was_asked_for),
        cmocka_unit_test(own_mount_on_a_file_below_etc_takes_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
