/* The hosts store: what each container sees of the others, byte for byte. */

#include <sys/file.h>

#include "base/random.h"
#include "fiber/in_loop.h"
#include "store/hosts.h"

#include "store_dir.h"

#define BEGIN                                                                    \
    "# <nerdctl>\n127.0.0.1\tlocalhost localhost.localdomain\n::1\t\tlocalhost " \
    "localhost.localdomain\n"
#define END "# </nerdctl>\n"

#define RESULT(address)                                                                          \
    "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"eth0\"}],\"ips\":[{\"address\":"      \
    "\"" address "\",\"gateway\":\"10.4.0.1\",\"interface\":2}],\"routes\":[{\"dst\":\"0.0.0.0/" \
    "0\"}],\"dns\":{}}"

static struct nd_error *
add(struct store_dir *s, const char *id, const char *name, const struct nd_hosts_network *networks,
    size_t n)
{
    const struct nd_hosts_meta meta = {
        .id = id, .name = name, .hostname = id, .networks = networks, .n_networks = n};

    return nd_hosts_add(s->store, "default", ND_NET_CNI, &meta);
}

/* Have every file looked at again: somebody with an address comes and goes. */
static struct nd_error *
stir(struct store_dir *s)
{
    const struct nd_hosts_network elsewhere[] = {{"elsewhere", RESULT("10.9.0.2/24")}};

    ND_TRY(add(s, "passer-by", "passer-by", elsewhere, 1));
    return nd_hosts_remove(s->store, "default", "passer-by");
}

