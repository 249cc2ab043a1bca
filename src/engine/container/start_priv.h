#ifndef CONTAINER_START_PRIV_H
#define CONTAINER_START_PRIV_H

/* What start and run share. */

#include "container/lifecycle.h"

#include "launch_priv.h"
#include "output_priv.h"

/* In the arena. Context: any. */
Pb__ExitStatus *nd_exit_status(const struct task_exit *exit, struct nd_arena *arena);

/*
 * An attached client: what it is fed and what is waited for. Its fibers end first, then the rest:
 *     ND_AUTO(nd_attached_fini) struct attached attached = {0};
 */
struct attached {
    const struct nd_container_feed *feed;
    struct nd_group *group; /* NULL until attached */
    struct hold *use;       /* keeps a removal in the background from taking what is still read */
    struct exit_watch exit;
    struct follower follower;
    bool follows; /* there is output to be fed from the log */
    struct nd_attachment streams;
    bool has_streams; /* it is fed from there, and may say something */
};
void nd_attached_fini(struct attached *a);

/* Tell what runs now, and the session of the client in it. */
struct nd_error *nd_attached_tell(const struct attached *a, const struct nd_container_feed *feed,
                                  struct nd_container_started *started) ND_CHECK_RESULT;

/* The client detached before the end. Context: any. */
bool nd_attached_has_left(const struct attached *a);

/* Before the launch, whose `exit` and `group` this sets. Context: fiber, does not suspend. */
struct nd_error *nd_attach(struct attached *a, struct launch *l, struct nd_wall since,
                           const Pb__StreamOptions *options,
                           const struct nd_container_feed *feed) ND_CHECK_RESULT;

/* After the launch, and after the client was told: feed to the end, or until the client has left. */
struct nd_error *nd_attached_join(struct attached *a, struct task_exit *ret) ND_CHECK_RESULT;

#endif
