#ifndef CONTAINER_ATTACH_H
#define CONTAINER_ATTACH_H

/*
 * Being attached to the standard streams of a process: what the daemon tells goes through the feed
 * of the call (container/lifecycle.h), what the client says comes in here. Context of everything
 * here: fiber.
 */

#include "container/lifecycle.h"

/* One client and the process that it is attached to; the engine's, given to feed->attached(). */
struct nd_attachment;

/*
 * What the client says. Waits while the process does not take its input. Fails: ND_INVALID about
 * the part of `control` that is wrong. One that comes too late is a success.
 */
struct nd_error *nd_attachment_control(struct nd_attachment *a,
                                       const Pb__StreamControl *control) ND_CHECK_RESULT;

/* A signal for the process, by name or number. Fails: ND_INVALID about "signal". */
struct nd_error *nd_attachment_signal(struct nd_attachment *a, const char *signal) ND_CHECK_RESULT;

/*
 * Attach to a container that runs, until it ends or the client detaches.
 *
 * Fails: ND_PRECONDITION  reason CONTAINER_NOT_RUNNING; reason STREAMS_NOT_READABLE (neither a helper of
 *                         ours nor a log)
 *        ND_NOT_FOUND     reason SESSION_NOT_FOUND: there is nothing left of that session
 *        ND_EXHAUSTED     reason TOO_MANY_ATTACHED
 */
struct nd_error *nd_container_attach(struct nd_containers *cs, const char *ns,
                                     const Pb__AttachOptions *options,
                                     const struct nd_container_feed *feed,
                                     struct nd_arena *arena) ND_CHECK_RESULT;

/*
 * Run a command in a container, until it ends or the client detaches. feed->started() tells its id.
 * It goes on when the client vanishes, and can be attached to again by its session for some time.
 *
 * Fails: ND_PRECONDITION  reason CONTAINER_NOT_RUNNING, CONTAINER_PAUSED; reason
 *                         CONTAINER_COMMAND_NOT_FOUND and others as nd_container_start()
 *        ND_NOT_FOUND     reason SESSION_NOT_FOUND
 *        ND_INVALID       about the field that is wrong
 */
struct nd_error *nd_container_exec(struct nd_containers *cs, const char *ns,
                                   const Pb__ExecOptions *options,
                                   const struct nd_container_feed *feed,
                                   struct nd_arena *arena) ND_CHECK_RESULT;

/*
 * How a command of ours ended, once it has; `id` is its container's. In the arena.
 * Fails: ND_NOT_FOUND, reason SESSION_NOT_FOUND: that is not known any longer.
 */
struct nd_error *nd_container_exec_wait(struct nd_containers *cs, const char *ns, const char *id,
                                        const char *exec_id, struct nd_arena *arena,
                                        Pb__ExitStatus **ret) ND_CHECK_RESULT;

/* Set the size of a terminal. Fails: ND_PRECONDITION, reason CONTAINER_NOT_RUNNING. */
struct nd_error *nd_container_resize(struct nd_containers *cs, const char *ns,
                                     const Pb__ContainerServiceResizeRequest *req,
                                     struct nd_arena *arena,
                                     Pb__ContainerServiceResizeResponse *rsp) ND_CHECK_RESULT;

#endif
