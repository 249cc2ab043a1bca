/*
 * How long a connection may live and how many there may be: idle and old ones are sent away, those
 * beyond the limit hear why, strangers do not hold up a port, a graceful stop waits for nobody who
 * watches.
 */

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "grpc/health.h"
#include "grpc/limits.h"

#include "fixture.h"
#include "site.h"

/* --- a client made of bytes --- */

static void
peer_begin(struct site *peer, struct fixture *f)
{
    struct nd_buf b = ND_BUF_INIT(1 << 20);
    struct nd_stream *theirs;

    *peer = (struct site){.got = ND_BUF_INIT(64u << 20)};
    nd_stream_pair(CAPACITY_LARGE, &peer->peer, &theirs);
    nd_server_adopt(f->server, theirs, NULL);
    put_preface(&b);
    say(peer, &b);
    nd_buf_fini(&b);
}

static void
peer_end(struct site *peer)
{
    nd_stream_close(peer->peer);
    nd_buf_fini(&peer->got);
}

static size_t
n_connections(struct fixture *f)
{
    struct nd_server_stats stats;

    nd_server_get_stats(f->server, &stats);
    return stats.connections;
}

struct place {
    char path[64];
    struct nd_addr addr;
};

static const char *
make_place(struct place *p)
{
    static unsigned n;

    snprintf(p->path, sizeof(p->path), "unix-abstract:nd-test-limits-%d-%u", getpid(), n++);
    expect_ok(nd_addr_parse(nd_str(p->path), &p->addr));
    return p->path;
}

/* --- age and idleness --- */

struct reader {
    struct fixture *f;
    uint32_t repeat, delay_ms;
    unsigned received, done;
    struct nd_error *err;
};

static struct nd_error *
read_stream(void *arg)
{
    struct reader *r = arg;
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    req.repeat = r->repeat;
    req.delay_ms = r->delay_ms;
    expect_ok(nd_client_call_begin(r->f->channel, ECHO_ECHO_SERVICE_SERVER_STREAM, NULL, &call));
    expect_ok(nd_client_call_send(call, &req));
    expect_ok(nd_client_call_finish_sending(call));
    for (;;) {
        r->err = nd_client_call_recv(call, arena, &rsp);
        if (r->err != NULL || rsp == NULL)
            break;
        r->received++;
    }
    r->done = 1;
    return NULL;
}

IN_LOOP(an_idle_connection_is_sent_away_and_told_why)
{
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(
        &(struct fixture_options){.server = {.max_connection_idle_ns = 60 * ND_SECOND}});
    int64_t begun_ns = nd_loop_now().ns;
    struct site peer;

    peer_begin(&peer, f);
    hear_all(&peer);
    assert_in_range(nd_loop_now().ns - begun_ns, 60 * ND_SECOND, 70 * ND_SECOND);
    expect_goaway(&peer, ND_H2_NO_ERROR, "max_idle");
    peer_end(&peer);
    return NULL;
}

IN_LOOP(a_connection_with_a_call_is_not_idle)
{
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(
        &(struct fixture_options){.server = {.max_connection_idle_ns = 60 * ND_SECOND}});
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);
    struct reader r = {.f = f, .repeat = 5, .delay_ms = 100 * 1000};

    expect_ok(nd_group_spawn(group, read_stream, &r));
    fixture_until(&r.done, 1);
    expect_ok(r.err);
    expect_ok(fixture_echo(f, 1));
    assert_int_equal(f->dials, 1);
    expect_ok(nd_fiber_sleep(59 * ND_SECOND));
    assert_int_equal(n_connections(f), 1);
    expect_ok(nd_fiber_sleep(9 * ND_SECOND));
    assert_int_equal(n_connections(f), 0);
    expect_ok(fixture_echo(f, 1));
    assert_int_equal(f->dials, 2);
    return NULL;
}

IN_LOOP(calls_of_an_old_connection_go_on_and_new_ones_take_another)
{
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(
        &(struct fixture_options){.server = {.max_connection_age_ns = 100 * ND_SECOND}});
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);
    struct reader r = {.f = f, .repeat = 5, .delay_ms = 100 * 1000};

    expect_ok(nd_group_spawn(group, read_stream, &r));
    expect_ok(nd_fiber_sleep(120 * ND_SECOND));
    expect_ok(fixture_echo(f, 1));
    assert_int_equal(f->dials, 2);
    fixture_until(&r.done, 1);
    expect_ok(r.err);
    assert_int_equal(r.received, 5);
    return NULL;
}

