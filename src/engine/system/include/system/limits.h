#ifndef SYSTEM_LIMITS_H
#define SYSTEM_LIMITS_H

/* The limits of this room, with their units. */

#include "base/clock.h"

#define ND_EVENTS_MAX_FILTERS 64u    /* of one request */
#define ND_EVENTS_QUEUE_MAX   1024u  /* events that wait for a slow client */
#define ND_EVENTS_KNOWN_MAX   16384u /* containers whose names and labels a filter remembers */
#define ND_EVENTS_REOPEN_NS   (200 * ND_MILLISECOND) /* between attempts while containerd is down */

#endif
