/* Growing buffers and their maximum. */

#include "base/alloc.h"
#include "base/buf.h"

#include "check.h"

static void
content_has_a_nul_behind(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(1 << 20);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        nd_buf_printf(&buf, "%d,", i);
        assert_int_equal(buf.ptr[buf.len], '\0');
        assert_int_equal(strlen(buf.ptr), buf.len);
    }
    assert_true(nd_str_starts(nd_buf_str(&buf), ND_STR("0,1,2,3,")));
    assert_true(nd_str_ends(nd_buf_str(&buf), ND_STR(",998,999,")));
}

static void
the_maximum_is_exact(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(10);

    (void)state;
    check_ok(nd_buf_add(&buf, ND_STR("0123456")));
    check_message(nd_buf_add(&buf, ND_STR("789x")), ND_EXHAUSTED, "10 bytes");
    assert_string_equal(buf.ptr, "0123456");
    check_ok(nd_buf_add(&buf, ND_STR("789")));
    assert_string_equal(buf.ptr, "0123456789");
    check_code(nd_buf_reserve(&buf, 1), ND_EXHAUSTED);
    check_ok(nd_buf_reserve(&buf, 0));
    check_code(nd_buf_reserve(&buf, SIZE_MAX), ND_EXHAUSTED);
}

static void
a_buffer_without_maximum_takes_nothing(void **state)
{
    struct nd_buf buf = {0};

    (void)state;
    check_code(nd_buf_add(&buf, ND_STR("x")), ND_EXHAUSTED);
    assert_null(buf.ptr);
}

static void
drop_keeps_the_rest(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(100);

    (void)state;
    nd_buf_drop(&buf, 5);
    nd_buf_putz(&buf, "abcdef");
    nd_buf_drop(&buf, 2);
    assert_string_equal(buf.ptr, "cdef");
    nd_buf_drop(&buf, 100);
    assert_int_equal(buf.len, 0);
    assert_string_equal(buf.ptr, "");
}

static void
clear_keeps_the_memory(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(100);
    char *before;

    (void)state;
    nd_buf_putz(&buf, "abc");
    before = buf.ptr;
    nd_buf_clear(&buf);
    assert_int_equal(buf.len, 0);
    nd_buf_putc(&buf, 'x');
    assert_ptr_equal(buf.ptr, before);
    assert_string_equal(buf.ptr, "x");
}

static void
take_moves_the_content_out(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(100);
    ND_AUTO(nd_freep) char *empty = nd_buf_take(&buf);
    ND_AUTO(nd_freep) char *text = NULL;

    (void)state;
    assert_string_equal(empty, "");
    nd_buf_putz(&buf, "abc");
    text = nd_buf_take(&buf);
    assert_string_equal(text, "abc");
    assert_null(buf.ptr);
    assert_int_equal(buf.max, 100);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_has_a_nul_behind),
        cmocka_unit_test(the_maximum_is_exact),
        cmocka_unit_test(a_buffer_without_maximum_takes_nothing),
        cmocka_unit_test(drop_keeps_the_rest),
        cmocka_unit_test(clear_keeps_the_memory),
        cmocka_unit_test(take_moves_the_content_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
