/* Compressed messages, both ways, and what a hostile peer may make of them. */

#include "codec/gzip.h"
#include "codec/pb.h"

#include "frame_priv.h"
#include "origin.h"
#include "raw.h"

#define SIZE 200000u

static const struct nd_call_options gzip_options = {.compression = ND_COMPRESSION_GZIP};

static struct nd_metadata *
metadata_with(const char *key, const char *value)
{
    struct nd_metadata *md = nd_metadata_new();

    expect_ok(nd_metadata_add(md, nd_str(key), nd_str(value)));
    return md;
}

/* A frame around bytes, compressed or not. */
static void
put_frame(struct nd_buf *dst, bool compressed, struct nd_str bytes)
{
    char prefix[ND_FRAME_PREFIX];

    nd_frame_prefix(prefix, compressed, bytes.len);
    nd_buf_put(dst, nd_str_n(prefix, sizeof(prefix)));
    nd_buf_put(dst, bytes);
}

static void
put_gzip(struct nd_buf *dst, struct nd_str bytes)
{
    struct nd_buf packed = ND_BUF_INIT(1u << 24);
    ND_AUTO(nd_gzip_freep) struct nd_gzip *gzip = nd_gzip_new(bytes.len);

    expect_ok(nd_gzip_add(gzip, bytes, &packed));
    expect_ok(nd_gzip_finish(gzip, &packed));
    put_frame(dst, true, nd_buf_str(&packed));
    nd_buf_fini(&packed);
}

/* A message of zeros: it becomes a thousand times smaller. */
static void
put_zeros(struct nd_buf *dst, size_t size)
{
    ND_AUTO(nd_freep) char *zeros = nd_new_array(size + 1, char);

    put_gzip(dst, nd_str_n(zeros, size));
}

/* --- frames --- */

IN_LOOP(a_message_survives_compression)
{
    static const size_t sizes[] = {0, 1, 100, 65530, 65536, 3000000};

    for (size_t i = 0; i < ND_LEN(sizes); i++) {
        Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        ND_AUTO(nd_freep) uint8_t *payload = nd_new_array(sizes[i] + 1, uint8_t);
        struct nd_buf queue = ND_BUF_INIT(1u << 24);
        Echo__EchoRequest *got;
        struct nd_frames f;
        struct nd_str bytes;
        bool found;

        for (size_t b = 0; b < sizes[i]; b++)
            payload[b] = (uint8_t)(b / 100);
        req.payload.data = payload;
        req.payload.len = sizes[i];
        expect_ok(nd_frame_put_gzip(&queue, &req));
        assert_int_equal(queue.ptr[0], sizes[i] >= 100);
        nd_frames_init(&f, SIZE_MAX / 8);
        f.encoding = ND_ENCODING_GZIP;
        nd_frames_feed(&f, nd_buf_str(&queue));
        expect_ok(nd_frames_next(&f, &bytes, &found));
        assert_true(found);
        assert_int_equal(f.taken, queue.len);
        expect_ok(
            nd_pb_decode(&echo__echo_request__descriptor, bytes, arena, (ProtobufCMessage **)&got));
        assert_int_equal(got->payload.len, sizes[i]);
        if (sizes[i] != 0)
            assert_memory_equal(got->payload.data, payload, sizes[i]);
        nd_frames_fini(&f);
        nd_buf_fini(&queue);
    }
    return NULL;
}

IN_LOOP(what_does_not_shrink_is_sent_as_it_is)
{
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    struct nd_buf queue = ND_BUF_INIT(1u << 20);
    uint8_t noise[1000];
    uint64_t x = 1;

    for (size_t i = 0; i < sizeof(noise); i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        noise[i] = (uint8_t)(x >> 56);
    }
    req.payload.data = noise;
    req.payload.len = sizeof(noise);
    expect_ok(nd_frame_put_gzip(&queue, &req));
    assert_int_equal(queue.ptr[0], 0);
    assert_int_equal(queue.len, ND_FRAME_PREFIX + 3 + sizeof(noise));
    nd_buf_fini(&queue);
    return NULL;
}

