/*
 * The ledger: what was committed is there after any end, and files that are not right are told
 * apart.
 */

#include <signal.h>
#include <sys/mount.h>

#include "fiber/group.h"
#include "fiber/in_loop.h"
#include "state/intents.h"
#include "state/ledger.h"
#include "state/limits.h"
#include "store/temp_dir.h"

static const struct nd_intent_spec plain = {
    .kind = "test.make", .ns = "default", .object = "a1", .operation = "op-1"};

/* Begin one about `object` and wait for the disk. */
static struct nd_intent *
begin(struct nd_ledger *ledger, const char *object)
{
    struct nd_intent_spec spec = plain;
    struct nd_intent *intent;

    spec.object = object;
    spec.payload = nd_str_n("a\0b", 3);
    expect_ok(nd_intent_begin(ledger, &spec, &intent));
    expect_ok(nd_intent_wait(intent));
    return intent;
}

static size_t
count_of_the_dead(struct nd_ledger *ledger)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_open_intent *open;
    size_t n;

    expect_ok(nd_intents_of_the_dead(ledger, arena, &open, &n));
    return n;
}

IN_REAL_LOOP(what_a_daemon_left_open_the_next_one_finds_in_order)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_intent *first, *second, *third;
    struct nd_open_intent *open;
    struct nd_ledger *ledger;
    size_t n;

    ND_TRY(nd_ledger_open(in_dir(&dir, "deep/state"), &ledger));
    expect_mode(in_dir(&dir, "deep/state"), 0700);
    assert_int_equal(count_of_the_dead(ledger), 0);
    first = begin(ledger, "a1");
    second = begin(ledger, "a2");
    third = begin(ledger, "a3");
    ND_TRY(nd_intent_advance(third, 7));
    nd_intent_drop(second, true);
    assert_int_equal(count_of_the_dead(ledger), 0); /* these are ours, and we live */
    nd_intent_leave(first);
    nd_intent_leave(third);
    nd_ledger_close(ledger);

    ND_TRY(nd_ledger_open(in_dir(&dir, "deep/state"), &ledger));
    ND_TRY(nd_intents_of_the_dead(ledger, arena, &open, &n));
    assert_int_equal(n, 2);
    assert_string_equal(open[0].object, "a1");
    assert_string_equal(open[0].kind, "test.make");
    assert_string_equal(open[0].ns, "default");
    assert_string_equal(open[0].operation, "op-1");
    assert_int_equal(open[0].step, 0);
    assert_true(open[0].same_boot);
    assert_string_equal(open[1].object, "a3");
    assert_int_equal(open[1].step, 7);
    assert_true(nd_str_eq(open[1].payload, nd_str_n("a\0b", 3)));
    assert_true(open[1].seq > open[0].seq);
    ND_TRY(nd_intent_forget(ledger, open[0].seq));
    assert_int_equal(count_of_the_dead(ledger), 1);
    nd_ledger_close(ledger);
    return NULL;
}

IN_REAL_LOOP(numbers_are_not_used_again_while_an_old_intent_is_open)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_intent *old, *young;
    struct nd_ledger *ledger;
    uint64_t seq;

    ND_TRY(nd_ledger_open(dir.path, &ledger));
    old = begin(ledger, "a1");
    seq = nd_intent_seq(old);
    nd_intent_leave(old);
    nd_ledger_close(ledger);
    ND_TRY(nd_ledger_open(dir.path, &ledger));
    young = begin(ledger, "a2");
    assert_true(nd_intent_seq(young) > seq);
    nd_intent_drop(young, true);
    assert_int_equal(count_of_the_dead(ledger), 1);
    nd_ledger_close(ledger);
    return NULL;
}

