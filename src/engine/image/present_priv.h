#ifndef IMAGE_PRESENT_PRIV_H
#define IMAGE_PRESENT_PRIV_H

#include "nerdctl/v1/image.pb-c.h"

#include "records_priv.h"
#include "tree_priv.h"

/*
 * A record as the API shows it, with what is here of its content. Content that is missing or broken
 * leaves the platforms out; it does not fail. `used` holds the names that containers use
 * (nd_image_used_names()); without it, NULL, containerd is asked about this name. Context: fiber.
 */
struct nd_map;
struct nd_error *nd_image_present(struct nd_host *host, const char *ns,
                                  const CtImages__Image *record, const struct nd_map *used,
                                  struct nd_arena *arena, Pb__Image **ret) ND_CHECK_RESULT;

/*
 * Add the image names of all containers to `used`; of those with the name `only`, when it is not
 * NULL.
 */
struct nd_error *nd_image_used_names(struct nd_host *host, const char *ns, const char *only,
                                     struct nd_map *used) ND_CHECK_RESULT;

/* containerd's time, or NULL when it is not set. */
Google__Protobuf__Timestamp *nd_time_or_null(const Google__Protobuf__Timestamp *at);

#endif
