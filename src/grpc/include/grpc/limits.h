#ifndef GRPC_LIMITS_H
#define GRPC_LIMITS_H

/* Limits and defaults of this room. Follows: contracts/grpc-wire.md 1.13, 2.2, 2.9. */

#define ND_GRPC_MAX_MESSAGE_BYTES      (4u << 20) /* received */
#define ND_GRPC_MAX_STREAMS            256u       /* per connection, running handlers count too */
#define ND_GRPC_MAX_CONNECTIONS        10000u
#define ND_GRPC_UNIX_CONNECTIONS       64u /* beyond it, on Unix sockets: who administers gets in */
#define ND_GRPC_MAX_REFUSALS           64u /* connections beyond it that are told so */
#define ND_GRPC_MAX_HANDSHAKES         512u /* of a port, at once; the others wait for their accept */
#define ND_GRPC_HANDSHAKE_PATIENCE_NS  (2 * ND_SECOND) /* when others wait */
#define ND_GRPC_MAX_CALLS              16000u          /* handlers running at once */
#define ND_GRPC_MAX_HEADER_LIST        16384u /* name + value + 32 over a received header block */
#define ND_GRPC_CLIENT_MAX_HEADER_LIST (64u << 10)   /* the same for responses: error details */
#define ND_GRPC_CLIENT_STREAM_WINDOW   (1024u << 10) /* received and not yet taken, per call */
#define ND_GRPC_MAX_SEND_HEADERS \
    (64u << 10) /* the same for what we send: HTTP/2 libraries stop there */
#define ND_GRPC_MAX_METADATA          (48u << 10) /* of it, what a handler adds */
#define ND_GRPC_MAX_LISTED_VALUES     512u /* of metadata: a list of them may have a byte for each */
#define ND_GRPC_MAX_ATTEMPTS          5u   /* of a call with a retry policy */
#define ND_GRPC_RETRY_BYTES           (256u << 10) /* sent on a stream, kept for another attempt */
#define ND_GRPC_MAX_FOREIGN_BODY      1024u /* of a response that is not gRPC: quoted in the error */
/* Of a connection's requests that have come and were not taken: more than the windows of all its streams, or
 * as many incomplete ones of 300 KB as there may be streams, with some to spare. */
#define ND_GRPC_MAX_PENDING_BYTES     (96u << 20)
#define ND_GRPC_MAX_PENDING_BYTES_ALL (256u << 20) /* the same, of all connections */
#define ND_GRPC_MAX_HELD_BYTES \
    (256u << 20) /* of a connection: requests in work, answers not read */
#define ND_GRPC_MAX_HELD_BYTES_ALL   (512u << 20) /* the same, of all connections */
#define ND_GRPC_SMALL_REQUEST_BYTES  (64u << 10)  /* taken all the same, and so are small answers */
#define ND_GRPC_DRAIN_NS             (10 * ND_MINUTE) /* a finished call whose client takes nothing any more */
#define ND_GRPC_MAX_STATUS_MESSAGE   1024u            /* bytes of grpc-message, encoded */
#define ND_GRPC_MAX_DETAILS_BYTES    4096u
#define ND_GRPC_MAX_HEALTH_LIST      100u /* services that Health.List tells */
#define ND_GRPC_MAX_DESCRIPTOR_DEPTH 32u  /* messages within messages, for reflection */
#define ND_GRPC_BACKOFF_INITIAL_NS   (50 * ND_MILLISECOND)
#define ND_GRPC_BACKOFF_MAX_NS       (1 * ND_SECOND)
#define ND_GRPC_CONNECT_TIMEOUT_NS   (20 * ND_SECOND)
#define ND_GRPC_SEND_QUEUE_BYTES     (64u << 10) /* a writer beyond it waits */

#define ND_GRPC_TUNNEL_CHUNK \
    (32u << 10) /* bytes of a stream in one message of the call around it */
#define ND_GRPC_TUNNEL_LINGER_NS \
    (5 * ND_SECOND) /* from the close of a stream to the end of the call */

#endif
