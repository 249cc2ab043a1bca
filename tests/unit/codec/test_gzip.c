/* gzip: what is compressed comes back, and what is damaged or a bomb does not get in. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "codec/gzip.h"

static struct nd_buf
compress(struct nd_str bytes)
{
    struct nd_buf dst = ND_BUF_INIT(1u << 26);
    ND_AUTO(nd_gzip_freep) struct nd_gzip *gzip = nd_gzip_new(bytes.len);

    assert_null(nd_gzip_add(gzip, bytes, &dst));
    assert_null(nd_gzip_finish(gzip, &dst));
    return dst;
}

/* Feed it in pieces. */
static enum nd_code
decompress(struct nd_str bytes, size_t piece, struct nd_buf *dst)
{
    ND_AUTO(nd_gunzip_freep) struct nd_gunzip *gunzip = nd_gunzip_new();

    while (bytes.len != 0 || nd_gunzip_has_more(gunzip)) {
        struct nd_str in = nd_str_sub(bytes, 0, piece);
        size_t offered = in.len;
        size_t before = dst->len;
        struct nd_error *err = nd_gunzip_step(gunzip, &in, dst);
        enum nd_code code = nd_error_code(err);

        nd_error_free(err);
        if (code != ND_OK)
            return code;
        assert_true(dst->len - before <= ND_GZIP_STEP_BYTES);
        bytes = nd_str_from(bytes, offered - in.len);
    }
    return nd_gunzip_is_done(gunzip) ? ND_OK : ND_DATA_LOSS;
}

static char *
make_text(size_t size, bool random)
{
    char *text = nd_new_array(size + 1, char);
    uint64_t x = 1;

    for (size_t i = 0; random && i < size; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        text[i] = (char)(x >> 56);
    }
    return text;
}

static void
what_is_compressed_comes_back(void **state)
{
    static const size_t sizes[] = {0, 1, 511, 512, 513, 65535, 65536, 65537, 3000000};
    static const size_t pieces[] = {1, 100, SIZE_MAX};

    (void)state;
    for (size_t i = 0; i < 2 * ND_LEN(sizes); i++) {
        size_t size = sizes[i / 2];
        ND_AUTO(nd_freep) char *text = make_text(size, i % 2);
        struct nd_buf packed = compress(nd_str_n(text, size));

        for (size_t p = size > 100000; p < ND_LEN(pieces); p++) {
            struct nd_buf out = ND_BUF_INIT(size);

            assert_int_equal(decompress(nd_buf_str(&packed), pieces[p], &out), ND_OK);
            assert_int_equal(out.len, size);
            if (size != 0)
                assert_memory_equal(out.ptr, text, size);
            nd_buf_fini(&out);
        }
        nd_buf_fini(&packed);
    }
}

static void
no_byte_beyond_the_maximum_is_kept(void **state)
{
    static const size_t maxima[] = {0, 1, 65535, 65536, 1000000, 4999999};
    ND_AUTO(nd_freep) char *zeros = make_text(5000000, false);
    struct nd_buf packed = compress(nd_str_n(zeros, 5000000));

    (void)state;
    for (size_t i = 0; i < ND_LEN(maxima); i++) {
        struct nd_buf out = ND_BUF_INIT(maxima[i]);

        assert_int_equal(decompress(nd_buf_str(&packed), SIZE_MAX, &out), ND_EXHAUSTED);
        assert_true(out.len <= maxima[i] && out.cap <= maxima[i] + 1);
        nd_buf_fini(&out);
    }
    nd_buf_fini(&packed);
}

static void
compression_stops_at_the_maximum(void **state)
{
    ND_AUTO(nd_freep) char *noise = make_text(100000, true);
    struct nd_buf dst = ND_BUF_INIT(5000);
    ND_AUTO(nd_gzip_freep) struct nd_gzip *gzip = nd_gzip_new(100000);
    struct nd_error *err = nd_gzip_add(gzip, nd_str_n(noise, 100000), &dst);

    (void)state;
    if (err == NULL)
        err = nd_gzip_finish(gzip, &dst);
    assert_int_equal(nd_error_code(err), ND_EXHAUSTED);
    assert_int_equal(dst.len, 5000);
    nd_error_free(err);
    nd_buf_fini(&dst);
}

static void
every_damage_is_found(void **state)
{
    static const char text[] = "some text, some text, some text";
    struct nd_buf packed = compress(nd_str(text));
    struct nd_buf out = ND_BUF_INIT(1000);

    (void)state;
    for (size_t len = 0; len < packed.len; len++) {
        nd_buf_clear(&out);
        assert_int_equal(decompress(nd_str_n(packed.ptr, len), SIZE_MAX, &out), ND_DATA_LOSS);
    }
    for (size_t at = 10; at < packed.len; at++) { /* the head has bytes without a meaning */
        packed.ptr[at] ^= 0x10;
        nd_buf_clear(&out);
        if (decompress(nd_buf_str(&packed), SIZE_MAX, &out) == ND_OK)
            assert_string_equal(out.ptr, text); /* a bit that fills up a byte */
        packed.ptr[at] ^= 0x10;
    }
    nd_buf_putz(&packed, "garbage behind it");
    nd_buf_clear(&out);
    assert_int_equal(decompress(nd_buf_str(&packed), SIZE_MAX, &out), ND_INVALID);
    nd_buf_fini(&out);
    nd_buf_fini(&packed);
}

static void
members_may_follow_one_another(void **state)
{
    struct nd_buf packed = compress(ND_STR("first, "));
    struct nd_buf second = compress(ND_STR("second"));
    struct nd_buf out = ND_BUF_INIT(13);

    (void)state;
    nd_buf_put(&packed, nd_buf_str(&second));
    assert_int_equal(decompress(nd_buf_str(&packed), SIZE_MAX, &out), ND_OK);
    assert_string_equal(out.ptr, "first, second");
    nd_buf_fini(&out);
    nd_buf_fini(&second);
    nd_buf_fini(&packed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_compressed_comes_back),
        cmocka_unit_test(no_byte_beyond_the_maximum_is_kept),
        cmocka_unit_test(compression_stops_at_the_maximum),
        cmocka_unit_test(every_damage_is_found),
        cmocka_unit_test(members_may_follow_one_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
