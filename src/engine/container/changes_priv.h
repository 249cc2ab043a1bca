#ifndef CONTAINER_CHANGES_PRIV_H
#define CONTAINER_CHANGES_PRIV_H

/*
 * The changes of this room: their kinds, as intents name them, and what stands in their payloads.
 */

#include "operation/change.h"

/* The payload is the snapshotter, where nothing else is said. */
#define CHANGE_CREATE "container.create" /* create and run */
#define CHANGE_VIEW   "snapshot.view"    /* the object is its key */

/* The snapshotter, newline, nd_container_record_birth(): another one may have the id by then. */
#define CHANGE_REMOVE        "container.remove" /* only what does not run */
#define CHANGE_REMOVE_FORCED "container.remove.forced"

#define CHANGE_RENAME "container.rename" /* new name, newline, old name */
#define CHANGE_STOP   "container.stop"   /* struct ending, stop_priv.h */
#define CHANGE_KILL   "container.kill"   /* the same */
#define CHANGE_SIGNAL "container.signal" /* the same */
#define CHANGE_EXEC   "container.exec"   /* the id of the command */
#define CHANGE_START  "container.start"  /* the process of the task that makes way, or nothing */

#endif
