/* Sizes, moments, comma lists and key=value files, good and bad. */

#include <stdlib.h>
#include <unistd.h>

#include "remote/limits.h"
#include "remote/units.h"

#include "check.h"

static void
sizes_are_powers_of_1024(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes; /* -1: refused */
    } cases[] = {
        {"0", 0},
        {"42", 42},
        {"42b", 42},
        {"1k", 1024},
        {"1K", 1024},
        {"1kb", 1024},
        {"1KiB", 1024},
        {"1 k", 1024},
        {"512m", INT64_C(512) << 20},
        {"2g", INT64_C(2) << 30},
        {"1.5g", INT64_C(3) << 29},
        {"1t", INT64_C(1) << 40},
        {"1P", INT64_C(1) << 50},
        {"", -1},
        {"m", -1},
        {"-1", -1},
        {"-1m", -1},
        {"1x", -1},
        {"1mm", -1},
        {"1e3", -1},
        {"1..5", -1},
        {".5k", -1},
        {"1 2", -1},
        {"0x10", -1},
        {"99999999999999999999", -1},
        {"9999999p", -1},
        {"1\xff", -1},
        {"1m ", -1},
        {"111111111111111111111111111111111111111111111111111", -1},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        int64_t bytes = -1;

        check_row(i, cases[i].text, nd_size_parse(nd_str(cases[i].text), &bytes),
                  cases[i].bytes < 0 ? ND_INVALID : ND_OK);
        assert_int_equal(bytes, cases[i].bytes);
    }
}

static void
moments_have_many_forms(void **state)
{
    static const struct {
        const char *text;
        int64_t sec;
        int32_t nsec;
    } cases[] = {
        {"2026-01-02T03:04:05Z", 1767323045, 0},
        {"2026-01-02T03:04:05.5+01:00", 1767319445, 500000000},
        {"2026-01-02T03:04:05", 1767323045, 0},
        {"2026-01-02T03:04", 1767323040, 0},
        {"2026-01-02", 1767312000, 0},
        {"1767323045", 1767323045, 0},
        {"1767323045.25", 1767323045, 250000000},
        {"0", 0, 0},
        {"10m", 2000000000 - 600, 0},
        {"1h30m", 2000000000 - 5400, 0},
        {"1.5s", 2000000000 - 2, 500000000},
        {"-10m", 2000000000 + 600, 0},
    };
    static const char *const bad[] = {
        "",      "yesterday", "2026-13-01", "10",  "2026-01-02T", "1767323045.",
        "1.2.3", "10 m",      "T",          "\xff"};
    struct nd_wall now = {2000000000, 0}, at;

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        check_row(i, cases[i].text, nd_moment_parse(nd_str(cases[i].text), now, &at), ND_OK);
        assert_int_equal(at.sec, cases[i].sec);
        assert_int_equal(at.nsec, cases[i].nsec);
    }
    for (size_t i = 0; i < ND_LEN(bad); i++) {
        if (strcmp(bad[i], "10") != 0) /* is ten seconds after 1970 */
            check_row(i, bad[i], nd_moment_parse(nd_str(bad[i]), now, &at), ND_INVALID);
    }
}

static const char *
joined(struct nd_arena *arena, const struct nd_texts *texts)
{
    const char *all = "";

    for (size_t i = 0; i < texts->n; i++)
        all = nd_arena_printf(arena, "%s[%.*s]", all, ND_STR_ARG(texts->items[i]));
    return all;
}

