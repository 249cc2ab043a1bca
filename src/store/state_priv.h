#ifndef STORE_STATE_PRIV_H
#define STORE_STATE_PRIV_H

#include <sys/types.h>

#include "base/buf.h"
#include "store/state.h"

struct nd_state {
    struct nd_store *store; /* borrowed */
    char *path;
    char *hostname_path;
    char *resolv_conf_path;
    char *log_path;
    char *logger_lock_path;
};

/* One piece of work on a thread: what it gets, what it leaves. */
struct nd_state_job {
    const char *data_root, *path;
    mode_t mode;
    struct nd_str bytes;

    char *text; /* the caller's */
    size_t text_len;
    int errnum;
};

/* Run a step; its errno becomes an error that says `what` was done with the path. */
struct nd_error *nd_state_run(struct nd_state_job *job, void (*step)(void *job),
                              const char *what) ND_CHECK_RESULT;

/* The text of network-config.json. Fails: ND_EXHAUSTED. Context: any. */
struct nd_error *nd_state_ports_text(const struct nd_ports *ports,
                                     struct nd_buf *buf) ND_CHECK_RESULT;

#endif
