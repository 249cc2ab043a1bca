#ifndef CONTAINER_CHANGES_PRIV_H
#define CONTAINER_CHANGES_PRIV_H

/* The changes of this room: their kinds, as intents name them, and what stands in their payloads. */

#include "operation/change.h"

/* The payload is the snapshotter. */
#define CHANGE_CREATE        "container.create" /* create and run */
#define CHANGE_REMOVE        "container.remove" /* only what does not run */
#define CHANGE_REMOVE_FORCED "container.remove.forced"
#define CHANGE_VIEW          "snapshot.view" /* the object is its key */

/* Without a payload. */
#define CHANGE_START "container.start"

#endif
