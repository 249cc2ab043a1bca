/*
 * Keepalive of both roles, under the virtual clock: when a PING leaves, what counts as an answer,
 * and what becomes of a connection whose other end has died without a word.
 */

#include "site.h"

static const struct nd_session_options server_options = {
    .keepalive_time_ns = 30 * ND_SECOND,
    .keepalive_timeout_ns = 20 * ND_SECOND,
};

static void
connect_to(struct site *site, const struct nd_session_options *options)
{
    site_begin(site, options);
    say(site, &site->out);
    hear_some(site);
}

static unsigned
count_pings(struct site *site, struct nd_str *ret_last)
{
    hear_some(site);
    return count_frames(site, PING, ret_last);
}

static void
answer_ping(struct site *site, struct nd_str data)
{
    struct nd_buf b = ND_BUF_INIT(1 << 20);

    put_frame(&b, PING, 1, 0, data);
    say(site, &b);
    nd_buf_fini(&b);
}

IN_LOOP(a_silent_peer_is_asked_and_its_answers_keep_the_connection)
{
    struct nd_str ping;
    struct site site;

    connect_to(&site, &server_options);
    for (unsigned i = 1; i <= 10; i++) {
        expect_ok(nd_fiber_sleep(28 * ND_SECOND));
        assert_int_equal(count_pings(&site, NULL), i - 1);
        expect_ok(nd_fiber_sleep(4 * ND_SECOND));
        assert_int_equal(count_pings(&site, &ping), i);
        answer_ping(&site, ping);
    }
    assert_int_equal(site.gone, 0);
    site_finish(&site);
    return NULL;
}

IN_LOOP(a_dead_peer_is_given_up_after_the_timeout)
{
    struct site site;

    connect_to(&site, &server_options);
    expect_ok(nd_fiber_sleep(49 * ND_SECOND));
    assert_int_equal(site.gone, 0);
    expect_ok(nd_fiber_sleep(4 * ND_SECOND));
    assert_int_equal(site.gone, 1);
    site_finish(&site);
    return NULL;
}

IN_LOOP(whatever_comes_is_an_answer)
{
    struct nd_buf b = ND_BUF_INIT(1 << 20);
    struct site site;

    connect_to(&site, &server_options);
    expect_ok(nd_fiber_sleep(40 * ND_SECOND));
    assert_int_equal(count_pings(&site, NULL), 1);
    put_request(&b, 1, usual);
    say(&site, &b);
    expect_ok(nd_fiber_sleep(25 * ND_SECOND));
    assert_int_equal(site.gone, 0);
    assert_int_equal(count_pings(&site, NULL), 1);
    site_finish(&site);
    nd_buf_fini(&b);
    return NULL;
}

IN_LOOP(a_busy_peer_is_not_asked)
{
    struct nd_buf b = ND_BUF_INIT(1 << 20);
    struct site site;

    connect_to(&site, &server_options);
    for (uint32_t i = 0; i < 20; i++) {
        put_request(&b, 1 + 2 * i, usual);
        say(&site, &b);
        expect_ok(nd_fiber_sleep(20 * ND_SECOND));
    }
    assert_int_equal(count_pings(&site, NULL), 0);
    site_finish(&site);
    nd_buf_fini(&b);
    return NULL;
}

IN_LOOP(a_time_without_end_is_never)
{
    static const struct nd_session_options options = {
        .keepalive_time_ns = INT64_MAX,
        .keepalive_timeout_ns = INT64_MAX,
        .handshake_timeout_ns = INT64_MAX,
    };
    struct site site;

    connect_to(&site, &options);
    expect_ok(nd_fiber_sleep(1000 * ND_HOUR));
    assert_int_equal(count_pings(&site, NULL), 0);
    assert_int_equal(site.gone, 0);
    site_finish(&site);
    return NULL;
}

