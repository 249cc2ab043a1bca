/* Calls that are made again: when, how often, with what, and when not. */

#include "grpc/limits.h"

#include "origin.h"

static const struct script good = {
    .headers = ORIGIN_HEADERS, .body = ORIGIN_REPLY, .trailers = ORIGIN_TRAILERS};
static const struct script unavailable = ORIGIN_ONLY("14");
static const struct script denied = ORIGIN_ONLY("7");

/* Fails with the header block gone out: committed. */
static const struct script late = {.headers = ORIGIN_HEADERS, .trailers = {{"grpc-status", "14"}}};

/* A proxy that has no server. */
static const struct script no_server = {
    .headers = {{":status", "503"}, {"content-type", "text/html"}},
    .body = {"<h1>busy</h1>", 13},
    .trailers = {{"x", "y"}}};

static const struct nd_retry_policy policy = {
    .max_attempts = 4,
    .codes = ND_RETRY_ON(ND_UNAVAILABLE) | ND_RETRY_ON(ND_ABORTED),
    .initial_backoff_ns = 100 * ND_MILLISECOND,
    .max_backoff_ns = 150 * ND_MILLISECOND,
    .backoff_multiplier = 2,
};
static const struct nd_call_options with_policy = {.retry = &policy};
static const struct nd_call_options idempotent = {.idempotent = true};

/* One call to a fresh origin. */
static void
expect_requests(struct origin *o, struct nd_channel_options *channel,
                const struct nd_call_options *options, enum nd_code code, unsigned requests)
{
    struct nd_channel *ch = origin_channel_with(o, channel);

    expect_code(origin_call_with(ch, options), code);
    assert_int_equal(o->requests, requests);
    nd_channel_free(ch);
    origin_fini(o);
}

IN_LOOP(a_failure_is_repeated_only_as_the_policy_says)
{
    static const struct nd_retry_policy once = {.max_attempts = 1,
                                                .codes = ND_RETRY_ON(ND_UNAVAILABLE)};
    static const struct nd_retry_policy often = {.max_attempts = 1000,
                                                 .codes = ND_RETRY_ON(ND_UNAVAILABLE)};
    static const struct {
        const struct script *first, *then;
        struct nd_call_options options;
        enum nd_code code;
        unsigned requests;
    } cases[] = {
        {&unavailable, &good, {0}, ND_UNAVAILABLE, 1},
        {&unavailable, &good, {.idempotent = true}, ND_OK, 2},
        {&unavailable, &unavailable, {.idempotent = true}, ND_UNAVAILABLE, 3},
        {&unavailable, &good, {.retry = &policy}, ND_OK, 2},
        {&unavailable, &unavailable, {.retry = &policy}, ND_UNAVAILABLE, 4},
        {&unavailable, &denied, {.retry = &policy}, ND_DENIED, 2},
        {&denied, &good, {.retry = &policy}, ND_DENIED, 1},
        {&late, &good, {.retry = &policy}, ND_UNAVAILABLE, 1},
        {&no_server, &good, {.retry = &policy}, ND_OK, 2},
        {&no_server, &no_server, {.retry = &policy}, ND_UNAVAILABLE, 4},
        {&no_server, &good, {0}, ND_UNAVAILABLE, 1},
        {&unavailable, &good, {.retry = &once}, ND_UNAVAILABLE, 1},
        {&unavailable, &unavailable, {.retry = &often}, ND_UNAVAILABLE, 5},
    };

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct origin o = {.first = {cases[i].first}, .script = cases[i].then};

        expect_requests(&o, &(struct nd_channel_options){0}, &cases[i].options, cases[i].code,
                        cases[i].requests);
    }
    return NULL;
}

IN_LOOP(the_channel_has_a_policy_for_idempotent_calls)
{
    struct origin o = {.script = &unavailable};

    expect_requests(&o, &(struct nd_channel_options){.retry = policy}, &idempotent, ND_UNAVAILABLE,
                    4);
    o = (struct origin){.script = &unavailable};
    expect_requests(&o, &(struct nd_channel_options){.retry = policy}, NULL, ND_UNAVAILABLE, 1);
    return NULL;
}

