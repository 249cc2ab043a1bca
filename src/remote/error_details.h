#ifndef REMOTE_ERROR_DETAILS_H
#define REMOTE_ERROR_DETAILS_H

/* What the daemon says beyond code and message. Context: any. */

#include "base/error.h"
#include "base/str.h"

/*
 * Attach what a serialised google.rpc.Status tells (reason, suggestions, fields, metadata) to
 * `err`, which is taken and returned. What does not parse is ignored.
 */
struct nd_error *nd_error_decode_details(struct nd_error *err, struct nd_str details) ND_NEW_ERROR;

#endif
