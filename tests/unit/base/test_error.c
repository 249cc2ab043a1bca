/* Errors: codes, messages, attributes, wrapping and copying. */

#include <errno.h>

#include "base/error.h"

#include "check.h"

static void
null_is_success(void **state)
{
    (void)state;
    assert_int_equal(nd_error_code(NULL), ND_OK);
    assert_string_equal(nd_error_message(NULL), "");
    assert_null(nd_error_get_field(NULL));
    assert_null(nd_error_get_reason(NULL));
    assert_null(nd_error_get_component(NULL));
    assert_int_equal(nd_error_n_hints(NULL), 0);
    assert_int_equal(nd_error_n_meta(NULL), 0);
    assert_int_equal(nd_error_get_retry_ms(NULL), 0);
    assert_null(nd_error_copy(NULL));
    nd_error_free(NULL);
}

static void
every_code_has_its_name(void **state)
{
    (void)state;
    for (int i = 0; i <= ND_CODE_MAX; i++) {
        assert_non_null(nd_code_name((enum nd_code)i));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(nd_code_name((enum nd_code)i), nd_code_name((enum nd_code)k));
    }
    assert_string_equal(nd_code_name((enum nd_code)5), "NOT_FOUND");
    assert_string_equal(nd_code_name((enum nd_code)16), "UNAUTHENTICATED");
    assert_string_equal(nd_code_name((enum nd_code)17), "UNKNOWN");
    assert_string_equal(nd_code_name((enum nd_code) - 1), "UNKNOWN");
}

static void
errno_picks_the_code(void **state)
{
    static const struct {
        int errnum;
        enum nd_code code;
    } rows[] = {
        {ENOENT, ND_NOT_FOUND},
        {EEXIST, ND_EXISTS},
        {EACCES, ND_DENIED},
        {EPERM, ND_DENIED},
        {ENOSPC, ND_EXHAUSTED},
        {EMFILE, ND_EXHAUSTED},
        {ENFILE, ND_EXHAUSTED},
        {ENOMEM, ND_EXHAUSTED},
        {EDQUOT, ND_EXHAUSTED},
        {EINVAL, ND_INVALID},
        {ENAMETOOLONG, ND_INVALID},
        {ELOOP, ND_INVALID},
        {ECONNREFUSED, ND_UNAVAILABLE},
        {ECONNRESET, ND_UNAVAILABLE},
        {EPIPE, ND_UNAVAILABLE},
        {ENETUNREACH, ND_UNAVAILABLE},
        {EHOSTUNREACH, ND_UNAVAILABLE},
        {ETIMEDOUT, ND_DEADLINE},
        {EBUSY, ND_PRECONDITION},
        {ENOTEMPTY, ND_PRECONDITION},
        {EIO, ND_INTERNAL},
        {99999, ND_INTERNAL},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++)
        check_code(nd_error_errno(rows[i].errnum, "x"), rows[i].code);
    check_message(nd_error_errno(ENOENT, "open %s", "/a"), ND_NOT_FOUND,
                  "open /a: No such file or directory");
    check_message(nd_error_errno(99999, "open"), ND_INTERNAL, "open: errno 99999");
}

static void
wrapping_keeps_everything_else(void **state)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = nd_error_new(ND_NOT_FOUND, "no %s", "alpine");

    (void)state;
    err = nd_error_reason(err, "IMAGE_NOT_FOUND");
    err = nd_error_component(nd_error_component(err, "x"), "registry");
    err = nd_error_hint(nd_error_hint(err, "pull %s first", "it"), "or build it");
    err = nd_error_meta(nd_error_meta(nd_error_meta(err, "ref", "a"), "ns", "b"), "ref", "c");
    err = nd_error_retry_in(err, 1500);
    err = nd_error_wrap(nd_error_wrap(err, "layer %d", 2), "run");

    assert_string_equal(nd_error_message(err), "run: layer 2: no alpine");
    assert_int_equal(nd_error_code(err), ND_NOT_FOUND);
    assert_string_equal(nd_error_get_reason(err), "IMAGE_NOT_FOUND");
    assert_string_equal(nd_error_get_component(err), "registry");
    assert_int_equal(nd_error_n_hints(err), 2);
    assert_string_equal(nd_error_get_hint(err, 0), "pull it first");
    assert_string_equal(nd_error_get_hint(err, 1), "or build it");
    assert_null(nd_error_get_hint(err, 2));
    assert_int_equal(nd_error_n_meta(err), 2);
    assert_string_equal(nd_error_meta_key(err, 0), "ref");
    assert_string_equal(nd_error_meta_value(err, 0), "c");
    assert_string_equal(nd_error_meta_key(err, 1), "ns");
    assert_null(nd_error_meta_key(err, 2));
    assert_int_equal(nd_error_get_retry_ms(err), 1500);
    err = nd_error_recode(err, ND_DENIED);
    assert_int_equal(nd_error_code(err), ND_DENIED);
}

