#ifndef TESTS_INTEROP_ECHO_SERVICE_H
#define TESTS_INTEROP_ECHO_SERVICE_H

/* The echo service (echo.proto), for the test server and for unit tests of client and server. */

#include "grpc/server.h"

#include "echo.pb-c.h"
#include "echo_methods.h"

/* What the handlers have seen; all zero at first. */
struct echo_state {
    unsigned started;
    unsigned ended;
    unsigned cancelled;  /* ended with ND_CANCELLED */
    unsigned late;       /* ended with ND_DEADLINE */
    unsigned compressed; /* requests that came so */
    unsigned flushed; /* server streams whose answers have all left: those with the text "flush" */
};

void echo_add_to(struct echo_state *state, struct nd_server *server);

/*
 * A google.rpc.Status made by hand, for the details trailer: encode_details of the server's
 * options.
 */
void echo_encode_details(void *arg, const struct nd_error *err, struct nd_buf *buf);

#endif
