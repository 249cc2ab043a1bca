/* The table of sessions, with a clock of the test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#include "sessions.h"

static char memory[ND_WIRE_STREAMS][ND_HELPER_SPOOL_BYTES];

struct table {
    struct session sessions[ND_HELPER_SESSIONS_MAX];
    struct spool spools[ND_WIRE_STREAMS];
};

static void
init(struct table *t)
{
    *t = (struct table){0};
    for (size_t i = 0; i < ND_WIRE_STREAMS; i++)
        t->spools[i] = (struct spool){.ring = memory[i], .cap = ND_HELPER_SPOOL_BYTES};
    for (size_t i = 0; i < ND_HELPER_SESSIONS_MAX; i++)
        t->sessions[i].fd = -1;
}

/* Somebody comes with this policy and is welcomed. */
static struct session *
greet(struct table *t, uint8_t name, uint32_t policy_ms, int64_t now_ns)
{
    struct nd_wire_hello hello = {.version = ND_WIRE_VERSION,
                                  .flags = ND_WIRE_WANTS_STDOUT,
                                  .hold_ms = policy_ms,
                                  .patience_ms = policy_ms};
    struct session *s = sessions_free_slot(t->sessions);

    assert_non_null(s);
    memset(hello.session, name, sizeof(hello.session));
    session_begin(s, -1, now_ns);
    assert_int_equal(sessions_hello(t->sessions, &s, &hello, t->spools, now_ns), 0);
    s->greets = false;
    return s;
}

/* As much output as the one who is there for it allows. */
static void
fill(struct table *t, int64_t now_ns)
{
    static const char zeros[ND_HELPER_SPOOL_BYTES];
    struct spool *spool = &t->spools[ND_WIRE_STDOUT];
    size_t room = sessions_room(t->sessions, spool, ND_WIRE_STDOUT);

    sessions_will_grow(t->sessions, spool, ND_WIRE_STDOUT, now_ns);
    spool_put(spool, nd_str_n(zeros, room));
}

static size_t
room(const struct table *t)
{
    return sessions_room(t->sessions, &t->spools[ND_WIRE_STDOUT], ND_WIRE_STDOUT);
}

static void
who_comes_back_keeps_the_policy_of_the_beginning(void **state)
{
    struct table t;
    struct session *s;

    (void)state;
    init(&t);
    s = greet(&t, 1, ND_WIRE_FOR_EVER, 0);
    session_lost(s, ND_SECOND);
    s = greet(&t, 1, 10, 2 * ND_SECOND);
    assert_true(s->resumed);
    fill(&t, 2 * ND_SECOND);
    sessions_look(t.sessions, t.spools, ND_HOUR);
    assert_int_equal(room(&t), 0); /* still waited for */
    session_lost(s, ND_HOUR);
    sessions_look(t.sessions, t.spools, ND_HOUR + ND_SECOND);
    assert_int_equal(s->state, SESSION_AWAY);
    assert_true(session_is_owed(s));
    sessions_look(t.sessions, t.spools, ND_HOUR + ND_HELPER_HOLD_MAX_NS + ND_SECOND);
    assert_int_equal(s->state, SESSION_FREE);
    assert_int_equal(room(&t), ND_HELPER_SPOOL_BYTES);
}

static void
one_with_little_patience_is_left_behind(void **state)
{
    struct table t;
    struct session *s;

    (void)state;
    init(&t);
    s = greet(&t, 1, 10, 0);
    fill(&t, 0);
    sessions_look(t.sessions, t.spools, 9 * ND_MILLISECOND);
    assert_int_equal(room(&t), 0);
    sessions_look(t.sessions, t.spools, 11 * ND_MILLISECOND);
    assert_int_equal(room(&t), ND_HELPER_SPOOL_BYTES);
    assert_true(s->out[ND_WIRE_STDOUT].is_behind);
}

static void
look(struct table *t, int64_t now_ms)
{
    sessions_look(t->sessions, t->spools, now_ms * ND_MILLISECOND);
}

static void
who_comes_back_has_its_patience_once_more(void **state)
{
    struct table t;
    struct session *s;

    (void)state;
    init(&t);
    s = greet(&t, 1, 10, 0);
    fill(&t, 0);
    session_lost(s, 9 * ND_MILLISECOND);
    s = greet(&t, 1, 10, 18 * ND_MILLISECOND);
    look(&t, 27);
    assert_int_equal(room(&t), 0);
    look(&t, 29);
    assert_int_equal(room(&t), ND_HELPER_SPOOL_BYTES);
    assert_true(s->out[ND_WIRE_STDOUT].is_behind);
}

static void
coming_back_again_and_again_holds_nothing_up(void **state)
{
    struct table t;
    struct session *s;

    (void)state;
    init(&t);
    s = greet(&t, 1, 10, 0);
    fill(&t, 0);
    for (int64_t ms = 9; ms <= 27; ms += 9) {
        session_lost(s, ms * ND_MILLISECOND);
        s = greet(&t, 1, 10, ms * ND_MILLISECOND);
    }
    look(&t, 28);
    assert_int_equal(room(&t), ND_HELPER_SPOOL_BYTES);
    session_lost(s, 28 * ND_MILLISECOND);
    s = greet(&t, 1, 10, 29 * ND_MILLISECOND);
    assert_int_equal(room(&t), ND_HELPER_SPOOL_BYTES); /* it is still behind */
}

