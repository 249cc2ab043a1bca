/* The client against servers that answer in every strange way: a session whose answers are scripted. */

#include "net/session.h"

#include "fixture.h"

#define MAX_HEADERS 6

/* One response. */
struct script {
    const char *headers[MAX_HEADERS][2]; /* ends with NULL; empty: no answer */
    struct nd_str body;
    const char *trailers[MAX_HEADERS][2]; /* empty: the headers are the end */
    bool reset;                           /* after the body, instead of an end */
    enum nd_h2_code code;
};

struct origin {
    struct nd_session *session;
    const struct script *script;
    unsigned refuse; /* so many streams, before one is answered */
    unsigned requests;
    unsigned dials;
    bool drop;        /* the connection, instead of answering */
    char timeout[16]; /* grpc-timeout of the last request */
};

struct answer {
    struct nd_h2_stream h2;
    struct origin *origin;
    struct nd_header trailers[MAX_HEADERS];
};

static size_t
to_headers(const char *const from[][2], struct nd_header *dst)
{
    size_t n = 0;

    for (; n < MAX_HEADERS && from[n][0] != NULL; n++)
        dst[n] = (struct nd_header){nd_str(from[n][0]), nd_str(from[n][1])};
    return n;
}

static void
on_header(struct nd_h2_stream *s, struct nd_str name, struct nd_str value)
{
    struct origin *o = ((struct answer *)s)->origin;

    if (nd_str_eqz(name, "grpc-timeout"))
        expect_ok(nd_str_copy(o->timeout, sizeof(o->timeout), value, "timeout"));
}

static void
on_headers(struct nd_h2_stream *s, bool end)
{
    (void)s, (void)end;
}

static void
on_data(struct nd_h2_stream *s, struct nd_str bytes)
{
    nd_h2_stream_consume(s, bytes.len);
}

static void
on_writable(struct nd_h2_stream *s)
{
    (void)s;
}

static void
on_close(struct nd_h2_stream *s, const struct nd_h2_close *why)
{
    (void)why;
    nd_h2_stream_fini(s);
    nd_free(s);
}

static void
on_end(struct nd_h2_stream *s)
{
    struct answer *a = (struct answer *)s;
    const struct script *script = a->origin->script;
    struct nd_header headers[MAX_HEADERS];
    size_t n = to_headers(script->headers, headers);
    size_t n_trailers = to_headers(script->trailers, a->trailers);

    if (a->origin->drop) {
        nd_session_terminate(a->origin->session, ND_H2_INTERNAL_ERROR, "dropped");
        return;
    }
    if (n != 0)
        nd_h2_stream_respond(s, headers, n,
                             n_trailers == 0 && !script->reset && script->body.len == 0);
    nd_buf_put(nd_h2_stream_queue(s), script->body);
    nd_h2_stream_queued(s);
    if (n_trailers != 0)
        nd_h2_stream_finish(s, a->trailers, n_trailers);
    if (script->reset) {
        nd_h2_stream_reset(s, script->code);
        on_close(s, NULL);
    }
}

static const struct nd_h2_stream_ops answer_ops = {
    .on_header = on_header,
    .on_headers = on_headers,
    .on_data = on_data,
    .on_end = on_end,
    .on_writable = on_writable,
    .on_close = on_close,
};

static struct nd_h2_stream *
on_open(void *arg)
{
    struct origin *o = arg;
    struct answer *a;

    o->requests++;
    if (o->requests <= o->refuse)
        return NULL;
    a = nd_new(struct answer);
    a->origin = o;
    nd_h2_stream_init(&a->h2, &answer_ops);
    return &a->h2;
}

static void
on_gone(void *arg, const struct nd_error *err)
{
    struct origin *o = arg;

    (void)err;
    nd_session_free(ND_TAKE(o->session));
}

static struct nd_error *
dial_origin(void *arg, struct nd_stream **ret)
{
    const struct nd_session_options options = {.role = ND_SESSION_SERVER};
    const struct nd_session_handler handler = {.arg = arg, .on_open = on_open, .on_gone = on_gone};
    struct origin *o = arg;
    struct nd_stream *mine;

    o->dials++;
    nd_session_free(o->session);
    nd_stream_pair(CAPACITY_LARGE, ret, &mine);
    o->session = nd_session_new(mine, &options, &handler);
    return NULL;
}

