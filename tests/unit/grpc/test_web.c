/* gRPC-Web: bodies and their text form, trailers in the body, and which origins get that far. */

#include "codec/pb.h"

#include "fixture.h"
#include "raw.h"
#include "web_priv.h"
#include "wire_priv.h"

#define HEADERS_MAX 16
#define TRAILERS_OK "\x80\0\0\0\x10grpc-status: 0\r\n"
#define ORIGIN      "https://ui.example.com"
#define CORS                                             \
    "vary: Origin\naccess-control-allow-origin: " ORIGIN \
    "\naccess-control-allow-credentials: true\n"         \
    "access-control-expose-headers: grpc-status, grpc-message, grpc-status-details-bin\n"

static const char *const origins[] = {"https://other.example.com", ORIGIN};

/* --- the text form --- */

static void
text_is_read_however_it_is_cut(void **state)
{
    static const char text[] = "AAAAAAc=KBI0VmY=/+8=YQ==YWJj";
    static const char plain[] = "\0\0\0\0\x07\x28\x12\x34\x56\x66\xff\xef"
                                "aabc";

    (void)state;
    for (size_t cut = 1; cut < sizeof(text); cut++) {
        struct nd_web_text t = {0};
        struct nd_str rest = nd_str(text);
        char got[64];
        size_t len = 0;

        while (rest.len != 0) {
            size_t n;

            assert_true(nd_web_text_decode(&t, nd_str_sub(rest, 0, cut), got + len, &n));
            len += n;
            rest = nd_str_from(rest, cut);
        }
        assert_int_equal(t.n_chars, 0);
        assert_int_equal(len, sizeof(plain) - 1);
        assert_memory_equal(got, plain, len);
    }
}

static void
what_is_no_base64_is_refused(void **state)
{
    static const char *const cases[] = {
        "AAA\n", "AA A", "AA-A", "A===", "=AAA", "AA=A", "AAB=", "AB==", "====", "AAAA=", "AA\xff",
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_web_text t = {0};
        char got[64];
        size_t n;

        assert_false(nd_web_text_decode(&t, nd_str(cases[i]), got, &n));
    }
}

static void
content_types_tell_the_kind(void **state)
{
    static const struct {
        const char *type;
        enum nd_web_kind kind;
    } cases[] = {
        {"application/grpc-web", ND_WEB_BINARY},
        {"application/grpc-web+proto", ND_WEB_BINARY},
        {"Application/gRPC-Web;charset=x", ND_WEB_BINARY},
        {"application/grpc-web-text", ND_WEB_TEXT},
        {"application/grpc-web-text+proto", ND_WEB_TEXT},
        {"application/grpc-web-texts", ND_WEB_NONE},
        {"application/grpc-webs", ND_WEB_NONE},
        {"application/grpc", ND_WEB_NONE},
        {"application/grpc+web", ND_WEB_NONE},
        {"", ND_WEB_NONE},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++)
        assert_int_equal(nd_web_kind_of(nd_str(cases[i].type)), cases[i].kind);
}

/* --- calls --- */

struct exchange {
    const char *method; /* NULL: POST */
    const char *path;   /* NULL: Unary */
    const char *type;   /* NULL: the binary form; "": none */
    const char *origin; /* NULL: none */
    const char *more[4][2];
    Echo__EchoRequest request;
    struct nd_str body; /* instead of the request, when not empty */
    struct raw raw;
};

static struct nd_str
as_frame(const Echo__EchoRequest *request, struct nd_buf *buf)
{
    size_t len;

    nd_buf_put(buf, nd_str_n("\0\0\0\0\0", 5));
    expect_ok(nd_pb_encode(request, buf));
    len = buf->len - 5;
    for (int i = 0; i < 4; i++)
        buf->ptr[1 + i] = (char)(uint8_t)(len >> (24 - 8 * i));
    return nd_buf_str(buf);
}

static bool
is_text(const struct exchange *x)
{
    return x->type != NULL && nd_web_kind_of(nd_str(x->type)) == ND_WEB_TEXT;
}

