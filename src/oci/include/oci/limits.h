#ifndef OCI_LIMITS_H
#define OCI_LIMITS_H

/* Limits on images, which come from strangers. The error that refuses one says which it was. */

#define ND_OCI_MAX_BYTES     ((size_t)8 << 20) /* of an index, a manifest, a config */
#define ND_OCI_MAX_MANIFESTS 4096              /* in one index */
#define ND_OCI_MAX_LAYERS    1024              /* of one image */
#define ND_OCI_MAX_LIST      4096 /* entries of any list or map of a config; annotations */
#define ND_OCI_MAX_IMAGES    4096 /* in one archive of docker's */
#define ND_OCI_MAX_TAGS      1024 /* of one of them */

#define ND_REFERENCE_MAX_NAME 255 /* bytes of domain, slash and path */
#define ND_REFERENCE_MAX_TAG  128

#endif
