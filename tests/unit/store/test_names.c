/* Names: who has one, who gets one, also when several processes want it at once. */

#include <sys/file.h>

#include "fiber/in_loop.h"
#include "store/lock.h"
#include "store/names.h"

#include "store_dir.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

IN_REAL_LOOP(a_name_has_one_owner_until_it_is_released)
{
    struct store_dir s;
    ND_AUTO(nd_freep) char *owner = NULL;
    struct nd_error *err;

    ND_TRY(store_dir_make(&s));
    ND_TRY(nd_name_acquire(s.store, "default", "web", A));
    expect_file(in_store(&s, "names/default/web"), A);
    expect_mode(in_store(&s, "names/default/web"), 0600);
    expect_mode(in_store(&s, "names/default"), 0700);
    ND_TRY(nd_name_acquire(s.store, "default", "web", A));
    err = nd_name_acquire(s.store, "default", "web", B);
    assert_string_equal(nd_error_meta_key(err, 0), "owner");
    assert_string_equal(nd_error_meta_value(err, 0), A);
    expect_code(err, ND_EXISTS);
    ND_TRY(nd_name_acquire(s.store, "other", "web", B));
    ND_TRY(nd_name_owner(s.store, "default", "web", &owner));
    assert_string_equal(owner, A);

    expect_code(nd_name_release(s.store, "default", "web", B), ND_PRECONDITION);
    ND_TRY(nd_name_release(s.store, "default", "web", A));
    expect_code(nd_name_release(s.store, "default", "web", A), ND_NOT_FOUND);
    expect_code(nd_name_owner(s.store, "default", "web", &owner), ND_NOT_FOUND);
    ND_TRY(nd_name_acquire(s.store, "default", "web", B));
    store_dir_remove(&s);
    return NULL;
}

IN_REAL_LOOP(a_name_file_that_a_crash_left_empty_is_free)
{
    struct store_dir s;
    ND_AUTO(nd_freep) char *owner = NULL;

    ND_TRY(store_dir_make(&s));
    ND_TRY(nd_name_acquire(s.store, "default", "other", A));
    put_file(in_store(&s, "names/default/web"), ND_STR(""));
    expect_code(nd_name_owner(s.store, "default", "web", &owner), ND_NOT_FOUND);
    ND_TRY(nd_name_acquire(s.store, "default", "web", A));
    expect_file(in_store(&s, "names/default/web"), A);
    store_dir_remove(&s);
    return NULL;
}

IN_REAL_LOOP(a_name_file_of_any_content_belongs_to_somebody)
{
    struct store_dir s;
    static char large[10000];

    ND_TRY(store_dir_make(&s));
    ND_TRY(nd_name_acquire(s.store, "default", "other", A));
    put_file(in_store(&s, "names/default/web"), ND_STR(A "\n"));
    expect_code(nd_name_acquire(s.store, "default", "web", A), ND_EXISTS);
    put_file(in_store(&s, "names/default/web"), ND_STR("\xff\xfe garbage \x01"));
    expect_code(nd_name_acquire(s.store, "default", "web", A), ND_EXISTS);
    expect_code(nd_name_release(s.store, "default", "web", A), ND_PRECONDITION);
    put_file(in_store(&s, "names/default/web"), nd_str_n(large, sizeof(large)));
    expect_code(nd_name_acquire(s.store, "default", "web", A), ND_EXHAUSTED);
    store_dir_remove(&s);
    return NULL;
}

IN_REAL_LOOP(rename_moves_the_reservation)
{
    struct store_dir s;

    ND_TRY(store_dir_make(&s));
    ND_TRY(nd_name_acquire(s.store, "default", "web", A));
    ND_TRY(nd_name_acquire(s.store, "default", "db", B));
    expect_code(nd_name_rename(s.store, "default", "web", A, "db"), ND_EXISTS);
    expect_code(nd_name_rename(s.store, "default", "web", A, "web"), ND_EXISTS);
    expect_code(nd_name_rename(s.store, "default", "gone", A, "new"), ND_NOT_FOUND);
    expect_code(nd_name_rename(s.store, "default", "web", B, "new"), ND_PRECONDITION);
    expect_code(nd_name_rename(s.store, "default", "web", A, "n/ew"), ND_INVALID);
    expect_file(in_store(&s, "names/default/web"), A);
    ND_TRY(nd_name_rename(s.store, "default", "web", A, "new"));
    expect_file(in_store(&s, "names/default/new"), A);
    assert_false(exists(in_store(&s, "names/default/web")));
    store_dir_remove(&s);
    return NULL;
}