IN_LOOP(a_bomb_is_stopped_at_the_maximum_message)
{
    static const struct {
        size_t size, max;
        enum nd_code code;
    } cases[] = {
        {1000, 1000, ND_OK},   {1001, 1000, ND_EXHAUSTED},   {10000000, 1000000, ND_EXHAUSTED},
        {65536, 65536, ND_OK}, {65537, 65536, ND_EXHAUSTED},
    };

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_buf wire = ND_BUF_INIT(1u << 20);
        struct nd_frames f;
        struct nd_str bytes;
        bool found;

        put_zeros(&wire, cases[i].size);
        nd_frames_init(&f, cases[i].max);
        f.encoding = ND_ENCODING_GZIP;
        nd_frames_feed(&f, nd_buf_str(&wire));
        expect_code(nd_frames_next(&f, &bytes, &found), cases[i].code);
        assert_true(f.plain.cap <= (cases[i].code == ND_OK ? cases[i].max + 1 : 0));
        nd_frames_fini(&f);
        nd_buf_fini(&wire);
    }
    return NULL;
}

IN_LOOP(nothing_is_held_between_two_messages)
{
    struct nd_buf wire = ND_BUF_INIT(1u << 20);
    struct nd_frames f;
    struct nd_str bytes;
    bool found;

    put_zeros(&wire, SIZE);
    nd_frames_init(&f, 1u << 20);
    f.encoding = ND_ENCODING_GZIP;
    nd_frames_feed(&f, nd_buf_str(&wire));
    expect_ok(nd_frames_next(&f, &bytes, &found));
    assert_int_equal(bytes.len, SIZE);
    expect_ok(nd_frames_next(&f, &bytes, &found));
    assert_false(found);
    assert_int_equal(f.plain.cap, 0);
    nd_frames_fini(&f);
    nd_buf_fini(&wire);
    return NULL;
}

struct feeder {
    struct nd_frames *f;
    struct nd_str bytes;
    unsigned fed;
};

static struct nd_error *
feed_it(void *arg)
{
    struct feeder *feeder = arg;

    nd_frames_feed(feeder->f, feeder->bytes);
    feeder->fed++;
    return NULL;
}

/* Others run while it is inflated, and the bytes that come meanwhile move the buffer. */
IN_LOOP(a_message_can_arrive_while_another_is_inflated)
{
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("feeder", 0);
    struct nd_buf wire = ND_BUF_INIT(1u << 22);
    ND_AUTO(nd_freep) char *noise = nd_new_array(1000001, char);
    struct nd_frames f;
    struct feeder feeder = {.f = &f};
    struct nd_str bytes;
    bool found;

    put_zeros(&wire, 5000000);
    nd_frames_init(&f, 5000000);
    f.encoding = ND_ENCODING_GZIP;
    nd_frames_feed(&f, nd_buf_str(&wire));
    nd_buf_clear(&wire);
    put_frame(&wire, false, nd_str_n(noise, 1000000));
    feeder.bytes = nd_buf_str(&wire);
    expect_ok(nd_group_spawn(group, feed_it, &feeder));
    expect_ok(nd_frames_next(&f, &bytes, &found));
    assert_int_equal(feeder.fed, 1);
    assert_int_equal(bytes.len, 5000000);
    expect_ok(nd_frames_next(&f, &bytes, &found));
    assert_int_equal(bytes.len, 1000000);
    nd_frames_fini(&f);
    nd_buf_fini(&wire);
    return NULL;
}

/* --- the server --- */

/* Send a body with grpc-encoding; `answer` may be NULL. */
static void
post(struct fixture *f, const char *encoding, struct nd_str body, struct raw *r)
{
    struct nd_header headers[8];

    raw_request(f, r, headers, raw_headers_with(headers, "grpc-encoding", encoding), body);
}

