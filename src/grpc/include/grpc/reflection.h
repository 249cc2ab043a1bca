#ifndef GRPC_REFLECTION_H
#define GRPC_REFLECTION_H

/*
 * grpc.reflection.v1 and v1alpha over embedded descriptors, so that grpcurl and others need no
 * .proto files. Follows: contracts/grpc-wire.md 4.2. Context of everything here: fiber. Nothing
 * suspends.
 */

#include "grpc/server.h"

struct nd_reflection;

/*
 * `descriptor_set` is a serialised google.protobuf.FileDescriptorSet with all imports (borrowed for
 * ever; generated at build time); several sets may be given. Fails: ND_INVALID.
 */
struct nd_error *nd_reflection_new(const struct nd_str *descriptor_sets, size_t n,
                                   struct nd_reflection **ret) ND_CHECK_RESULT;

/* No server may use it any more; NULL is fine. */
void nd_reflection_free(struct nd_reflection *reflection);
void nd_reflection_freep(struct nd_reflection **reflection);

/* Register both versions; lists what the server offers at the time of the question. */
void nd_reflection_add_to(struct nd_reflection *reflection, struct nd_server *server);

#endif
