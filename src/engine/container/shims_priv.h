#ifndef CONTAINER_SHIMS_PRIV_H
#define CONTAINER_SHIMS_PRIV_H

#include "base/error.h"

/*
 * See that no shim of a container is left that has no task: for recoveries, after its task was
 * deleted. Fails: ND_INTERNAL when one does not end. Context: fiber.
 */
struct nd_error *nd_shims_end(const char *ns, const char *id) ND_CHECK_RESULT;

#endif
