/* A channel: who gets the next stream, when the connection ends, and how failures read. */

#include "grpc/limits.h"

#include "fixture.h"
#include "origin.h"

/* --- one after the other --- */

struct job {
    struct fixture *f;
    unsigned index;
    unsigned calls;  /* one after the other */
    unsigned *order; /* of the ends */
    unsigned *n_done;
    int64_t timeout_ns; /* 0: none */
    enum nd_code code;
};

static struct nd_error *
call_within(struct job *job, int64_t timeout_ns)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;
    ND_DEADLINE_IN(timeout_ns);

    req.delay_ms = 100;
    return nd_channel_unary(job->f->channel, ECHO_ECHO_SERVICE_UNARY, NULL, &req, arena, &rsp);
}

static struct nd_error *
run_job(void *arg)
{
    struct job *job = arg;

    for (unsigned i = 0; i < job->calls; i++) {
        struct nd_error *err = call_within(job, job->timeout_ns != 0 ? job->timeout_ns : ND_HOUR);

        job->code = nd_error_code(err);
        job->order[(*job->n_done)++] = job->index;
        nd_error_free(err);
    }
    return NULL;
}

#define CROWD 20u
#define CALLS 3u

/* Who has just ended a call asks again at once, and must not overtake those who wait. */
IN_LOOP(streams_are_given_in_the_order_of_asking)
{
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(&(struct fixture_options){.server = {.max_streams = 1}});
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);
    struct job jobs[CROWD];
    unsigned order[CROWD * CALLS];
    unsigned n_done = 0;

    for (unsigned i = 0; i < CROWD; i++) {
        jobs[i] =
            (struct job){.f = f, .index = i, .calls = CALLS, .order = order, .n_done = &n_done};
        expect_ok(nd_group_spawn(group, run_job, &jobs[i]));
    }
    fixture_until(&n_done, CROWD * CALLS);
    for (unsigned i = 0; i < CROWD * CALLS; i++)
        assert_int_equal(order[i], i % CROWD);
    assert_int_equal(f->dials, 1);
    return NULL;
}

IN_LOOP(who_waits_too_long_for_a_stream_leaves_the_line)
{
    ND_AUTO(fixture_endp)
    struct fixture *f = fixture_begin(&(struct fixture_options){.server = {.max_streams = 1}});
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);
    struct job jobs[5];
    unsigned order[5];
    unsigned n_done = 0;

    for (unsigned i = 0; i < 5; i++) {
        jobs[i] = (struct job){.f = f, .index = i, .calls = 1, .order = order, .n_done = &n_done};
        jobs[i].timeout_ns = i == 1 || i == 3 ? 50 * ND_MILLISECOND : 0;
        expect_ok(nd_group_spawn(group, run_job, &jobs[i]));
    }
    fixture_until(&n_done, 5);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(jobs[i].code, i == 1 || i == 3 ? ND_DEADLINE : ND_OK);
    assert_int_equal(order[2], 0); /* the two late ones first, then the line */
    assert_int_equal(order[3], 2);
    assert_int_equal(order[4], 4);
    assert_int_equal(f->echo.started, 3);
    return NULL;
}

/* --- cancelled while it waits for something --- */

struct wait {
    struct nd_channel *channel;
    struct nd_error *(*fn)(struct nd_channel *ch);
    enum nd_code code;
    unsigned done;
};

static struct nd_error *
run_wait(void *arg)
{
    struct wait *w = arg;
    struct nd_error *err = w->fn(w->channel);

    w->code = nd_error_code(err);
    w->done = 1;
    nd_error_free(err);
    return NULL;
}

static struct nd_error *
wait_for_ready(struct nd_channel *ch)
{
    return origin_call_with(ch, &(struct nd_call_options){.wait_for_ready = true});
}

static struct nd_error *
wait_for_answer(struct nd_channel *ch)
{
    return origin_call(ch);
}

static struct nd_error *
wait_for_retry(struct nd_channel *ch)
{
    static const struct nd_retry_policy slow = {.max_attempts = 2,
                                                .codes = ND_RETRY_ON(ND_UNAVAILABLE),
                                                .initial_backoff_ns = ND_HOUR,
                                                .max_backoff_ns = ND_HOUR};

    return origin_call_with(ch, &(struct nd_call_options){.retry = &slow});
}

static struct nd_error *
wait_for_headers(struct nd_channel *ch)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    const struct nd_metadata *headers;

    ND_TRY(nd_client_call_begin(ch, ECHO_ECHO_SERVICE_BIDI, NULL, &call));
    return nd_client_call_headers(call, &headers);
}

