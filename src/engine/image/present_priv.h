#ifndef IMAGE_PRESENT_PRIV_H
#define IMAGE_PRESENT_PRIV_H

#include "nerdctl/v1/image.pb-c.h"

#include "records_priv.h"
#include "tree_priv.h"

/*
 * A record as the API shows it, with what is here of its content. Content that is missing or broken leaves
 * the platforms out; it does not fail. Context: fiber.
 */
struct nd_error *nd_image_present(struct nd_host *host, const char *ns,
                                  const CtImages__Image *record, struct nd_arena *arena,
                                  Pb__Image **ret) ND_CHECK_RESULT;

/* containerd's time, or NULL when it is not set. */
Google__Protobuf__Timestamp *nd_time_or_null(const Google__Protobuf__Timestamp *at);

#endif
