#ifndef BASE_STR_H
#define BASE_STR_H

/*
 * A run of bytes that someone else owns, passed by value, and what one asks of it.
 * Context of everything here: any. Nothing allocates unless it says so.
 */

#include <string.h>

#include "base/defs.h"
#include "base/error.h"

/* Not NUL-terminated. `ptr` may be NULL when `len` is 0. */
struct nd_str {
    const char *ptr;
    size_t len;
};

#define ND_STR(literal) ((struct nd_str){"" literal, sizeof(literal) - 1})
#define ND_STR_NONE     ((struct nd_str){NULL, 0})
#define ND_STR_ARG(s)   (int)(s).len, (s).ptr /* for "%.*s" */

/* The bytes of a C string; NULL gives the empty slice. */
static inline struct nd_str
nd_str(const char *text)
{
    return (struct nd_str){text, text != NULL ? strlen(text) : 0};
}

static inline struct nd_str
nd_str_n(const void *ptr, size_t len)
{
    return (struct nd_str){ptr, len};
}

bool nd_str_eq(struct nd_str a, struct nd_str b);
bool nd_str_eqz(struct nd_str a, const char *b);         /* with a C string */
bool nd_str_eq_nocase(struct nd_str a, struct nd_str b); /* ASCII */
int nd_str_cmp(struct nd_str a, struct nd_str b);
bool nd_str_starts(struct nd_str s, struct nd_str prefix);
bool nd_str_ends(struct nd_str s, struct nd_str suffix);

/* Index of the first / last `c`, or SIZE_MAX. */
size_t nd_str_find(struct nd_str s, char c);
size_t nd_str_rfind(struct nd_str s, char c);

/* Index of the first occurrence of `needle`, or SIZE_MAX. */
size_t nd_str_search(struct nd_str s, struct nd_str needle);

/* From `start` to the end, or `len` bytes from `start`; both clamp to what is there. */
struct nd_str nd_str_from(struct nd_str s, size_t start);
struct nd_str nd_str_sub(struct nd_str s, size_t start, size_t len);

/* Without ASCII white space at both ends. */
struct nd_str nd_str_trim(struct nd_str s);

/*
 * Cut the next piece up to `sep` off the front of `*rest`. Returns false when nothing is left.
 * "a,,b" gives "a", "", "b"; the empty text gives nothing, nor does what follows a last `sep`.
 */
bool nd_str_next(struct nd_str *rest, char sep, struct nd_str *ret_piece);

/* A NUL-terminated copy on the heap, owned by the caller. A NUL inside is copied as it is. */
char *nd_str_dup(struct nd_str s) __attribute__((__returns_nonnull__));

/*
 * Copy to `dst` with a NUL behind. Fails: ND_INVALID when it does not fit or has a NUL inside
 * (`what` names the thing in the message).
 */
struct nd_error *nd_str_copy(char *dst, size_t size, struct nd_str s,
                             const char *what) ND_CHECK_RESULT;

/* No NUL inside, and valid UTF-8 (no surrogates, no overlong forms, up to U+10FFFF). */
bool nd_str_is_utf8(struct nd_str s);

/* Decimal digits only, the whole text, at most `max`. Fails: ND_INVALID. */
struct nd_error *nd_parse_u64(struct nd_str s, uint64_t max, uint64_t *ret) ND_CHECK_RESULT;

/* The same with an optional '-' in front, within [min, max]. Fails: ND_INVALID. */
struct nd_error *nd_parse_i64(struct nd_str s, int64_t min, int64_t max,
                              int64_t *ret) ND_CHECK_RESULT;

/* Octal digits only (file modes), at most `max`. Fails: ND_INVALID. */
struct nd_error *nd_parse_octal(struct nd_str s, uint64_t max, uint64_t *ret) ND_CHECK_RESULT;

/*
 * "true/false/1/0/t/f/T/F/TRUE/FALSE/True/False", as command lines of the field accept.
 * Fails: ND_INVALID.
 */
struct nd_error *nd_parse_bool(struct nd_str s, bool *ret) ND_CHECK_RESULT;

/* Write 2 * len lower-case hex digits and a NUL to `dst`. */
void nd_hex(char *dst, const void *bytes, size_t len);

/* Whether all of `s` is 0-9a-f, and not empty. */
bool nd_str_is_hex(struct nd_str s);

#endif
