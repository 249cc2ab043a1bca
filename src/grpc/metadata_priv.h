#ifndef GRPC_METADATA_PRIV_H
#define GRPC_METADATA_PRIV_H

/* Metadata in a call's arena, and its way from and to the wire. */

#include "base/arena.h"
#include "grpc/metadata.h"
#include "net/session.h"

struct nd_metadata {
    struct nd_arena *arena; /* of keys and values */
    bool owns_arena;
    struct nd_header *entries; /* in the arena too */
    size_t n, cap;
};

/* An empty list in an arena that the caller keeps. */
void nd_metadata_init(struct nd_metadata *md, struct nd_arena *arena);

/*
 * A field as received: what belongs to gRPC and HTTP is passed over, "-bin" values are split and
 * decoded. False: malformed base64.
 */
bool nd_metadata_receive(struct nd_metadata *md, struct nd_str key, struct nd_str value);

/* As HTTP/2 counts it: see nd_header_list_size(); "-bin" values in base64. */
size_t nd_metadata_size(const struct nd_metadata *md);
size_t nd_metadata_field_size(struct nd_str key, struct nd_str value);

/*
 * Write the list as header fields to `dst`, which has room for nd_metadata_count() of them; new
 * text goes to `arena`. `md` NULL is an empty list. Returns how many were written.
 */
size_t nd_metadata_to_headers(const struct nd_metadata *md, struct nd_arena *arena,
                              struct nd_header *dst);

#endif
