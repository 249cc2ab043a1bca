/* The small encodings, with good and with hostile input. */

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"

#include "../fiber/in_loop.h"
#include "echo.pb-c.h"
#include "frame_priv.h"
#include "status_priv.h"
#include "wire_priv.h"

static void
timeouts_are_read_as_the_specification_says(void **state)
{
    static const struct {
        const char *text;
        int64_t ns; /* -1: malformed */
    } cases[] = {
        {"1n", 1},
        {"0n", 0},
        {"1u", 1000},
        {"250m", 250 * ND_MILLISECOND},
        {"5S", 5 * ND_SECOND},
        {"1M", ND_MINUTE},
        {"00000001H", ND_HOUR},
        {"99999999M", 99999999 * ND_MINUTE},
        {"99999999H", INT64_MAX},
        {"2562048H", INT64_MAX},
        {"", -1},
        {"S", -1},
        {"1", -1},
        {"1s", -1},
        {"1h", -1},
        {"-1S", -1},
        {"+1S", -1},
        {" 1S", -1},
        {"1S ", -1},
        {"1.5S", -1},
        {"123456789S", -1},
        {"1SS", -1},
        {"\xff", -1},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        int64_t ns = -1;

        assert_int_equal(nd_timeout_parse(nd_str(cases[i].text), &ns), cases[i].ns >= 0);
        assert_int_equal(ns, cases[i].ns);
    }
}

