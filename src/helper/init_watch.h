#ifndef HELPER_INIT_WATCH_H
#define HELPER_INIT_WATCH_H

/* The end of a container's first process, for a log writer whose pipes do not end with it. */

#include <stdint.h>

#include "base/defs.h"

struct init_watch {
    int bundle;     /* -1: the process is known, or cannot be watched for */
    int fd;         /* a pidfd, to poll() for reading; -1: none */
    int pid;        /* 0: not known yet */
    unsigned looks; /* in vain */
    bool ended;
};

/* Begin: the working directory is the bundle. */
void init_watch_begin(struct init_watch *w);

/*
 * Whether it has ended by now: call when `fd` is readable, and after each wait; at any time
 * besides.
 */
void init_watch_look(struct init_watch *w);

/* How long to wait at most before looking again; -1: `fd` tells, or there is nothing to be told. */
int init_watch_wait_ms(const struct init_watch *w);

#endif
