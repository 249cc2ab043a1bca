#ifndef TEST_PEER_H
#define TEST_PEER_H

/*
 * One who attaches to a running helper, frame by frame. Every function fails the test when it has
 * to.
 */

#include "base/buf.h"
#include "wire/frame.h"

#include "logger_run.h"

struct peer {
    int fd;
    struct nd_wire_welcome welcome;
    struct nd_buf out[ND_WIRE_STREAMS]; /* what came */
    uint64_t at[ND_WIRE_STREAMS];       /* offset of the next byte */
    uint64_t lost[ND_WIRE_STREAMS];     /* in gaps */
    bool ended[ND_WIRE_STREAMS];
    uint64_t taken; /* of our input */
    bool input_closed;
    unsigned refused; /* an enum nd_wire_refusal */
    bool acks;        /* acknowledge whatever comes */
};

struct hello {
    uint8_t session; /* all of its bytes */
    uint64_t from;   /* of stdout; of stderr, too, when it is ND_WIRE_NOW */
    uint64_t from_stderr;
    uint32_t hold_ms, patience_ms;
    bool deaf; /* wants no output */
};

/* The folder's socket, connected; -1 when nobody listens. */
int connect_to(const char *folder);

/* Attach and wait for WELCOME; or for a refusal. */
void attach(struct peer *p, const char *folder, struct hello hello);
void attach_in_vain(struct peer *p, const char *folder, struct hello hello);

/* One frame; false at the end of the connection. */
bool next_frame(struct peer *p);

/* Until both outputs have ended, or the connection. */
void read_to_end(struct peer *p);

/* Until an output has so many bytes. */
void read_until(struct peer *p, enum nd_wire_stream stream, size_t len);

void send_frame(struct peer *p, enum nd_wire_type type, enum nd_wire_stream stream, uint64_t offset,
                struct nd_str payload);

/* All of it, as the window allows. */
void send_input(struct peer *p, uint64_t offset, struct nd_str bytes);

/* Until nobody listens in the folder any more. */
void wait_gone(const char *folder);

/* Close the connection; what came goes. */
void detach(struct peer *p);

#endif
