/* Texts of others do nothing to a terminal. */

#include "remote/printable.h"
#include "remote/table.h"

#include "check.h"

static void
what_a_terminal_obeys_becomes_visible(void **state)
{
    static const struct {
        struct nd_str text;
        const char *shown;
    } cases[] = {
        {ND_STR(""), ""},
        {ND_STR("plain text, \xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb3"),
         "plain text, \xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb3"},
        {ND_STR("\033]0;title\a"), "\\x1b]0;title\\x07"},
        {ND_STR("a\rb\bc\x7f\0d"), "a\\x0db\\x08c\\x7f\\x00d"},
        {ND_STR("\xc2\x9b"
                "2J"),
         "\\u009b2J"}, /* CSI as one character */
        {ND_STR("\x9b"
                "2J"),
         "\\x9b2J"}, /* and as one byte */
        {ND_STR("\xe2\x80\xaegpj.exe"), "\\u202egpj.exe"},
        {ND_STR("\xe2\x81\xa6\xd8\x9c\xe2\x80\xa8"), "\\u2066\\u061c\\u2028"},
        {ND_STR("cut \xe2\x82"), "cut \\xe2\\x82"},
        {ND_STR("\xc0\x9b\xff"), "\\xc0\\x9b\\xff"},
        {ND_STR("two\nlines\t"), "two\nlines\t"},
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_str shown = nd_printable_str(arena, cases[i].text, ND_PRINTABLE_LINES);

        assert_int_equal(shown.len, strlen(cases[i].shown));
        assert_memory_equal(shown.ptr, cases[i].shown, shown.len);
    }
}

static void
every_byte_has_room(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    char bytes[512];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    for (size_t from = 0; from < sizeof(bytes); from++) {
        struct nd_str text = nd_str_n(bytes + from, sizeof(bytes) - from);
        struct nd_str shown = nd_printable_str(arena, text, "");

        for (size_t i = 0; i < shown.len; i++)
            assert_true((unsigned char)shown.ptr[i] >= 0x20 && shown.ptr[i] != 0x7f);
        assert_true(nd_str_is_utf8(shown));
    }
}

static void
a_full_buffer_is_an_error(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(8);

    (void)state;
    check_code(nd_printable(&out, ND_STR("\033\033\033\033"), ""), ND_EXHAUSTED);
}

static void
a_cell_stays_in_its_place(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(4096);
    struct nd_table *table = nd_table_new(arena, 4, 2);

    (void)state;
    nd_table_cellz(table, "a\nb\tc\033[2J");
    nd_table_cellz(table, "next");
    nd_table_end_line(table);
    check_ok(nd_table_print(table, &out));
    assert_string_equal(out.ptr, "a\\x0ab\\x09c\\x1b[2J  next\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_terminal_obeys_becomes_visible),
        cmocka_unit_test(every_byte_has_room),
        cmocka_unit_test(a_full_buffer_is_an_error),
        cmocka_unit_test(a_cell_stays_in_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