static struct nd_error *
wait_for_window(struct nd_channel *ch)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    static uint8_t bytes[100000];

    req.payload.data = bytes;
    req.payload.len = sizeof(bytes);
    ND_TRY(nd_client_call_begin(ch, ECHO_ECHO_SERVICE_BIDI, NULL, &call));
    for (;;)
        ND_TRY(nd_client_call_send(call, &req));
}

static const struct script silent = {.body = {"", 0}};
static const struct script unavailable = ORIGIN_ONLY("14");
static const struct script good = {
    .headers = ORIGIN_HEADERS, .body = ORIGIN_REPLY, .trailers = ORIGIN_TRAILERS};

IN_LOOP(every_wait_ends_when_the_fiber_is_cancelled)
{
    static const struct {
        struct nd_error *(*fn)(struct nd_channel *ch);
        struct origin origin;
        bool is_full; /* another call has the only stream */
    } cases[] = {
        {wait_for_ready, {.script = &good, .dial_fails = UINT32_MAX}, false},
        {wait_for_ready, {.script = &good, .mute = true}, false},
        {wait_for_answer, {.script = &silent, .max_streams = 1}, true},
        {wait_for_answer, {.script = &silent}, false},
        {wait_for_retry, {.script = &unavailable}, false},
        {wait_for_headers, {.script = &silent}, false},
        {wait_for_window, {.script = &silent, .unread = true}, false},
    };

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct origin o = cases[i].origin;
        struct nd_channel *ch = origin_channel(&o);
        ND_AUTO(nd_group_endp) struct nd_group *other = nd_group_begin("other", 0);
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("wait", 0);
        struct wait holder = {.channel = ch, .fn = wait_for_answer};
        struct wait w = {.channel = ch, .fn = cases[i].fn};

        if (cases[i].is_full) {
            expect_ok(nd_group_spawn(other, run_wait, &holder));
            fixture_until(&o.requests, 1);
        }
        expect_ok(nd_group_spawn(group, run_wait, &w));
        expect_ok(nd_fiber_sleep(ND_SECOND));
        assert_int_equal(w.done, 0);
        nd_group_cancel(group);
        fixture_until(&w.done, 1);
        assert_int_equal(w.code, ND_CANCELLED);
        nd_group_cancel(other);
        while (nd_group_count(other) != 0)
            expect_ok(nd_fiber_yield());
        nd_channel_free(ch);
        origin_fini(&o);
    }
    return NULL;
}

/* --- backoff --- */

/* So many attempts fit into ten seconds. */
static unsigned
dials_in_ten_seconds(struct origin *o, struct nd_channel *ch)
{
    unsigned before = o->dials;
    ND_DEADLINE_IN(10 * ND_SECOND);

    expect_code(wait_for_ready(ch), ND_DEADLINE);
    return o->dials - before;
}

IN_LOOP(only_a_server_that_says_settings_ends_the_backoff)
{
    struct origin o = {.script = &good, .hang_up = true};
    struct nd_channel *ch = origin_channel(&o);

    /* 50 ms growing to a second: a connection that is closed again is no success */
    assert_in_range(dials_in_ten_seconds(&o, ch), 10, 20);
    assert_in_range(dials_in_ten_seconds(&o, ch), 8, 13);
    o.hang_up = false;
    expect_ok(wait_for_ready(ch));
    o.drops = 1;
    expect_code(origin_call(ch), ND_UNAVAILABLE);
    o.hang_up = true;
    assert_in_range(dials_in_ten_seconds(&o, ch), 14, 20);
    nd_channel_free(ch);
    origin_fini(&o);
    return NULL;
}

/* --- idleness --- */

IN_LOOP(an_unused_connection_is_closed_and_made_anew)
{
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.channel = {.max_idle_ns = ND_MINUTE}});

    expect_ok(fixture_echo(f, 10));
    for (int i = 0; i < 5; i++) {
        expect_ok(nd_fiber_sleep(50 * ND_SECOND));
        expect_ok(fixture_echo(f, 10));
    }
    assert_int_equal(f->dials, 1);
    expect_ok(nd_fiber_sleep(59 * ND_SECOND));
    assert_int_equal(nd_channel_get_state(f->channel), ND_CHANNEL_READY);
    expect_ok(nd_fiber_sleep(2 * ND_SECOND));
    assert_int_equal(nd_channel_get_state(f->channel), ND_CHANNEL_IDLE);
    expect_ok(fixture_echo(f, 10));
    assert_int_equal(f->dials, 2);
    return NULL;
}

IN_LOOP(a_connection_with_a_call_is_not_idle)
{
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.channel = {.max_idle_ns = ND_MINUTE}});
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    req.delay_ms = 1000 * 3600;
    expect_ok(nd_channel_unary(f->channel, ECHO_ECHO_SERVICE_UNARY, NULL, &req, f->arena, &rsp));
    assert_int_equal(nd_channel_get_state(f->channel), ND_CHANNEL_READY);
    expect_ok(nd_fiber_sleep(61 * ND_SECOND));
    assert_int_equal(nd_channel_get_state(f->channel), ND_CHANNEL_IDLE);
    return NULL;
}

