/* What the server answers to requests that no good client makes, and how interceptors see calls. */

#include "codec/pb.h"

#include "fixture.h"
#include "raw.h"

/* A request for status NOT_FOUND with a message of so many letters. */
static size_t
make_failing_request(char *dst, char letter, size_t letters)
{
    struct nd_buf b = ND_BUF_INIT(4096);
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    ND_AUTO(nd_freep) char *message = nd_new_array(letters + 1, char);
    size_t size;

    memset(message, letter, letters);
    message[0] = message[letters - 1] = 'm';
    req.code = ND_NOT_FOUND;
    req.message = message;
    nd_buf_put(&b, ND_STR("\0\0\0\0\0"));
    expect_ok(nd_pb_encode(&req, &b));
    b.ptr[3] = (char)((b.len - 5) >> 8);
    b.ptr[4] = (char)(b.len - 5);
    memcpy(dst, b.ptr, size = b.len);
    nd_buf_fini(&b);
    return size;
}

static void
many_details(void *arg, const struct nd_error *err, struct nd_buf *buf)
{
    (void)arg;
    (void)err;
    for (int i = 0; i < 1000; i++)
        nd_buf_putc(buf, 'd');
}

IN_LOOP(requests_out_of_order_get_the_right_answer)
{
    static const struct {
        const char *name, *value;
        const char *status, *grpc_status, *message;
    } cases[] = {
        {NULL, NULL, "200", "0", ""},
        {"content-type", "application/grpc+proto", "200", "0", ""},
        {"grpc-encoding", "identity", "200", "0", ""},
        {"grpc-timeout", "5S", "200", "0", ""},
        {"x-bin", "Zg==,Zm8", "200", "0", ""},
        {"content-type", "application/json", "415", "3",
         "invalid gRPC request content-type \"application/json\""},
        {"content-type", "application/grpc-webs", "415", "3",
         "invalid gRPC request content-type \"application/grpc-webs\""},
        {"grpc-timeout", "1x", "400", "13", "malformed grpc-timeout"},
        {"grpc-timeout", "123456789S", "400", "13", "malformed grpc-timeout"},
        {"grpc-timeout", "0n", "200", "4", "the deadline has passed already"},
        {"x-bin", "!", "400", "13", "malformed binary metadata"},
        {":method", "GET", "405", "13", "the HTTP method of a call is POST"},
        {":path", "/x", "200", "12", "malformed method name: \"/x\""},
        {":path", "/no.Such/M", "200", "12", "unknown service no.Such"},
        {":path", "/nd.test.v1.EchoService/M", "200", "12",
         "unknown method M for service nd.test.v1.EchoService"},
        {"grpc-encoding", "zstd", "200", "12", "grpc: compressor \"zstd\" is not installed"},
    };
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_header headers[8];
        struct raw r;

        raw_request(f, &r, headers, raw_headers_with(headers, cases[i].name, cases[i].value),
                    ND_STR("\0\0\0\0\0"));
        assert_string_equal(r.status, cases[i].status);
        assert_string_equal(r.grpc_status, cases[i].grpc_status);
        assert_string_equal(r.message, cases[i].message);
        assert_int_equal(r.code, ND_H2_NO_ERROR);
        assert_string_equal(r.accept, i + 1 == ND_LEN(cases) ? "identity,gzip" : "");
        assert_string_equal(r.type, i == 1 ? "application/grpc+proto" : "application/grpc");
        raw_fini(&r);
    }
    return NULL;
}

IN_LOOP(bodies_out_of_order_get_the_right_answer)
{
    static const struct {
        struct nd_str body;
        const char *grpc_status;
    } cases[] = {
        {{"\0\0\0\0\0", 5}, "0"},
        {{"", 0}, "13"},
        {{"\0\0\0", 3}, "13"},
        {{"\0\0\0\0\3ab", 7}, "13"},
        {{"\0\0\0\0\0\0\0\0\0\0", 10}, "13"},
        {{"\0\0\0\0\0x", 6}, "13"},
        {{"\1\0\0\0\0", 5}, "13"},
        {{"\7\0\0\0\0", 5}, "13"},
        {{"\0\xff\xff\xff\xff", 5}, "8"},
        {{"\0\0\0\0\2\x0a\x05", 7}, "3"},
        {{"\0\0\0\0\3\x0a\x01\xff", 8}, "3"},
    };
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_header headers[8];
        struct raw r;

        raw_request(f, &r, headers, raw_headers_with(headers, NULL, NULL), cases[i].body);
        assert_string_equal(r.status, "200");
        assert_string_equal(r.grpc_status, cases[i].grpc_status);
        raw_fini(&r);
    }
    assert_int_equal(f->echo.started, 1);
    return NULL;
}

