#ifndef NET_TLS_H
#define NET_TLS_H

/*
 * TLS over another byte stream. The result is a byte stream like others: what is written before the
 * handshake is over waits for it; its failure is the reader's on_end. ALPN is h2, for both sides.
 * Follows: contracts/grpc-wire.md 3.3.
 */

#include "fiber/stream_io.h"
#include "net/tls_config.h"

/* The server's side. Owns `lower`; the configuration is referenced. Context: fiber, loop. */
struct nd_stream *nd_tls_accept(struct nd_stream *lower, struct nd_tls_config *config)
    __attribute__((__returns_nonnull__));

/*
 * The client's side; `authority` ("host", "host:port", "[v6]:port") is who the certificate must be
 * for. Owns `lower`. Context: fiber, loop.
 */
struct nd_stream *nd_tls_connect(struct nd_stream *lower, struct nd_tls_config *config,
                                 struct nd_str authority) __attribute__((__returns_nonnull__));

/* The peer's verified certificate. Texts NULL when absent; they live as long as the stream. */
struct nd_tls_peer {
    const char *subject; /* RFC 2253: "CN=client,O=example" */
    const char *common_name;
    const char *spiffe; /* its only URI name, when that is a spiffe:// one */
};

/* NULL: not a TLS stream, or the handshake is not over. */
const struct nd_tls_peer *nd_tls_peer(const struct nd_stream *s);

#endif
