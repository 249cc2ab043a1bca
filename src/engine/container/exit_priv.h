#ifndef CONTAINER_EXIT_PRIV_H
#define CONTAINER_EXIT_PRIV_H

/* Waiting for the end of a task in a fiber of its own, while others do something else. */

#include "containers_priv.h"

/* In the caller's storage, which outlives the group it is begun in. */
struct exit_watch {
    struct nd_containers *cs;
    const char *ns, *id;
    uint32_t pid; /* 0: not known */
    bool ended;
    struct task_exit exit; /* when it has ended well */
    struct nd_error *err;  /* when the waiting failed; ours */
    struct nd_cond cond;
};

/* Begin to wait in a fiber of `group`. Does not suspend. */
struct nd_error *nd_exit_watch_begin(struct exit_watch *w, struct nd_group *group) ND_CHECK_RESULT;

/* Wait until it has ended. Its error is handed over. Context: fiber. */
struct nd_error *nd_exit_watch_join(struct exit_watch *w, struct task_exit *ret) ND_CHECK_RESULT;

void nd_exit_watch_fini(struct exit_watch *w); /* after the end of the group */

#endif
