/* Filters of lists, and the expressions in them, also hostile ones. */

#include "base/alloc.h"
#include "container/limits.h"

#include "check.h"
#include "filters_priv.h"

static void
expressions_mean_what_is_usual(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "abc", true},
        {"b", "abc", true},
        {"^b", "abc", false},
        {"^a", "abc", true},
        {"c$", "abc", true},
        {"b$", "abc", false},
        {"^abc$", "abc", true},
        {"^$", "", true},
        {"^$", "a", false},
        {"a.c", "abc", true},
        {"a.c", "ac", false},
        {"ab*c", "ac", true},
        {"ab*c", "abbbc", true},
        {"ab+c", "ac", false},
        {"ab+c", "abbc", true},
        {"ab?c", "ac", true},
        {"ab?c", "abbc", false},
        {"a|b", "xbx", true},
        {"^(a|b)$", "b", true},
        {"^(a|b|cd)$", "cd", true},
        {"^(a|b|cd)$", "c", false},
        {"(ab)+$", "xabab", true},
        {"^(ab)*$", "aba", false},
        {"[a-c]x", "bx", true},
        {"[^a-c]x", "bx", false},
        {"[^a-c]x", "dx", true},
        {"[]a]", "]", true},
        {"[a-]", "-", true},
        {"[.]", "a", false},
        {"\\.", "a", false},
        {"\\.", ".", true},
        {"\\d+", "a12", true},
        {"^\\w+$", "a_1", true},
        {"^\\w+$", "a-1", false},
        {"\\s", "a b", true},
        {"(?:ab|c)d", "cd", true},
        {"a||b", "x", true},
        {"^web-?[0-9]*$", "web-12", true},
        {"(a*)*b", "aaab", true},
        {"(a|a)*$", "aaa", true},
        {"x*", "", true},
        {"(^a|b$)", "ab", true},
        {"((((a))))", "a", true},
        {"a$|^b", "ba", true},
        {"^ab|cd$", "abx", true},
        {"(a|b)(c|d)", "bd", true},
        {"a+b+c+", "xaabbcc", true},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        struct nd_pattern *p;

        check_row(i, cases[i].pattern, nd_pattern_compile(nd_str(cases[i].pattern), arena, &p),
                  ND_OK);
        if (nd_pattern_matches(p, nd_str(cases[i].text)) != cases[i].matches) {
            print_error("\"%s\" on \"%s\"\n", cases[i].pattern, cases[i].text);
            fail();
        }
    }
}

static void
what_is_no_expression_is_refused(void **state)
{
    static const char *const cases[] = {
        "(",    ")", "a)", "(a",  "[",   "[a",  "[]",  "[b-a]", "*",       "+a",    "?",
        "a{2}", "{", "\\", "\\1", "\\k", "a|*", "(*)", "[\\",   "[a-\\d]", "(?=a)",
    };
    char large[600];

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        struct nd_pattern *p;

        check_row(i, cases[i], nd_pattern_compile(nd_str(cases[i]), arena, &p), ND_INVALID);
    }
    memset(large, 'a', sizeof(large));
    for (size_t len = 512; len <= 513; len++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        struct nd_pattern *p;

        check_code(nd_pattern_compile(nd_str_n(large, len), arena, &p),
                   len <= 512 ? ND_OK : ND_INVALID);
    }
}

static void
groups_nest_so_deep_and_no_deeper(void **state)
{
    (void)state;
    for (size_t depth = 16; depth <= 17; depth++) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        struct nd_pattern *p;
        char text[64];

        memset(text, '(', depth);
        text[depth] = 'a';
        memset(text + depth + 1, ')', depth);
        check_code(nd_pattern_compile(nd_str_n(text, 2 * depth + 1), arena, &p),
                   depth <= 16 ? ND_OK : ND_INVALID);
    }
}

