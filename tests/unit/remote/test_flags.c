/* Flags are read as pflag reads them, and what is wrong is said in its words. */

#include "remote/flags.h"

#include "check.h"

/* clang-format off */
static const struct nd_flag flags[] = {
    {"all", 'a', ND_FLAG_BOOL, "", "", 0, NULL},
    {"proxy", '\0', ND_FLAG_BOOL, "true", "", 0, NULL},
    {"interactive", 'i', ND_FLAG_BOOL, "", "", 0, NULL},
    {"tty", 't', ND_FLAG_BOOL, "", "", 0, NULL},
    {"name", 'n', ND_FLAG_STRING, "nobody", "", 0, NULL},
    {"last", '\0', ND_FLAG_INT, "-1", "", 0, NULL},
    {"quota", '\0', ND_FLAG_INT64, "", "", 0, NULL},
    {"weight", 'w', ND_FLAG_UINT16, "0", "", 0, NULL},
    {"shares", '\0', ND_FLAG_UINT64, "", "", 0, NULL},
    {"cpus", '\0', ND_FLAG_FLOAT, "", "", 0, NULL},
    {"wait", '\0', ND_FLAG_DURATION, "0s", "", 0, NULL},
    {"dns", '\0', ND_FLAG_SLICE, "", "", 0, NULL},
    {"network", '\0', ND_FLAG_SLICE, "bridge", "", 0, NULL},
    {"net", '\0', ND_FLAG_SLICE, "", "", 0, "network"},
    {"env", 'e', ND_FLAG_ARRAY, "", "", 0, NULL},
    {"publish", 'p', ND_FLAG_SLICE, "", "", ND_FLAG_UNSUPPORTED, NULL},
    {"restart", '\0', ND_FLAG_STRING, "no", "", ND_FLAG_UNSUPPORTED, NULL},
    {"health", '\0', ND_FLAG_BOOL, "", "", ND_FLAG_UNSUPPORTED, NULL},
    {"address", '\0', ND_FLAG_STRING, "", "", ND_FLAG_HOST_ONLY, NULL},
};
static const struct nd_flag more_flags[] = {
    {"host", 'H', ND_FLAG_STRING, "", "", ND_FLAG_ROOT_SHORT, NULL},
    {"namespace", 'n', ND_FLAG_STRING, "", "", ND_FLAG_ROOT_SHORT, NULL},
    {"version", 'v', ND_FLAG_BOOL, "", "", ND_FLAG_ROOT_ONLY, NULL},
};
/* clang-format on */

struct fixture {
    struct nd_arena *arena;
    struct nd_flags *flags, *more;
    struct nd_flag_words words;
};

static void
begin(struct fixture *f)
{
    f->arena = nd_arena_new(0);
    f->flags = nd_flags_new(f->arena, ND_FLAG_TABLE(flags));
    f->more = nd_flags_new(f->arena, ND_FLAG_TABLE(more_flags));
    nd_flags_leave_root(f->more);
}

static void
end(struct fixture *f)
{
    nd_arena_free(f->arena);
}

/* Words are separated by single blanks; "_" stands for an empty one. */
static struct nd_error *
read_line(struct fixture *f, const char *line, bool mixed)
{
    struct nd_flags *sets[] = {f->flags, f->more};
    struct nd_texts words = {.n = 0};
    struct nd_str rest = nd_str(line), word;

    while (nd_str_next(&rest, ' ', &word))
        nd_texts_push(f->arena, &words, nd_str_eqz(word, "_") ? ND_STR("") : word);
    f->words = (struct nd_flag_words){.words = words.items, .n = words.n, .mixed = mixed};
    return nd_flags_parse(f->arena, sets, 2, &f->words);
}

static const char *
joined(struct fixture *f, const struct nd_texts *texts)
{
    const char *all = "";

    for (size_t i = 0; i < texts->n; i++)
        all = nd_arena_printf(f->arena, "%s[%.*s]", all, ND_STR_ARG(texts->items[i]));
    return all;
}

