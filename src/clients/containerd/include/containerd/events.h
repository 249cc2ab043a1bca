#ifndef CONTAINERD_EVENTS_H
#define CONTAINERD_EVENTS_H

/*
 * The event stream with a known beginning: after nd_ctrd_events_open() has returned, every event is
 * delivered (a barrier event made sure). Follows: contracts/containerd-api.md 4.8, 6.2.
 */

#include "containerd/client.h"
#include "containerd/types.pb-c.h"

struct nd_ctrd_events;

/* `filters` in containerd's language, NULL-terminated; NULL: everything. Context: fiber. */
struct nd_error *nd_ctrd_events_open(struct nd_ctrd *ctrd, const char *const *filters,
                                     struct nd_ctrd_events **ret) ND_CHECK_RESULT;

/*
 * The next event, decoded into `arena`; our own barrier events are left out.
 * Fails: ND_UNAVAILABLE when the connection broke: events may be lost, open again and list.
 */
struct nd_error *nd_ctrd_events_next(struct nd_ctrd_events *events, struct nd_arena *arena,
                                     const Ct__Envelope **ret) ND_CHECK_RESULT;
void nd_ctrd_events_close(struct nd_ctrd_events *events); /* NULL is fine */
void nd_ctrd_events_closep(struct nd_ctrd_events **events);

/*
 * The payload as a JSON object, fields in the order and with the names that containerd's Go client
 * prints; types that are not known give {"type_url":...}. And Docker's word for the event.
 */
struct nd_buf;
struct nd_error *nd_ctrd_event_json(const Ct__Envelope *event, struct nd_buf *buf) ND_CHECK_RESULT;
struct nd_ctrd_event_name {
    const char *type;   /* "container", "image", ...; static */
    const char *action; /* "create", "start", "die", ...; "" without one; static */
    const char *id;     /* of the object; in the arena of the event, "" without one */
};
void nd_ctrd_event_name(const Ct__Envelope *event, struct nd_arena *arena,
                        struct nd_ctrd_event_name *ret);

#endif