static struct nd_channel *
channel_to(struct origin *o)
{
    const struct nd_addr addr = {.kind = ND_PEER_UNIX};

    return nd_channel_new(&addr, &(struct nd_channel_options){.dial = dial_origin, .dial_arg = o});
}

static struct nd_error *
call_origin(struct nd_channel *ch)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    ND_TRY(nd_channel_unary(ch, ECHO_ECHO_SERVICE_UNARY, NULL, &req, arena, &rsp));
    assert_string_equal(rsp->text, "ok");
    return NULL;
}

#define REPLY                   \
    {                           \
        "\0\0\0\0\4\x0a\2ok", 9 \
    }
#define OK_HEADERS                             \
    {                                          \
        {":status", "200"},                    \
        {                                      \
            "content-type", "application/grpc" \
        }                                      \
    }
#define OK_TRAILERS            \
    {                          \
        {                      \
            "grpc-status", "0" \
        }                      \
    }

static const struct script good = {.headers = OK_HEADERS, .body = REPLY, .trailers = OK_TRAILERS};

static const struct {
    struct script script;
    enum nd_code code;
    const char *text; /* in the message; NULL: anything */
} cases[] = {
    {{.headers = OK_HEADERS, .body = REPLY, .trailers = OK_TRAILERS}, ND_OK, NULL},
    {{.headers = {{":status", "200"}, {"content-type", "application/grpc+proto"}},
      .body = REPLY,
      .trailers = {{"grpc-status", "0"}, {"grpc-message", ""}}},
     ND_OK,
     NULL},
    /* statuses */
    {{.headers = {{":status", "200"},
                  {"content-type", "application/grpc"},
                  {"grpc-status", "5"},
                  {"grpc-message", "caf%C3%A9"}}},
     ND_NOT_FOUND,
     "caf\xc3\xa9"},
    {{.headers = OK_HEADERS, .trailers = {{"grpc-status", "7"}}}, ND_DENIED, NULL},
    {{.headers = OK_HEADERS, .body = REPLY, .trailers = {{"grpc-status", "9"}}},
     ND_PRECONDITION,
     NULL},
    {{.headers = OK_HEADERS, .body = REPLY, .trailers = {{"grpc-status", "99"}}}, ND_UNKNOWN, NULL},
    {{.headers = OK_HEADERS, .body = REPLY, .trailers = {{"grpc-status", "x"}}}, ND_UNKNOWN, NULL},
    {{.headers = OK_HEADERS, .body = REPLY, .trailers = {{"x", "y"}}},
     ND_INTERNAL,
     "without sending trailers"},
    {{.headers = {{":status", "415"}, {"grpc-status", "3"}}}, ND_INVALID, NULL},
    /* messages */
    {{.headers = OK_HEADERS, .trailers = OK_TRAILERS}, ND_INTERNAL, "no message"},
    {{.headers = OK_HEADERS, .body = {"\0\0\0\0\4\x0a\2ok\0\0\0\0\0", 14}, .trailers = OK_TRAILERS},
     ND_INTERNAL,
     "more than one"},
    {{.headers = OK_HEADERS, .body = {"\0\0\0\0\4\x0a", 6}, .trailers = OK_TRAILERS},
     ND_INTERNAL,
     "inside a message"},
    {{.headers = OK_HEADERS, .body = {"\1\0\0\0\0", 5}, .trailers = OK_TRAILERS},
     ND_INTERNAL,
     "compressed"},
    {{.headers = OK_HEADERS, .body = {"\3\0\0\0\0", 5}, .trailers = OK_TRAILERS},
     ND_INTERNAL,
     "payload format"},
    {{.headers = OK_HEADERS, .body = {"\0\0\0\0\2\x0a\5", 7}, .trailers = OK_TRAILERS},
     ND_INTERNAL,
     "the server's message"},
    {{.headers = OK_HEADERS, .body = {"\0\xff\xff\xff\xff", 5}, .trailers = OK_TRAILERS},
     ND_EXHAUSTED,
     "larger than max"},
    /* what is not gRPC */
    {{.headers = {{":status", "503"}, {"content-type", "text/html"}},
      .body = {"<h1>busy</h1>", 13},
      .trailers = {{"x", "y"}}},
     ND_UNAVAILABLE,
     "HTTP status 503, content-type \"text/html\", body \"<h1>busy</h1>\""},
    {{.headers = {{":status", "401"}, {"content-type", "text/plain"}}}, ND_UNAUTHENTICATED, NULL},
    {{.headers = {{":status", "404"}}}, ND_UNIMPLEMENTED, NULL},
    {{.headers = {{":status", "302"}, {"content-type", "application/grpc"}}}, ND_UNKNOWN, NULL},
    {{.headers = {{":status", "200"}, {"content-type", "application/json"}},
      .body = {"{}", 2},
      .trailers = {{"x", "y"}}},
     ND_UNKNOWN,
     "application/json"},
    /* metadata */
    {{.headers = {{":status", "200"}, {"content-type", "application/grpc"}, {"x-bin", "!"}},
      .body = REPLY,
      .trailers = OK_TRAILERS},
     ND_INTERNAL,
     "binary metadata"},
    {{.headers = OK_HEADERS,
      .body = REPLY,
      .trailers = {{"grpc-status", "5"}, {"grpc-status-details-bin", "!"}}},
     ND_NOT_FOUND,
     NULL},
    /* resets */
    {{.reset = true, .code = ND_H2_INTERNAL_ERROR}, ND_INTERNAL, "INTERNAL_ERROR"},
    {{.reset = true, .code = ND_H2_CANCEL}, ND_CANCELLED, "CANCEL"},
    {{.reset = true, .code = ND_H2_ENHANCE_YOUR_CALM}, ND_EXHAUSTED, NULL},
    {{.reset = true, .code = ND_H2_INADEQUATE_SECURITY}, ND_DENIED, NULL},
    {{.headers = OK_HEADERS, .reset = true, .code = ND_H2_NO_ERROR}, ND_INTERNAL, NULL},
};

