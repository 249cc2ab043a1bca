/* Digests: known answers, and texts that are none. */

#include "codec/digest.h"

#include "check.h"

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC_SHA256   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC_SHA512                                                     \
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" \
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
#define ABC_SHA384                                                     \
    "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed" \
    "8086072ba1e7cc2358baeca134c825a7"

static void
known_answers(void **state)
{
    char text[ND_DIGEST_TEXT_SIZE];
    char hex[2 * ND_HASH_MAX_BYTES + 1];

    (void)state;
    nd_digest_of(ND_SHA256, ND_STR_NONE, text);
    assert_string_equal(text, "sha256:" EMPTY_SHA256);
    nd_digest_of(ND_SHA256, ND_STR("abc"), text);
    assert_string_equal(text, "sha256:" ABC_SHA256);
    nd_digest_of(ND_SHA384, ND_STR("abc"), text);
    assert_string_equal(text, "sha384:" ABC_SHA384);
    nd_digest_of(ND_SHA512, ND_STR("abc"), text);
    assert_string_equal(text, "sha512:" ABC_SHA512);
    nd_hash_hex(ND_SHA512, ND_STR("abc"), hex);
    assert_string_equal(hex, ABC_SHA512);
    assert_int_equal(nd_digest_size(ND_SHA384), 48);
}

static void
pieces_give_the_same_as_the_whole(void **state)
{
    ND_AUTO(nd_hasher_freep) struct nd_hasher *hasher = nd_hasher_new(ND_SHA256);
    char text[ND_DIGEST_TEXT_SIZE];

    (void)state;
    nd_hasher_text(hasher, text);
    assert_string_equal(text, "sha256:" EMPTY_SHA256);
    nd_hasher_add(hasher, "a", 1);
    nd_hasher_text(hasher, text);
    nd_hasher_add(hasher, "", 0);
    nd_hasher_add(hasher, "bc", 2);
    nd_hasher_text(hasher, text);
    assert_string_equal(text, "sha256:" ABC_SHA256);
    nd_hasher_free(NULL);
}

static void
digest_texts_are_taken_apart(void **state)
{
    struct nd_digest d;

    (void)state;
    check_ok(nd_digest_parse(ND_STR("sha256:" ABC_SHA256), &d));
    assert_int_equal(d.algorithm, ND_SHA256);
    assert_true(nd_str_eqz(d.hex, ABC_SHA256));
    check_ok(nd_digest_parse(ND_STR("sha384:" ABC_SHA384), &d));
    check_ok(nd_digest_parse(ND_STR("sha512:" ABC_SHA512), &d));
    assert_int_equal(d.algorithm, ND_SHA512);
    assert_string_equal(nd_digest_name(d.algorithm), "sha512");
}

static void
other_texts_are_refused(void **state)
{
    static const struct {
        const char *text;
        enum nd_code code;
    } rows[] = {
        {"", ND_INVALID},
        {":", ND_INVALID},
        {"sha256", ND_INVALID},
        {"sha256:", ND_INVALID},
        {":" ABC_SHA256, ND_INVALID},
        {ABC_SHA256, ND_INVALID},
        {"sha256:abc", ND_INVALID},
        {"sha256:" ABC_SHA256 "0", ND_INVALID},
        {"sha256:" ABC_SHA384, ND_INVALID},
        {"sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", ND_INVALID},
        {"sha256:zz7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", ND_INVALID},
        {"sha256:../../../../../../../../../../../../../../../../../../../../etc/", ND_INVALID},
        {"SHA256:" ABC_SHA256, ND_UNIMPLEMENTED},
        {"md5:d41d8cd98f00b204e9800998ecf8427e", ND_UNIMPLEMENTED},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        struct nd_digest d;

        check_row(i, rows[i].text, nd_digest_parse(nd_str(rows[i].text), &d), rows[i].code);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(pieces_give_the_same_as_the_whole),
        cmocka_unit_test(digest_texts_are_taken_apart),
        cmocka_unit_test(other_texts_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
