/*
 * Streams inside a call, as such, and with a gRPC server and client above them in both roles.
 */

#include <string.h>

#include "fiber/limits.h"
#include "grpc/limits.h"
#include "grpc/tunnel.h"
#include "net/limits.h"

#include "echo_tunnel.h"
#include "fixture.h"

#define MEBIBYTE (1u << 20)

/* What one direction of the tunnel and the call around it may hold together. */
#define MOST_ON_THE_WAY                                                         \
    (ND_NET_STREAM_WINDOW + ND_GRPC_SEND_QUEUE_BYTES + 2 * ND_NET_FLUSH_BYTES + \
     ND_NET_HIGH_WATER_BYTES + 2 * ND_STREAM_READ_BYTES)

static void
fill(char *bytes, size_t n, size_t at)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)((at + i) * 31 + (at + i) / 509);
}

/* --- the stream --- */

struct writer {
    struct nd_stream *stream;
    size_t total;
    size_t done;
    enum nd_code code;
    bool ended;
};

static struct nd_error *
write_all(void *arg)
{
    struct writer *w = arg;
    char bytes[10000];
    struct nd_error *err = NULL;

    while (err == NULL && w->done < w->total) {
        size_t n = ND_MIN(sizeof(bytes), w->total - w->done);

        fill(bytes, n, w->done);
        err = nd_stream_write(w->stream, nd_str_n(bytes, n));
        w->done += err == NULL ? n : 0;
    }
    if (err == NULL)
        err = nd_stream_shutdown(
            w->stream); /* at the server's end with both directions: of the call */
    w->code = nd_error_code(err);
    w->ended = true;
    nd_error_free(err);
    return NULL;
}

/* Read to the end, checking every byte; returns how many there were. */
static size_t
read_all(struct nd_stream *s)
{
    char bytes[7000], expected[7000];
    size_t total = 0, n = 1;

    while (n != 0) {
        expect_ok(nd_stream_read(s, bytes, sizeof(bytes), &n));
        fill(expected, n, total);
        assert_memory_equal(bytes, expected, n);
        total += n;
    }
    return total;
}

static void
check_transfer(size_t capacity, size_t total)
{
    struct echo_tunnel t = {.capacity = capacity};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("test", 0);

    expect_ok(echo_tunnel_begin(&t));
    echo_tunnel_take_largest();
    struct writer up = {.stream = t.at_client, .total = total};
    expect_ok(nd_group_spawn(g, write_all, &up));
    assert_int_equal(read_all(t.at_server), total);
    struct writer down = {.stream = t.at_server, .total = total};
    expect_ok(nd_group_spawn(g, write_all, &down));
    assert_int_equal(read_all(t.at_client), total);
    nd_stream_close(ND_TAKE(t.at_server));
    nd_stream_close(ND_TAKE(t.at_client));
    fixture_until(&t.ended, 2);
    assert_int_equal(t.server_code, ND_OK);
    assert_int_equal(t.client_code, ND_OK);
    assert_in_range(echo_tunnel_take_largest(), 1, ND_GRPC_TUNNEL_CHUNK);
    expect_ok(nd_group_wait(g));
    echo_tunnel_end(&t);
}

IN_LOOP(bytes_pass_both_ways_and_half_closes_end_them)
{
    check_transfer(0, 100);
    check_transfer(1, 3000);
    check_transfer(7, 20000);
    check_transfer(0, 3 * MEBIBYTE / 2);
    return NULL;
}