IN_LOOP(the_server_is_told_how_many_attempts_came_before)
{
    struct origin o = {.first = {&unavailable, &unavailable}, .script = &good};
    struct nd_channel *ch = origin_channel(&o);

    expect_ok(origin_call_with(ch, &with_policy));
    assert_string_equal(o.attempts, "2");
    expect_ok(origin_call_with(ch, &with_policy));
    assert_string_equal(o.attempts, "");
    nd_channel_free(ch);
    origin_fini(&o);
    return NULL;
}

IN_LOOP(the_delay_grows_up_to_a_maximum)
{
    struct origin o = {.script = &unavailable};
    int64_t begun_ns = nd_loop_now().ns;
    int64_t took_ns;

    expect_requests(&o, &(struct nd_channel_options){0}, &with_policy, ND_UNAVAILABLE, 4);
    took_ns = nd_loop_now().ns - begun_ns;
    /* 100, 150 and 150 ms of virtual time, a fifth more or less */
    assert_true(took_ns >= 320 * ND_MILLISECOND);
    assert_true(took_ns <= 490 * ND_MILLISECOND);
    return NULL;
}

IN_LOOP(the_server_says_when_or_that_there_is_no_other_attempt)
{
    static const struct {
        const char *values[2];
        unsigned requests;
        int64_t delay_ns; /* 0: not looked at */
    } cases[] = {
        {{"7000"}, 2, 7 * ND_SECOND},
        {{"0"}, 2, 0},
        {{"-1"}, 1, 0},
        {{"soon"}, 1, 0},
        {{""}, 1, 0},
        {{"99999999999"}, 1, 0},
        {{"5", "5"}, 1, 0},
    };

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct script script = ORIGIN_ONLY("14");
        struct origin o = {.first = {&script}, .script = &good};
        int64_t begun_ns = nd_loop_now().ns;

        for (size_t v = 0; v < 2 && cases[i].values[v] != NULL; v++) {
            script.headers[3 + v][0] = "grpc-retry-pushback-ms";
            script.headers[3 + v][1] = cases[i].values[v];
        }
        expect_requests(&o, &(struct nd_channel_options){0}, &with_policy,
                        cases[i].requests == 2 ? ND_OK : ND_UNAVAILABLE, cases[i].requests);
        if (cases[i].delay_ns != 0)
            assert_int_equal(nd_loop_now().ns - begun_ns, cases[i].delay_ns);
    }
    return NULL;
}

IN_LOOP(nothing_is_repeated_when_most_calls_fail)
{
    struct origin o = {.script = &unavailable};
    struct nd_channel *ch = origin_channel_with(
        &o, &(struct nd_channel_options){.retry_max_tokens = 4, .retry_token_thousandths = 1500});

    /* Four tokens: the first failure leaves three, the second two, which is no more than half. */
    expect_code(origin_call_with(ch, &with_policy), ND_UNAVAILABLE);
    assert_int_equal(o.requests, 2);
    expect_code(origin_call_with(ch, &with_policy), ND_UNAVAILABLE);
    assert_int_equal(o.requests, 3);
    o.script = &good;
    for (int i = 0; i < 3; i++)
        expect_ok(origin_call(ch));
    o.script = &unavailable;
    expect_code(origin_call_with(ch, &with_policy), ND_UNAVAILABLE);
    assert_int_equal(o.requests, 3 + 3 + 2);
    nd_channel_free(ch);
    origin_fini(&o);
    return NULL;
}

IN_LOOP(a_lost_connection_is_a_failure_like_others)
{
    struct origin o = {.script = &good, .drops = 1};
    struct nd_channel *ch = origin_channel(&o);

    expect_ok(origin_call_with(ch, &with_policy));
    assert_int_equal(o.requests, 2);
    assert_int_equal(o.dials, 2);
    o.drops = 1;
    expect_code(origin_call(ch), ND_UNAVAILABLE);
    assert_int_equal(o.requests, 3);
    nd_channel_free(ch);
    origin_fini(&o);
    return NULL;
}

