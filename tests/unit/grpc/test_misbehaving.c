/*
 * The client against a server that does by hand what no good server does: the negative cases of
 * gRPC's interoperability tests, and the ends of connections. The test's fiber is the server and
 * writes frames; the calls run in fibers of their own.
 */

#include <stdio.h>

#include "fixture.h"
#include "site.h"

#define ACK    0x1u
#define PADDED 0x8u

#define HEAD_BYTES 9u

/* :status 200, content-type application/grpc */
static const struct nd_str response = {"\x88\x0f\x10\x10"
                                       "application/grpc",
                                       20};
/* grpc-status 0 */
static const struct nd_str status_ok = {"\x00\x0bgrpc-status\x01"
                                        "0",
                                        15};
static const struct nd_str reply = {"\0\0\0\0\4\x0a\2ok", 9};

struct frame {
    unsigned type, flags;
    uint32_t id;
    struct nd_str payload; /* valid until the next one is read */
};

struct peer {
    struct nd_stream *streams[4]; /* one per dial */
    struct nd_stream *stream;     /* the one that is spoken on */
    unsigned dials;
    size_t capacity;
    struct nd_channel *channel;
    struct nd_group *group;
    struct nd_buf got; /* received and not looked at */
    size_t pos;
    size_t window, stream_window; /* what may be sent */
};

static struct nd_error *
dial_peer(void *arg, struct nd_stream **ret)
{
    struct peer *p = arg;

    assert_true(p->dials < ND_LEN(p->streams));
    nd_stream_pair(p->capacity, ret, &p->streams[p->dials]);
    p->dials++;
    return NULL;
}

static void
begin_with(struct peer *p, struct nd_channel_options options)
{
    const struct nd_addr addr = {.kind = ND_PEER_UNIX, .path = "/peer"};

    *p = (struct peer){.capacity = CAPACITY_LARGE, .got = ND_BUF_INIT(1u << 24)};
    p->group = nd_group_begin("calls", 0);
    options.dial = dial_peer;
    options.dial_arg = p;
    p->channel = nd_channel_new(&addr, &options);
}

static void
begin(struct peer *p)
{
    begin_with(p, (struct nd_channel_options){0});
}

static void
finish(struct peer *p)
{
    nd_channel_free(p->channel);
    nd_group_end(p->group);
    for (size_t i = 0; i < ND_LEN(p->streams); i++)
        nd_stream_close(p->streams[i]);
    nd_buf_fini(&p->got);
}

/* --- saying and hearing --- */

static void
tell(struct peer *p, unsigned type, unsigned flags, uint32_t id, struct nd_str payload)
{
    struct nd_buf b = ND_BUF_INIT(1u << 20);

    put_frame(&b, type, flags, id, payload);
    expect_ok(nd_stream_write(p->stream, nd_buf_str(&b)));
    nd_buf_fini(&b);
}

static size_t
available(const struct peer *p)
{
    return p->got.len - p->pos;
}

static void
need(struct peer *p, size_t n)
{
    char bytes[4096];
    size_t got;

    while (available(p) < n) {
        expect_ok(nd_stream_read(p->stream, bytes, sizeof(bytes), &got));
        assert_int_not_equal(got, 0);
        nd_buf_put(&p->got, nd_str_n(bytes, got));
    }
}

static uint32_t
number(const char *at, size_t n)
{
    uint32_t value = 0;

    for (size_t i = 0; i < n; i++)
        value = value << 8 | (unsigned char)at[i];
    return value;
}

static struct frame
hear(struct peer *p)
{
    const char *head;
    struct frame f;
    uint32_t len;

    nd_buf_drop(&p->got, p->pos);
    p->pos = 0;
    need(p, HEAD_BYTES);
    len = number(p->got.ptr, 3);
    need(p, HEAD_BYTES + len);
    head = p->got.ptr;
    f = (struct frame){.type = (unsigned char)head[3],
                       .flags = (unsigned char)head[4],
                       .id = number(head + 5, 4),
                       .payload = nd_str_n(head + HEAD_BYTES, len)};
    p->pos = HEAD_BYTES + len;
    if (f.type == WINDOW_UPDATE)
        *(f.id == 0 ? &p->window : &p->stream_window) += number(f.payload.ptr, 4);
    return f;
}

/* Read until a frame of that type comes. */
static struct frame
await(struct peer *p, unsigned type)
{
    struct frame f;

    do
        f = hear(p);
    while (f.type != type || (type == SETTINGS && f.flags == ACK));
    return f;
}