/* What fits before the writer waits is bounded, whichever side writes; then all of it arrives. */
static void
check_backpressure(bool upwards)
{
    struct echo_tunnel t = {0};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("test", 0);

    expect_ok(echo_tunnel_begin(&t));
    struct writer w = {.stream = upwards ? t.at_client : t.at_server, .total = 4 * MEBIBYTE};
    struct nd_stream *reader = upwards ? t.at_server : t.at_client;
    size_t most = MOST_ON_THE_WAY + (upwards ? 0 : ND_GRPC_CLIENT_STREAM_WINDOW);

    expect_ok(nd_group_spawn(g, write_all, &w));
    expect_ok(nd_fiber_sleep(10 * ND_SECOND));
    assert_false(w.ended);
    assert_in_range(w.done, 1, most);
    if (upwards) {
        assert_int_equal(read_all(reader), w.total);
    } else {
        char bytes[1000], expected[1000];

        for (size_t at = 0; at < w.total; at += sizeof(bytes)) {
            size_t n = ND_MIN(sizeof(bytes), w.total - at);

            expect_ok(nd_stream_read_full(reader, bytes, n));
            fill(expected, n, at);
            assert_memory_equal(bytes, expected, n);
        }
    }
    expect_ok(nd_group_wait(g));
    echo_tunnel_end(&t);
}

IN_LOOP(a_reader_that_waits_stops_the_writer)
{
    check_backpressure(true);
    check_backpressure(false);
    return NULL;
}

IN_LOOP(closing_the_clients_end_is_the_end_at_the_server)
{
    struct echo_tunnel t = {0};
    char byte;
    size_t n;

    expect_ok(echo_tunnel_begin(&t));
    expect_ok(nd_stream_write(t.at_client, ND_STR("x")));
    expect_ok(nd_stream_read(t.at_server, &byte, 1, &n));
    nd_stream_close(ND_TAKE(t.at_client));
    expect_ok(nd_stream_read(t.at_server, &byte, 1, &n));
    assert_int_equal(n, 0);
    nd_stream_close(ND_TAKE(t.at_server));
    fixture_until(&t.ended, 2);
    assert_int_equal(t.server_code, ND_OK);
    assert_int_equal(t.client_code, ND_OK);
    echo_tunnel_end(&t);
    return NULL;
}

IN_LOOP(a_server_that_does_not_end_the_call_is_left)
{
    struct echo_tunnel t = {0};
    struct nd_mono before = nd_loop_now();

    expect_ok(echo_tunnel_begin(&t));
    nd_stream_close(ND_TAKE(t.at_client));
    fixture_until(&t.ended, 2);
    assert_int_equal(t.client_code, ND_OK);
    assert_in_range(nd_loop_now().ns - before.ns, ND_GRPC_TUNNEL_LINGER_NS,
                    2 * ND_GRPC_TUNNEL_LINGER_NS);
    assert_int_equal(t.server_code, ND_CANCELLED);
    echo_tunnel_end(&t);
    return NULL;
}

/* Neither end reads; both are closed while their writers would wait. */
IN_LOOP(closing_does_not_wait_for_a_reader)
{
    struct echo_tunnel t = {0};

    expect_ok(echo_tunnel_begin(&t));
    for (int i = 0; i < 2; i++) {
        struct nd_stream *s = i == 0 ? t.at_client : t.at_server;
        ND_AUTO(nd_freep) char *bytes = nd_calloc(1, 4 * MEBIBYTE);
        ND_DEADLINE_IN(ND_SECOND);

        expect_code(nd_stream_write(s, nd_str_n(bytes, 4 * MEBIBYTE)), ND_DEADLINE);
    }
    nd_stream_close(ND_TAKE(t.at_server));
    nd_stream_close(ND_TAKE(t.at_client));
    fixture_until(&t.ended, 2);
    assert_int_equal(t.server_code, ND_OK);
    assert_int_equal(t.client_code, ND_OK);
    echo_tunnel_end(&t);
    return NULL;
}

IN_LOOP(the_status_of_the_call_is_the_streams_error)
{
    struct echo_tunnel t = {.server_refuses = true};
    char byte;
    size_t n;

    expect_ok(echo_tunnel_begin(&t));
    expect_ok(nd_stream_write(t.at_client, ND_STR("x")));
    expect_code(nd_stream_read(t.at_server, &byte, 1, &n), ND_OUT_OF_RANGE);
    expect_code(nd_stream_read(t.at_client, &byte, 1, &n), ND_OUT_OF_RANGE);
    expect_code(nd_stream_write(t.at_client, ND_STR("y")), ND_OUT_OF_RANGE);
    expect_code(nd_stream_write(t.at_server, ND_STR("y")), ND_OUT_OF_RANGE);
    assert_int_equal(t.server_code, ND_OUT_OF_RANGE);
    assert_int_equal(t.client_code, ND_OUT_OF_RANGE);
    echo_tunnel_end(&t);
    return NULL;
}

