#ifndef CONTAINER_LIFECYCLE_H
#define CONTAINER_LIFECYCLE_H

/*
 * What changes containers. Calls about one container are ordered, whoever makes them; each either
 * happens or leaves the host as it was, also when the caller is cancelled in the middle.
 * Context of everything here: fiber.
 * Follows: contracts/nerdctl-interop.md 9; contracts/containerd-api.md 4.2, 4.3.
 */

#include "container/containers.h"
#include "nerdctl/v1/container.pb-c.h"

struct nd_attachment; /* container/attach.h */

/* A piece of output: at most ND_OUTPUT_MAX_BYTES, borrowed for the call. */
struct nd_container_output {
    Pb__OutputStream stream;
    uint64_t offset; /* 0 without a session */
    struct nd_str bytes;
};

/* What runs now. Texts are borrowed for the call. */
struct nd_container_started {
    const char *id;        /* of the container, or of a command in it */
    char *const *warnings; /* what the user should know */
    size_t n_warnings;
    const char *session;   /* in which the client is going to be attached; NULL: in none */
    const char *container; /* of a command: in which; else NULL */
};

/*
 * What a long call tells while it runs. Each member may be NULL. An error that one returns ends the
 * call with it (the client is gone); a container that was started goes on running then.
 */
struct nd_container_feed {
    /* It runs now; comes before its first output. */
    struct nd_error *(*started)(void *arg, const struct nd_container_started *started);
    struct nd_error *(*output)(void *arg, const struct nd_container_output *output);
    /* About the session with its standard streams, when there is one; borrowed for the call. */
    struct nd_error *(*event)(void *arg, const Pb__StreamEvent *event);
    /* From now on the client may say something; NULL: no longer. Does not suspend. */
    void (*attached)(void *arg, struct nd_attachment *attachment);
    /* It has ended, and all output was told before: the last. Not called for who detached. */
    struct nd_error *(*ended)(void *arg, Pb__ExitStatus *exit);
    void *arg;
};

struct nd_container_created {
    const char *id;
    char **warnings; /* what the user should know */
    size_t n_warnings;
};

/*
 * Make a container. The whole configuration is checked before anything is changed.
 *
 * Fails: ND_INVALID        a field, named as in the request: "config.mounts[2].target"
 *        ND_UNIMPLEMENTED  a field that this version does not have, named
 *        ND_NOT_FOUND      reason IMAGE_NOT_FOUND
 *        ND_EXISTS         reason NAME_IN_USE, the owner's id in the meta "owner"
 *        ND_ABORTED        reason IMAGE_REMOVED: somebody removed the image meanwhile
 */
struct nd_error *nd_container_create(struct nd_containers *cs, const char *ns,
                                     const Pb__ContainerConfig *config, struct nd_arena *arena,
                                     struct nd_container_created *ret) ND_CHECK_RESULT;

/*
 * Start a container that does not run (one that runs: nothing happens). With `options->attach` its
 * output is fed until it has ended, or the client detaches.
 *
 * Fails: ND_PRECONDITION  reason CONTAINER_COMMAND_NOT_FOUND or CONTAINER_COMMAND_NOT_EXECUTABLE,
 *                         with "127" or "126" in the meta "exit_code"; reason
 *                         CONTAINER_START_FAILED, "125", for the rest; reason CONTAINER_PAUSED. The
 *                         container stays, its label nerdctl/error says why.
 */
struct nd_error *nd_container_start(struct nd_containers *cs, const char *ns,
                                    const Pb__StartOptions *options,
                                    const struct nd_container_feed *feed,
                                    struct nd_arena *arena) ND_CHECK_RESULT;

/*
 * Create and start; attached unless `options->detach`. A container that cannot be started stays
 * when it is not to be removed automatically, its id is in the meta "container". Fails: as
 * nd_container_create() and nd_container_start().
 */
struct nd_error *nd_container_run(struct nd_containers *cs, const char *ns,
                                  const Pb__RunOptions *options,
                                  const struct nd_container_feed *feed,
                                  struct nd_arena *arena) ND_CHECK_RESULT;

/*
 * Wait until all have ended; `reply` is called once for each, in the order of the names, as soon as
 * that is possible. A container that never ran has ended with code 0.
 * Fails: ND_INVALID  no names, or more than ND_WAIT_MAX_CONTAINERS
 */
struct nd_error *nd_containers_wait(
    struct nd_containers *cs, const char *ns, const Pb__ContainerServiceWaitRequest *req,
    struct nd_error *(*reply)(void *arg, const Pb__ContainerServiceWaitResponse *rsp),
    void *arg) ND_CHECK_RESULT;

/* Ask it to end, and after a time make it. One that does not run is a success. */
struct nd_error *nd_container_stop(struct nd_containers *cs, const char *ns,
                                   const Pb__ContainerServiceStopRequest *req,
                                   struct nd_arena *arena,
                                   Pb__ContainerServiceStopResponse *rsp) ND_CHECK_RESULT;

/* Signal its first process. Fails: ND_PRECONDITION, reason CONTAINER_NOT_RUNNING. */
struct nd_error *nd_container_kill(struct nd_containers *cs, const char *ns,
                                   const Pb__ContainerServiceKillRequest *req,
                                   struct nd_arena *arena,
                                   Pb__ContainerServiceKillResponse *rsp) ND_CHECK_RESULT;

/*
 * Pass on a signal of an attached client (Ctrl-C). Unlike nd_container_kill() this is no request to
 * keep the container down, and one that has ended is a success.
 * Fails: ND_INVALID about "signal".
 */
struct nd_error *nd_container_signal(struct nd_containers *cs, const char *ns,
                                     const char *container, const char *signal) ND_CHECK_RESULT;

/*
 * Give it another name. Fails: ND_INVALID about "new_name"; ND_EXISTS, reason NAME_IN_USE.
 */
struct nd_error *nd_container_rename(struct nd_containers *cs, const char *ns,
                                     const Pb__ContainerServiceRenameRequest *req,
                                     struct nd_arena *arena,
                                     Pb__ContainerServiceRenameResponse *rsp) ND_CHECK_RESULT;

/* Fails: ND_PRECONDITION, reason CONTAINER_RUNNING, without `force`. */
struct nd_error *nd_container_remove(struct nd_containers *cs, const char *ns,
                                     const Pb__ContainerServiceRemoveRequest *req,
                                     struct nd_arena *arena,
                                     Pb__ContainerServiceRemoveResponse *rsp) ND_CHECK_RESULT;

#endif