/* The peer's limit for header lists: the status arrives, with what fits besides. */
IN_LOOP(a_status_is_cut_to_what_the_peer_accepts)
{
    static const uint32_t limits[] = {200, 400, 1200, 3000};
    static const size_t lengths[] = {20, 209, 1000, 1000}; /* of the message, roughly */
    ND_AUTO(fixture_endp)
    struct fixture *f =
        fixture_begin(&(struct fixture_options){.server = {.encode_details = many_details}});
    char request[1200];
    size_t size = make_failing_request(request, 'm', 1000);

    for (size_t i = 0; i < ND_LEN(limits); i++) {
        struct nd_header headers[8];
        struct raw r;

        raw_request_limited(f, &r, limits[i], headers, raw_headers_with(headers, NULL, NULL),
                            nd_str_n(request, size));
        assert_string_equal(r.grpc_status, "5");
        assert_true(r.h2.header_bytes <= limits[i]);
        assert_true(r.message_len + 20 >= lengths[i] && r.message_len <= lengths[i] + 20);
        assert_int_equal(r.has_details, limits[i] == 3000);
        raw_fini(&r);
    }
    return NULL;
}

/* Strict libraries reset streams over a value that ends in a space. */
IN_LOOP(a_status_that_is_cut_ends_in_no_space)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    char request[1200];
    size_t size = make_failing_request(request, ' ', 1000);
    struct nd_header headers[8];
    struct raw r;

    raw_request_limited(f, &r, 400, headers, raw_headers_with(headers, NULL, NULL),
                        nd_str_n(request, size));
    assert_string_equal(r.grpc_status, "5");
    assert_string_equal(r.message, "m");
    raw_fini(&r);
    return NULL;
}

struct additions {
    size_t header, trailer; /* sizes of values */
    enum nd_code header_code, trailer_code;
};

static enum nd_code
add(struct nd_call *call, size_t size,
    struct nd_error *(*fn)(struct nd_call *call, struct nd_str key, struct nd_str value))
{
    ND_AUTO(nd_freep) char *value = nd_new_array(size + 1, char);
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    memset(value, 'v', size);
    err = fn(call, ND_STR("x-more"), nd_str_n(value, size));
    return nd_error_code(err);
}

static struct nd_error *
add_metadata(void *arg, struct nd_call *call, const void *in,
             const struct nd_interceptor_chain *next)
{
    struct additions *a = arg;

    (void)in;
    a->header_code = add(call, a->header, nd_call_add_header);
    a->trailer_code = add(call, a->trailer, nd_call_add_trailer);
    return nd_interceptor_next(next);
}

/* A header block that is too large costs the client more than the metadata: it is not even made. */
IN_LOOP(a_handler_is_told_of_metadata_that_cannot_be_sent)
{
    static const struct {
        uint32_t client_limit;
        struct additions additions;
    } cases[] = {
        {1u << 20, {40000, 40000, ND_OK, ND_OK}},
        {1u << 20, {49152, 49152, ND_EXHAUSTED, ND_EXHAUSTED}},
        {1u << 20, {200000, 200000, ND_EXHAUSTED, ND_EXHAUSTED}},
        {2000, {1000, 1000, ND_OK, ND_OK}},
        {2000, {1900, 10, ND_EXHAUSTED, ND_OK}},   /* the block holds more than metadata */
        {2000, {2000, 2000, ND_EXHAUSTED, ND_OK}}, /* the trailer is left out in the end */
    };

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
        struct additions a = cases[i].additions;
        struct nd_header headers[8];
        struct raw r;

        nd_server_intercept(f->server, (struct nd_interceptor){.run = add_metadata, .arg = &a});
        raw_request_limited(f, &r, cases[i].client_limit, headers,
                            raw_headers_with(headers, NULL, NULL), ND_STR("\0\0\0\0\0"));
        assert_string_equal(r.grpc_status, "0");
        assert_int_equal(r.code, ND_H2_NO_ERROR);
        assert_int_equal(a.header_code, cases[i].additions.header_code);
        assert_int_equal(a.trailer_code, cases[i].additions.trailer_code);
        raw_fini(&r);
    }
    return NULL;
}