IN_LOOP(after_the_grace_an_old_connection_ends_with_its_calls)
{
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(
        &(struct fixture_options){.server = {.max_connection_age_ns = 100 * ND_SECOND,
                                             .max_connection_age_grace_ns = 50 * ND_SECOND}});
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);
    struct reader r = {.f = f, .repeat = 100, .delay_ms = 10 * 1000};

    expect_ok(nd_group_spawn(group, read_stream, &r));
    fixture_until(&r.done, 1);
    expect_code(r.err, ND_UNAVAILABLE);
    assert_in_range(r.received, 13, 17);
    return NULL;
}

/* Who says "for ever" with the largest number means it. */
IN_LOOP(times_without_end_are_no_times)
{
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.server = {.max_connection_age_ns = INT64_MAX,
                                                           .max_connection_age_grace_ns = INT64_MAX,
                                                           .max_connection_idle_ns = INT64_MAX,
                                                           .handshake_timeout_ns = INT64_MAX},
                                                .channel = {.max_idle_ns = INT64_MAX,
                                                            .connect_timeout_ns = INT64_MAX,
                                                            .keepalive_time_ns = INT64_MAX,
                                                            .keepalive_timeout_ns = INT64_MAX}});
    struct site peer;

    for (int i = 0; i < 20; i++) { /* ages differ by chance */
        peer_begin(&peer, f);
        expect_ok(fixture_echo(f, 1));
        peer_end(&peer);
    }
    expect_ok(nd_fiber_sleep(1000 * ND_HOUR));
    expect_ok(fixture_echo(f, 1));
    assert_int_equal(f->dials, 1);
    nd_server_stop(f->server, INT64_MAX);
    return NULL;
}

IN_LOOP(connections_that_came_together_do_not_age_together)
{
    enum { N = 60 };
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(
        &(struct fixture_options){.server = {.max_connection_age_ns = 1000 * ND_SECOND}});
    struct site peers[N];
    size_t left;

    for (size_t i = 0; i < N; i++)
        peer_begin(&peers[i], f);
    expect_ok(nd_fiber_sleep(899 * ND_SECOND));
    assert_int_equal(n_connections(f), N);
    expect_ok(nd_fiber_sleep(101 * ND_SECOND));
    left = n_connections(f);
    assert_in_range(left, 1, N - 1);
    expect_ok(nd_fiber_sleep(120 * ND_SECOND));
    assert_int_equal(n_connections(f), 0);
    for (size_t i = 0; i < N; i++)
        peer_end(&peers[i]);
    return NULL;
}

/* --- numbers --- */

IN_LOOP(connections_above_the_limit_hear_why_and_others_do_not_notice)
{
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(&(struct fixture_options){.server = {.max_connections = 1}});
    struct site peer;

    expect_ok(fixture_echo(f, 1));
    for (int i = 0; i < 3; i++) {
        peer_begin(&peer, f);
        hear_all(&peer);
        assert_int_equal(count_frames(&peer, SETTINGS, NULL), 1);
        expect_goaway(&peer, ND_H2_ENHANCE_YOUR_CALM, "too many connections");
        peer_end(&peer);
    }
    expect_ok(fixture_echo(f, 1));
    assert_int_equal(f->dials, 1);
    return NULL;
}

IN_LOOP(the_network_cannot_take_the_places_of_this_host)
{
    struct place place;
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(
        &(struct fixture_options){.socket = make_place(&place), .server = {.max_connections = 1}});
    struct site first, second;

    peer_begin(&first, f);
    peer_begin(&second, f);
    hear_all(&second);
    expect_goaway(&second, ND_H2_ENHANCE_YOUR_CALM, "too many connections");
    expect_ok(fixture_echo(f, 1));
    peer_end(&first);
    peer_end(&second);
    return NULL;
}

IN_LOOP(a_place_that_is_free_again_is_given_away)
{
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(&(struct fixture_options){.server = {.max_connections = 1}});
    struct site first, second;

    peer_begin(&first, f);
    peer_begin(&second, f);
    hear_all(&second);
    peer_end(&second);
    peer_end(&first);
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    expect_ok(fixture_echo(f, 1));
    return NULL;
}

/* Whoever does not even listen to the refusal costs nothing but a moment. */
IN_LOOP(refusals_have_a_limit_too)
{
    enum { N = 4 * ND_GRPC_MAX_REFUSALS };
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(&(struct fixture_options){.server = {.max_connections = 1}});
    static struct nd_stream *mine[N];
    unsigned silent = 0;

    expect_ok(fixture_echo(f, 1));
    for (size_t i = 0; i < N; i++) {
        struct nd_stream *theirs;

        nd_stream_pair(CAPACITY_LARGE, &mine[i], &theirs);
        nd_server_adopt(f->server, theirs, NULL);
    }
    for (size_t i = 0; i < N; i++) {
        char bytes[64];
        size_t n;

        expect_ok(nd_stream_read(mine[i], bytes, sizeof(bytes), &n));
        silent += n == 0;
        nd_stream_close(mine[i]);
    }
    assert_int_equal(silent, N - ND_GRPC_MAX_REFUSALS);
    expect_ok(fixture_echo(f, 1));
    return NULL;
}

