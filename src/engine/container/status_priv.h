#ifndef CONTAINER_STATUS_PRIV_H
#define CONTAINER_STATUS_PRIV_H

/* What a container does, as state and as words. Context of all: any. */

#include "nerdctl/v1/container.pb-c.h"

#include "containers_priv.h"

/* From the record and its task (NULL: none). */
Pb__ContainerState nd_state_of(const record *rec, const task *t);

/* "Up", "Exited (0) 5 seconds ago", ...; in the arena. */
const char *nd_status_text(const record *rec, const task *t, struct nd_wall now,
                           struct nd_arena *arena);

/* "created", "running", "paused", "exited", "restarting", "unknown": docker's word; static. */
const char *nd_state_word(Pb__ContainerState state);

/* "Less than a second", "5 minutes", "About an hour", ... */
void nd_age_text(int64_t age_ns, struct nd_buf *buf);

#endif
