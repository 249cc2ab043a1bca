#ifndef FIBER_PROCESS_H
#define FIBER_PROCESS_H

/*
 * Child processes and signals. Context of everything here: fiber. What returns no error does not
 * suspend.
 */

#include <signal.h>

#include "fiber/stream.h"

struct nd_process;

struct nd_process_options {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH without '/' */
    const char *const *env;  /* NULL: ours */
    const char *cwd;         /* NULL: ours */
    int fds[6];              /* what the child has as 0, 1, 2, ...; -1: /dev/null; borrowed */
    size_t n_fds;            /* 0 means three times /dev/null */
    bool new_session;        /* setsid */
};

/* Start. Fails: ND_NOT_FOUND (no such program), ND_DENIED. Context: fiber. */
struct nd_error *nd_process_start(const struct nd_process_options *options,
                                  struct nd_process **ret) ND_CHECK_RESULT;

/* Its process id; meaningless once nd_process_wait() has returned it. */
pid_t nd_process_pid(const struct nd_process *p);

/* Wait for the end; *ret is the status as waitpid() gives it. Context: fiber. */
struct nd_error *nd_process_wait(struct nd_process *p, int *ret) ND_CHECK_RESULT;

/* Send a signal. Does not suspend. Fails: ND_NOT_FOUND when it has ended. */
struct nd_error *nd_process_kill(struct nd_process *p, int signo) ND_CHECK_RESULT;

/* Forget it. When it still runs it is killed first, and reaped. NULL is fine. */
void nd_process_free(struct nd_process *p);
void nd_process_freep(struct nd_process **p);

/*
 * Signals as a queue. From opening to closing, the listed ones are caught; next waits for one of
 * them and gives its number. NULL is fine for close. Fails: open ND_INVALID for what cannot be
 * caught; next ND_CANCELLED, ND_DEADLINE.
 */
struct nd_signals;
struct nd_error *nd_signals_open(const int *signos, size_t n,
                                 struct nd_signals **ret) ND_CHECK_RESULT;
struct nd_error *nd_signals_next(struct nd_signals *s,
                                 int *ret) ND_CHECK_RESULT; /* Context: fiber */
void nd_signals_close(struct nd_signals *s);
void nd_signals_closep(struct nd_signals **s);

#endif
