#ifndef GRPC_HEALTH_H
#define GRPC_HEALTH_H

/*
 * grpc.health.v1.Health: Check, Watch and List. Follows: contracts/grpc-wire.md 4.1.
 * Context of everything here: fiber, unless it says so. Nothing suspends.
 */

#include "grpc/server.h"

struct nd_health;

enum nd_health_status {
    ND_HEALTH_UNKNOWN = 0,
    ND_HEALTH_SERVING = 1,
    ND_HEALTH_NOT_SERVING = 2,
};

/* "" is SERVING, others are not known until they are set. Context: any. */
struct nd_health *nd_health_new(void) __attribute__((__returns_nonnull__));
void nd_health_free(struct nd_health *health); /* no call may use it any more; NULL is fine */
void nd_health_freep(struct nd_health **health);

/* "" is the server as a whole. Watchers are told. Context: fiber, loop. */
void nd_health_set(struct nd_health *health, struct nd_str service, enum nd_health_status status);

/*
 * Everything NOT_SERVING from now on, later sets are ignored: first step of a graceful stop.
 * Watchers are told and their calls end with ND_UNAVAILABLE.
 */
void nd_health_shutdown(struct nd_health *health);

/* Register the service. `health` must outlive the server. */
void nd_health_add_to(struct nd_health *health, struct nd_server *server);

#endif
