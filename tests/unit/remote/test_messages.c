/* What people read on standard error: log lines, and details that the daemon sends. */

#include "base/arena.h"
#include "codec/pb.h"
#include "google/rpc/status.pb-c.h"
#include "nerdctl/v1/error.pb-c.h"

#include "check.h"
#include "error_details.h"
#include "logline.h"

static const struct nd_wall now = {1767323045, 600000000};

static void
lines_have_the_shape_of_nerdctl_s(void **state)
{
    static const struct {
        const char *text, *plain;
    } cases[] = {
        {"simple", "time=\"2026-01-02T03:04:05Z\" level=fatal msg=simple\n"},
        {"a/b-c._@^+", "time=\"2026-01-02T03:04:05Z\" level=fatal msg=a/b-c._@^+\n"},
        {"two words", "time=\"2026-01-02T03:04:05Z\" level=fatal msg=\"two words\"\n"},
        {"a\n\"b\"\t\\",
         "time=\"2026-01-02T03:04:05Z\" level=fatal msg=\"a\\n\\\"b\\\"\\t\\\\\"\n"},
        {"", "time=\"2026-01-02T03:04:05Z\" level=fatal msg=\"\"\n"},
        {"\xff\x01", "time=\"2026-01-02T03:04:05Z\" level=fatal msg=\"\\xff\\x01\"\n"},
    };
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(1 << 20);

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        nd_buf_clear(&out);
        nd_line_format(&out, false, ND_LINE_FATAL, now, 0, nd_str(cases[i].text));
        assert_string_equal(out.ptr, cases[i].plain);
    }
    nd_buf_clear(&out);
    nd_line_format(&out, true, ND_LINE_WARN, now, 7, ND_STR("text"));
    assert_string_equal(
        out.ptr, "\033[33mWARN\033[0m[0007] text                                         \n");
}

static void
a_terminal_gets_nothing_to_obey(void **state)
{
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(1 << 20);

    (void)state;
    nd_line_format(&out, true, ND_LINE_FATAL, now, 7,
                   ND_STR("entry \"\033]0;x\a\r\" of the\narchive is refused, as always"));
    assert_string_equal(out.ptr, "\033[31mFATA\033[0m[0007] entry \"\\x1b]0;x\\x07\\x0d\" of the\n"
                                 "archive is refused, as always \n");
}

static void
long_lines_are_cut(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf out = ND_BUF_INIT(1 << 20);
    char *text = nd_arena_alloc(a, 4 << 20);

    (void)state;
    memset(text, 0xff, 4 << 20);
    nd_line_format(&out, false, ND_LINE_ERROR, now, 0, nd_str_n(text, 4 << 20));
    assert_true(out.len < 1 << 20);
}

static struct nd_str
encode(struct nd_arena *a, const void *message)
{
    struct nd_buf buf = ND_BUF_INIT(1 << 16);
    struct nd_str bytes;

    check_ok(nd_pb_encode(message, &buf));
    bytes = nd_str_n(nd_arena_memdup(a, buf.len > 0 ? buf.ptr : "", buf.len), buf.len);
    nd_buf_fini(&buf);
    return bytes;
}

/* A google.rpc.Status with one detail. */
static struct nd_str
status_with(struct nd_arena *a, const char *type, const void *message)
{
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT, *details[] = {&any};
    struct nd_str bytes = encode(a, message);

    any.type_url = nd_arena_printf(a, "type.googleapis.com/%s", type);
    any.value.data = (uint8_t *)(uintptr_t)bytes.ptr;
    any.value.len = bytes.len;
    status.n_details = 1;
    status.details = details;
    return encode(a, &status);
}

