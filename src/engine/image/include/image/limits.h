#ifndef IMAGE_LIMITS_H
#define IMAGE_LIMITS_H

/* The limits of this room, with their units. */

#include <stdint.h>

#define ND_LOAD_MAX_ARCHIVE_BYTES (UINT64_C(64) << 30)  /* as the client sends it */
#define ND_LOAD_STEP_BYTES        (1024u * 1024u)       /* read and written at once */
#define ND_LOAD_MAX_BLOBS         65536u                /* files of one archive that are kept */
#define ND_LOAD_MAX_IMAGES        1024u                 /* of one archive */
#define ND_LOAD_MAX_PLATFORMS     64u                   /* asked for at once */
#define ND_MANIFEST_MAX_BYTES     (4u * 1024u * 1024u)  /* a manifest, an index, a config */
#define ND_IMAGE_MAX_MANIFESTS    1024u                 /* manifests and indexes behind one name */
#define ND_IMAGE_MAX_BYTES        (32u * 1024u * 1024u) /* of all that describes one image */
#define ND_LAYER_MAX_DEPTH        256u                  /* folders inside each other, in a layer */
#define ND_LAYER_MAX_NAMES        (1u << 20)            /* of a layer, remembered for hard links */
#define ND_LAYER_STEP_ENTRIES     4096u                 /* of a layer, looked at at once */
#define ND_LAYER_STEP_BYTES       (16u * 1024u * 1024u)
#define ND_UNPACK_TRIES           3u               /* another writer of the same layer */
#define ND_APPLY_TIMEOUT_NS       (30 * ND_MINUTE) /* one layer */
#define ND_IMAGE_MAX_FILTERS      64u
#define ND_IMAGE_MAX_FILTER_BYTES 4096u /* of one: patterns take time by the square of it */
#define ND_IMAGE_FILTER_BYTES     (160u * 1024u) /* a name of containerd's store, escaped */
#define ND_IMAGE_MAX_NAME         1024u          /* bytes of a name that is looked for as it is */
#define ND_IMAGE_MAX_DEPTH        4u             /* index in an index */
#define ND_IMAGE_ID_MIN           4u /* digits of a digest that may stand for an image */

#endif
