/* The state directory: golden bytes of each file, modes, ways of writing, hostile content. */

#include <sys/file.h>
#include <sys/resource.h>

#include "codec/digest.h"
#include "fiber/in_loop.h"
#include "store/limits.h"
#include "store/state.h"

#include "store_dir.h"

#define ID "3f2a90c1d4e53f2a90c1d4e53f2a90c1d4e53f2a90c1d4e53f2a90c1d4e5aaaa"

struct fixture {
    struct store_dir s;
    struct nd_state *state;
    struct nd_arena *arena;
};

static struct nd_error *
fixture_init(struct fixture *f)
{
    ND_TRY(store_dir_make(&f->s));
    f->arena = nd_arena_new(0);
    ND_TRY(nd_state_new(f->s.store, "default", ID, &f->state));
    return nd_state_create(f->state);
}

static void
fixture_fini(struct fixture *f)
{
    nd_state_free(f->state);
    nd_arena_free(f->arena);
    store_dir_remove(&f->s);
}

static const char *
in_state(const struct fixture *f, const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "containers/default/%s/%s", ID, name);
    return in_store(&f->s, path);
}

static ino_t
inode_of(const char *path)
{
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    return st.st_ino;
}

IN_REAL_LOOP(the_directory_is_made_and_removed_with_all_below)
{
    struct fixture f;
    const char *outside;

    ND_TRY(fixture_init(&f));
    expect_mode(nd_state_path(f.state), 0700);
    ND_TRY(nd_state_create(f.state));
    assert_string_equal(nd_state_path(f.state), in_store(&f.s, "containers/default/" ID));

    outside = in_dir(&f.s.dir, "outside");
    assert_int_equal(mkdir(outside, 0700), 0);
    put_file(in_dir(&f.s.dir, "outside/kept"), ND_STR("x"));
    assert_int_equal(symlink(outside, in_state(&f, "link")), 0);
    assert_int_equal(mkdir(in_state(&f, "a"), 0700), 0);
    assert_int_equal(mkdir(in_state(&f, "a/b"), 0), 0);
    assert_int_equal(mkfifo(in_state(&f, "a/fifo"), 0), 0);
    put_file(in_state(&f, "file"), ND_STR("x"));
    ND_TRY(nd_state_remove(f.state));
    assert_false(exists(nd_state_path(f.state)));
    assert_true(exists(in_dir(&f.s.dir, "outside/kept")));
    ND_TRY(nd_state_remove(f.state));
    fixture_fini(&f);
    return NULL;
}

IN_REAL_LOOP(ids_and_namespaces_cannot_leave_the_store)
{
    struct store_dir s;
    struct nd_state *state = NULL;

    ND_TRY(store_dir_make(&s));
    expect_code(nd_state_new(s.store, "..", ID, &state), ND_INVALID);
    expect_code(nd_state_new(s.store, "a/b", ID, &state), ND_INVALID);
    expect_code(nd_state_new(s.store, "default", "", &state), ND_INVALID);
    expect_code(nd_state_new(s.store, "default", "../../x", &state), ND_INVALID);
    assert_null(state);
    store_dir_remove(&s);
    return NULL;
}

/* One file at a time. */
static struct nd_error *
write_hostname(struct nd_state *state, const char *hostname)
{
    return nd_state_write(state, &(struct nd_state_files){.hostname = hostname});
}

static struct nd_error *
write_resolv_conf(struct nd_state *state, enum nd_net_mode mode, const struct nd_dns *dns)
{
    return nd_state_write(state, &(struct nd_state_files){.mode = mode, .dns = dns});
}

static struct nd_error *
write_log_config(struct nd_state *state, const struct nd_log_config *log)
{
    return nd_state_write(state, &(struct nd_state_files){.log = log});
}

static struct nd_error *
write_ports(struct nd_state *state, const struct nd_port_mapping *at, size_t n)
{
    const struct nd_ports ports = {at, n};

    return nd_state_write(state, &(struct nd_state_files){.ports = &ports});
}

