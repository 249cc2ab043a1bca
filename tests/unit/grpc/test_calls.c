/* The four shapes of a call, over streams that cut the bytes in every possible way. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fixture.h"

static void
send_text(struct nd_client_call *call, const char *text)
{
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;

    req.text = (char *)text;
    expect_ok(nd_client_call_send(call, &req));
}

static void
unary_call(struct fixture *f)
{
    for (size_t size = 0; size < 40; size += 13)
        expect_ok(fixture_echo(f, size));
}

static void
server_stream(struct fixture *f)
{
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    req.repeat = 20;
    req.reply_size = 100;
    expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_SERVER_STREAM, NULL, &call));
    expect_ok(nd_client_call_send(call, &req));
    expect_ok(nd_client_call_finish_sending(call));
    for (unsigned i = 1; i <= 20; i++) {
        nd_arena_reset(f->arena);
        expect_ok(nd_client_call_recv(call, f->arena, &rsp));
        assert_non_null(rsp);
        assert_int_equal(rsp->count, i);
        assert_int_equal(rsp->payload.len, 100);
    }
    expect_ok(nd_client_call_recv(call, f->arena, &rsp));
    assert_null(rsp);
}

static void
client_stream(struct fixture *f)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    req.payload.data = (uint8_t *)"0123456789";
    req.payload.len = 10;
    expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_CLIENT_STREAM, NULL, &call));
    for (int i = 0; i < 30; i++)
        expect_ok(nd_client_call_send(call, &req));
    expect_ok(nd_client_call_finish_sending(call));
    expect_ok(nd_client_call_recv(call, f->arena, &rsp));
    assert_int_equal(rsp->count, 30);
    assert_int_equal(rsp->bytes, 300);
    expect_ok(nd_client_call_recv(call, f->arena, &rsp));
    assert_null(rsp);
}

static void
bidi(struct fixture *f)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Echo__EchoReply *rsp;

    expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_BIDI, NULL, &call));
    for (int i = 0; i < 10; i++) {
        send_text(call, i % 2 == 0 ? "ping" : "pong");
        expect_ok(nd_client_call_recv(call, f->arena, &rsp));
        assert_string_equal(rsp->text, i % 2 == 0 ? "ping" : "pong");
    }
    expect_ok(nd_client_call_finish_sending(call));
    expect_ok(nd_client_call_recv(call, f->arena, &rsp));
    assert_null(rsp);
}

static void
all_shapes(const struct fixture_options *options)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(options);

    unary_call(f);
    server_stream(f);
    client_stream(f);
    bidi(f);
}

IN_LOOP(all_shapes_work_byte_by_byte)
{
    all_shapes(&(struct fixture_options){.capacity = CAPACITY_LEAST});
    return NULL;
}

IN_LOOP(all_shapes_work_in_large_pieces)
{
    all_shapes(&(struct fixture_options){.capacity = CAPACITY_LARGE});
    return NULL;
}

IN_REAL_LOOP(all_shapes_work_over_a_unix_socket)
{
    char path[] = "/tmp/nd-grpc-XXXXXX";
    char socket[64];

    assert_non_null(mkdtemp(path));
    snprintf(socket, sizeof(socket), "%s/s", path);
    all_shapes(&(struct fixture_options){.socket = socket});
    assert_int_not_equal(access(socket, F_OK), 0);
    assert_int_equal(rmdir(path), 0);
    return NULL;
}

static struct nd_client_call *
begin_stream(struct fixture *f, const char *text, uint32_t repeat, uint32_t size)
{
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    struct nd_client_call *call;

    req.text = (char *)text;
    req.repeat = repeat;
    req.reply_size = size;
    expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_SERVER_STREAM, NULL, &call));
    expect_ok(nd_client_call_send(call, &req));
    expect_ok(nd_client_call_finish_sending(call));
    return call;
}

IN_LOOP(flush_waits_for_the_last_byte_to_leave)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    ND_AUTO(nd_client_call_endp)
    struct nd_client_call *call = begin_stream(f, "flush", 1, 2u << 20);
    Echo__EchoReply *rsp;

    expect_ok(nd_fiber_sleep(10 * ND_SECOND));
    assert_int_equal(f->echo.flushed, 0);
    expect_ok(nd_client_call_recv(call, f->arena, &rsp));
    fixture_until(&f->echo.flushed, 1);
    return NULL;
}

/* --- a link that is slower than what goes over it --- */