/* Speak on the n-th connection: the client's preface, both SETTINGS. */
static void
greet(struct peer *p, unsigned dial, struct nd_str settings)
{
    struct frame f;

    for (int i = 0; p->dials <= dial && i < 10000; i++)
        expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    assert_true(p->dials > dial);
    p->stream = p->streams[dial];
    nd_buf_clear(&p->got);
    p->pos = 0;
    p->window = p->stream_window = 65535;
    tell(p, SETTINGS, 0, 0, settings);
    need(p, sizeof(PREFACE) - 1);
    p->pos = sizeof(PREFACE) - 1;
    f = await(p, SETTINGS);
    for (size_t i = 0; i < f.payload.len; i += 6) {
        if (number(f.payload.ptr + i, 2) == 4)
            p->stream_window = number(f.payload.ptr + i + 2, 4);
    }
    tell(p, SETTINGS, ACK, 0, ND_STR_NONE);
}

static void
answer(struct peer *p, uint32_t id)
{
    tell(p, HEADERS, END_HEADERS, id, response);
    tell(p, DATA, 0, id, reply);
    tell(p, HEADERS, END_HEADERS | END_STREAM, id, status_ok);
}

static void
reset(struct peer *p, uint32_t id, unsigned code)
{
    const char payload[] = {0, 0, 0, (char)code};

    tell(p, RST_STREAM, 0, id, nd_str_n(payload, sizeof(payload)));
}

static void
go_away(struct peer *p, uint32_t last, unsigned code, const char *text)
{
    struct nd_str reason = nd_str(text);
    char payload[100];

    for (int i = 0; i < 4; i++) {
        payload[i] = (char)(last >> (24 - 8 * i));
        payload[4 + i] = (char)(code >> (24 - 8 * i));
    }
    memcpy(payload + 8, reason.ptr, reason.len);
    tell(p, GOAWAY, 0, 0, nd_str_n(payload, 8 + reason.len));
}

/* --- calls --- */

struct job {
    struct peer *peer;
    const struct nd_method_desc *method;
    size_t size; /* of the request's payload */
    size_t reply_size;
    unsigned messages;
    enum nd_code code;
    char text[200];
    unsigned done;
};

static struct nd_error *
exchange(struct job *job, struct nd_client_call *call, struct nd_arena *arena)
{
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    ND_AUTO(nd_freep) uint8_t *payload = nd_new_array(job->size + 1, uint8_t);
    Echo__EchoReply *rsp;

    req.payload.data = payload;
    req.payload.len = job->size;
    ND_TRY(nd_client_call_send(call, &req));
    ND_TRY(nd_client_call_finish_sending(call));
    for (;;) {
        ND_TRY(nd_client_call_recv(call, arena, &rsp));
        if (rsp == NULL)
            return NULL;
        job->messages++;
        job->reply_size = rsp->payload.len;
    }
}

static struct nd_error *
make_call(void *arg)
{
    struct job *job = arg;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    struct nd_error *err = nd_client_call_begin(
        job->peer->channel, job->method != NULL ? job->method : ECHO_ECHO_SERVICE_SERVER_STREAM,
        NULL, &call);

    if (err == NULL)
        err = exchange(job, call, arena);
    job->code = nd_error_code(err);
    if (err != NULL)
        snprintf(job->text, sizeof(job->text), "%s", nd_error_message(err));
    job->done = 1;
    nd_error_free(err);
    return NULL;
}

static void
start(struct peer *p, struct job *job)
{
    job->peer = p;
    expect_ok(nd_group_spawn(p->group, make_call, job));
}

static void
expect_end(struct job *job, enum nd_code code, unsigned messages)
{
    fixture_until(&job->done, 1);
    if (job->code != code)
        print_error("%s\n", job->text);
    assert_int_equal(job->code, code);
    assert_int_equal(job->messages, messages);
}

/* --- goaway --- */

IN_LOOP(after_goaway_calls_use_another_connection)
{
    struct peer p;
    struct job first = {0}, second = {0};

    begin(&p);
    start(&p, &first);
    greet(&p, 0, ND_STR_NONE);
    answer(&p, await(&p, HEADERS).id);
    expect_end(&first, ND_OK, 1);
    go_away(&p, 1, ND_H2_NO_ERROR, "");
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    start(&p, &second);
    greet(&p, 1, ND_STR_NONE);
    answer(&p, await(&p, HEADERS).id);
    expect_end(&second, ND_OK, 1);
    finish(&p);
    return NULL;
}

