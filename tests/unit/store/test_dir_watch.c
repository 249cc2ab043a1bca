/* Watching directories: who is told what, and that somebody always leads. */

#include "fiber/group.h"
#include "fiber/in_loop.h"
#include "store/dir_watch.h"

#include "temp_dir.h"

struct waiting {
    struct nd_dir_watcher *watcher;
    const char *dir;
    bool begun;
    enum nd_code code;
    bool done;
};

static struct nd_error *
wait_once(void *arg)
{
    struct waiting *w = arg;
    ND_AUTO(nd_dir_watch_endp) struct nd_dir_watch *watch = NULL;
    struct nd_error *err;

    ND_TRY(nd_dir_watch_begin(w->watcher, w->dir, &watch));
    w->begun = true;
    err = nd_dir_watch_wait(watch);
    w->code = nd_error_code(err);
    w->done = true;
    nd_error_free(err);
    return NULL;
}

IN_REAL_LOOP(a_change_before_the_wait_is_not_missed)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_dir_watcher *watcher;
    struct nd_dir_watch *watch;

    ND_TRY(nd_dir_watcher_open(&watcher));
    ND_TRY(nd_dir_watch_begin(watcher, dir.path, &watch));
    put_file(in_dir(&dir, "x"), ND_STR("1"));
    ND_TRY(nd_dir_watch_wait(watch));
    {
        ND_DEADLINE_IN(10 * ND_MILLISECOND);
        expect_code(nd_dir_watch_wait(watch), ND_DEADLINE);
    }
    append_file(in_dir(&dir, "x"), ND_STR("2"));
    ND_TRY(nd_dir_watch_wait(watch));
    nd_dir_watch_end(watch);
    nd_dir_watcher_close(watcher);
    return NULL;
}

IN_REAL_LOOP(reading_wakes_nobody)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_dir_watcher *watcher;
    struct nd_dir_watch *watch;

    put_file(in_dir(&dir, "x"), ND_STR("1"));
    ND_TRY(nd_dir_watcher_open(&watcher));
    ND_TRY(nd_dir_watch_begin(watcher, dir.path, &watch));
    expect_file(in_dir(&dir, "x"), "1");
    {
        ND_DEADLINE_IN(10 * ND_MILLISECOND);
        expect_code(nd_dir_watch_wait(watch), ND_DEADLINE);
    }
    nd_dir_watch_end(watch);
    nd_dir_watcher_close(watcher);
    return NULL;
}

IN_REAL_LOOP(only_the_directory_of_the_change_is_told)
{
    ND_AUTO(temp_dir_remove) struct temp_dir a = temp_dir_make();
    ND_AUTO(temp_dir_remove) struct temp_dir b = temp_dir_make();
    struct nd_dir_watcher *watcher;
    struct waiting w[4];
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("w", 0);

    ND_TRY(nd_dir_watcher_open(&watcher));
    for (size_t i = 0; i < ND_LEN(w); i++) {
        w[i] = (struct waiting){.watcher = watcher, .dir = i % 2 ? b.path : a.path};
        ND_TRY(nd_group_spawn(g, wait_once, &w[i]));
    }
    while (!w[3].begun)
        ND_TRY(nd_fiber_yield());
    put_file(in_dir(&b, "x"), ND_STR("1"));
    while (!w[1].done || !w[3].done)
        ND_TRY(nd_fiber_sleep(ND_MILLISECOND));
    assert_false(w[0].done || w[2].done);
    put_file(in_dir(&a, "x"), ND_STR("1"));
    ND_TRY(nd_group_wait(g));
    for (size_t i = 0; i < ND_LEN(w); i++)
        assert_int_equal(w[i].code, ND_OK);
    nd_dir_watcher_close(watcher);
    return NULL;
}

IN_REAL_LOOP(when_the_leader_is_cancelled_another_takes_over)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    struct nd_dir_watcher *watcher;
    struct waiting w[5];
    struct nd_fiber *fibers[ND_LEN(w)];
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("w", 0);

    ND_TRY(nd_dir_watcher_open(&watcher));
    for (size_t i = 0; i < ND_LEN(w); i++) {
        w[i] = (struct waiting){.watcher = watcher, .dir = dir.path};
        ND_TRY(nd_group_spawn_handle(g, wait_once, &w[i], &fibers[i]));
    }
    while (!w[4].begun)
        ND_TRY(nd_fiber_yield());
    /* The first leads; the second is asked to take over and is cancelled in the same turn. */
    nd_fiber_cancel(fibers[0]);
    nd_fiber_cancel(fibers[1]);
    while (!w[0].done || !w[1].done)
        ND_TRY(nd_fiber_yield());
    assert_int_equal(w[0].code, ND_CANCELLED);
    assert_int_equal(w[1].code, ND_CANCELLED);
    put_file(in_dir(&dir, "x"), ND_STR("1"));
    ND_TRY(nd_group_wait(g));
    for (size_t i = 2; i < ND_LEN(w); i++)
        assert_int_equal(w[i].code, ND_OK);
    nd_dir_watcher_close(watcher);
    return NULL;
}

IN_REAL_LOOP(a_removed_directory_wakes_its_watchers_and_can_come_back)
{
    ND_AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_make();
    const char *sub = in_dir(&dir, "sub");
    struct nd_dir_watcher *watcher;
    struct nd_dir_watch *old, *new;

    assert_int_equal(mkdir(sub, 0700), 0);
    ND_TRY(nd_dir_watcher_open(&watcher));
    ND_TRY(nd_dir_watch_begin(watcher, sub, &old));
    assert_int_equal(rmdir(sub), 0);
    ND_TRY(nd_dir_watch_wait(old));
    expect_code(nd_dir_watch_begin(watcher, sub, &new), ND_NOT_FOUND);
    assert_int_equal(mkdir(sub, 0700), 0);
    ND_TRY(nd_dir_watch_begin(watcher, sub, &new));
    put_file(in_dir(&dir, "sub/x"), ND_STR("1"));
    ND_TRY(nd_dir_watch_wait(new));
    nd_dir_watch_end(old);
    nd_dir_watch_end(new);
    nd_dir_watcher_close(watcher);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_before_the_wait_is_not_missed),
        cmocka_unit_test(reading_wakes_nobody),
        cmocka_unit_test(only_the_directory_of_the_change_is_told),
        cmocka_unit_test(when_the_leader_is_cancelled_another_takes_over),
        cmocka_unit_test(a_removed_directory_wakes_its_watchers_and_can_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
