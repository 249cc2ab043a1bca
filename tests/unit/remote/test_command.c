/* The tables of commands hold together, and words lead to the right command. */

#include "codec/json.h"
#include "remote/command.h"

#include "check.h"

static void
paths_and_aliases_are_unique(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    struct nd_texts all = {.n = 0};

    (void)state;
    for (size_t i = 0; i < nd_n_commands; i++) {
        struct nd_str rest = nd_str(nd_commands[i]->aliases), alias;

        nd_texts_push(a, &all, nd_str(nd_commands[i]->path));
        while (nd_str_next(&rest, ',', &alias))
            nd_texts_push(a, &all, alias);
    }
    for (size_t i = 0; i < all.n; i++) {
        assert_non_null(nd_command_find(all.items[i]));
        assert_false(nd_command_is_planned(all.items[i]));
        for (size_t k = 0; k < i; k++)
            assert_false(nd_str_eq(all.items[i], all.items[k]));
    }
}

static void
every_command_is_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < nd_n_commands; i++) {
        const struct nd_command *c = nd_commands[i];
        size_t blank = nd_str_find(nd_str(c->path), ' ');

        assert_non_null(c->run);
        assert_true(c->help[0] >= 'A' && c->help[0] <= 'Z');
        assert_non_null(strstr(c->usage, strrchr(c->path, ' ') != NULL
                                             ? nd_str_find(nd_command_name(c), ' ') == SIZE_MAX
                                                   ? c->usage
                                                   : strrchr(c->path, ' ') + 1
                                             : c->path));
        assert_true(c->max_args == ND_ARGS_ANY || c->max_args >= c->min_args);
        if (blank != SIZE_MAX)
            assert_non_null(nd_group_find(nd_str_sub(nd_str(c->path), 0, blank)));
    }
}

static void
check_table(struct nd_arena *a, struct nd_flag_table table)
{
    (void)nd_flags_new(a, table); /* every default parses, or this aborts */
    for (size_t i = 0; i < table.n; i++) {
        assert_true(table.flags[i].help[0] != '\0');
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(table.flags[i].name, table.flags[k].name);
            assert_true(table.flags[i].shorthand == '\0' ||
                        table.flags[i].shorthand != table.flags[k].shorthand);
        }
    }
}

static void
flags_are_unique_and_their_defaults_parse(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);

    (void)state;
    check_table(a, nd_global_flags);
    for (size_t i = 0; i < nd_n_commands; i++)
        check_table(a, nd_commands[i]->flags);
}

static void
words_lead_to_commands(void **state)
{
    static const struct {
        const char *words, *path;
    } cases[] = {
        {"ps", "container ls"},
        {"container list", "container ls"},
        {"rmi", "image rm"},
        {"images", "image ls"},
        {"ns ls", "namespace ls"},
        {"events", "system events"},
        {"inspect", "inspect"},
        {"container inspect", "container inspect"},
        {"run", "container run"},
        {"container", NULL},
        {"container ps", NULL},
        {"", NULL},
        {"ls", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        const struct nd_command *c = nd_command_find(nd_str(cases[i].words));

        if (cases[i].path == NULL)
            assert_null(c);
        else
            assert_string_equal(c->path, cases[i].path);
    }
    assert_true(nd_command_is_planned(ND_STR("build")));
    assert_true(nd_command_is_planned(ND_STR("image pull")));
    assert_false(nd_command_is_planned(ND_STR("nonsense")));
}

static void
typos_get_suggestions(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(1 << 16);

    (void)state;
    nd_command_suggest(NULL, ND_STR("verson"), &out);
    assert_string_equal(out.ptr, "\tversion\n");
    nd_buf_clear(&out);
    nd_command_suggest(nd_group_find(ND_STR("image")), ND_STR("inspct"), &out);
    assert_string_equal(out.ptr, "\tinspect\n");
    nd_buf_clear(&out);
    nd_command_suggest(NULL, ND_STR("qqqqqqqq"), &out);
    nd_command_suggest(NULL, ND_STR(""), &out);
    assert_int_equal(out.len, 0);
}

static void
wrong_numbers_of_arguments_read_as_cobra_s(void **state)
{
    static const struct {
        int min, max;
        unsigned marks;
        size_t n;
        const char *message; /* NULL: fine */
    } cases[] = {
        {0, 0, 0, 0, NULL},
        {0, 0, 0, 1, "unknown command \"x\" for \"nerdctl-remote ps\""},
        {1, ND_ARGS_ANY, 0, 5, NULL},
        {1, ND_ARGS_ANY, 0, 0, "requires at least 1 arg(s), only received 0"},
        {2, 2, 0, 1, "accepts 2 arg(s), received 1"},
        {0, 1, 0, 2, "accepts at most 1 arg(s), received 2"},
        {1, 2, 0, 3, "accepts between 1 and 2 arg(s), received 3"},
        {2, 2, ND_COMMAND_USAGE, 1, "\"nerdctl-remote ps\" requires exactly 2 argument(s)."},
    };
    struct nd_str words[] = {ND_STR("x"), ND_STR("x"), ND_STR("x"), ND_STR("x"), ND_STR("x")};

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_command c = {.path = "container ls",
                               .aliases = "ps",
                               .usage = "ps",
                               .help = "",
                               .min_args = cases[i].min,
                               .max_args = cases[i].max,
                               .marks = cases[i].marks};
        struct nd_texts args = {words, cases[i].n, 0};

        if (cases[i].message == NULL)
            check_ok(nd_command_check_args(&c, &args));
        else
            check_message(nd_command_check_args(&c, &args), ND_INVALID, cases[i].message);
    }
}

static void
the_dump_is_json_and_complete(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(4 << 20);
    ND_AUTO(nd_json_freep) struct nd_json *json = NULL;

    (void)state;
    nd_commands_dump(&out);
    check_ok(nd_json_parse(nd_buf_str(&out), NULL, &json));
    assert_int_equal(nd_json_count(nd_json_find(json, "commands")), nd_n_commands);
    assert_int_equal(nd_json_count(nd_json_find(json, "groups")), nd_n_groups);
    assert_int_equal(nd_json_count(nd_json_find(json, "flags")), nd_global_flags.n);
}

static void
help_shows_what_is_not_hidden(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(1 << 20);

    (void)state;
    nd_help_root(a, &out);
    assert_non_null(strstr(out.ptr, "  ps "));
    assert_non_null(strstr(out.ptr, "  container "));
    assert_non_null(strstr(out.ptr, "-H, --host string"));
    assert_null(strstr(out.ptr, "dump"));
    assert_null(strstr(out.ptr, "--address"));
    nd_buf_clear(&out);
    nd_help_group(a, nd_group_find(ND_STR("ns")), &out);
    assert_non_null(strstr(out.ptr, "namespace, ns"));
    assert_non_null(strstr(out.ptr, "  ls  "));
    nd_buf_clear(&out);
    nd_help_command(a, nd_command_find(ND_STR("run")), &out);
    assert_non_null(strstr(out.ptr, "Usage: nerdctl-remote run [flags] IMAGE"));
    assert_non_null(strstr(out.ptr, "(not supported yet)"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_and_aliases_are_unique),
        cmocka_unit_test(every_command_is_complete),
        cmocka_unit_test(flags_are_unique_and_their_defaults_parse),
        cmocka_unit_test(words_lead_to_commands),
        cmocka_unit_test(typos_get_suggestions),
        cmocka_unit_test(wrong_numbers_of_arguments_read_as_cobra_s),
        cmocka_unit_test(the_dump_is_json_and_complete),
        cmocka_unit_test(help_shows_what_is_not_hidden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