static const char *const stream_request[][2] = {
    {":method", "POST"},
    {":scheme", "http"},
    {":path", "/nd.test.v1.EchoService/Bidi"},
    {":authority", "a"},
    {"content-type", "application/grpc"},
    {NULL, NULL},
};

/* Before the client knows the limit: it may send the request again elsewhere. */
IN_LOOP(streams_above_the_limit_are_refused_as_not_processed)
{
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(&(struct fixture_options){.server = {.max_streams = 2}});
    struct nd_buf b = ND_BUF_INIT(1 << 20);
    struct site peer;
    struct nd_str last;

    peer_begin(&peer, f);
    for (uint32_t id = 1; id <= 5; id += 2) {
        size_t at = b.len;

        put_request(&b, id, stream_request);
        b.ptr[at + 4] = 0x4; /* without END_STREAM */
    }
    say(&peer, &b);
    hear_some(&peer);
    assert_int_equal(count_frames(&peer, RST_STREAM, &last), 1);
    assert_memory_equal(last.ptr, "\0\0\0\x07", 4);
    assert_int_equal(f->echo.started, 2);
    peer_end(&peer);
    fixture_until(&f->echo.ended, 2);
    nd_buf_fini(&b);
    return NULL;
}

/* Cancelled calls whose handlers have not returned: as many again are borne, and no more. */
IN_LOOP(handlers_that_unwind_hold_places_of_their_own)
{
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(&(struct fixture_options){.server = {.max_streams = 2}});
    struct nd_buf b = ND_BUF_INIT(1 << 20);
    struct site peer;
    struct nd_str last;

    peer_begin(&peer, f);
    hear_some(&peer);
    put_frame(&b, SETTINGS, 0x1, 0, ND_STR_NONE); /* so that two streams is the limit */
    for (uint32_t id = 1; id <= 11; id += 2) {
        size_t at = b.len;

        put_request(&b, id, stream_request);
        b.ptr[at + 4] = 0x4;
        put_frame(&b, RST_STREAM, 0, id, ND_STR("\0\0\0\x08"));
    }
    say(&peer, &b);
    hear_some(&peer);
    assert_int_equal(count_frames(&peer, RST_STREAM, &last), 2);
    assert_memory_equal(last.ptr, "\0\0\0\x07", 4);
    assert_int_equal(count_frames(&peer, GOAWAY, NULL), 0);
    fixture_until(&f->echo.ended, f->echo.started);
    peer_end(&peer);
    nd_buf_fini(&b);
    return NULL;
}

IN_LOOP(a_header_list_above_the_limit_is_answered_with_431)
{
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.server = {.max_header_list = 600}});
    struct nd_buf b = ND_BUF_INIT(1 << 20);
    char large[101] = {0};
    const char *const fields[][2] = {
        {":method", "POST"},
        {":scheme", "http"},
        {":path", "/nd.test.v1.EchoService/Unary"},
        {":authority", "a"},
        {"content-type", "application/grpc"},
        {"x-1", large},
        {"x-2", large},
        {"x-3", large},
        {NULL, NULL},
    };
    struct site peer;
    struct nd_str block;

    memset(large, 'x', sizeof(large) - 1);
    peer_begin(&peer, f);
    put_request(&b, 1, fields);
    say(&peer, &b);
    hear_some(&peer);
    assert_int_equal(count_frames(&peer, HEADERS, &block), 1);
    assert_int_equal(f->echo.started, 0);
    assert_memory_equal(block.ptr,
                        "\x48\x03"
                        "431",
                        5); /* ":status: 431" in HPACK */
    peer_end(&peer);
    nd_buf_fini(&b);
    return NULL;
}

/* --- strangers --- */

IN_LOOP(strangers_that_say_nothing_do_not_hold_up_a_port)
{
    enum { N = 4 };
    struct place place;
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(
        &(struct fixture_options){.socket = make_place(&place), .server = {.max_handshakes = N}});
    int64_t begun_ns = nd_loop_now().ns;
    struct nd_stream *strangers[N];
    char bytes[256];
    size_t n = 1;

    for (size_t i = 0; i < N; i++)
        expect_ok(nd_dial(&place.addr, &strangers[i]));
    expect_ok(fixture_echo(f, 1));
    assert_true(nd_loop_now().ns - begun_ns < ND_GRPC_HANDSHAKE_PATIENCE_NS + ND_SECOND);
    while (n != 0)
        expect_ok(nd_stream_read(strangers[0], bytes, sizeof(bytes), &n));
    assert_int_equal(n_connections(f), N);
    for (size_t i = 0; i < N; i++)
        nd_stream_close(strangers[i]);
    return NULL;
}