struct slow_link {
    struct fixture *f;
    struct nd_stream *near, *far; /* the client's end of it, and the server's */
};

/* A small piece each millisecond. */
static struct nd_error *
carry(struct nd_stream *from, struct nd_stream *to)
{
    char piece[1024];
    size_t n;

    do {
        ND_TRY(nd_stream_read(from, piece, sizeof(piece), &n));
        ND_TRY(nd_stream_write(to, nd_str_n(piece, n)));
        ND_TRY(nd_fiber_sleep(ND_MILLISECOND));
    } while (n != 0);
    return nd_stream_shutdown(to);
}

/* Until one end is closed. */
static struct nd_error *
carry_there(void *arg)
{
    const struct slow_link *link = arg;

    nd_error_free(carry(link->near, link->far));
    return NULL;
}

static struct nd_error *
carry_back(void *arg)
{
    const struct slow_link *link = arg;

    nd_error_free(carry(link->far, link->near));
    return NULL;
}

static struct nd_error *
dial_slowly(void *arg, struct nd_stream **ret)
{
    struct slow_link *link = arg;
    struct nd_stream *theirs;

    nd_stream_pair(CAPACITY_LARGE, ret, &link->near);
    nd_stream_pair(CAPACITY_LARGE, &link->far, &theirs);
    nd_server_adopt(link->f->server, theirs, NULL);
    ND_TRY(nd_group_spawn(link->f->group, carry_there, link));
    return nd_group_spawn(link->f->group, carry_back, link);
}

static struct nd_error *
read_to_the_end(void *call)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Echo__EchoReply *rsp;

    do {
        nd_arena_reset(arena);
        ND_TRY(nd_client_call_recv(call, arena, &rsp));
    } while (rsp != NULL);
    return NULL;
}

IN_LOOP(flush_does_not_wait_for_what_others_send_behind_it)
{
    struct slow_link link;
    struct fixture *f = fixture_begin(
        &(struct fixture_options){.channel = {.dial = dial_slowly, .dial_arg = &link}});
    struct nd_group *reader = nd_group_begin("reader", 0);
    struct nd_client_call *busy, *call;

    link.f = f;
    busy = begin_stream(f, "", 100, 32u << 10);
    expect_ok(nd_group_spawn(reader, read_to_the_end, busy));
    expect_ok(nd_fiber_sleep(ND_SECOND));
    call = begin_stream(f, "flush", 1, 100);
    expect_ok(read_to_the_end(call));
    assert_int_equal(f->echo.flushed, 1);
    assert_int_equal(nd_group_count(reader), 1);
    nd_client_call_end(call);
    expect_ok(nd_group_wait(reader));
    nd_group_end(reader);
    nd_client_call_end(busy);
    fixture_end(f);
    nd_stream_close(link.near);
    nd_stream_close(link.far);
    return NULL;
}

IN_LOOP(flush_ends_with_its_client)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    struct nd_client_call *call = begin_stream(f, "flush", 1, 2u << 20);

    fixture_until(&f->echo.started, 1);
    nd_client_call_end(call);
    fixture_until(&f->echo.cancelled, 1);
    assert_int_equal(f->echo.flushed, 0);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_shapes_work_byte_by_byte),
        cmocka_unit_test(all_shapes_work_in_large_pieces),
        cmocka_unit_test(all_shapes_work_over_a_unix_socket),
        cmocka_unit_test(flush_waits_for_the_last_byte_to_leave),
        cmocka_unit_test(flush_does_not_wait_for_what_others_send_behind_it),
        cmocka_unit_test(flush_ends_with_its_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
