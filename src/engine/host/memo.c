/*
 * The memo: a table that is searched from its beginning to its end. It is asked a few times for
 * each container that is made, instead of a call of containerd; a map beside it would save nothing
 * that could be measured.
 */

#include "host/memo.h"

#include <string.h>

#include "base/alloc.h"

struct text {
    char *key;
    char *bytes;
    size_t len;
    uint64_t used;
};

struct nd_memo {
    struct text texts[ND_MEMO_MAX_TEXTS];
    size_t n;
    size_t bytes; /* of all */
    uint64_t clock;
};

struct nd_memo *
nd_memo_new(void)
{
    return nd_new(struct nd_memo);
}

/* The last one takes its place. */
static void
forget(struct nd_memo *memo, struct text *text)
{
    memo->bytes -= text->len;
    nd_free(text->key);
    nd_free(text->bytes);
    *text = memo->texts[--memo->n];
}

void
nd_memo_free(struct nd_memo *memo)
{
    while (memo != NULL && memo->n > 0)
        forget(memo, &memo->texts[memo->n - 1]);
    nd_free(memo);
}

void
nd_memo_freep(struct nd_memo **memo)
{
    nd_memo_free(*memo);
}

static struct text *
find(struct nd_memo *memo, const char *key)
{
    for (size_t i = 0; i < memo->n; i++) {
        if (strcmp(memo->texts[i].key, key) == 0)
            return &memo->texts[i];
    }
    return NULL;
}

bool
nd_memo_find(struct nd_memo *memo, const char *key, struct nd_arena *arena, struct nd_str *ret)
{
    struct text *text = find(memo, key);

    if (text == NULL)
        return false;
    text->used = ++memo->clock;
    *ret = nd_str_n(nd_arena_str(arena, nd_str_n(text->bytes, text->len)), text->len);
    return true;
}

static struct text *
oldest(struct nd_memo *memo)
{
    struct text *text = &memo->texts[0];

    for (size_t i = 1; i < memo->n; i++) {
        if (memo->texts[i].used < text->used)
            text = &memo->texts[i];
    }
    return text;
}

void
nd_memo_keep(struct nd_memo *memo, const char *key, struct nd_str text)
{
    if (text.len > ND_MEMO_TEXT_MAX_BYTES || find(memo, key) != NULL)
        return;
    while (memo->n == ND_MEMO_MAX_TEXTS || memo->bytes + text.len > ND_MEMO_MAX_BYTES)
        forget(memo, oldest(memo));
    memo->texts[memo->n++] = (struct text){.key = nd_strdup(key),
                                           .bytes = nd_strndup(text.ptr, text.len),
                                           .len = text.len,
                                           .used = ++memo->clock};
    memo->bytes += text.len;
}
