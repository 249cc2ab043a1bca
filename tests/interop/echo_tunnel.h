#ifndef TESTS_INTEROP_ECHO_TUNNEL_H
#define TESTS_INTEROP_ECHO_TUNNEL_H

/*
 * An outer server whose Bidi method is a tunnel, a channel to it over memory, and one call: both
 * ends of the tunnel in one loop. For unit tests and fuzzing.
 */

#include "fiber/group.h"
#include "fiber/sync.h"
#include "grpc/channel.h"
#include "grpc/server.h"
#include "grpc/tunnel.h"

struct echo_tunnel {
    /* Set before begin; 0 means none. */
    size_t capacity;     /* of the memory pair below the outer call */
    int64_t timeout_ns;  /* of the outer call */
    bool server_refuses; /* the outer handler's carrier refuses every message */

    /* Both ends of the tunnel; NULL once they were taken. The test closes them. */
    struct nd_stream *at_server;
    struct nd_stream *at_client;

    /* What the outer call's two parties got from nd_tunnel_wait(), once `ended` says so. */
    unsigned ended;
    enum nd_code server_code;
    enum nd_code client_code;

    struct nd_server *server;
    struct nd_channel *channel;
    struct nd_group *servers;
    struct nd_group *openers; /* cancel it: the outer call dies */
    struct nd_stream *below;  /* borrowed: the client's end of the memory pair */
    struct nd_cond opened;
};

/* Largest message seen by the carrier of all tunnels of this thread, and reset. */
size_t echo_tunnel_take_largest(void);

/* Start servers and fibers in the caller's fiber, and wait for both ends. */
struct nd_error *echo_tunnel_begin(struct echo_tunnel *t) ND_CHECK_RESULT;

/* Another call through the same channel: sets both ends again. */
struct nd_error *echo_tunnel_open(struct echo_tunnel *t) ND_CHECK_RESULT;

/* Close what was not taken, end the calls, stop the server. */
void echo_tunnel_end(struct echo_tunnel *t);

#endif
