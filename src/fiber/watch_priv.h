#ifndef FIBER_WATCH_PRIV_H
#define FIBER_WATCH_PRIV_H

/*
 * Watching a descriptor. The watch does not own the descriptor; it must be closed before the
 * descriptor is. Context: fiber, loop.
 */

#include "fiber/stream.h"

struct nd_watch;

/* Told on the loop. ND_FD_READ | ND_FD_WRITE both stand in `events` when the kernel says error. */
typedef void nd_watch_fn(void *arg, unsigned events);

/*
 * Watches nothing yet. Fails: ND_INVALID when the descriptor cannot be polled or is watched
 * already.
 */
struct nd_error *nd_watch_open(int fd, nd_watch_fn *fn, void *arg,
                               struct nd_watch **ret) ND_CHECK_RESULT;

/* Watch for these nd_fd_event bits from now on; 0 for none. */
void nd_watch_set(struct nd_watch *w, unsigned events);
unsigned nd_watch_get(const struct nd_watch *w);

/* No call of `fn` after this; allowed inside of it. NULL is fine. */
void nd_watch_close(struct nd_watch *w);

#endif
