#ifndef GRPC_CALL_H
#define GRPC_CALL_H

/*
 * A call as its handler sees it. The handler runs in a fiber of its own; the fiber's deadline is
 * the client's, and it is cancelled when the client goes away. Messages live in the call's arena: a
 * request until the handler has returned, or, on a stream, until the next nd_call_recv().
 *
 * Context of everything here: fiber, the handler's or one in its groups. Only what says that it
 * waits suspends. One fiber may receive while another one sends.
 */

#include "base/arena.h"
#include "fiber/stream.h"
#include "grpc/compression.h"
#include "grpc/metadata.h"
#include "grpc/method.h"

struct nd_call;

/* Who calls, as far as the transport knows. All borrowed; texts NULL when absent. */
struct nd_identity {
    const struct nd_peer *peer;
    bool tls;
    const char *cert_subject; /* of the verified client certificate: "CN=..." */
    const char *cert_common_name;
    const char *cert_spiffe; /* its only URI SAN, when that is a spiffe:// one */
};

/* Which method, and who calls it; both live as long as the call. */
const struct nd_method_desc *nd_call_method(const struct nd_call *call);
const struct nd_identity *nd_call_identity(const struct nd_call *call);

/* What the client sent with the call; borrowed, lives as long as the call. */
const struct nd_metadata *nd_call_metadata(const struct nd_call *call);

/* The `user` of nd_server_add(). */
void *nd_call_user(const struct nd_call *call);

/* Freed when the call has ended. On streams: what must outlive a message. */
struct nd_arena *nd_call_arena(struct nd_call *call);

/*
 * The next message of a client stream or bidi call; *ret is NULL at the client's half-close. It lives
 * until the next call of this function.
 * Fails: ND_CANCELLED (the client is gone), ND_DEADLINE, ND_EXHAUSTED (message over the limit),
 *        ND_INTERNAL (framing, compression), ND_INVALID (does not parse, or bad text inside; names the field).
 * Context: fiber.
 */
struct nd_error *nd_call_recv(struct nd_call *call, void *ret_message) ND_CHECK_RESULT;

/*
 * Send a message of a server stream or bidi call. Encoded at once, the message stays the caller's.
 * Waits while the client does not read (backpressure).
 * Fails: ND_CANCELLED, ND_DEADLINE. Context: fiber.
 */
struct nd_error *nd_call_send(struct nd_call *call, const void *message) ND_CHECK_RESULT;

/*
 * Wait until all that was sent is with the kernel: from then on it arrives whatever becomes of this
 * process. Fails: ND_CANCELLED, ND_DEADLINE. Context: fiber.
 */
struct nd_error *nd_call_flush(struct nd_call *call) ND_CHECK_RESULT;

/*
 * Initial metadata (before the first message) and trailing metadata.
 * Fails: as nd_metadata_add(); ND_EXHAUSTED when the list gets larger than ND_GRPC_MAX_METADATA or, for
 *        initial metadata, than the client accepts; ND_PRECONDITION for initial metadata that has left.
 */
struct nd_error *nd_call_add_header(struct nd_call *call, struct nd_str key,
                                    struct nd_str value) ND_CHECK_RESULT;
struct nd_error *nd_call_add_trailer(struct nd_call *call, struct nd_str key,
                                     struct nd_str value) ND_CHECK_RESULT;

/*
 * Compress the messages sent from here on, or do not any more. The client is told with the initial
 * metadata: what is asked for the first time after that, or not taken by the client, is without
 * effect. Do not mix secrets with text of somebody else's choice in a message that is compressed:
 * its size tells whether they are alike.
 */
void nd_call_set_compression(struct nd_call *call, enum nd_compression compression);

/* Whether the message received last came compressed: the request, on streams what recv returned. */
bool nd_call_was_compressed(const struct nd_call *call);

/*
 * Send the initial metadata now instead of with the first message. Fails: ND_CANCELLED,
 * ND_DEADLINE.
 */
struct nd_error *nd_call_send_header(struct nd_call *call) ND_CHECK_RESULT;

#endif
