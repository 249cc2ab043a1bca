#ifndef REMOTE_PRINTABLE_H
#define REMOTE_PRINTABLE_H

/*
 * Texts of others on a terminal: what a terminal obeys instead of showing it becomes visible.
 * Names, labels and messages come from images, from containers and from a daemon that may be
 * anybody's. Context of everything here: any.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

/* Characters that stay although they are control characters: those of a text of several lines. */
#define ND_PRINTABLE_LINES "\n\t"

/*
 * Append `text`, with control characters, characters that turn the direction of writing, and bytes
 * that are no UTF-8 as \x1b or \u202e. What is in `keep` stays. Fails: ND_EXHAUSTED (buffer is
 * full).
 */
struct nd_error *nd_printable(struct nd_buf *out, struct nd_str text,
                              const char *keep) ND_CHECK_RESULT;

/* The same in the arena; `text` itself when nothing is to be changed. */
struct nd_str nd_printable_str(struct nd_arena *arena, struct nd_str text, const char *keep);

#endif
