#ifndef SYSTEM_SYSTEM_H
#define SYSTEM_SYSTEM_H

/*
 * The host as a whole: versions, facts, what happens on it. What hangs in a reply is in the arena
 * or static. Context of everything here: fiber.
 */

#include "container/containers.h"
#include "host/host.h"
#include "nerdctl/v1/system.pb-c.h"

/*
 * Versions of the daemon, containerd and runc. Succeeds while containerd cannot be reached, so that
 * the daemon can be asked; that component is then missing, as is runc when it is not installed.
 * `daemon_version` and `git_commit` are borrowed by `rsp`.
 */
struct nd_error *nd_system_version(struct nd_host *host, const char *daemon_version,
                                   const char *git_commit, struct nd_arena *arena,
                                   Pb__SystemServiceVersionResponse *rsp) ND_CHECK_RESULT;

/* Facts about host and engine, and counts of a namespace. Fails: ND_UNAVAILABLE. */
struct nd_error *nd_system_info(struct nd_containers *containers, const char *ns,
                                const char *daemon_version, struct nd_arena *arena,
                                Pb__SystemServiceInfoResponse *rsp) ND_CHECK_RESULT;

/* Whether containerd answers now. Fails: ND_UNAVAILABLE. */
struct nd_error *nd_system_ping(struct nd_host *host, struct nd_arena *arena,
                                Pb__SystemServicePingResponse *rsp) ND_CHECK_RESULT;

/* Where events go. */
struct nd_event_sink {
    /* Once, when every event from now on will be told. */
    struct nd_error *(*listening)(void *arg);
    /* May suspend; borrowed for the call. */
    struct nd_error *(*put)(void *arg, const Pb__SystemServiceEventsResponse *event);
    void *arg;
};

/*
 * What happens in a namespace, until the fiber is cancelled, the sink fails, or the request's time
 * is over (success). Where events may have been missed there is one of topic "/nerdctl-grpc/gap",
 * whatever the filters say: after containerd was unreachable, and when the sink is too slow. Fails:
 * ND_INVALID about "filters[i]", "since" or "until"; ND_UNAVAILABLE at the beginning.
 */
struct nd_error *nd_system_events(struct nd_host *host, const char *ns,
                                  const Pb__SystemServiceEventsRequest *req,
                                  const struct nd_event_sink *sink) ND_CHECK_RESULT;

#endif
