/* Connections that come, go, break, stop and are full. */

#include <malloc.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "raw.h"

struct job {
    struct fixture *f;
    bool wait_for_ready;
    uint32_t repeat, delay_ms;
    unsigned received;
    unsigned done;
    struct nd_error *err;
};

static struct nd_error *
read_stream(void *arg)
{
    struct job *job = arg;
    const struct nd_call_options options = {.wait_for_ready = job->wait_for_ready};
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp = NULL;

    req.repeat = job->repeat;
    req.delay_ms = job->delay_ms;
    req.reply_size = 1000;
    job->err =
        nd_client_call_begin(job->f->channel, ECHO_ECHO_SERVICE_SERVER_STREAM, &options, &call);
    if (job->err == NULL)
        job->err = nd_client_call_send(call, &req);
    if (job->err == NULL)
        job->err = nd_client_call_finish_sending(call);
    while (job->err == NULL) {
        nd_arena_reset(arena);
        job->err = nd_client_call_recv(call, arena, &rsp);
        if (job->err == NULL && rsp == NULL)
            break;
        job->received += job->err == NULL;
    }
    job->done = 1;
    return NULL;
}

static void
spawn_reader(struct nd_group *group, struct job *job)
{
    expect_ok(nd_group_spawn(group, read_stream, job));
}

/* --- stopping and starting --- */

IN_LOOP(a_stopping_server_lets_running_calls_end)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);
    struct job job = {.f = f, .repeat = 50, .delay_ms = 10};

    spawn_reader(group, &job);
    fixture_until(&job.received, 3);
    nd_server_stop(f->server, 60 * ND_SECOND);
    fixture_until(&job.done, 1);
    expect_ok(job.err);
    assert_int_equal(job.received, 50);
    return NULL;
}

IN_LOOP(a_stopping_server_takes_no_new_calls)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);
    struct job job = {.f = f, .repeat = 50, .delay_ms = 10};

    spawn_reader(group, &job);
    fixture_until(&job.received, 3);
    nd_server_stop(f->server, 60 * ND_SECOND);
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    expect_code(fixture_echo(f, 1), ND_UNAVAILABLE);
    fixture_until(&job.done, 1);
    expect_ok(job.err);
    return NULL;
}

IN_LOOP(handlers_are_cancelled_at_the_end_of_the_grace)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);
    struct job job = {.f = f, .repeat = 1000, .delay_ms = 1000};

    spawn_reader(group, &job);
    fixture_until(&job.received, 1);
    nd_server_stop(f->server, 2 * ND_SECOND);
    fixture_until(&job.done, 1);
    expect_code(job.err, ND_UNAVAILABLE);
    assert_int_equal(f->echo.cancelled, 1);
    return NULL;
}

IN_LOOP(a_second_stop_cancels_at_once)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);
    struct job job = {.f = f, .repeat = 1000, .delay_ms = 3600 * 1000};
    int64_t begun_ns;

    spawn_reader(group, &job);
    fixture_until(&f->echo.started, 1);
    begun_ns = nd_loop_now().ns;
    nd_server_stop(f->server, ND_HOUR);
    nd_server_stop(f->server, ND_HOUR);
    fixture_until(&job.done, 1);
    expect_code(job.err, ND_UNAVAILABLE);
    assert_true(nd_loop_now().ns - begun_ns < ND_MINUTE);
    return NULL;
}

IN_LOOP(the_channel_comes_back_after_a_restart_of_the_server)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});

    for (unsigned i = 1; i <= 5; i++) {
        expect_ok(fixture_echo(f, 10));
        assert_int_equal(f->dials, i);
        assert_int_equal(nd_channel_get_state(f->channel), ND_CHANNEL_READY);
        fixture_restart_server(f);
        assert_int_equal(nd_channel_get_state(f->channel), ND_CHANNEL_IDLE);
    }
    return NULL;
}

/* --- a server that is not there --- */

struct late {
    unsigned dials;
    unsigned until; /* dials before this one fail */
    struct fixture *f;
};

static struct nd_error *
dial_late(void *arg, struct nd_stream **ret)
{
    struct late *late = arg;
    struct nd_stream *theirs;

    if (++late->dials < late->until)
        return nd_error_new(ND_UNAVAILABLE, "refused");
    nd_stream_pair(CAPACITY_LARGE, ret, &theirs);
    nd_server_adopt(late->f->server, theirs, NULL);
    return NULL;
}

static struct fixture *
begin_late(struct late *late)
{
    late->f =
        fixture_begin(&(struct fixture_options){.channel = {.dial = dial_late, .dial_arg = late}});
    return late->f;
}

