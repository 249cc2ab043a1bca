/* JSON: parsing with limits, looking into values, building, and both ways of writing. */

#include "base/alloc.h"
#include "codec/json.h"

#include "check.h"

static struct nd_json *
parse(const char *text)
{
    struct nd_json *value = NULL;

    check_ok(nd_json_parse(nd_str(text), NULL, &value));
    return value;
}

static void
check_written(const struct nd_json *value, unsigned style, const char *want)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(1 << 20);

    check_ok(nd_json_write(value, style, &buf));
    assert_string_equal(buf.ptr, want);
}

static void
texts_survive_the_round_trip(void **state)
{
    static const char *const rows[] = {
        "null",
        "true",
        "\"a/b\"",
        "-5",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
        "9223372036854775808",
        "0.1",
        "1e+300",
        "[]",
        "{}",
        "{\"b\":1,\"a\":[1,2,{\"c\":null}],\"\":\"\"}",
        "{\"type\":\"RLIMIT_NOFILE\",\"hard\":18446744073709551615,\"soft\":18446744073709551615}",
        "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\xc3\xa4<>&\"",
        "\"18446744073709551615\"",
        "[18446744073709551615]",
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        ND_AUTO(nd_json_freep) struct nd_json *value = parse(rows[i]);

        check_written(value, ND_JSON_PLAIN, rows[i]);
    }
}

static void
broken_texts_are_refused(void **state)
{
    static const struct nd_str rows[] = {
        {"", 0},
        {" ", 1},
        {"{", 1},
        {"[1,]", 4},
        {"{\"a\":1,}", 8},
        {"{a:1}", 5},
        {"'a'", 3},
        {"\"a", 2},
        {"\"a\\", 3},
        {"\"\\", 2},
        {"\"\\x\"", 4},
        {"\"\\u00\"", 6},
        {"\"\xff\"", 3},
        {"\"\\ud800\"", 8},
        {"\"\\u0000\"", 8},
        {"\"a\0b\"", 5},
        {"1 2", 3},
        {"{} {}", 5},
        {"nul", 3},
        {"01", 2},
        {"+1", 2},
        {"1.", 2},
        {".5", 2},
        {"1e", 2},
        {"NaN", 3},
        {"1e999", 5},
        {"18446744073709551616", 20},
        {"-9223372036854775809", 20},
        {"-18446744073709551615", 21},
        {"]", 1},
        {"[}", 2},
        {"\xef\xbb\xbf{}", 5},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        struct nd_json *value = NULL;

        check_row(i, rows[i].ptr, nd_json_parse(rows[i], NULL, &value), ND_INVALID);
        assert_null(value);
    }
}

static void
an_error_says_where(void **state)
{
    struct nd_json *value;

    (void)state;
    check_message(nd_json_parse(ND_STR("{\"a\": 1,\n \"b\": }"), NULL, &value), ND_INVALID,
                  "line 2, column 7");
}

/* `n` opening brackets, `n` closing ones. */
static void
nest(struct nd_buf *buf, size_t n)
{
    nd_buf_clear(buf);
    for (size_t i = 0; i < n; i++)
        nd_buf_putc(buf, '[');
    for (size_t i = 0; i < n; i++)
        nd_buf_putc(buf, ']');
}

static void
limits_are_exact(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(1000);
    const struct nd_json_limits limits = {.max_bytes = 100, .max_depth = 5, .max_values = 10};
    struct nd_json *value;

    (void)state;
    nest(&buf, 5);
    check_ok(nd_json_parse(nd_buf_str(&buf), &limits, &value));
    nd_json_free(value);
    nest(&buf, 6);
    check_message(nd_json_parse(nd_buf_str(&buf), &limits, &value), ND_EXHAUSTED, "deeper than 5");
    check_ok(nd_json_parse(ND_STR("[0,1,2,3,4,5,6,7,8,9]"), &limits, &value));
    nd_json_free(value);
    check_message(nd_json_parse(ND_STR("[0,1,2,3,4,5,6,7,8,9,0]"), &limits, &value), ND_EXHAUSTED,
                  "more than 10 values");
    nd_buf_clear(&buf);
    nd_buf_printf(&buf, "\"%098d\"", 0);
    check_ok(nd_json_parse(nd_buf_str(&buf), &limits, &value));
    nd_json_free(value);
    nd_buf_putc(&buf, ' ');
    check_message(nd_json_parse(nd_buf_str(&buf), &limits, &value), ND_EXHAUSTED, "100 bytes");
}

static void
brackets_in_strings_do_not_count(void **state)
{
    const struct nd_json_limits limits = {.max_depth = 1, .max_values = 2};
    struct nd_json *value;

    (void)state;
    check_ok(nd_json_parse(ND_STR("[\"[[{,,,\\\"[[,,\"]"), &limits, &value));
    nd_json_free(value);
}

static void
a_hundred_thousand_brackets_do_not_overflow_the_stack(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(1 << 20);
    struct nd_json *value;

    (void)state;
    nest(&buf, 100000);
    check_code(nd_json_parse(nd_buf_str(&buf), NULL, &value), ND_EXHAUSTED);
}

