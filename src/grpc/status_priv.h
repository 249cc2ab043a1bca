#ifndef GRPC_STATUS_PRIV_H
#define GRPC_STATUS_PRIV_H

/*
 * The end of a call on the wire, and as an nd_error. Context of everything here: any.
 * Follows: contracts/grpc-wire.md 1.6 to 1.10.
 */

#include "base/arena.h"
#include "net/session.h"

#define ND_STATUS_HEADERS 3 /* at most: grpc-status, grpc-message, grpc-status-details-bin */

/*
 * Write status and message of `err` (NULL: OK), and `details` unless empty, as header fields to
 * `dst`. Texts go to the arena. Returns how many fields were written.
 */
size_t nd_status_to_headers(const struct nd_error *err, struct nd_str details,
                            struct nd_arena *arena, struct nd_header dst[ND_STATUS_HEADERS]);

/* The value of grpc-status; ND_UNKNOWN for what is none. */
enum nd_code nd_status_parse(struct nd_str value);

/* What an HTTP status without grpc-status means. */
enum nd_code nd_status_of_http(unsigned http_status);

/* What a reset stream means to its client. */
enum nd_code nd_status_of_reset(uint32_t h2_code);

#endif
