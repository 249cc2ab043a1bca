/* The command out of a spec: whatever the text, it ends, reads nothing beyond it, and where the whole text
 * is JSON says what a full decoding says. */

#include <string.h>

#include "codec/json.h"

#include "spec_args_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A key that occurs twice counts with its last value when decoded, with its first when walked. */
static bool
repeats_a_key(struct nd_str text)
{
    static const struct nd_str keys[] = {{"\"process\"", 9}, {"\"args\"", 6}};

    for (size_t i = 0; i < ND_LEN(keys); i++) {
        size_t first = nd_str_search(text, keys[i]);

        if (first != SIZE_MAX && nd_str_search(nd_str_from(text, first + 1), keys[i]) != SIZE_MAX)
            return true;
    }
    /* An escape may spell a key in another way. */
    return nd_str_find(text, '\\') != SIZE_MAX;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_json_freep) struct nd_json *json = NULL;
    struct nd_str text = nd_str_n(data, size);
    const struct nd_json *args;
    char **found;
    size_t n;

    nd_spec_args(text, arena, &found, &n);
    nd_error_free(nd_json_parse(text, NULL, &json));
    args = nd_json_find(nd_json_find(json, "process"), "args");
    if (json == NULL || nd_json_type(args) != ND_JSON_ARRAY || repeats_a_key(text))
        return 0;
    ND_INVARIANT(n == ND_MIN(nd_json_count(args), (size_t)ND_SPEC_ARGS_MAX));
    for (size_t i = 0; i < n; i++)
        ND_INVARIANT(nd_str_eqz(nd_json_string(nd_json_at(args, i)), found[i]));
    return 0;
}
