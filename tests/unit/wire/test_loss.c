/* The note about what a log could not take. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "wire/loss.h"

static void
a_note_is_read_back(void **state)
{
    const struct nd_wire_loss loss = {UINT64_MAX, UINT64_C(0x0102030405060708), ENOSPC};
    struct nd_wire_loss got = {0};
    char note[ND_WIRE_LOSS], text[ND_WIRE_LOSS_TEXT];

    (void)state;
    nd_wire_put_loss(note, &loss);
    assert_true(nd_wire_get_loss(nd_str_n(note, sizeof(note)), &got));
    assert_true(got.entries == loss.entries && got.bytes == loss.bytes && got.why == loss.why);
    assert_true(nd_wire_loss_text(&loss, text) < sizeof(text));
    assert_string_equal(text,
                        "[nerdctl-grpc: 18446744073709551615 entries (72623859790382856 bytes) of "
                        "output were dropped: No space left on device]\n");
}

static void
what_is_no_note_tells_of_nothing(void **state)
{
    const struct nd_wire_loss nothing = {0, 0, 0}, odd = {1, 1, -1}, unknown = {1, 1, 99999};
    struct nd_wire_loss got;
    char note[ND_WIRE_LOSS], text[ND_WIRE_LOSS_TEXT];

    (void)state;
    nd_wire_put_loss(note, &nothing);
    assert_false(nd_wire_get_loss(nd_str_n(note, sizeof(note)), &got));
    nd_wire_put_loss(note, &odd);
    assert_false(nd_wire_get_loss(nd_str_n(note, sizeof(note)), &got));
    nd_wire_put_loss(note, &unknown);
    assert_true(nd_wire_get_loss(nd_str_n(note, sizeof(note)), &got));
    assert_true(nd_wire_loss_text(&got, text) < sizeof(text));
    for (size_t len = 0; len < sizeof(note); len++)
        assert_false(nd_wire_get_loss(nd_str_n(note, len), &got));
    note[0] = 'x';
    assert_false(nd_wire_get_loss(nd_str_n(note, sizeof(note)), &got));
    assert_false(nd_wire_get_loss(ND_STR("4711\n"), &got));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_note_is_read_back),
        cmocka_unit_test(what_is_no_note_tells_of_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