/* A writer that nobody answers learns why it cannot write, although it does not read. */
IN_LOOP(a_writer_learns_that_the_call_has_ended)
{
    struct echo_tunnel t = {.server_refuses = true};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("test", 0);
    char byte;
    size_t n;

    expect_ok(echo_tunnel_begin(&t));
    struct writer w = {.stream = t.at_client, .total = 64 * MEBIBYTE};
    expect_ok(nd_group_spawn(g, write_all, &w));
    expect_code(nd_stream_read(t.at_server, &byte, 1, &n), ND_OUT_OF_RANGE);
    expect_ok(nd_group_wait(g));
    assert_int_equal(w.code, ND_OUT_OF_RANGE);
    echo_tunnel_end(&t);
    return NULL;
}

/*
 * Who writes learns of the end early. What he has not read then is lost, and that is no orderly
 * end.
 */
IN_LOOP(an_end_with_unread_bytes_is_an_error)
{
    struct echo_tunnel t = {0};
    struct nd_error *err = NULL;
    char bytes[1000];
    size_t n = 1, total = 0;

    expect_ok(echo_tunnel_begin(&t));
    struct writer w = {.stream = t.at_server, .total = 300000};
    expect_ok(write_all(&w));
    expect_ok(nd_stream_read(t.at_client, bytes, sizeof(bytes), &n));
    expect_ok(nd_fiber_sleep(ND_SECOND));
    nd_stream_close(ND_TAKE(t.at_server));
    expect_ok(nd_fiber_sleep(ND_SECOND));
    expect_code(nd_stream_write(t.at_client, ND_STR("more")), ND_UNAVAILABLE);
    expect_ok(nd_fiber_sleep(ND_SECOND));
    for (total = n; err == NULL && n != 0; total += n)
        err = nd_stream_read(t.at_client, bytes, sizeof(bytes), &n);
    assert_true(total < w.total);
    expect_code(err, ND_UNAVAILABLE);
    echo_tunnel_end(&t);
    return NULL;
}

IN_LOOP(writing_after_the_shutdown_fails)
{
    struct echo_tunnel t = {0};

    expect_ok(echo_tunnel_begin(&t));
    expect_ok(nd_stream_shutdown(t.at_client));
    expect_code(nd_stream_write(t.at_client, ND_STR("x")), ND_INVALID);
    echo_tunnel_end(&t);
    return NULL;
}

IN_LOOP(a_cancelled_call_ends_both_ends)
{
    struct echo_tunnel t = {0};
    char byte;
    size_t n;

    expect_ok(echo_tunnel_begin(&t));
    nd_group_cancel(t.openers);
    expect_code(nd_stream_read(t.at_client, &byte, 1, &n), ND_CANCELLED);
    expect_code(nd_stream_read(t.at_server, &byte, 1, &n), ND_CANCELLED);
    fixture_until(&t.ended, 2);
    assert_int_equal(t.server_code, ND_CANCELLED);
    assert_int_equal(t.client_code, ND_CANCELLED);
    echo_tunnel_end(&t);
    return NULL;
}

IN_LOOP(a_stream_outlives_its_tunnel)
{
    struct echo_tunnel t = {0};
    struct nd_stream *left[2];
    char byte;
    size_t n;

    expect_ok(echo_tunnel_begin(&t));
    left[0] = ND_TAKE(t.at_client);
    left[1] = ND_TAKE(t.at_server);
    nd_group_cancel(t.openers);
    echo_tunnel_end(&t);
    for (int i = 0; i < 2; i++) {
        expect_code(nd_stream_write(left[i], ND_STR("x")), ND_UNAVAILABLE);
        expect_code(nd_stream_read(left[i], &byte, 1, &n), ND_CANCELLED);
        nd_stream_close(left[i]);
    }
    return NULL;
}