IN_LOOP(bad_compression_is_refused_and_the_connection_lives)
{
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.server = {.max_message_bytes = 1000}});
    struct nd_buf good = ND_BUF_INIT(1u << 16), bomb = ND_BUF_INIT(1u << 16);
    struct nd_buf cut = ND_BUF_INIT(1u << 16), tail = ND_BUF_INIT(1u << 16);
    struct {
        const char *encoding;
        struct nd_buf *wire;
        struct nd_str bytes;
        const char *grpc_status;
    } cases[] = {
        {"gzip", &good, {0}, "0"},
        {"gzip", NULL, {"\0\0\0\0\2\x0a\0", 7}, "0"},
        {"identity", &good, {0}, "13"},
        {"deflate", &good, {0}, "12"},
        {"gzip", &bomb, {0}, "8"},
        {"gzip", &cut, {0}, "13"},
        {"gzip", &tail, {0}, "13"},
        {"gzip", NULL, {"\1\0\0\0\0", 5}, "13"},
        {"gzip", NULL, {"\1\0\0\0\4\x1f\x8b\x08\0", 9}, "13"},
        {"gzip", NULL, {"\2\0\0\0\0", 5}, "13"},
    };

    put_gzip(&good,
             ND_STR("\x0a\x40xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
    put_zeros(&bomb, SIZE);
    put_frame(&cut, true, nd_str_n(good.ptr + 5, good.len - 6));
    put_frame(&tail, true, nd_str_n(good.ptr + 5, good.len - 4)); /* and the NUL behind it */
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct raw r;

        post(f, cases[i].encoding,
             cases[i].wire != NULL ? nd_buf_str(cases[i].wire) : cases[i].bytes, &r);
        if (strcmp(r.grpc_status, cases[i].grpc_status) != 0)
            print_error("case %zu: %s\n", i, r.message);
        assert_string_equal(r.grpc_status, cases[i].grpc_status);
        assert_string_equal(r.accept, i == 3 ? "identity,gzip" : "");
        raw_fini(&r);
    }
    nd_buf_fini(&good);
    nd_buf_fini(&bomb);
    nd_buf_fini(&cut);
    nd_buf_fini(&tail);
    return NULL;
}

struct holder {
    struct fixture *f;
    enum nd_code code;
    unsigned done;
};

static struct nd_error *
hold_zeros(void *arg)
{
    struct holder *h = arg;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_freep) uint8_t *zeros = nd_new_array(SIZE, uint8_t);
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;
    struct nd_error *err;

    req.payload.data = zeros;
    req.payload.len = SIZE;
    req.delay_ms = 1000;
    err =
        nd_channel_unary(h->f->channel, ECHO_ECHO_SERVICE_UNARY, &gzip_options, &req, arena, &rsp);
    h->code = nd_error_code(err);
    h->done = 1;
    nd_error_free(err);
    return NULL;
}

/* A few hundred bytes each on the wire; what counts is what they make the server hold. */
IN_LOOP(compressed_requests_count_with_what_they_hold)
{
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.server = {.max_held_bytes = 3 * SIZE}});
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);
    struct holder holders[5];
    unsigned refused = 0;

    for (size_t i = 0; i < ND_LEN(holders); i++) {
        holders[i] = (struct holder){.f = f};
        expect_ok(nd_group_spawn(group, hold_zeros, &holders[i]));
    }
    for (size_t i = 0; i < ND_LEN(holders); i++) {
        fixture_until(&holders[i].done, 1);
        refused += holders[i].code == ND_EXHAUSTED;
        assert_true(holders[i].code == ND_OK || holders[i].code == ND_EXHAUSTED);
    }
    assert_int_equal(refused, 3);
    for (size_t i = 0; i < ND_LEN(holders);
         i++) { /* one after the other: nothing is left of them */
        holders[i] = (struct holder){.f = f};
        expect_ok(hold_zeros(&holders[i]));
        assert_int_equal(holders[i].code, ND_OK);
    }
    return NULL;
}

/* On a stream, one message at a time. */
IN_LOOP(a_compressed_stream_counts_with_its_last_message)
{
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.server = {.max_held_bytes = 3 * SIZE}});
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    ND_AUTO(nd_freep) uint8_t *zeros = nd_new_array(SIZE, uint8_t);
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    req.payload.data = zeros;
    req.payload.len = SIZE;
    expect_ok(
        nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_CLIENT_STREAM, &gzip_options, &call));
    for (int i = 0; i < 20; i++)
        expect_ok(nd_client_call_send(call, &req));
    expect_ok(nd_client_call_finish_sending(call));
    expect_ok(nd_client_call_recv(call, f->arena, &rsp));
    assert_int_equal(rsp->bytes, 20 * SIZE);
    return NULL;
}

/* The answer is compressed when both the handler wants it and the client takes it. */
IN_LOOP(an_answer_is_compressed_only_when_asked_and_accepted)
{
    static const struct {
        const char *accept;
        bool asked, compressed;
    } cases[] = {
        {"gzip", true, true}, {"identity, gzip", true, true}, {"identity,deflate", true, false},
        {"", true, false},    {"xgzip", true, false},         {"gzip", false, false},
    };
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    struct nd_buf body = ND_BUF_INIT(100);

    put_frame(&body, false, ND_STR("\x18\x90\x4e")); /* reply_size = 10000 */
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_header headers[10];
        size_t n = raw_headers_with(headers, "grpc-accept-encoding", cases[i].accept);
        struct raw r;

        headers[n++] = (struct nd_header){ND_STR("compress"), ND_STR("gzip")};
        raw_request(f, &r, headers, cases[i].asked ? n : n - 1, nd_buf_str(&body));
        assert_string_equal(r.grpc_status, "0");
        assert_string_equal(r.encoding, cases[i].compressed ? "gzip" : "");
        assert_int_equal(r.body.ptr[0], cases[i].compressed);
        assert_true(cases[i].compressed ? r.body.len < 200 : r.body.len > 10000);
        raw_fini(&r);
    }
    nd_buf_fini(&body);
    return NULL;
}