static void
timeouts_are_written_rounded_up(void **state)
{
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {-5, "0n"},
        {0, "0n"},
        {1, "1n"},
        {99999999, "99999999n"},
        {100000000, "100000u"},
        {100000001, "100001u"},
        {99999999 * ND_MICROSECOND, "99999999u"},
        {5 * ND_SECOND, "5000000u"},
        {99999999 * ND_MICROSECOND + 1, "100000m"},
        {INT64_MAX, "2562048H"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        char text[ND_TIMEOUT_SIZE];
        int64_t ns;

        assert_int_equal(nd_timeout_format(cases[i].ns, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
        assert_true(nd_timeout_parse(nd_str(text), &ns));
        assert_true(ns >= cases[i].ns);
    }
}

static void
assert_text(struct nd_str got, const char *wanted, size_t len)
{
    assert_int_equal(got.len, len);
    assert_memory_equal(got.ptr, wanted, len);
}

static void
messages_survive_percent_encoding(void **state)
{
    static const struct {
        const char *plain, *encoded;
    } cases[] = {
        {"", ""},
        {"plain text", "plain text"},
        {"100%", "100%25"},
        {" both ends ", "%20both ends%20"},
        {" ", "%20"},
        {"caf\xc3\xa9", "caf%C3%A9"},
        {"\t\r\n", "%09%0D%0A"},
        {"\xf0\x9f\x98\x88", "%F0%9F%98%88"},
        {"\x7f~", "%7F~"},
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_str encoded = nd_percent_encode(arena, nd_str(cases[i].plain), 1024);

        assert_text(encoded, cases[i].encoded, strlen(cases[i].encoded));
        assert_text(nd_percent_decode(arena, encoded), cases[i].plain, strlen(cases[i].plain));
    }
}

static void
percent_decoding_never_fails(void **state)
{
    static const struct {
        const char *encoded, *plain;
    } cases[] = {
        {"caf%C3%A9 %zz%", "caf\xc3\xa9 %zz%"},
        {"%", "%"},
        {"%4", "%4"},
        {"%41", "A"},
        {"%%41", "%A"},
        {"%c3%a9", "\xc3\xa9"},
        {"\xff\xfe", "\xff\xfe"},
        {"%e", "%e"},
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++)
        assert_text(nd_percent_decode(arena, nd_str(cases[i].encoded)), cases[i].plain,
                    strlen(cases[i].plain));
}

static void
percent_encoding_is_cut_between_characters(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    assert_text(nd_percent_encode(arena, ND_STR("ab\xc3\xa9"), 7), "ab", 2);
    assert_text(nd_percent_encode(arena, ND_STR("ab\xc3\xa9"), 8), "ab%C3%A9", 8);
    assert_text(nd_percent_encode(arena, ND_STR("a b"), 2), "a", 1);
    assert_text(nd_percent_encode(arena, ND_STR("a  b"), 3), "a", 1);
    assert_text(nd_percent_encode(arena, ND_STR("abc"), 0), "", 0);
    assert_text(nd_percent_encode(arena, ND_STR("a\xff\x80z"), 100), "a%EF%BF%BD%EF%BF%BDz", 20);
}

static void
base64_is_read_with_and_without_padding(void **state)
{
    static const struct {
        const char *plain, *padded, *raw;
    } cases[] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff\xfe", "+//+", "+//+"},
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_str got;

        assert_text(nd_base64_encode(arena, nd_str(cases[i].plain)), cases[i].raw,
                    strlen(cases[i].raw));
        assert_true(nd_base64_decode(arena, nd_str(cases[i].padded), &got));
        assert_text(got, cases[i].plain, strlen(cases[i].plain));
        assert_true(nd_base64_decode(arena, nd_str(cases[i].raw), &got));
        assert_text(got, cases[i].plain, strlen(cases[i].plain));
    }
}

static void
malformed_base64_is_refused(void **state)
{
    static const char *const cases[] = {
        "A",    "=",    "==",     "===", "====", "Zg=",      "Z===",  "Zg==Zg==", "Zm9v=",
        "Zm 9", "Zm-_", "Zm9v\n", "Zh",  "Zm9",  "\xff\xff", "Zg,Zg", "A=A=",
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_str got;

        if (nd_base64_decode(arena, nd_str(cases[i]), &got))
            fail_msg("accepted: %s", cases[i]);
    }
}

static void
paths_are_split_at_the_last_slash(void **state)
{
    static const struct {
        const char *path, *service, *method;
    } cases[] = {
        {"/a.B/C", "a.B", "C"}, {"/a/b/C", "a/b", "C"}, {"//C", "", "C"},
        {"/a.B/", "a.B", ""},   {"/", NULL, NULL},      {"/nomethod", NULL, NULL},
        {"a.B/C", NULL, NULL},  {"", NULL, NULL},       {"*", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_str service, method;

        assert_int_equal(nd_path_split(nd_str(cases[i].path), &service, &method),
                         cases[i].service != NULL);
        if (cases[i].service == NULL)
            continue;
        assert_text(service, cases[i].service, strlen(cases[i].service));
        assert_text(method, cases[i].method, strlen(cases[i].method));
    }
}

static void
content_types_are_matched_up_to_plus_and_semicolon(void **state)
{
    static const char *const good[] = {"application/grpc", "application/grpc+proto",
                                       "application/grpc+json", "application/grpc;charset=utf-8",
                                       "Application/GRPC"};
    static const char *const bad[] = {"",
                                      "application/grpcx",
                                      "application/grpc-web",
                                      "application/json",
                                      "application/grp",
                                      "text/html"};

    (void)state;
    for (size_t i = 0; i < ND_LEN(good); i++)
        assert_true(nd_is_grpc_content_type(nd_str(good[i])));
    for (size_t i = 0; i < ND_LEN(bad); i++)
        assert_false(nd_is_grpc_content_type(nd_str(bad[i])));
}

static void
statuses_are_read_strictly(void **state)
{
    (void)state;
    for (int code = 0; code <= ND_CODE_MAX; code++) {
        char text[4];

        snprintf(text, sizeof(text), "%d", code);
        assert_int_equal(nd_status_parse(nd_str(text)), code);
    }
    assert_int_equal(nd_status_parse(ND_STR("17")), ND_UNKNOWN);
    assert_int_equal(nd_status_parse(ND_STR("00")), ND_UNKNOWN);
    assert_int_equal(nd_status_parse(ND_STR("")), ND_UNKNOWN);
    assert_int_equal(nd_status_parse(ND_STR("-1")), ND_UNKNOWN);
    assert_int_equal(nd_status_of_http(503), ND_UNAVAILABLE);
    assert_int_equal(nd_status_of_http(302), ND_UNKNOWN);
    assert_int_equal(nd_status_of_reset(ND_H2_ENHANCE_YOUR_CALM), ND_EXHAUSTED);
    assert_int_equal(nd_status_of_reset(4711), ND_UNKNOWN);
}

/* --- frames --- */

static void
frames_are_found_however_the_bytes_are_cut(void **state)
{
    static const char bytes[] = "\0\0\0\0\3abc\0\0\0\0\0\0\0\0\0\2de";
    static const char *const wanted[] = {"abc", "", "de"};

    (void)state;
    for (size_t piece = 1; piece < sizeof(bytes); piece++) {
        struct nd_frames f;
        size_t n = 0;

        nd_frames_init(&f, 3);
        for (size_t at = 0; at < sizeof(bytes) - 1; at += piece) {
            struct nd_str message;
            bool found = true;

            nd_frames_feed(&f, nd_str_sub(nd_str_n(bytes, sizeof(bytes) - 1), at, piece));
            while (found) {
                expect_ok(nd_frames_next(&f, &message, &found));
                if (found)
                    assert_text(message, wanted[n], strlen(wanted[n]));
                n += found;
            }
        }
        assert_int_equal(n, 3);
        assert_int_equal(nd_frames_pending(&f), 0);
        nd_frames_fini(&f);
    }
}

static void
a_large_message_leaves_no_memory_behind(void **state)
{
    static const char prefix[] = "\0\0\1\0\0";
    char body[65536] = {0};
    struct nd_str message;
    struct nd_frames f;
    bool found;

    (void)state;
    nd_frames_init(&f, sizeof(body));
    nd_frames_feed(&f, nd_str_n(prefix, 5));
    nd_frames_feed(&f, nd_str_n(body, sizeof(body)));
    expect_ok(nd_frames_next(&f, &message, &found));
    assert_true(found);
    assert_int_equal(message.len, sizeof(body));
    expect_ok(nd_frames_next(&f, &message, &found));
    assert_false(found);
    assert_true(f.buf.cap <= 4096);
    nd_frames_fini(&f);
}

static void
bad_prefixes_are_refused_before_the_body(void **state)
{
    static const struct {
        const char *bytes;
        enum nd_code code;
    } cases[] = {
        {"\0\0\0\0\4", ND_EXHAUSTED},  {"\0\xff\xff\xff\xff", ND_EXHAUSTED},
        {"\1\0\0\0\0", ND_INTERNAL},   {"\2\0\0\0\0", ND_INTERNAL},
        {"\xff\0\0\0\0", ND_INTERNAL}, {"\0\0\0\0\3", ND_OK},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_frames f;
        struct nd_str message;
        bool found;

        nd_frames_init(&f, 3);
        nd_frames_feed(&f, nd_str_n(cases[i].bytes, 5));
        expect_code(nd_frames_next(&f, &message, &found), cases[i].code);
        assert_true(f.buf.cap < 1024);
        nd_frames_fini(&f);
    }
}

/*
 * Messages of all sizes, one behind the other: each keeps its text, whoever holds it, when the
 * others go.
 */
static void
messages_outlive_the_bytes_that_they_came_in(void **state)
{
    static const size_t sizes[] = {3, 20000, 16384, 0, 70000, 100, 40000, 40000, 40000, 5};
    char *text = nd_calloc(70001, 1);

    (void)state;
    for (size_t piece = 997; piece < 400000; piece *= 4) {
        struct nd_buf wire = ND_BUF_INIT(1 << 20);
        struct nd_arena *arenas[ND_LEN(sizes)];
        Echo__EchoRequest *got[ND_LEN(sizes)];
        struct nd_frames f;
        size_t n = 0;

        for (size_t i = 0; i < ND_LEN(sizes); i++) {
            Echo__EchoRequest request = ECHO__ECHO_REQUEST__INIT;

            memset(text, 'a' + (int)i, sizes[i]);
            text[sizes[i]] = '\0';
            request.text = text;
            request.repeat = 7;
            expect_ok(nd_frame_put(&wire, &request));
        }
        nd_frames_init(&f, 1 << 20);
        for (size_t at = 0; at < wire.len; at += piece) {
            struct nd_str bytes;
            bool found = true;

            nd_frames_feed(&f, nd_str_sub(nd_buf_str(&wire), at, piece));
            while (found) {
                expect_ok(nd_frames_next(&f, &bytes, &found));
                if (!found)
                    break;
                arenas[n] = nd_arena_new(0);
                expect_ok(nd_frames_decode(&f, &echo__echo_request__descriptor, bytes, arenas[n],
                                           (ProtobufCMessage **)&got[n]));
                n++;
            }
        }
        assert_int_equal(n, ND_LEN(sizes));
        assert_int_equal(nd_frames_pending(&f), 0);
        nd_frames_fini(&f);
        nd_buf_fini(&wire);
        for (size_t i = 0; i < n; i++) {
            memset(text, 'a' + (int)i, sizes[i]);
            text[sizes[i]] = '\0';
            assert_string_equal(got[i]->text, text);
            assert_int_equal(got[i]->repeat, 7);
            nd_arena_free(arenas[i]);
        }
    }
    nd_free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timeouts_are_read_as_the_specification_says),
        cmocka_unit_test(timeouts_are_written_rounded_up),
        cmocka_unit_test(messages_survive_percent_encoding),
        cmocka_unit_test(percent_decoding_never_fails),
        cmocka_unit_test(percent_encoding_is_cut_between_characters),
        cmocka_unit_test(base64_is_read_with_and_without_padding),
        cmocka_unit_test(malformed_base64_is_refused),
        cmocka_unit_test(paths_are_split_at_the_last_slash),
        cmocka_unit_test(content_types_are_matched_up_to_plus_and_semicolon),
        cmocka_unit_test(statuses_are_read_strictly),
        cmocka_unit_test(frames_are_found_however_the_bytes_are_cut),
        cmocka_unit_test(a_large_message_leaves_no_memory_behind),
        cmocka_unit_test(messages_outlive_the_bytes_that_they_came_in),
        cmocka_unit_test(bad_prefixes_are_refused_before_the_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
