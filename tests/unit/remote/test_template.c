/*
 * Templates do what Go's text/template does. Every expected text here is what a Go program with the
 * same data and docker's functions printed; where we differ on purpose the case says so.
 */

#include "base/alloc.h"
#include "remote/limits.h"
#include "remote/template.h"

#include "check.h"
#include "template_cases.h"

struct fixture {
    struct nd_arena *arena;
    struct nd_value *dot;
};

static struct nd_value *
text(struct nd_arena *a, const char *v)
{
    return nd_value_textz(a, v);
}

static struct nd_value *
address(struct nd_arena *a, const char *ip, int64_t length)
{
    struct nd_value *v = nd_value_new(a, ND_VALUE_OBJECT);

    nd_value_set(a, v, ND_STR("IP"), text(a, ip));
    nd_value_set(a, v, ND_STR("Len"), nd_value_int(a, length));
    return v;
}

static struct nd_value *
config(struct nd_arena *a)
{
    struct nd_value *v = nd_value_new(a, ND_VALUE_OBJECT);
    struct nd_value *env = nd_value_new(a, ND_VALUE_LIST);
    struct nd_value *labels = nd_value_new(a, ND_VALUE_MAP);

    nd_value_push(a, env, text(a, "A=1"));
    nd_value_push(a, env, text(a, "B=two words"));
    nd_value_set(a, labels, ND_STR("tier"), text(a, "front"));
    nd_value_set(a, labels, ND_STR("app.kubernetes.io/name"), text(a, "shop"));
    nd_value_set(a, v, ND_STR("Env"), env);
    nd_value_set(a, v, ND_STR("Labels"), labels);
    return v;
}

static void
add_addresses(struct nd_arena *a, struct nd_value *dot)
{
    struct nd_value *ports = nd_value_new(a, ND_VALUE_LIST);
    struct nd_value *nets = nd_value_new(a, ND_VALUE_MAP);

    nd_value_push(a, ports, address(a, "10.0.0.1", 80));
    nd_value_push(a, ports, address(a, "10.0.0.2", 443));
    nd_value_set(a, nets, ND_STR("eth1"), address(a, "10.5.0.7", 16));
    nd_value_set(a, nets, ND_STR("eth0"), address(a, "10.4.0.2", 24));
    nd_value_set(a, dot, ND_STR("Ports"), ports);
    nd_value_set(a, dot, ND_STR("Nets"), nets);
}

static int
set_up(void **state)
{
    struct fixture *f = nd_new(struct fixture);
    struct nd_arena *a = nd_arena_new(0);
    struct nd_value *dot = nd_value_new(a, ND_VALUE_OBJECT);
    struct nd_value *lookup = nd_value_new(a, ND_VALUE_LOOKUP);

    nd_value_set(a, dot, ND_STR("Names"), text(a, "web"));
    nd_value_set(a, dot, ND_STR("Pid"), nd_value_int(a, 4211));
    nd_value_set(a, dot, ND_STR("ID"), text(a, "0a1b2c3d4e5f6071"));
    nd_value_set(a, dot, ND_STR("Running"), nd_value_bool(a, true));
    nd_value_set(a, dot, ND_STR("Health"), nd_value_new(a, ND_VALUE_NULL));
    nd_value_set(a, dot, ND_STR("Config"), config(a));
    add_addresses(a, dot);
    nd_value_set(a, dot, ND_STR("At"), nd_value_time(a, (struct nd_wall){1767323045, 600000000}));
    nd_value_set(a, dot, ND_STR("Load"), nd_value_float(a, 0.5));
    nd_value_set(a, dot, ND_STR("Big"), nd_value_uint(a, UINT64_MAX));
    nd_value_set(a, dot, ND_STR("Empty"), nd_value_new(a, ND_VALUE_LIST));
    nd_value_set(a, dot, ND_STR("Uni"), text(a, "\303\244\303\266\303\274 \342\202\254"));
    nd_value_set(a, lookup, ND_STR("tier"), text(a, "front"));
    nd_value_set_as(a, dot, "Label", NULL, ND_VALUE_TEMPLATE_ONLY, lookup);
    f->arena = a;
    f->dot = dot;
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    nd_arena_free(f->arena);
    nd_free(f);
    return 0;
}

