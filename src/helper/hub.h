#ifndef HELPER_HUB_H
#define HELPER_HUB_H

/*
 * Where people attach: a socket, sessions, the spools of both outputs, standard input. The protocol
 * is wire/frame.h. Nothing allocates; nothing here waits.
 */

#include <poll.h>

#include "helper/limits.h"
#include "wire/frame.h"

#include "spool.h"

#define HUB_POLL_MAX (ND_HELPER_SESSIONS_MAX + 2u)

enum session_state {
    SESSION_FREE = 0,
    SESSION_NEW,      /* a connection that did not say HELLO yet */
    SESSION_ATTACHED, /* with a connection */
    SESSION_AWAY,     /* its connection broke; held for a while */
    SESSION_LEAVING,  /* gone for good, but input of it is still to be written */
};

/* One who is attached, or was a moment ago. */
struct session {
    enum session_state state;
    uint8_t name[ND_WIRE_SESSION];
    int fd;         /* -1: none */
    bool is_full;   /* the socket took no more: wait until it does */
    bool greets;    /* WELCOME is to be sent, */
    bool resumed;   /* to a session that was known */
    unsigned wants; /* of enum nd_wire_hello_flag */
    int64_t hold_ns, patience_ns;
    int64_t until_ns; /* NEW: of the greeting; AWAY: of the hold */
    struct {
        uint64_t sent, acked;
        uint64_t mark;    /* acknowledging up to here is worth patience */
        int64_t moved_ns; /* since when it is waited for */
        bool is_renewed;  /* by coming back, which counts once until it moves */
        bool is_behind;   /* its patience is over: does not count until it has caught up */
        bool told_end;
    } out[ND_WIRE_STREAMS];

    /* Input: offsets of what has come, was written, and is known to be written. */
    uint64_t received, taken, told;
    bool input_ends, told_closed;
    size_t pending_at, pending_len;
    char *pending; /* ND_WIRE_INPUT_WINDOW bytes, apart, so that the table is small */
};

struct hub {
    int folder;         /* O_PATH; -1: nobody can attach */
    int listener;       /* -1: likewise */
    uint64_t inode;     /* of the socket's file */
    int input;          /* the FIFO's writing end; -1: none, or closed */
    bool has_input;     /* there was one */
    bool input_is_full; /* wait until it takes more */
    bool is_terminal;
    bool exited;         /* a client said so, */
    bool never_started;  /* and that there is nothing to wait for */
    unsigned next_input; /* whose turn it is */
    struct spool spools[ND_WIRE_STREAMS];
    struct session sessions[ND_HELPER_SESSIONS_MAX];
};

/*
 * Listen in `folder`, which is made when it is missing, and take its FIFO "stdin" if there is one.
 * What fails leaves a hub to which nobody can attach, because the container must run all the same.
 */
void hub_open(struct hub *h, const char *folder, bool is_terminal);

/* Stop listening: the file goes, unless another helper has put its own in the place. */
void hub_close(struct hub *h);

/* What to wait for, at most HUB_POLL_MAX. */
size_t hub_poll(const struct hub *h, struct pollfd *ret);

/* Do what the wait found. */
void hub_turn(struct hub *h, const struct pollfd *fds, size_t n, int64_t now_ns);

/* Send what can be sent, and forget who is forgotten. */
void hub_send(struct hub *h, int64_t now_ns);

/* How long to wait at most before the next turn; INT64_MAX: nothing is due. */
int64_t hub_wait_ns(const struct hub *h, int64_t now_ns);

/* How many bytes of an output may be read now: 0 while somebody holds it up. */
size_t hub_room(const struct hub *h, enum nd_wire_stream stream);

/* Output that was read, and its end. */
void hub_put(struct hub *h, enum nd_wire_stream stream, struct nd_str bytes, int64_t now_ns);
void hub_end(struct hub *h, enum nd_wire_stream stream);

/* Whether somebody may still have something to get, and whether one of those is connected. */
bool hub_is_needed(const struct hub *h);
bool hub_has_company(const struct hub *h);

/* Whether the socket can still be found: its folder was not removed, nor its file replaced. */
bool hub_is_there(const struct hub *h);

/* Whether another helper has put its own in the place: nobody comes back to us. */
bool hub_is_replaced(const struct hub *h);

/*
 * Then who is away is let go, and who is there has a moment to go on reading before it is passed
 * over.
 */
void hub_let_go(struct hub *h, int64_t now_ns);

#endif
