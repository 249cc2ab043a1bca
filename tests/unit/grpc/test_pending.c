/*
 * Requests on their way: nothing is taken of them before the interceptors let them pass, and what
 * is held of them has limits that one client cannot use up for the others.
 */

#include "fiber/sync.h"

#include "fixture.h"

#define UPLOAD 1000000u
#define WINDOW (256u << 10) /* of a stream */

static uint8_t bytes[UPLOAD];

/* --- clients on connections of their own --- */

static struct nd_error *
dial(void *arg, struct nd_stream **ret)
{
    struct fixture *f = arg;
    struct nd_stream *theirs;

    nd_stream_pair(CAPACITY_LARGE, ret, &theirs);
    nd_server_adopt(f->server, theirs, NULL);
    return NULL;
}

static struct nd_channel *
new_client(struct fixture *f)
{
    const struct nd_addr addr = {.kind = ND_PEER_UNIX, .path = "/pair"};

    return nd_channel_new(&addr, &(struct nd_channel_options){.dial = dial, .dial_arg = f});
}

/* A message without the end of its stream; the handler of a stream takes `delay_ms` for it. */
static struct nd_client_call *
begin(struct nd_channel *ch, const struct nd_method_desc *method, size_t size, uint32_t delay_ms)
{
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    struct nd_client_call *call;

    req.payload.data = bytes;
    req.payload.len = size;
    req.delay_ms = delay_ms;
    expect_ok(nd_client_call_begin(ch, method, NULL, &call));
    expect_ok(nd_client_call_send(call, &req));
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    return call;
}

static struct nd_client_call *
begin_upload(struct nd_channel *ch, size_t size)
{
    return begin(ch, ECHO_ECHO_SERVICE_UNARY, size, 0);
}

static void
expect_answer(struct fixture *f, struct nd_client_call *call, enum nd_code code)
{
    Echo__EchoReply *rsp;

    if (code == ND_OK)
        expect_ok(nd_client_call_finish_sending(call));
    expect_code(nd_client_call_recv(call, f->arena, &rsp), code);
}

static size_t
pending(const struct fixture *f)
{
    struct nd_server_stats stats;

    nd_server_get_stats(f->server, &stats);
    return stats.pending_bytes;
}

/* --- before the interceptors have spoken --- */

struct gate {
    struct nd_cond opens;
    bool open;
    bool refuses;
    unsigned asked;
};

static struct nd_error *
pass_gate(void *arg, struct nd_call *call, const void *in, const struct nd_interceptor_chain *next)
{
    struct gate *gate = arg;

    (void)call;
    assert_null(in);
    gate->asked++;
    while (!gate->open)
        ND_TRY(nd_cond_wait(&gate->opens));
    if (gate->refuses)
        return nd_error_new(ND_UNAUTHENTICATED, "who are you?");
    return nd_interceptor_next(next);
}

static void
open_gate(struct gate *gate)
{
    gate->open = true;
    nd_cond_broadcast(&gate->opens);
}

IN_LOOP(who_is_refused_hears_it_before_sending_the_request)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    struct gate gate = {.open = true, .refuses = true};
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    nd_server_intercept(f->server, (struct nd_interceptor){.run = pass_gate, .arg = &gate});
    expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_UNARY, NULL, &call));
    expect_answer(f, call, ND_UNAUTHENTICATED);
    assert_int_equal(f->echo.started, 0);
    return NULL;
}

IN_LOOP(nothing_is_taken_of_a_request_before_it_has_passed)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    struct gate gate = {0};
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    nd_server_intercept(f->server, (struct nd_interceptor){.run = pass_gate, .arg = &gate});
    call = begin_upload(f->channel, UPLOAD);
    expect_ok(nd_fiber_sleep(ND_SECOND));
    assert_int_equal(pending(f), WINDOW);
    open_gate(&gate);
    expect_answer(f, call, ND_OK);
    assert_int_equal(pending(f), 0);
    return NULL;
}