/* What a template prints, then its error, if any, in angles. */
static char *
render(const struct fixture *f, const char *source)
{
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(ND_REMOTE_MAX_DOCUMENT_BYTES + 4096);
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    struct nd_template *t;

    err = nd_template_parse(f->arena, nd_str(source), &t);
    if (err == NULL)
        err = nd_template_run(t, f->arena, f->dot, &out);
    if (err != NULL)
        nd_buf_printf(&out, "<%s>", nd_error_message(err));
    return nd_arena_str(f->arena, nd_buf_str(&out));
}

static void
prints_what_go_prints(void **state)
{
    for (size_t i = 0; i < ND_LEN(good_cases); i++)
        assert_string_equal(render(*state, good_cases[i].source), good_cases[i].output);
}

static void
fails_as_go_fails(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < ND_LEN(bad_cases); i++) {
        const char *expected =
            nd_arena_printf(f->arena, "%s<%s>", bad_cases[i].output, bad_cases[i].error);

        assert_string_equal(render(f, bad_cases[i].source), expected);
    }
}

/* Where we are stricter than Go, or where Go would run for ever. */
static void
has_limits(void **state)
{
    struct fixture *f = *state;
    ND_AUTO(nd_buf_fini) struct nd_buf deep = ND_BUF_INIT(1 << 20);
    char *long_text = nd_arena_alloc(f->arena, ND_TEMPLATE_MAX_BYTES + 2);

    assert_string_equal(render(f, "{{$x = 1}}"), "<template: :1: undefined variable \"$x\">");
    assert_non_null(strstr(render(f, "{{define \"r\"}}{{template \"r\"}}{{end}}{{template \"r\"}}"),
                           "exceeded maximum template depth"));
    assert_non_null(strstr(render(f, "{{range 999999999}}{{end}}"), "steps"));
    assert_non_null(
        strstr(render(f, "{{range 9999}}{{$x := printf \"%999999d\" 1}}{{end}}"), "steps"));
    for (unsigned i = 0; i < ND_TEMPLATE_MAX_NESTING + 1; i++)
        nd_buf_putz(&deep, "{{if 1}}");
    assert_non_null(strstr(render(f, deep.ptr), "too many blocks"));
    memset(long_text, 'x', ND_TEMPLATE_MAX_BYTES + 1);
    assert_non_null(strstr(render(f, long_text), "longer than"));
    long_text[ND_TEMPLATE_MAX_BYTES] = '\0';
    assert_string_equal(render(f, long_text), long_text);
}

static struct nd_value *
document(struct nd_arena *a)
{
    struct nd_value *v = nd_value_new(a, ND_VALUE_OBJECT);
    struct nd_value *state = nd_value_new(a, ND_VALUE_OBJECT);

    v->document = true;
    state->document = true;
    nd_value_set(a, v, ND_STR("Id"), text(a, "0a1b"));
    nd_value_set(a, v, ND_STR("State"), state);
    nd_value_set(a, state, ND_STR("Pid"), nd_value_int(a, 1));
    return v;
}

static void
documents_answer_to_both_names(void **state)
{
    struct fixture *f = *state;
    struct fixture doc = {f->arena, document(f->arena)};

    assert_string_equal(render(&doc, "{{.ID}} {{.Id}}"), "0a1b 0a1b");
    assert_string_equal(render(&doc, "{{.State.Health}} {{.SizeRw}}"), "<nil> <nil>");
    assert_string_equal(render(&doc, "{{if .State.Health}}y{{else}}n{{end}}"), "n");
    assert_non_null(strstr(render(&doc, "{{.Nope}}"), "map has no entry for key \"Nope\""));
    assert_non_null(strstr(render(&doc, "{{.State.Health.Status}}"), "nil pointer"));
}

static void
heading_keeps_titles_unchanged(void **state)
{
    struct fixture *f = *state;
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(4096);
    struct nd_value *titles = nd_value_new(f->arena, ND_VALUE_MAP);
    struct nd_template *t;

    nd_value_set(f->arena, titles, ND_STR("ID"), text(f->arena, "CONTAINER ID"));
    check_ok(nd_template_parse(
        f->arena, ND_STR("{{truncate .ID 4}}|{{lower .ID}}|{{json .ID}}|{{.Nope}}"), &t));
    check_ok(nd_template_run_heading(t, f->arena, titles, &out));
    assert_string_equal(out.ptr, "CONTAINER ID|CONTAINER ID|CONTAINER ID|<no value>");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_what_go_prints),
        cmocka_unit_test(fails_as_go_fails),
        cmocka_unit_test(has_limits),
        cmocka_unit_test(documents_answer_to_both_names),
        cmocka_unit_test(heading_keeps_titles_unchanged),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