IN_REAL_LOOP(one_that_was_left_is_found_by_the_recovery_of_this_daemon)
{
    struct nd_open_intent view;
    struct nd_intent *intent;
    struct nd_ledger *ledger;

    ND_TRY(nd_ledger_open(NULL, &ledger));
    nd_intent_leave(begin(ledger, "a1"));
    nd_intent_leave(begin(ledger, "a2"));
    ND_TRY(nd_intent_next_left(ledger, &intent));
    nd_intent_view(intent, &view);
    assert_string_equal(view.kind, "test.make");
    assert_string_equal(view.ns, "default");
    assert_string_equal(view.object, "a1");
    assert_string_equal(view.operation, "op-1");
    assert_true(nd_str_eq(view.payload, nd_str_n("a\0b", 3)));
    nd_intent_drop(intent, true);
    {
        ND_DEADLINE_IN(ND_SECOND);
        ND_TRY(nd_intent_next_left(ledger, &intent));
    }
    nd_intent_leave(intent);
    nd_ledger_close(ledger);
    return NULL;
}

IN_REAL_LOOP(a_mutation_that_fails_at_once_writes_nothing)
{
    struct nd_ledger_stats stats;
    struct nd_ledger *ledger;
    struct nd_intent *intent;

    ND_TRY(nd_ledger_open(NULL, &ledger));
    ND_TRY(nd_intent_begin(ledger, &plain, &intent));
    nd_intent_drop(intent, true);
    ND_TRY(nd_fiber_sleep(ND_MILLISECOND));
    nd_ledger_get_stats(ledger, &stats);
    assert_int_equal(stats.changes, 0);
    nd_ledger_close(ledger);
    return NULL;
}

#define CROWD 200

static struct nd_error *
begin_and_drop(void *arg)
{
    nd_intent_drop(begin(arg, "a1"), true);
    return NULL;
}

IN_REAL_LOOP(many_mutations_share_one_sync)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_ledger_stats stats;
    struct nd_ledger *ledger;

    ND_TRY(nd_ledger_open(dir.path, &ledger));
    {
        ND_AUTO(nd_group_endp) struct nd_group *crowd = nd_group_begin("crowd", 0);

        for (int i = 0; i < CROWD; i++)
            ND_TRY(nd_group_spawn(crowd, begin_and_drop, ledger));
        ND_TRY(nd_group_wait(crowd));
    }
    nd_ledger_get_stats(ledger, &stats);
    assert_int_equal(stats.changes, 2 * CROWD);
    assert_in_range(stats.syncs, 1, CROWD / 10);
    nd_ledger_close(ledger);
    return NULL;
}

IN_REAL_LOOP(a_lazy_intent_and_a_drop_are_not_synced)
{
    struct nd_intent_spec spec = plain;
    struct nd_ledger_stats stats;
    struct nd_ledger *ledger;
    struct nd_intent *intent;

    ND_TRY(nd_ledger_open(NULL, &ledger));
    spec.lazy = true;
    ND_TRY(nd_intent_begin(ledger, &spec, &intent));
    ND_TRY(nd_intent_wait(intent));
    nd_intent_drop(intent, true);
    nd_ledger_get_stats(ledger, &stats);
    assert_int_equal(stats.commits, 2);
    assert_int_equal(stats.syncs, 0);
    nd_ledger_close(ledger);
    return NULL;
}

static struct nd_error *
wait_for(void *arg)
{
    return nd_intent_wait(arg);
}

IN_REAL_LOOP(a_cancelled_waiter_leaves_at_once_and_its_intent_can_be_dropped)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_ledger *ledger;
    struct nd_intent *intent;

    ND_TRY(nd_ledger_open(dir.path, &ledger));
    ND_TRY(nd_intent_begin(ledger, &plain, &intent));
    {
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin_independent("waiter", 0);

        ND_TRY(nd_group_spawn(group, wait_for, intent));
        nd_group_cancel(group);
    }
    nd_intent_drop(intent, true);
    nd_ledger_close(ledger);
    ND_TRY(nd_ledger_open(dir.path, &ledger));
    assert_int_equal(count_of_the_dead(ledger), 0);
    nd_ledger_close(ledger);
    return NULL;
}

/*
 * --- files that are not right -------------------------------------------------------------------
 */

/* A ledger with one open intent in it. */
static void
make_ledger(const struct temp_dir *dir)
{
    struct nd_ledger *ledger;

    expect_ok(nd_ledger_open(dir->path, &ledger));
    nd_intent_leave(begin(ledger, "a1"));
    nd_ledger_close(ledger);
}