IN_REAL_LOOP(host_and_none_mode_have_the_block_and_extra_hosts_alone)
{
    struct store_dir s;
    const struct nd_extra_host extra[] = {{"db", "10.0.0.5"}, {"a", "2001:db8::1"}};
    const struct nd_hosts_network none[] = {{"none", NULL}}, host[] = {{"host", NULL}};
    const struct nd_hosts_meta none_meta = {.id = "c1",
                                            .name = "web",
                                            .hostname = "h1",
                                            .extra_hosts = extra,
                                            .n_extra_hosts = 2,
                                            .networks = none,
                                            .n_networks = 1};
    const struct nd_hosts_meta host_meta = {
        .id = "c2", .name = "db", .hostname = "h2", .networks = host, .n_networks = 1};
    ND_AUTO(nd_freep) char *hosts_host = get_file("/etc/hosts");
    char *got;
    struct stat before, after;
    struct nd_arena *arena = nd_arena_new(0);

    ND_TRY(store_dir_make(&s));
    ND_TRY(nd_hosts_create(s.store, "default", "c1", ND_NET_NONE));
    assert_string_equal(nd_hosts_path(s.store, "default", "c1", arena),
                        in_store(&s, "etchosts/default/c1/hosts"));
    expect_file(in_store(&s, "etchosts/default/c1/hosts"), "");
    expect_mode(in_store(&s, "etchosts/default/c1/hosts"), 0644);
    expect_mode(in_store(&s, "etchosts/default/c1"), 0700);
    assert_int_equal(stat(in_store(&s, "etchosts/default/c1/hosts"), &before), 0);
    ND_TRY(nd_hosts_publish(s.store, "default", &none_meta));
    expect_file(
        in_store(&s, "etchosts/default/c1/meta.json"),
        "{\"ID\":\"c1\",\"Networks\":{\"none\":null},\"Hostname\":\"h1\",\"ExtraHosts\":{\"a\":"
        "\"2001:db8::1\",\"db\":\"10.0.0.5\"},\"Name\":\"web\",\"Domainname\":\"\"}");
    expect_mode(in_store(&s, "etchosts/default/c1/meta.json"), 0600);
    expect_file(in_store(&s, "etchosts/default/c1/hosts"),
                BEGIN "2001:db8::1     a\n10.0.0.5        db\n" END);
    assert_int_equal(stat(in_store(&s, "etchosts/default/c1/hosts"), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    expect_mode(in_store(&s, "etchosts/default/c1/hosts"), 0644);

    ND_TRY(nd_hosts_create(s.store, "default", "c2", ND_NET_HOST));
    expect_file(in_store(&s, "etchosts/default/c2/hosts"), hosts_host != NULL ? hosts_host : "");
    ND_TRY(nd_hosts_publish(s.store, "default", &host_meta));
    got = get_file(in_store(&s, "etchosts/default/c2/hosts"));
    assert_true(nd_str_ends(nd_str(got), ND_STR(BEGIN END)));
    nd_free(got);
    nd_arena_free(arena);
    store_dir_remove(&s);
    return NULL;
}

IN_REAL_LOOP(containers_see_each_other_on_the_networks_that_they_share)
{
    struct store_dir s;
    const struct nd_hosts_network first[] = {{"bridge", RESULT("10.4.0.2/24")},
                                             {"mynet", RESULT("10.4.1.7/24")}};
    const struct nd_hosts_network second[] = {{"mynet", RESULT("10.4.1.8/24")}};
    const struct nd_hosts_network third[] = {{"other", RESULT("10.4.2.2/24")}};

    ND_TRY(store_dir_make(&s));
    ND_TRY(add(&s, "3f2a90c1d4e5", "web", first, 2));
    ND_TRY(add(&s, "9ab0c1d2e3f4", "api", second, 1));
    ND_TRY(add(&s, "c3", "lone", third, 1));
    expect_file(in_store(&s, "etchosts/default/3f2a90c1d4e5/hosts"),
                BEGIN "10.4.0.2        3f2a90c1d4e5 web\n"
                      "10.4.1.7        3f2a90c1d4e5 3f2a90c1d4e5.mynet web web.mynet\n"
                      "10.4.1.8        9ab0c1d2e3f4 9ab0c1d2e3f4.mynet api api.mynet\n" END);
    expect_file(in_store(&s, "etchosts/default/9ab0c1d2e3f4/hosts"),
                BEGIN "10.4.1.7        3f2a90c1d4e5 3f2a90c1d4e5.mynet web web.mynet\n"
                      "10.4.1.8        9ab0c1d2e3f4 9ab0c1d2e3f4.mynet api api.mynet\n" END);
    expect_file(in_store(&s, "etchosts/default/c3/hosts"),
                BEGIN "10.4.2.2        c3 c3.other lone lone.other\n" END);

    ND_TRY(nd_hosts_rename(s.store, "default", "9ab0c1d2e3f4", "backend"));
    expect_file(in_store(&s, "etchosts/default/3f2a90c1d4e5/hosts"), BEGIN
                "10.4.0.2        3f2a90c1d4e5 web\n"
                "10.4.1.7        3f2a90c1d4e5 3f2a90c1d4e5.mynet web web.mynet\n"
                "10.4.1.8        9ab0c1d2e3f4 9ab0c1d2e3f4.mynet backend backend.mynet\n" END);
    expect_code(nd_hosts_rename(s.store, "default", "nobody", "x1"), ND_NOT_FOUND);

    ND_TRY(nd_hosts_withdraw(s.store, "default", "3f2a90c1d4e5"));
    assert_false(exists(in_store(&s, "etchosts/default/3f2a90c1d4e5/meta.json")));
    assert_true(exists(in_store(&s, "etchosts/default/3f2a90c1d4e5/hosts")));
    expect_file(in_store(&s, "etchosts/default/9ab0c1d2e3f4/hosts"), BEGIN
                "10.4.1.8        9ab0c1d2e3f4 9ab0c1d2e3f4.mynet backend backend.mynet\n" END);
    ND_TRY(nd_hosts_withdraw(s.store, "default", "3f2a90c1d4e5"));
    ND_TRY(nd_hosts_remove(s.store, "default", "3f2a90c1d4e5"));
    assert_false(exists(in_store(&s, "etchosts/default/3f2a90c1d4e5")));
    ND_TRY(nd_hosts_remove(s.store, "default", "3f2a90c1d4e5"));
    store_dir_remove(&s);
    return NULL;
}

#define CROWD 100u

static const char *
hosts_of(struct store_dir *s, unsigned i)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "etchosts/default/c%u/hosts", i);
    return in_store(s, path);
}

static void
mark_all(struct store_dir *s, struct stat stamps[CROWD])
{
    for (unsigned i = 0; i < CROWD; i++) {
        put_file(hosts_of(s, i), ND_STR("as it was\n"));
        assert_int_equal(stat(hosts_of(s, i), &stamps[i]), 0);
    }
}

static void
expect_unchanged(struct store_dir *s, const struct stat stamps[CROWD])
{
    for (unsigned i = 0; i < CROWD; i++) {
        struct stat st;

        assert_int_equal(stat(hosts_of(s, i), &st), 0);
        assert_int_equal(st.st_ino, stamps[i].st_ino);
        assert_int_equal(st.st_mtim.tv_sec, stamps[i].st_mtim.tv_sec);
        assert_int_equal(st.st_mtim.tv_nsec, stamps[i].st_mtim.tv_nsec);
        expect_file(hosts_of(s, i), "as it was\n");
    }
}

