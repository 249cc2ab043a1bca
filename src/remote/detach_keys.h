#ifndef REMOTE_DETACH_KEYS_H
#define REMOTE_DETACH_KEYS_H

/*
 * The keys that leave a terminal: "ctrl-p,ctrl-q", "ctrl-a,d", "a". Context of everything here:
 * any.
 */

#include "base/error.h"
#include "base/str.h"

#define ND_DETACH_KEYS_MAX 16u

struct nd_detach_keys {
    char keys[ND_DETACH_KEYS_MAX];
    size_t n;    /* 0: nothing detaches */
    size_t held; /* how many of them were typed last, and are held back */
};

/*
 * Keys, comma-separated: one character, or "ctrl-" and a letter or one of @[\]^_ . Empty: none.
 * Fails: ND_INVALID.
 */
struct nd_error *nd_detach_keys_parse(struct nd_str text,
                                      struct nd_detach_keys *ret) ND_CHECK_RESULT;

/*
 * Pass what was typed through: `dst` (room for ND_DETACH_KEYS_MAX more than `typed`) gets what is
 * for the process, `*ret_len` bytes. True when the last key of the sequence was typed: what came
 * behind it is dropped.
 */
bool nd_detach_keys_filter(struct nd_detach_keys *keys, struct nd_str typed, char *dst,
                           size_t *ret_len);

#endif