IN_LOOP(every_answer_becomes_the_right_status)
{
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct origin o = {.script = &cases[i].script};
        struct nd_channel *ch = channel_to(&o);
        struct nd_error *err = call_origin(ch);

        if (cases[i].text != NULL && strstr(nd_error_message(err), cases[i].text) == NULL)
            fail_msg("case %zu: %s", i, nd_error_message(err));
        if (nd_error_code(err) != cases[i].code)
            print_error("case %zu\n", i);
        expect_code(err, cases[i].code);
        o.script = &good;
        expect_ok(call_origin(ch)); /* the connection is as good as before */
        assert_int_equal(o.dials, 1);
        nd_channel_free(ch);
        nd_session_free(o.session);
    }
    return NULL;
}

IN_LOOP(a_refused_unary_call_is_sent_again)
{
    struct origin o = {.script = &good, .refuse = 3};
    struct nd_channel *ch = channel_to(&o);

    expect_ok(call_origin(ch));
    assert_int_equal(o.requests, 4);
    o.refuse = 1000;
    expect_code(call_origin(ch), ND_UNAVAILABLE);
    assert_int_equal(o.dials, 1);
    nd_channel_free(ch);
    nd_session_free(o.session);
    return NULL;
}

IN_LOOP(a_call_whose_connection_is_lost_is_not_sent_again)
{
    struct origin o = {.script = &good, .drop = true};
    struct nd_channel *ch = channel_to(&o);

    expect_code(call_origin(ch), ND_UNAVAILABLE);
    assert_int_equal(o.requests, 1);
    o.drop = false;
    expect_ok(call_origin(ch));
    assert_int_equal(o.dials, 2);
    nd_channel_free(ch);
    nd_session_free(o.session);
    return NULL;
}

IN_LOOP(a_call_tells_what_remains_of_its_deadline)
{
    struct origin o = {.script = &good};
    struct nd_channel *ch = channel_to(&o);

    expect_ok(call_origin(ch));
    assert_string_equal(o.timeout, "");
    {
        ND_DEADLINE_IN(5 * ND_SECOND);
        expect_ok(nd_fiber_sleep(2 * ND_SECOND));
        expect_ok(call_origin(ch));
    }
    assert_string_equal(o.timeout, "3000000u");
    nd_channel_free(ch);
    nd_session_free(o.session);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_becomes_the_right_status),
        cmocka_unit_test(a_refused_unary_call_is_sent_again),
        cmocka_unit_test(a_call_whose_connection_is_lost_is_not_sent_again),
        cmocka_unit_test(a_call_tells_what_remains_of_its_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
