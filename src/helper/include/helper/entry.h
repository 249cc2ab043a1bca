#ifndef HELPER_ENTRY_H
#define HELPER_ENTRY_H

/*
 * Entries of the json-file log:
 *     {"log":"text\n","stream":"stdout","time":"2024-01-02T03:04:05.123456789Z"}
 * One whose bytes are not UTF-8 has them once more, in base64 (standard alphabet, padded):
 *     {"log":"\ufffd\n","stream":"stdout","time":"2024-01-02T03:04:05.123456789Z","raw":"/wo="}
 * Other readers of such logs pass over that key. store/log_record.h reads it.
 * Context of everything here: any; nothing allocates.
 */

#include "base/clock.h"
#include "base/defs.h"
#include "base/str.h"

#define ND_ENTRY_HEAD      "{\"log\":\""
#define ND_ENTRY_TAIL_SIZE 80u /* the longest tail is 60 bytes */

/* Bytes that must be readable behind a text that is encoded; their content is ignored. */
#define ND_ENTRY_PAD 16u

/*
 * What an entry of `len` bytes needs at most in its destination, scratch space included: six for
 * each byte that is escaped, and all of them in base64.
 */
#define ND_ENTRY_SPACE(len) \
    ((size_t)(len)*6 + ((size_t)(len) + 2) / 3 * 4 + ND_ENTRY_TAIL_SIZE + 48)

/* The end of an entry, the same for all of one batch and one stream. */
struct nd_entry_tail {
    char text[ND_ENTRY_TAIL_SIZE]; /* from the quote that ends the log text to the newline */
    size_t len;
};

/* `stream` is "stdout" or "stderr". */
void nd_entry_tail_init(struct nd_entry_tail *tail, const char *stream, struct nd_wall at);

/*
 * Encode one entry from the front of `src`: up to and including the first newline, or all of it.
 * Returns how many bytes of `src` it took and moves `*dst` behind the entry. `dst` has
 * ND_ENTRY_SPACE(src.len). Bytes that are not UTF-8 become U+FFFD in "log", one for each, and the
 * entry has a "raw".
 */
size_t nd_entry_encode(struct nd_str src, const struct nd_entry_tail *tail, char **dst);

/*
 * How many bytes at the end of `text` are the beginning of a UTF-8 sequence that the text cuts off:
 * 0 to 3.
 */
size_t nd_entry_cut_off(struct nd_str text);

/*
 * How many entries `encoded` holds, and how many bytes of text they stand for. Whole entries only.
 */
void nd_entry_count(struct nd_str encoded, uint64_t *ret_entries, uint64_t *ret_bytes);

#endif
