/* Condition, mutex, bounded queue: order, cancelling, nothing lost. */

#include "fiber/group.h"
#include "fiber/sync.h"

#include "in_loop.h"

struct waiter {
    struct nd_cond *cond;
    int *order;
    int place; /* 0: has not been woken */
    enum nd_code code;
};

static struct nd_error *
wait_and_note(void *arg)
{
    struct waiter *w = arg;
    struct nd_error *err = nd_cond_wait(w->cond);

    w->code = nd_error_code(err);
    if (err == NULL)
        w->place = ++*w->order;
    nd_error_free(err);
    return NULL;
}

IN_LOOP(a_signal_wakes_the_longest_waiting_one_and_a_broadcast_all)
{
    struct nd_cond cond = {0};
    int order = 0;
    struct waiter w[4];
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    nd_cond_signal(&cond);
    nd_cond_broadcast(&cond);
    for (size_t i = 0; i < ND_LEN(w); i++) {
        w[i] = (struct waiter){.cond = &cond, .order = &order};
        ND_TRY(nd_group_spawn(g, wait_and_note, &w[i]));
    }
    ND_TRY(nd_fiber_yield());
    nd_cond_signal(&cond);
    ND_TRY(nd_fiber_yield());
    assert_int_equal(order, 1);
    assert_int_equal(w[0].place, 1);
    nd_cond_broadcast(&cond);
    ND_TRY(nd_group_wait(g));
    for (size_t i = 0; i < ND_LEN(w); i++)
        assert_int_equal(w[i].place, i + 1);
    return NULL;
}

IN_LOOP(a_wait_ends_with_cancelling_and_deadline)
{
    struct nd_cond cond = {0};
    int order = 0;
    struct waiter w = {.cond = &cond, .order = &order};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_group_spawn(g, wait_and_note, &w));
    ND_TRY(nd_fiber_yield());
    nd_group_cancel(g);
    ND_TRY(nd_group_wait(g));
    assert_int_equal(w.code, ND_CANCELLED);
    ND_DEADLINE_IN(ND_SECOND);
    expect_code(nd_cond_wait(&cond), ND_DEADLINE);
    expect_code(nd_cond_wait(&cond), ND_DEADLINE);
    nd_cond_broadcast(&cond);
    return NULL;
}

IN_LOOP(a_signal_is_not_lost_to_one_that_was_cancelled_before_it)
{
    struct nd_cond cond = {0};
    int order = 0;
    struct waiter first = {.cond = &cond, .order = &order};
    struct waiter second = {.cond = &cond, .order = &order};
    struct nd_fiber *f;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_group_spawn_handle(g, wait_and_note, &first, &f));
    ND_TRY(nd_group_spawn(g, wait_and_note, &second));
    ND_TRY(nd_fiber_yield());
    nd_fiber_cancel(f);
    nd_cond_signal(&cond);
    ND_TRY(nd_group_wait(g));
    assert_int_equal(first.code, ND_CANCELLED);
    assert_int_equal(second.place, 1);
    return NULL;
}

IN_LOOP(one_that_was_signalled_before_it_is_cancelled_keeps_the_signal)
{
    struct nd_cond cond = {0};
    int order = 0;
    struct waiter w = {.cond = &cond, .order = &order};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_group_spawn(g, wait_and_note, &w));
    ND_TRY(nd_fiber_yield());
    nd_cond_signal(&cond);
    nd_group_cancel(g);
    ND_TRY(nd_group_wait(g));
    assert_int_equal(w.place, 1);
    return NULL;
}

struct locker {
    struct nd_mutex *mutex;
    int *inside;
    int *order;
    int place;
    enum nd_code code;
};

static struct nd_error *
hold_a_second(void *arg)
{
    struct locker *l = arg;
    struct nd_error *err = nd_mutex_lock(l->mutex);
    ND_AUTO(nd_mutex_unlockp) struct nd_mutex *held = err == NULL ? l->mutex : NULL;

    l->code = nd_error_code(err);
    if (err != NULL)
        return err;
    assert_int_equal(++*l->inside, 1);
    l->place = ++*l->order;
    ND_TRY(nd_fiber_sleep(ND_SECOND));
    --*l->inside;
    return NULL;
}

IN_LOOP(a_mutex_admits_one_at_a_time_in_order)
{
    struct nd_mutex mutex = {0};
    int inside = 0, order = 0;
    struct locker l[5];
    struct nd_fiber *fibers[ND_LEN(l)];
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    for (size_t i = 0; i < ND_LEN(l); i++) {
        l[i] = (struct locker){.mutex = &mutex, .inside = &inside, .order = &order};
        ND_TRY(nd_group_spawn_handle(g, hold_a_second, &l[i], &fibers[i]));
    }
    ND_TRY(nd_fiber_yield());
    nd_fiber_cancel(fibers[2]);
    ND_TRY(nd_group_wait(g));
    assert_int_equal(l[0].place, 1);
    assert_int_equal(l[1].place, 2);
    assert_int_equal(l[2].code, ND_CANCELLED);
    assert_int_equal(l[3].place, 3);
    assert_int_equal(l[4].place, 4);
    assert_false(mutex.locked);
    return NULL;
}

