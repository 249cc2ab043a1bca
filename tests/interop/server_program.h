#ifndef TESTS_INTEROP_SERVER_PROGRAM_H
#define TESTS_INTEROP_SERVER_PROGRAM_H

/*
 * What the test servers have in common: listeners from the command line, health, reflection, a
 * graceful stop.
 *
 *     NAME [--cert F --key F --ca F [--require]] [LIMIT...] ADDRESS...
 *
 * An address with "tls+" in front is served with TLS. For each one the program prints "listening
 * ADDRESS PORT" with the real port. SIGTERM stops it gracefully. A LIMIT is --max-connections,
 * --max-handshakes or --max-streams with a number, or --handshake-timeout or --keepalive-time with
 * a duration. Scripts of TEST_WEB_ORIGIN may call.
 */

#include "grpc/server.h"

#define TEST_WEB_ORIGIN "https://web.test"

struct test_server_program {
    const char *name;
    struct nd_server_options options;
    const struct nd_str *descriptors; /* for reflection */
    size_t n_descriptors;
    const char *service; /* whose health is told */
    void (*add_to)(void *arg, struct nd_server *server);
    void *arg;
};

/* The whole of a main function; returns its exit code. */
int test_server_main(const struct test_server_program *program, int argc, char **argv);

#endif