static void
reads_every_form(void **state)
{
    /* What the flags are afterwards: all, interactive, tty, proxy; name; the arguments. */
    static const struct {
        const char *line;
        const char *switches;
        const char *name, *args;
    } cases[] = {
        {"", "---p", "nobody", ""},
        {"-a", "a--p", "nobody", ""},
        {"--all x", "a--p", "nobody", "[x]"},
        {"--all=true --proxy=false", "a---", "nobody", ""},
        {"--all=0 -t=false", "---p", "nobody", ""},
        {"-it x y", "-itp", "nobody", "[x][y]"},
        {"-ait", "aitp", "nobody", ""},
        {"-itn web", "-itp", "web", ""},
        {"-nweb -a", "a--p", "web", ""},
        {"-n=web", "---p", "web", ""},
        {"-n web", "---p", "web", ""},
        {"--name web", "---p", "web", ""},
        {"--name=web=x", "---p", "web=x", ""},
        {"--name=", "---p", "", ""},
        {"--name --all", "---p", "--all", ""},
        {"-n -a", "---p", "-a", ""},
        {"-n a -n b", "---p", "b", ""},
        {"x -a", "a--p", "nobody", "[x]"},
        {"x -- -a", "---p", "nobody", "[x][-a]"},
        {"-- -a --", "---p", "nobody", "[-a][--]"},
        {"- x", "---p", "nobody", "[-][x]"},
        {"_ -a", "a--p", "nobody", "[]"},
        {"-a=T -i=F", "a--p", "nobody", ""},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct fixture f;
        char switches[5] = "----";

        begin(&f);
        check_row(i, cases[i].line, read_line(&f, cases[i].line, true), ND_OK);
        if (nd_flag_bool(f.flags, "all"))
            switches[0] = 'a';
        if (nd_flag_bool(f.flags, "interactive"))
            switches[1] = 'i';
        if (nd_flag_bool(f.flags, "tty"))
            switches[2] = 't';
        if (nd_flag_bool(f.flags, "proxy"))
            switches[3] = 'p';
        assert_string_equal(switches, cases[i].switches);
        assert_string_equal(nd_flag_textz(f.flags, "name"), cases[i].name);
        assert_string_equal(joined(&f, &f.words.args), cases[i].args);
        end(&f);
    }
}

static void
says_what_is_wrong(void **state)
{
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"--nope", "unknown flag: --nope"},
        {"--nope=x", "unknown flag: --nope"},
        {"-ax", "unknown shorthand flag: 'x' in -ax"},
        {"-a=", "unknown shorthand flag: '=' in -a="},
        {"-1", "unknown shorthand flag: '1' in -1"},
        {"--name", "flag needs an argument: --name"},
        {"-n", "flag needs an argument: 'n' in -n"},
        {"-an", "flag needs an argument: 'n' in -an"},
        {"--=x", "bad flag syntax: --=x"},
        {"---", "bad flag syntax: ---"},
        {"---all", "bad flag syntax: ---all"},
        {"--all=maybe", "invalid argument \"maybe\" for \"-a, --all\" flag: strconv.ParseBool: "
                        "parsing \"maybe\": invalid syntax"},
        {"--last x", "invalid argument \"x\" for \"--last\" flag: strconv.ParseInt: parsing "
                     "\"x\": invalid syntax"},
        {"--last 2147483648", "invalid syntax"},
        {"--weight=65536", "for \"-w, --weight\" flag"},
        {"--weight=-1", "invalid syntax"},
        {"--shares=-1", "strconv.ParseUint"},
        {"--cpus=1e5", "strconv.ParseFloat"},
        {"--cpus=_", "strconv.ParseFloat"},
        {"--wait=5", "--wait"},
        {"--dns=a\"b", "bare \""},
        {"-H x", "unknown shorthand flag: 'H' in -H"},
        {"-v", "unknown shorthand flag: 'v' in -v"},
        {"--version", "unknown flag: --version"},
        {"--\xff\xfe", "unknown flag"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct fixture f;

        begin(&f);
        check_message(read_line(&f, cases[i].line, true), ND_INVALID, cases[i].message);
        end(&f);
    }
}

static void
arguments_end_flags_where_asked(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    check_ok(read_line(&f, "-i image -t -- --nope -n", false));
    assert_true(nd_flag_bool(f.flags, "interactive"));
    assert_false(nd_flag_bool(f.flags, "tty"));
    assert_string_equal(joined(&f, &f.words.args), "[image][-t][--][--nope][-n]");
    end(&f);
}