/* --- interceptors --- */

struct watcher {
    const char *name;
    bool refuse;
    struct watcher **log; /* in the order of being asked */
    unsigned *n_log;
    unsigned with_request;
    unsigned unknown; /* methods */
    enum nd_code outcome;
};

static struct nd_error *
intercept(void *arg, struct nd_call *call, const void *in, const struct nd_interceptor_chain *next)
{
    struct watcher *w = arg;
    struct nd_error *err;

    w->log[(*w->n_log)++] = w;
    w->with_request += in != NULL;
    w->unknown += nd_call_method(call) == &nd_unknown_method;
    assert_ptr_equal(nd_ctx_get(ND_CTX_CALL), call);
    assert_int_equal(nd_call_identity(call)->peer->kind, ND_PEER_MEMORY);
    if (w->refuse)
        return nd_error_new(ND_DENIED, "refused by %s", w->name);
    err = nd_interceptor_next(next);
    w->outcome = nd_error_code(err);
    return err;
}

static struct nd_error *
run_server(void *arg)
{
    return nd_server_run(arg);
}

static struct nd_error *
dial_server(void *arg, struct nd_stream **ret)
{
    struct nd_stream *theirs;

    nd_stream_pair(CAPACITY_LARGE, ret, &theirs);
    nd_server_adopt(arg, theirs, NULL);
    return NULL;
}

IN_LOOP(interceptors_run_in_order_and_may_refuse)
{
    struct watcher *log[16];
    unsigned n = 0;
    struct watcher watchers[] = {
        {.name = "first", .log = log, .n_log = &n},
        {.name = "second", .log = log, .n_log = &n},
    };
    struct echo_state echo = {0};
    const struct nd_addr addr = {.kind = ND_PEER_UNIX};
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_server_freep) struct nd_server *server = nd_server_new(NULL);
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("server", 0);
    ND_AUTO(nd_channel_freep)
    struct nd_channel *ch = nd_channel_new(
        &addr, &(struct nd_channel_options){.dial = dial_server, .dial_arg = server});
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    struct nd_method_desc method = *ECHO_ECHO_SERVICE_UNARY;
    Echo__EchoReply *rsp;

    echo_add_to(&echo, server);
    for (size_t i = 0; i < ND_LEN(watchers); i++)
        nd_server_intercept(server, (struct nd_interceptor){intercept, &watchers[i], i == 1});
    expect_ok(nd_group_spawn(group, run_server, server));

    req.code = ND_ABORTED;
    expect_code(nd_channel_unary(ch, ECHO_ECHO_SERVICE_UNARY, NULL, &req, arena, &rsp), ND_ABORTED);
    assert_int_equal(n, 2);
    assert_ptr_equal(log[0], &watchers[0]);
    assert_ptr_equal(log[1], &watchers[1]);
    assert_int_equal(watchers[0].outcome, ND_ABORTED);
    assert_int_equal(watchers[0].with_request, 0);
    assert_int_equal(watchers[1].with_request, 1);

    watchers[1].refuse = true;
    expect_code(nd_channel_unary(ch, ECHO_ECHO_SERVICE_UNARY, NULL, &req, arena, &rsp), ND_DENIED);
    assert_int_equal(watchers[0].outcome, ND_DENIED);
    assert_int_equal(echo.started, 1);

    watchers[1].refuse = false;
    method.path = "/no.Such/Method";
    expect_code(nd_channel_unary(ch, &method, NULL, &req, arena, &rsp), ND_UNIMPLEMENTED);
    assert_int_equal(watchers[1].outcome, ND_UNIMPLEMENTED);
    assert_int_equal(watchers[1].unknown, 1);
    watchers[0].refuse = true;
    expect_code(nd_channel_unary(ch, &method, NULL, &req, arena, &rsp), ND_DENIED);
    nd_server_stop(server, ND_SECOND);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_out_of_order_get_the_right_answer),
        cmocka_unit_test(bodies_out_of_order_get_the_right_answer),
        cmocka_unit_test(a_status_is_cut_to_what_the_peer_accepts),
        cmocka_unit_test(a_status_that_is_cut_ends_in_no_space),
        cmocka_unit_test(a_handler_is_told_of_metadata_that_cannot_be_sent),
        cmocka_unit_test(interceptors_run_in_order_and_may_refuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