/* --- anything at any time --- */

#define N_SEEDS 400u

struct actor {
    struct nd_stream **stream;
    uint64_t seed;
    size_t written, read;
};

static unsigned
draw(uint64_t *seed, unsigned below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*seed >> 33) % below;
}

/*
 * One end writes, reads, waits, shuts down and goes, as it is drawn. What it reads is what was
 * written.
 */
static struct nd_error *
act(void *arg)
{
    struct actor *a = arg;
    char bytes[3000], expected[3000];
    struct nd_error *err = NULL;
    unsigned what = 0;

    while (err == NULL && what != 11) {
        ND_DEADLINE_IN((1 + draw(&a->seed, 20)) * ND_MILLISECOND);
        size_t n = 1 + draw(&a->seed, sizeof(bytes));

        what = draw(&a->seed, 12);
        if (what < 5) {
            fill(bytes, n, a->written);
            err = nd_stream_write(*a->stream, nd_str_n(bytes, n));
            a->written += n; /* or some of it: nothing is written after a failure */
        } else if (what < 9) {
            err = nd_stream_read(*a->stream, bytes, n, &n);
            n = err == NULL ? n : 0;
            fill(expected, n, a->read);
            assert_memory_equal(bytes, expected, n);
            a->read += n;
        } else if (what == 9) {
            err = nd_fiber_yield();
        } else if (what == 10 && draw(&a->seed, 4) == 0) {
            err = nd_stream_shutdown(*a->stream);
        }
    }
    nd_error_free(err);
    if (draw(&a->seed, 2) == 0)
        nd_stream_close(ND_TAKE(*a->stream));
    return NULL;
}

static void
play(uint64_t seed)
{
    static const size_t capacities[] = {1, 13, 1000, 65536};
    struct echo_tunnel t = {.capacity = capacities[draw(&seed, ND_LEN(capacities))],
                            .server_refuses = draw(&seed, 10) == 0};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("actors", 0);
    struct actor client = {.stream = &t.at_client, .seed = seed};
    struct actor server = {.stream = &t.at_server, .seed = ~seed};
    unsigned death = draw(&seed, 6);

    expect_ok(echo_tunnel_begin(&t));
    expect_ok(nd_group_spawn(g, act, &client));
    expect_ok(nd_group_spawn(g, act, &server));
    expect_ok(nd_fiber_sleep(draw(&seed, 30) * ND_MILLISECOND));
    if (death == 0)
        nd_group_cancel(t.openers);
    else if (death == 1)
        nd_channel_free(ND_TAKE(t.channel));
    else if (death == 2)
        nd_server_stop(t.server, 0);
    expect_ok(nd_group_wait(g));
    assert_true(client.read <= server.written && server.read <= client.written);
    echo_tunnel_end(&t);
    assert_int_equal(t.ended, 2);
}

IN_LOOP(whatever_happens_nothing_is_left)
{
    size_t n_fibers = nd_loop_n_fibers();

    for (unsigned seed = 1; seed <= N_SEEDS; seed++) {
        play(seed);
        assert_int_equal(nd_loop_n_fibers(), n_fibers);
    }
    return NULL;
}

/* --- a server and a client above it --- */

/*
 * Who serves inside: the party that opened the outer call (as with BuildKit), or the one that
 * serves it.
 */
enum role { OPENER_SERVES, OPENER_CALLS };

struct inner {
    struct echo_tunnel outer;
    enum role role;
    struct fixture *f;
    struct nd_stream *ours;
};

static struct nd_error *
dial_inner(void *arg, struct nd_stream **ret)
{
    struct inner *i = arg;
    struct nd_stream **served =
        i->role == OPENER_SERVES ? &i->outer.at_client : &i->outer.at_server;
    struct nd_stream **called =
        i->role == OPENER_SERVES ? &i->outer.at_server : &i->outer.at_client;

    ND_TRY(nd_tunnel_dial(called, ret));
    nd_server_adopt(i->f->server, ND_TAKE(*served), NULL);
    return NULL;
}