static void
exchange(struct fixture *f, struct exchange *x)
{
    struct nd_header h[HEADERS_MAX] = {
        {ND_STR(":method"), nd_str(x->method != NULL ? x->method : "POST")},
        {ND_STR(":scheme"), ND_STR("http")},
        {ND_STR(":path"), nd_str(x->path != NULL ? x->path : RAW_UNARY_PATH)},
        {ND_STR(":authority"), ND_STR("localhost")},
    };
    struct nd_buf frame = ND_BUF_INIT(1u << 24), text = ND_BUF_INIT(1u << 24);
    struct nd_str body = x->body;
    size_t n = 4;

    if (x->type == NULL || x->type[0] != '\0')
        h[n++] = (struct nd_header){ND_STR("content-type"),
                                    nd_str(x->type != NULL ? x->type : "application/grpc-web")};
    if (x->origin != NULL)
        h[n++] = (struct nd_header){ND_STR("origin"), nd_str(x->origin)};
    for (size_t i = 0; i < ND_LEN(x->more) && x->more[i][0] != NULL; i++)
        h[n++] = (struct nd_header){nd_str(x->more[i][0]), nd_str(x->more[i][1])};
    if (body.len == 0) {
        body = as_frame(&x->request, &frame);
        if (is_text(x))
            expect_ok(nd_web_text_encode(&text, body));
        body = is_text(x) ? nd_buf_str(&text) : body;
    }
    raw_request(f, &x->raw, h, n, body);
    nd_buf_fini(&frame);
    nd_buf_fini(&text);
}

#define EXCHANGE(...) ((struct exchange){.request = ECHO__ECHO_REQUEST__INIT, ##__VA_ARGS__})

static bool
has_field(const struct raw *r, const char *line)
{
    return nd_str_search(nd_buf_str(&r->fields), nd_str(line)) != SIZE_MAX;
}

/* The messages of a plain body and the trailers behind them; returns how many messages. */
static size_t
take_body(struct nd_str body, struct nd_arena *arena, Echo__EchoReply **last,
          struct nd_str *trailers)
{
    size_t count = 0;

    *trailers = ND_STR_NONE;
    while (body.len != 0) {
        const unsigned char *p = (const unsigned char *)body.ptr;
        struct nd_str bytes;

        assert_true(body.len >= 5 && trailers->ptr == NULL); /* nothing behind the trailers */
        bytes =
            nd_str_sub(body, 5, (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4]);
        body = nd_str_from(body, 5 + bytes.len);
        if (p[0] == 0x80) {
            *trailers = bytes;
            continue;
        }
        assert_int_equal(p[0], 0);
        expect_ok(
            nd_pb_decode(&echo__echo_reply__descriptor, bytes, arena, (ProtobufCMessage **)last));
        count++;
    }
    return count;
}

static struct nd_str
plain_body(const struct exchange *x, struct nd_arena *arena)
{
    struct nd_web_text t = {0};
    struct nd_str plain = nd_buf_str(&x->raw.body);
    char *dst;
    size_t n;

    if (!is_text(x))
        return plain;
    dst = nd_arena_alloc(arena, ND_WEB_DECODED_SIZE(plain.len));
    assert_true(nd_web_text_decode(&t, plain, dst, &n));
    assert_int_equal(t.n_chars, 0);
    return nd_str_n(dst, n);
}

static const char *const types[] = {"application/grpc-web", "application/grpc-web+proto",
                                    "application/grpc-web-text", "application/grpc-web-text+proto"};

IN_LOOP(unary_calls_end_with_trailers_in_the_body)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});

    for (size_t i = 0; i < ND_LEN(types); i++) {
        struct exchange x = EXCHANGE(.type = types[i]);
        struct nd_str trailers;
        Echo__EchoReply *reply;

        x.request.text = (char *)"hello";
        x.request.reply_size = i == 3 ? 3 << 20 : 0;
        exchange(f, &x);
        assert_string_equal(x.raw.status, "200");
        assert_string_equal(x.raw.type, types[i]);
        assert_int_equal(x.raw.n_blocks, 1);
        assert_int_equal(x.raw.code, ND_H2_NO_ERROR);
        assert_false(has_field(&x.raw, "access-control"));
        assert_int_equal(take_body(plain_body(&x, f->arena), f->arena, &reply, &trailers), 1);
        assert_string_equal(reply->text, "hello");
        assert_int_equal(reply->payload.len, x.request.reply_size);
        assert_true(nd_str_eqz(trailers, "grpc-status: 0\r\n"));
        raw_fini(&x.raw);
    }
    return NULL;
}