IN_LOOP(calls_fail_at_once_during_the_backoff)
{
    struct late late = {.until = 2};
    ND_AUTO(fixture_endp) struct fixture *f = begin_late(&late);
    struct nd_error *err = fixture_echo(f, 1);

    assert_non_null(strstr(nd_error_message(err), "unix:/pair"));
    assert_non_null(strstr(nd_error_message(err), "refused"));
    expect_code(err, ND_UNAVAILABLE);
    expect_code(fixture_echo(f, 1), ND_UNAVAILABLE);
    assert_int_equal(late.dials, 1);
    assert_int_equal(nd_channel_get_state(f->channel), ND_CHANNEL_FAILED);
    expect_ok(nd_fiber_sleep(ND_SECOND));
    expect_ok(fixture_echo(f, 1));
    assert_int_equal(late.dials, 2);
    return NULL;
}

IN_LOOP(connect_skips_the_backoff)
{
    struct late late = {.until = 3};
    ND_AUTO(fixture_endp) struct fixture *f = begin_late(&late);

    expect_code(nd_channel_connect(f->channel), ND_UNAVAILABLE);
    expect_code(nd_channel_connect(f->channel), ND_UNAVAILABLE);
    expect_ok(nd_channel_connect(f->channel));
    expect_ok(nd_channel_connect(f->channel));
    assert_int_equal(late.dials, 3);
    return NULL;
}

IN_LOOP(a_call_that_waits_for_ready_goes_through_the_backoff)
{
    struct late late = {.until = 6};
    ND_AUTO(fixture_endp) struct fixture *f = begin_late(&late);
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);
    struct job jobs[3];

    for (size_t i = 0; i < ND_LEN(jobs); i++) {
        jobs[i] = (struct job){.f = f, .repeat = 2, .wait_for_ready = true};
        spawn_reader(group, &jobs[i]);
    }
    for (size_t i = 0; i < ND_LEN(jobs); i++) {
        fixture_until(&jobs[i].done, 1);
        expect_ok(jobs[i].err);
    }
    assert_int_equal(late.dials, 6);
    return NULL;
}

IN_LOOP(waiting_for_ready_ends_with_the_deadline)
{
    struct late late = {.until = 1000};
    ND_AUTO(fixture_endp) struct fixture *f = begin_late(&late);
    struct job job = {.f = f, .wait_for_ready = true};
    ND_DEADLINE_IN(ND_SECOND);

    read_stream(&job);
    expect_code(job.err, ND_DEADLINE);
    return NULL;
}

/* --- a peer that says nothing --- */

static struct nd_error *
dial_silence(void *arg, struct nd_stream **ret)
{
    nd_stream_pair(CAPACITY_LARGE, ret, arg);
    return NULL;
}

IN_LOOP(a_server_without_settings_is_given_up)
{
    struct nd_stream *silent = NULL;
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(
        &(struct fixture_options){.channel = {.dial = dial_silence, .dial_arg = &silent}});

    expect_code(fixture_echo(f, 1), ND_UNAVAILABLE);
    nd_stream_close(silent);
    return NULL;
}

IN_LOOP(the_next_caller_takes_over_when_the_connecting_one_is_cancelled)
{
    struct nd_stream *silent = NULL;
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(
        &(struct fixture_options){.channel = {.dial = dial_silence, .dial_arg = &silent}});
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);
    struct job job = {.f = f};

    {
        ND_DEADLINE_IN(10 * ND_MILLISECOND);
        expect_code(fixture_echo(f, 1), ND_DEADLINE);
    }
    nd_stream_close(silent);
    spawn_reader(group, &job);
    expect_ok(nd_fiber_sleep(10 * ND_MILLISECOND));
    assert_int_equal(nd_channel_get_state(f->channel), ND_CHANNEL_CONNECTING);
    nd_group_cancel(group);
    fixture_until(&job.done, 1);
    expect_code(job.err, ND_CANCELLED);
    nd_stream_close(silent);
    return NULL;
}

IN_LOOP(a_client_without_settings_is_cut_off)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    struct nd_server_stats stats;
    struct nd_stream *mine, *theirs;

    nd_stream_pair(CAPACITY_LARGE, &mine, &theirs);
    nd_server_adopt(f->server, theirs, NULL);
    nd_server_get_stats(f->server, &stats);
    assert_int_equal(stats.connections, 1);
    expect_ok(nd_fiber_sleep(ND_MINUTE));
    nd_server_get_stats(f->server, &stats);
    assert_int_equal(stats.connections, 0);
    nd_stream_close(mine);
    return NULL;
}

