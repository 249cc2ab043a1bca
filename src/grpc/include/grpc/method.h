#ifndef GRPC_METHOD_H
#define GRPC_METHOD_H

/*
 * What a service is made of, as data. The tables are generated from the .proto files at build time
 * (cmake/NdProto.cmake); client and server use the same ones.
 */

#include <protobuf-c/protobuf-c.h>

#include "base/defs.h"
#include "base/str.h"

enum nd_call_kind {
    ND_UNARY,
    ND_CLIENT_STREAM,
    ND_SERVER_STREAM,
    ND_BIDI,
};

struct nd_method_desc {
    const char *path; /* "/nerdctl.v1.ContainerService/List" */
    const char *name; /* "List" */
    enum nd_call_kind kind;
    bool no_side_effects; /* option idempotency_level = NO_SIDE_EFFECTS */
    bool idempotent;      /* IDEMPOTENT, or no side effects */
    const ProtobufCMessageDescriptor *input;
    const ProtobufCMessageDescriptor *output;
};

struct nd_service_desc {
    const char *name; /* "nerdctl.v1.ContainerService" */
    size_t n_methods;
    const struct nd_method_desc *methods; /* in the order of the .proto file */
};

#endif
