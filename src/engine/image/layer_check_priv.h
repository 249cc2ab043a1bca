#ifndef IMAGE_LAYER_CHECK_PRIV_H
#define IMAGE_LAYER_CHECK_PRIV_H

#include "containerd/client.h"
#include "host/host.h"
#include "oci/image.h"

/* What was noticed about a layer. */
struct nd_layer_facts {
    uint64_t n_entries;
    const char
        *dead_link; /* a hard link to nothing that came before it; NULL: none. In the arena */
};

/*
 * Read a layer from beginning to end before anybody writes a file of it.
 * Fails: ND_INVALID    reason LAYER_INVALID: no tar, compressed in another way than it says, a name or
 *                      hard link that leads out of the root; the entry is named
 *        ND_DATA_LOSS  reason LAYER_INVALID: it ends too early
 *        ND_EXHAUSTED  reason LAYER_INVALID: over a limit of codec/limits.h
 * Context: fiber.
 */
struct nd_error *nd_layer_check(struct nd_host *host, struct nd_ctrd_scope scope,
                                const struct nd_oci_descriptor *layer, struct nd_arena *arena,
                                struct nd_layer_facts *ret) ND_CHECK_RESULT;

#endif
