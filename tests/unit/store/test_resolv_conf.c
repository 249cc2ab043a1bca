/* resolv.conf: what each mode makes of the host's file and of what the user gave. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/random.h"
#include "store/limits.h"

#include "../../../src/store/resolv_conf_priv.h"

static const struct nd_dns nothing;

static void
expect_made(const char *host, enum nd_net_mode mode, const struct nd_dns *dns, const char *want)
{
    struct nd_buf buf = ND_BUF_INIT(1 << 20);

    nd_resolv_conf_make(nd_str(host), mode, dns, &buf);
    assert_string_equal(buf.ptr != NULL ? buf.ptr : "", want);
    nd_buf_fini(&buf);
}

#define V4_PUBLIC "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"
#define V6_PUBLIC "nameserver 2001:4860:4860::8888\nnameserver 2001:4860:4860::8844\n"

static void
each_mode_takes_what_it_can_reach(void **state)
{
    static const struct {
        const char *host, *cni, *none, *host_mode;
    } cases[] = {
        {"", V4_PUBLIC, V4_PUBLIC V6_PUBLIC, ""},
        {"nameserver 10.0.0.1\nnameserver fd00::1\nnameserver 127.0.0.1\n", "nameserver 10.0.0.1\n",
         "nameserver 10.0.0.1\nnameserver fd00::1\n",
         "nameserver 10.0.0.1\nnameserver fd00::1\nnameserver 127.0.0.1\n"},
        {"nameserver 127.0.0.53\nnameserver ::1\n", V4_PUBLIC, V4_PUBLIC V6_PUBLIC,
         "nameserver 127.0.0.53\nnameserver ::1\n"},
        {"nameserver fe80::1%eth0", "", "nameserver fe80::1%eth0\n", "nameserver fe80::1%eth0\n"},
        {"# nameserver 1.1.1.1\n nameserver\t9.9.9.9 # quad\nnameserver\nnameserver bogus\n"
         "nameserverx 2.2.2.2\nsearch a.b\nsearch  c.d\te.f \noptions x\noptions ndots:2 edns0\n",
         "search c.d e.f\nnameserver 9.9.9.9\noptions ndots:2 edns0\n",
         "search c.d e.f\nnameserver 9.9.9.9\noptions ndots:2 edns0\n",
         "search c.d e.f\nnameserver 9.9.9.9\noptions ndots:2 edns0\n"},
        {"search .\nnameserver 9.9.9.9\r\n", "nameserver 9.9.9.9\n", "nameserver 9.9.9.9\n",
         "nameserver 9.9.9.9\n"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        expect_made(cases[i].host, ND_NET_CNI, &nothing, cases[i].cni);
        expect_made(cases[i].host, ND_NET_NONE, &nothing, cases[i].none);
        expect_made(cases[i].host, ND_NET_HOST, &nothing, cases[i].host_mode);
    }
}

static void
what_the_user_gave_takes_the_place_of_the_hosts(void **state)
{
    static const char *const servers[] = {"127.0.0.1", "fd00::2"}, *const searches[] = {"a", "b"},
                             *const options[] = {"ndots:1"}, *const dot[] = {"."};
    const struct nd_dns all = {servers, 2, searches, 2, options, 1};
    const struct nd_dns only_dot = {.searches = dot, .n_searches = 1};
    const char *host = "search x\nnameserver 9.9.9.9\noptions y\n";

    (void)state;
    for (int mode = ND_NET_CNI; mode <= ND_NET_HOST; mode++) {
        expect_made(host, (enum nd_net_mode)mode, &all,
                    "search a b\nnameserver 127.0.0.1\nnameserver fd00::2\noptions ndots:1\n");
        expect_made(host, (enum nd_net_mode)mode, &only_dot, "nameserver 9.9.9.9\noptions y\n");
    }
}

static void
the_stub_is_one_address_alone(void **state)
{
    (void)state;
    assert_true(
        nd_resolv_conf_is_stub(ND_STR("# made by\nnameserver 127.0.0.53\noptions edns0\n")));
    assert_false(nd_resolv_conf_is_stub(ND_STR("nameserver 127.0.0.53\nnameserver 1.1.1.1\n")));
    assert_false(nd_resolv_conf_is_stub(ND_STR("nameserver 127.0.0.1\n")));
    assert_false(nd_resolv_conf_is_stub(ND_STR("")));
}

static void
no_text_can_become_another_line(void **state)
{
    static const char *const bad[] = {"", "a b", "a\nnameserver 6.6.6.6", "a\t", "\x7f", "a\r"};
    char *long_text = nd_calloc(1, ND_STORE_DNS_MAX + 2);
    struct nd_error *err;

    (void)state;
    for (size_t i = 0; i < ND_LEN(bad); i++) {
        const struct nd_dns lists[] = {{.servers = &bad[i], .n_servers = 1},
                                       {.searches = &bad[i], .n_searches = 1},
                                       {.options = &bad[i], .n_options = 1}};

        for (size_t k = 0; k < ND_LEN(lists); k++) {
            err = nd_dns_check(&lists[k]);
            assert_int_equal(nd_error_code(err), ND_INVALID);
            nd_error_free(err);
        }
    }
    memset(long_text, 'a', ND_STORE_DNS_MAX);
    err = nd_dns_check(
        &(struct nd_dns){.searches = (const char *const[]){long_text}, .n_searches = 1});
    assert_int_equal(nd_error_code(err), ND_INVALID);
    nd_error_free(err);
    long_text[ND_STORE_DNS_MAX - 1] = '\0';
    assert_null(nd_dns_check(
        &(struct nd_dns){.searches = (const char *const[]){long_text}, .n_searches = 1}));
    nd_free(long_text);
}

static void
random_host_files_are_survived(void **state)
{
    static const char *const pieces[] = {"nameserver", "search", "options", " ",  "\t",   "\n",
                                         "#",          "::1",    "1.2.3.4", "\r", "\xff", "."};

    (void)state;
    for (size_t i = 0; i < 5000; i++) {
        struct nd_buf host = ND_BUF_INIT(1 << 16), out = ND_BUF_INIT(1 << 20);
        struct nd_str left, line;

        for (size_t k = nd_random_u64() % 40; k > 0; k--)
            nd_buf_putz(&host, pieces[nd_random_u64() % ND_LEN(pieces)]);
        nd_resolv_conf_make(nd_buf_str(&host), (enum nd_net_mode)(i % 3), &nothing, &out);
        for (left = nd_buf_str(&out); nd_str_next(&left, '\n', &line);)
            assert_true(nd_str_starts(line, ND_STR("nameserver ")) ||
                        nd_str_starts(line, ND_STR("search ")) ||
                        nd_str_starts(line, ND_STR("options ")));
        nd_buf_fini(&host);
        nd_buf_fini(&out);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mode_takes_what_it_can_reach),
        cmocka_unit_test(what_the_user_gave_takes_the_place_of_the_hosts),
        cmocka_unit_test(the_stub_is_one_address_alone),
        cmocka_unit_test(no_text_can_become_another_line),
        cmocka_unit_test(random_host_files_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