static void
numbers_keep_their_range(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(nd_flag_int(f.flags, "last"), -1);
    check_ok(read_line(&f,
                       "--last=-2147483648 --quota -9223372036854775808 -w65535 --cpus 1.5 "
                       "--shares 18446744073709551615 --wait 1m30s",
                       true));
    assert_int_equal(nd_flag_int(f.flags, "last"), INT32_MIN);
    assert_true(nd_flag_int(f.flags, "quota") == INT64_MIN);
    assert_int_equal(nd_flag_uint(f.flags, "weight"), 65535);
    assert_true(nd_flag_uint(f.flags, "shares") == UINT64_MAX);
    assert_true(nd_flag_float(f.flags, "cpus") == 1.5);
    assert_true(nd_flag_duration(f.flags, "wait") == 90 * ND_SECOND);
    end(&f);
}

static void
lists_split_or_not(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_string_equal(joined(&f, nd_flag_list(f.flags, "network")), "[bridge]");
    check_ok(read_line(
        &f, "--dns 1,2 --dns=\"a,b\",c --dns= -e A=1,2 -eB --net host --network none,x", true));
    assert_string_equal(joined(&f, nd_flag_list(f.flags, "dns")), "[1][2][a,b][c]");
    assert_string_equal(joined(&f, nd_flag_list(f.flags, "env")), "[A=1,2][B]");
    assert_string_equal(joined(&f, nd_flag_list(f.flags, "network")), "[host][none][x]");
    assert_true(nd_flag_given(f.flags, "network"));
    assert_false(nd_flag_given(f.flags, "publish"));
    end(&f);
}

static void
help_stops_parsing(void **state)
{
    static const char *const lines[] = {"--help --nope", "-h", "-ah --nope", "x --help"};

    (void)state;
    for (size_t i = 0; i < ND_LEN(lines); i++) {
        struct fixture f;

        begin(&f);
        check_ok(read_line(&f, lines[i], true));
        assert_true(f.words.help);
        end(&f);
    }
}

static void
what_is_not_supported_is_refused(void **state)
{
    static const struct {
        const char *line;
        enum nd_code code;
        const char *message;
    } cases[] = {
        {"", ND_OK, ""},
        {"-p 80:80", ND_UNIMPLEMENTED,
         "flag --publish is not supported by this version of the daemon's API yet"},
        {"--restart always", ND_UNIMPLEMENTED, "--restart"},
        {"--restart no", ND_OK, ""}, /* is what happens anyway */
        {"--health", ND_UNIMPLEMENTED, "--health"},
        {"--health=false", ND_OK, ""},
        {"--address /x", ND_UNIMPLEMENTED, "flag --address is a setting of the host"},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct fixture f;

        begin(&f);
        check_row(i, cases[i].line, read_line(&f, cases[i].line, true), ND_OK);
        check_message(nd_flags_check_supported(f.flags), cases[i].code, cases[i].message);
        end(&f);
    }
}

static void
first_set_wins(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    check_ok(read_line(&f, "-n web --namespace k8s.io --host unix:///x", true));
    assert_string_equal(nd_flag_textz(f.flags, "name"), "web");
    assert_string_equal(nd_flag_textz(f.more, "namespace"), "k8s.io");
    assert_string_equal(nd_flag_textz(f.more, "host"), "unix:///x");
    end(&f);
}

static void
help_is_aligned_and_sorted(void **state)
{
    static const struct nd_flag few[] = {
        {"quiet", 'q', ND_FLAG_BOOL, "", "Only ids", 0, NULL},
        {"format", '\0', ND_FLAG_STRING, "table", "Format it", 0, NULL},
        {"last", 'n', ND_FLAG_INT, "-1", "How many", 0, NULL},
        {"net", '\0', ND_FLAG_SLICE, "bridge", "Network", 0, NULL},
        {"secret", '\0', ND_FLAG_BOOL, "", "Hidden", ND_FLAG_HIDDEN, NULL},
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(4096);

    (void)state;
    nd_flags_help(arena, ND_FLAG_TABLE(few), &out);
    assert_string_equal(out.ptr, "      --format string   Format it (default \"table\")\n"
                                 "  -n, --last int        How many (default -1)\n"
                                 "      --net strings     Network (default [bridge])\n"
                                 "  -q, --quiet           Only ids\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_form),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(arguments_end_flags_where_asked),
        cmocka_unit_test(numbers_keep_their_range),
        cmocka_unit_test(lists_split_or_not),
        cmocka_unit_test(help_stops_parsing),
        cmocka_unit_test(what_is_not_supported_is_refused),
        cmocka_unit_test(first_set_wins),
        cmocka_unit_test(help_is_aligned_and_sorted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