IN_REAL_LOOP(mounted_files_keep_their_inode)
{
    struct fixture f;
    const struct nd_dns dns = {.servers = (const char *const[]){"9.9.9.9"},
                               .n_servers = 1,
                               .searches = (const char *const[]){"a", "b"},
                               .n_searches = 2,
                               .options = (const char *const[]){"ndots:1"},
                               .n_options = 1};
    ino_t hostname, resolv_conf;

    ND_TRY(fixture_init(&f));
    ND_TRY(write_hostname(f.state, "a-longer-hostname"));
    ND_TRY(write_resolv_conf(f.state, ND_NET_HOST, &dns));
    hostname = inode_of(nd_state_hostname_path(f.state));
    resolv_conf = inode_of(nd_state_resolv_conf_path(f.state));
    expect_file(in_state(&f, "resolv.conf"), "search a b\nnameserver 9.9.9.9\noptions ndots:1\n");
    ND_TRY(write_hostname(f.state, "web"));
    ND_TRY(write_resolv_conf(f.state, ND_NET_NONE, &dns));
    expect_file(in_state(&f, "hostname"), "web\n");
    expect_mode(in_state(&f, "hostname"), 0644);
    expect_mode(in_state(&f, "resolv.conf"), 0644);
    assert_int_equal(inode_of(nd_state_hostname_path(f.state)), hostname);
    assert_int_equal(inode_of(nd_state_resolv_conf_path(f.state)), resolv_conf);
    expect_code(write_hostname(f.state, "web\n127.0.0.1 evil"), ND_INVALID);
    fixture_fini(&f);
    return NULL;
}

IN_REAL_LOOP(files_are_written_together_or_not_at_all_when_one_is_wrong)
{
    struct fixture f;
    const struct nd_log_config log = {.driver = "json-file"};
    const struct nd_ports ports = {NULL, 0};
    struct nd_state_files files = {.log = &log,
                                   .hostname = "a b",
                                   .dns = &(struct nd_dns){0},
                                   .mode = ND_NET_NONE,
                                   .ports = &ports};
    static const char *const names[] = {"log-config.json", ID "-json.log", "hostname",
                                        "resolv.conf", "network-config.json"};

    ND_TRY(fixture_init(&f));
    expect_code(nd_state_write(f.state, &files), ND_INVALID);
    for (size_t i = 0; i < ND_LEN(names); i++)
        assert_false(exists(in_state(&f, names[i])));
    files.hostname = "web";
    ND_TRY(nd_state_write(f.state, &files));
    for (size_t i = 0; i < ND_LEN(names); i++)
        assert_true(exists(in_state(&f, names[i])));
    expect_file(in_state(&f, "network-config.json"), "{}");
    fixture_fini(&f);
    return NULL;
}

IN_REAL_LOOP(a_link_in_the_place_of_a_file_is_not_followed)
{
    struct fixture f;
    const char *outside;
    struct nd_error *err;

    ND_TRY(fixture_init(&f));
    outside = in_dir(&f.s.dir, "outside");
    put_file(outside, ND_STR("precious"));
    assert_int_equal(symlink(outside, in_state(&f, "hostname")), 0);
    err = write_hostname(f.state, "web");
    assert_non_null(err);
    nd_error_free(err);
    expect_file(outside, "precious");
    fixture_fini(&f);
    return NULL;
}

/* The marker that nerdctl leaves while it writes `path`; `dir` as it hashes it. */
static void
marker_path(const struct fixture *f, const char *dir, const char *base, const char *kind,
            char dst[512])
{
    char d[2 * ND_HASH_MAX_BYTES + 1], b[2 * ND_HASH_MAX_BYTES + 1];

    nd_hash_hex(ND_SHA256, nd_str(dir), d);
    nd_hash_hex(ND_SHA256, nd_str(base), b);
    snprintf(dst, 512, "%s/filesystem-ops/%.8s-%.16s-%.8s-%s", nd_store_data_root(f->s.store), d,
             base, b, kind);
}

