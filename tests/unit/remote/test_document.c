/* JSON of the daemon becomes a value and comes back the way Go would write it. */

#include "remote/template.h"
#include "remote/value.h"

#include "check.h"

static const char *
convert(struct nd_arena *a, const char *json, unsigned indent)
{
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(1 << 16);
    struct nd_value *v;

    check_ok(nd_value_from_json(a, nd_str(json), &v));
    check_ok(nd_value_json(&out, v, indent));
    return nd_arena_str(a, nd_buf_str(&out));
}

static void
documents_survive_the_round_trip(void **state)
{
    static const char *const documents[] = {
        "{}",
        "{\"Id\":\"a\",\"B\":[],\"C\":{},\"D\":null,\"E\":[1,-2,18446744073709551615,1.5,true]}",
        "{\"Z\":1,\"A\":{\"y\":1,\"x\":2}}",
        "{\"Text\":\"<a&b> \\u2028 \\\" \\\\ \xc3\xa4\"}",
        "[1,[2,[3]]]",
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);

    (void)state;
    for (size_t i = 0; i < ND_LEN(documents); i++)
        assert_string_equal(convert(a, documents[i], 0), documents[i]);
}

static void
maps_are_sorted_and_structs_are_not(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);

    (void)state;
    assert_string_equal(convert(a, "{\"Z\":1,\"Labels\":{\"b\":\"2\",\"a\":\"1\"}}", 0),
                        "{\"Z\":1,\"Labels\":{\"a\":\"1\",\"b\":\"2\"}}");
}

static void
indentation_is_that_of_inspect(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);

    (void)state;
    assert_string_equal(convert(a, "[{\"Id\":\"a\",\"L\":[1,2],\"E\":[],\"M\":{}}]", 4),
                        "[\n"
                        "    {\n"
                        "        \"Id\": \"a\",\n"
                        "        \"L\": [\n"
                        "            1,\n"
                        "            2\n"
                        "        ],\n"
                        "        \"E\": [],\n"
                        "        \"M\": {}\n"
                        "    }\n"
                        "]");
}

static void
floats_are_written_as_go_does(void **state)
{
    static const struct {
        double v;
        const char *json, *text;
    } cases[] = {
        {0, "0", "0"},
        {-0.5, "-0.5", "-0.5"},
        {1e6, "1000000", "1e+06"},
        {1e20, "100000000000000000000", "1e+20"},
        {1e21, "1e+21", "1e+21"},
        {1e-6, "0.000001", "1e-06"},
        {1e-7, "1e-7", "1e-07"},
        {123456.75, "123456.75", "123456.75"},
        {0.1, "0.1", "0.1"},
        {5e-324, "5e-324", "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308", "1.7976931348623157e+308"},
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(4096);

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        nd_buf_clear(&out);
        check_ok(nd_value_json(&out, nd_value_float(a, cases[i].v), 0));
        assert_string_equal(out.ptr, cases[i].json);
        nd_buf_clear(&out);
        check_ok(nd_value_print(&out, nd_value_float(a, cases[i].v)));
        assert_string_equal(out.ptr, cases[i].text);
    }
    check_code(nd_value_json(&out, nd_value_float(a, __builtin_inf()), 0), ND_INVALID);
}

static void
broken_text_becomes_a_replacement_character(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(4096);

    (void)state;
    check_ok(nd_value_json_text(&out, nd_str_n("a\xff\0\x1f\xc3", 5)));
    assert_string_equal(out.ptr, "\"a\\ufffd\\u0000\\u001f\\ufffd\"");
}

static void
fields_have_two_names_and_zero_values(void **state)
{
    static const struct {
        const char *template, *output;
    } cases[] = {
        {"{{.Id}} {{.ID}}", "0a 0a"},
        {"{{.HostConfig.CPUShares}} {{.HostConfig.CpuShares}}", "7 7"},
        {"{{.HostConfig.LogConfig.Driver}}", "json-file"},
        {"{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}", "a=1 b=2 "},
        {"{{.Config.Labels.zz}}", "<no value>"},
        {"{{index .Config.Labels \"zz\"}}", ""},
        {"{{.Config.Entrypoint}} {{.Config.Volumes}} {{.SizeRw}}", "[] map[] <nil>"},
        {"{{.State}}", "{running 5}"},
        {"{{.Config.Labels}}", "map[a:1 b:2]"},
        {"{{with .State.Health}}x{{else}}none{{end}}", "none"},
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    struct nd_value *v;

    (void)state;
    check_ok(nd_value_from_json(
        a,
        ND_STR("{\"Id\":\"0a\",\"State\":{\"Status\":\"running\",\"Pid\":5},"
               "\"HostConfig\":{\"CpuShares\":7,\"LogConfig\":{\"driver\":\"json-file\"}},"
               "\"Config\":{\"Labels\":{\"b\":\"2\",\"a\":\"1\"}}}"),
        &v));
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(4096);
        struct nd_template *t;

        check_ok(nd_template_parse(a, nd_str(cases[i].template), &t));
        check_ok(nd_template_run(t, a, v, &out));
        nd_buf_putz(&out, "");
        assert_string_equal(out.ptr != NULL ? out.ptr : "", cases[i].output);
    }
}

static void
what_is_no_json_is_refused(void **state)
{
    static const char *const bad[] = {"", "{", "{\"a\":}", "[1,]", "nope", "{} x", "\"\xff\""};
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    struct nd_value *v;

    (void)state;
    for (size_t i = 0; i < ND_LEN(bad); i++)
        check_row(i, bad[i], nd_value_from_json(a, nd_str(bad[i]), &v), ND_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_survive_the_round_trip),
        cmocka_unit_test(maps_are_sorted_and_structs_are_not),
        cmocka_unit_test(indentation_is_that_of_inspect),
        cmocka_unit_test(floats_are_written_as_go_does),
        cmocka_unit_test(broken_text_becomes_a_replacement_character),
        cmocka_unit_test(fields_have_two_names_and_zero_values),
        cmocka_unit_test(what_is_no_json_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
