#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

/*
 * What a helper and those who attach to it say to each other over the helper's socket, a Unix
 * socket of type SEQPACKET: one message of the socket is one frame, so that nothing is ever half
 * sent, and a peer that sends nonsense is noticed at once. Only processes of root reach the socket
 * (its folder is 0700).
 *
 *   client                                    helper
 *     HELLO  session, from where, policy  ──▶
 *                                         ◀── WELCOME  what there is, and from where it goes on
 *                                         ◀── DATA stdout @0 ...  DATA stderr @0 ...
 *     ACK stdout @65536                   ──▶
 *     INPUT @0 "ls\n"                     ──▶
 *                                         ◀── TAKEN @3
 *     INPUT_END @3                        ──▶
 *                                         ◀── INPUT_CLOSED
 *                                         ◀── END stdout @n, END stderr @m
 *     BYE                                 ──▶
 *
 * Every byte of an output has an offset, counted from the start of the process; every byte of input
 * one that is counted from the start of the session. A session is 16 bytes that its client chose.
 * It outlives its connection (but for one of zeros): for `hold_ms` after a connection broke, the
 * helper keeps what was not acknowledged, and a HELLO with the same session goes on where it says,
 * under the policy of the first one. BYE ends a session, and so does the end of the hold; what was
 * sent of input before is still written to the process. A helper outlives its process until all
 * sessions that want output have ended: who has everything says BYE when whoever is behind it does
 * not need to come back.
 *
 * A client that does not acknowledge holds the process up, because it is not read any further: for
 * as long as `patience_ms`. After that it does not count until it has caught up, and what it missed
 * is told as GAP. It never holds up another client for longer than that, and nobody waits for one
 * that is gone and whose hold is over.
 *
 * Input: a client sends at most ND_WIRE_INPUT_WINDOW bytes behind what was TAKEN, that is written
 * to the process. Input of several sessions is mixed in the order of its arrival. INPUT_END, from
 * whomever, closes the process's standard input for all.
 *
 * A frame is a header of 16 bytes, integers in little-endian order, and a payload:
 *
 *      0        2        3        4                8                               16
 *      | zero   | stream | type   | payload length |            offset             | payload ...
 *
 * Context of everything here: any.
 */

#include "base/defs.h"
#include "base/str.h"

#define ND_WIRE_VERSION       1u
#define ND_WIRE_HEADER        16u
#define ND_WIRE_SESSION       16u                 /* bytes of a session's name */
#define ND_WIRE_INPUT_WINDOW  ((size_t)16 * 1024) /* also the largest payload of INPUT */
#define ND_WIRE_DATA_MAX      ((size_t)32 * 1024) /* payload of DATA */
#define ND_WIRE_HELLO_PAYLOAD 48u
#define ND_WIRE_FRAME_MAX     (ND_WIRE_HEADER + ND_WIRE_DATA_MAX)

/* As HELLO's `from`: what is written from now on. */
#define ND_WIRE_NOW      UINT64_MAX
/* As HELLO's `patience_ms`: for ever. */
#define ND_WIRE_FOR_EVER UINT32_MAX

enum nd_wire_type {
    /* From the client. */
    ND_WIRE_HELLO = 1, /* payload: struct nd_wire_hello */
    ND_WIRE_ACK,       /* stream, offset: everything before it has arrived */
    ND_WIRE_INPUT,     /* offset, bytes */
    ND_WIRE_INPUT_END, /* offset: how much there was in all */
    ND_WIRE_BYE,       /* forget the session */
    ND_WIRE_EXITED,    /* the process has ended; offset 1: it was never started */

    /* From the helper. */
    ND_WIRE_WELCOME = 64, /* payload: struct nd_wire_welcome */
    ND_WIRE_DATA,         /* stream, offset of the first byte, bytes */
    ND_WIRE_GAP,          /* stream, offset where it goes on; bytes up to there are lost */
    ND_WIRE_END,          /* stream, offset: all that there is */
    ND_WIRE_TAKEN,        /* offset: input before it was written to the process */
    ND_WIRE_INPUT_CLOSED, /* the process gets no more input */
    ND_WIRE_REFUSED,      /* offset: an enum nd_wire_refusal; the connection ends */
};

enum nd_wire_stream {
    ND_WIRE_STDOUT = 0,
    ND_WIRE_STDERR = 1,
    ND_WIRE_STREAMS = 2,
};

enum nd_wire_refusal {
    ND_WIRE_BAD_VERSION = 1,
    ND_WIRE_TOO_MANY,  /* sessions or connections */
    ND_WIRE_BAD_FRAME, /* not of this protocol, or out of place */
    /* A session is to go on behind what was written; it stays as it was. */
    ND_WIRE_STDOUT_BEYOND,
    ND_WIRE_STDERR_BEYOND,
};

struct nd_wire_header {
    enum nd_wire_type type;
    enum nd_wire_stream stream;
    uint32_t len; /* of the payload */
    uint64_t offset;
};

enum nd_wire_hello_flag {
    ND_WIRE_WANTS_STDOUT = 1,
    ND_WIRE_WANTS_STDERR = 2,
};

struct nd_wire_hello {
    uint32_t version;
    uint32_t flags; /* of enum nd_wire_hello_flag */
    uint8_t session[ND_WIRE_SESSION];
    uint32_t hold_ms, patience_ms;
    uint64_t from[ND_WIRE_STREAMS];
};

enum nd_wire_welcome_flag {
    ND_WIRE_HAS_INPUT = 1,       /* there is a standard input */
    ND_WIRE_INPUT_IS_CLOSED = 2, /* but it was closed */
    ND_WIRE_IS_TERMINAL = 4,     /* all output is on stdout */
    ND_WIRE_RESUMED = 8,         /* the session was known */
};

struct nd_wire_welcome {
    uint32_t version;
    uint32_t flags; /* of enum nd_wire_welcome_flag */
    uint64_t taken; /* of the session's input */
    uint64_t from[ND_WIRE_STREAMS];
};

/* Write a header to `dst`. */
void nd_wire_put_header(char dst[ND_WIRE_HEADER], const struct nd_wire_header *header);

/*
 * Read the header of the frame that `frame` is, header and payload. False when it is none: unknown
 * type or stream, bytes that must be zero, a payload whose length is not that of the type or of the
 * frame.
 */
bool nd_wire_get_header(struct nd_str frame, struct nd_wire_header *ret);

/* The whole frame; returns its length. `dst` has room for header and ND_WIRE_HELLO_PAYLOAD. */
size_t nd_wire_put_hello(char *dst, const struct nd_wire_hello *hello);
size_t nd_wire_put_welcome(char *dst, const struct nd_wire_welcome *welcome);

/* From the payload of a frame whose header was read. */
void nd_wire_get_hello(struct nd_str frame, struct nd_wire_hello *ret);
void nd_wire_get_welcome(struct nd_str frame, struct nd_wire_welcome *ret);

#endif
