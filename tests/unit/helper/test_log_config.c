/* log-config.json as nerdctl writes it, and everything that it could hold instead. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/random.h"
#include "helper/log_config.h"

static bool
parse(const char *text, struct nd_logger_config *ret)
{
    size_t len = strlen(text);
    char *copy =
        nd_calloc(1, len + 1); /* exactly as large, so that the sanitizer sees an overrun */
    bool whole;

    memcpy(copy, text, len);
    whole = nd_logger_config_parse(copy, len, ret);
    nd_free(copy);
    return whole;
}

static void
options_are_read_wherever_they_stand(void **state)
{
    static const struct {
        const char *text;
        uint64_t max_bytes;
        unsigned max_files;
        const char *log_path;
    } cases[] = {
        {"{\"driver\":\"json-file\",\"address\":\"/run/containerd/containerd.sock\"}",
         ND_LOGGER_SIZE_DEFAULT, ND_LOGGER_FILES_DEFAULT, ""},
        {"{\"driver\":\"json-file\",\"opts\":{\"max-size\":\"10m\",\"max-file\":\"3\"},\"address\":"
         "\"x\"}",
         10000000, 3, ""},
        {"{\"address\":\"x\",\"opts\":{\"log-path\":\"/a\\u002fb \\\"c\\\\\"}}",
         ND_LOGGER_SIZE_DEFAULT, ND_LOGGER_FILES_DEFAULT, "/a/b \"c\\"},
        {" { \"n\" : [1, {\"opts\":{\"max-file\":\"9\"}}, null, -1.5e3 ] ,\n\"opts\" : { "
         "\"labels\" : "
         "[\"a\",{}] , \"max-file\" : \"7\" } } ",
         ND_LOGGER_SIZE_DEFAULT, 7, ""},
        {"{\"opts\":{\"max-size\":\"lots\",\"max-file\":\"0\",\"log-path\":\"relative\"}}",
         ND_LOGGER_SIZE_DEFAULT, ND_LOGGER_FILES_DEFAULT, ""},
        {"{\"opts\":{\"max-file\":\"99999999999999999999\",\"max-size\":\"-1\"}}", 0,
         ND_LOGGER_FILES_DEFAULT, ""},
        {"{\"opts\":null}", ND_LOGGER_SIZE_DEFAULT, ND_LOGGER_FILES_DEFAULT, ""},
        {"{}", ND_LOGGER_SIZE_DEFAULT, ND_LOGGER_FILES_DEFAULT, ""},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_logger_config config;

        if (!parse(cases[i].text, &config))
            fail_msg("case %zu", i);
        assert_int_equal(config.max_bytes, cases[i].max_bytes);
        assert_int_equal(config.max_files, cases[i].max_files);
        assert_string_equal(config.log_path, cases[i].log_path);
    }
}

static void
a_broken_file_gives_the_options_before_the_break(void **state)
{
    static const char *const texts[] = {
        "",
        "null",
        "[]",
        "{",
        "{\"opts\":",
        "{\"opts\":{\"max-file\":\"3",
        "{\"opts\":{\"a\":\"\\",
        "{\"opts\":{\"a\":\"\\u00",
        "{\"opts\":{\"a\":\"\\x\"}}",
        "{\"a\":}",
        "{\"a\":[}",
        "{\"a\" 1}",
        "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]",
    };
    struct nd_logger_config config;

    (void)state;
    for (size_t i = 0; i < ND_LEN(texts); i++) {
        if (parse(texts[i], &config))
            fail_msg("case %zu", i);
        assert_int_equal(config.max_bytes, ND_LOGGER_SIZE_DEFAULT);
        assert_int_equal(config.max_files, ND_LOGGER_FILES_DEFAULT);
    }
    assert_false(parse("{\"opts\":{\"max-file\":\"3\",", &config));
    assert_int_equal(config.max_files, 3);
}

static void
random_files_are_survived(void **state)
{
    static const char pieces[] = "{}[]\":,\\u0041 opts max-file 1null";

    (void)state;
    for (size_t i = 0; i < 20000; i++) {
        char text[64];
        size_t len = nd_random_u64() % (sizeof(text) - 1);
        struct nd_logger_config config;

        for (size_t k = 0; k < len; k++)
            text[k] = pieces[nd_random_u64() % (sizeof(pieces) - 1)];
        text[len] = '\0';
        (void)parse(text, &config);
        assert_true(config.max_files >= 1);
    }
}

static void
sizes_are_decimal(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t want;
    } cases[] = {
        {"512", true, 512},
        {"10m", true, 10000000},
        {"10M", true, 10000000},
        {"1.5 GB", true, 1500000000},
        {"2kib", true, 2000},
        {"1.2345k", true, 1234},
        {"1t", true, UINT64_C(1000000000000)},
        {"-1", true, 0},
        {"", false, 0},
        {"m", false, 0},
        {"0", false, 0},
        {"-5", false, 0},
        {"1x", false, 0},
        {"1mbb", false, 0},
        {"99999999999999999999999", false, 0},
        {"9999999999999999999t", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        uint64_t got = 0;

        if (nd_logger_size_parse(nd_str(cases[i].text), &got) != cases[i].good)
            fail_msg("%s", cases[i].text);
        if (cases[i].good)
            assert_int_equal(got, cases[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_read_wherever_they_stand),
        cmocka_unit_test(a_broken_file_gives_the_options_before_the_break),
        cmocka_unit_test(random_files_are_survived),
        cmocka_unit_test(sizes_are_decimal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