static struct nd_error *
come_once(void *arg)
{
    struct fixture *f = arg;
    struct nd_addr addr;
    ND_AUTO(nd_channel_freep) struct nd_channel *channel = NULL;

    expect_ok(nd_addr_parse(nd_str(f->options.socket), &addr));
    channel = nd_channel_new(&addr, NULL);
    expect_ok(nd_channel_connect(channel));
    f->dials++;
    return NULL;
}

IN_LOOP(an_honest_crowd_is_served_in_order)
{
    struct place place;
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(
        &(struct fixture_options){.socket = make_place(&place), .server = {.max_handshakes = 2}});
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("crowd", 0);

    for (int i = 0; i < 100; i++)
        expect_ok(nd_group_spawn(group, come_once, f));
    expect_ok(nd_group_wait(group));
    assert_int_equal(f->dials, 100);
    return NULL;
}

IN_LOOP(a_handshake_that_is_never_over_ends_in_time)
{
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.server = {.handshake_timeout_ns = 3 * ND_SECOND}});
    int64_t begun_ns = nd_loop_now().ns;
    struct nd_stream *mine, *theirs;

    nd_stream_pair(CAPACITY_LARGE, &mine, &theirs);
    nd_server_adopt(f->server, theirs, NULL);
    while (n_connections(f) != 0)
        expect_ok(nd_fiber_sleep(100 * ND_MILLISECOND));
    assert_in_range(nd_loop_now().ns - begun_ns, 3 * ND_SECOND, 4 * ND_SECOND);
    nd_stream_close(mine);
    return NULL;
}

/* --- keepalive --- */

/* Whether a TCP socket of this process has that TCP_USER_TIMEOUT. */
static bool
some_socket_has(int timeout_ms)
{
    for (int fd = 3; fd < 64; fd++) {
        int value = 0;
        socklen_t len = sizeof(value);

        if (getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &len) == 0 && value == timeout_ms)
            return true;
    }
    return false;
}

static void
check_tcp_timeout(int64_t keepalive_time_ns, bool expected)
{
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(&(struct fixture_options){
        .server = {.keepalive_time_ns = keepalive_time_ns, .keepalive_timeout_ns = 7 * ND_SECOND}});
    struct nd_addr addr;
    struct nd_stream *stream;

    expect_ok(nd_addr_parse(ND_STR("127.0.0.1:0"), &addr));
    expect_ok(nd_server_listen(f->server, &addr, NULL, NULL, &addr));
    expect_ok(nd_dial(&addr, &stream));
    while (n_connections(f) != 1)
        expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    assert_int_equal(some_socket_has(7000), expected);
    nd_stream_close(stream);
}

IN_REAL_LOOP(tcp_gives_up_when_keepalive_does)
{
    check_tcp_timeout(0, true);
    check_tcp_timeout(-1, false);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_connection_is_sent_away_and_told_why),
        cmocka_unit_test(a_connection_with_a_call_is_not_idle),
        cmocka_unit_test(calls_of_an_old_connection_go_on_and_new_ones_take_another),
        cmocka_unit_test(after_the_grace_an_old_connection_ends_with_its_calls),
        cmocka_unit_test(times_without_end_are_no_times),
        cmocka_unit_test(connections_that_came_together_do_not_age_together),
        cmocka_unit_test(connections_above_the_limit_hear_why_and_others_do_not_notice),
        cmocka_unit_test(the_network_cannot_take_the_places_of_this_host),
        cmocka_unit_test(a_place_that_is_free_again_is_given_away),
        cmocka_unit_test(refusals_have_a_limit_too),
        cmocka_unit_test(streams_above_the_limit_are_refused_as_not_processed),
        cmocka_unit_test(handlers_that_unwind_hold_places_of_their_own),
        cmocka_unit_test(a_header_list_above_the_limit_is_answered_with_431),
        cmocka_unit_test(strangers_that_say_nothing_do_not_hold_up_a_port),
        cmocka_unit_test(an_honest_crowd_is_served_in_order),
        cmocka_unit_test(a_handshake_that_is_never_over_ends_in_time),
        cmocka_unit_test(tcp_gives_up_when_keepalive_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