IN_LOOP(nobody_slips_in_between_unlock_and_the_one_that_waited)
{
    struct nd_mutex mutex = {0};
    int inside = 0, order = 0;
    struct locker l = {.mutex = &mutex, .inside = &inside, .order = &order};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_mutex_lock(&mutex));
    ND_TRY(nd_group_spawn(g, hold_a_second, &l));
    ND_TRY(nd_fiber_yield());
    nd_mutex_unlock(&mutex);
    ND_TRY(nd_mutex_lock(&mutex));
    assert_int_equal(l.place, 1);
    assert_int_equal(inside, 0);
    nd_mutex_unlock(&mutex);
    return nd_group_wait(g);
}

IN_LOOP(locking_ends_with_the_deadline)
{
    struct nd_mutex mutex = {0};

    ND_TRY(nd_mutex_lock(&mutex));
    {
        ND_DEADLINE_IN(ND_SECOND);
        expect_code(nd_mutex_lock(&mutex), ND_DEADLINE);
    }
    nd_mutex_unlock(&mutex);
    assert_false(mutex.locked);
    return NULL;
}

enum { N_ITEMS = 100 };
static int items[N_ITEMS];

static struct nd_error *
send_all(void *arg)
{
    for (int i = 0; i < N_ITEMS; i++)
        ND_TRY(nd_chan_send(arg, &items[i]));
    nd_chan_close(arg);
    return NULL;
}

IN_LOOP(a_queue_delivers_in_order_and_then_ends)
{
    ND_AUTO(nd_chan_freep) struct nd_chan *c = nd_chan_new(3);
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);
    void *item;

    ND_TRY(nd_group_spawn(g, send_all, c));
    for (int i = 0; i < N_ITEMS; i++) {
        ND_TRY(nd_chan_recv(c, &item));
        assert_ptr_equal(item, &items[i]);
        assert_true(nd_chan_count(c) <= 3);
    }
    ND_TRY(nd_chan_recv(c, &item));
    assert_null(item);
    expect_code(nd_chan_send(c, &items[0]), ND_PRECONDITION);
    assert_false(nd_chan_try_send(c, &items[0]));
    return nd_group_wait(g);
}

IN_LOOP(a_full_and_an_empty_queue_wait_until_the_deadline)
{
    ND_AUTO(nd_chan_freep) struct nd_chan *c = nd_chan_new(1);
    void *item = NULL;

    {
        ND_DEADLINE_IN(ND_SECOND);
        expect_code(nd_chan_recv(c, &item), ND_DEADLINE);
    }
    assert_true(nd_chan_try_send(c, &items[0]));
    assert_false(nd_chan_try_send(c, &items[1]));
    ND_DEADLINE_IN(ND_SECOND);
    expect_code(nd_chan_send(c, &items[1]), ND_DEADLINE);
    assert_int_equal(nd_chan_count(c), 1);
    return NULL;
}

static struct nd_error *
receive_one(void *arg)
{
    void *item;

    return nd_chan_recv(arg, &item);
}

static struct nd_error *
send_two(void *arg)
{
    ND_TRY(nd_chan_send(arg, &items[0]));
    return nd_chan_send(arg, &items[1]);
}

IN_LOOP(waiting_senders_and_receivers_can_be_cancelled)
{
    ND_AUTO(nd_chan_freep) struct nd_chan *empty = nd_chan_new(1);
    ND_AUTO(nd_chan_freep) struct nd_chan *full = nd_chan_new(1);
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_group_spawn(g, receive_one, empty));
    ND_TRY(nd_group_spawn(g, send_two, full));
    ND_TRY(nd_fiber_yield());
    nd_group_cancel(g);
    ND_TRY(nd_group_wait(g));
    assert_int_equal(nd_chan_count(full), 1);
    assert_true(nd_chan_try_send(empty, &items[0]));
    assert_int_equal(nd_chan_count(empty), 1);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_wakes_the_longest_waiting_one_and_a_broadcast_all),
        cmocka_unit_test(a_wait_ends_with_cancelling_and_deadline),
        cmocka_unit_test(a_signal_is_not_lost_to_one_that_was_cancelled_before_it),
        cmocka_unit_test(one_that_was_signalled_before_it_is_cancelled_keeps_the_signal),
        cmocka_unit_test(a_mutex_admits_one_at_a_time_in_order),
        cmocka_unit_test(nobody_slips_in_between_unlock_and_the_one_that_waited),
        cmocka_unit_test(locking_ends_with_the_deadline),
        cmocka_unit_test(a_queue_delivers_in_order_and_then_ends),
        cmocka_unit_test(a_full_and_an_empty_queue_wait_until_the_deadline),
        cmocka_unit_test(waiting_senders_and_receivers_can_be_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
