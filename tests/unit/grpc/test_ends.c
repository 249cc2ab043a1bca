/* How calls end: statuses, deadlines, cancelling from either side. */

#include "fixture.h"

static struct nd_error *
call_unary(struct fixture *f, Echo__EchoRequest *req)
{
    Echo__EchoReply *rsp;

    return nd_channel_unary(f->channel, ECHO_ECHO_SERVICE_UNARY, NULL, req, f->arena, &rsp);
}

IN_LOOP(every_status_arrives_with_its_message)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});

    for (int code = 1; code <= ND_CODE_MAX; code++) {
        Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
        struct nd_error *err;

        req.code = code;
        req.message = (char *)"caf\xc3\xa9: 100%\n ";
        err = call_unary(f, &req);
        assert_string_equal(nd_error_message(err), req.message);
        expect_code(err, (enum nd_code)code);
    }
    return NULL;
}

static struct nd_error *
keep_details(struct nd_error *err, struct nd_str details)
{
    ND_AUTO(nd_freep) char *hex = nd_new_array(details.len * 2 + 1, char);

    nd_hex(hex, details.ptr, details.len);
    return nd_error_meta(err, "details", hex);
}

IN_LOOP(details_go_with_the_status)
{
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(&(struct fixture_options){
        .server = {.encode_details = echo_encode_details},
        .channel = {.decode_details = keep_details},
    });
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;

    req.code = ND_NOT_FOUND;
    req.message = (char *)"no";
    err = call_unary(f, &req);
    assert_int_equal(nd_error_n_meta(err), 1);
    assert_string_equal(nd_error_meta_value(err, 0), "080512026e6f");
    return NULL;
}

IN_LOOP(the_deadline_ends_a_call_on_both_sides)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;

    req.delay_ms = 3600 * 1000;
    {
        ND_DEADLINE_IN(50 * ND_MILLISECOND);
        expect_code(call_unary(f, &req), ND_DEADLINE);
    }
    fixture_until(&f->echo.ended, 1);
    assert_int_equal(f->echo.late + f->echo.cancelled, 1);
    expect_ok(fixture_echo(f, 5));
    return NULL;
}

IN_LOOP(a_call_whose_deadline_has_passed_is_not_sent)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    ND_DEADLINE_IN(0);

    expect_code(call_unary(f, &req), ND_DEADLINE);
    assert_int_equal(f->dials, 0);
    return NULL;
}

/* Begin a call that tells the server a deadline, which this side then does not watch. */
static struct nd_client_call *
begin_with_timeout(struct fixture *f, const struct nd_method_desc *method, int64_t in_ns)
{
    struct nd_client_call *call = NULL;
    ND_DEADLINE_IN(in_ns);

    expect_ok(nd_client_call_begin(f->channel, method, NULL, &call));
    return call;
}

IN_LOOP(the_server_answers_when_the_deadline_passes_in_the_handler)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    ND_AUTO(nd_client_call_endp)
    struct nd_client_call *call =
        begin_with_timeout(f, ECHO_ECHO_SERVICE_BIDI, 20 * ND_MILLISECOND);
    Echo__EchoReply *rsp;

    expect_code(nd_client_call_recv(call, f->arena, &rsp), ND_DEADLINE);
    assert_int_equal(f->echo.late, 1);
    return NULL;
}

IN_LOOP(the_server_answers_when_the_deadline_passes_before_the_request_is_complete)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    ND_AUTO(nd_client_call_endp)
    struct nd_client_call *call =
        begin_with_timeout(f, ECHO_ECHO_SERVICE_UNARY, 20 * ND_MILLISECOND);
    Echo__EchoReply *rsp;

    expect_code(nd_client_call_recv(call, f->arena, &rsp), ND_DEADLINE);
    assert_int_equal(f->echo.started, 0);
    return NULL;
}

IN_LOOP(the_default_timeout_is_for_unary_calls_without_a_deadline)
{
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(
        &(struct fixture_options){.server = {.default_timeout_ns = 30 * ND_MILLISECOND}});
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;

    req.delay_ms = 60000;
    expect_code(call_unary(f, &req), ND_DEADLINE);
    assert_int_equal(f->echo.late, 1);
    return NULL;
}

/* --- cancelling --- */

struct job {
    struct fixture *f;
    const struct nd_method_desc *method;
    struct nd_error *err;
    unsigned done;
};

/* Send until it blocks for good, then receive. */
static struct nd_error *
use_stream(void *arg)
{
    struct job *job = arg;
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    req.delay_ms = 1000 * 1000;
    req.repeat = 2;
    job->err = nd_client_call_begin(job->f->channel, job->method, NULL, &call);
    if (job->err == NULL)
        job->err = nd_client_call_send(call, &req);
    if (job->err == NULL)
        job->err = nd_client_call_finish_sending(call);
    if (job->err == NULL)
        job->err = nd_client_call_recv(call, job->f->arena, &rsp);
    job->done = 1;
    return NULL;
}

static void
cancel_after(struct fixture *f, const struct nd_method_desc *method, int64_t delay_ns)
{
    struct job job = {.f = f, .method = method};
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);

    expect_ok(nd_group_spawn(group, use_stream, &job));
    expect_ok(nd_fiber_sleep(delay_ns));
    nd_group_cancel(group);
    fixture_until(&job.done, 1);
    expect_code(job.err, ND_CANCELLED);
}