IN_REAL_LOOP(all_names_of_an_id_are_given_back_after_a_crash)
{
    struct store_dir s;

    ND_TRY(store_dir_make(&s));
    ND_TRY(nd_name_acquire(s.store, "default", "web", A));
    ND_TRY(nd_name_acquire(s.store, "default", "web2", A));
    ND_TRY(nd_name_acquire(s.store, "default", "db", B));
    ND_TRY(nd_name_acquire(s.store, "other", "web", A));
    put_file(in_store(&s, "names/default/.tmp-0123"), ND_STR("half"));
    put_file(in_store(&s, "names/default/torn"), ND_STR(""));
    assert_int_equal(mkdir(in_store(&s, "names/default/folder"), 0700), 0);
    ND_TRY(nd_names_release_all(s.store, "default", A));
    assert_false(exists(in_store(&s, "names/default/web")));
    assert_false(exists(in_store(&s, "names/default/web2")));
    assert_false(exists(in_store(&s, "names/default/.tmp-0123")));
    expect_file(in_store(&s, "names/default/db"), B);
    expect_file(in_store(&s, "names/default/torn"), "");
    expect_file(in_store(&s, "names/other/web"), A);
    ND_TRY(nd_names_release_all(s.store, "default", A));
    ND_TRY(nd_names_release_all(s.store, "never-used", A));
    put_file(in_store(&s, "names/default/.tmp-0123"), ND_STR("half"));
    ND_TRY(nd_names_sweep(s.store, "default"));
    assert_false(exists(in_store(&s, "names/default/.tmp-0123")));
    expect_file(in_store(&s, "names/default/db"), B);
    store_dir_remove(&s);
    return NULL;
}

static void
names_have_a_grammar(void **state)
{
    char text[300];
    static const struct {
        const char *name;
        enum nd_code code;
    } cases[] = {
        {"ab", ND_OK},       {"0_.-", ND_OK},     {"Web.1-x_y", ND_OK},      {"", ND_INVALID},
        {"a", ND_INVALID},   {"_ab", ND_INVALID}, {"-ab", ND_INVALID},       {".ab", ND_INVALID},
        {"a b", ND_INVALID}, {"a/b", ND_INVALID}, {"a\xc3\xbc", ND_INVALID}, {"..", ND_INVALID},
        {"a\n", ND_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++)
        expect_code(nd_name_check(nd_str(cases[i].name)), cases[i].code);
    memset(text, 'a', sizeof(text));
    expect_code(nd_name_check(nd_str_n(text, 255)), ND_OK);
    expect_code(nd_name_check(nd_str_n(text, 256)), ND_INVALID);
}

IN_REAL_LOOP(paths_cannot_be_smuggled_in)
{
    struct store_dir s;

    ND_TRY(store_dir_make(&s));
    expect_code(nd_name_acquire(s.store, "../x", "web", A), ND_INVALID);
    expect_code(nd_name_acquire(s.store, "default", "../../web", A), ND_INVALID);
    expect_code(nd_name_acquire(s.store, "default", "web", ""), ND_INVALID);
    expect_code(nd_name_release(s.store, "default", "..", A), ND_INVALID);
    expect_code(nd_name_rename(s.store, "default", "../x", A, "web"), ND_INVALID);
    store_dir_remove(&s);
    return NULL;
}

IN_REAL_LOOP(the_longest_name_can_be_written)
{
    struct store_dir s;
    char name[256];

    memset(name, 'n', 255);
    name[255] = '\0';
    ND_TRY(store_dir_make(&s));
    ND_TRY(nd_name_acquire(s.store, "default", name, A));
    ND_TRY(nd_name_release(s.store, "default", name, A));
    store_dir_remove(&s);
    return NULL;
}

#define PROCESSES 6u
#define ROUNDS    40u

struct racer {
    struct nd_store *store;
    char id[65];
    unsigned won;
};

/* Take and give back the same name over and over; count how often we had it. */
static struct nd_error *
race(void *arg)
{
    struct racer *r = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct nd_error *err = nd_name_acquire(r->store, "default", "web", r->id);
        char *owner;

        if (nd_error_code(err) == ND_EXISTS) {
            nd_error_free(err);
            continue;
        }
        if (err != NULL)
            return err;
        ND_TRY(nd_name_owner(r->store, "default", "web", &owner));
        if (strcmp(owner, r->id) != 0)
            return nd_error_new(ND_INTERNAL, "%s has it", owner);
        nd_free(owner);
        ND_TRY(nd_name_release(r->store, "default", "web", r->id));
        r->won++;
    }
    return NULL;
}

