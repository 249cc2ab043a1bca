#ifndef HOST_MEMO_H
#define HOST_MEMO_H

/*
 * Texts that were read before, by a key that names each for ever, like a digest: what is here is
 * never stale. Bounded: the one that was not asked for the longest goes. Context of everything
 * here: any.
 */

#include "base/arena.h"
#include "base/defs.h"
#include "base/str.h"

#define ND_MEMO_MAX_TEXTS      256u
#define ND_MEMO_MAX_BYTES      ((size_t)2 * 1024 * 1024) /* of all texts */
#define ND_MEMO_TEXT_MAX_BYTES ((size_t)64 * 1024)       /* larger ones are not kept */

struct nd_memo;

struct nd_memo *nd_memo_new(void) __attribute__((__returns_nonnull__));
void nd_memo_free(struct nd_memo *memo); /* NULL is fine */
void nd_memo_freep(struct nd_memo **memo);

/* A copy in the arena; false: not here. */
bool nd_memo_find(struct nd_memo *memo, const char *key, struct nd_arena *arena,
                  struct nd_str *ret);

void nd_memo_keep(struct nd_memo *memo, const char *key, struct nd_str text);

#endif
