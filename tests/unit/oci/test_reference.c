/* Names of images: what becomes of them, and which are none. */

#include "base/buf.h"
#include "oci/reference.h"

#include "check.h"

#define HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SHA "sha256:" HEX
#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
names_are_normalised(void **state)
{
    static const struct {
        const char *in, *domain, *path, *tag, *digest, *familiar;
    } rows[] = {
        {"nginx", "docker.io", "library/nginx", "latest", "", "nginx:latest"},
        {"nginx:1.27", "docker.io", "library/nginx", "1.27", "", "nginx:1.27"},
        {"library/nginx", "docker.io", "library/nginx", "latest", "", "nginx:latest"},
        {"docker.io/nginx", "docker.io", "library/nginx", "latest", "", "nginx:latest"},
        {"docker.io/library/nginx", "docker.io", "library/nginx", "latest", "", "nginx:latest"},
        {"index.docker.io/nginx", "docker.io", "library/nginx", "latest", "", "nginx:latest"},
        {"index.docker.io/user/app", "docker.io", "user/app", "latest", "", "user/app:latest"},
        {"user/app", "docker.io", "user/app", "latest", "", "user/app:latest"},
        {"user/app:1", "docker.io", "user/app", "1", "", "user/app:1"},
        {"a/b/c/d", "docker.io", "a/b/c/d", "latest", "", "a/b/c/d:latest"},
        {"docker.io/localhost/x", "docker.io", "localhost/x", "latest", "",
         "docker.io/localhost/x:latest"},
        {"docker.io/a.b/c", "docker.io", "a.b/c", "latest", "", "docker.io/a.b/c:latest"},
        {"docker.io/library/a/b", "docker.io", "library/a/b", "latest", "", "library/a/b:latest"},
        {"localhost/app", "localhost", "app", "latest", "", "localhost/app:latest"},
        {"localhost:5000/app", "localhost:5000", "app", "latest", "", "localhost:5000/app:latest"},
        {"localhost:5000", "docker.io", "library/localhost", "5000", "", "localhost:5000"},
        {"host:5000", "docker.io", "library/host", "5000", "", "host:5000"},
        {"ghcr.io/a/b:x", "ghcr.io", "a/b", "x", "", "ghcr.io/a/b:x"},
        {"a.b/c", "a.b", "c", "latest", "", "a.b/c:latest"},
        {"127.0.0.1:5000/x", "127.0.0.1:5000", "x", "latest", "", "127.0.0.1:5000/x:latest"},
        {"[::1]:5000/x", "[::1]:5000", "x", "latest", "", "[::1]:5000/x:latest"},
        {"[fd00:1:2::3]/x", "[fd00:1:2::3]", "x", "latest", "", "[fd00:1:2::3]/x:latest"},
        {"HOST/x", "HOST", "x", "latest", "", "HOST/x:latest"},
        {"Host.Example/x", "Host.Example", "x", "latest", "", "Host.Example/x:latest"},
        {"xn--n3h.com/x", "xn--n3h.com", "x", "latest", "", "xn--n3h.com/x:latest"},
        {"app@" SHA, "docker.io", "library/app", "", SHA, "app@" SHA},
        {"app:1@" SHA, "docker.io", "library/app", "1", SHA, "app:1@" SHA},
        {"localhost:5000/a/b:1@" SHA, "localhost:5000", "a/b", "1", SHA,
         "localhost:5000/a/b:1@" SHA},
        {"a_b", "docker.io", "library/a_b", "latest", "", "a_b:latest"},
        {"a__b", "docker.io", "library/a__b", "latest", "", "a__b:latest"},
        {"a.b", "docker.io", "library/a.b", "latest", "", "a.b:latest"},
        {"a---b", "docker.io", "library/a---b", "latest", "", "a---b:latest"},
        {"0", "docker.io", "library/0", "latest", "", "0:latest"},
        {"a:A_b.C-1", "docker.io", "library/a", "A_b.C-1", "", "a:A_b.C-1"},
        {"a:_x", "docker.io", "library/a", "_x", "", "a:_x"},
        {A64 "a", "docker.io", "library/" A64 "a", "latest", "", A64 "a:latest"},
        {"x/" HEX, "docker.io", "x/" HEX, "latest", "", "x/" HEX ":latest"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        ND_AUTO(nd_buf_fini) struct nd_buf name = ND_BUF_INIT(1000);
        struct nd_reference ref;

        check_row(i, rows[i].in, nd_reference_parse(nd_str(rows[i].in), arena, &ref), ND_OK);
        assert_string_equal(ref.domain, rows[i].domain);
        assert_string_equal(ref.path, rows[i].path);
        assert_string_equal(ref.tag, rows[i].tag);
        assert_string_equal(ref.digest, rows[i].digest);
        nd_buf_printf(&name, "%s/%s", rows[i].domain, rows[i].path);
        assert_string_equal(ref.repository, name.ptr);
        nd_buf_printf(&name, "%s%s%s%s", rows[i].tag[0] ? ":" : "", rows[i].tag,
                      rows[i].digest[0] ? "@" : "", rows[i].digest);
        assert_string_equal(ref.name, name.ptr);
        assert_string_equal(nd_reference_familiar(&ref, arena), rows[i].familiar);
    }
}

static void
what_is_no_name_is_refused(void **state)
{
    static const struct {
        const char *in, *says;
    } rows[] = {
        {"", "empty"},
        {HEX, "image id"},
        {A64, "image id"},
        {"Nginx", "must be lowercase"},
        {"user/App", "must be lowercase"},
        {"ghcr.io/User/app", "must be lowercase"},
        {"localhost:5000/App", "must be lowercase"},
        {"nginx:", "tag"},
        {"nginx:-x", "tag"},
        {"nginx:.x", "tag"},
        {"nginx:a b", "tag"},
        {"nginx:a:b", "tag"},
        {"nginx:\xc3\xa4", "tag"},
        {"nginx@", "digest"},
        {"nginx@sha256", "digest"},
        {"nginx@sha256:", "digest"},
        {"nginx@sha256:abc", "digest"},
        {"nginx@md5:d41d8cd98f00b204e9800998ecf8427e", "digest"},
        {"nginx@" SHA "@" SHA, "digest"},
        {"nginx@sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", "digest"},
        {"@" SHA, "repository name"},
        {":tag", "repository name"},
        {"/", "repository name"},
        {"/a", "repository name"},
        {"a/", "repository name"},
        {"a//b", "repository name"},
        {"a/../b", "repository name"},
        {"-a", "repository name"},
        {"a-", "repository name"},
        {"a..b", "repository name"},
        {"a___b", "repository name"},
        {"a._b", "repository name"},
        {"a.-b", "repository name"},
        {"_a", "repository name"},
        {"a b", "repository name"},
        {" a", "repository name"},
        {"a\n", "repository name"},
        {"https://a.b/c", "host name"},
        {"-host.com/x", "host name"},
        {"host-.com/x", "host name"},
        {"a..b/x", "host name"},
        {".a/x", "host name"},
        {"a.b:/x", "host name"},
        {"a.b:port/x", "host name"},
        {"a.b:1:2/x", "host name"},
        {"a_b.c/x", "host name"},
        {"[]/x", "repository name"},
        {"[]:1/x", "host name"},
        {"[::1/x", "host name"},
        {"[fe80::1%eth0]:1/x", "host name"},
        {"[::g]:1/x", "host name"},
        {"ipfs://bafkrei", "ipfs"},
        {"ipns://bafkrei", "ipfs"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        struct nd_reference ref = {0};
        char what[160];

        (void)snprintf(what, sizeof(what), "row %zu, %.100s", i, rows[i].in);
        check_message_at(nd_reference_parse(nd_str(rows[i].in), arena, &ref), ND_INVALID,
                         rows[i].says, what, __FILE__, __LINE__);
        assert_null(ref.name);
        check_message(nd_reference_parse(nd_str(rows[i].in), arena, &ref), ND_INVALID,
                      "invalid reference format");
    }
    {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        struct nd_reference ref;

        check_code(nd_reference_parse(nd_str_n("a\0b", 3), arena, &ref), ND_INVALID);
    }
}

static void
length_limits_are_exact(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_reference ref;
    char text[600];

    (void)state;
    /* "docker.io/" and "library/" count. */
    memset(text, 'a', sizeof(text));
    check_ok(nd_reference_parse(nd_str_n(text, 255 - 18), arena, &ref));
    assert_int_equal(strlen(ref.repository), 255);
    check_message(nd_reference_parse(nd_str_n(text, 255 - 17), arena, &ref), ND_INVALID,
                  "longer than 255");
    text[1] = ':';
    check_ok(nd_reference_parse(nd_str_n(text, 2 + 128), arena, &ref));
    check_code(nd_reference_parse(nd_str_n(text, 2 + 129), arena, &ref), ND_INVALID);
}

static void
parts_can_be_asked_for(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_reference ref;

    (void)state;
    check_ok(nd_reference_parse(ND_STR("nginx:1"), arena, &ref));
    assert_string_equal(nd_reference_familiar_repository(&ref), "nginx");
    assert_string_equal(nd_reference_registry(&ref), "registry-1.docker.io");
    check_ok(nd_reference_parse(ND_STR("quay.io/a/b@" SHA), arena, &ref));
    assert_string_equal(nd_reference_familiar_repository(&ref), "quay.io/a/b");
    assert_string_equal(nd_reference_registry(&ref), "quay.io");
}

static void
a_full_name_parses_to_itself(void **state)
{
    static const char *const rows[] = {
        "docker.io/library/nginx:latest", "docker.io/a/b/c:1", "localhost:5000/x:latest",
        "docker.io/library/app@" SHA,     "a.b:1/c/d:e@" SHA,
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        struct nd_reference ref, again;

        check_ok(nd_reference_parse(nd_str(rows[i]), arena, &ref));
        assert_string_equal(ref.name, rows[i]);
        check_ok(nd_reference_parse(nd_str(nd_reference_familiar(&ref, arena)), arena, &again));
        assert_string_equal(again.name, rows[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_normalised),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(length_limits_are_exact),
        cmocka_unit_test(parts_can_be_asked_for),
        cmocka_unit_test(a_full_name_parses_to_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