/* --- both sides together --- */

IN_LOOP(all_call_shapes_work_compressed)
{
    static const struct nd_method_desc *const methods[] = {
        ECHO_ECHO_SERVICE_UNARY, ECHO_ECHO_SERVICE_SERVER_STREAM, ECHO_ECHO_SERVICE_CLIENT_STREAM,
        ECHO_ECHO_SERVICE_BIDI};
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    ND_AUTO(nd_metadata_freep) struct nd_metadata *md = metadata_with("compress", "every-other");
    const struct nd_call_options options = {.metadata = md, .compression = ND_COMPRESSION_GZIP};
    ND_AUTO(nd_freep) uint8_t *payload = nd_new_array(SIZE, uint8_t);

    for (size_t i = 0; i < ND_LEN(methods); i++) {
        ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
        Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
        Echo__EchoReply *rsp;
        unsigned received = 0;

        req.payload.data = payload;
        req.payload.len = SIZE;
        req.repeat = 3;
        expect_ok(nd_client_call_begin(f->channel, methods[i], &options, &call));
        for (unsigned m = 0; m < (methods[i]->kind == ND_BIDI ? 3 : 1); m++) {
            nd_client_call_set_compression(call,
                                           m == 1 ? ND_COMPRESSION_NONE : ND_COMPRESSION_GZIP);
            expect_ok(nd_client_call_send(call, &req));
        }
        expect_ok(nd_client_call_finish_sending(call));
        for (;;) {
            nd_arena_reset(f->arena);
            expect_ok(nd_client_call_recv(call, f->arena, &rsp));
            if (rsp == NULL)
                break;
            /* The sum of a client stream is no longer for being compressed. */
            assert_int_equal(nd_client_call_was_compressed(call),
                             methods[i]->kind != ND_CLIENT_STREAM && received % 2 == 0);
            received++;
            assert_int_equal(methods[i]->kind == ND_CLIENT_STREAM ? rsp->bytes : rsp->payload.len,
                             SIZE);
        }
        assert_int_equal(received, i % 2 == 0 ? 1 : 3);
    }
    assert_int_equal(f->echo.compressed, 5); /* of six: the second one of the bidi call was not */
    return NULL;
}

/* --- the client --- */

IN_LOOP(a_client_compresses_what_its_options_say)
{
    static const struct {
        enum nd_compression channel, call;
        const char *encoding;
    } cases[] = {
        {ND_COMPRESSION_DEFAULT, ND_COMPRESSION_DEFAULT, ""},
        {ND_COMPRESSION_DEFAULT, ND_COMPRESSION_GZIP, "gzip"},
        {ND_COMPRESSION_GZIP, ND_COMPRESSION_DEFAULT, "gzip"},
        {ND_COMPRESSION_GZIP, ND_COMPRESSION_NONE, ""},
        {ND_COMPRESSION_NONE, ND_COMPRESSION_DEFAULT, ""},
        {ND_COMPRESSION_NONE, ND_COMPRESSION_GZIP, "gzip"},
    };
    static const struct script good = {
        .headers = ORIGIN_HEADERS, .body = ORIGIN_REPLY, .trailers = ORIGIN_TRAILERS};

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct origin o = {.script = &good};
        struct nd_channel *ch =
            origin_channel_with(&o, &(struct nd_channel_options){.compression = cases[i].channel});
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
        Echo__EchoReply *rsp;
        uint8_t zeros[1000] = {0};

        req.payload.data = zeros;
        req.payload.len = sizeof(zeros);
        expect_ok(nd_channel_unary(ch, ECHO_ECHO_SERVICE_UNARY,
                                   &(struct nd_call_options){.compression = cases[i].call}, &req,
                                   arena, &rsp));
        assert_string_equal(o.encoding, cases[i].encoding);
        assert_string_equal(o.accept, i == 4 ? "" : "identity,gzip");
        assert_int_equal(o.body.len < 100, cases[i].encoding[0] != '\0');
        nd_channel_free(ch);
        origin_fini(&o);
    }
    return NULL;
}