IN_REAL_LOOP(a_stale_marker_does_not_survive_a_write)
{
    struct fixture f;
    char paths[4][512], dir[512], ops[512];

    ND_TRY(fixture_init(&f));
    snprintf(ops, sizeof(ops), "%s/filesystem-ops", nd_store_data_root(f.s.store));
    assert_int_equal(mkdir(ops, 0700), 0);
    snprintf(dir, sizeof(dir), "%s/", nd_state_path(f.state));
    marker_path(&f, dir, "resolv.conf", "in-progress", paths[0]);
    marker_path(&f, dir, "log-config.json", "backup", paths[1]);
    marker_path(&f, nd_state_path(f.state), "log-config.json", "in-progress", paths[2]);
    marker_path(&f, dir, "other", "in-progress", paths[3]);
    for (size_t i = 0; i < ND_LEN(paths); i++)
        put_file(paths[i], ND_STR("remove"));
    ND_TRY(write_resolv_conf(f.state, ND_NET_HOST, &(struct nd_dns){0}));
    ND_TRY(write_log_config(f.state, &(struct nd_log_config){.driver = "json-file"}));
    assert_false(exists(paths[0]));
    assert_false(exists(paths[1]));
    assert_false(exists(paths[2]));
    assert_true(exists(paths[3]));
    fixture_fini(&f);
    return NULL;
}

IN_REAL_LOOP(log_config_is_what_nerdctl_writes)
{
    struct fixture f;
    const struct nd_log_option options[] = {
        {"max-size", "10m"}, {"max-file", "3"}, {"tag", "<a&b>"}};
    const struct nd_log_config plain = {.driver = "json-file",
                                        .address = "/run/containerd/containerd.sock"};
    const struct nd_log_config full = {
        .driver = "json-file", .options = options, .n_options = 3, .address = "x"};
    struct nd_log_config got;
    const char *want =
        "{\"driver\":\"json-file\",\"opts\":{\"max-file\":\"3\",\"max-size\":\"10m\",\"tag\":"
        "\"\\u003ca\\u0026b\\u003e\"},\"address\":\"x\"}";

    ND_TRY(fixture_init(&f));
    expect_code(nd_state_read_log_config(f.state, f.arena, &got), ND_NOT_FOUND);
    assert_string_equal(
        nd_log_config_format(&plain, f.arena),
        "{\"driver\":\"json-file\",\"address\":\"/run/containerd/containerd.sock\"}");
    assert_string_equal(nd_log_config_format(&full, f.arena), want);
    put_file(nd_state_log_path(f.state), ND_STR("kept"));
    ND_TRY(write_log_config(f.state, &full));
    expect_file(in_state(&f, "log-config.json"), want);
    expect_mode(in_state(&f, "log-config.json"), 0600);
    expect_file(in_state(&f, ID "-json.log"), "kept");
    ND_TRY(nd_state_read_log_config(f.state, f.arena, &got));
    assert_string_equal(got.driver, "json-file");
    assert_string_equal(got.address, "x");
    assert_int_equal(got.n_options, 3);
    assert_string_equal(nd_log_config_option(&got, "tag"), "<a&b>");
    assert_null(nd_log_config_option(&got, "nope"));

    assert_int_equal(unlink(nd_state_log_path(f.state)), 0);
    ND_TRY(write_log_config(f.state, &plain));
    expect_file(nd_state_log_path(f.state), "");
    expect_mode(nd_state_log_path(f.state), 0600);
    fixture_fini(&f);
    return NULL;
}

