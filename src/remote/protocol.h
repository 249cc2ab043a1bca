#ifndef REMOTE_PROTOCOL_H
#define REMOTE_PROTOCOL_H

/* Small conversions between messages and what commands print. Context of everything here: any. */

#include "base/clock.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "nerdctl/v1/common.pb-c.h"
#include "remote/flags.h"
#include "remote/value.h"

/* A point in time; NULL gives 1970. */
struct nd_wall nd_protocol_time(const Google__Protobuf__Timestamp *at);

/* A timestamp in the arena. */
Google__Protobuf__Timestamp *nd_protocol_timestamp(struct nd_arena *arena, struct nd_wall at);

/* The texts of a list flag as a repeated field. */
char **nd_protocol_texts(struct nd_arena *arena, const struct nd_texts *texts);

/* "dockercompat" or "native". Fails: ND_INVALID. */
struct nd_error *nd_protocol_mode(struct nd_str text, Pb__InspectMode *ret) ND_CHECK_RESULT;

#endif