static void
processes_never_share_a_name(void **state)
{
    struct store_dir s;
    pid_t pids[PROCESSES];
    unsigned winners = 0;

    (void)state;
    expect_ok(store_dir_make(&s));
    for (size_t i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            struct racer r = {.store = s.store};
            struct nd_error *err;

            memset(r.id, (int)('a' + i), 64);
            err = nd_loop_run(race, &r, NULL);
            _exit(err != NULL ? 1 : r.won > 0 ? 0 : 2);
        }
    }
    for (size_t i = 0; i < PROCESSES; i++) {
        int status;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
        winners += WEXITSTATUS(status) == 0;
    }
    assert_true(winners > 0);
    assert_false(exists(in_store(&s, "names/default/web")));
    store_dir_remove(&s);
}

IN_REAL_LOOP(a_lock_that_nerdctl_holds_is_waited_for_and_the_loop_turns)
{
    struct store_dir s;
    int fd;

    ND_TRY(store_dir_make(&s));
    ND_TRY(nd_name_acquire(s.store, "default", "web", A));
    fd = open(in_store(&s, "names/default"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    {
        ND_DEADLINE_IN(20 * ND_MILLISECOND);
        expect_code(nd_name_release(s.store, "default", "web", A), ND_DEADLINE);
    }
    expect_file(in_store(&s, "names/default/web"), A);
    close(fd);
    ND_TRY(nd_name_release(s.store, "default", "web", A));
    store_dir_remove(&s);
    return NULL;
}

IN_REAL_LOOP(a_lock_is_free_again_when_it_is_released)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_store_lock *lock;
    const char *path = in_dir(&dir, "lock");
    bool held = true;

    ND_TRY(nd_store_lock_is_held(path, &held));
    assert_false(held);
    assert_false(exists(path));
    ND_TRY(nd_store_lock_take(path, ND_STORE_LOCK_FILE, &lock));
    expect_mode(path, 0600);
    ND_TRY(nd_store_lock_is_held(path, &held));
    assert_true(held);
    nd_store_lock_release(lock);
    ND_TRY(nd_store_lock_is_held(path, &held));
    assert_false(held);
    expect_code(nd_store_lock_take(in_dir(&dir, "no/dir/lock"), ND_STORE_LOCK_FILE, &lock),
                ND_NOT_FOUND);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_has_one_owner_until_it_is_released),
        cmocka_unit_test(a_name_file_that_a_crash_left_empty_is_free),
        cmocka_unit_test(a_name_file_of_any_content_belongs_to_somebody),
        cmocka_unit_test(rename_moves_the_reservation),
        cmocka_unit_test(all_names_of_an_id_are_given_back_after_a_crash),
        cmocka_unit_test(names_have_a_grammar),
        cmocka_unit_test(paths_cannot_be_smuggled_in),
        cmocka_unit_test(the_longest_name_can_be_written),
        cmocka_unit_test(processes_never_share_a_name),
        cmocka_unit_test(a_lock_that_nerdctl_holds_is_waited_for_and_the_loop_turns),
        cmocka_unit_test(a_lock_is_free_again_when_it_is_released),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
