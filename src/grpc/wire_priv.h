#ifndef GRPC_WIRE_PRIV_H
#define GRPC_WIRE_PRIV_H

/*
 * The small encodings of gRPC's headers. Context of everything here: any.
 * Follows: contracts/grpc-wire.md 1.2, 1.4, 1.7.
 */

#include "base/arena.h"
#include "base/str.h"

#define ND_TIMEOUT_SIZE 10 /* bytes that nd_timeout_format() may need, NUL included */

/* The value of grpc-timeout; INT64_MAX: beyond our clock. False: malformed. */
bool nd_timeout_parse(struct nd_str text, int64_t *ret_ns);

/* The smallest unit in which it fits, rounded up; a negative one is 0. Returns the length. */
size_t nd_timeout_format(int64_t timeout_ns, char dst[ND_TIMEOUT_SIZE]);

/* Never fails: what is not an escape stays as it is. */
struct nd_str nd_percent_decode(struct nd_arena *arena, struct nd_str text);

/*
 * What a header may carry of a text: at most `max` bytes after encoding, cut between characters.
 * Bytes that are not UTF-8 become U+FFFD.
 */
struct nd_str nd_percent_encode(struct nd_arena *arena, struct nd_str text, size_t max);

/* Standard alphabet; no padding is written, both forms are read. False: malformed. */
struct nd_str nd_base64_encode(struct nd_arena *arena, struct nd_str bytes);
bool nd_base64_decode(struct nd_arena *arena, struct nd_str text, struct nd_str *ret);

/* The six bits of a character; -1: none of the alphabet. */
int nd_base64_value(char c);

/* Write to `dst`, which has room for (len + 2) / 3 * 4 characters. Returns how many they are. */
size_t nd_base64_write(char *dst, struct nd_str bytes, bool padded);

/* "/pkg.Service/Method" at its last slash. False: malformed. */
bool nd_path_split(struct nd_str path, struct nd_str *ret_service, struct nd_str *ret_method);

/* Whether a content-type is gRPC's; `application/grpc`, or with "+sub" or ";params" behind. */
bool nd_is_grpc_content_type(struct nd_str value);

#endif
