/*
 * Locks by name: one holder at a time for a name, in the order of asking; other names do not wait.
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fiber/group.h"
#include "fiber/sync.h"
#include "host/host.h"

#include "../fiber/in_loop.h"

struct bench {
    struct nd_host *host;
    char dir[32];
    unsigned inside, most, done;
};

static struct bench *
bench_begin(void)
{
    struct bench *b = nd_new(struct bench);
    const struct nd_host_settings settings = {.containerd_address = "/nowhere/c.sock",
                                              .data_root = b->dir,
                                              .default_namespace = "default",
                                              .snapshotter = "overlayfs",
                                              .helper_path = "/bin/true"};

    (void)snprintf(b->dir, sizeof(b->dir), "/tmp/nd-locks-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    expect_ok(nd_host_new(&settings, &b->host));
    return b;
}

static void
bench_endp(struct bench **b)
{
    nd_host_free((*b)->host);
    assert_int_equal(rmdir((*b)->dir), 0);
    nd_free(*b);
}

static struct nd_error *
hold(void *arg)
{
    struct bench *b = arg;
    ND_AUTO(nd_host_unlockp) struct nd_host_lock *lock = NULL;

    ND_TRY(nd_host_lock(b->host, "the one", &lock));
    b->inside++;
    b->most = b->inside > b->most ? b->inside : b->most;
    for (unsigned i = 0; i < 3; i++)
        expect_ok(nd_fiber_yield());
    b->inside--;
    b->done++;
    return NULL;
}

IN_LOOP(one_fiber_at_a_time_holds_a_name)
{
    ND_AUTO(bench_endp) struct bench *b = bench_begin();
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("locks", 0);

    for (unsigned i = 0; i < 20; i++)
        expect_ok(nd_group_spawn(g, hold, b));
    expect_ok(nd_group_wait(g));
    assert_int_equal(b->most, 1);
    assert_int_equal(b->done, 20);
    return NULL;
}

IN_LOOP(other_names_do_not_wait)
{
    ND_AUTO(bench_endp) struct bench *b = bench_begin();
    ND_AUTO(nd_host_unlockp) struct nd_host_lock *one = NULL;
    ND_AUTO(nd_host_unlockp) struct nd_host_lock *two = NULL;
    ND_NO_SUSPEND();

    expect_ok(nd_host_lock(b->host, "one", &one));
    expect_ok(nd_host_lock(b->host, "two", &two));
    return NULL;
}

static struct nd_error *
give_up(void *arg)
{
    struct bench *b = arg;
    ND_AUTO(nd_host_unlockp) struct nd_host_lock *lock = NULL;

    ND_DEADLINE_IN(ND_SECOND);
    expect_code(nd_host_lock(b->host, "the one", &lock), ND_DEADLINE);
    assert_null(lock);
    b->done++;
    return NULL;
}

IN_LOOP(who_gives_up_waiting_holds_nothing)
{
    ND_AUTO(bench_endp) struct bench *b = bench_begin();
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("locks", 0);
    struct nd_host_lock *lock;

    expect_ok(nd_host_lock(b->host, "the one", &lock));
    expect_ok(nd_group_spawn(g, give_up, b));
    expect_ok(nd_group_wait(g));
    assert_int_equal(b->done, 1);
    nd_host_unlock(lock);
    expect_ok(nd_host_lock(b->host, "the one", &lock));
    nd_host_unlock(lock);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_fiber_at_a_time_holds_a_name),
        cmocka_unit_test(other_names_do_not_wait),
        cmocka_unit_test(who_gives_up_waiting_holds_nothing),
    };

    if (geteuid() != 0) {
        print_message("skipped: a host object needs root\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