static void
the_last_of_equal_keys_counts(void **state)
{
    ND_AUTO(nd_json_freep) struct nd_json *value = parse("{\"a\":1,\"b\":2,\"a\":3}");
    int64_t v;

    (void)state;
    check_ok(nd_json_get_i64(value, "a", &v));
    assert_int_equal(v, 3);
    assert_int_equal(nd_json_count(value), 2);
}

static void
members_are_read_by_type(void **state)
{
    ND_AUTO(nd_json_freep)
    struct nd_json *value =
        parse("{\"s\":\"x\",\"i\":-1,\"u\":18446744073709551615,\"b\":true,\"o\":{\"k\":1},"
              "\"l\":[1,\"two\"],\"n\":null,\"r\":1.5}");
    const struct nd_json *inner;
    struct nd_str text;
    int64_t i;
    uint64_t u;
    bool b;

    (void)state;
    check_ok(nd_json_get_str(value, "s", &text));
    assert_true(nd_str_eqz(text, "x"));
    check_ok(nd_json_get_i64(value, "i", &i));
    assert_int_equal(i, -1);
    check_ok(nd_json_get_u64(value, "u", &u));
    assert_true(u == UINT64_MAX);
    check_ok(nd_json_get_bool(value, "b", &b));
    assert_true(b);
    check_ok(nd_json_get_object(value, "o", &inner));
    assert_int_equal(nd_json_count(inner), 1);
    check_ok(nd_json_get_array(value, "l", &inner));
    check_ok(nd_json_as_str(nd_json_at(inner, 1), &text));
    assert_true(nd_str_eqz(text, "two"));
    assert_null(nd_json_at(inner, 2));
    assert_true(nd_json_real(nd_json_find(value, "r")) == 1.5);
    assert_int_equal(nd_json_type(nd_json_find(value, "u")), ND_JSON_INT);
    assert_int_equal(nd_json_type(nd_json_find(value, "r")), ND_JSON_REAL);
}

static void
absent_and_null_members_are_empty(void **state)
{
    ND_AUTO(nd_json_freep) struct nd_json *value = parse("{\"n\":null}");
    static const char *const keys[] = {"n", "absent"};

    (void)state;
    for (size_t k = 0; k < ND_LEN(keys); k++) {
        const struct nd_json *inner = value;
        struct nd_str text = ND_STR("x");
        int64_t i = 7;
        uint64_t u = 7;
        bool b = true;

        assert_null(nd_json_find(value, keys[k]));
        check_ok(nd_json_get_object(value, keys[k], &inner));
        assert_null(inner);
        check_ok(nd_json_get_array(value, keys[k], &inner));
        check_ok(nd_json_get_str(value, keys[k], &text));
        check_ok(nd_json_get_i64(value, keys[k], &i));
        check_ok(nd_json_get_u64(value, keys[k], &u));
        check_ok(nd_json_get_bool(value, keys[k], &b));
        assert_int_equal(text.len + (size_t)i + u + b, 0);
    }
    assert_null(nd_json_find(NULL, "x"));
    assert_int_equal(nd_json_count(NULL), 0);
    assert_int_equal(nd_json_string(NULL).len, 0);
}

static void
a_wrong_type_names_the_key(void **state)
{
    ND_AUTO(nd_json_freep) struct nd_json *value = parse("{\"a\":[],\"b\":-1,\"c\":1.5}");
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    const struct nd_json *inner = NULL;
    struct nd_str text;
    int64_t i;
    uint64_t u;
    bool b;

    (void)state;
    err = nd_json_get_str(value, "a", &text);
    assert_int_equal(nd_error_code(err), ND_INVALID);
    assert_string_equal(nd_error_get_field(err), "a");
    assert_string_equal(nd_error_message(err), "a: is an array, not a string");
    check_message(nd_json_get_object(value, "a", &inner), ND_INVALID, "not an object");
    check_message(nd_json_get_array(value, "b", &inner), ND_INVALID, "b: is a number");
    check_message(nd_json_get_u64(value, "b", &u), ND_INVALID,
                  "b: is a number, not an integer from");
    check_message(nd_json_get_i64(value, "c", &i), ND_INVALID, "c:");
    check_message(nd_json_get_bool(value, "c", &b), ND_INVALID, "not a boolean");
    assert_null(inner);
}

static void
objects_are_walked_in_their_order(void **state)
{
    ND_AUTO(nd_json_freep) struct nd_json *value = parse("{\"z\":1,\"a\":2,\"m\":3}");
    ND_AUTO(nd_json_freep) struct nd_json *array = parse("[1]");
    struct nd_str key;
    const struct nd_json *v;
    void *pos = NULL;
    char keys[4] = "";

    (void)state;
    for (size_t i = 0; nd_json_next(value, &pos, &key, &v); i++)
        keys[i] = key.ptr[0];
    assert_string_equal(keys, "zam");
    nd_json_sort(value);
    check_written(value, ND_JSON_PLAIN, "{\"a\":2,\"m\":3,\"z\":1}");
    pos = NULL;
    assert_false(nd_json_next(array, &pos, &key, &v));
}