IN_LOOP(calls_end_when_the_channel_is_freed)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);
    struct job job = {.f = f, .repeat = 100, .delay_ms = 1000};

    spawn_reader(group, &job);
    fixture_until(&job.received, 2);
    nd_channel_freep(&f->channel);
    fixture_until(&job.done, 1);
    expect_code(job.err, ND_UNAVAILABLE);
    fixture_until(&f->echo.ended, 1);
    assert_int_equal(f->echo.cancelled, 1);
    return NULL;
}

/* --- many, large, and not read --- */

IN_LOOP(messages_larger_than_every_window_arrive)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});

    expect_ok(fixture_echo(f, 3 * 1024 * 1024));
    expect_ok(fixture_echo(f, 4 * 1024 * 1024 - 100));
    expect_code(fixture_echo(f, 4 * 1024 * 1024), ND_EXHAUSTED);
    expect_ok(fixture_echo(f, 100));
    assert_int_equal(f->dials, 1);
    return NULL;
}

IN_LOOP(the_client_has_a_message_limit_of_its_own)
{
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.channel = {.max_message_bytes = 1000}});
    struct nd_error *err = fixture_echo(f, 1000);

    assert_non_null(strstr(nd_error_message(err), "received message larger than max (101"));
    expect_code(err, ND_EXHAUSTED);
    expect_ok(fixture_echo(f, 900));
    return NULL;
}

IN_LOOP(one_stream_that_never_reads_stops_nobody)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *stuck = NULL;
    static struct job jobs[99];
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;

    req.repeat = UINT32_MAX;
    req.reply_size = 50000;
    expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_SERVER_STREAM, NULL, &stuck));
    expect_ok(nd_client_call_send(stuck, &req));
    expect_ok(nd_client_call_finish_sending(stuck));
    for (size_t i = 0; i < ND_LEN(jobs); i++) {
        jobs[i] = (struct job){.f = f, .repeat = 2000};
        spawn_reader(group, &jobs[i]);
    }
    for (size_t i = 0; i < ND_LEN(jobs); i++) {
        fixture_until(&jobs[i].done, 1);
        expect_ok(jobs[i].err);
        assert_int_equal(jobs[i].received, 2000);
    }
    assert_int_equal(f->echo.started - f->echo.ended, 1);
    nd_client_call_end(ND_TAKE(stuck));
    fixture_until(&f->echo.ended, f->echo.started);
    assert_int_equal(f->echo.cancelled, 1);
    return NULL;
}

IN_LOOP(calls_above_the_stream_limit_wait_their_turn)
{
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(&(struct fixture_options){.server = {.max_streams = 2}});
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);
    struct job jobs[20];

    for (size_t i = 0; i < ND_LEN(jobs); i++) {
        jobs[i] = (struct job){.f = f, .repeat = 3, .delay_ms = 10};
        spawn_reader(group, &jobs[i]);
    }
    for (size_t i = 0; i < ND_LEN(jobs); i++) {
        fixture_until(&jobs[i].done, 1);
        expect_ok(jobs[i].err);
        assert_int_equal(jobs[i].received, 3);
    }
    assert_int_equal(f->dials, 1);
    return NULL;
}

IN_LOOP(calls_above_the_handler_limit_are_refused)
{
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(&(struct fixture_options){.server = {.max_calls = 1}});
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);
    struct job job = {.f = f, .repeat = 3, .delay_ms = 10};

    spawn_reader(group, &job);
    fixture_until(&job.received, 1);
    expect_code(fixture_echo(f, 1), ND_EXHAUSTED);
    fixture_until(&job.done, 1);
    expect_ok(job.err);
    expect_ok(fixture_echo(f, 1));
    return NULL;
}

#define CROWD 100u

IN_LOOP(a_crowd_of_connections_leaves_turns_to_others)
{
    char path[] = "/tmp/nd-crowd-XXXXXX";
    int clients[CROWD];
    unsigned turns = 0;

    close(mkstemp(path));
    unlink(path);
    {
        ND_AUTO(fixture_endp)
        struct fixture *f = fixture_begin(&(struct fixture_options){.socket = path});
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        struct nd_server_stats stats = {0};

        memcpy(at.sun_path, path, sizeof(path));
        for (unsigned i = 0; i < CROWD; i++) {
            clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
            assert_int_equal(connect(clients[i], (struct sockaddr *)&at, sizeof(at)), 0);
        }
        for (; stats.connections != CROWD; turns++) {
            expect_ok(nd_fiber_yield());
            nd_server_get_stats(f->server, &stats);
        }
        assert_true(turns > CROWD / 2);
        for (unsigned i = 0; i < CROWD; i++)
            close(clients[i]);
    }
    return NULL;
}