IN_LOOP(a_client_reads_and_refuses_compressed_answers)
{
    struct nd_buf good = ND_BUF_INIT(1000), bomb = ND_BUF_INIT(1u << 16);
    const struct {
        const char *encoding;
        struct nd_buf *body;
        enum nd_code code;
    } cases[] = {
        {"gzip", &good, ND_OK},
        {"identity", &good, ND_INTERNAL},
        {"snappy", &good, ND_INTERNAL},
        {"gzip", &bomb, ND_EXHAUSTED},
    };

    put_gzip(&good, ND_STR("\x0a\2ok"));
    put_zeros(&bomb, SIZE);
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        const struct script script = {
            .headers = {{":status", "200"},
                        {"content-type", "application/grpc"},
                        {"grpc-encoding", cases[i].encoding}},
            .body = nd_buf_str(cases[i].body),
            .trailers = {{"grpc-status", "0"}, {"grpc-encoding", "snappy"}}}; /* too late */
        struct origin o = {.script = &script};
        struct nd_channel *ch =
            origin_channel_with(&o, &(struct nd_channel_options){.max_message_bytes = SIZE / 2});

        expect_code(origin_call_with(ch, &gzip_options), cases[i].code);
        nd_channel_free(ch);
        origin_fini(&o);
    }
    nd_buf_fini(&good);
    nd_buf_fini(&bomb);
    return NULL;
}

/* --- the end in the middle of it --- */

static struct nd_error *
compress_large(void *arg)
{
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    struct nd_buf queue = ND_BUF_INIT(1u << 24);
    ND_AUTO(nd_freep) uint8_t *zeros = nd_new_array(10000000, uint8_t);
    struct nd_error *err;

    req.payload.data = zeros;
    req.payload.len = 10000000;
    err = nd_frame_put_gzip(&queue, &req);
    *(enum nd_code *)arg = nd_error_code(err);
    assert_int_equal(queue.len, 0);
    nd_error_free(err);
    nd_buf_fini(&queue);
    return NULL;
}

static struct nd_error *
inflate_large(void *arg)
{
    struct nd_buf wire = ND_BUF_INIT(1u << 20);
    struct nd_frames f;
    struct nd_str bytes;
    struct nd_error *err;
    bool found;

    put_zeros(&wire, 10000000);
    nd_frames_init(&f, 10000000);
    f.encoding = ND_ENCODING_GZIP;
    nd_frames_feed(&f, nd_buf_str(&wire));
    err = nd_frames_next(&f, &bytes, &found);
    *(enum nd_code *)arg = nd_error_code(err);
    nd_error_free(err);
    nd_frames_fini(&f);
    nd_buf_fini(&wire);
    return NULL;
}

IN_LOOP(a_cancelled_fiber_stops_in_the_middle_of_a_message)
{
    nd_fiber_fn *const both[] = {compress_large, inflate_large};

    for (size_t i = 0; i < ND_LEN(both); i++) {
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("work", 0);
        enum nd_code code = ND_OK;

        expect_ok(nd_group_spawn(group, both[i], &code));
        expect_ok(nd_fiber_yield());
        nd_group_cancel(group);
        while (nd_group_count(group) != 0)
            expect_ok(nd_fiber_yield());
        assert_int_equal(code, ND_CANCELLED);
    }
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_survives_compression),
        cmocka_unit_test(what_does_not_shrink_is_sent_as_it_is),
        cmocka_unit_test(a_bomb_is_stopped_at_the_maximum_message),
        cmocka_unit_test(nothing_is_held_between_two_messages),
        cmocka_unit_test(a_message_can_arrive_while_another_is_inflated),
        cmocka_unit_test(bad_compression_is_refused_and_the_connection_lives),
        cmocka_unit_test(compressed_requests_count_with_what_they_hold),
        cmocka_unit_test(a_compressed_stream_counts_with_its_last_message),
        cmocka_unit_test(an_answer_is_compressed_only_when_asked_and_accepted),
        cmocka_unit_test(all_call_shapes_work_compressed),
        cmocka_unit_test(a_client_compresses_what_its_options_say),
        cmocka_unit_test(a_client_reads_and_refuses_compressed_answers),
        cmocka_unit_test(a_cancelled_fiber_stops_in_the_middle_of_a_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
