#ifndef GRPC_TUNNEL_H
#define GRPC_TUNNEL_H

/*
 * A byte stream inside a call: what it carries are the bytes of the messages of a bidi call, in
 * either direction and cut anywhere. Above it goes whatever goes above a socket: a server
 * (nd_server_adopt()), a channel (nd_tunnel_dial()), TLS. The stream may be used at either end of
 * the call, in any role.
 *
 *     ND_AUTO(nd_tunnel_endp) struct nd_tunnel *tunnel = NULL;
 *     struct nd_stream *stream;
 *
 *     ND_TRY(nd_tunnel_begin(call, &carrier, &tunnel, &stream));
 *     nd_server_adopt(inner, stream, NULL);
 *     return nd_tunnel_wait(tunnel);
 *
 * A slow reader of the stream stops the call and with it the other side; a writer waits for the
 * call. What is written leaves in messages of at most ND_GRPC_TUNNEL_CHUNK bytes. Shutting the
 * stream down is the call's half-close where there is one: at the server's end of the call the
 * other side learns of it when the handler returns. The end of the call is the end of the stream,
 * its failure the stream's error. Follows: contracts/grpc-wire.md 9.7.
 *
 * Context of everything here: fiber.
 */

#include "fiber/stream.h"
#include "grpc/call.h"
#include "grpc/channel.h"

struct nd_tunnel;

/* How the bytes lie in the messages of the call. Static. */
struct nd_tunnel_carrier {
    /* The bytes of a received message, borrowed from it. An error ends the tunnel. */
    struct nd_error *(*get)(const void *message, struct nd_str *ret);
    /* Let an initialised message carry `bytes`, which live until it was sent. */
    void (*put)(void *message, struct nd_str bytes);
};

/*
 * Make the stream over a call that the caller serves. From here on nobody else reads or writes the
 * call until nd_tunnel_end().
 *
 * Owns:    `*ret` is the caller's, in this fiber: nd_tunnel_end(). `*ret_stream` is the caller's
 *          too, may be given away, and may be closed before or after that.
 * Fails:   ND_CANCELLED, ND_DEADLINE, ND_EXHAUSTED (fibers).
 * Context: fiber.
 */
struct nd_error *nd_tunnel_begin(struct nd_call *call, const struct nd_tunnel_carrier *carrier,
                                 struct nd_tunnel **ret,
                                 struct nd_stream **ret_stream) ND_CHECK_RESULT;

/* The same over a call that the caller makes, which must outlive the tunnel. */
struct nd_error *nd_tunnel_begin_client(struct nd_client_call *call,
                                        const struct nd_tunnel_carrier *carrier,
                                        struct nd_tunnel **ret,
                                        struct nd_stream **ret_stream) ND_CHECK_RESULT;

/*
 * Wait until the stream was closed (or has ended both ways) and the call is over, or has failed. A
 * client's call is half-closed when the stream is closed, and then has ND_GRPC_TUNNEL_LINGER_NS to
 * end. Fails: the status of the call; what the carrier's `get` said; ND_CANCELLED, ND_DEADLINE.
 * Context: fiber, the one that began it.
 */
struct nd_error *nd_tunnel_wait(struct nd_tunnel *tunnel) ND_CHECK_RESULT;

/*
 * Let go of the call. A stream that is still open fails with ND_UNAVAILABLE. NULL is fine. Context:
 * fiber.
 */
void nd_tunnel_end(struct nd_tunnel *tunnel);
void nd_tunnel_endp(struct nd_tunnel **tunnel);

/*
 * The member `dial` of nd_channel_options for a channel through a tunnel: takes the stream at the
 * address `stream` (struct nd_stream **) the first time; afterwards a connection cannot be had.
 * Fails: ND_UNAVAILABLE. Context: fiber.
 */
struct nd_error *nd_tunnel_dial(void *stream, struct nd_stream **ret) ND_CHECK_RESULT;

#endif