/* Send the beginning of a unary request. */
static uint8_t upload_bytes[1000000];

static struct nd_client_call *
begin_upload(struct fixture *f, size_t size)
{
    struct nd_client_call *call;
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;

    req.payload.data = upload_bytes;
    req.payload.len = size;
    expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_UNARY, NULL, &call));
    expect_ok(nd_client_call_send(call, &req));
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    return call;
}

IN_LOOP(incomplete_requests_of_a_connection_have_a_limit)
{
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.server = {.max_pending_bytes = 2000100}});
    ND_AUTO(nd_client_call_endp) struct nd_client_call *first = begin_upload(f, 1000000);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *second = begin_upload(f, 1000000);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *third = begin_upload(f, 1000);
    Echo__EchoReply *rsp;

    expect_code(nd_client_call_recv(third, f->arena, &rsp), ND_EXHAUSTED);
    expect_ok(nd_client_call_finish_sending(first));
    expect_ok(nd_client_call_recv(first, f->arena, &rsp));
    expect_ok(fixture_echo(f, 1000));
    nd_client_call_end(ND_TAKE(second));
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    expect_ok(fixture_echo(f, 1900000));
    return NULL;
}

/* A stream's reader waits for the rest of a message, with credit for all of it. */
IN_LOOP(an_incomplete_message_of_a_stream_counts_as_a_request)
{
    static const char head[5] = {0, 0, 0x3d, 0x09, 0}; /* 4,000,000 bytes */
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.server = {.max_pending_bytes = 1000000}});
    struct nd_buf body = ND_BUF_INIT(1u << 24);
    struct nd_header headers[8];
    size_t n = raw_headers_with(headers, ":path", ECHO_ECHO_SERVICE_CLIENT_STREAM->path);
    struct raw r;

    nd_buf_put(&body, nd_str_n(head, sizeof(head)));
    nd_buf_put(&body, nd_str_n(upload_bytes, sizeof(upload_bytes)));
    nd_buf_put(&body, nd_str_n(upload_bytes, sizeof(upload_bytes)));
    raw_request(f, &r, headers, n, nd_buf_str(&body));
    assert_string_equal(r.grpc_status, "8");
    assert_int_equal(f->echo.ended, 1);
    raw_fini(&r);
    nd_buf_fini(&body);
    expect_ok(fixture_echo(f, 900000));
    return NULL;
}

#ifdef __SANITIZE_ADDRESS__
size_t
__sanitizer_get_current_allocated_bytes(void); /* NOLINT: of the compiler, which has no header */
#endif

/* What the program has from the heap. */
static size_t
heap_bytes(void)
{
#ifdef __SANITIZE_ADDRESS__
    return __sanitizer_get_current_allocated_bytes();
#else
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
#endif
}

/* A client that reads no answer keeps its stream, but not what it has sent. */
IN_LOOP(a_request_does_not_wait_for_its_answer_to_leave)
{
    static const struct nd_session_options narrow = {.role = ND_SESSION_CLIENT, .stream_window = 1};
    static const char frame[] = /* reply_size 1, payload of 3,000,000 bytes */
        "\0\0\x2d\xc6\xc7\x18\1\x12\xc0\x8d\xb7\1";
    const char *const paths[] = {ECHO_ECHO_SERVICE_UNARY->path,
                                 ECHO_ECHO_SERVICE_CLIENT_STREAM->path};
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    struct nd_buf body = ND_BUF_INIT(1u << 24);

    expect_ok(fixture_echo(f, 10));
    nd_buf_put(&body, nd_str_n(frame, sizeof(frame) - 1));
    for (int i = 0; i < 3; i++)
        nd_buf_put(&body, nd_str_n(upload_bytes, sizeof(upload_bytes)));
    for (unsigned i = 0; i < ND_LEN(paths); i++) {
        struct nd_header headers[8];
        size_t n = raw_headers_with(headers, ":path", paths[i]);
        size_t before = heap_bytes();
        struct raw r;

        raw_begin(f, &r, &narrow, headers, n, nd_buf_str(&body));
        r.unread = true;
        fixture_until(&f->echo.ended, i + 2);
        expect_ok(nd_fiber_sleep(ND_MILLISECOND));
        assert_false(r.closed);
        assert_true(heap_bytes() < before + sizeof(upload_bytes));
        nd_session_free(ND_TAKE(r.session));
        raw_end(&r);
        raw_fini(&r);
    }
    nd_buf_fini(&body);
    return NULL;
}

