#ifndef IMAGE_IMAGES_H
#define IMAGE_IMAGES_H

/*
 * The images of one host: names in containerd's image store, and the content and snapshots behind
 * them.
 *
 * Everywhere `ns` is the containerd namespace, already checked; results live in the arena that is
 * passed. An image is named by its name, familiar or full, or by the beginning of a digest (of its
 * index, manifest or config):
 *
 *   ND_NOT_FOUND  reason IMAGE_NOT_FOUND
 *   ND_INVALID    reason IMAGE_REFERENCE_INVALID, IMAGE_ID_AMBIGUOUS
 *
 * Context of everything here: fiber.
 */

#include "host/host.h"
#include "nerdctl/v1/image.pb-c.h"
#include "oci/image.h"
#include "oci/platform.h"

/* Say how leases and removals are recovered that a dead daemon left. Context: start-up. */
struct nd_recovery; /* operation/recovery.h */
void nd_images_recover_by(struct nd_host *host, struct nd_recovery *recovery);

/* An image made ready to run: its config for one platform, and the snapshot to stand on. */
struct nd_image_ready {
    const char *name;            /* full name of the record */
    const char *target_digest;   /* of index or manifest */
    const char *manifest_digest; /* for the platform */
    const char *config_digest;
    const char *platform; /* "linux/amd64" */
    const char *snapshotter;
    const char *chain_id; /* top of the unpacked layers; "" without layers */
    const struct nd_oci_config *config;
};

/*
 * Look an image up and see that it is unpacked. `platform` is empty for the host's.
 * Fails: ND_NOT_FOUND  also reason PLATFORM_NOT_FOUND: the image has nothing for the platform, or
 *                      not all of its content is here
 */
struct nd_error *nd_image_resolve(struct nd_host *host, const char *ns, struct nd_str image,
                                  struct nd_str platform, struct nd_arena *arena,
                                  struct nd_image_ready *ret) ND_CHECK_RESULT;

/* Where an archive comes from and what is told of it. */
struct nd_image_load_io {
    /* The next bytes of the archive; empty at the end. Valid until the next call. */
    struct nd_error *(*read)(void *arg, struct nd_str *ret_bytes);
    struct nd_error *(*progress)(void *arg, const Pb__Progress *progress);
    struct nd_error *(*loaded)(void *arg, const Pb__Image *image);
    void *arg;
};

/*
 * Load every image of an archive (docker save or OCI layout; plain, gzip or zstd).
 *
 * Fails: ND_INVALID    reason ARCHIVE_INVALID: not such an archive, or something is wrong in it, named
 *        ND_DATA_LOSS  reason ARCHIVE_INVALID: truncated, or content that has not its digest
 *        ND_EXHAUSTED  over a limit of image/limits.h or codec/limits.h
 * On failure, and when cancelled, nothing of it stays but the images that had got their names by then, of
 * which `loaded` was told, save perhaps the last.
 */
struct nd_error *nd_image_load(struct nd_host *host, const char *ns, const Pb__LoadOptions *options,
                               const struct nd_image_load_io *io) ND_CHECK_RESULT;

struct nd_error *nd_images_list(struct nd_host *host, const char *ns,
                                const Pb__ImageServiceListRequest *req, struct nd_arena *arena,
                                Pb__ImageServiceListResponse *rsp) ND_CHECK_RESULT;

struct nd_error *nd_image_inspect(struct nd_host *host, const char *ns,
                                  const Pb__ImageServiceInspectRequest *req, struct nd_arena *arena,
                                  Pb__ImageServiceInspectResponse *rsp) ND_CHECK_RESULT;

struct nd_error *nd_image_tag(struct nd_host *host, const char *ns,
                              const Pb__ImageServiceTagRequest *req, struct nd_arena *arena,
                              Pb__ImageServiceTagResponse *rsp) ND_CHECK_RESULT;

/* Fails: ND_PRECONDITION, reason IMAGE_IN_USE. */
struct nd_error *nd_image_remove(struct nd_host *host, const char *ns,
                                 const Pb__ImageServiceRemoveRequest *req, struct nd_arena *arena,
                                 Pb__ImageServiceRemoveResponse *rsp) ND_CHECK_RESULT;

#endif
