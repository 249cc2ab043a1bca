#ifndef REMOTE_ATTACH_SESSION_H
#define REMOTE_ATTACH_SESSION_H

/*
 * One connection with a process while it lasts: what attach.c and attach_input.c share. Context:
 * fiber.
 */

#include "base/buf.h"
#include "fiber/group.h"
#include "fiber/sync.h"

#include "attach.h"

#define ND_ATTACH_INPUT_MAX ((size_t)256 * 1024) /* read and not taken yet: the window of the API */

struct session {
    struct nd_attach *attach;
    const struct nd_attach_kind *kind; /* of the call that goes on */
    struct nd_client_call *call;
    struct nd_mutex talking;   /* one message at a time, all on one call */
    struct nd_fiber *receiver; /* valid until it is done */
    bool receiver_done;
    struct nd_group *beside; /* signals and input */
    struct nd_error *err;    /* the receiver's */
    unsigned interrupts;
    int64_t resume_until_ns; /* 0: the connection works */
    bool told_of_break;
    bool is_cut;           /* what is said now is said to nobody: */
    unsigned owed_signals; /* a bit for each row of attach.c's table */
    bool owes_size;        /* of our terminal */

    char *id;         /* of the container, or of the command in it */
    char *name;       /* of the session; NULL: there is none */
    bool is_attached; /* and was told so */
    bool tty;
    bool is_raw;    /* our terminal's keys are the process's */
    uint64_t at[2]; /* offsets of standard output and error that were written */

    bool reads_input; /* the fibers for it run */
    bool may_send;    /* the call has said from where on it wants input */
    struct nd_buf kept;
    uint64_t kept_from, sent; /* offsets: of the first byte in `kept`, of the next to send */
    bool input_over;          /* nothing more will be read */
    bool end_sent;
    bool input_closed; /* the process takes no more */
    struct nd_cond changed;
};

/* Say something to the daemon. Fails: ND_ABORTED, ND_UNAVAILABLE when the call is over. */
struct nd_error *nd_attach_say(struct session *session,
                               const union nd_attach_message *message) ND_CHECK_RESULT;
struct nd_error *nd_attach_control(struct session *session,
                                   Pb__StreamControl *control) ND_CHECK_RESULT;

/* It is over for us: cancels the receiver, and with it the call. */
void nd_attach_stop(struct session *session);

/* A session began or goes on: send input from where it says. */
struct nd_error *nd_attach_input_begin(struct session *session,
                                       const Pb__StreamSession *told) ND_CHECK_RESULT;

/* Input has arrived. */
void nd_attach_input_taken(struct session *session, const Pb__InputTaken *taken);

#endif
