/* Filters: what users write stays inside the quotes. */

#include "base/buf.h"
#include "containerd/client.h"

#include "../check.h"

static void
values_are_quoted_and_escaped(void **state)
{
    static const struct {
        struct nd_str value;
        const char *want;
    } cases[] = {
        {ND_STR("web"), "name==\"web\""},
        {ND_STR(""), "name==\"\""},
        {ND_STR("a,b c==d"), "name==\"a,b c==d\""},
        {ND_STR("\",name==\"x"), "name==\"\\\",name==\\\"x\""},
        {ND_STR("back\\slash\\"), "name==\"back\\\\slash\\\\\""},
        {ND_STR("\n\t\x01\x7f"), "name==\"\\x0a\\x09\\x01\\x7f\""},
        {ND_STR("gr\xc3\xbc\xc3\x9f"), "name==\"gr\xc3\xbc\xc3\x9f\""},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_buf buf = ND_BUF_INIT(256);

        nd_ctrd_filter_eq(&buf, "name", cases[i].value);
        assert_string_equal(buf.ptr, cases[i].want);
        nd_buf_fini(&buf);
    }
}

static void
filters_are_appended(void **state)
{
    struct nd_buf buf = ND_BUF_INIT(256);

    (void)state;
    nd_ctrd_filter_eq(&buf, "labels.\"nerdctl/name\"", ND_STR("a"));
    nd_buf_putc(&buf, ',');
    nd_ctrd_filter_eq(&buf, "id", ND_STR("b"));
    assert_string_equal(buf.ptr, "labels.\"nerdctl/name\"==\"a\",id==\"b\"");
    nd_buf_fini(&buf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_quoted_and_escaped),
        cmocka_unit_test(filters_are_appended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