IN_LOOP(cancelling_the_client_cancels_the_handler)
{
    static const struct nd_method_desc *methods[4];
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});

    methods[0] = ECHO_ECHO_SERVICE_UNARY;
    methods[1] = ECHO_ECHO_SERVICE_SERVER_STREAM;
    methods[2] = ECHO_ECHO_SERVICE_CLIENT_STREAM;
    methods[3] = ECHO_ECHO_SERVICE_BIDI;
    for (size_t i = 0; i < ND_LEN(methods); i++) {
        cancel_after(f, methods[i], 10 * ND_MILLISECOND);
        fixture_until(&f->echo.ended, (unsigned)i + 1);
        assert_int_equal(f->echo.cancelled, i + 1);
    }
    expect_ok(fixture_echo(f, 1));
    return NULL;
}

IN_LOOP(cancelling_before_the_call_has_left_is_clean)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});

    for (int64_t ns = 0; ns < 5; ns++)
        cancel_after(f, ECHO_ECHO_SERVICE_BIDI, ns);
    expect_ok(fixture_echo(f, 1));
    return NULL;
}

/* A fiber that writes to a stream which nobody reads. */
static struct nd_error *
send_for_ever(void *arg)
{
    struct job *job = arg;
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    static uint8_t bytes[30000];
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;

    req.payload.data = bytes;
    req.payload.len = sizeof(bytes);
    req.delay_ms = 1000 * 1000;
    job->err = nd_client_call_begin(job->f->channel, job->method, NULL, &call);
    while (job->err == NULL)
        job->err = nd_client_call_send(call, &req);
    job->done = 1;
    return NULL;
}

IN_LOOP(a_writer_that_waits_for_the_window_can_be_cancelled)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    struct job job = {.f = f, .method = ECHO_ECHO_SERVICE_CLIENT_STREAM};
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("writer", 0);

    expect_ok(nd_group_spawn(group, send_for_ever, &job));
    expect_ok(nd_fiber_sleep(ND_SECOND));
    assert_int_equal(job.done, 0);
    nd_group_cancel(group);
    fixture_until(&job.done, 1);
    expect_code(job.err, ND_CANCELLED);
    fixture_until(&f->echo.ended, 1);
    return NULL;
}

IN_LOOP(a_writer_learns_that_the_server_has_finished)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    req.code = ND_PRECONDITION;
    expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_BIDI, NULL, &call));
    expect_ok(nd_client_call_send(call, &req));
    expect_code(nd_client_call_recv(call, f->arena, &rsp), ND_PRECONDITION);
    expect_code(nd_client_call_send(call, &req), ND_ABORTED);
    expect_code(nd_client_call_finish_sending(call), ND_ABORTED);
    expect_code(nd_client_call_recv(call, f->arena, &rsp), ND_PRECONDITION);
    return NULL;
}

IN_LOOP(two_messages_for_a_unary_method_are_refused)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_UNARY, NULL, &call));
    expect_ok(nd_client_call_send(call, &req));
    expect_ok(nd_client_call_send(call, &req));
    expect_code(nd_client_call_recv(call, f->arena, &rsp), ND_INTERNAL);
    assert_int_equal(f->echo.started, 0);
    return NULL;
}

IN_LOOP(no_message_for_a_unary_method_is_refused)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Echo__EchoReply *rsp;

    expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_UNARY, NULL, &call));
    expect_ok(nd_client_call_finish_sending(call));
    expect_code(nd_client_call_recv(call, f->arena, &rsp), ND_INTERNAL);
    assert_int_equal(f->echo.started, 0);
    return NULL;
}

IN_LOOP(a_method_that_is_not_offered_is_unimplemented)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    struct nd_method_desc method = *ECHO_ECHO_SERVICE_UNARY;
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    method.path = "/nd.test.v1.EchoService/Nope";
    expect_code(nd_channel_unary(f->channel, &method, NULL, &req, f->arena, &rsp),
                ND_UNIMPLEMENTED);
    method.path = "/nowhere";
    expect_code(nd_channel_unary(f->channel, &method, NULL, &req, f->arena, &rsp),
                ND_UNIMPLEMENTED);
    expect_ok(fixture_echo(f, 3));
    assert_int_equal(f->dials, 1);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_arrives_with_its_message),
        cmocka_unit_test(details_go_with_the_status),
        cmocka_unit_test(the_deadline_ends_a_call_on_both_sides),
        cmocka_unit_test(a_call_whose_deadline_has_passed_is_not_sent),
        cmocka_unit_test(the_server_answers_when_the_deadline_passes_in_the_handler),
        cmocka_unit_test(
            the_server_answers_when_the_deadline_passes_before_the_request_is_complete),
        cmocka_unit_test(the_default_timeout_is_for_unary_calls_without_a_deadline),
        cmocka_unit_test(cancelling_the_client_cancels_the_handler),
        cmocka_unit_test(cancelling_before_the_call_has_left_is_clean),
        cmocka_unit_test(a_writer_that_waits_for_the_window_can_be_cancelled),
        cmocka_unit_test(a_writer_learns_that_the_server_has_finished),
        cmocka_unit_test(two_messages_for_a_unary_method_are_refused),
        cmocka_unit_test(no_message_for_a_unary_method_is_refused),
        cmocka_unit_test(a_method_that_is_not_offered_is_unimplemented),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