IN_REAL_LOOP(a_container_without_address_touches_no_file_of_a_hundred_others)
{
    const struct nd_hosts_network none[] = {{"none", NULL}}, host[] = {{"host", NULL}};
    const struct nd_hosts_network bridge[] = {{"bridge", RESULT("10.4.0.2/24")}};
    struct stat stamps[CROWD];
    struct store_dir s;

    ND_TRY(store_dir_make(&s));
    for (unsigned i = 0; i < CROWD; i++) {
        char id[16];

        (void)snprintf(id, sizeof(id), "c%u", i);
        ND_TRY(add(&s, id, id, i % 2 == 0 ? bridge : none, 1));
    }
    /* Each would be tidied, and so become different, by whoever looks at it. */
    mark_all(&s, stamps);
    ND_TRY(add(&s, "new", "new", none, 1));
    expect_file(in_store(&s, "etchosts/default/new/hosts"), BEGIN END);
    ND_TRY(add(&s, "other", "other", host, 1));
    ND_TRY(nd_hosts_rename(s.store, "default", "new", "newer"));
    ND_TRY(nd_hosts_withdraw(s.store, "default", "other"));
    ND_TRY(nd_hosts_remove(s.store, "default", "new"));
    ND_TRY(nd_hosts_remove(s.store, "default", "other"));
    ND_TRY(nd_hosts_remove(s.store, "default", "nobody"));
    expect_unchanged(&s, stamps);
    store_dir_remove(&s);
    return NULL;
}

IN_REAL_LOOP(an_address_that_goes_is_taken_out_even_when_its_meta_is_torn)
{
    const struct nd_hosts_network bridge[] = {{"bridge", RESULT("10.4.0.2/24")}};
    const struct nd_hosts_network other[] = {{"bridge", RESULT("10.4.0.3/24")}};
    const struct nd_hosts_network none[] = {{"none", NULL}};
    const struct nd_hosts_meta without = {
        .id = "c2", .name = "two", .hostname = "c2", .networks = none, .n_networks = 1};
    struct store_dir s;

    ND_TRY(store_dir_make(&s));
    ND_TRY(add(&s, "c1", "one", bridge, 1));
    ND_TRY(add(&s, "c2", "two", other, 1));
    put_file(in_store(&s, "etchosts/default/c2/meta.json"), ND_STR("{\"Netw"));
    ND_TRY(nd_hosts_remove(s.store, "default", "c2"));
    expect_file(in_store(&s, "etchosts/default/c1/hosts"), BEGIN "10.4.0.2        c1 one\n" END);

    ND_TRY(add(&s, "c2", "two", other, 1));
    ND_TRY(nd_hosts_publish(s.store, "default", &without));
    expect_file(in_store(&s, "etchosts/default/c1/hosts"), BEGIN "10.4.0.2        c1 one\n" END);
    store_dir_remove(&s);
    return NULL;
}

IN_REAL_LOOP(a_domain_comes_first_and_odd_addresses_are_left_out)
{
    struct store_dir s;
    const struct nd_hosts_network networks[] = {
        {"n", "{\"ips\":[{\"address\":\"127.0.0.5/8\"},{\"address\":\"0.0.0.0/"
              "0\"},{\"address\":\"::1/128\"},"
              "{\"address\":\"bogus\"},{\"address\":7},{},5,{\"address\":\"2001:db8:1234:5678::9/"
              "64\"}]}"},
    };
    const struct nd_hosts_meta meta = {.id = "c1",
                                       .name = "web",
                                       .hostname = "www",
                                       .domainname = "example.org",
                                       .networks = networks,
                                       .n_networks = 1};

    ND_TRY(store_dir_make(&s));
    ND_TRY(nd_hosts_create(s.store, "default", "c1", ND_NET_CNI));
    ND_TRY(nd_hosts_publish(s.store, "default", &meta));
    expect_file(in_store(&s, "etchosts/default/c1/hosts"),
                BEGIN "2001:db8:1234:5678::9 www.example.org www www.n web web.n\n" END);
    store_dir_remove(&s);
    return NULL;
}

IN_REAL_LOOP(lines_of_the_user_are_kept_and_tidied)
{
    struct store_dir s;
    const struct nd_hosts_network none[] = {{"none", NULL}};
    const char *path;

    ND_TRY(store_dir_make(&s));
    ND_TRY(add(&s, "c1", "web", none, 1));
    path = in_store(&s, "etchosts/default/c1/hosts");
    put_file(
        path,
        ND_STR(
            "127.0.0.1 localhost\n::1 x\n\n# a comment\n; another\n  10.1.1.1\tone\ttwo  \n"
            "10.1.1.2 three # why\n10.1.1.3 four#five\n# <nerdctl>\n1.2.3.4 stale\n# </nerdctl>\n"
            "10.1.1.4 last"));
    ND_TRY(stir(&s));
    expect_file(path, "10.1.1.1 one two\n10.1.1.3 four#five\n10.1.1.4 last\n" BEGIN END);
    ND_TRY(stir(&s));
    expect_file(path, "10.1.1.1 one two\n10.1.1.3 four#five\n10.1.1.4 last\n" BEGIN END);
    store_dir_remove(&s);
    return NULL;
}