static void
a_field_error_names_its_field(void **state)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = nd_error_field("key", "is %s", "empty");

    (void)state;
    assert_int_equal(nd_error_code(err), ND_INVALID);
    assert_string_equal(nd_error_get_field(err), "key");
    assert_string_equal(nd_error_message(err), "key: is empty");
}

static void
a_prefix_goes_before_the_field_in_any_order_with_wrap(void **state)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = nd_error_field("[2]", "is empty");

    (void)state;
    err = nd_error_in_field(err, "labels");
    assert_string_equal(nd_error_get_field(err), "labels[2]");
    err = nd_error_wrap(err, "create web");
    err = nd_error_in_field(err, "spec");
    assert_string_equal(nd_error_get_field(err), "spec.labels[2]");
    assert_string_equal(nd_error_message(err), "create web: spec.labels[2]: is empty");
}

static void
in_field_makes_a_field_error_of_any_other(void **state)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = nd_error_new(ND_INVALID, "not a number");

    (void)state;
    err = nd_error_in_field(nd_error_in_field(nd_error_wrap(err, "x"), "memory"), "limits");
    assert_string_equal(nd_error_get_field(err), "limits.memory");
    assert_string_equal(nd_error_message(err), "x: limits.memory: not a number");
}

static void
a_copy_is_independent(void **state)
{
    struct nd_error *err = nd_error_field("a", "b");
    ND_AUTO(nd_error_freep) struct nd_error *copy = NULL;

    (void)state;
    err = nd_error_retry_in(nd_error_meta(nd_error_hint(err, "h"), "k", "v"), 3);
    err = nd_error_component(nd_error_reason(nd_error_wrap(err, "w"), "R"), "c");
    copy = nd_error_copy(err);
    nd_error_free(err);

    copy = nd_error_in_field(copy, "p");
    assert_string_equal(nd_error_message(copy), "w: p.a: b");
    assert_string_equal(nd_error_get_field(copy), "p.a");
    assert_string_equal(nd_error_get_hint(copy, 0), "h");
    assert_string_equal(nd_error_meta_value(copy, 0), "v");
    assert_string_equal(nd_error_get_reason(copy), "R");
    assert_string_equal(nd_error_get_component(copy), "c");
    assert_int_equal(nd_error_get_retry_ms(copy), 3);
}

static struct nd_error *
outer(struct nd_error *inner)
{
    ND_TRY_DOING(inner, "step %d", 1);
    return NULL;
}

static void
try_forwards_and_adds_context(void **state)
{
    (void)state;
    check_ok(outer(NULL));
    check_message(outer(nd_error_new(ND_ABORTED, "x")), ND_ABORTED, "step 1: x");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_is_success),
        cmocka_unit_test(every_code_has_its_name),
        cmocka_unit_test(errno_picks_the_code),
        cmocka_unit_test(wrapping_keeps_everything_else),
        cmocka_unit_test(a_field_error_names_its_field),
        cmocka_unit_test(a_prefix_goes_before_the_field_in_any_order_with_wrap),
        cmocka_unit_test(in_field_makes_a_field_error_of_any_other),
        cmocka_unit_test(a_copy_is_independent),
        cmocka_unit_test(try_forwards_and_adds_context),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