IN_LOOP(no_connection_is_a_failure_like_others)
{
    struct origin o = {.script = &good, .dial_fails = 2};
    struct nd_channel *ch = origin_channel(&o);

    expect_ok(origin_call_with(ch, &with_policy));
    assert_int_equal(o.requests, 1);
    assert_string_equal(o.attempts, "2");
    nd_channel_free(ch);
    origin_fini(&o);
    return NULL;
}

IN_LOOP(a_refused_call_is_sent_again_once)
{
    struct origin o = {.script = &good, .refuse = 1};
    struct nd_channel *ch = origin_channel(&o);

    expect_ok(origin_call(ch));
    assert_int_equal(o.requests, 2);
    assert_string_equal(o.attempts, "");
    o.refuse = 1000;
    expect_code(origin_call(ch), ND_UNAVAILABLE);
    assert_int_equal(o.requests, 4);
    /* with a policy, the second refusal is a failure like others */
    expect_code(origin_call_with(ch, &with_policy), ND_UNAVAILABLE);
    assert_int_equal(o.requests, 4 + 1 + 4);
    assert_int_equal(o.dials, 1);
    nd_channel_free(ch);
    origin_fini(&o);
    return NULL;
}

/* --- streams --- */

static void
send_text(struct nd_client_call *call, size_t size)
{
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    ND_AUTO(nd_freep) uint8_t *payload = nd_new_array(size + 1, uint8_t);

    req.payload.data = payload;
    req.payload.len = size;
    expect_ok(nd_client_call_send(call, &req));
}

/* Read to the end; returns how many messages came. */
static struct nd_error *
read_all(struct nd_client_call *call, unsigned *ret)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Echo__EchoReply *rsp;

    for (*ret = 0;; ++*ret) {
        ND_TRY(nd_client_call_recv(call, arena, &rsp));
        if (rsp == NULL)
            return NULL;
        assert_string_equal(rsp->text, "ok");
    }
}

static const struct nd_method_desc *const streams[] = {
    ECHO_ECHO_SERVICE_SERVER_STREAM, ECHO_ECHO_SERVICE_CLIENT_STREAM, ECHO_ECHO_SERVICE_BIDI};

#define FRAME_BYTES(size) (5 + 1 + ((size) < 128 ? 1 : (size) < 16384 ? 2 : 3) + (size))

IN_LOOP(a_refused_stream_is_sent_again_with_what_it_had_sent)
{
    for (size_t i = 0; i < ND_LEN(streams); i++) {
        struct origin o = {.script = &good, .refuse = 1};
        struct nd_channel *ch = origin_channel(&o);
        ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
        unsigned n;

        expect_ok(nd_client_call_begin(ch, streams[i], NULL, &call));
        send_text(call, 100);
        send_text(call, 1000);
        while (o.requests == 0)
            expect_ok(nd_fiber_yield());
        expect_ok(nd_fiber_sleep(ND_MILLISECOND));
        send_text(call, 10);
        expect_ok(nd_client_call_finish_sending(call));
        expect_ok(read_all(call, &n));
        assert_int_equal(n, 1);
        assert_int_equal(o.requests, 2);
        assert_int_equal(o.body.len, FRAME_BYTES(100) + FRAME_BYTES(1000) + FRAME_BYTES(10));
        nd_client_call_endp(&call);
        nd_channel_free(ch);
        origin_fini(&o);
    }
    return NULL;
}

IN_LOOP(a_half_closed_stream_is_half_closed_again)
{
    struct origin o = {.first = {&unavailable}, .script = &good};
    struct nd_channel *ch = origin_channel(&o);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    unsigned n;

    expect_ok(nd_client_call_begin(ch, ECHO_ECHO_SERVICE_BIDI, &with_policy, &call));
    send_text(call, 100);
    expect_ok(nd_client_call_finish_sending(call));
    expect_ok(read_all(call, &n));
    assert_int_equal(o.requests, 2);
    assert_int_equal(o.body.len, FRAME_BYTES(100));
    nd_client_call_endp(&call);
    nd_channel_free(ch);
    origin_fini(&o);
    return NULL;
}

