#ifndef NET_LIMITS_H
#define NET_LIMITS_H

/* Limits and defaults of this room. Follows: contracts/grpc-wire.md 2, 3.1, 3.2. */

#define ND_NET_MAX_STREAMS       256u         /* SETTINGS_MAX_CONCURRENT_STREAMS of a server */
#define ND_NET_STREAM_WINDOW     (256u << 10) /* received and not yet consumed, per stream */
#define ND_NET_CONNECTION_WINDOW (4u << 20)
#define ND_NET_MAX_HEADER_LIST   16384u /* sum of name + value + 32 over a header block received */
#define ND_NET_HEADER_LIST_TIMES \
    4u /* over the limit so many times: not answered, the stream is reset */
#define ND_NET_FIELD_OVERHEAD   32u  /* what a field counts besides its bytes */
#define ND_NET_PEER_MAX_STREAMS 100u /* a client's assumption until SETTINGS arrive */

#define ND_NET_HIGH_WATER_BYTES (128u << 10) /* unsent by the byte stream: no more frames */
#define ND_NET_FLUSH_BYTES      (128u << 10) /* frames collected for one write */

#define ND_NET_HANDSHAKE_NS  (20 * ND_SECOND) /* until the peer's SETTINGS, TLS included */
#define ND_NET_DRAIN_PING_NS (5 * ND_SECOND)  /* between the two GOAWAYs, at most */
#define ND_NET_LINGER_NS     (1 * ND_SECOND)  /* read and drop, so that a close is no reset */
#define ND_NET_LINGER_BYTES  (256u << 10)     /* read and dropped at most */
#define ND_NET_LAST_WORDS_NS (5 * ND_SECOND)  /* for the last GOAWAY to leave */

#define ND_NET_KEEPALIVE_NS              (30 * ND_SECOND) /* of a server on TCP: silence before a PING */
#define ND_NET_KEEPALIVE_TIMEOUT_NS      (20 * ND_SECOND) /* from a PING to anything at all */
#define ND_NET_KEEPALIVE_LEAST_NS        (1 * ND_SECOND)  /* whatever is asked for */
#define ND_NET_CLIENT_KEEPALIVE_LEAST_NS (10 * ND_SECOND) /* servers take more for abuse */
#define ND_NET_COARSE_NS                 (1 * ND_SECOND) /* due times are rounded up: one wake-up for many */

#define ND_NET_PING_INTERVAL_NS (10 * ND_SECOND) /* a client's PING earlier is a strike */
#define ND_NET_PING_STRIKES     2u /* one more: GOAWAY ENHANCE_YOUR_CALM, "too_many_pings" */

/* Frames that cost us and carry nothing (empty DATA, PRIORITY, SETTINGS, WINDOW_UPDATE
 * without anything sent meanwhile) and streams reset by the peer at once: a bucket of so many, refilled
 * at the same number per second. An empty bucket is GOAWAY ENHANCE_YOUR_CALM. */
#define ND_NET_IDLE_FRAMES    4000u
#define ND_NET_RAPID_RESETS   1000u
#define ND_NET_RAPID_RESET_NS (5 * ND_MILLISECOND) /* a stream that lived no longer */
#define ND_NET_OWN_RESETS     1000u                /* resets that the peer provokes from us */

#define ND_NET_TLS_MESSAGES 100u /* handshake messages and alerts of a connection, per second */

/* Of a server, what waits for the peer to read when a turn's output has been written, for each stream that may
 * be open, and in any case for the default of them. Beyond it: GOAWAY ENHANCE_YOUR_CALM. */
#define ND_NET_UNSENT_FRAMES  8u          /* of 160 bytes each, and headers: */
#define ND_NET_UNSENT_HEADERS (16u << 10) /* sum of name + value + 32 */

#define ND_NET_ENDED_STREAMS 16u /* whose ids are known, so that more frames for them are errors */

#define ND_NET_FRAME_BLOCK (16u << 10) /* of nghttp2, one per session: see session_mem.c */

#define ND_NET_GOAWAY_TEXT 256u /* debug data of a GOAWAY that is kept */

#endif
