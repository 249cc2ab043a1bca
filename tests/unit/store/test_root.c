/* Where the store is, and which texts can be parts of its paths. */

#include "codec/digest.h"
#include "fiber/in_loop.h"

#include "store_dir.h"

static void
the_path_follows_from_the_socket_after_its_links(void **state)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_store *direct, *linked;
    char hash[2 * ND_HASH_MAX_BYTES + 1], uri[128], root[128], want[300];
    const char *socket;

    (void)state;
    nd_hash_hex(ND_SHA256, ND_STR("/run/containerd/containerd.sock"), hash);
    assert_memory_equal(hash, "1935db59", 8); /* the check value of the contract */

    assert_int_equal(mkdir(in_dir(&dir, "run"), 0700), 0);
    assert_int_equal(symlink("run", in_dir(&dir, "var")), 0);
    socket = in_dir(&dir, "run/c.sock");
    put_file(socket, ND_STR(""));
    snprintf(root, sizeof(root), "%s//", in_dir(&dir, "data/root"));
    snprintf(uri, sizeof(uri), "unix://%s", in_dir(&dir, "var/c.sock"));
    expect_ok(nd_store_open(root, socket, &direct));
    expect_ok(nd_store_open(root, uri, &linked));

    nd_hash_hex(ND_SHA256, nd_str(socket), hash);
    snprintf(want, sizeof(want), "%s/%.8s", in_dir(&dir, "data/root"), hash);
    assert_string_equal(nd_store_path(direct), want);
    assert_string_equal(nd_store_path(linked), want);
    assert_string_equal(nd_store_data_root(linked), in_dir(&dir, "data/root"));
    expect_mode(want, 0700);
    expect_mode(in_dir(&dir, "data/root"), 0700);
    nd_store_close(direct);
    nd_store_close(linked);
}

static void
what_cannot_be_a_store_is_refused(void **state)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_store *store = NULL;
    const char *socket = in_dir(&dir, "c.sock");

    (void)state;
    expect_code(nd_store_open(dir.path, socket, &store), ND_UNAVAILABLE);
    put_file(socket, ND_STR(""));
    expect_code(nd_store_open("relative", socket, &store), ND_INVALID);
    expect_code(nd_store_open("", socket, &store), ND_INVALID);
    expect_code(nd_store_open(dir.path, "c.sock", &store), ND_INVALID);
    expect_code(nd_store_open(dir.path, "tcp://127.0.0.1:1", &store), ND_INVALID);
    assert_null(store);
}

static void
the_log_uri_has_one_escaped_pair(void **state)
{
    struct store_dir s;
    struct nd_arena *arena = nd_arena_new(0);
    char want[600], escaped[300] = "";

    (void)state;
    expect_ok(store_dir_make(&s));
    for (const char *p = nd_store_path(s.store); *p != '\0'; p++)
        snprintf(escaped + strlen(escaped), sizeof(escaped) - strlen(escaped),
                 *p == '/' ? "%%2F" : "%c", *p);
    snprintf(want, sizeof(want), "binary:///opt/my%%20dir/helper?_NERDCTL_INTERNAL_LOGGING=%s",
             escaped);
    assert_string_equal(nd_store_log_uri(s.store, "/opt/my dir/helper", arena), want);
    nd_arena_free(arena);
    store_dir_remove(&s);
}

static void
a_component_cannot_leave_its_directory(void **state)
{
    char long_text[300];
    static const struct {
        const char *text;
        enum nd_code code;
    } cases[] = {
        {"default", ND_OK},  {"a b", ND_OK},      {"...", ND_OK},       {".hidden", ND_OK},
        {"", ND_INVALID},    {" \t", ND_INVALID}, {".", ND_INVALID},    {"..", ND_INVALID},
        {"a/b", ND_INVALID}, {"/", ND_INVALID},   {"../x", ND_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++)
        expect_code(nd_store_check_component(nd_str(cases[i].text), "x"), cases[i].code);
    memset(long_text, 'a', sizeof(long_text));
    expect_code(nd_store_check_component(nd_str_n(long_text, 255), "x"), ND_OK);
    expect_code(nd_store_check_component(nd_str_n(long_text, 256), "x"), ND_INVALID);
    expect_code(nd_store_check_component(ND_STR("a\0b"), "x"), ND_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_path_follows_from_the_socket_after_its_links),
        cmocka_unit_test(what_cannot_be_a_store_is_refused),
        cmocka_unit_test(the_log_uri_has_one_escaped_pair),
        cmocka_unit_test(a_component_cannot_leave_its_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
