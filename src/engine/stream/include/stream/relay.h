#ifndef STREAM_RELAY_H
#define STREAM_RELAY_H

/*
 * The client's side of a helper's socket: one session with the standard streams of one process. The
 * protocol is wire/frame.h. One fiber may receive while others send.
 */

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "fiber/fiber.h"
#include "wire/frame.h"

struct nd_relay;

/* A helper answers at once, unless somebody has stopped it. */
#define ND_RELAY_ANSWER_NS (5 * ND_SECOND)

struct nd_relay_options {
    const char *folder; /* in which the socket is */
    uint8_t session[ND_WIRE_SESSION];
    bool stdout_wanted, stderr_wanted;
    uint64_t from[ND_WIRE_STREAMS]; /* offsets, or ND_WIRE_NOW */
    uint32_t hold_ms, patience_ms;  /* as in HELLO */
};

/*
 * Connect and greet.
 * Fails: ND_NOT_FOUND (nobody listens there), ND_EXHAUSTED (too many are attached), ND_INTERNAL (the
 *        helper is of another version), ND_INVALID about "stdout_offset" or "stderr_offset" (a session that
 *        is known is to go on behind what was written), ND_UNAVAILABLE (no answer within
 *        ND_RELAY_ANSWER_NS). Context: fiber.
 */
struct nd_error *nd_relay_open(const struct nd_relay_options *options,
                               struct nd_relay **ret) ND_CHECK_RESULT;

/* What the helper said at the beginning. */
const struct nd_wire_welcome *nd_relay_welcome(const struct nd_relay *relay);

/* What the helper says: a frame of its types, without WELCOME and REFUSED. */
struct nd_relay_event {
    enum nd_wire_type type;
    enum nd_wire_stream stream;
    uint64_t offset;
    struct nd_str bytes; /* DATA; borrowed until the next call */
};

/*
 * The next event. Fails: ND_UNAVAILABLE (the helper has gone), ND_CANCELLED, ND_DEADLINE.
 * Context: fiber.
 */
struct nd_error *nd_relay_next(struct nd_relay *relay, struct nd_relay_event *ret) ND_CHECK_RESULT;

/* Send a frame; at most ND_WIRE_INPUT_WINDOW bytes. Fails: as nd_relay_next(). Context: fiber. */
struct nd_error *nd_relay_send(struct nd_relay *relay, enum nd_wire_type type,
                               enum nd_wire_stream stream, uint64_t offset,
                               struct nd_str bytes) ND_CHECK_RESULT;

/* Close the connection: without a BYE before, the session is held. NULL is fine. */
void nd_relay_close(struct nd_relay *relay);
void nd_relay_closep(struct nd_relay **relay);

#endif