IN_LOOP(the_bytes_of_an_empty_call_are_these)
{
    static const char plain[] = "\0\0\0\0\0" TRAILERS_OK;
    static const char text[] = "AAAAAAA=gAAAABBncnBjLXN0YXR1czogMA0K";
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    struct exchange binary = EXCHANGE(.body = {"\0\0\0\0\0", 5});
    struct exchange texts = EXCHANGE(.type = types[2], .body = {"AAAAAAA=", 8});

    exchange(f, &binary);
    assert_int_equal(binary.raw.body.len, sizeof(plain) - 1);
    assert_memory_equal(binary.raw.body.ptr, plain, sizeof(plain) - 1);
    raw_fini(&binary.raw);
    exchange(f, &texts);
    assert_string_equal(texts.raw.body.ptr, text);
    raw_fini(&texts.raw);
    return NULL;
}

IN_LOOP(server_streams_in_both_forms)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});

    for (size_t i = 0; i < ND_LEN(types); i++) {
        struct exchange x =
            EXCHANGE(.type = types[i], .path = "/nd.test.v1.EchoService/ServerStream",
                     .more = {{"echo-a", "1"}, {"trail-b-bin", "/+8"}});
        struct nd_str trailers;
        Echo__EchoReply *last;

        x.request.text = (char *)"n";
        x.request.repeat = 200;
        x.request.reply_size = 1001;
        exchange(f, &x);
        assert_int_equal(take_body(plain_body(&x, f->arena), f->arena, &last, &trailers), 200);
        assert_int_equal(last->count, 200);
        assert_true(has_field(&x.raw, "echo-a: 1\n"));
        assert_true(nd_str_eqz(trailers, "grpc-status: 0\r\ntrail-b-bin: /+8\r\n"));
        raw_fini(&x.raw);
    }
    return NULL;
}

IN_LOOP(errors_stand_in_the_header_block_or_behind_metadata)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    struct exchange early = EXCHANGE(.type = types[2]);
    struct exchange late = EXCHANGE(.type = types[0], .more = {{"echo-x", "1"}});
    struct nd_str trailers;
    Echo__EchoReply *last;

    early.request.code = late.request.code = ND_NOT_FOUND;
    early.request.message = late.request.message = (char *)"\t\ntest \xe2\x98\xba\r\n";
    exchange(f, &early);
    assert_string_equal(early.raw.status, "200");
    assert_string_equal(early.raw.grpc_status, "5");
    assert_string_equal(early.raw.message, "%09%0Atest %E2%98%BA%0D%0A");
    assert_string_equal(early.raw.type, types[2]);
    assert_int_equal(early.raw.body.len, 0);
    raw_fini(&early.raw);
    exchange(f, &late);
    assert_string_equal(late.raw.grpc_status, "");
    assert_int_equal(take_body(nd_buf_str(&late.raw.body), f->arena, &last, &trailers), 0);
    assert_true(
        nd_str_eqz(trailers, "grpc-status: 5\r\ngrpc-message: %09%0Atest %E2%98%BA%0D%0A\r\n"));
    raw_fini(&late.raw);
    return NULL;
}

IN_LOOP(what_a_web_client_may_not_do_is_refused)
{
    static const struct {
        struct exchange x;
        const char *status, *grpc_status;
    } cases[] = {
        {EXCHANGE(.path = "/no.Such/Method"), "200", "12"},
        {EXCHANGE(.path = "/nd.test.v1.EchoService/ClientStream"), "200", "12"},
        {EXCHANGE(.path = "/nd.test.v1.EchoService/Bidi", .type = "application/grpc-web-text"),
         "200", "12"},
        {EXCHANGE(.more = {{"grpc-timeout", "1x"}}), "400", "13"},
        {EXCHANGE(.more = {{"grpc-timeout", "0m"}}), "200", "4"},
        {EXCHANGE(.method = "GET"), "405", "13"},
        {EXCHANGE(.body = {"\x80\0\0\0\0", 5}), "200", "13"},
        {EXCHANGE(.body = {"\0\0\0\0\1", 5}), "200", "13"},
        {EXCHANGE(.body = {"\0\0\0\0\0\0\0\0\0\0", 10}), "200", "13"},
        {EXCHANGE(.type = "application/grpc-web-text", .body = {"\0\0\0\0\0", 5}), "200", "13"},
        {EXCHANGE(.type = "application/grpc-web-text", .body = {"AAAAAAA", 7}), "200", "13"},
        {EXCHANGE(.type = "application/grpc-web-text", .body = {"AAAAAAA=A", 9}), "200", "13"},
        {EXCHANGE(.type = "application/grpc-web-text", .body = {"AAAAAAA=AAAA", 12}), "200", "13"},
        {EXCHANGE(.type = "application/grpc-web-text", .body = {"AP///////w==", 12}), "200", "8"},
    };
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct exchange x = cases[i].x;

        exchange(f, &x);
        if (strcmp(x.raw.status, cases[i].status) != 0 ||
            strcmp(x.raw.grpc_status, cases[i].grpc_status) != 0)
            fail_msg("case %zu: %s, %s: %s", i, x.raw.status, x.raw.grpc_status, x.raw.message);
        assert_int_equal(x.raw.code, ND_H2_NO_ERROR);
        raw_fini(&x.raw);
    }
    assert_int_equal(f->echo.started, 0);
    return NULL;
}

