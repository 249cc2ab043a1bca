/* Command lines of `run` as the message that the daemon gets. */

#include <stdlib.h>
#include <unistd.h>

#include "remote/container_config.h"

#include "check.h"

/* Blanks separate words. The configuration, or NULL and the error. */
static struct nd_error *
read_line(struct nd_arena *a, const char *line, Pb__ContainerConfig **ret)
{
    struct nd_flags *flags = nd_flags_new(a, nd_container_flags);
    struct nd_texts words = {.n = 0};
    struct nd_str rest = nd_str(line), word;
    struct nd_flag_words input = {.n = 0};

    while (nd_str_next(&rest, ' ', &word))
        nd_texts_push(a, &words, word);
    input.words = words.items;
    input.n = words.n;
    ND_TRY(nd_flags_parse(a, &flags, 1, &input));
    return nd_container_config(a, flags, &input.args, ret);
}

static const char *
joined(struct nd_arena *a, char *const *texts, size_t n)
{
    const char *all = "";

    for (size_t i = 0; i < n; i++)
        all = nd_arena_printf(a, "%s[%s]", all, texts[i]);
    return all;
}

static void
nothing_given_is_nothing_set(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    Pb__ContainerConfig *c;

    (void)state;
    check_ok(read_line(a, "alpine", &c));
    assert_string_equal(c->image, "alpine");
    assert_int_equal(c->n_args + c->n_env + c->n_networks + c->n_mounts + c->n_labels, 0);
    assert_string_equal(c->runtime, "");
    assert_string_equal(c->stop_signal, "");
    assert_string_equal(c->init_binary, "");
    assert_int_equal(c->stop_timeout_presence_case, 0);
    assert_int_equal(c->oom_score_adj_presence_case, 0);
    assert_int_equal(c->resources->cpu_quota_presence_case, 0);
    assert_int_equal(c->resources->memory_swappiness_presence_case, 0);
    assert_int_equal(c->resources->pids_limit, -1);
    assert_int_equal(c->pull, PB__PULL_POLICY__PULL_POLICY_UNSPECIFIED);
    assert_null(c->log);
    assert_false(c->clear_entrypoint);
}

static void
texts_switches_and_lists_have_their_field(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    Pb__ContainerConfig *c;

    (void)state;
    check_ok(read_line(a,
                       "--name web -w /srv -u 1:2 -h host --domainname d --ipc host --pid host "
                       "--uts host --cgroupns private --cgroup-parent /p --stop-signal INT "
                       "--platform linux/arm64 --init --init-binary /i --runtime crun -t -i "
                       "--privileged --read-only --rm --group-add a,b --cap-add NET_ADMIN "
                       "--cap-drop ALL --dns 1.1.1.1 --dns-search x --dns-opt o1 --dns-option o2 "
                       "--net host --entrypoint /bin/sh --pull never --add-host a:1.2.3.4 "
                       "--add-host b=::1 img -c true",
                       &c));
    assert_string_equal(c->name, "web");
    assert_string_equal(c->working_dir, "/srv");
    assert_string_equal(c->user, "1:2");
    assert_string_equal(c->hostname, "host");
    assert_string_equal(c->domainname, "d");
    assert_string_equal(c->ipc_mode, "host");
    assert_string_equal(c->pid_mode, "host");
    assert_string_equal(c->uts_mode, "host");
    assert_string_equal(c->cgroupns_mode, "private");
    assert_string_equal(c->cgroup_parent, "/p");
    assert_string_equal(c->stop_signal, "INT");
    assert_string_equal(c->platform, "linux/arm64");
    assert_string_equal(c->init_binary, "/i");
    assert_string_equal(c->runtime, "crun");
    assert_true(c->init && c->tty && c->interactive && c->privileged && c->read_only &&
                c->auto_remove);
    assert_string_equal(joined(a, c->group_add, c->n_group_add), "[a][b]");
    assert_string_equal(joined(a, c->cap_add, c->n_cap_add), "[NET_ADMIN]");
    assert_string_equal(joined(a, c->cap_drop, c->n_cap_drop), "[ALL]");
    assert_string_equal(joined(a, c->dns, c->n_dns), "[1.1.1.1]");
    assert_string_equal(joined(a, c->dns_search, c->n_dns_search), "[x]");
    assert_string_equal(joined(a, c->dns_options, c->n_dns_options), "[o1][o2]");
    assert_string_equal(joined(a, c->networks, c->n_networks), "[host]");
    assert_string_equal(joined(a, c->entrypoint, c->n_entrypoint), "[/bin/sh]");
    assert_string_equal(joined(a, c->args, c->n_args), "[-c][true]");
    assert_string_equal(joined(a, c->add_hosts, c->n_add_hosts), "[a:1.2.3.4][b:::1]");
    assert_int_equal(c->pull, PB__PULL_POLICY__PULL_POLICY_NEVER);
}

