/*
 * Finding a sequence of keys in what is typed.
 *
 * The beginning of the sequence is held back, because it may become the whole. When the next key
 * does not fit, the longest end of what was held that is a beginning again stays, and the rest goes
 * to the process: so no key is lost and none comes twice, also for sequences that repeat
 * themselves.
 */

#include "detach_keys.h"

#include <string.h>

static bool
parse_key(struct nd_str key, char *ret)
{
    static const char others[] = "@[\\]^_";
    char c;

    if (key.len == 1) {
        *ret = key.ptr[0];
        return true;
    }
    if (key.len != 6 || !nd_str_eq_nocase(nd_str_sub(key, 0, 5), ND_STR("ctrl-")))
        return false;
    c = key.ptr[5];
    if (c >= 'a' && c <= 'z')
        c = (char)(c - 'a' + 'A');
    if ((c < 'A' || c > 'Z') && (c == '\0' || strchr(others, c) == NULL))
        return false;
    *ret = (char)(c - '@');
    return true;
}

struct nd_error *
nd_detach_keys_parse(struct nd_str text, struct nd_detach_keys *ret)
{
    struct nd_detach_keys keys = {.n = 0};
    struct nd_str rest = text, key;

    while (text.len > 0 && nd_str_next(&rest, ',', &key)) {
        if (keys.n == ND_DETACH_KEYS_MAX)
            return nd_error_new(ND_INVALID, "--detach-keys: more than %u keys", ND_DETACH_KEYS_MAX);
        if (!parse_key(key, &keys.keys[keys.n++]))
            return nd_error_new(ND_INVALID,
                                "--detach-keys: \"%.*s\" is neither a character nor ctrl-<letter>",
                                ND_STR_ARG(nd_str_sub(key, 0, 20)));
    }
    *ret = keys;
    return NULL;
}

/* The next key did not fit: let go of as few as possible of those that are held. */
static size_t
let_go(struct nd_detach_keys *k, char next, char *dst)
{
    char typed[ND_DETACH_KEYS_MAX + 1];
    size_t n = k->held, gone = 1;

    memcpy(typed, k->keys, n);
    typed[n++] = next;
    while (gone < n && memcmp(typed + gone, k->keys, n - gone) != 0)
        gone++;
    memcpy(dst, typed, gone);
    k->held = n - gone;
    return gone;
}

bool
nd_detach_keys_filter(struct nd_detach_keys *k, struct nd_str typed, char *dst, size_t *ret_len)
{
    size_t len = 0;

    for (size_t i = 0; i < typed.len; i++) {
        if (k->n == 0)
            dst[len++] = typed.ptr[i];
        else if (typed.ptr[i] == k->keys[k->held])
            k->held++;
        else
            len += let_go(k, typed.ptr[i], dst + len);
        if (k->n > 0 && k->held == k->n) {
            k->held = 0;
            *ret_len = len;
            return true;
        }
    }
    *ret_len = len;
    return false;
}
