#ifndef SERVICES_SESSION_PRIV_H
#define SERVICES_SESSION_PRIV_H

/*
 * A conversation about one process: Start, Run, Attach and Exec, and what else runs an engine's
 * long function for a client who may say something meanwhile. The messages of each are of types of
 * their own; a session_kind knows them.
 */

#include "container/attach.h"
#include "fiber/group.h"
#include "fiber/sync.h"

#include "operation_priv.h"

/* What the client is told; one of the four. */
struct told {
    const char *id; /* it runs now */
    char *const *warnings;
    size_t n_warnings;

    Pb__Output *output;
    Pb__StreamEvent *event;
    Pb__ExitStatus *exit; /* it has ended; comes last */
};

/* What the client says after its first message; neither: it says no more. */
struct heard {
    const char *signal;
    const Pb__StreamControl *control;
};

struct session;

struct session_kind {
    /* Receive the first message and leave a copy of its options in the session. */
    struct nd_error *(*open)(struct session *s);
    /* Receive the next one. Valid until the next call. */
    struct nd_error *(*next)(struct session *s, struct heard *ret);
    /* The engine's function. */
    struct nd_error *(*engine)(struct session *s, const struct nd_container_feed *feed);
    struct nd_error *(*send)(struct session *s, const struct told *told);
    /* After the last message, before the end of the stream; may be NULL. */
    void (*after)(struct session *s);
    bool is_command; /* signals are for a command in the container */

    /*
     * For those with a request id, else NULL: the id, and what a repeated request must be like, in
     * the call's arena; whether the client is attached, and how (NULL: by the defaults).
     */
    const void *(*request)(const struct session *s, const char **ret_id);
    bool (*is_attached)(const struct session *s, const Pb__StreamOptions **ret);
};

struct session {
    const struct session_kind *kind;
    struct nd_call *call;
    struct nd_containers *containers;
    const char *ns;
    const void *options; /* of the first message; the call's */

    struct nd_group *group;
    char *container; /* id, or that of a command, once it runs; in the call's arena */
    struct nd_attachment *attachment;
    bool is_alone;     /* there is no attachment, or no longer */
    bool was_attached; /* there was one */
    bool has_ended;    /* the client was told so */
    struct nd_cond changed;
    bool done; /* the engine has finished: the reader ends without an error */

    struct nd_request request;
    Pb__RunResult result; /* what is remembered of it */
};

/* From the first message to the last. Context: fiber. */
struct nd_error *nd_session_hold(struct nd_call *call,
                                 const struct session_kind *kind) ND_CHECK_RESULT;

/*
 * The engine's function as a request that is done once (session_request.c): now, or what came of it
 * before. From within it: what runs now, and at the end how that ended, are remembered before they
 * are told.
 */
struct nd_error *nd_session_run(struct session *s,
                                const struct nd_container_feed *feed) ND_CHECK_RESULT;
struct nd_error *
nd_session_note_started(struct session *s,
                        const struct nd_container_started *started) ND_CHECK_RESULT;
void nd_session_note_exit(struct session *s, Pb__ExitStatus *exit);

/* Keep the options of the first message: the next message takes its place. */
struct nd_error *nd_session_keep(struct session *s, const void *options) ND_CHECK_RESULT;

/* What may follow the first message did not. */
struct nd_error *nd_session_unexpected(void) ND_NEW_ERROR;

#endif
