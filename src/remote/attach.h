#ifndef REMOTE_ATTACH_H
#define REMOTE_ATTACH_H

/*
 * A call that connects us with a process: its output comes here, our input, signals and terminal go
 * there, its exit code becomes ours. `run`, `start --attach`, `attach` and `exec` differ only in
 * the messages.
 */

#include "nerdctl/v1/container.pb-c.h"

#include "cli.h"
#include "detach_keys.h"

/* What a message of the daemon says; absent parts are NULL. */
struct nd_attach_event {
    const Pb__Progress *progress;
    const char *id; /* of the container, or of a command in it: it runs now */
    const Pb__Output *output;
    const Pb__StreamEvent *stream;
    const Pb__ExitStatus *exit; /* it has ended; the last message */
    char *const *warnings;
    size_t n_warnings;
};

/* A message of ours, of whichever kind. */
union nd_attach_message {
    ProtobufCMessage base;
    Pb__ContainerServiceRunRequest run;
    Pb__ContainerServiceStartRequest start;
    Pb__ContainerServiceAttachRequest attach;
    Pb__ContainerServiceExecRequest exec;
};

/* The messages of one method (attach_kinds.c). */
struct nd_attach_kind {
    const struct nd_method_desc *method;
    void (*make_signal)(union nd_attach_message *dst, char *signal);
    void (*make_control)(union nd_attach_message *dst, Pb__StreamControl *control);
    void (*read)(const void *reply, struct nd_attach_event *ret);
};
const struct nd_attach_kind *nd_attach_kind_run(void);
const struct nd_attach_kind *nd_attach_kind_start(void);
const struct nd_attach_kind *nd_attach_kind_attach(void);
const struct nd_attach_kind *nd_attach_kind_exec(void);

struct nd_attach {
    struct nd_cli *cli;
    const struct nd_attach_kind *kind;
    const void *options;       /* the first message to send */
    Pb__StreamOptions *stream; /* in it: how to be attached; NULL: we are not */
    const char *container;     /* exec: in which; else NULL */

    /* It runs now: write the id file, or print the id. May be NULL. */
    struct nd_error *(*started)(struct nd_attach *attach, const char *id);

    struct nd_detach_keys keys;
    bool stdin_wanted; /* send our standard input */
    bool detach;       /* it is enough that it runs */
    bool sig_proxy;    /* pass signals on, unless it has a terminal */
    bool no_stdout;    /* drop this output */
    bool no_stderr;
    bool quiet;      /* no progress */
    bool is_request; /* the first message has a request id: it can be sent again */

    /* Results. */
    bool is_running; /* it was started */
    bool has_ended;
    bool has_left; /* by the detach keys */
    int exit_code;
};

/*
 * Make the call. The first interrupt before the process runs cancels everything; later ones are the
 * process's, and the third ends us alone. A connection that breaks is made again where there is a
 * session. Fails: what the daemon says; ND_UNAVAILABLE when it is lost. Context: not inside a loop.
 */
struct nd_error *nd_attach_run(struct nd_attach *attach) ND_CHECK_RESULT;

/* How we want to be attached, from what this terminal is. In the arena. */
Pb__StreamOptions *nd_attach_stream(struct nd_arena *arena);

/* Docker refuses a terminal for the process where we have none to offer. */
struct nd_error *nd_attach_check_terminal(bool tty, bool interactive) ND_CHECK_RESULT;

/* The daemon says which exit code a process gets that could not be started; else `fallback`. */
int nd_attach_exit_code(const struct nd_error *err, int fallback);

/* How far something is, on standard error. */
void nd_progress_show(const Pb__Progress *progress);
void nd_progress_clear(void);

#endif
