/*
 * Users of an image, looked up in its own files, hostile ones included.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "oci/user.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "broken line\n"
                             "bad:x:notanumber:1::/:/bin/sh\n"
                             "web:x:1000:1001:Web:/srv/web:/bin/sh\n"
                             "big:x:4294967296:1::/:\n"
                             "minus:x:4294967295:1::/:\n"
                             "bin:x:1:1:bin:/bin:/sbin/nologin";
static const char group[] = "root:x:0:\n"
                            "daemon:x:2:root,bin\n"
                            "::5:web\n"
                            "www:x:1001:\n"
                            "log:x:300: web ,root\n"
                            "dup:x:300:web\n"
                            "bin:x:1:";

static void
users_are_found_by_name_and_number(void **state)
{
    static const struct {
        const char *text;
        uint32_t uid, gid;
        size_t n_gids;
        uint32_t gids[4];
        const char *home;
    } cases[] = {
        {"", 0, 0, 3, {0, 2, 300}, "/root"},
        {"root", 0, 0, 3, {0, 2, 300}, "/root"},
        {"0", 0, 0, 3, {0, 2, 300}, "/root"},
        {"web", 1000, 1001, 2, {1001, 300}, "/srv/web"},
        {"1000", 1000, 1001, 2, {1001, 300}, "/srv/web"},
        {"web:bin", 1000, 1, 1, {1}, "/srv/web"},
        {"web:77", 1000, 77, 1, {77}, "/srv/web"},
        {"4711", 4711, 0, 1, {0}, ""},
        {"4711:4712", 4711, 4712, 1, {4712}, ""},
        {"bin", 1, 1, 2, {1, 2}, "/bin"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        const struct nd_user_query query = {
            .text = nd_str(cases[i].text), .passwd = nd_str(passwd), .group = nd_str(group)};
        struct nd_user user;

        assert_null(nd_user_resolve(&query, arena, &user));
        assert_int_equal(user.uid, cases[i].uid);
        assert_int_equal(user.gid, cases[i].gid);
        assert_int_equal(user.n_gids, cases[i].n_gids);
        assert_memory_equal(user.gids, cases[i].gids, user.n_gids * sizeof(uint32_t));
        assert_string_equal(user.home, cases[i].home);
    }
}

static void
wrong_users_are_refused(void **state)
{
    static const struct {
        const char *text;
        enum nd_code code;
    } cases[] = {
        {"nobody", ND_NOT_FOUND},    {"broken line", ND_NOT_FOUND},
        {"bad", ND_NOT_FOUND},       {"web:nogroup", ND_NOT_FOUND},
        {":", ND_INVALID},           {":bin", ND_INVALID},
        {"web:", ND_INVALID},        {"4294967295", ND_INVALID},
        {"99999999999", ND_INVALID}, {"0:4294967296", ND_INVALID},
        {"big", ND_NOT_FOUND},       {"minus", ND_NOT_FOUND},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
        const struct nd_user_query query = {
            .text = nd_str(cases[i].text), .passwd = nd_str(passwd), .group = nd_str(group)};
        struct nd_user user;

        err = nd_user_resolve(&query, arena, &user);
        if (nd_error_code(err) != cases[i].code)
            fail_msg("\"%s\": code %d", cases[i].text, nd_error_code(err));
    }
}

static void
added_groups_come_last_and_once(void **state)
{
    static const char *const add[] = {"www", "5000", "300"};
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    static const uint32_t want[] = {1001, 300, 5000};
    const struct nd_user_query query = {.text = ND_STR("web"),
                                        .passwd = nd_str(passwd),
                                        .group = nd_str(group),
                                        .group_add = add,
                                        .n_group_add = ND_LEN(add)};
    struct nd_user user;

    (void)state;
    assert_null(nd_user_resolve(&query, arena, &user));
    assert_int_equal(user.n_gids, ND_LEN(want));
    assert_memory_equal(user.gids, want, sizeof(want));
}

static void
a_user_in_too_many_groups_is_refused(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(1 << 20);
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    struct nd_user_query query = {.text = ND_STR("root"), .passwd = nd_str(passwd)};
    struct nd_user user;

    (void)state;
    for (unsigned i = 1; i <= ND_USER_MAX_GROUPS; i++)
        nd_buf_printf(&text, "g%u:x:%u:root\n", i, i);
    query.group = nd_buf_str(&text);
    err = nd_user_resolve(&query, arena, &user);
    assert_int_equal(nd_error_code(err), ND_EXHAUSTED);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_are_found_by_name_and_number),
        cmocka_unit_test(wrong_users_are_refused),
        cmocka_unit_test(added_groups_come_last_and_once),
        cmocka_unit_test(a_user_in_too_many_groups_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