static void
values_are_built_in_order(void **state)
{
    ND_AUTO(nd_json_freep) struct nd_json *o = nd_json_new_object();
    ND_AUTO(nd_json_freep) struct nd_json *copy = NULL;
    struct nd_json *a = nd_json_new_array();

    (void)state;
    nd_json_set_text(o, "s", "x");
    nd_json_set_text(o, "none", NULL);
    nd_json_set_i64(o, "i", -1);
    nd_json_set_u64(o, "u", UINT64_MAX);
    nd_json_set_bool(o, "b", true);
    nd_json_push_str(a, ND_STR("e"));
    nd_json_push(a, nd_json_new_null());
    nd_json_push(a, nd_json_new_real(2.5));
    nd_json_push(a, nd_json_new_object());
    nd_json_set_value(o, "a", a);
    nd_json_set(o, ND_STR("k\xff"), nd_json_new_u64(5));
    nd_json_set_text(o, "s", "again");
    nd_json_remove(o, "b");
    nd_json_remove(o, "absent");
    check_written(o, ND_JSON_PLAIN,
                  "{\"s\":\"again\",\"none\":\"\",\"i\":-1,\"u\":18446744073709551615,"
                  "\"a\":[\"e\",null,2.5,{}],\"k\xef\xbf\xbd\":5}");
    copy = nd_json_copy(o);
    assert_true(nd_json_eq(o, copy));
    nd_json_set_bool(nd_json_edit_at(nd_json_edit(o, "a"), 3), "deep", true);
    assert_false(nd_json_eq(o, copy));
    assert_null(nd_json_edit(o, "absent"));
}

static void
bytes_that_are_not_utf8_are_mended(void **state)
{
    static const struct {
        struct nd_str in;
        const char *out;
    } rows[] = {
        {{"", 0}, "\"\""},
        {{NULL, 0}, "\"\""},
        {{"\xff", 1}, "\"\xef\xbf\xbd\""},
        {{"a\xc3", 2}, "\"a\xef\xbf\xbd\""},
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {{"a\0b\xff", 4}, "\"a\\u0000b\xef\xbf\xbd\""},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        ND_AUTO(nd_json_freep) struct nd_json *value = nd_json_new_str(rows[i].in);

        check_written(value, ND_JSON_PLAIN, rows[i].out);
    }
}

static void
go_style_escapes_what_go_escapes(void **state)
{
    ND_AUTO(nd_json_freep)
    struct nd_json *value =
        nd_json_new_str(ND_STR("<a href='/x'>&\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\x7f"));

    (void)state;
    check_written(value, ND_JSON_GO,
                  "\"\\u003ca href='/x'\\u003e\\u0026\\u2028\\u2029\xe2\x80\xaa\x7f\"");
    check_written(value, ND_JSON_PLAIN,
                  "\"<a href='/x'>&\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\x7f\"");
}

static void
indented_text_is_one_value_per_line(void **state)
{
    ND_AUTO(nd_json_freep) struct nd_json *value = parse("[{\"a\":[],\"b\":{},\"c\":[1,2]}]");

    (void)state;
    check_written(value, ND_JSON_INDENT,
                  "[\n    {\n        \"a\": [],\n        \"b\": {},\n        \"c\": [\n"
                  "            1,\n            2\n        ]\n    }\n]");
}

static void
writing_over_the_maximum_leaves_the_buffer_as_it_was(void **state)
{
    ND_AUTO(nd_json_freep) struct nd_json *value = parse("[\"aaaa\",\"bbbb\"]");
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(16);
    struct nd_buf none = ND_BUF_INIT(0);

    (void)state;
    nd_buf_putz(&buf, "xx");
    check_code(nd_json_write(value, ND_JSON_PLAIN, &buf), ND_EXHAUSTED);
    assert_string_equal(buf.ptr, "xx");
    check_code(nd_json_write(value, ND_JSON_PLAIN, &none), ND_EXHAUSTED);
    nd_buf_clear(&buf);
    nd_buf_putz(&buf, "x");
    check_ok(nd_json_write(value, ND_JSON_PLAIN, &buf));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_survive_the_round_trip),
        cmocka_unit_test(broken_texts_are_refused),
        cmocka_unit_test(an_error_says_where),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(brackets_in_strings_do_not_count),
        cmocka_unit_test(a_hundred_thousand_brackets_do_not_overflow_the_stack),
        cmocka_unit_test(the_last_of_equal_keys_counts),
        cmocka_unit_test(members_are_read_by_type),
        cmocka_unit_test(absent_and_null_members_are_empty),
        cmocka_unit_test(a_wrong_type_names_the_key),
        cmocka_unit_test(objects_are_walked_in_their_order),
        cmocka_unit_test(values_are_built_in_order),
        cmocka_unit_test(bytes_that_are_not_utf8_are_mended),
        cmocka_unit_test(go_style_escapes_what_go_escapes),
        cmocka_unit_test(indented_text_is_one_value_per_line),
        cmocka_unit_test(writing_over_the_maximum_leaves_the_buffer_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