IN_LOOP(no_pings_without_keepalive)
{
    struct site site;

    connect_to(&site, NULL);
    expect_ok(nd_fiber_sleep(3600 * ND_SECOND));
    assert_int_equal(count_pings(&site, NULL), 0);
    assert_int_equal(site.gone, 0);
    site_finish(&site);
    return NULL;
}

IN_LOOP(a_draining_connection_is_watched_too)
{
    struct nd_buf b = ND_BUF_INIT(1 << 20);
    struct site site;

    connect_to(&site, &server_options);
    site.silent = true;
    put_request(&b, 1, usual);
    say(&site, &b);
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    nd_session_drain(site.session, "why");
    expect_ok(nd_fiber_sleep(40 * ND_SECOND));
    assert_int_equal(count_pings(&site, NULL), 2);
    assert_int_equal(count_frames(&site, GOAWAY, NULL), 2);
    expect_ok(nd_fiber_sleep(15 * ND_SECOND));
    assert_int_equal(site.gone, 1);
    site_finish(&site);
    nd_buf_fini(&b);
    return NULL;
}

/* An answer to an earlier PING is not the round trip that a drain waits for. */
IN_LOOP(a_late_answer_does_not_end_the_first_step_of_a_drain)
{
    struct nd_str ping;
    struct site site;

    connect_to(&site, &server_options);
    expect_ok(nd_fiber_sleep(35 * ND_SECOND));
    assert_int_equal(count_pings(&site, &ping), 1);
    nd_session_drain(site.session, "why");
    answer_ping(&site, ping);
    hear_some(&site);
    assert_int_equal(count_frames(&site, GOAWAY, NULL), 1);
    hear_all(&site);
    assert_int_equal(count_frames(&site, GOAWAY, NULL), 2);
    site_finish(&site);
    return NULL;
}

/* --- the client's role --- */

struct user {
    struct site site; /* its session is the client's; only peer and got are used besides */
    struct nd_h2_stream h2;
    bool closed;
};

static void
note_close(struct nd_h2_stream *s, const struct nd_h2_close *why ND_UNUSED)
{
    ND_CONTAINER_OF(s, struct user, h2)->closed = true;
}

static void
ignore_end(struct nd_h2_stream *s ND_UNUSED)
{
}

static const struct nd_h2_stream_ops user_ops = {.on_end = ignore_end, .on_close = note_close};

static void
note_gone(void *arg, const struct nd_error *err)
{
    struct user *u = arg;

    assert_int_equal(nd_error_code(err), ND_UNAVAILABLE);
    u->site.gone++;
    nd_session_free(ND_TAKE(u->site.session));
}

static void
user_begin(struct user *u, bool without_calls)
{
    const struct nd_session_options options = {
        .role = ND_SESSION_CLIENT,
        .keepalive_time_ns = ND_SECOND, /* raised to ten */
        .keepalive_without_calls = without_calls,
    };
    const struct nd_session_handler handler = {.arg = u, .on_gone = note_gone};
    struct nd_buf b = ND_BUF_INIT(1 << 20);
    struct nd_stream *mine;

    *u = (struct user){.site.got = ND_BUF_INIT(1 << 20)};
    nd_stream_pair(1 << 20, &u->site.peer, &mine);
    u->site.session = nd_session_new(mine, &options, &handler);
    put_frame(&b, SETTINGS, 0, 0, ND_STR_NONE);
    say(&u->site, &b);
    hear_some(&u->site);
    nd_buf_clear(&u->site.got);
    nd_buf_fini(&b);
}

static void
user_end(struct user *u)
{
    site_finish(&u->site);
    nd_h2_stream_fini(&u->h2);
}

static void
open_stream(struct user *u)
{
    const struct nd_header headers[] = {{ND_STR(":method"), ND_STR("POST")},
                                        {ND_STR(":scheme"), ND_STR("http")},
                                        {ND_STR(":path"), ND_STR("/")},
                                        {ND_STR(":authority"), ND_STR("a")}};

    nd_h2_stream_init(&u->h2, &user_ops);
    expect_ok(nd_session_open(u->site.session, &u->h2, headers, ND_LEN(headers), true));
}