/* Two calls are under way: the server has taken the first. */
IN_LOOP(goaway_moves_the_calls_that_the_server_did_not_take)
{
    struct peer p;
    struct job first = {0}, second = {.size = 1000};
    struct frame f;

    begin(&p);
    start(&p, &first);
    greet(&p, 0, ND_STR_NONE);
    await(&p, HEADERS);
    start(&p, &second);
    assert_int_equal(await(&p, HEADERS).id, 3);
    go_away(&p, INT32_MAX, ND_H2_NO_ERROR, "");
    go_away(&p, 1, ND_H2_NO_ERROR, "");
    greet(&p, 1, ND_STR_NONE);
    assert_int_equal(await(&p, HEADERS).id, 1);
    f = await(&p, DATA);
    assert_int_equal(f.payload.len, 5 + 3 + 1000); /* sent again */
    answer(&p, 1);
    expect_end(&second, ND_OK, 1);
    assert_int_equal(first.done, 0);
    p.stream = p.streams[0];
    answer(&p, 1);
    expect_end(&first, ND_OK, 1);
    finish(&p);
    return NULL;
}

IN_LOOP(pings_found_too_many_become_half_as_many)
{
    struct peer p;
    struct job first = {0}, second = {0};
    int64_t since_ns, before_ns;

    begin_with(&p, (struct nd_channel_options){.keepalive_time_ns = 10 * ND_SECOND,
                                               .keepalive_timeout_ns = ND_HOUR});
    start(&p, &first);
    greet(&p, 0, ND_STR_NONE);
    await(&p, HEADERS);
    since_ns = nd_loop_now().ns;
    await(&p, PING);
    before_ns = nd_loop_now().ns - since_ns;
    go_away(&p, 1, ND_H2_ENHANCE_YOUR_CALM, "too_many_pings");
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    start(&p, &second);
    greet(&p, 1, ND_STR_NONE);
    await(&p, HEADERS);
    since_ns = nd_loop_now().ns;
    await(&p, PING);
    assert_true(nd_loop_now().ns - since_ns >= 2 * before_ns - 2 * ND_SECOND);
    finish(&p);
    return NULL;
}

/* --- resets --- */

IN_LOOP(a_reset_is_an_error_wherever_it_comes)
{
    static const struct {
        struct nd_str data; /* sent before the reset; ptr NULL: not even headers */
        unsigned messages;
    } cases[] = {
        {{NULL, 0}, 0},
        {{"", 0}, 0},
        {{"\0\0\0\0\4\x0a\2", 7}, 0},
        {{"\0\0\0\0\4\x0a\2ok", 9}, 1},
    };

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct peer p;
        struct job stream = {0}, unary = {.method = ECHO_ECHO_SERVICE_UNARY};
        struct job *both[] = {&stream, &unary};

        begin(&p);
        start(&p, both[0]);
        greet(&p, 0, ND_STR_NONE);
        for (size_t m = 0; m < 2; m++) {
            uint32_t id = await(&p, HEADERS).id;

            if (cases[i].data.ptr != NULL)
                tell(&p, HEADERS, END_HEADERS, id, response);
            if (cases[i].data.len != 0)
                tell(&p, DATA, 0, id, cases[i].data);
            reset(&p, id, ND_H2_INTERNAL_ERROR);
            expect_end(both[m], ND_INTERNAL, cases[i].messages);
            assert_non_null(strstr(both[m]->text, "INTERNAL_ERROR"));
            if (m == 0)
                start(&p, both[1]);
        }
        assert_int_equal(p.dials, 1);
        finish(&p);
    }
    return NULL;
}

/* --- ping, limits, padding --- */

IN_LOOP(every_ping_is_answered_with_its_bytes)
{
    struct peer p;
    struct job job = {0};
    uint32_t id;

    begin(&p);
    start(&p, &job);
    greet(&p, 0, ND_STR_NONE);
    id = await(&p, HEADERS).id;
    for (int i = 0; i < 20; i++) {
        const char bytes[8] = {(char)i, 1, 2, 3, 4, 5, 6, 7};
        struct frame f;

        tell(&p, PING, 0, 0, nd_str_n(bytes, sizeof(bytes)));
        f = await(&p, PING);
        assert_int_equal(f.flags, ACK);
        assert_memory_equal(f.payload.ptr, bytes, sizeof(bytes));
    }
    answer(&p, id);
    expect_end(&job, ND_OK, 1);
    finish(&p);
    return NULL;
}

static const struct nd_str one_stream = {"\0\3\0\0\0\1", 6};

