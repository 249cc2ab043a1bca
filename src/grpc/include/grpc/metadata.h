#ifndef GRPC_METADATA_H
#define GRPC_METADATA_H

/*
 * Metadata: an ordered list of keys and values. Values of keys that end in "-bin" are raw bytes
 * here; on the wire they are base64. Context of everything here: any.
 * Follows: contracts/grpc-wire.md 1.2, 1.3 (the gRPC HTTP/2 protocol document).
 */

#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"

struct nd_metadata;

struct nd_metadata *nd_metadata_new(void) __attribute__((__returns_nonnull__));
void nd_metadata_free(struct nd_metadata *md); /* NULL is fine */
void nd_metadata_freep(struct nd_metadata **md);

/*
 * Append; both are copied, the key becomes lower case. Fails: ND_INVALID for a key outside
 * [0-9a-z_.-], a reserved one ("grpc-...", "content-type", "te", ...), or an ASCII value with bytes
 * outside 0x20-0x7e. Spaces at the ends of an ASCII value do not travel: strict peers reset the
 * stream for them.
 */
struct nd_error *nd_metadata_add(struct nd_metadata *md, struct nd_str key,
                                 struct nd_str value) ND_CHECK_RESULT;

/* The first value of a key; false when there is none. Borrowed. `md` NULL is an empty list. */
bool nd_metadata_find(const struct nd_metadata *md, struct nd_str key, struct nd_str *ret_value);

/* How many entries; and one of them, borrowed, `i` below that. `md` NULL is an empty list. */
size_t nd_metadata_count(const struct nd_metadata *md);
void nd_metadata_at(const struct nd_metadata *md, size_t i, struct nd_str *ret_key,
                    struct nd_str *ret_value);

#endif