IN_REAL_LOOP(ports_are_what_nerdctl_writes)
{
    struct fixture f;
    const struct nd_port_mapping ports[] = {{8080, 80, "tcp", "0.0.0.0"}, {53, 53, "udp", "::"}};
    const struct nd_port_mapping *got;
    ino_t before;
    size_t n;

    ND_TRY(fixture_init(&f));
    ND_TRY(nd_state_read_ports(f.state, f.arena, &got, &n));
    assert_int_equal(n, 0);
    ND_TRY(write_ports(f.state, NULL, 0));
    expect_file(in_state(&f, "network-config.json"), "{}");
    ND_TRY(nd_state_read_ports(f.state, f.arena, &got, &n));
    assert_int_equal(n, 0);
    before = inode_of(in_state(&f, "network-config.json"));
    ND_TRY(write_ports(f.state, ports, 2));
    expect_file(in_state(&f, "network-config.json"),
                "{\"portMappings\":[{\"HostPort\":8080,\"ContainerPort\":80,\"Protocol\":\"tcp\","
                "\"HostIP\":"
                "\"0.0.0.0\"},{\"HostPort\":53,\"ContainerPort\":53,\"Protocol\":\"udp\","
                "\"HostIP\":\"::\"}]}");
    expect_mode(in_state(&f, "network-config.json"), 0600);
    assert_int_not_equal(inode_of(in_state(&f, "network-config.json")), before);
    ND_TRY(nd_state_read_ports(f.state, f.arena, &got, &n));
    assert_int_equal(n, 2);
    assert_int_equal(got[1].host_port, 53);
    assert_string_equal(got[1].protocol, "udp");
    assert_string_equal(got[0].host_ip, "0.0.0.0");

    ND_TRY(nd_ports_parse(
        ND_STR("[{\"HostPort\":1,\"ContainerPort\":2,\"Protocol\":\"tcp\",\"HostIP\":\"\"}]"),
        f.arena, &got, &n));
    assert_int_equal(n, 1);
    assert_int_equal(got[0].container_port, 2);
    expect_code(nd_ports_parse(ND_STR("{}"), f.arena, &got, &n), ND_INVALID);
    fixture_fini(&f);
    return NULL;
}

IN_REAL_LOOP(lifecycle_is_what_the_hooks_write)
{
    struct fixture f;
    struct nd_lifecycle got = {.create_error = true};

    ND_TRY(fixture_init(&f));
    expect_code(nd_state_read_lifecycle(f.state, &got), ND_NOT_FOUND);
    ND_TRY(nd_state_write_lifecycle(
        f.state,
        &(struct nd_lifecycle){.started_at = {1704164645, 120000000}, .create_error = true}));
    expect_file(in_state(&f, "lifecycle.json"),
                "{\"started_at\":\"2024-01-02T03:04:05.12Z\",\"create_error\":true}");
    expect_mode(in_state(&f, "lifecycle.json"), 0600);
    put_file(
        in_state(&f, "lifecycle.json"),
        ND_STR("{\"started_at\":\"2024-01-02T05:04:05.123456789+02:00\",\"create_error\":false}"));
    ND_TRY(nd_state_read_lifecycle(f.state, &got));
    assert_int_equal(got.started_at.sec, 1704164645);
    assert_int_equal(got.started_at.nsec, 123456789);
    assert_false(got.create_error);
    fixture_fini(&f);
    return NULL;
}

IN_REAL_LOOP(starts_are_read_at_once_and_unknown_where_nothing_is_to_be_read)
{
    struct fixture f;
    struct nd_state *states[3] = {NULL};
    struct nd_wall at[3] = {{1, 1}, {1, 1}, {1, 1}};

    ND_TRY(fixture_init(&f));
    states[0] = f.state;
    ND_TRY(nd_state_new(f.s.store, "default", "never", &states[1]));
    ND_TRY(nd_state_new(f.s.store, "default", "torn", &states[2]));
    ND_TRY(nd_state_create(states[2]));
    ND_TRY(
        nd_state_write_lifecycle(f.state, &(struct nd_lifecycle){.started_at = {1704164645, 5}}));
    put_file(in_store(&f.s, "containers/default/torn/lifecycle.json"),
             ND_STR("{\"started_at\":\"x"));
    ND_TRY(nd_states_read_starts(states, ND_LEN(states), at));
    assert_int_equal(at[0].sec, 1704164645);
    assert_int_equal(at[1].sec, 0);
    assert_int_equal(at[2].sec, 0);
    ND_TRY(nd_states_read_starts(NULL, 0, NULL));
    nd_state_free(states[1]);
    nd_state_free(states[2]);
    fixture_fini(&f);
    return NULL;
}