IN_LOOP(a_handler_that_waits_holds_no_message)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;
    size_t before;

    expect_ok(fixture_echo(f, sizeof(upload_bytes)));
    req.payload.data = upload_bytes;
    expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_CLIENT_STREAM, NULL, &call));
    expect_ok(nd_client_call_send(call, &req));
    expect_ok(nd_fiber_sleep(ND_SECOND));
    before = heap_bytes();
    req.payload.len = sizeof(upload_bytes);
    expect_ok(nd_client_call_send(call, &req));
    expect_ok(nd_fiber_sleep(ND_SECOND));
    assert_true(heap_bytes() < before + sizeof(upload_bytes) / 2);
    expect_ok(nd_client_call_finish_sending(call));
    expect_ok(nd_client_call_recv(call, f->arena, &rsp));
    assert_int_equal(rsp->bytes, sizeof(upload_bytes));
    return NULL;
}

IN_LOOP(a_reply_that_nobody_takes_is_dropped_in_the_end)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    req.reply_size = 3000000;
    expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_UNARY, NULL, &call));
    expect_ok(nd_client_call_send(call, &req));
    expect_ok(nd_client_call_finish_sending(call));
    fixture_until(&f->echo.ended, 1);
    expect_ok(nd_fiber_sleep(ND_HOUR));
    expect_code(nd_client_call_recv(call, f->arena, &rsp), ND_CANCELLED);
    expect_ok(fixture_echo(f, 10));
    return NULL;
}

/*
 * Reset streams with unread bytes must not eat the connection's window: ten times its size of them.
 */
IN_LOOP(reset_streams_give_their_window_back)
{
    enum { RESETS = 10000, SIZE = 2000 };
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    static uint8_t bytes[SIZE];

    for (unsigned i = 1; i <= RESETS; i++) {
        struct nd_client_call *call;
        Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;

        req.payload.data = bytes;
        req.payload.len = SIZE;
        req.delay_ms = 3600 * 1000;
        expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_CLIENT_STREAM, NULL, &call));
        expect_ok(nd_client_call_send(call, &req));
        expect_ok(nd_client_call_send(call, &req));
        expect_ok(nd_fiber_sleep(10 * ND_MILLISECOND));
        nd_client_call_end(call);
        fixture_until(&f->echo.ended, i);
    }
    for (unsigned i = 0; i < 3; i++)
        expect_ok(fixture_echo(f, 3500000));
    assert_int_equal(f->dials, 1);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopping_server_lets_running_calls_end),
        cmocka_unit_test(a_stopping_server_takes_no_new_calls),
        cmocka_unit_test(handlers_are_cancelled_at_the_end_of_the_grace),
        cmocka_unit_test(a_second_stop_cancels_at_once),
        cmocka_unit_test(the_channel_comes_back_after_a_restart_of_the_server),
        cmocka_unit_test(calls_fail_at_once_during_the_backoff),
        cmocka_unit_test(connect_skips_the_backoff),
        cmocka_unit_test(a_call_that_waits_for_ready_goes_through_the_backoff),
        cmocka_unit_test(waiting_for_ready_ends_with_the_deadline),
        cmocka_unit_test(a_server_without_settings_is_given_up),
        cmocka_unit_test(the_next_caller_takes_over_when_the_connecting_one_is_cancelled),
        cmocka_unit_test(a_client_without_settings_is_cut_off),
        cmocka_unit_test(calls_end_when_the_channel_is_freed),
        cmocka_unit_test(messages_larger_than_every_window_arrive),
        cmocka_unit_test(the_client_has_a_message_limit_of_its_own),
        cmocka_unit_test(one_stream_that_never_reads_stops_nobody),
        cmocka_unit_test(calls_above_the_stream_limit_wait_their_turn),
        cmocka_unit_test(calls_above_the_handler_limit_are_refused),
        cmocka_unit_test(a_crowd_of_connections_leaves_turns_to_others),
        cmocka_unit_test(incomplete_requests_of_a_connection_have_a_limit),
        cmocka_unit_test(an_incomplete_message_of_a_stream_counts_as_a_request),
        cmocka_unit_test(a_request_does_not_wait_for_its_answer_to_leave),
        cmocka_unit_test(a_handler_that_waits_holds_no_message),
        cmocka_unit_test(a_reply_that_nobody_takes_is_dropped_in_the_end),
        cmocka_unit_test(reset_streams_give_their_window_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
