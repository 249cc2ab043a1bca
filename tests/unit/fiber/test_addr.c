/* Texts of addresses. */

#include <string.h>

#include "base/defs.h"
#include "fiber/stream.h"

#include "in_loop.h"

static void
addresses_that_are_understood(void **state)
{
    static const struct {
        const char *text;
        enum nd_peer_kind kind;
        const char *where;
        uint16_t port;
    } cases[] = {
        {"unix:///run/x.sock", ND_PEER_UNIX, "/run/x.sock", 0},
        {"unix:/run/x.sock", ND_PEER_UNIX, "/run/x.sock", 0},
        {"/run/x.sock", ND_PEER_UNIX, "/run/x.sock", 0},
        {"unix-abstract:name", ND_PEER_UNIX, "@name", 0},
        {"tcp://example.org:80", ND_PEER_TCP, "example.org", 80},
        {"example.org:65535", ND_PEER_TCP, "example.org", 65535},
        {"dns:///a_b-c.d:1", ND_PEER_TCP, "a_b-c.d", 1},
        {"127.0.0.1:0", ND_PEER_TCP, "127.0.0.1", 0},
        {"[::1]:9090", ND_PEER_TCP, "::1", 9090},
        {"tcp://[fe80::1%eth0]:9090", ND_PEER_TCP, "fe80::1%eth0", 9090},
        {":9090", ND_PEER_TCP, "", 9090},
        {"passthrough:///example.org:80", ND_PEER_TCP, "example.org", 80},
        {"ipv4:192.0.2.1:80", ND_PEER_TCP, "192.0.2.1", 80},
        {"ipv6:[2001:db8::1]:80", ND_PEER_TCP, "2001:db8::1", 80},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_addr addr;

        expect_ok(nd_addr_parse(nd_str(cases[i].text), &addr));
        assert_int_equal(addr.kind, cases[i].kind);
        assert_string_equal(addr.kind == ND_PEER_UNIX ? addr.path : addr.host, cases[i].where);
        assert_int_equal(addr.port, cases[i].port);
    }
}

static void
addresses_that_are_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "unix:",
        "unix://",
        "unix:relative",
        "unix://host/path",
        "unix-abstract:",
        "host",
        "host:",
        "host:65536",
        "host:-1",
        "host:+1",
        "host:1x",
        "host: 1",
        "ho st:1",
        "user@host:1",
        "http://host:1",
        "dns://server/host:1",
        "ipv4:192.0.2.1:80,192.0.2.2:80",
        "passthrough:///",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[]:80",
        "[::1:80",
        "[host]x:80",
        "h\x80st:1",
    };
    struct nd_addr addr = {.port = 4711};

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++)
        expect_code(nd_addr_parse(nd_str(cases[i]), &addr), ND_INVALID);
    expect_code(nd_addr_parse(nd_str_n("/a\0b", 4), &addr), ND_INVALID);
    assert_int_equal(addr.port, 4711);
}

static void
lengths_have_their_limits(void **state)
{
    struct nd_addr addr;
    char text[400];

    (void)state;
    memset(text, 'a', sizeof(text));
    text[0] = '/';
    expect_ok(nd_addr_parse(nd_str_n(text, 107), &addr));
    expect_code(nd_addr_parse(nd_str_n(text, 108), &addr), ND_INVALID);

    text[0] = 'a';
    text[255] = ':';
    text[256] = '1';
    expect_ok(nd_addr_parse(nd_str_n(text, 257), &addr));
    text[255] = 'a';
    text[256] = ':';
    text[257] = '1';
    expect_code(nd_addr_parse(nd_str_n(text, 258), &addr), ND_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_that_are_understood),
        cmocka_unit_test(addresses_that_are_refused),
        cmocka_unit_test(lengths_have_their_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
