#ifndef REMOTE_ATTACH_H
#define REMOTE_ATTACH_H

/*
 * A call that runs a container in the foreground: its output comes here, our signals go there, its exit
 * code becomes ours. `run` and `start --attach` differ only in the messages.
 */

#include "nerdctl/v1/container.pb-c.h"

#include "cli.h"

/* What a message of either call says; absent parts are NULL. */
struct nd_attach_event {
    const Pb__Progress *progress;
    const char *container_id; /* it runs now */
    const Pb__Output *output;
    const Pb__ExitStatus *exit; /* it has ended; the last message */
    char *const *warnings;
    size_t n_warnings;
};

struct nd_attach {
    struct nd_cli *cli;
    const struct nd_method_desc *method;
    const void *options; /* the first message to send */

    /* A message that sends a signal; `dst` has room for either kind. */
    void (*make_signal)(void *dst, char *signal);
    /* What a reply says. */
    void (*read)(const void *reply, struct nd_attach_event *ret);
    /* It runs now: write the id file, or print the id. May be NULL. */
    struct nd_error *(*started)(struct nd_attach *attach, const char *container_id);

    bool detach;    /* it is enough that it runs */
    bool sig_proxy; /* pass signals on */
    bool no_stdout; /* drop this output */
    bool no_stderr;
    bool quiet; /* no progress */

    /* Results. */
    bool is_running; /* it was started */
    bool has_ended;
    int exit_code;
};

/*
 * Make the call. The first interrupt before the container runs cancels everything; later ones are the
 * container's, and the third ends us alone.
 * Fails: what the daemon says; ND_UNAVAILABLE when it is lost. Context: not inside a loop.
 */
struct nd_error *nd_attach_run(struct nd_attach *attach) ND_CHECK_RESULT;

/* How far something is, on standard error. */
void nd_progress_show(const Pb__Progress *progress);
void nd_progress_clear(void);

#endif
