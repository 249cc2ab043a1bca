#ifndef IMAGE_TREE_PRIV_H
#define IMAGE_TREE_PRIV_H

#include "base/map.h"
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
 * What was read of an image so far. Indexes may name one manifest many times and each other, so
 * that some kilobytes lead to millions of manifests: each is read once, and all together have
 * limits.
 */
struct nd_tree_seen {
    struct nd_map *keys; /* to be made and freed by the owner */
    size_t bytes;
};

/* Whether `key` (a digest, or one for a platform) is new. Fails: ND_EXHAUSTED. Context: any. */
struct nd_error *nd_tree_see(struct nd_tree_seen *seen, const char *key,
                             bool *ret_new) ND_CHECK_RESULT;

/* Count what was read. Fails: ND_EXHAUSTED. Context: any. */
struct nd_error *nd_tree_count(struct nd_tree_seen *seen, size_t bytes) ND_CHECK_RESULT;

/*
 * Whether an error means that the content of an image is missing or broken, and no question failed.
 */
bool nd_tree_is_broken(const struct nd_error *err);

/*
 * Read it from the content store. Manifests that are not here are listed without content; an index
 * inside an index is read too.
 * Fails: ND_NOT_FOUND  the target itself is not here
 *        ND_INVALID, ND_EXHAUSTED, ND_DATA_LOSS  broken content, or more than the limits allow
 * Context: fiber.
 */
struct nd_error *nd_tree_read(struct nd_host *host, struct nd_ctrd_scope scope,
                              const Ct__Descriptor *target, struct nd_arena *arena,
                              struct nd_tree *ret) ND_CHECK_RESULT;

/*
 * The same, without asking for content that was read before in this namespace: for who needs what
 * it says and not whether it is still there. It is named by its digest, so it says the same for
 * ever.
 */
struct nd_error *nd_tree_recall(struct nd_host *host, const char *ns, const Ct__Descriptor *target,
                                struct nd_arena *arena, struct nd_tree *ret) ND_CHECK_RESULT;

/*
 * The manifest for a platform whose config is here: exact, else the best that runs on it.
 * Fails: ND_NOT_FOUND reason PLATFORM_NOT_FOUND.
 */
struct nd_error *nd_tree_choose(const struct nd_tree *tree, const struct nd_platform *platform,
                                const struct nd_tree_manifest **ret) ND_CHECK_RESULT;

#endif