static void
inner_begin(struct inner *i)
{
    const struct fixture_options options = {
        .server = {.max_message_bytes = 16 * MEBIBYTE},
        .channel = {.max_message_bytes = 16 * MEBIBYTE,
                    .authority = "localhost",
                    .dial = dial_inner,
                    .dial_arg = i},
    };

    i->f = fixture_begin(&options);
    expect_ok(echo_tunnel_begin(&i->outer));
}

static void
inner_end(struct inner *i)
{
    nd_channel_free(ND_TAKE(i->f->channel));
    fixture_until(&i->outer.ended, 2);
    echo_tunnel_end(&i->outer);
    fixture_end(i->f);
}

static void
check_shapes(struct fixture *f)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    expect_ok(fixture_echo(f, 1000));
    expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_BIDI, NULL, &call));
    for (int i = 0; i < 10; i++) {
        req.text = (char *)"ping";
        expect_ok(nd_client_call_send(call, &req));
        expect_ok(nd_client_call_recv(call, f->arena, &rsp));
        assert_string_equal(rsp->text, "ping");
    }
    expect_ok(nd_client_call_finish_sending(call));
    expect_ok(nd_client_call_recv(call, f->arena, &rsp));
    assert_null(rsp);
}

IN_LOOP(calls_pass_in_both_roles)
{
    static const size_t capacities[] = {1, 64, 65536};

    for (size_t c = 0; c < ND_LEN(capacities); c++) {
        for (enum role role = OPENER_SERVES; role <= OPENER_CALLS; role++) {
            struct inner i = {.outer.capacity = capacities[c], .role = role};

            inner_begin(&i);
            check_shapes(i.f);
            inner_end(&i);
            assert_int_equal(i.outer.server_code, ND_OK);
            assert_int_equal(i.outer.client_code, ND_OK);
        }
    }
    return NULL;
}

IN_LOOP(ten_mebibytes_pass_in_both_roles)
{
    for (enum role role = OPENER_SERVES; role <= OPENER_CALLS; role++) {
        struct inner i = {.role = role};

        inner_begin(&i);
        expect_ok(fixture_echo(i.f, 10 * MEBIBYTE));
        inner_end(&i);
    }
    return NULL;
}

static struct nd_error *
slow_call(void *arg)
{
    struct fixture *f = arg;
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    req.delay_ms = 60 * 60 * 1000;
    return nd_channel_unary(f->channel, ECHO_ECHO_SERVICE_UNARY, NULL, &req, f->arena, &rsp);
}

static struct nd_error *
slow_call_with_deadline(void *arg)
{
    ND_DEADLINE_IN(ND_SECOND);

    return slow_call(arg);
}

IN_LOOP(a_deadline_inside_ends_its_call_alone)
{
    struct inner i = {.role = OPENER_SERVES};

    inner_begin(&i);
    expect_code(slow_call_with_deadline(i.f), ND_DEADLINE);
    fixture_until(&i.f->echo.ended, 1);
    assert_int_equal(i.f->echo.late + i.f->echo.cancelled, 1);
    check_shapes(i.f);
    inner_end(&i);
    return NULL;
}

IN_LOOP(a_cancelled_call_inside_ends_alone)
{
    struct inner i = {.role = OPENER_SERVES};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin_independent("test", 0);

    inner_begin(&i);
    expect_ok(nd_group_spawn(g, slow_call, i.f));
    fixture_until(&i.f->echo.started, 1);
    nd_group_cancel(g);
    fixture_until(&i.f->echo.cancelled, 1);
    check_shapes(i.f);
    inner_end(&i);
    return NULL;
}

struct slow {
    struct fixture *f;
    enum nd_code code;
};

static struct nd_error *
note_slow_call(void *arg)
{
    struct slow *s = arg;
    struct nd_error *err = slow_call(s->f);

    s->code = nd_error_code(err);
    nd_error_free(err);
    return NULL;
}

enum death { CANCELLED, DEADLINE, CUT };

