#ifndef CONTAINER_LAYERS_PRIV_H
#define CONTAINER_LAYERS_PRIV_H

/*
 * A file of an image, read from its layers without mounting them. Context: a thread of nd_work().
 */

#include "base/defs.h"

#define ND_LAYERS_MAX 256u

/*
 * `layers` are the directories of an overlay, the uppermost first. `path` is relative to their
 * common root ("etc/passwd"); links are followed within it and never leave it. On success `*ret` is
 * on the heap with a NUL behind (nd_free()). Returns an errno: ENOENT, ELOOP, EFBIG over `max`,
 * EISDIR or ENOTSUP for what is no regular file, ...
 */
int nd_layers_read(const char *const *layers, size_t n_layers, const char *path, size_t max,
                   char **ret, size_t *ret_len);

#endif
