/* Metadata as a list, and on its way over the wire. */

#include "grpc/limits.h"

#include "fixture.h"
#include "metadata_priv.h"

static void
keys_and_values_are_checked(void **state)
{
    static const struct {
        const char *key, *value;
        enum nd_code code;
    } cases[] = {
        {"a", "b", ND_OK},
        {"Upper-Case_1.x", "", ND_OK},
        {"raw-bin", "\x01\xff", ND_OK},
        {"grpc-trace-bin", "x", ND_OK},
        {"grpc-previous-rpc-attempts", "1", ND_OK},
        {"", "b", ND_INVALID},
        {"sp ace", "b", ND_INVALID},
        {"k\xc3\xa9y", "b", ND_INVALID},
        {":path", "b", ND_INVALID},
        {"te", "trailers", ND_INVALID},
        {"content-type", "b", ND_INVALID},
        {"user-agent", "b", ND_INVALID},
        {"grpc-status", "0", ND_INVALID},
        {"GRPC-Anything", "0", ND_INVALID},
        {"connection", "close", ND_INVALID},
        {"a", "line\nbreak", ND_INVALID},
        {"a", "caf\xc3\xa9", ND_INVALID},
        {"a", "\x7f", ND_INVALID},
    };
    ND_AUTO(nd_metadata_freep) struct nd_metadata *md = nd_metadata_new();
    struct nd_str key, value;

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++)
        expect_code(nd_metadata_add(md, nd_str(cases[i].key), nd_str(cases[i].value)),
                    cases[i].code);
    assert_int_equal(nd_metadata_count(md), 5);
    nd_metadata_at(md, 1, &key, &value);
    assert_true(nd_str_eqz(key, "upper-case_1.x"));
    assert_true(nd_metadata_find(md, ND_STR("raw-bin"), &value));
    assert_int_equal(value.len, 2);
    assert_false(nd_metadata_find(md, ND_STR("nope"), &value));
    assert_int_equal(nd_metadata_count(NULL), 0);
    assert_false(nd_metadata_find(NULL, ND_STR("a"), &value));
}

static void
many_entries_keep_their_order(void **state)
{
    ND_AUTO(nd_metadata_freep) struct nd_metadata *md = nd_metadata_new();

    (void)state;
    for (char c = 'a'; c <= 'z'; c++)
        expect_ok(nd_metadata_add(md, ND_STR("k"), nd_str_n(&c, 1)));
    for (size_t i = 0; i < 26; i++) {
        struct nd_str key, value;

        nd_metadata_at(md, i, &key, &value);
        assert_int_equal(value.ptr[0], 'a' + i);
    }
}

static void
received_binary_lists_are_split_and_decoded(void **state)
{
    ND_AUTO(nd_metadata_freep) struct nd_metadata *md = nd_metadata_new();
    struct nd_str key, value;

    (void)state;
    assert_true(nd_metadata_receive(md, ND_STR("x-bin"), ND_STR("Zg==,Zm8 ,,Zm9v")));
    assert_int_equal(nd_metadata_count(md), 4);
    nd_metadata_at(md, 1, &key, &value);
    assert_true(nd_str_eqz(value, "fo"));
    nd_metadata_at(md, 2, &key, &value);
    assert_int_equal(value.len, 0);
    assert_true(nd_metadata_receive(md, ND_STR("x-text"), ND_STR("a,b")));
    nd_metadata_at(md, 4, &key, &value);
    assert_true(nd_str_eqz(value, "a,b"));
    assert_false(nd_metadata_receive(md, ND_STR("x-bin"), ND_STR("Zg==,!")));
}

/* A byte for each of them, and once a block is known to HPACK not even that. */
static void
a_list_of_too_many_values_is_refused(void **state)
{
    ND_AUTO(nd_metadata_freep) struct nd_metadata *md = nd_metadata_new();
    char commas[ND_GRPC_MAX_LISTED_VALUES];

    (void)state;
    memset(commas, ',', sizeof(commas));
    assert_false(nd_metadata_receive(md, ND_STR("x-bin"), nd_str_n(commas, sizeof(commas))));
    assert_int_equal(nd_metadata_count(md), ND_GRPC_MAX_LISTED_VALUES);
}