IN_LOOP(deadlines_hold)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    struct exchange x = EXCHANGE(.more = {{"grpc-timeout", "5000m"}});

    x.request.delay_ms = 60000;
    exchange(f, &x);
    assert_string_equal(x.raw.grpc_status, "4");
    assert_int_equal(f->echo.late, 1);
    raw_fini(&x.raw);
    return NULL;
}

/* --- origins --- */

static unsigned n_intercepted;

static struct nd_error *
count_calls(void *arg, struct nd_call *call, const void *in,
            const struct nd_interceptor_chain *next)
{
    (void)arg;
    (void)call;
    (void)in;
    n_intercepted++;
    return nd_interceptor_next(next);
}

static struct fixture *
begin_with_origins(size_t n)
{
    struct fixture *f = fixture_begin(
        &(struct fixture_options){.server = {.web_origins = origins, .n_web_origins = n}});

    n_intercepted = 0;
    nd_server_intercept(f->server, (struct nd_interceptor){.run = count_calls});
    return f;
}

IN_LOOP(only_listed_origins_get_to_a_handler)
{
    static const struct {
        const char *origin, *type, *again;
        size_t n_listed;
        const char *status;
    } cases[] = {
        {ORIGIN, "application/grpc-web", NULL, 2, "200"},
        {ORIGIN, "application/grpc-web-text", NULL, 2, "200"},
        {ORIGIN, "application/grpc", NULL, 2, "200"},
        {"https://other.example.com", "application/grpc-web", NULL, 2, "200"},
        {ORIGIN, "application/grpc-web", NULL, 1, "403"},
        {ORIGIN, "application/grpc-web", NULL, 0, "403"},
        {ORIGIN, "application/grpc", NULL, 0, "403"},
        {"https://ui.example.com.evil.com", "application/grpc-web", NULL, 2, "403"},
        {"https://evil-ui.example.com", "application/grpc-web", NULL, 2, "403"},
        {"https://ui.example.com:443", "application/grpc-web", NULL, 2, "403"},
        {"http://ui.example.com", "application/grpc-web", NULL, 2, "403"},
        {"HTTPS://UI.example.com", "application/grpc-web", NULL, 2, "403"},
        {"https://ui.example.co", "application/grpc-web", NULL, 2, "403"},
        {"null", "application/grpc-web", NULL, 2, "403"},
        {"*", "application/grpc-web", NULL, 2, "403"},
        {"", "application/grpc-web", NULL, 2, "403"},
        {ORIGIN, "application/grpc-web", "https://evil.com", 2, "403"},
        {ORIGIN, "application/grpc-web", ORIGIN, 2, "403"},
        {"https://evil.com", "text/plain", NULL, 2, "403"},
    };

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(fixture_endp) struct fixture *f = begin_with_origins(cases[i].n_listed);
        struct exchange x = EXCHANGE(.origin = cases[i].origin, .type = cases[i].type);
        bool good = strcmp(cases[i].status, "200") == 0;

        if (cases[i].again != NULL) {
            x.more[0][0] = "origin";
            x.more[0][1] = cases[i].again;
        }
        exchange(f, &x);
        assert_string_equal(x.raw.status, cases[i].status);
        assert_int_equal(f->echo.started, good);
        assert_int_equal(n_intercepted, good);
        assert_true(has_field(&x.raw, "vary: Origin\n"));
        assert_int_equal(has_field(&x.raw, "access-control"), good);
        if (i < 3)
            assert_true(has_field(&x.raw, CORS));
        if (!good)
            assert_string_equal(x.raw.grpc_status, "7");
        raw_fini(&x.raw);
    }
    return NULL;
}

