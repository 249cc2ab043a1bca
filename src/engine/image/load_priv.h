#ifndef IMAGE_LOAD_PRIV_H
#define IMAGE_LOAD_PRIV_H

#include "scan_priv.h"
#include "tree_priv.h"

/* An image that an archive holds. */
struct nd_loaded {
    Ct__Descriptor target; /* index or manifest, in the content store */
    const char **names;    /* full names, at least one */
    size_t n_names;
};

struct nd_loaded_list {
    struct nd_loaded *images;
    size_t n;
};

/*
 * Which images a scanned archive holds: of an OCI layout those of index.json, else those of
 * docker's manifest.json, for which manifests are written. Fails: ND_INVALID, ND_EXHAUSTED.
 * Context: fiber.
 */
struct nd_error *nd_load_describe(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope,
                                  const struct nd_scan *scan, struct nd_arena *arena,
                                  struct nd_loaded_list *ret) ND_CHECK_RESULT;
struct nd_error *nd_load_describe_oci(const struct nd_scan *scan, struct nd_arena *arena,
                                      struct nd_loaded_list *ret) ND_CHECK_RESULT;
struct nd_error *nd_load_describe_docker(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope,
                                         const struct nd_scan *scan, struct nd_arena *arena,
                                         struct nd_loaded_list *ret) ND_CHECK_RESULT;

/*
 * The full name for what an archive calls `given`. A name with a digest must have that of the
 * image: who asks for content by its digest must not get another. Fails: ND_INVALID. Context: any.
 */
struct nd_error *nd_load_name(struct nd_str given, const char *digest, struct nd_arena *arena,
                              const char **ret) ND_CHECK_RESULT;

/* For which platforms an archive is loaded. */
struct nd_load_platforms {
    bool all;
    struct nd_platform *platforms;
    size_t n;
};
bool nd_load_wants(const struct nd_load_platforms *wanted, const struct nd_platform *platform);

/*
 * Label the manifests behind `target` so that they keep their children. Manifests of an index that
 * are not wanted, or not in the archive, are passed over, and their children then go with the
 * lease.
 * Fails: ND_INVALID    what a wanted manifest needs is not in the archive, or not what it is called
 *        ND_DATA_LOSS  it has another size than is said of it
 * Context: fiber.
 */
struct nd_error *nd_load_link(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope,
                              const struct nd_scan *scan, const struct nd_load_platforms *wanted,
                              const Ct__Descriptor *target, struct nd_arena *arena) ND_CHECK_RESULT;

/* A name for an image that the archive does not name: "import-<date>@<digest>". */
const char *nd_load_untagged_name(const char *digest, struct nd_arena *arena);

#endif