/* --- how failures read --- */

static unsigned
count(const char *text, const char *what)
{
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
        n++;
    return n;
}

/* Takes `err`. */
static void
expect_text(struct nd_error *err, const char *target, const char *phase_and_cause)
{
    const char *text = nd_error_message(err);

    if (strncmp(text, target, strlen(target)) != 0 || count(text, target) != 1 ||
        strstr(text, phase_and_cause) == NULL)
        fail_msg("\"%s\" is not %s: %s", text, target, phase_and_cause);
    expect_code(err, ND_UNAVAILABLE);
}

static struct nd_error *
call_addr(const char *text)
{
    struct nd_addr addr;
    struct nd_channel *ch;
    struct nd_error *err;

    expect_ok(nd_addr_parse(nd_str(text), &addr));
    ch = nd_channel_new(&addr, NULL);
    err = origin_call(ch);
    nd_channel_free(ch);
    return err;
}

IN_LOOP(every_failure_names_target_phase_and_cause_once)
{
    struct origin o = {.script = &good, .dial_fails = 1};
    struct nd_channel *ch =
        origin_channel_with(&o, &(struct nd_channel_options){.connect_timeout_ns = 5 * ND_SECOND});

    expect_text(call_addr("tcp://127.0.0.1:1"), "127.0.0.1:1", ": connect: Connection refused");
    expect_text(call_addr("unix:/nonexistent/socket"), "unix:/nonexistent/socket",
                ": connect: No such file or directory");
    expect_text(origin_call(ch), "unix:/origin", ": connect: nobody is there");
    expect_text(origin_call(ch), "unix:/origin", ": connect: nobody is there"); /* backoff */
    expect_ok(nd_fiber_sleep(ND_SECOND));
    o.mute = true;
    expect_text(origin_call(ch), "unix:/origin", ": connect: no answer within 5000 ms");
    expect_ok(nd_fiber_sleep(ND_SECOND));
    o.mute = false;
    o.hang_up = true;
    expect_text(origin_call(ch), "unix:/origin", ": handshake: the peer closed the connection");
    expect_ok(nd_fiber_sleep(ND_SECOND));
    o.hang_up = false;
    o.drops = 1;
    expect_text(origin_call(ch), "unix:/origin", ": call: ");
    o.refuse = 1000;
    expect_text(origin_call(ch), "unix:/origin", ": call: refused by the server");
    nd_channel_free(ch);
    origin_fini(&o);
    return NULL;
}

/* --- metadata that nobody would take --- */

static struct nd_error *
call_with_metadata(struct nd_channel *ch, size_t size)
{
    ND_AUTO(nd_metadata_freep) struct nd_metadata *md = nd_metadata_new();
    ND_AUTO(nd_freep) char *value = nd_new_array(size + 1, char);

    memset(value, 'v', size);
    expect_ok(nd_metadata_add(md, ND_STR("x-large"), nd_str_n(value, size)));
    return origin_call_with(ch, &(struct nd_call_options){.metadata = md});
}

IN_LOOP(metadata_that_nobody_takes_is_refused_before_it_leaves)
{
    static const struct {
        size_t size;
        uint32_t server_limit;
        enum nd_code code;
    } cases[] = {
        {15000, 16384, ND_OK},           {16384, 16384, ND_EXHAUSTED},     {64000, 1u << 20, ND_OK},
        {65536, 1u << 20, ND_EXHAUSTED}, {200000, 1u << 20, ND_EXHAUSTED},
    };

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct origin o = {.script = &good, .max_header_list = cases[i].server_limit};
        struct nd_channel *ch = origin_channel(&o);

        expect_code(call_with_metadata(ch, cases[i].size), cases[i].code);
        expect_ok(origin_call(ch));
        assert_int_equal(o.dials, 1);
        assert_int_equal(o.requests, cases[i].code == ND_OK ? 2 : 1);
        nd_channel_free(ch);
        origin_fini(&o);
    }
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_given_in_the_order_of_asking),
        cmocka_unit_test(who_waits_too_long_for_a_stream_leaves_the_line),
        cmocka_unit_test(every_wait_ends_when_the_fiber_is_cancelled),
        cmocka_unit_test(only_a_server_that_says_settings_ends_the_backoff),
        cmocka_unit_test(an_unused_connection_is_closed_and_made_anew),
        cmocka_unit_test(a_connection_with_a_call_is_not_idle),
        cmocka_unit_test(every_failure_names_target_phase_and_cause_once),
        cmocka_unit_test(metadata_that_nobody_takes_is_refused_before_it_leaves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
