/* Columns are laid out as Go's tabwriter does it. */

#include "remote/format.h"
#include "remote/ports.h"
#include "remote/table.h"

#include "check.h"

static void
columns_are_as_wide_as_their_widest_cell(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(4096);
    struct nd_table *table = nd_table_new(arena, 4, 4);

    (void)state;
    nd_table_text(table, ND_STR("ID\tNAME\tPORTS\n1\tweb-server\t\n22\tdb\t80/tcp\n"));
    check_ok(nd_table_print(table, &out));
    assert_string_equal(out.ptr, "ID    NAME          PORTS\n"
                                 "1     web-server    \n"
                                 "22    db            80/tcp\n");
}

static void
widths_count_characters_and_have_a_minimum(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(4096);
    struct nd_table *table = nd_table_new(arena, 10, 3);

    (void)state;
    nd_table_text(table, ND_STR("A\tB\n\xc3\xa4\xc3\xb6\xc3\xbc\xe2\x82\xac\tx\n12345678\ty\n"));
    check_ok(nd_table_print(table, &out));
    assert_string_equal(out.ptr, "A          B\n"
                                 "\xc3\xa4\xc3\xb6\xc3\xbc\xe2\x82\xac       x\n"
                                 "12345678   y\n");
}

/* A line without a column ends it: what comes below is laid out anew. */
static void
columns_end_where_a_line_has_none(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(4096);
    struct nd_table *table = nd_table_new(arena, 0, 1);

    (void)state;
    nd_table_text(table, ND_STR("a\tb\tc\nlonger\tx\nalone\nq\tw\n\ne"));
    check_ok(nd_table_print(table, &out));
    assert_string_equal(out.ptr, "a      b c\n"
                                 "longer x\n"
                                 "alone\n"
                                 "q w\n"
                                 "\n"
                                 "e\n");
}

static void
empty_tables_and_full_buffers_are_fine(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(4);
    struct nd_table *table = nd_table_new(arena, 4, 4);

    (void)state;
    check_ok(nd_table_print(table, &out));
    assert_int_equal(out.len, 0);
    nd_table_text(table, ND_STR("too long for this\tx\n"));
    check_code(nd_table_print(table, &out), ND_EXHAUSTED);
}

static const char *
ports_text(struct nd_arena *arena, const Pb__PortMapping *ports, size_t n)
{
    Pb__PortMapping **list = nd_arena_new_array(arena, n + 1, Pb__PortMapping *);

    for (size_t i = 0; i < n; i++)
        list[i] = nd_arena_memdup(arena, &ports[i], sizeof(ports[i]));
    return nd_ports_text(arena, list, n);
}

static Pb__PortMapping
port(const char *ip, uint32_t host, uint32_t container, const char *protocol)
{
    Pb__PortMapping p = PB__PORT_MAPPING__INIT;

    p.host_ip = (char *)ip;
    p.host_port = host;
    p.container_port = container;
    p.protocol = (char *)protocol;
    return p;
}

static void
ports_merge_to_ranges_and_groups(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const Pb__PortMapping ports[] = {
        port("0.0.0.0", 8002, 82, "tcp"), port("0.0.0.0", 8000, 80, "tcp"),
        port("::", 53, 53, "udp"),        port("0.0.0.0", 8001, 81, "tcp"),
        port("0.0.0.0", 9090, 91, "tcp"), port("0.0.0.0", 8003, 99, "tcp"),
    };

    (void)state;
    assert_string_equal(ports_text(arena, NULL, 0), "");
    assert_string_equal(ports_text(arena, ports, 1), "0.0.0.0:8002->82/tcp");
    assert_string_equal(ports_text(arena, ports, ND_LEN(ports)),
                        "0.0.0.0:8000-8002->80-82, 8003->99, 9090->91/tcp, [::]:53->53/udp");
}

static struct nd_value *
row(struct nd_arena *a, const char *id, const char *name)
{
    struct nd_value *v = nd_value_new(a, ND_VALUE_OBJECT);

    nd_value_set_as(a, v, "ID", NULL, 0, nd_value_textz(a, id));
    nd_value_set_as(a, v, "Names", NULL, 0, nd_value_textz(a, name));
    return v;
}

/* Two rows through a format, as a list command does it; the error in angles. */
static const char *
rows_as(struct nd_arena *a, const char *format_text)
{
    static const char *const headings[][2] = {{"ID", "CONTAINER ID"}, {"Names", "NAMES"}};
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(4096);
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    struct nd_format format;

    err = nd_format_parse(a, nd_str(format_text), false, &format);
    if (err == NULL && !nd_format_is_by_element(&format))
        return "a table";
    if (err == NULL)
        err = nd_format_heading(&format, a, headings, ND_LEN(headings));
    if (err == NULL)
        err = nd_format_element(&format, a, row(a, "0a1b", "web"), &out);
    if (err == NULL)
        err = nd_format_element(&format, a, row(a, "2c3d", "database-1"), &out);
    if (err == NULL)
        err = nd_format_end(&format, &out);
    if (err != NULL)
        nd_buf_printf(&out, "<%s>", nd_error_message(err));
    return nd_arena_str(a, nd_buf_str(&out));
}

static void
formats_are_keywords_or_templates(void **state)
{
    static const struct {
        const char *format, *output;
    } cases[] = {
        {"", "a table"},
        {"table", "a table"},
        {"wide", "a table"},
        {"json",
         "{\"ID\":\"0a1b\",\"Names\":\"web\"}\n{\"ID\":\"2c3d\",\"Names\":\"database-1\"}\n"},
        {"{{json .}}",
         "{\"ID\":\"0a1b\",\"Names\":\"web\"}\n{\"ID\":\"2c3d\",\"Names\":\"database-1\"}\n"},
        {"{{.Names}}", "web\ndatabase-1\n"},
        {"x\\t{{.ID}}", "x\\t0a1b\nx\\t2c3d\n"},
        {"raw", "<unsupported format: \"raw\">"},
        {"Table", "Table\nTable\n"},
        {"{{.", "<template: :1: unclosed action>"},
        {"table {{.ID}}\\t{{.Names}}", "CONTAINER ID   NAMES\n"
                                       "0a1b           web\n"
                                       "2c3d           database-1\n"},
        {"table {{.Names | upper}}", "NAMES\nWEB\nDATABASE-1\n"},
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++)
        assert_string_equal(rows_as(arena, cases[i].format), cases[i].output);
}

static void
quiet_and_format_exclude_each_other(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_format format;

    (void)state;
    check_message(nd_format_parse(arena, ND_STR("json"), true, &format), ND_INVALID,
                  "format and quiet must not be specified together");
    check_message(nd_format_parse(arena, ND_STR("{{.ID}}"), true, &format), ND_INVALID, "quiet");
    check_ok(nd_format_parse(arena, ND_STR("table"), true, &format));
    check_ok(nd_format_parse(arena, ND_STR("wide"), true, &format));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(widths_count_characters_and_have_a_minimum),
        cmocka_unit_test(columns_end_where_a_line_has_none),
        cmocka_unit_test(empty_tables_and_full_buffers_are_fine),
        cmocka_unit_test(ports_merge_to_ranges_and_groups),
        cmocka_unit_test(formats_are_keywords_or_templates),
        cmocka_unit_test(quiet_and_format_exclude_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
