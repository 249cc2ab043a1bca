#ifndef TESTS_UNIT_GRPC_FIXTURE_H
#define TESTS_UNIT_GRPC_FIXTURE_H

/*
 * Client and server in one loop. The bytes between them go through memory pairs of a given
 * capacity, or through a Unix socket. A test body looks like
 *
 *     IN_LOOP(promise)
 *     {
 *         ND_AUTO(fixture_endp) struct fixture *f = fixture_begin(&(struct fixture_options){...});
 *         ...
 *         return NULL;
 *     }
 *
 * and the end of the fixture checks that nothing is left behind: handlers, connections, fibers.
 */

#include "base/alloc.h"
#include "fiber/group.h"
#include "grpc/channel.h"

#include "../fiber/in_loop.h"
#include "echo_service.h"

#define CAPACITY_LEAST 1u
#define CAPACITY_LARGE (64u * 1024u)

struct fixture_options {
    size_t capacity;    /* of the memory pairs; 0: CAPACITY_LARGE */
    const char *socket; /* path of a Unix socket to use instead */
    struct nd_server_options server;
    struct nd_channel_options channel;
};

struct fixture {
    struct fixture_options options;
    struct nd_group *group;
    struct nd_server *server;
    struct nd_channel *channel;
    struct nd_arena *arena; /* for replies */
    struct echo_state echo;
    size_t n_fibers; /* before it began */
    unsigned dials;
    struct nd_stream *last_dialled; /* the client's side of the pair: for cutting */
};

struct fixture *fixture_begin(const struct fixture_options *options);
void fixture_end(struct fixture *f);
void fixture_endp(struct fixture **f);

/* Stop the server and make a new one at the same place. */
void fixture_restart_server(struct fixture *f);

/* Unary call with a payload of `size` bytes; checks the echo. */
struct nd_error *fixture_echo(struct fixture *f, size_t size) ND_CHECK_RESULT;

/* Let others run until `*value` is `wanted`. */
void fixture_until(const unsigned *value, unsigned wanted);

#endif