static void
a_byte_now_and_then_holds_nothing_up(void **state)
{
    struct table t;
    struct session *s;
    const struct spool *spool = &t.spools[ND_WIRE_STDOUT];

    (void)state;
    init(&t);
    s = greet(&t, 1, 10, 0);
    fill(&t, 0);
    s->out[ND_WIRE_STDOUT].sent = spool->end;
    for (int64_t ms = 5; ms <= 10; ms += 5) {
        assert_int_equal(session_ack(s, spool, ND_WIRE_STDOUT, (uint64_t)ms, ms * ND_MILLISECOND),
                         0);
        fill(&t, ms * ND_MILLISECOND);
    }
    look(&t, 11);
    assert_true(s->out[ND_WIRE_STDOUT].is_behind);
    assert_int_equal(room(&t), ND_HELPER_SPOOL_BYTES);
}

static void
who_acknowledges_a_good_piece_is_waited_for_anew(void **state)
{
    struct table t;
    struct session *s;
    const struct spool *spool = &t.spools[ND_WIRE_STDOUT];

    (void)state;
    init(&t);
    s = greet(&t, 1, 10, 0);
    fill(&t, 0);
    s->out[ND_WIRE_STDOUT].sent = spool->end;
    for (unsigned i = 1; i <= 4; i++) {
        int64_t now_ns = 4 * i * ND_MILLISECOND;

        assert_int_equal(
            session_ack(s, spool, ND_WIRE_STDOUT, i * (ND_HELPER_STEP_BYTES / 2), now_ns), 0);
        fill(&t, now_ns);
    }
    look(&t, 25); /* 16 and 10 */
    assert_false(s->out[ND_WIRE_STDOUT].is_behind);
    look(&t, 27);
    assert_true(s->out[ND_WIRE_STDOUT].is_behind);
}

static void
who_has_everything_is_owed_until_it_leaves(void **state)
{
    struct table t;
    struct session *s;

    (void)state;
    init(&t);
    s = greet(&t, 1, 1000, 0);
    t.spools[ND_WIRE_STDOUT].ended = true;
    s->out[ND_WIRE_STDOUT].told_end = true;
    assert_true(session_is_owed(s));
    session_lost(s, 0);
    assert_true(session_is_owed(s));
    s = greet(&t, 1, 1000, 0);
    session_leave(s, 0);
    assert_false(session_is_owed(s));
}

static void
who_is_away_longest_makes_room(void **state)
{
    struct table t;
    struct session *first, *starter, *s = NULL;

    (void)state;
    init(&t);
    starter = greet(&t, 100, ND_WIRE_FOR_EVER, 0);
    session_lost(starter, 0);
    first = greet(&t, 101, 1000, 0);
    session_lost(first, 1);
    for (uint8_t i = 2; i < 2 * ND_HELPER_SESSIONS_MAX; i++) {
        s = greet(&t, i, 1000, i);
        session_lost(s, i);
        sessions_look(t.sessions, t.spools, i);
    }
    assert_int_equal(starter->state, SESSION_AWAY); /* the process waits for that one */
    assert_int_equal(s->state, SESSION_AWAY);
    s = greet(&t, 2 * ND_HELPER_SESSIONS_MAX - 1, 1000, 100);
    assert_true(s->resumed);
    s = greet(&t, 101, 1000, 100);
    assert_false(s->resumed);
}

static void
who_is_away_from_what_was_replaced_holds_up_nothing(void **state)
{
    struct table t;
    struct session *s;

    (void)state;
    init(&t);
    s = greet(&t, 1, ND_WIRE_FOR_EVER, 0);
    fill(&t, 0);
    session_lost(s, 0);
    sessions_look(t.sessions, t.spools, 0);
    assert_int_equal(room(&t), 0);
    sessions_let_go(t.sessions, 1);
    sessions_look(t.sessions, t.spools, 1);
    assert_int_equal(room(&t), ND_HELPER_SPOOL_BYTES);
    assert_int_equal(s->state, SESSION_FREE);
}

static void
who_reads_on_what_was_replaced_gets_everything_and_others_are_passed_over(void **state)
{
    int64_t last_ns = ND_HELPER_REPLACED_NS - 1;
    struct table t;
    struct session *s;

    (void)state;
    init(&t);
    s = greet(&t, 1, ND_WIRE_FOR_EVER, 0);
    fill(&t, 0);
    sessions_let_go(t.sessions, 0);
    s->out[ND_WIRE_STDOUT].sent = ND_HELPER_STEP_BYTES;
    sessions_look(t.sessions, t.spools, last_ns);
    assert_int_equal(room(&t), 0);
    assert_int_equal(
        session_ack(s, &t.spools[ND_WIRE_STDOUT], ND_WIRE_STDOUT, ND_HELPER_STEP_BYTES, last_ns),
        0);
    fill(&t, last_ns);
    sessions_look(t.sessions, t.spools, last_ns + ND_HELPER_REPLACED_NS - 1);
    assert_int_equal(room(&t), 0);
    sessions_look(t.sessions, t.spools, last_ns + ND_HELPER_REPLACED_NS);
    assert_int_equal(room(&t), ND_HELPER_SPOOL_BYTES);
    assert_int_equal(s->state, SESSION_ATTACHED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_back_keeps_the_policy_of_the_beginning),
        cmocka_unit_test(one_with_little_patience_is_left_behind),
        cmocka_unit_test(who_comes_back_has_its_patience_once_more),
        cmocka_unit_test(coming_back_again_and_again_holds_nothing_up),
        cmocka_unit_test(a_byte_now_and_then_holds_nothing_up),
        cmocka_unit_test(who_acknowledges_a_good_piece_is_waited_for_anew),
        cmocka_unit_test(who_is_away_longest_makes_room),
        cmocka_unit_test(who_has_everything_is_owed_until_it_leaves),
        cmocka_unit_test(who_is_away_from_what_was_replaced_holds_up_nothing),
        cmocka_unit_test(who_reads_on_what_was_replaced_gets_everything_and_others_are_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