static void
limits_are_numbers(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    Pb__ContainerConfig *c;
    const Pb__Resources *r;

    (void)state;
    check_ok(read_line(a,
                       "-m 512m --memory-reservation 256m --memory-swap -1 --memory-swappiness 0 "
                       "--shm-size 64m --cpus 1.5 --cpu-shares 512 --cpuset-cpus 0-1 "
                       "--cpuset-mems 0 --pids-limit 100 --blkio-weight 500 --oom-kill-disable "
                       "--oom-score-adj -500 --stop-timeout 0 --cpu-rt-runtime 5 --cpu-rt-period 9 "
                       "--ulimit nofile=1:2,core=0 img",
                       &c));
    r = c->resources;
    assert_int_equal(r->memory, 512 << 20);
    assert_int_equal(r->memory_reservation, 256 << 20);
    assert_int_equal(r->memory_swap, -1);
    assert_int_equal(r->memory_swappiness_presence_case,
                     PB__RESOURCES__MEMORY_SWAPPINESS_PRESENCE_MEMORY_SWAPPINESS);
    assert_int_equal(r->memory_swappiness, 0);
    assert_int_equal(c->shm_size, 64 << 20);
    assert_true(r->cpus == 1.5);
    assert_int_equal(r->cpu_shares, 512);
    assert_string_equal(r->cpuset_cpus, "0-1");
    assert_string_equal(r->cpuset_mems, "0");
    assert_int_equal(r->pids_limit, 100);
    assert_int_equal(r->blkio_weight, 500);
    assert_true(r->oom_kill_disable);
    assert_int_equal(c->oom_score_adj, -500);
    assert_int_equal(c->stop_timeout_presence_case,
                     PB__CONTAINER_CONFIG__STOP_TIMEOUT_PRESENCE_STOP_TIMEOUT);
    assert_int_equal(c->stop_timeout, 0);
    assert_int_equal(r->cpu_rt_runtime, 5);
    assert_int_equal(r->cpu_rt_period, 9);
    assert_int_equal(c->n_ulimits, 2);
    assert_int_equal(c->ulimits[0]->hard, 2);
    assert_string_equal(c->ulimits[1]->name, "core");
}

static void
maps_keep_the_last_value_of_a_key(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    Pb__ContainerConfig *c;

    (void)state;
    check_ok(read_line(a,
                       "-l a=1 -l b -l a=2=3 --annotation x=y --sysctl net.ipv4.ip_forward=1 "
                       "--log-driver json-file --log-opt max-size=10m --security-opt "
                       "seccomp=unconfined --security-opt no-new-privileges img",
                       &c));
    assert_int_equal(c->n_labels, 2);
    assert_string_equal(c->labels[0]->key, "a");
    assert_string_equal(c->labels[0]->value, "2=3");
    assert_string_equal(c->labels[1]->value, "");
    assert_int_equal(c->n_annotations, 1);
    assert_string_equal(c->annotations[0]->value, "y");
    assert_string_equal(c->sysctls[0]->key, "net.ipv4.ip_forward");
    assert_string_equal(c->log->driver, "json-file");
    assert_string_equal(c->log->options[0]->value, "10m");
    assert_string_equal(joined(a, c->security_options, c->n_security_options),
                        "[seccomp=unconfined][no-new-privileges]");
    /* What was built by hand must be a message like any other. */
    assert_true(protobuf_c_message_check(&c->base));
}

static void
variables_come_from_files_flags_and_us(void **state)
{
    char path[] = "/tmp/nd-config-XXXXXX";
    static const char content[] = "FILE=1\n# no\nBOTH=file\nND_TEST_SET\nND_TEST_UNSET\n";
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    int fd = mkstemp(path);
    Pb__ContainerConfig *c;

    (void)state;
    assert_int_equal(write(fd, content, sizeof(content) - 1), sizeof(content) - 1);
    assert_int_equal(setenv("ND_TEST_SET", "ours", 1), 0);
    assert_int_equal(unsetenv("ND_TEST_UNSET"), 0);
    check_ok(read_line(
        a, nd_arena_printf(a, "-e BOTH=flag -e ND_TEST_SET -e E= --env-file %s img", path), &c));
    assert_string_equal(joined(a, c->env, c->n_env), "[FILE=1][BOTH=file][ND_TEST_SET=ours]"
                                                     "[BOTH=flag][ND_TEST_SET=ours][E=]");
    check_ok(read_line(a, nd_arena_printf(a, "--label-file %s -l BOTH=x img", path), &c));
    assert_int_equal(c->n_labels, 4);
    assert_string_equal(c->labels[1]->value, "x");
    check_ok(read_line(a, nd_arena_printf(a, "--security-opt seccomp=%s img", path), &c));
    assert_string_equal(c->security_options[0], nd_arena_printf(a, "seccomp=%s", content));
    unlink(path);
    close(fd);
}