IN_LOOP(scripts_see_metadata_and_refusals)
{
    ND_AUTO(fixture_endp) struct fixture *f = begin_with_origins(2);
    struct exchange metadata =
        EXCHANGE(.origin = ORIGIN, .more = {{"echo-a", "1"}, {"echo-b-bin", "AA"}});
    struct exchange refused = EXCHANGE(.origin = ORIGIN, .path = "/no.Such/Method");
    struct exchange wrong = EXCHANGE(.origin = ORIGIN, .type = "text/plain");

    exchange(f, &metadata);
    assert_true(
        has_field(&metadata.raw,
                  "expose-headers: grpc-status, grpc-message, grpc-status-details-bin, echo-a, "
                  "echo-b-bin\n"));
    raw_fini(&metadata.raw);
    exchange(f, &refused);
    assert_string_equal(refused.raw.grpc_status, "12");
    assert_true(has_field(&refused.raw, CORS));
    raw_fini(&refused.raw);
    exchange(f, &wrong);
    assert_string_equal(wrong.raw.status, "415");
    assert_true(has_field(&wrong.raw, CORS));
    raw_fini(&wrong.raw);
    return NULL;
}

#define PREFLIGHT(...)                                            \
    EXCHANGE(.method = "OPTIONS", .type = "", .body = {"", 0},    \
             .more = {{"access-control-request-method", "POST"},  \
                      {"access-control-request-headers",          \
                       "content-type,x-grpc-web,authorization"}}, \
             ##__VA_ARGS__)

IN_LOOP(a_preflight_is_answered_before_anything_looks_at_it)
{
    ND_AUTO(fixture_endp) struct fixture *f = begin_with_origins(2);
    struct exchange good = PREFLIGHT(.origin = ORIGIN);
    struct exchange unknown = PREFLIGHT(.origin = ORIGIN, .path = "/no.Such/Method");

    exchange(f, &good);
    assert_string_equal(good.raw.fields.ptr,
                        ":status: 204\nvary: Origin\naccess-control-allow-origin: " ORIGIN "\n"
                        "access-control-allow-credentials: true\n"
                        "access-control-allow-methods: POST, OPTIONS\n"
                        "access-control-allow-headers: content-type,x-grpc-web,authorization\n"
                        "access-control-max-age: 7200\n");
    assert_int_equal(good.raw.body.len, 0);
    raw_fini(&good.raw);
    exchange(f, &unknown); /* which methods there are is not told */
    assert_string_equal(unknown.raw.status, "204");
    raw_fini(&unknown.raw);
    assert_int_equal(n_intercepted, 0);
    return NULL;
}

IN_LOOP(other_preflights_are_refused)
{
    struct {
        struct exchange x;
        size_t n_listed;
        const char *status;
    } cases[] = {
        {PREFLIGHT(.origin = "https://evil.com"), 2, "403"},
        {PREFLIGHT(.origin = ORIGIN), 0, "403"},
        {PREFLIGHT(.origin = NULL), 2, "415"},
        {EXCHANGE(.method = "OPTIONS", .origin = ORIGIN, .type = ""), 2, "415"},
        {EXCHANGE(.method = "OPTIONS", .origin = ORIGIN), 2, "405"},
    };

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(fixture_endp) struct fixture *f = begin_with_origins(cases[i].n_listed);

        exchange(f, &cases[i].x);
        assert_string_equal(cases[i].x.raw.status, cases[i].status);
        assert_int_equal(n_intercepted, 0);
        raw_fini(&cases[i].x.raw);
    }
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_read_however_it_is_cut),
        cmocka_unit_test(what_is_no_base64_is_refused),
        cmocka_unit_test(content_types_tell_the_kind),
        cmocka_unit_test(unary_calls_end_with_trailers_in_the_body),
        cmocka_unit_test(the_bytes_of_an_empty_call_are_these),
        cmocka_unit_test(server_streams_in_both_forms),
        cmocka_unit_test(errors_stand_in_the_header_block_or_behind_metadata),
        cmocka_unit_test(what_a_web_client_may_not_do_is_refused),
        cmocka_unit_test(deadlines_hold),
        cmocka_unit_test(only_listed_origins_get_to_a_handler),
        cmocka_unit_test(scripts_see_metadata_and_refusals),
        cmocka_unit_test(a_preflight_is_answered_before_anything_looks_at_it),
        cmocka_unit_test(other_preflights_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
