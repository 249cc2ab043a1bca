#ifndef CODEC_PB_WALK_PRIV_H
#define CODEC_PB_WALK_PRIV_H

/* Walking through a decoded message by its descriptor. */

#include "codec/pb.h"

/*
 * The nested messages of a field whose type is a message: one pointer, or an array of them; how
 * many. Context: any.
 */
size_t nd_pb_nested(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                    ProtobufCMessage *const **ret);

#endif
