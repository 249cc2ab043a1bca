/* The client against servers that answer in every strange way. */

#include "origin.h"

static const struct script good = {
    .headers = ORIGIN_HEADERS, .body = ORIGIN_REPLY, .trailers = ORIGIN_TRAILERS};

static const struct {
    struct script script;
    enum nd_code code;
    const char *text; /* in the message; NULL: anything */
} cases[] = {
    {{.headers = ORIGIN_HEADERS, .body = ORIGIN_REPLY, .trailers = ORIGIN_TRAILERS}, ND_OK, NULL},
    {{.headers = {{":status", "200"}, {"content-type", "application/grpc+proto"}},
      .body = ORIGIN_REPLY,
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
    {{.headers = ORIGIN_HEADERS, .trailers = {{"grpc-status", "7"}}}, ND_DENIED, NULL},
    {{.headers = ORIGIN_HEADERS, .body = ORIGIN_REPLY, .trailers = {{"grpc-status", "9"}}},
     ND_PRECONDITION,
     NULL},
    {{.headers = ORIGIN_HEADERS, .body = ORIGIN_REPLY, .trailers = {{"grpc-status", "99"}}},
     ND_UNKNOWN,
     NULL},
    {{.headers = ORIGIN_HEADERS, .body = ORIGIN_REPLY, .trailers = {{"grpc-status", "x"}}},
     ND_UNKNOWN,
     NULL},
    {{.headers = ORIGIN_HEADERS, .body = ORIGIN_REPLY, .trailers = {{"x", "y"}}},
     ND_INTERNAL,
     "without sending trailers"},
    {{.headers = {{":status", "415"}, {"grpc-status", "3"}}}, ND_INVALID, NULL},
    /* messages */
    {{.headers = ORIGIN_HEADERS, .trailers = ORIGIN_TRAILERS}, ND_INTERNAL, "no message"},
    {{.headers = ORIGIN_HEADERS,
      .body = {"\0\0\0\0\4\x0a\2ok\0\0\0\0\0", 14},
      .trailers = ORIGIN_TRAILERS},
     ND_INTERNAL,
     "more than one"},
    {{.headers = ORIGIN_HEADERS, .body = {"\0\0\0\0\4\x0a", 6}, .trailers = ORIGIN_TRAILERS},
     ND_INTERNAL,
     "inside a message"},
    {{.headers = ORIGIN_HEADERS, .body = {"\1\0\0\0\0", 5}, .trailers = ORIGIN_TRAILERS},
     ND_INTERNAL,
     "compressed"},
    {{.headers = ORIGIN_HEADERS, .body = {"\3\0\0\0\0", 5}, .trailers = ORIGIN_TRAILERS},
     ND_INTERNAL,
     "payload format"},
    {{.headers = ORIGIN_HEADERS, .body = {"\0\0\0\0\2\x0a\5", 7}, .trailers = ORIGIN_TRAILERS},
     ND_INTERNAL,
     "the server's message"},
    {{.headers = ORIGIN_HEADERS, .body = {"\0\xff\xff\xff\xff", 5}, .trailers = ORIGIN_TRAILERS},
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
    {{.headers = {{":status", "503"}, {"content-type", "application/grpc"}},
      .body = {"upstream is busy", 16},
      .trailers = {{"x", "y"}}},
     ND_UNAVAILABLE,
     "HTTP status 503, content-type \"application/grpc\", body \"upstream is busy\""},
    {{.headers = {{":status", "503"}, {"content-type", "application/grpc"}},
      .body = {"upstream is busy", 16},
      .trailers = {{"grpc-status", "9"}}},
     ND_PRECONDITION,
     NULL},
    {{.headers = {{":status", "200"}, {"content-type", "application/json"}},
      .body = {"{}", 2},
      .trailers = {{"x", "y"}}},
     ND_UNKNOWN,
     "application/json"},
    /* metadata */
    {{.headers = {{":status", "200"}, {"content-type", "application/grpc"}, {"x-bin", "!"}},
      .body = ORIGIN_REPLY,
      .trailers = ORIGIN_TRAILERS},
     ND_INTERNAL,
     "binary metadata"},
    {{.headers = ORIGIN_HEADERS,
      .body = ORIGIN_REPLY,
      .trailers = {{"grpc-status", "5"}, {"grpc-status-details-bin", "!"}}},
     ND_NOT_FOUND,
     NULL},
    /* resets */
    {{.reset = true, .code = ND_H2_INTERNAL_ERROR}, ND_INTERNAL, "INTERNAL_ERROR"},
    {{.reset = true, .code = ND_H2_CANCEL}, ND_CANCELLED, "CANCEL"},
    {{.reset = true, .code = ND_H2_ENHANCE_YOUR_CALM}, ND_EXHAUSTED, NULL},
    {{.reset = true, .code = ND_H2_INADEQUATE_SECURITY}, ND_DENIED, NULL},
    {{.headers = ORIGIN_HEADERS, .reset = true, .code = ND_H2_NO_ERROR}, ND_INTERNAL, NULL},
};

IN_LOOP(every_answer_becomes_the_right_status)
{
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct origin o = {.script = &cases[i].script};
        struct nd_channel *ch = origin_channel(&o);
        struct nd_error *err = origin_call(ch);

        if (cases[i].text != NULL && strstr(nd_error_message(err), cases[i].text) == NULL)
            fail_msg("case %zu: %s", i, nd_error_message(err));
        if (nd_error_code(err) != cases[i].code)
            print_error("case %zu\n", i);
        expect_code(err, cases[i].code);
        o.script = &good;
        expect_ok(origin_call(ch)); /* the connection is as good as before */
        assert_int_equal(o.dials, 1);
        nd_channel_free(ch);
        origin_fini(&o);
    }
    return NULL;
}

IN_LOOP(a_call_whose_connection_is_lost_is_not_sent_again)
{
    struct origin o = {.script = &good, .drop = true};
    struct nd_channel *ch = origin_channel(&o);

    expect_code(origin_call(ch), ND_UNAVAILABLE);
    assert_int_equal(o.requests, 1);
    o.drop = false;
    expect_ok(origin_call(ch));
    assert_int_equal(o.dials, 2);
    nd_channel_free(ch);
    origin_fini(&o);
    return NULL;
}

IN_LOOP(a_call_tells_what_remains_of_its_deadline)
{
    struct origin o = {.script = &good};
    struct nd_channel *ch = origin_channel(&o);

    expect_ok(origin_call(ch));
    assert_string_equal(o.timeout, "");
    {
        ND_DEADLINE_IN(5 * ND_SECOND);
        expect_ok(nd_fiber_sleep(2 * ND_SECOND));
        expect_ok(origin_call(ch));
    }
    assert_string_equal(o.timeout, "3000000u");
    nd_channel_free(ch);
    origin_fini(&o);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_becomes_the_right_status),
        cmocka_unit_test(a_call_whose_connection_is_lost_is_not_sent_again),
        cmocka_unit_test(a_call_tells_what_remains_of_its_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
