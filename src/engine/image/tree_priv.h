#ifndef IMAGE_TREE_PRIV_H
#define IMAGE_TREE_PRIV_H

#include "containerd/client.h"
#include "host/host.h"
#include "oci/image.h"
#include "oci/platform.h"

/* A manifest behind an image name. */
struct nd_tree_manifest {
    const char *digest;
    const char *media_type;
    int64_t size;
    struct nd_platform platform;            /* of the index, else of the config */
    const struct nd_oci_manifest *manifest; /* NULL: its content is not here */
    const struct nd_oci_config *config;     /* NULL: its content is not here */
};

/* What is behind an image name: one manifest, or all those of an index. */
struct nd_tree {
    struct nd_tree_manifest *manifests; /* in the order of the index; in the arena */
    size_t n;
    int64_t index_bytes; /* of the index itself; 0 without one */
};

/*
 * Read it from the content store. Manifests that are not here are listed without content; an index inside
 * an index is read too.
 * Fails: ND_NOT_FOUND  the target itself is not here; ND_INVALID, ND_EXHAUSTED  broken content
 * Context: fiber.
 */
struct nd_error *nd_tree_read(struct nd_host *host, struct nd_ctrd_scope scope,
                              const Ct__Descriptor *target, struct nd_arena *arena,
                              struct nd_tree *ret) ND_CHECK_RESULT;

/*
 * The manifest for a platform whose config is here: exact, else the best that runs on it.
 * Fails: ND_NOT_FOUND reason PLATFORM_NOT_FOUND.
 */
struct nd_error *nd_tree_choose(const struct nd_tree *tree, const struct nd_platform *platform,
                                const struct nd_tree_manifest **ret) ND_CHECK_RESULT;

#endif