IN_REAL_LOOP(the_last_probes_are_read_whatever_stands_before_them)
{
    struct fixture f;
    const char *probes[ND_STATE_PROBES_MAX];
    struct nd_buf text = ND_BUF_INIT(1 << 20);
    size_t n;

    ND_TRY(fixture_init(&f));
    ND_TRY(nd_state_read_probes(f.state, f.arena, probes, &n));
    assert_int_equal(n, 0);
    put_file(in_state(&f, "health.json"),
             ND_STR("\n\n{\"ExitCode\":0}\n5\n[]\n{\"ExitCode\":1}\n{\"Exi"));
    ND_TRY(nd_state_read_probes(f.state, f.arena, probes, &n));
    assert_int_equal(n, 2);
    assert_string_equal(probes[0], "{\"ExitCode\":0}");
    assert_string_equal(probes[1], "{\"ExitCode\":1}");

    for (unsigned i = 0; i < 10; i++)
        nd_buf_printf(&text, "{\"n\":%u,\"Output\":\"%060000u\"}\n", i, 0);
    put_file(in_state(&f, "health.json"), nd_buf_str(&text));
    ND_TRY(nd_state_read_probes(f.state, f.arena, probes, &n));
    assert_int_equal(n, 4); /* of which the end of the file has the whole */
    assert_true(nd_str_starts(nd_str(probes[0]), ND_STR("{\"n\":6,")));
    assert_true(nd_str_starts(nd_str(probes[3]), ND_STR("{\"n\":9,")));
    nd_buf_fini(&text);
    fixture_fini(&f);
    return NULL;
}

IN_REAL_LOOP(what_cannot_be_understood_is_data_loss)
{
    struct fixture f;
    struct nd_lifecycle lifecycle;
    struct nd_log_config config;
    const struct nd_port_mapping *ports;
    size_t n;
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "\"x\"",
        "null",
        "\xff",
        "{\"portMappings\":{},\"driver\":1,\"started_at\":\"never\"}",
        "{\"portMappings\":[1],\"opts\":{\"a\":1},\"started_at\":5}",
        "{\"portMappings\":[{\"HostPort\":70000}],\"opts\":[],\"create_error\":\"no\"}",
        "{\"portMappings\":[{\"HostPort\":-1}],\"address\":{},\"create_error\":1}",
    };

    ND_TRY(fixture_init(&f));
    for (size_t i = 0; i < ND_LEN(bad); i++) {
        put_file(in_state(&f, "lifecycle.json"), nd_str(bad[i]));
        put_file(in_state(&f, "network-config.json"), nd_str(bad[i]));
        put_file(in_state(&f, "log-config.json"), nd_str(bad[i]));
        expect_code(nd_state_read_lifecycle(f.state, &lifecycle), ND_DATA_LOSS);
        expect_code(nd_state_read_ports(f.state, f.arena, &ports, &n), ND_DATA_LOSS);
        expect_code(nd_state_read_log_config(f.state, f.arena, &config), ND_DATA_LOSS);
    }
    fixture_fini(&f);
    return NULL;
}

IN_REAL_LOOP(a_file_over_the_limit_is_not_read)
{
    struct fixture f;
    struct nd_lifecycle lifecycle;
    char *large = nd_calloc(1, ND_STORE_FILE_MAX + 1);

    ND_TRY(fixture_init(&f));
    memset(large, ' ', ND_STORE_FILE_MAX + 1);
    put_file(in_state(&f, "lifecycle.json"), nd_str_n(large, ND_STORE_FILE_MAX + 1));
    expect_code(nd_state_read_lifecycle(f.state, &lifecycle), ND_EXHAUSTED);
    put_file(in_state(&f, "lifecycle.json"), nd_str_n(large, ND_STORE_FILE_MAX));
    expect_code(nd_state_read_lifecycle(f.state, &lifecycle), ND_DATA_LOSS);
    nd_free(large);
    fixture_fini(&f);
    return NULL;
}

