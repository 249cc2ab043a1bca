#ifndef CONTAINER_NETINFO_PRIV_H
#define CONTAINER_NETINFO_PRIV_H

/* The live network interfaces of a container. */

#include "base/arena.h"
#include "base/error.h"

#define ND_INTERFACES_MAX 64u

struct nd_interface {
    char name[16];
    char ip[46]; /* "" without one */
    unsigned ip_prefix;
    char ip6[46]; /* global; "" without one */
    unsigned ip6_prefix;
    char mac[18];
    bool loopback, up;
};

/*
 * Those of the network namespace of a process, in the arena. A process that has gone has none.
 * Fails: ND_CANCELLED, ND_DEADLINE. Context: fiber.
 */
struct nd_error *nd_interfaces_of(uint32_t pid, struct nd_arena *arena, struct nd_interface **ret,
                                  size_t *ret_n) ND_CHECK_RESULT;

#endif