/* How many files were moved aside. */
static int
count_damaged(const struct temp_dir *dir)
{
    char command[256];

    (void)snprintf(command, sizeof(command), "exit $(ls %s | grep -c '^state.db.damaged-[0-9]*$')",
                   dir->path);
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

/* Opening it gives a new, empty ledger that works, and the damaged file is kept. */
static void
expect_moved_aside(const struct temp_dir *dir)
{
    struct nd_ledger *ledger;

    expect_ok(nd_ledger_open(dir->path, &ledger));
    assert_int_equal(count_damaged(dir), 1);
    assert_int_equal(count_of_the_dead(ledger), 0);
    nd_intent_drop(begin(ledger, "a2"), true);
    nd_ledger_close(ledger);
}

IN_REAL_LOOP(garbage_is_moved_aside)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    static char garbage[20000];

    memset(garbage, 0x5a, sizeof(garbage));
    put_file(in_dir(&dir, "state.db"), nd_str_n(garbage, sizeof(garbage)));
    expect_moved_aside(&dir);
    return NULL;
}

IN_REAL_LOOP(a_truncated_file_is_moved_aside)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();

    make_ledger(&dir);
    assert_int_equal(truncate(in_dir(&dir, "state.db"), 4096 + 100), 0);
    expect_moved_aside(&dir);
    return NULL;
}

IN_REAL_LOOP(a_page_of_noise_is_moved_aside)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    char noise[4096];
    int fd;

    make_ledger(&dir);
    memset(noise, 0xa5, sizeof(noise));
    fd = open(in_dir(&dir, "state.db"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, noise, sizeof(noise), sizeof(noise)), sizeof(noise));
    close(fd);
    expect_moved_aside(&dir);
    return NULL;
}

IN_REAL_LOOP(an_empty_file_is_a_new_ledger)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_ledger *ledger;

    put_file(in_dir(&dir, "state.db"), ND_STR(""));
    ND_TRY(nd_ledger_open(dir.path, &ledger));
    assert_int_equal(count_damaged(&dir), 0);
    nd_ledger_close(ledger);
    return NULL;
}

/* The 32-bit number at an offset of the header of the file. */
static void
poke(const struct temp_dir *dir, off_t at, uint32_t number)
{
    const uint8_t bytes[] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                             (uint8_t)(number >> 8), (uint8_t)number};
    int fd = open(in_dir(dir, "state.db"), O_WRONLY | O_CLOEXEC);

    assert_int_equal(pwrite(fd, bytes, sizeof(bytes), at), sizeof(bytes));
    close(fd);
}

#define USER_VERSION_AT   60
#define APPLICATION_ID_AT 68

IN_REAL_LOOP(a_newer_version_and_a_foreign_file_are_refused_and_left_alone)
{
    static const struct {
        off_t at;
        uint32_t number;
        const char *reason;
    } cases[] = {
        {USER_VERSION_AT, 1000, "LEDGER_NEWER"},
        {APPLICATION_ID_AT, 12345, "LEDGER_FOREIGN"},
    };

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
        struct nd_ledger *ledger = NULL;
        struct nd_error *err;

        make_ledger(&dir);
        poke(&dir, cases[i].at, cases[i].number);
        err = nd_ledger_open(dir.path, &ledger);
        assert_non_null(err);
        assert_string_equal(nd_error_get_reason(err), cases[i].reason);
        assert_int_equal(nd_error_n_hints(err), 1);
        expect_code(err, ND_PRECONDITION);
        assert_int_equal(count_damaged(&dir), 0);
    }
    return NULL;
}

IN_REAL_LOOP(two_daemons_cannot_have_it)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_ledger *ledger, *other;
    int status;
    pid_t pid;

    ND_TRY(nd_ledger_open(dir.path, &ledger));
    pid = fork(); /* locks are those of a process */
    if (pid == 0) {
        struct nd_error *err = nd_ledger_open(dir.path, &other);

        _exit(nd_error_code(err) == ND_UNAVAILABLE &&
                      nd_str_eqz(nd_str(nd_error_get_reason(err)), "LEDGER_IN_USE")
                  ? 0
                  : 1);
    }
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    nd_ledger_close(ledger);
    ND_TRY(nd_ledger_open(dir.path, &ledger));
    nd_ledger_close(ledger);
    return NULL;
}