/* Answered early, with a status alone, while the client still sends. */
IN_LOOP(a_stream_that_still_sends_is_made_again)
{
    struct origin o = {.first = {&unavailable}, .script = &good, .early = true};
    struct nd_channel *ch = origin_channel(&o);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    const struct nd_metadata *headers;
    unsigned n;

    expect_ok(nd_client_call_begin(ch, ECHO_ECHO_SERVICE_BIDI, &with_policy, &call));
    send_text(call, 100);
    expect_ok(nd_client_call_headers(call, &headers));
    assert_int_equal(o.requests, 2);
    expect_ok(read_all(call, &n));
    nd_client_call_endp(&call);
    nd_channel_free(ch);
    origin_fini(&o);
    return NULL;
}

IN_LOOP(a_stream_that_sent_more_than_is_kept_is_not_made_again)
{
    static const struct {
        size_t sizes[3];
        enum nd_code code;
        unsigned requests;
    } cases[] = {
        {{ND_GRPC_RETRY_BYTES - 9}, ND_OK, 2},
        {{ND_GRPC_RETRY_BYTES - 8}, ND_UNAVAILABLE, 1},
        {{100000, 100000, ND_GRPC_RETRY_BYTES - 200027}, ND_OK, 2},
        {{100000, 100000, ND_GRPC_RETRY_BYTES - 200026}, ND_UNAVAILABLE, 1},
    };

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct origin o = {.first = {&unavailable}, .script = &good};
        struct nd_channel *ch = origin_channel(&o);
        ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
        unsigned n;

        expect_ok(nd_client_call_begin(ch, ECHO_ECHO_SERVICE_CLIENT_STREAM, &with_policy, &call));
        for (size_t m = 0; m < ND_LEN(cases[i].sizes) && cases[i].sizes[m] != 0; m++)
            send_text(call, cases[i].sizes[m]);
        expect_ok(nd_client_call_finish_sending(call));
        expect_code(read_all(call, &n), cases[i].code);
        assert_int_equal(o.requests, cases[i].requests);
        nd_client_call_endp(&call);
        nd_channel_free(ch);
        origin_fini(&o);
    }
    return NULL;
}

IN_LOOP(a_compressed_stream_is_sent_again_as_it_was)
{
    const struct nd_call_options options = {.retry = &policy, .compression = ND_COMPRESSION_GZIP};
    struct origin o = {.first = {&unavailable}, .script = &good};
    struct nd_channel *ch = origin_channel(&o);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    unsigned n;

    expect_ok(nd_client_call_begin(ch, ECHO_ECHO_SERVICE_CLIENT_STREAM, &options, &call));
    send_text(call, 200000);
    nd_client_call_set_compression(call, ND_COMPRESSION_NONE);
    send_text(call, 100);
    expect_ok(nd_client_call_finish_sending(call));
    expect_ok(read_all(call, &n));
    assert_int_equal(o.requests, 2);
    assert_string_equal(o.encoding, "gzip");
    assert_int_equal(o.body.ptr[0], 1);
    assert_true(o.body.len < 2000);
    assert_int_equal(o.body.ptr[o.body.len - FRAME_BYTES(100)], 0);
    nd_client_call_endp(&call);
    nd_channel_free(ch);
    origin_fini(&o);
    return NULL;
}

