/* What the server keeps for its clients, after it has taken their bytes, has limits. */

#include "fixture.h"

#define SIZE 1000000u /* which a buffer of 1 MiB holds */

static uint8_t bytes[SIZE];

/* Send a whole unary request; the handler takes `delay_ms`. */
static struct nd_client_call *
begin_call(struct fixture *f, const Echo__EchoRequest *req)
{
    struct nd_client_call *call;

    expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_UNARY, NULL, &call));
    expect_ok(nd_client_call_send(call, req));
    expect_ok(nd_client_call_finish_sending(call));
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    return call;
}

static struct nd_client_call *
begin_work(struct fixture *f, size_t size)
{
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;

    req.payload.data = bytes;
    req.payload.len = size;
    req.delay_ms = 1000;
    return begin_call(f, &req);
}

static struct nd_client_call *
begin_answer(struct fixture *f, uint32_t size)
{
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;

    req.reply_size = size;
    return begin_call(f, &req);
}

IN_LOOP(requests_in_work_of_a_connection_have_a_limit)
{
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.server = {.max_held_bytes = 2500000}});
    ND_AUTO(nd_client_call_endp) struct nd_client_call *first = begin_work(f, SIZE);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *second = begin_work(f, SIZE);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *third = begin_work(f, SIZE);
    Echo__EchoReply *rsp;

    expect_code(nd_client_call_recv(third, f->arena, &rsp), ND_EXHAUSTED);
    expect_ok(nd_client_call_recv(first, f->arena, &rsp));
    nd_client_call_end(ND_TAKE(second));
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    expect_ok(fixture_echo(f, SIZE));
    return NULL;
}

IN_LOOP(requests_in_work_of_all_have_a_limit_that_spares_small_ones)
{
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.server = {.max_held_bytes_all = 1060000}});
    ND_AUTO(nd_client_call_endp) struct nd_client_call *first = begin_work(f, SIZE);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *small = begin_work(f, 30000);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *second = begin_work(f, SIZE / 4);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *third = begin_answer(f, SIZE / 4);
    Echo__EchoReply *rsp;

    expect_code(nd_client_call_recv(second, f->arena, &rsp), ND_EXHAUSTED);
    expect_code(nd_client_call_recv(third, f->arena, &rsp), ND_EXHAUSTED);
    expect_ok(fixture_echo(f, 30000));
    expect_ok(nd_client_call_recv(small, f->arena, &rsp));
    expect_ok(nd_client_call_recv(first, f->arena, &rsp));
    expect_ok(fixture_echo(f, SIZE / 4));
    return NULL;
}

/* A stream's message counts until the handler asks for the next one. */
IN_LOOP(a_stream_counts_with_the_message_in_hand)
{
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.server = {.max_held_bytes = 3 * SIZE}});
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    req.payload.data = bytes;
    req.payload.len = SIZE;
    expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_CLIENT_STREAM, NULL, &call));
    for (int i = 0; i < 20; i++)
        expect_ok(nd_client_call_send(call, &req));
    expect_ok(nd_client_call_finish_sending(call));
    expect_ok(nd_client_call_recv(call, f->arena, &rsp));
    assert_int_equal(rsp->bytes, 20 * SIZE);
    return NULL;
}

/* The window of a call takes one megabyte of its answer, the rest stays with the server. */
IN_LOOP(answers_that_nobody_reads_have_a_limit)
{
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.server = {.max_held_bytes = 10000000}});
    ND_AUTO(nd_client_call_endp) struct nd_client_call *first = begin_answer(f, 3500000);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *second = begin_answer(f, 3500000);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *third = begin_answer(f, 10);
    Echo__EchoReply *rsp;

    expect_code(nd_client_call_recv(third, f->arena, &rsp), ND_EXHAUSTED);
    expect_ok(nd_client_call_recv(first, f->arena, &rsp));
    assert_int_equal(rsp->payload.len, 3500000);
    nd_client_call_end(ND_TAKE(second));
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    expect_ok(fixture_echo(f, SIZE));
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_in_work_of_a_connection_have_a_limit),
        cmocka_unit_test(requests_in_work_of_all_have_a_limit_that_spares_small_ones),
        cmocka_unit_test(a_stream_counts_with_the_message_in_hand),
        cmocka_unit_test(answers_that_nobody_reads_have_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