IN_LOOP(a_deadline_passes_while_the_request_is_not_complete)
{
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.server = {.default_timeout_ns = ND_SECOND}});
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = begin_upload(f->channel, UPLOAD);

    expect_ok(nd_fiber_sleep(2 * ND_SECOND));
    assert_int_equal(pending(f), 0);
    expect_answer(f, call, ND_DEADLINE);
    assert_int_equal(f->echo.started, 0);
    return NULL;
}

/* --- who pays when there is too much --- */

IN_LOOP(who_holds_the_most_pays_for_who_comes)
{
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(
        &(struct fixture_options){.server = {.max_pending_bytes_all = UPLOAD + 1000}});
    ND_AUTO(nd_channel_freep) struct nd_channel *other = new_client(f);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *small = begin_upload(f->channel, 1000);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *large = begin_upload(f->channel, 900000);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *honest = begin_upload(other, 400000);

    expect_answer(f, large, ND_EXHAUSTED);
    expect_answer(f, honest, ND_OK);
    expect_answer(f, small, ND_OK);
    assert_int_equal(pending(f), 0);
    return NULL;
}

IN_LOOP(who_holds_little_never_pays)
{
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.server = {.max_pending_bytes_all = 200000}});
    ND_AUTO(nd_channel_freep) struct nd_channel *other = new_client(f);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *small = begin_upload(f->channel, 60000);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *large = begin_upload(other, 300000);

    expect_answer(f, large, ND_EXHAUSTED);
    expect_answer(f, small, ND_OK);
    return NULL;
}

/* However many they are: an equal share is left for who comes late. */
IN_LOOP(uploads_that_never_end_do_not_keep_others_out)
{
    enum { STRANGERS = 8, UPLOADS = 30 };
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.server = {.max_pending_bytes_all = 4 * UPLOAD}});
    struct nd_channel *strangers[STRANGERS];
    struct nd_client_call *calls[STRANGERS][UPLOADS];

    for (size_t i = 0; i < STRANGERS; i++) {
        strangers[i] = new_client(f);
        for (size_t k = 0; k < UPLOADS; k++)
            calls[i][k] = begin_upload(strangers[i], 100000);
        assert_in_range(pending(f), 0, 4 * UPLOAD);
    }
    assert_in_range(pending(f), 3 * UPLOAD, 4 * UPLOAD);
    for (int i = 0; i < 10; i++)
        expect_ok(fixture_echo(f, 240000));
    for (size_t i = 0; i < STRANGERS; i++) {
        for (size_t k = 0; k < UPLOADS; k++)
            nd_client_call_end(calls[i][k]);
        nd_channel_free(strangers[i]);
    }
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    assert_int_equal(pending(f), 0);
    return NULL;
}

/* --- streams --- */

IN_LOOP(messages_that_a_handler_does_not_read_count)
{
    enum { STREAMS = 6 };
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.server = {.max_pending_bytes = UPLOAD + 1000}});
    struct nd_client_call *calls[STREAMS];
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;

    req.payload.data = bytes;
    req.payload.len = 200000;
    for (size_t i = 0; i < STREAMS; i++) {
        calls[i] = begin(f->channel, ECHO_ECHO_SERVICE_CLIENT_STREAM, 10, 60 * 1000);
        expect_ok(nd_client_call_send(calls[i], &req));
        expect_ok(nd_fiber_sleep(ND_MILLISECOND));
        assert_in_range(pending(f), i < 5 ? 190000 * (i + 1) : 900000, UPLOAD + 1000);
    }
    expect_answer(f, calls[0], ND_OK);
    expect_answer(f, calls[STREAMS - 1], ND_EXHAUSTED);
    for (size_t i = 0; i < STREAMS; i++)
        nd_client_call_end(calls[i]);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_refused_hears_it_before_sending_the_request),
        cmocka_unit_test(nothing_is_taken_of_a_request_before_it_has_passed),
        cmocka_unit_test(a_deadline_passes_while_the_request_is_not_complete),
        cmocka_unit_test(who_holds_the_most_pays_for_who_comes),
        cmocka_unit_test(who_holds_little_never_pays),
        cmocka_unit_test(uploads_that_never_end_do_not_keep_others_out),
        cmocka_unit_test(messages_that_a_handler_does_not_read_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