IN_LOOP(a_lowered_stream_limit_holds_for_the_next_calls)
{
    struct peer p;
    struct job jobs[4] = {{0}};

    begin(&p);
    start(&p, &jobs[0]);
    greet(&p, 0, ND_STR_NONE);
    await(&p, HEADERS);
    start(&p, &jobs[1]);
    await(&p, HEADERS);
    tell(&p, SETTINGS, 0, 0, one_stream);
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    start(&p, &jobs[2]);
    start(&p, &jobs[3]);
    answer(&p, 1);
    expect_end(&jobs[0], ND_OK, 1);
    tell(&p, PING, 0, 0, ND_STR("12345678"));
    for (struct frame f = hear(&p); f.type != PING; f = hear(&p))
        assert_int_not_equal(f.type, HEADERS); /* one is still too many */
    answer(&p, 3);
    assert_int_equal(await(&p, HEADERS).id, 5);
    answer(&p, 5);
    assert_int_equal(await(&p, HEADERS).id, 7);
    answer(&p, 7);
    for (size_t i = 1; i < 4; i++)
        expect_end(&jobs[i], ND_OK, 1);
    assert_int_equal(p.dials, 1);
    finish(&p);
    return NULL;
}

#define PIECE      5u
#define REPLY_SIZE 60000u

/* A message in pieces of five bytes, within the client's windows, each with so much padding. */
static void
send_in_pieces(struct peer *p, uint32_t id, size_t padding)
{
    char *message = nd_new_array(5 + 4 + REPLY_SIZE, char);
    const size_t size = 4 + REPLY_SIZE;
    const char head[] = {0,
                         0,
                         0,
                         (char)(size >> 8),
                         (char)size,
                         0x12,
                         (char)(REPLY_SIZE | 0x80),
                         (char)((REPLY_SIZE >> 7) | 0x80),
                         (char)(REPLY_SIZE >> 14)};

    memcpy(message, head, sizeof(head));
    for (size_t at = 0; at < 5 + size; at += PIECE) {
        char payload[1 + PIECE + 255] = {(char)padding};
        size_t len = ND_MIN(PIECE, 5 + size - at);
        size_t cost = len + (padding != 0 ? 1 + padding : 0);

        while (p->window < cost || p->stream_window < cost)
            hear(p);
        memcpy(payload + (padding != 0), message + at, len);
        tell(p, DATA, padding != 0 ? PADDED : 0, id, nd_str_n(payload, cost));
        p->window -= cost;
        p->stream_window -= cost;
    }
    nd_free(message);
}

IN_LOOP(padding_counts_in_both_windows)
{
    static const size_t paddings[] = {0, 255};

    for (size_t i = 0; i < ND_LEN(paddings); i++) {
        struct peer p;
        struct job job = {0};
        uint32_t id;

        begin(&p);
        start(&p, &job);
        greet(&p, 0, ND_STR_NONE);
        id = await(&p, HEADERS).id;
        tell(&p, HEADERS, END_HEADERS, id, response);
        send_in_pieces(&p, id, paddings[i]);
        tell(&p, HEADERS, END_HEADERS | END_STREAM, id, status_ok);
        expect_end(&job, ND_OK, 1);
        assert_int_equal(job.reply_size, REPLY_SIZE);
        finish(&p);
    }
    return NULL;
}

/* --- what has not left --- */

/* SETTINGS_INITIAL_WINDOW_SIZE of 1 MiB; the connection gets as much */
static const struct nd_str wide = {"\0\4\0\x10\0\0", 6};

/* The server does not read, so nothing leaves any more: then the connection is lost. */
IN_LOOP(a_call_that_never_left_is_made_again)
{
    struct peer p;
    struct job large = {.size = 500000}, small = {0};

    begin(&p);
    p.capacity = 4096;
    start(&p, &large);
    greet(&p, 0, wide);
    tell(&p, WINDOW_UPDATE, 0, 0, nd_str_n("\0\x10\0\0", 4));
    await(&p, HEADERS);
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    start(&p, &small);
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    nd_stream_close(ND_TAKE(p.streams[0]));
    greet(&p, 1, ND_STR_NONE);
    answer(&p, await(&p, HEADERS).id);
    expect_end(&small, ND_OK, 1);
    expect_end(&large, ND_UNAVAILABLE, 0);
    finish(&p);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_goaway_calls_use_another_connection),
        cmocka_unit_test(goaway_moves_the_calls_that_the_server_did_not_take),
        cmocka_unit_test(pings_found_too_many_become_half_as_many),
        cmocka_unit_test(a_reset_is_an_error_wherever_it_comes),
        cmocka_unit_test(every_ping_is_answered_with_its_bytes),
        cmocka_unit_test(a_lowered_stream_limit_holds_for_the_next_calls),
        cmocka_unit_test(padding_counts_in_both_windows),
        cmocka_unit_test(a_call_that_never_left_is_made_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