/* Where backtracking would need longer than the world has existed. */
static void
cunning_expressions_take_no_longer(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_pattern *p;
    char text[250];

    (void)state;
    memset(text, 'a', sizeof(text));
    check_ok(nd_pattern_compile(nd_str("^(a*)*(a*)*(a*)*(a|a|a)*(a?a?a?a?)*b$"), arena, &p));
    assert_false(nd_pattern_matches(p, nd_str_n(text, sizeof(text))));
}

static Pb__Container *
container(struct nd_arena *arena, const char *id, const char *name, int64_t created,
          Pb__ContainerState what)
{
    Pb__Container *c = nd_arena_new_object(arena, Pb__Container);

    pb__container__init(c);
    c->id = (char *)id;
    c->name = (char *)name;
    c->state = what;
    c->created_at = nd_arena_new_object(arena, Google__Protobuf__Timestamp);
    google__protobuf__timestamp__init(c->created_at);
    c->created_at->seconds = created;
    return c;
}

static void
set_exit(Pb__Container *c, struct nd_arena *arena, uint32_t code)
{
    c->exit = nd_arena_new_object(arena, Pb__ExitStatus);
    pb__exit_status__init(c->exit);
    c->exit->code = code;
}

static void
set_label(Pb__Container *c, struct nd_arena *arena, const char *key, const char *value)
{
    c->labels = nd_arena_new_array(arena, 1, Pb__Container__LabelsEntry *);
    c->labels[0] = nd_arena_new_object(arena, Pb__Container__LabelsEntry);
    pb__container__labels_entry__init(c->labels[0]);
    c->labels[0]->key = (char *)key;
    c->labels[0]->value = (char *)value;
    c->n_labels = 1;
}

static size_t
make_all(struct nd_arena *arena, Pb__Container *all[3])
{
    static char *host[] = {(char *)"host"}, *none[] = {(char *)"none"};
    Pb__Mount *mount = nd_arena_new_object(arena, Pb__Mount);

    all[0] = container(arena, "aaa1", "web-1", 100, PB__CONTAINER_STATE__CONTAINER_STATE_RUNNING);
    all[1] = container(arena, "aab2", "web-2", 200, PB__CONTAINER_STATE__CONTAINER_STATE_EXITED);
    all[2] = container(arena, "bbb3", "db", 300, PB__CONTAINER_STATE__CONTAINER_STATE_CREATED);
    set_exit(all[1], arena, 3);
    set_label(all[0], arena, "tier", "front");
    set_label(all[2], arena, "tier", "back");
    all[0]->networks = host;
    all[0]->n_networks = 1;
    all[1]->networks = none;
    all[1]->n_networks = 1;
    pb__mount__init(mount);
    mount->source = (char *)"data";
    mount->target = (char *)"/var/lib/db";
    all[2]->mounts = nd_arena_new_array(arena, 1, Pb__Mount *);
    all[2]->mounts[0] = mount;
    all[2]->n_mounts = 1;
    return 3;
}

static void
filters_choose(void **state)
{
    static const struct {
        const char *filters[3];
        const char *chosen; /* a bit a container */
    } cases[] = {
        {{NULL}, "111"},
        {{"id=aa"}, "110"},
        {{"id=aab"}, "010"},
        {{"name=web"}, "110"},
        {{"name=^db$"}, "001"},
        {{"name=db", "name=-1$"}, "101"},
        {{"label=tier"}, "101"},
        {{"label=tier=front"}, "100"},
        {{"label=tier", "label=tier=back"}, "001"},
        {{"label=tier=front", "label=tier=back"}, "000"},
        {{"exited=3"}, "010"},
        {{"exited=0"}, "000"},
        {{"status=running"}, "100"},
        {{"status=running", "status=created"}, "101"},
        {{"status=dead"}, "000"},
        {{"before=db"}, "110"},
        {{"before=web-2"}, "100"},
        {{"since=web-1"}, "011"},
        {{"since=bbb"}, "000"},
        {{"volume=data"}, "001"},
        {{"volume=/var/lib/db"}, "001"},
        {{"network=host"}, "100"},
        {{"network=host", "network=none"}, "110"},
        {{"name=web", "status=exited"}, "010"},
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Pb__Container *all[3];
    size_t n = make_all(arena, all);

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_filters *filters;
        size_t n_filters = 0;

        while (n_filters < 3 && cases[i].filters[n_filters] != NULL)
            n_filters++;
        check_ok(
            nd_filters_parse((char **)(uintptr_t)cases[i].filters, n_filters, arena, &filters));
        check_ok(nd_filters_bind(filters, all, n));
        for (size_t k = 0; k < n; k++) {
            if (nd_filters_match(filters, all[k]) != (cases[i].chosen[k] == '1')) {
                print_error("%s on %s\n", cases[i].filters[0], all[k]->name);
                fail();
            }
        }
    }
}

