#ifndef CONTAINER_ATTACHMENT_PRIV_H
#define CONTAINER_ATTACHMENT_PRIV_H

/* The engine's side of being attached. Context of all: fiber. */

#include "base/buf.h"
#include "container/attach.h"
#include "container/limits.h"
#include "fiber/group.h"
#include "stream/relay.h"

#include "task_io_priv.h"

/*
 * In the caller's storage:
 *     ND_AUTO(nd_attachment_fini) struct nd_attachment a = {...};
 * and opened, begun, pumped, waited with, in this order.
 */
struct nd_attachment {
    /* Set by the caller; all borrowed. */
    struct process_name process;
    const struct nd_container_feed *feed;
    const Pb__StreamOptions *options; /* NULL: the defaults */
    bool takes_input;
    uint32_t hold_ms, patience_ms;
    const uint8_t *name; /* of a new session; NULL: a random one */

    struct nd_relay *relay; /* NULL until opened */
    uint8_t session[ND_WIRE_SESSION];
    uint64_t at[ND_WIRE_STREAMS];    /* of the next byte for the client */
    uint64_t acked[ND_WIRE_STREAMS]; /* by the client, where it acknowledges */
    bool ended[ND_WIRE_STREAMS];
    bool is_over;  /* the client was told everything: there is nothing to come back for */
    bool is_away;  /* the helper has gone */
    bool detached; /* by the client's wish */
    bool closing;
    unsigned users;          /* fibers in nd_attachment_control() */
    struct nd_fiber *waiter; /* in nd_attachment_wait() */
    struct nd_group *group;  /* of the fibers beside the pump */
    struct nd_error *err;    /* of one of them */

    struct nd_buf input;     /* came from the client, to be sent */
    uint64_t sent, received; /* of input: to the helper, from the client */
    uint64_t taken;
    bool input_ends, end_sent, input_closed;
    struct nd_cond changed;

    struct nd_mutex feeding; /* one message to the client at a time */
    int64_t fed_ns;          /* when the last one went */
};

/*
 * Connect to the helper in `folder`. `from` says where outputs begin unless the options, which have been
 * checked (stream_options_priv.h), name a session.
 * Fails: ND_NOT_FOUND (no helper; reason SESSION_NOT_FOUND when a session was asked for), ND_EXHAUSTED,
 *        ND_INVALID about an offset of "stream", ND_UNAVAILABLE (it does not answer).
 */
struct nd_error *nd_attachment_open(struct nd_attachment *a, const char *folder,
                                    uint64_t from) ND_CHECK_RESULT;

/* The process runs and the client knows: tell of the session, take what the client says. */
struct nd_error *nd_attachment_begin(struct nd_attachment *a) ND_CHECK_RESULT;

/* Everything to the client, until all output has ended and has arrived, or it detached. */
struct nd_error *nd_attachment_pump(struct nd_attachment *a) ND_CHECK_RESULT;

/*
 * Wait for something else beside what the client says, which may be that it leaves: a success, too,
 * and a->detached says which. Fails: as `fn`, or because something beside it has failed.
 */
struct nd_error *nd_attachment_wait(struct nd_attachment *a, nd_fiber_fn *fn,
                                    void *arg) ND_CHECK_RESULT;

/* How long a session is kept whose client is gone. Context: any. */
int64_t nd_session_hold_ns(const struct nd_containers *cs);
uint32_t nd_session_hold_ms(const struct nd_containers *cs);

/* The name of a session as clients write it; see nd_session_parse(). Context: any. */
#define ND_SESSION_TEXT_SIZE (2 * ND_WIRE_SESSION + 1)
void nd_session_format(const uint8_t session[ND_WIRE_SESSION], char ret[ND_SESSION_TEXT_SIZE]);

/* Fails: ND_NOT_FOUND, reason SESSION_NOT_FOUND. Context: any. */
struct nd_error *nd_session_gone(void) ND_NEW_ERROR;

/* Whether a session is to go on. Context: any. */
bool nd_session_is_named(const Pb__StreamOptions *options);

/*
 * The process has ended and all output has arrived: tell the client how, as the last it is told. A
 * client that this does not reach may come back for it: its session is held. One that was sent it
 * and cut off in that moment finds the exit code remembered for a while.
 */
struct nd_error *nd_attachment_end(struct nd_attachment *a, const struct task_exit *exit,
                                   struct nd_arena *arena) ND_CHECK_RESULT;

/*
 * The exit code of such a session, for one to whom everything else has arrived. False: none is
 * known.
 */
bool nd_session_find_finished(struct nd_containers *cs, const Pb__StreamOptions *options,
                              struct task_exit *ret);

/* Let go: a session that has not ended is held for a while. */
void nd_attachment_fini(struct nd_attachment *a);

#endif