/* The call around dies: what is inside ends, on both sides, and later calls fail. */
static void
check_death(enum role role, enum death death)
{
    struct inner i = {.role = role};
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("test", 0);
    struct slow slow;

    if (death == DEADLINE)
        i.outer.timeout_ns = 10 * ND_SECOND;
    inner_begin(&i);
    slow = (struct slow){.f = i.f};
    expect_ok(nd_group_spawn(g, note_slow_call, &slow));
    fixture_until(&i.f->echo.started, 1);
    if (death == CANCELLED)
        nd_group_cancel(i.outer.openers);
    if (death == CUT)
        nd_channel_free(ND_TAKE(i.outer.channel));
    expect_ok(nd_group_wait(g));
    assert_int_equal(slow.code, ND_UNAVAILABLE);
    fixture_until(&i.f->echo.ended, 1);
    assert_int_equal(i.f->echo.cancelled, 1); /* not late: the deadline around is not the call's */
    expect_code(fixture_echo(i.f, 1), ND_UNAVAILABLE);
    inner_end(&i);
    assert_int_not_equal(i.outer.server_code, ND_OK);
    assert_int_not_equal(i.outer.client_code, ND_OK);
}

IN_LOOP(what_is_inside_dies_with_the_call_around)
{
    for (enum role role = OPENER_SERVES; role <= OPENER_CALLS; role++) {
        for (enum death death = CANCELLED; death <= CUT; death++)
            check_death(role, death);
    }
    return NULL;
}

/* A stream inside that nobody reads: its producer waits, other calls go on. */
IN_LOOP(windows_inside_and_outside_are_chained)
{
    struct inner i = {.role = OPENER_SERVES};
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    inner_begin(&i);
    req.reply_size = 60000;
    req.repeat = 100;
    expect_ok(nd_client_call_begin(i.f->channel, ECHO_ECHO_SERVICE_SERVER_STREAM, NULL, &call));
    expect_ok(nd_client_call_send(call, &req));
    expect_ok(nd_client_call_finish_sending(call));
    expect_ok(nd_fiber_sleep(ND_SECOND));
    assert_int_equal(i.f->echo.ended, 0);
    expect_ok(fixture_echo(i.f, 1000));
    for (unsigned n = 1; n <= req.repeat; n++) {
        nd_arena_reset(i.f->arena);
        expect_ok(nd_client_call_recv(call, i.f->arena, &rsp));
        assert_int_equal(rsp->count, n);
        assert_int_equal(rsp->payload.len, req.reply_size);
    }
    expect_ok(nd_client_call_recv(call, i.f->arena, &rsp));
    assert_null(rsp);
    nd_client_call_end(ND_TAKE(call));
    inner_end(&i);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_both_ways_and_half_closes_end_them),
        cmocka_unit_test(a_reader_that_waits_stops_the_writer),
        cmocka_unit_test(closing_the_clients_end_is_the_end_at_the_server),
        cmocka_unit_test(a_server_that_does_not_end_the_call_is_left),
        cmocka_unit_test(closing_does_not_wait_for_a_reader),
        cmocka_unit_test(the_status_of_the_call_is_the_streams_error),
        cmocka_unit_test(a_writer_learns_that_the_call_has_ended),
        cmocka_unit_test(an_end_with_unread_bytes_is_an_error),
        cmocka_unit_test(writing_after_the_shutdown_fails),
        cmocka_unit_test(a_cancelled_call_ends_both_ends),
        cmocka_unit_test(a_stream_outlives_its_tunnel),
        cmocka_unit_test(whatever_happens_nothing_is_left),
        cmocka_unit_test(calls_pass_in_both_roles),
        cmocka_unit_test(ten_mebibytes_pass_in_both_roles),
        cmocka_unit_test(a_deadline_inside_ends_its_call_alone),
        cmocka_unit_test(a_cancelled_call_inside_ends_alone),
        cmocka_unit_test(what_is_inside_dies_with_the_call_around),
        cmocka_unit_test(windows_inside_and_outside_are_chained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