static void
wrong_filters_are_refused_by_their_place(void **state)
{
    static const char *const wrong[] = {
        "name",       "nosuch=x",   "=x",        "name=",         "name=(",
        "exited=abc", "exited=256", "exited=-1", "status=nosuch", "NAME=x"};
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_filters *filters;
    char *many[ND_LIST_MAX_FILTERS + 1];
    static char longest[ND_LIST_MAX_PATTERN + 2];

    (void)state;
    for (size_t i = 0; i < ND_LEN(wrong); i++) {
        char *texts[] = {(char *)"id=a", (char *)wrong[i]};
        ND_AUTO(nd_error_freep)
        struct nd_error *err = nd_filters_parse(texts, 2, arena, &filters);

        assert_int_equal(nd_error_code(err), ND_INVALID);
        assert_string_equal(nd_error_get_field(err), "filters[1]");
    }
    for (size_t i = 0; i < ND_LEN(many); i++)
        many[i] = (char *)"id=a";
    check_ok(nd_filters_parse(many, ND_LIST_MAX_FILTERS, arena, &filters));
    check_code(nd_filters_parse(many, ND_LIST_MAX_FILTERS + 1, arena, &filters), ND_INVALID);
    for (size_t i = 0; i <= ND_LIST_MAX_PATTERNS; i++)
        many[i] = (char *)"name=a";
    check_ok(nd_filters_parse(many, ND_LIST_MAX_PATTERNS, arena, &filters));
    check_code(nd_filters_parse(many, ND_LIST_MAX_PATTERNS + 1, arena, &filters), ND_INVALID);
    memset(longest, 'a', sizeof(longest) - 1);
    memcpy(longest, "id=", 3);
    many[0] = longest;
    check_code(nd_filters_parse(many, 1, arena, &filters), ND_INVALID);
    longest[ND_LIST_MAX_PATTERN] = '\0';
    check_ok(nd_filters_parse(many, 1, arena, &filters));
}

static void
a_container_to_compare_with_must_be_there(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    char *texts[] = {(char *)"id=a", (char *)"before=nosuch"};
    struct nd_filters *filters;
    Pb__Container *all[3];
    size_t n = make_all(arena, all);
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    (void)state;
    check_ok(nd_filters_parse(texts, 2, arena, &filters));
    err = nd_filters_bind(filters, all, n);
    assert_int_equal(nd_error_code(err), ND_INVALID);
    assert_string_equal(nd_error_get_field(err), "filters[1]");
}

static void
filters_by_state_ask_for_all(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    char *by_state[] = {(char *)"status=exited"}, *by_name[] = {(char *)"name=a"};
    struct nd_filters *filters;

    (void)state;
    check_ok(nd_filters_parse(by_state, 1, arena, &filters));
    assert_true(nd_filters_imply_all(filters));
    check_ok(nd_filters_parse(by_name, 1, arena, &filters));
    assert_false(nd_filters_imply_all(filters));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_mean_what_is_usual),
        cmocka_unit_test(what_is_no_expression_is_refused),
        cmocka_unit_test(groups_nest_so_deep_and_no_deeper),
        cmocka_unit_test(cunning_expressions_take_no_longer),
        cmocka_unit_test(filters_choose),
        cmocka_unit_test(wrong_filters_are_refused_by_their_place),
        cmocka_unit_test(a_container_to_compare_with_must_be_there),
        cmocka_unit_test(filters_by_state_ask_for_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