/* Compressing lets others run: the server's header block comes while a message is being kept. */
IN_LOOP(a_message_that_is_kept_too_late_is_sent_all_the_same)
{
    static const struct script open_end = {.headers = ORIGIN_HEADERS, .body = ORIGIN_REPLY};
    const struct nd_call_options options = {.compression = ND_COMPRESSION_GZIP};

    for (unsigned turns = 0; turns < 8; turns++) {
        struct origin o = {.script = &open_end, .early = true};
        struct nd_channel *ch = origin_channel(&o);
        ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
        size_t first;

        expect_ok(nd_client_call_begin(ch, ECHO_ECHO_SERVICE_BIDI, &options, &call));
        nd_client_call_set_compression(call, ND_COMPRESSION_NONE);
        send_text(call, 10000);
        for (unsigned i = 0; i < turns; i++)
            expect_ok(nd_fiber_yield());
        nd_client_call_set_compression(call, ND_COMPRESSION_GZIP);
        send_text(call, 200000);
        expect_ok(nd_fiber_sleep(ND_MILLISECOND));
        first = FRAME_BYTES(10000);
        assert_true(o.body.len > first + 5);
        assert_int_equal(o.body.ptr[first], 1);
        assert_int_equal((unsigned char)o.body.ptr[first + 3] << 8 |
                             (unsigned char)o.body.ptr[first + 4],
                         o.body.len - first - 5);
        nd_client_call_endp(&call);
        nd_channel_free(ch);
        origin_fini(&o);
    }
    return NULL;
}

/* Metadata of a stream is sent again though the caller's list is gone. */
IN_LOOP(metadata_of_a_stream_outlives_the_callers_list)
{
    struct origin o = {.first = {&unavailable}, .script = &good};
    struct nd_channel *ch = origin_channel(&o);
    ND_AUTO(nd_metadata_freep) struct nd_metadata *md = nd_metadata_new();
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    unsigned n;

    expect_ok(nd_metadata_add(md, ND_STR("x-note"), ND_STR("kept")));
    expect_ok(nd_client_call_begin(ch, ECHO_ECHO_SERVICE_BIDI,
                                   &(struct nd_call_options){.metadata = md, .retry = &policy},
                                   &call));
    nd_metadata_freep(&md);
    expect_ok(nd_client_call_finish_sending(call));
    expect_ok(read_all(call, &n));
    assert_int_equal(o.requests, 2);
    assert_string_equal(o.note, "kept");
    nd_client_call_endp(&call);
    nd_channel_free(ch);
    origin_fini(&o);
    return NULL;
}

/* --- two fibers on one call --- */

struct pair {
    struct nd_client_call *call;
    unsigned messages;
    enum nd_code code;
    unsigned done;
};

static struct nd_error *
read_in_fiber(void *arg)
{
    struct pair *p = arg;
    struct nd_error *err = read_all(p->call, &p->messages);

    p->code = nd_error_code(err);
    p->done = 1;
    nd_error_free(err);
    return NULL;
}

IN_LOOP(sender_and_receiver_go_on_with_the_same_attempt)
{
    for (unsigned early = 0; early < 2; early++) {
        struct origin o = {.script = &good, .refuse = 1, .early = early != 0};
        struct nd_channel *ch = origin_channel(&o);
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("reader", 0);
        struct pair p = {0};

        expect_ok(nd_client_call_begin(ch, ECHO_ECHO_SERVICE_BIDI, NULL, &p.call));
        expect_ok(nd_group_spawn(group, read_in_fiber, &p));
        for (int i = 0; i < 20 && p.done == 0; i++) {
            Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
            struct nd_error *err = nd_client_call_send(p.call, &req);

            if (err != NULL)
                expect_code(err, ND_ABORTED); /* answered early */
            expect_ok(nd_fiber_yield());
        }
        if (!early)
            expect_ok(nd_client_call_finish_sending(p.call));
        fixture_until(&p.done, 1);
        assert_int_equal(p.code, ND_OK);
        assert_int_equal(p.messages, 1);
        assert_int_equal(o.requests, 2);
        if (!early)
            assert_int_equal(o.body.len, 20 * 5);
        nd_client_call_endp(&p.call);
        nd_channel_free(ch);
        origin_fini(&o);
    }
    return NULL;
}

