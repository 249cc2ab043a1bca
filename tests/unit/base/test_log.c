/* Log lines: their form, their level, and strings that try to break out of them. */

#include <pthread.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"

#include "check.h"

struct sink {
    struct nd_buf text;
    size_t n_lines;
    enum nd_log_level level;
};

static void
collect(void *arg, enum nd_log_level level, struct nd_str line)
{
    struct sink *sink = arg;

    nd_buf_put(&sink->text, line);
    nd_buf_putc(&sink->text, '\n');
    sink->n_lines++;
    sink->level = level;
}

static int
begin(void **state)
{
    static struct sink sink;

    sink = (struct sink){.text = ND_BUF_INIT(1 << 24)};
    nd_log_set_sink(collect, &sink);
    nd_log_set_level(ND_LOG_INFO);
    *state = &sink;
    return 0;
}

static int
end(void **state)
{
    struct sink *sink = *state;

    nd_log_set_sink(NULL, NULL);
    nd_log_set_context(NULL);
    nd_buf_fini(&sink->text);
    return 0;
}

static void
a_line_has_time_level_message_and_typed_fields(void **state)
{
    struct sink *sink = *state;
    ND_AUTO(nd_error_freep) struct nd_error *err = nd_error_new(ND_DENIED, "no \"way\"");
    struct nd_error *none = NULL;
    const char *text = NULL;
    bool yes = true;

    nd_warn("it happened", ND_KV("s", "a\nb"), ND_KV("v", ND_STR("slice")), ND_KV("i", -5),
            ND_KV("u", UINT64_MAX), ND_KV("b", yes), ND_KV("err", err), ND_KV("none", none),
            ND_KV("null", text));
    assert_true(nd_str_starts(nd_buf_str(&sink->text), ND_STR("{\"time\":\"20")));
    assert_non_null(strstr(sink->text.ptr,
                           "Z\",\"level\":\"warn\",\"msg\":\"it happened\",\"s\":\"a\\nb\","
                           "\"v\":\"slice\",\"i\":-5,\"u\":18446744073709551615,\"b\":true,"
                           "\"err\":\"no \\\"way\\\"\",\"err_code\":\"PERMISSION_DENIED\","
                           "\"none\":null,\"null\":null}\n"));
    assert_int_equal(sink->level, ND_LOG_WARN);
}

static int
count_evaluation(int *n)
{
    return ++*n;
}

static void
lines_below_the_level_cost_nothing(void **state)
{
    struct sink *sink = *state;
    int n = 0;

    nd_debug("quiet", ND_KV("n", count_evaluation(&n)));
    assert_int_equal(n, 0);
    assert_int_equal(sink->n_lines, 0);
    nd_log_set_level(ND_LOG_DEBUG);
    nd_debug("loud", ND_KV("n", count_evaluation(&n)));
    assert_int_equal(sink->n_lines, 1);
    nd_log_set_level(ND_LOG_ERROR);
    nd_warn("quiet");
    nd_err("loud");
    assert_int_equal(sink->n_lines, 2);
}

static void
add_call(struct nd_buf *buf)
{
    nd_buf_putz(buf, ",\"call\":7");
}

static void
the_context_is_in_every_line(void **state)
{
    struct sink *sink = *state;

    nd_log_set_context(add_call);
    nd_info("a");
    assert_non_null(strstr(sink->text.ptr, "\"msg\":\"a\",\"call\":7}\n"));
}

static void
long_values_are_cut(void **state)
{
    struct sink *sink = *state;
    ND_AUTO(nd_freep) char *big = nd_strndup("", 0);

    big = nd_realloc(big, 1, 1000001);
    memset(big, 'x', 1000000);
    big[1000000] = '\0';
    nd_info("big", ND_KV("v", big));
    assert_in_range(sink->text.len, 8192, 9000);
}

static void *
write_lines(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++)
        nd_info("from a thread", ND_KV("i", i));
    return NULL;
}

static void
lines_of_threads_do_not_mix(void **state)
{
    struct sink *sink = *state;
    pthread_t threads[4];
    struct nd_str rest, line;
    size_t n = 0;

    for (size_t i = 0; i < ND_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
    for (size_t i = 0; i < ND_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    for (rest = nd_buf_str(&sink->text); nd_str_next(&rest, '\n', &line); n++) {
        assert_true(nd_str_starts(line, ND_STR("{\"time\"")));
        assert_true(nd_str_ends(line, ND_STR("}")));
    }
    assert_int_equal(n, 800);
}

static void
strings_cannot_leave_their_quotes(void **state)
{
    static const struct {
        struct nd_str in;
        const char *out;
    } rows[] = {
        {{"", 0}, "\"\""},
        {{"a\"b\\c", 5}, "\"a\\\"b\\\\c\""},
        {{"\0\x01\x1f\x7f", 4}, "\"\\u0000\\u0001\\u001f\\u007f\""},
        {{"\b\f\n\r\t", 5}, "\"\\b\\f\\n\\r\\t\""},
        {{"\xc3\xa4/\xf0\x9f\x98\x80", 7}, "\"\xc3\xa4/\xf0\x9f\x98\x80\""},
        {{"x\xff\xc3", 3}, "\"x\xef\xbf\xbd\xef\xbf\xbd\""},
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(1000);

        nd_json_quote(&buf, rows[i].in);
        assert_string_equal(buf.ptr, rows[i].out);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_line_has_time_level_message_and_typed_fields),
        TEST(lines_below_the_level_cost_nothing),
        TEST(the_context_is_in_every_line),
        TEST(long_values_are_cut),
        TEST(lines_of_threads_do_not_mix),
        TEST(strings_cannot_leave_their_quotes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