IN_REAL_LOOP(a_meta_that_cannot_be_read_harms_nobody_else)
{
    struct store_dir s;
    const struct nd_hosts_network networks[] = {{"n", RESULT("10.4.0.2/24")}};
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{",
        "\xff",
        "{\"Networks\":[]}",
        "{\"Networks\":{\"n\":{\"ips\":{}}}}",
        "{\"Networks\":{\"n\":{\"ips\":[{\"address\":\"10.4.0.3/"
        "24\"}]}},\"Hostname\":\"a\\n6.6.6.6 evil\",\"Name\":\"b c\"}",
        "{\"Networks\":5,\"Hostname\":{},\"ExtraHosts\":{\"a b\":\"1.1.1.1\",\"c\":\"1.1.1.1 "
        "d\",\"e\":5}}",
    };

    ND_TRY(store_dir_make(&s));
    ND_TRY(add(&s, "c1", "web", networks, 1));
    assert_int_equal(mkdir(in_store(&s, "etchosts/default/c0"), 0700), 0);
    put_file(in_store(&s, "etchosts/default/stray"), ND_STR("x"));
    for (size_t i = 0; i < ND_LEN(bad); i++) {
        put_file(in_store(&s, "etchosts/default/c0/meta.json"), nd_str(bad[i]));
        ND_TRY(stir(&s));
        expect_file(in_store(&s, "etchosts/default/c1/hosts"),
                    BEGIN "10.4.0.2        c1 c1.n web web.n\n" END);
        if (exists(in_store(&s, "etchosts/default/c0/hosts")))
            expect_file(in_store(&s, "etchosts/default/c0/hosts"),
                        strstr(bad[i], "10.4.0.3") || strstr(bad[i], "\"n\":") ? BEGIN
                            "10.4.0.2        c1 c1.n web web.n\n" END
                                                                               : BEGIN END);
    }
    store_dir_remove(&s);
    return NULL;
}

IN_REAL_LOOP(what_cannot_be_published_is_refused)
{
    struct store_dir s;
    const struct nd_hosts_network broken[] = {{"n", "{\"ips\":"}};
    const struct nd_hosts_meta bad_result = {.id = "c1", .networks = broken, .n_networks = 1};
    const struct nd_hosts_meta not_created = {.id = "c9"};

    ND_TRY(store_dir_make(&s));
    ND_TRY(nd_hosts_create(s.store, "default", "c1", ND_NET_CNI));
    expect_code(nd_hosts_publish(s.store, "default", &bad_result), ND_INVALID);
    expect_code(nd_hosts_publish(s.store, "default", &not_created), ND_NOT_FOUND);
    expect_code(nd_hosts_create(s.store, "..", "c1", ND_NET_CNI), ND_INVALID);
    expect_code(nd_hosts_remove(s.store, "default", ".."), ND_INVALID);
    expect_code(nd_hosts_remove(s.store, "default", ""), ND_INVALID);
    store_dir_remove(&s);
    return NULL;
}

IN_REAL_LOOP(changes_happen_under_the_lock_of_the_namespace)
{
    struct store_dir s;
    int fd;

    ND_TRY(store_dir_make(&s));
    ND_TRY(nd_hosts_create(s.store, "default", "c1", ND_NET_CNI));
    fd = open(in_store(&s, "etchosts/default"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    {
        ND_DEADLINE_IN(10 * ND_MILLISECOND);
        expect_code(nd_hosts_remove(s.store, "default", "c1"), ND_DEADLINE);
    }
    assert_true(exists(in_store(&s, "etchosts/default/c1")));
    ND_TRY(nd_hosts_create(s.store, "other", "c1", ND_NET_CNI));
    close(fd);
    store_dir_remove(&s);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_and_none_mode_have_the_block_and_extra_hosts_alone),
        cmocka_unit_test(containers_see_each_other_on_the_networks_that_they_share),
        cmocka_unit_test(a_container_without_address_touches_no_file_of_a_hundred_others),
        cmocka_unit_test(an_address_that_goes_is_taken_out_even_when_its_meta_is_torn),
        cmocka_unit_test(a_domain_comes_first_and_odd_addresses_are_left_out),
        cmocka_unit_test(lines_of_the_user_are_kept_and_tidied),
        cmocka_unit_test(a_meta_that_cannot_be_read_harms_nobody_else),
        cmocka_unit_test(what_cannot_be_published_is_refused),
        cmocka_unit_test(changes_happen_under_the_lock_of_the_namespace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
