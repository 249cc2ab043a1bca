#ifndef IMAGE_UNPACK_PRIV_H
#define IMAGE_UNPACK_PRIV_H

#include "containerd/client.h"
#include "host/host.h"
#include "oci/image.h"

/* The layers of an image for one platform. */
struct nd_unpack {
    const struct nd_oci_manifest *manifest;
    const struct nd_oci_config *config;
    const char *config_digest;
};

/*
 * Make the snapshots of all layers, bottom up; those that are there already are kept. `*ret_chain_id`
 * names the top one ("" without layers), in the arena. The config's content then refers to it, which keeps
 * it alive.
 * Fails: ND_DATA_LOSS   a layer does not unpack to what the config says
 *        ND_INVALID     the config names another number of layers than the manifest; as nd_layer_check()
 *        ND_NOT_FOUND   the content of a layer is not here
 * Context: fiber. Several may unpack one layer at the same time.
 */
struct nd_error *nd_image_unpack(struct nd_host *host, struct nd_ctrd_scope scope,
                                 const struct nd_unpack *unpack, struct nd_arena *arena,
                                 const char **ret_chain_id) ND_CHECK_RESULT;

#endif