/* The fiber that makes the attempt is cancelled: the other one makes it. */
IN_LOOP(another_fiber_takes_over_an_attempt_that_was_given_up)
{
    static const struct nd_retry_policy slow = {.max_attempts = 2,
                                                .codes = ND_RETRY_ON(ND_UNAVAILABLE),
                                                .initial_backoff_ns = ND_MINUTE,
                                                .max_backoff_ns = ND_MINUTE};
    struct origin o = {.first = {&unavailable}, .script = &good, .early = true};
    struct nd_channel *ch = origin_channel(&o);
    ND_AUTO(nd_group_endp) struct nd_group *first = nd_group_begin("first", 0);
    struct pair p = {0};
    unsigned n;

    expect_ok(nd_client_call_begin(ch, ECHO_ECHO_SERVICE_BIDI,
                                   &(struct nd_call_options){.retry = &slow}, &p.call));
    expect_ok(nd_group_spawn(first, read_in_fiber, &p));
    fixture_until(&o.requests, 1);
    expect_ok(nd_fiber_sleep(ND_SECOND));
    nd_group_cancel(first);
    fixture_until(&p.done, 1);
    assert_int_equal(p.code, ND_CANCELLED);
    expect_ok(read_all(p.call, &n));
    assert_int_equal(n, 1);
    assert_int_equal(o.requests, 2);
    nd_client_call_endp(&p.call);
    nd_channel_free(ch);
    origin_fini(&o);
    return NULL;
}

IN_LOOP(the_deadline_ends_the_wait_for_another_attempt)
{
    struct script script = ORIGIN_ONLY("14");
    struct origin o = {.script = &script};
    struct nd_channel *ch = origin_channel(&o);
    ND_DEADLINE_IN(ND_SECOND);

    script.headers[3][0] = "grpc-retry-pushback-ms";
    script.headers[3][1] = "60000";
    expect_code(origin_call_with(ch, &with_policy), ND_DEADLINE);
    assert_int_equal(o.requests, 1);
    nd_channel_free(ch);
    origin_fini(&o);
    return NULL;
}

IN_LOOP(a_closed_channel_repeats_nothing)
{
    static const struct script silent = {.body = {"", 0}};
    struct origin o = {.script = &silent};
    struct nd_channel *ch = origin_channel(&o);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    unsigned n;

    expect_ok(nd_client_call_begin(ch, ECHO_ECHO_SERVICE_BIDI, &with_policy, &call));
    fixture_until(&o.requests, 1);
    nd_channel_free(ch);
    expect_code(read_all(call, &n), ND_UNAVAILABLE);
    assert_int_equal(o.requests, 1);
    nd_client_call_endp(&call);
    origin_fini(&o);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_repeated_only_as_the_policy_says),
        cmocka_unit_test(the_channel_has_a_policy_for_idempotent_calls),
        cmocka_unit_test(the_server_is_told_how_many_attempts_came_before),
        cmocka_unit_test(the_delay_grows_up_to_a_maximum),
        cmocka_unit_test(the_server_says_when_or_that_there_is_no_other_attempt),
        cmocka_unit_test(nothing_is_repeated_when_most_calls_fail),
        cmocka_unit_test(a_lost_connection_is_a_failure_like_others),
        cmocka_unit_test(no_connection_is_a_failure_like_others),
        cmocka_unit_test(a_refused_call_is_sent_again_once),
        cmocka_unit_test(a_refused_stream_is_sent_again_with_what_it_had_sent),
        cmocka_unit_test(a_half_closed_stream_is_half_closed_again),
        cmocka_unit_test(a_stream_that_still_sends_is_made_again),
        cmocka_unit_test(a_stream_that_sent_more_than_is_kept_is_not_made_again),
        cmocka_unit_test(a_compressed_stream_is_sent_again_as_it_was),
        cmocka_unit_test(a_message_that_is_kept_too_late_is_sent_all_the_same),
        cmocka_unit_test(metadata_of_a_stream_outlives_the_callers_list),
        cmocka_unit_test(sender_and_receiver_go_on_with_the_same_attempt),
        cmocka_unit_test(another_fiber_takes_over_an_attempt_that_was_given_up),
        cmocka_unit_test(the_deadline_ends_the_wait_for_another_attempt),
        cmocka_unit_test(a_closed_channel_repeats_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
