#ifndef IMAGE_REMOVAL_PRIV_H
#define IMAGE_REMOVAL_PRIV_H

#include "operation/change.h"

/* The removal of a name that a running container uses; the payload is the name. */
#define CHANGE_REMOVE_IMAGE "image.remove"

/* Finish it. `host` is a struct nd_host. Context: fiber. */
struct nd_error *nd_recover_image_removal(void *host,
                                          const struct nd_open_intent *intent) ND_CHECK_RESULT;

#endif