IN_REAL_LOOP(shared_files_are_written_under_the_lock_on_the_directory)
{
    struct fixture f;
    int fd;

    ND_TRY(fixture_init(&f));
    fd = open(nd_state_path(f.state), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    {
        ND_DEADLINE_IN(10 * ND_MILLISECOND);
        expect_code(write_ports(f.state, NULL, 0), ND_DEADLINE);
    }
    assert_false(exists(in_state(&f, "network-config.json")));
    close(fd);
    ND_TRY(write_ports(f.state, NULL, 0));
    fixture_fini(&f);
    return NULL;
}

IN_REAL_LOOP(operations_and_loggers_exclude_each_other)
{
    struct fixture f;
    struct nd_store_lock *first, *second;
    int fd;

    ND_TRY(fixture_init(&f));
    ND_TRY(nd_state_lock_operation(f.state, &first));
    expect_mode(in_state(&f, "oplock"), 0700);
    {
        ND_DEADLINE_IN(10 * ND_MILLISECOND);
        expect_code(nd_state_lock_operation(f.state, &second), ND_DEADLINE);
    }
    nd_store_lock_release(first);
    ND_TRY(nd_state_lock_operation(f.state, &second));
    nd_store_lock_release(second);

    ND_TRY(nd_state_wait_logger(f.state));
    fd = open(nd_state_logger_lock_path(f.state), O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    {
        ND_DEADLINE_IN(10 * ND_MILLISECOND);
        expect_code(nd_state_wait_logger(f.state), ND_DEADLINE);
    }
    close(fd);
    ND_TRY(nd_state_wait_logger(f.state));
    fixture_fini(&f);
    return NULL;
}

IN_REAL_LOOP(an_operation_without_a_state_folder_has_nobody_to_lock_out)
{
    struct fixture f;
    struct nd_store_lock *lock;

    ND_TRY(fixture_init(&f));
    ND_TRY(nd_state_remove(f.state));
    ND_TRY(nd_state_lock_operation(f.state, &lock));
    assert_null(lock);
    assert_false(exists(nd_state_path(f.state)));
    fixture_fini(&f);
    return NULL;
}

IN_REAL_LOOP(an_operation_that_cannot_open_its_lock_does_not_go_on_without)
{
    struct fixture f;
    struct nd_store_lock *held, *second;
    struct rlimit before, none = {0};

    ND_TRY(fixture_init(&f));
    ND_TRY(nd_state_lock_operation(f.state, &held));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    expect_code(nd_state_lock_operation(f.state, &second), ND_EXHAUSTED);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    nd_store_lock_release(held);
    fixture_fini(&f);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_directory_is_made_and_removed_with_all_below),
        cmocka_unit_test(ids_and_namespaces_cannot_leave_the_store),
        cmocka_unit_test(mounted_files_keep_their_inode),
        cmocka_unit_test(files_are_written_together_or_not_at_all_when_one_is_wrong),
        cmocka_unit_test(a_link_in_the_place_of_a_file_is_not_followed),
        cmocka_unit_test(a_stale_marker_does_not_survive_a_write),
        cmocka_unit_test(log_config_is_what_nerdctl_writes),
        cmocka_unit_test(ports_are_what_nerdctl_writes),
        cmocka_unit_test(lifecycle_is_what_the_hooks_write),
        cmocka_unit_test(starts_are_read_at_once_and_unknown_where_nothing_is_to_be_read),
        cmocka_unit_test(the_last_probes_are_read_whatever_stands_before_them),
        cmocka_unit_test(what_cannot_be_understood_is_data_loss),
        cmocka_unit_test(a_file_over_the_limit_is_not_read),
        cmocka_unit_test(shared_files_are_written_under_the_lock_on_the_directory),
        cmocka_unit_test(operations_and_loggers_exclude_each_other),
        cmocka_unit_test(an_operation_without_a_state_folder_has_nobody_to_lock_out),
        cmocka_unit_test(an_operation_that_cannot_open_its_lock_does_not_go_on_without),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
