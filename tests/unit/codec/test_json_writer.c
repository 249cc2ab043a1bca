/* JSON written front to back: commas, nesting, quoting, and calls out of place. */

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codec/json_writer.h"

#include "check.h"

static void
commas_stand_between_members_at_every_level(void **state)
{
    static const char *const texts[] = {"x", "y"};
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(1000);
    struct nd_json_writer w = ND_JSON_WRITER(&buf);

    (void)state;
    nd_json_begin_object(&w);
    nd_json_put_text(&w, "a", "1\"");
    nd_json_key(&w, "b");
    nd_json_begin_array(&w);
    nd_json_begin_object(&w);
    nd_json_end_object(&w);
    nd_json_begin_array(&w);
    nd_json_end_array(&w);
    nd_json_i64(&w, INT64_MIN);
    nd_json_u64(&w, UINT64_MAX);
    nd_json_bool(&w, true);
    nd_json_null(&w);
    nd_json_text(&w, NULL);
    nd_json_raw(&w, ND_STR("{\"r\":[]}"));
    nd_json_end_array(&w);
    nd_json_put_texts(&w, "c", texts, ND_LEN(texts));
    nd_json_put_texts(&w, "d", NULL, 0);
    nd_json_put_i64(&w, "e", -1);
    nd_json_put_u64(&w, "f", 1);
    nd_json_put_bool(&w, "g", false);
    nd_json_end_object(&w);
    assert_string_equal(buf.ptr,
                        "{\"a\":\"1\\\"\",\"b\":[{},[],-9223372036854775808,18446744073709551615,"
                        "true,null,null,{\"r\":[]}],\"c\":[\"x\",\"y\"],\"d\":[],\"e\":-1,\"f\":1,"
                        "\"g\":false}");
}

static void
the_deepest_level_is_32(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(1000);
    struct nd_json_writer w = ND_JSON_WRITER(&buf);

    (void)state;
    for (int i = 0; i < ND_JSON_WRITER_DEPTH; i++)
        nd_json_begin_array(&w);
    nd_json_null(&w);
    nd_json_null(&w);
    for (int i = 0; i < ND_JSON_WRITER_DEPTH; i++)
        nd_json_end_array(&w);
    assert_int_equal(buf.len, 2 * (size_t)ND_JSON_WRITER_DEPTH + strlen("null,null"));
}

static void
value_without_key(struct nd_json_writer *w)
{
    nd_json_begin_object(w);
    nd_json_null(w);
}

static void
key_in_array(struct nd_json_writer *w)
{
    nd_json_begin_array(w);
    nd_json_key(w, "a");
}

static void
end_of_another_kind(struct nd_json_writer *w)
{
    nd_json_begin_array(w);
    nd_json_end_object(w);
}

static void
end_behind_a_key(struct nd_json_writer *w)
{
    nd_json_begin_object(w);
    nd_json_key(w, "a");
    nd_json_end_object(w);
}

static void
too_deep(struct nd_json_writer *w)
{
    for (int i = 0; i <= ND_JSON_WRITER_DEPTH; i++)
        nd_json_begin_array(w);
}

static void
calls_out_of_place_abort(void **state)
{
    static void (*const wrong[])(struct nd_json_writer *) = {
        value_without_key, key_in_array, end_of_another_kind, end_behind_a_key, too_deep,
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(wrong); i++) {
        pid_t pid = fork();
        int status;

        assert_true(pid >= 0);
        if (pid == 0) {
            struct nd_buf buf = ND_BUF_INIT(1000);
            struct nd_json_writer w = ND_JSON_WRITER(&buf);

            signal(SIGABRT, SIG_DFL);
            close(2);
            wrong[i](&w);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_stand_between_members_at_every_level),
        cmocka_unit_test(the_deepest_level_is_32),
        cmocka_unit_test(calls_out_of_place_abort),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
