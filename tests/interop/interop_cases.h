#ifndef TESTS_INTEROP_INTEROP_CASES_H
#define TESTS_INTEROP_INTEROP_CASES_H

/* The cases that a client of the test service goes through with a server. */

#include "grpc/channel.h"

struct interop_peer {
    const struct nd_addr *addr;
    const struct nd_channel_options *options;
    struct nd_channel *ch; /* what most cases use */
};

struct interop_case {
    const char *name;
    struct nd_error *(*run)(const struct interop_peer *peer); /* Context: fiber */
};

/* Each ends with a NULL name. */
extern const struct interop_case interop_cases[];
extern const struct interop_case interop_compression_cases[];
extern const struct interop_case interop_http2_cases[]; /* for servers that misbehave */

#endif