static void
suggestions_become_hints(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    ND_AUTO(nd_error_freep) struct nd_error *err = nd_error_new(ND_NOT_FOUND, "no such image: x");
    Pb__ErrorDetail detail = PB__ERROR_DETAIL__INIT;
    Pb__ErrorDetail__MetadataEntry entry = PB__ERROR_DETAIL__METADATA_ENTRY__INIT,
                                   *list[] = {&entry};
    char *suggestions[] = {(char *)"load it", (char *)"check the name"};

    (void)state;
    detail.error_code = (char *)"IMAGE_NOT_FOUND";
    detail.component = (char *)"containerd";
    detail.n_suggestions = 2;
    detail.suggestions = suggestions;
    entry.key = (char *)"exit_code";
    entry.value = (char *)"127";
    detail.n_metadata = 1;
    detail.metadata = list;
    err = nd_error_decode_details(err, status_with(a, "nerdctl.v1.ErrorDetail", &detail));
    assert_int_equal(nd_error_n_hints(err), 2);
    assert_string_equal(nd_error_get_hint(err, 1), "check the name");
    assert_string_equal(nd_error_get_reason(err), "IMAGE_NOT_FOUND");
    assert_string_equal(nd_error_get_component(err), "containerd");
    assert_string_equal(nd_error_meta_value(err, 0), "127");
    assert_string_equal(nd_error_message(err), "no such image: x");
}

static void
wrong_fields_are_named(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    ND_AUTO(nd_error_freep) struct nd_error *err = nd_error_new(ND_INVALID, "is empty");
    Pb__ValidationError validation = PB__VALIDATION_ERROR__INIT;
    Pb__FieldError fields[] = {PB__FIELD_ERROR__INIT, PB__FIELD_ERROR__INIT};
    Pb__FieldError *list[] = {&fields[0], &fields[1]};

    (void)state;
    fields[0].field = (char *)"config.name";
    fields[0].message = (char *)"is empty";
    fields[1].field = (char *)"config.user";
    fields[1].message = (char *)"is too long";
    validation.n_field_errors = 2;
    validation.field_errors = list;
    err = nd_error_decode_details(err, status_with(a, "nerdctl.v1.ValidationError", &validation));
    assert_string_equal(nd_error_message(err), "config.name: is empty");
    assert_int_equal(nd_error_n_hints(err), 1);
    assert_string_equal(nd_error_get_hint(err, 0), "config.user: is too long");
}

/* As our own daemon sends it: message and detail begin with the field. */
static void
fields_are_not_named_twice(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    ND_AUTO(nd_error_freep)
    struct nd_error *err = nd_error_new(ND_INVALID, "signal: \"X\" is none");
    Pb__ValidationError validation = PB__VALIDATION_ERROR__INIT;
    Pb__FieldError field = PB__FIELD_ERROR__INIT, *list[] = {&field};

    (void)state;
    field.field = (char *)"signal";
    field.message = (char *)"signal: \"X\" is none";
    validation.n_field_errors = 1;
    validation.field_errors = list;
    err = nd_error_decode_details(err, status_with(a, "nerdctl.v1.ValidationError", &validation));
    assert_string_equal(nd_error_message(err), "signal: \"X\" is none");
    assert_int_equal(nd_error_n_hints(err), 0);
}

static void
what_does_not_parse_changes_nothing(void **state)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    ND_AUTO(nd_error_freep) struct nd_error *err = nd_error_new(ND_INTERNAL, "oops");
    Pb__FieldError other = PB__FIELD_ERROR__INIT;
    struct nd_str good = status_with(a, "nerdctl.v1.FieldError", &other);

    (void)state;
    err = nd_error_decode_details(err, ND_STR(""));
    err = nd_error_decode_details(err, ND_STR("\xff\xff\xff\xff"));
    err = nd_error_decode_details(err, good); /* a type that we do not know */
    for (size_t n = 0; n < good.len; n++)
        err = nd_error_decode_details(err, nd_str_sub(good, 0, n));
    assert_string_equal(nd_error_message(err), "oops");
    assert_int_equal(nd_error_n_hints(err), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_have_the_shape_of_nerdctl_s),
        cmocka_unit_test(a_terminal_gets_nothing_to_obey),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(suggestions_become_hints),
        cmocka_unit_test(wrong_fields_are_named),
        cmocka_unit_test(fields_are_not_named_twice),
        cmocka_unit_test(what_does_not_parse_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