IN_LOOP(a_client_asks_no_more_often_than_servers_bear)
{
    struct user u;

    user_begin(&u, false);
    open_stream(&u);
    expect_ok(nd_fiber_sleep(9 * ND_SECOND));
    assert_int_equal(count_pings(&u.site, NULL), 0);
    expect_ok(nd_fiber_sleep(2 * ND_SECOND));
    assert_int_equal(count_pings(&u.site, NULL), 1);
    expect_ok(nd_fiber_sleep(21 * ND_SECOND));
    assert_int_equal(u.site.gone, 1);
    assert_true(u.closed);
    user_end(&u);
    return NULL;
}

IN_LOOP(a_client_without_calls_is_dormant_and_wakes_with_the_next)
{
    struct user u;

    user_begin(&u, false);
    expect_ok(nd_fiber_sleep(3600 * ND_SECOND));
    assert_int_equal(count_pings(&u.site, NULL), 0);
    assert_int_equal(u.site.gone, 0);
    open_stream(&u);
    expect_ok(nd_fiber_sleep(2 * ND_SECOND));
    assert_int_equal(count_pings(&u.site, NULL), 1);
    assert_int_equal((unsigned char)u.site.got.ptr[3], HEADERS);
    expect_ok(nd_fiber_sleep(21 * ND_SECOND));
    assert_int_equal(u.site.gone, 1);
    user_end(&u);
    return NULL;
}

IN_LOOP(a_client_that_may_asks_without_calls)
{
    struct user u;

    user_begin(&u, true);
    expect_ok(nd_fiber_sleep(12 * ND_SECOND));
    assert_int_equal(count_pings(&u.site, NULL), 1);
    user_end(&u);
    return NULL;
}

/* --- what a server bears of its clients' PINGs --- */

static unsigned
goaways_after_pings(int64_t pause_ns)
{
    struct nd_buf b = ND_BUF_INIT(1 << 20);
    struct site site;
    unsigned n;

    connect_to(&site, NULL);
    for (unsigned i = 0; i < 8 && site.gone == 0; i++) {
        put_frame(&b, PING, 0, 0, ND_STR("12345678"));
        say(&site, &b);
        expect_ok(nd_fiber_sleep(pause_ns));
        hear_some(&site);
    }
    n = count_frames(&site, GOAWAY, NULL);
    site_finish(&site);
    nd_buf_fini(&b);
    return n;
}

IN_LOOP(pings_that_are_a_little_early_are_borne)
{
    assert_int_equal(goaways_after_pings(9900 * ND_MILLISECOND), 0);
    return NULL;
}

IN_LOOP(pings_that_are_much_too_early_are_not)
{
    assert_int_equal(goaways_after_pings(500 * ND_MILLISECOND), 1);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_peer_is_asked_and_its_answers_keep_the_connection),
        cmocka_unit_test(a_dead_peer_is_given_up_after_the_timeout),
        cmocka_unit_test(whatever_comes_is_an_answer),
        cmocka_unit_test(a_busy_peer_is_not_asked),
        cmocka_unit_test(a_time_without_end_is_never),
        cmocka_unit_test(no_pings_without_keepalive),
        cmocka_unit_test(a_draining_connection_is_watched_too),
        cmocka_unit_test(a_late_answer_does_not_end_the_first_step_of_a_drain),
        cmocka_unit_test(a_client_asks_no_more_often_than_servers_bear),
        cmocka_unit_test(a_client_without_calls_is_dormant_and_wakes_with_the_next),
        cmocka_unit_test(a_client_that_may_asks_without_calls),
        cmocka_unit_test(pings_that_are_a_little_early_are_borne),
        cmocka_unit_test(pings_that_are_much_too_early_are_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