IN_REAL_LOOP(a_full_disk_refuses_the_intent_and_says_so)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    static char large[60000];
    struct nd_intent_spec spec = plain;
    struct nd_intent *intent;
    struct nd_ledger *ledger;
    struct nd_error *err = NULL;

    if (mount("none", dir.path, "tmpfs", 0, "size=256k") < 0)
        return NULL; /* not allowed here */
    ND_TRY(nd_ledger_open(dir.path, &ledger));
    spec.payload = nd_str_n(large, sizeof(large));
    for (int i = 0; i < 10 && err == NULL; i++) {
        ND_TRY(nd_intent_begin(ledger, &spec, &intent));
        err = nd_intent_wait(intent);
        nd_intent_leave(intent);
    }
    assert_int_equal(nd_error_n_hints(err), 1);
    expect_code(err, ND_EXHAUSTED);
    nd_ledger_close(ledger);
    assert_int_equal(umount(dir.path), 0);
    return NULL;
}

/* Take all the space there is. */
static void
fill_disk(const struct temp_dir *dir)
{
    static const char zeros[4096];
    int fd = open(in_dir(dir, "filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    while (write(fd, zeros, sizeof(zeros)) > 0)
        continue;
    close(fd);
}

IN_REAL_LOOP(what_was_over_when_the_disk_was_full_is_not_open_afterwards)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_intent *intent;
    struct nd_ledger *ledger;

    if (mount("none", dir.path, "tmpfs", 0, "size=512k") < 0)
        return NULL; /* not allowed here */
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        struct nd_ledger_stats stats;

        ND_TRY(nd_ledger_open(dir.path, &ledger));
        assert_int_equal(count_of_the_dead(ledger), 0);
        intent = begin(ledger, "a1");
        fill_disk(&dir);
        nd_intent_drop(intent, true);
        nd_ledger_get_stats(ledger, &stats);
        assert_int_equal(stats.changes, 2);
        assert_int_equal(unlink(in_dir(&dir, "filler")), 0);
        if (goes_on) /* with the next change; else at the end */
            nd_intent_drop(begin(ledger, "a2"), true);
        nd_ledger_close(ledger);
    }
    ND_TRY(nd_ledger_open(dir.path, &ledger));
    assert_int_equal(count_of_the_dead(ledger), 0);
    nd_ledger_close(ledger);
    assert_int_equal(umount(dir.path), 0);
    return NULL;
}

/* The room for its end was reserved: a daemon that dies now has not left it open. */
IN_REAL_LOOP(an_intent_can_be_closed_when_the_disk_is_full)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_ledger *ledger;

    if (mount("none", dir.path, "tmpfs", 0, "size=4m") < 0)
        return NULL; /* not allowed here */
    ND_TRY(nd_ledger_open(dir.path, &ledger));
    for (int i = 0; i < 500; i++) { /* the log is folded into the file several times */
        struct nd_intent *intent = begin(ledger, "a1");

        if (i == 0)
            fill_disk(&dir);
        expect_ok(nd_intent_close(intent));
    }
    nd_ledger_close(ledger);
    assert_int_equal(umount(dir.path), 0);
    return NULL;
}

IN_REAL_LOOP(an_intent_that_cannot_be_closed_stays_open)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    static char large[60000]; /* as much as the log has behind it */
    struct nd_intent_spec spec = plain;
    struct nd_intent *intent;
    struct nd_ledger *ledger;

    if (mount("none", dir.path, "tmpfs", 0, "size=512k") < 0)
        return NULL;                           /* not allowed here */
    ND_TRY(nd_ledger_open(dir.path, &ledger)); /* too small to reserve anything */
    spec.payload = nd_str_n(large, sizeof(large));
    ND_TRY(nd_intent_begin(ledger, &spec, &intent));
    ND_TRY(nd_intent_wait(intent));
    fill_disk(&dir);
    expect_code(nd_intent_close(intent), ND_EXHAUSTED);
    nd_intent_leave(intent);
    assert_int_equal(unlink(in_dir(&dir, "filler")), 0);
    nd_ledger_close(ledger);
    ND_TRY(nd_ledger_open(dir.path, &ledger));
    assert_int_equal(count_of_the_dead(ledger), 1);
    nd_ledger_close(ledger);
    assert_int_equal(umount(dir.path), 0);
    return NULL;
}

