/*
 * JSON texts: what parses can be written in every style, what was written parses again, and writing
 * that gives the same text. (The same value would be too much: 1.0 is written as 1.)
 */

#include "codec/json.h"

#define WRITTEN_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned styles[] = {ND_JSON_PLAIN, ND_JSON_GO, ND_JSON_INDENT};
    const struct nd_json_limits limits = {.max_values = 10000};
    ND_AUTO(nd_json_freep) struct nd_json *value = NULL;
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    err = nd_json_parse(nd_str_n(data, size), &limits, &value);
    if (err != NULL) {
        ND_INVARIANT(nd_error_code(err) == ND_INVALID || nd_error_code(err) == ND_EXHAUSTED);
        return 0;
    }
    for (size_t i = 0; i < ND_LEN(styles); i++) {
        ND_AUTO(nd_json_freep) struct nd_json *back = NULL;
        ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(WRITTEN_MAX);
        ND_AUTO(nd_buf_fini) struct nd_buf again = ND_BUF_INIT(WRITTEN_MAX);

        err = nd_json_write(value, styles[i], &text);
        ND_INVARIANT(err == NULL);
        err = nd_json_parse(nd_buf_str(&text), NULL, &back);
        ND_INVARIANT(err == NULL);
        err = nd_json_write(back, styles[i], &again);
        ND_INVARIANT(err == NULL);
        ND_INVARIANT(nd_str_eq(nd_buf_str(&text), nd_buf_str(&again)));
    }
    return 0;
}
