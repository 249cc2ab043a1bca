#ifndef EVENT_PRIV_H
#define EVENT_PRIV_H

/* Payloads of events: what the table knows of them, and how they are decoded and printed. */

#include "containerd/events.h"

struct nd_json;

/* What is known of one kind of event. All static. */
struct nd_ctrd_event_kind {
    const char *type_url;
    const ProtobufCMessageDescriptor *payload;
    const char *type;     /* of the object */
    const char *action;   /* Docker's word, "" without one */
    const char *id_field; /* of the payload: the object's id or name */
};

/* The kind of an event and its payload; NULL when it is not known or cannot be decoded. */
const struct nd_ctrd_event_kind *
nd_ctrd_event_decode(const Ct__Envelope *event, struct nd_arena *arena, ProtobufCMessage **ret);

/* A text field of a message; "" when there is none of that name. */
const char *nd_ctrd_text_field(const ProtobufCMessage *message, const char *name);

/* A message as Go prints its generated struct: fields by number, zero values left out. */
struct nd_json *nd_ctrd_message_json(const ProtobufCMessage *message);

#endif