/*
 * --- killed -------------------------------------------------------------------------------------
 */

struct child {
    const char *dir;
    int acks;
};

/* Write intents and tell of each that is on disk, until killed. */
static struct nd_error *
write_until_killed(void *arg)
{
    struct child *c = arg;
    struct nd_ledger *ledger;
    char object[16];

    ND_TRY(nd_ledger_open(c->dir, &ledger));
    for (uint32_t i = 1;; i++) {
        (void)snprintf(object, sizeof(object), "%u", i);
        nd_intent_leave(begin(ledger, object));
        if (write(c->acks, &i, sizeof(i)) != sizeof(i))
            return NULL;
    }
}

struct check {
    const char *dir;
    uint32_t acknowledged;
};

static struct nd_error *
check_all_there(void *arg)
{
    const struct check *check = arg;
    struct nd_ledger *ledger;

    ND_TRY(nd_ledger_open(check->dir, &ledger));
    assert_in_range(count_of_the_dead(ledger), check->acknowledged, check->acknowledged + 1);
    nd_ledger_close(ledger);
    return NULL;
}

static void
what_was_acknowledged_survives_a_kill_at_any_moment(void **state)
{
    static const uint32_t moments[] = {1, 2, 3, 50, 300}; /* acknowledgements before the kill */

    (void)state;
    for (size_t i = 0; i < ND_LEN(moments); i++) {
        ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
        struct check check = {.dir = dir.path};
        int fds[2];
        pid_t pid;
        uint32_t ack;

        assert_int_equal(pipe(fds), 0);
        pid = fork();
        if (pid == 0) {
            struct child child = {dir.path, fds[1]};

            nd_error_free(nd_loop_run(write_until_killed, &child, NULL));
            _exit(1);
        }
        close(fds[1]);
        while (read(fds[0], &ack, sizeof(ack)) == sizeof(ack)) {
            check.acknowledged = ack;
            if (ack == moments[i])
                kill(pid, SIGKILL);
        }
        waitpid(pid, NULL, 0);
        close(fds[0]);
        expect_ok(nd_loop_run(check_all_there, &check, NULL));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_daemon_left_open_the_next_one_finds_in_order),
        cmocka_unit_test(numbers_are_not_used_again_while_an_old_intent_is_open),
        cmocka_unit_test(one_that_was_left_is_found_by_the_recovery_of_this_daemon),
        cmocka_unit_test(a_mutation_that_fails_at_once_writes_nothing),
        cmocka_unit_test(many_mutations_share_one_sync),
        cmocka_unit_test(a_lazy_intent_and_a_drop_are_not_synced),
        cmocka_unit_test(a_cancelled_waiter_leaves_at_once_and_its_intent_can_be_dropped),
        cmocka_unit_test(garbage_is_moved_aside),
        cmocka_unit_test(a_truncated_file_is_moved_aside),
        cmocka_unit_test(a_page_of_noise_is_moved_aside),
        cmocka_unit_test(an_empty_file_is_a_new_ledger),
        cmocka_unit_test(a_newer_version_and_a_foreign_file_are_refused_and_left_alone),
        cmocka_unit_test(two_daemons_cannot_have_it),
        cmocka_unit_test(a_full_disk_refuses_the_intent_and_says_so),
        cmocka_unit_test(what_was_over_when_the_disk_was_full_is_not_open_afterwards),
        cmocka_unit_test(an_intent_can_be_closed_when_the_disk_is_full),
        cmocka_unit_test(an_intent_that_cannot_be_closed_stays_open),
        cmocka_unit_test(what_was_acknowledged_survives_a_kill_at_any_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