static void
mounts_keep_the_order_of_their_kind(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    Pb__ContainerConfig *c;

    (void)state;
    check_ok(
        read_line(a, "--tmpfs /t -v /a:/b:ro --mount type=bind,src=/c,dst=/d -v v:/e img", &c));
    assert_int_equal(c->n_mounts, 4);
    assert_string_equal(c->mounts[0]->target, "/b");
    assert_string_equal(c->mounts[1]->target, "/e");
    assert_string_equal(c->mounts[2]->target, "/d");
    assert_string_equal(c->mounts[3]->type, "tmpfs");
}

static void
an_empty_entrypoint_clears_the_image_s(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    Pb__ContainerConfig *c;

    (void)state;
    check_ok(read_line(a, "--entrypoint= img true", &c));
    assert_true(c->clear_entrypoint);
    assert_int_equal(c->n_entrypoint, 0);
}

static void
mistakes_name_their_flag(void **state)
{
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"-m lots img", "--memory: invalid suffix"},
        {"--shm-size= -m 1x img", "--memory"},
        {"--memory-swap -2 img", "--memory-swap"},
        {"--memory-swappiness 101 img", "--memory-swappiness"},
        {"--cpus 1 --cpu-quota 5 img", "cpus and quota/period should be used separately"},
        {"--cpus=-1 img", "--cpus"},
        {"-e =x img", "--env"},
        {"-l =x img", "--label"},
        {"--sysctl x img", "--sysctl: \"x\" is not of the form key=value"},
        {"--log-opt x img", "--log-opt"},
        {"-v rel/path:/x img", "--volume"},
        {"--mount nope img", "--mount"},
        {"--tmpfs rel img", "--tmpfs"},
        {"--device rel img", "--device"},
        {"--ulimit x img", "--ulimit"},
        {"--add-host x img", "--add-host"},
        {"--pull sometimes img", "invalid pull option: 'sometimes'"},
        {"--cpu-rt-runtime 18446744073709551615 img", "--cpu-rt-runtime"},
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    Pb__ContainerConfig *c;

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++)
        check_message(read_line(a, cases[i].line, &c), ND_INVALID, cases[i].message);
    check_message(read_line(a, "--env-file /nonexistent img", &c), ND_NOT_FOUND, "--env-file");
    check_message(read_line(a, "--security-opt seccomp=/nonexistent img", &c), ND_NOT_FOUND,
                  "--security-opt seccomp");
}

static void
complaints_about_fields_name_flags(void **state)
{
    static const struct {
        const char *message, *told;
    } cases[] = {
        {"options.config.add_hosts[0]: \"b\" is no address", "--add-host: \"b\" is no address"},
        {"config.resources.memory: is below 6 MiB", "--memory: is below 6 MiB"},
        {"config.resources.memory_swap: x", "--memory-swap: x"},
        {"config.dns_search[1]: x", "--dns-search: x"},
        {"config.dns[1]: x", "--dns: x"},
        {"config.log.options[0].key: x", "--log-opt: x"},
        {"config.mounts[2].target: x: y", "--volume or --mount: x: y"},
        {"config.nothing: x", "config.nothing: x"},
        {"config.name", "config.name"},
        {"config.namesake: x", "config.namesake: x"},
        {"no such image: x", "no such image: x"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_error *err = nd_error_new(ND_INVALID, "%s", cases[i].message);

        err = nd_error_hint(nd_error_meta(err, "exit_code", "126"), "a hint");
        err = nd_container_config_explain(err);
        assert_string_equal(nd_error_message(err), cases[i].told);
        assert_int_equal(nd_error_code(err), ND_INVALID);
        assert_string_equal(nd_error_get_hint(err, 0), "a hint");
        assert_string_equal(nd_error_meta_value(err, 0), "126");
        nd_error_free(err);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_given_is_nothing_set),
        cmocka_unit_test(texts_switches_and_lists_have_their_field),
        cmocka_unit_test(limits_are_numbers),
        cmocka_unit_test(maps_keep_the_last_value_of_a_key),
        cmocka_unit_test(variables_come_from_files_flags_and_us),
        cmocka_unit_test(mounts_keep_the_order_of_their_kind),
        cmocka_unit_test(an_empty_entrypoint_clears_the_image_s),
        cmocka_unit_test(mistakes_name_their_flag),
        cmocka_unit_test(complaints_about_fields_name_flags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