static void
received_reserved_names_are_passed_over(void **state)
{
    ND_AUTO(nd_metadata_freep) struct nd_metadata *md = nd_metadata_new();

    (void)state;
    assert_true(nd_metadata_receive(md, ND_STR(":path"), ND_STR("/x")));
    assert_true(nd_metadata_receive(md, ND_STR("te"), ND_STR("trailers")));
    assert_true(nd_metadata_receive(md, ND_STR("grpc-foo-bin"), ND_STR("!")));
    assert_int_equal(nd_metadata_count(md), 0);
    assert_true(nd_metadata_receive(md, ND_STR(":authority"), ND_STR("a")));
    assert_true(nd_metadata_receive(md, ND_STR("user-agent"), ND_STR("b")));
    assert_int_equal(nd_metadata_count(md), 2);
}

static struct nd_metadata *
sample(void)
{
    struct nd_metadata *md = nd_metadata_new();

    expect_ok(nd_metadata_add(md, ND_STR("echo-one"), ND_STR("1")));
    expect_ok(nd_metadata_add(md, ND_STR("echo-raw-bin"), ND_STR("\0\xff,")));
    expect_ok(nd_metadata_add(md, ND_STR("trail-end"), ND_STR("over")));
    expect_ok(nd_metadata_add(md, ND_STR("trail-empty"), ND_STR("")));
    expect_ok(nd_metadata_add(md, ND_STR("trail-spaces"), ND_STR(" in  between ")));
    return md;
}

static void
assert_entry(const struct nd_metadata *md, const char *key, struct nd_str wanted)
{
    struct nd_str value;

    assert_true(nd_metadata_find(md, nd_str(key), &value));
    assert_true(nd_str_eq(value, wanted));
}

IN_LOOP(metadata_goes_both_ways)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    ND_AUTO(nd_metadata_freep) struct nd_metadata *md = sample();
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    const struct nd_call_options options = {.metadata = md};
    const struct nd_metadata *headers;
    Echo__EchoReply *rsp;

    expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_BIDI, &options, &call));
    assert_null(nd_client_call_trailers(call));
    expect_ok(nd_client_call_finish_sending(call));
    expect_ok(nd_client_call_recv(call, f->arena, &rsp));
    assert_null(rsp);
    expect_ok(nd_client_call_headers(call, &headers));
    assert_entry(headers, "echo-one", ND_STR("1"));
    assert_entry(headers, "echo-raw-bin", ND_STR("\0\xff,"));
    assert_int_equal(nd_metadata_count(headers), 2);
    assert_entry(nd_client_call_trailers(call), "trail-end", ND_STR("over"));
    assert_entry(nd_client_call_trailers(call), "trail-empty", ND_STR(""));
    assert_entry(nd_client_call_trailers(call), "trail-spaces", ND_STR("in  between"));
    assert_int_equal(nd_metadata_count(nd_client_call_trailers(call)), 3);
    return NULL;
}

IN_LOOP(trailing_metadata_comes_with_an_error)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});
    ND_AUTO(nd_metadata_freep) struct nd_metadata *md = sample();
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    const struct nd_call_options options = {.metadata = md};
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    req.code = ND_ABORTED;
    expect_ok(nd_client_call_begin(f->channel, ECHO_ECHO_SERVICE_BIDI, &options, &call));
    expect_ok(nd_client_call_send(call, &req));
    expect_code(nd_client_call_recv(call, f->arena, &rsp), ND_ABORTED);
    assert_entry(nd_client_call_trailers(call), "trail-end", ND_STR("over"));
    return NULL;
}

/* Text of `size` bytes as the value of one key. */
static struct nd_error *
call_with_value(struct fixture *f, size_t size)
{
    ND_AUTO(nd_metadata_freep) struct nd_metadata *md = nd_metadata_new();
    ND_AUTO(nd_freep) char *value = nd_new_array(size, char);
    const struct nd_call_options options = {.metadata = md};
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    memset(value, 'v', size);
    expect_ok(nd_metadata_add(md, ND_STR("key"), nd_str_n(value, size)));
    return nd_channel_unary(f->channel, ECHO_ECHO_SERVICE_UNARY, &options, &req, f->arena, &rsp);
}

IN_LOOP(a_header_list_over_the_limit_is_refused)
{
    ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){0});

    expect_ok(call_with_value(f, 15000));
    expect_code(call_with_value(f, 16384), ND_EXHAUSTED);
    expect_ok(fixture_echo(f, 10));
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_values_are_checked),
        cmocka_unit_test(many_entries_keep_their_order),
        cmocka_unit_test(received_binary_lists_are_split_and_decoded),
        cmocka_unit_test(a_list_of_too_many_values_is_refused),
        cmocka_unit_test(received_reserved_names_are_passed_over),
        cmocka_unit_test(metadata_goes_both_ways),
        cmocka_unit_test(trailing_metadata_comes_with_an_error),
        cmocka_unit_test(a_header_list_over_the_limit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
