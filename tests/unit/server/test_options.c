/*
 * The daemon's options: what is taken, what is refused, and that no TCP listener comes up without
 * client certificates, whatever else is said.
 */

#include <stdlib.h>

#include "../../../src/server/options.c"
#include "check.h"

#define ARGS_MAX 14

static struct nd_error *
read_args(const char *const *args, struct nd_options *ret)
{
    char *argv[ARGS_MAX + 2] = {(char *)(uintptr_t) "nerdctl-grpcd"};
    int argc = 1;

    while (args[argc - 1] != NULL) {
        argv[argc] = (char *)(uintptr_t)args[argc - 1];
        argc++;
    }
    return nd_options_read(argc, argv, ret);
}

static void
defaults_need_nothing(void **state)
{
    static const char *const none[] = {NULL};
    struct nd_options o;

    (void)state;
    assert_null(read_args(none, &o));
    assert_int_equal(o.n_listen, 1);
    assert_int_equal(o.addrs[0].kind, ND_PEER_UNIX);
    assert_string_equal(o.ns, "default");
    assert_string_equal(o.containerd_address, "/run/containerd/containerd.sock");
    assert_null(o.cgroup_manager);
}

static void
values_are_taken_in_both_spellings(void **state)
{
    static const char *const args[] = {"--listen=unix:///tmp/x.sock",
                                       "--namespace",
                                       "k8s.io",
                                       "--log-level=debug",
                                       "--shutdown-grace",
                                       "1m30s",
                                       "--max-connections=7",
                                       "--session-hold=90s",
                                       "--max-connection-age=1h",
                                       "--keepalive-time=0s",
                                       "--web-origin=https://ui.example.com:8443",
                                       "--web-origin=http://[::1]:80",
                                       NULL};
    struct nd_options o;

    (void)state;
    assert_null(read_args(args, &o));
    assert_string_equal(o.addrs[0].path, "/tmp/x.sock");
    assert_string_equal(o.ns, "k8s.io");
    assert_int_equal(o.log_level, ND_LOG_DEBUG);
    assert_true(o.shutdown_grace_ns == 90 * ND_SECOND);
    assert_int_equal(o.max_connections, 7);
    assert_true(o.session_hold_ns == 90 * ND_SECOND);
    assert_true(o.max_connection_age_ns == ND_HOUR);
    assert_true(o.keepalive_time_ns == 0);
    assert_int_equal(o.n_web_origins, 2);
    assert_string_equal(o.web_origins[1], "http://[::1]:80");
}

static void
wrong_options_are_refused_by_name(void **state)
{
    static const struct {
        const char *args[4];
        const char *says;
    } cases[] = {
        {{"--nonsense"}, "--nonsense"},
        {{"listen"}, "listen"},
        {{"-h"}, "-h"},
        {{"--"}, "--"},
        {{"--=x"}, "--=x"},
        {{"--listen"}, "--listen needs a value"},
        {{"--listen="}, "--listen"},
        {{"--insecure=yes"}, "--insecure takes no value"},
        {{"--log-level", "loud"}, "--log-level"},
        {{"--max-connections", "0x10"}, "--max-connections"},
        {{"--shutdown-grace", "-1s"}, "--shutdown-grace"},
        {{"--max-streams", "-1"}, "--max-streams"},
        {{"--max-connection-idle", "-1s"}, "--max-connection-idle"},
        {{"--keepalive-time", "often"}, "--keepalive-time"},
        {{"--shutdown-grace", "soon"}, "--shutdown-grace"},
        {{"--session-hold", "999ms"}, "--session-hold"},
        {{"--session-hold", "301s"}, "--session-hold"},
        {{"--tls-cert", "c.pem"}, "belong together"},
        {{"--web-origin", "*"}, "--web-origin"},
        {{"--web-origin", "ui.example.com"}, "--web-origin"},
        {{"--web-origin", "https://"}, "--web-origin"},
        {{"--web-origin", "https://UI.example.com"}, "--web-origin"},
        {{"--web-origin", "https://ui.example.com/"}, "--web-origin"},
        {{"--web-origin", "https://a,https://b"}, "--web-origin"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_options o;
        ND_AUTO(nd_error_freep) struct nd_error *err = read_args(cases[i].args, &o);

        assert_int_equal(nd_error_code(err), ND_INVALID);
        if (strstr(nd_error_message(err), cases[i].says) == NULL)
            fail_msg("%s does not name %s", nd_error_message(err), cases[i].says);
    }
}

static void
tcp_without_client_certificates_is_refused(void **state)
{
    static const struct {
        const char *args[9];
        bool fine;
    } cases[] = {
        {{"--listen", "tcp://0.0.0.0:9090"}, false},
        {{"--listen", "tcp://127.0.0.1:9090"}, false},
        {{"--listen", "tcp://127.0.0.1:9090", "--insecure"}, true},
        {{"--listen", "tcp://[::1]:9090", "--insecure"}, true},
        {{"--listen", "tcp://localhost:9090", "--insecure"}, true},
        {{"--listen", "tcp://0.0.0.0:9090", "--insecure"}, false},
        {{"--listen", "tcp://127.evil.example:9090", "--insecure"}, false},
        {{"--listen", "tcp://192.0.2.1:9090", "--insecure"}, false},
        {{"--listen", "tcp://0.0.0.0:9090", "--tls-cert=c", "--tls-key=k", "--tls-ca=a"}, true},
        {{"--listen", "tcp://0.0.0.0:9090", "--tls-cert=c", "--tls-key=k"}, false},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_options o;
        ND_AUTO(nd_error_freep) struct nd_error *err = read_args(cases[i].args, &o);

        if ((err == NULL) != cases[i].fine)
            fail_msg("case %zu: %s", i, nd_error_message(err));
    }
}

static void
the_command_line_wins_over_the_environment(void **state)
{
    static const char *const none[] = {NULL};
    static const char *const args[] = {"--namespace", "b", NULL};
    struct nd_options o;

    (void)state;
    assert_int_equal(setenv("CONTAINERD_NAMESPACE", "a", 1), 0);
    assert_null(read_args(none, &o));
    assert_string_equal(o.ns, "a");
    assert_null(read_args(args, &o));
    assert_string_equal(o.ns, "b");
    assert_int_equal(unsetenv("CONTAINERD_NAMESPACE"), 0);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_need_nothing),
        cmocka_unit_test(values_are_taken_in_both_spellings),
        cmocka_unit_test(wrong_options_are_refused_by_name),
        cmocka_unit_test(tcp_without_client_certificates_is_refused),
        cmocka_unit_test(the_command_line_wins_over_the_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