static void
comma_lists_know_quotes(void **state)
{
    static const struct {
        const char *line, *values; /* NULL: refused */
    } cases[] = {
        {"a,b", "[a][b]"},
        {"", "[]"},
        {",", "[][]"},
        {"a,,b", "[a][][b]"},
        {" a , b ", "[ a ][ b ]"},
        {"\"a,b\",c", "[a,b][c]"},
        {"\"a\"\"b\"", "[a\"b]"},
        {"\"\"", "[]"},
        {"a\"b", NULL},
        {"\"a\"b", NULL},
        {"\"a", NULL},
        {"\"", NULL},
        {"a\nb", NULL},
        {"a\rb", NULL},
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_texts values = {.n = 0};

        check_row(i, cases[i].line, nd_csv_parse(arena, nd_str(cases[i].line), &values),
                  cases[i].values == NULL ? ND_INVALID : ND_OK);
        if (cases[i].values != NULL)
            assert_string_equal(joined(arena, &values), cases[i].values);
    }
}

static void
comma_lists_have_a_limit(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    char *commas = nd_arena_alloc(arena, ND_REMOTE_MAX_LIST_VALUES + 1);
    struct nd_texts values = {.n = 0};

    (void)state;
    memset(commas, ',', ND_REMOTE_MAX_LIST_VALUES);
    check_ok(nd_csv_parse(arena, nd_str_n(commas, ND_REMOTE_MAX_LIST_VALUES - 1), &values));
    assert_int_equal(values.n, ND_REMOTE_MAX_LIST_VALUES);
    values.n = 0;
    check_message(nd_csv_parse(arena, nd_str_n(commas, ND_REMOTE_MAX_LIST_VALUES), &values),
                  ND_INVALID, "more than");
}

static void
key_files_skip_comments(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_texts lines = {.n = 0};

    (void)state;
    check_ok(nd_key_file_parse(arena,
                               ND_STR("\xef\xbb\xbf"
                                      "A=1\r\n# no\n\n  B=two words  \nHOME\nC==\n\t# no\nD=a#b"),
                               "file", &lines));
    assert_string_equal(joined(arena, &lines), "[A=1][B=two words  ][HOME][C==][D=a#b]");
}

static void
key_files_say_where_they_are_wrong(void **state)
{
    static const struct {
        const char *content, *message;
    } cases[] = {
        {"A=1\n=x\n", "env.txt: line 2: no variable name"},
        {"A B=1\n", "line 1: variable 'A B' contains whitespaces"},
        {"A=\xff\n", "line 1 is not UTF-8"},
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_texts lines = {.n = 0};

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++)
        check_message(nd_key_file_parse(arena, nd_str(cases[i].content), "env.txt", &lines),
                      ND_INVALID, cases[i].message);
    check_code(nd_key_file_parse(arena, nd_str_n("A=\0", 3), "env.txt", &lines), ND_INVALID);
}

static void
files_are_read_up_to_the_limit(void **state)
{
    char path[] = "/tmp/nd-units-XXXXXX";
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    int fd = mkstemp(path);
    struct nd_str content;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "hello", 5), 5);
    check_ok(nd_file_read(arena, path, &content));
    assert_true(nd_str_eqz(content, "hello"));
    assert_int_equal(ftruncate(fd, ND_REMOTE_MAX_FILE_BYTES), 0);
    check_ok(nd_file_read(arena, path, &content));
    assert_int_equal(content.len, ND_REMOTE_MAX_FILE_BYTES);
    assert_int_equal(ftruncate(fd, ND_REMOTE_MAX_FILE_BYTES + 1), 0);
    check_message(nd_file_read(arena, path, &content), ND_EXHAUSTED, path);
    assert_int_equal(unlink(path), 0);
    check_message(nd_file_read(arena, path, &content), ND_NOT_FOUND, path);
    check_message(nd_file_read(arena, "/", &content), ND_INTERNAL, "Is a directory");
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_powers_of_1024),
        cmocka_unit_test(moments_have_many_forms),
        cmocka_unit_test(comma_lists_know_quotes),
        cmocka_unit_test(comma_lists_have_a_limit),
        cmocka_unit_test(key_files_skip_comments),
        cmocka_unit_test(key_files_say_where_they_are_wrong),
        cmocka_unit_test(files_are_read_up_to_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
