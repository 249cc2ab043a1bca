#ifndef NAMESPACE_NAMESPACES_H
#define NAMESPACE_NAMESPACES_H

/* containerd's namespaces and what is in them. Follows: contracts/containerd-api.md 4.9. */

#include "host/host.h"
#include "nerdctl/v1/namespace.pb-c.h"

#define ND_NAMESPACES_WIDTH 4u /* namespaces that are counted at once */

/*
 * All namespaces in containerd's order, each with the number of its containers, image names and
 * volumes. What hangs in `rsp` is in the arena.
 * Fails: ND_UNAVAILABLE. Context: fiber.
 */
struct nd_error *nd_namespaces_list(struct nd_host *host,
                                    const Pb__NamespaceServiceListRequest *req,
                                    struct nd_arena *arena,
                                    Pb__NamespaceServiceListResponse *rsp) ND_CHECK_RESULT;

/*
 * How many containers and image names a namespace has. Containers travel one by one, so that their
 * number is not limited by the size of a message. Fails: ND_UNAVAILABLE. Context: fiber.
 */
struct nd_error *nd_namespace_count_containers(struct nd_host *host, const char *ns,
                                               size_t *ret) ND_CHECK_RESULT;
struct nd_error *nd_namespace_count_images(struct nd_host *host, const char *ns,
                                           size_t *ret) ND_CHECK_RESULT;

#endif
