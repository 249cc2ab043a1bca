/* Frames: what is written is read, and nothing else is taken for a frame. */

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/defs.h"
#include "base/random.h"
#include "wire/frame.h"

static void
a_header_comes_back(void **state)
{
    const struct nd_wire_header in = {
        .type = ND_WIRE_DATA, .stream = ND_WIRE_STDERR, .len = 5, .offset = UINT64_C(1) << 50};
    char frame[ND_WIRE_HEADER + 5] = {0};
    struct nd_wire_header out;

    (void)state;
    nd_wire_put_header(frame, &in);
    assert_true(nd_wire_get_header(nd_str_n(frame, sizeof(frame)), &out));
    assert_int_equal(out.type, in.type);
    assert_int_equal(out.stream, in.stream);
    assert_int_equal(out.len, in.len);
    assert_true(out.offset == in.offset);
}

static void
hello_and_welcome_come_back(void **state)
{
    struct nd_wire_hello hello = {.version = 7,
                                  .flags = ND_WIRE_WANTS_STDERR,
                                  .hold_ms = 1000,
                                  .patience_ms = ND_WIRE_FOR_EVER,
                                  .from = {ND_WIRE_NOW, 12}},
                         hello_out;
    const struct nd_wire_welcome welcome = {
        .version = 1, .flags = 5, .taken = 99, .from = {1, UINT64_C(1) << 40}};
    struct nd_wire_welcome welcome_out;
    char frame[ND_WIRE_HEADER + ND_WIRE_HELLO_PAYLOAD];
    struct nd_wire_header header;
    size_t len;

    (void)state;
    memset(hello.session, 0xa5, sizeof(hello.session));
    len = nd_wire_put_hello(frame, &hello);
    assert_true(nd_wire_get_header(nd_str_n(frame, len), &header));
    assert_int_equal(header.type, ND_WIRE_HELLO);
    nd_wire_get_hello(nd_str_n(frame, len), &hello_out);
    assert_memory_equal(&hello, &hello_out, sizeof(hello));

    len = nd_wire_put_welcome(frame, &welcome);
    assert_true(nd_wire_get_header(nd_str_n(frame, len), &header));
    assert_int_equal(header.type, ND_WIRE_WELCOME);
    nd_wire_get_welcome(nd_str_n(frame, len), &welcome_out);
    assert_memory_equal(&welcome, &welcome_out, sizeof(welcome));
}

static void
what_is_no_frame_is_refused(void **state)
{
    static const struct {
        const char *what;
        unsigned char bytes[ND_WIRE_HEADER + 1];
        size_t len;
    } cases[] = {
        {"nothing", {0}, 0},
        {"half a header", {0, 0, 0, ND_WIRE_BYE}, 8},
        {"no type", {0, 0, 0, 0}, 16},
        {"unknown type", {0, 0, 0, 63}, 16},
        {"another beginning", {1, 0, 0, ND_WIRE_BYE}, 16},
        {"unknown stream", {0, 0, 2, ND_WIRE_ACK}, 16},
        {"stream where there is none", {0, 0, 1, ND_WIRE_BYE}, 16},
        {"length without payload", {0, 0, 0, ND_WIRE_INPUT, 1}, 16},
        {"payload without length", {0, 0, 0, ND_WIRE_INPUT, 0}, 17},
        {"payload where there is none", {0, 0, 0, ND_WIRE_BYE, 1}, 17},
        {"HELLO that is too short", {0, 0, 0, ND_WIRE_HELLO, 1}, 17},
        {"empty input", {0, 0, 0, ND_WIRE_INPUT, 0}, 16},
    };
    struct nd_wire_header header;

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        bool taken = nd_wire_get_header(nd_str_n(cases[i].bytes, cases[i].len), &header);

        if (taken)
            print_error("%s was taken\n", cases[i].what);
        assert_false(taken);
    }
}

static void
payloads_have_a_largest_size(void **state)
{
    static char frame[ND_WIRE_FRAME_MAX + 1];
    struct nd_wire_header header = {.type = ND_WIRE_INPUT, .len = ND_WIRE_INPUT_WINDOW};

    (void)state;
    nd_wire_put_header(frame, &header);
    assert_true(nd_wire_get_header(nd_str_n(frame, ND_WIRE_HEADER + header.len), &header));
    header.len++;
    nd_wire_put_header(frame, &header);
    assert_false(nd_wire_get_header(nd_str_n(frame, ND_WIRE_HEADER + header.len), &header));
    header = (struct nd_wire_header){.type = ND_WIRE_DATA, .len = ND_WIRE_DATA_MAX};
    nd_wire_put_header(frame, &header);
    assert_true(nd_wire_get_header(nd_str_n(frame, ND_WIRE_HEADER + header.len), &header));
    header.len++;
    nd_wire_put_header(frame, &header);
    assert_false(nd_wire_get_header(nd_str_n(frame, ND_WIRE_HEADER + header.len), &header));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_comes_back),
        cmocka_unit_test(hello_and_welcome_come_back),
        cmocka_unit_test(what_is_no_frame_is_refused),
        cmocka_unit_test(payloads_have_a_largest_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
