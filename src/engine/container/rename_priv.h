#ifndef CONTAINER_RENAME_PRIV_H
#define CONTAINER_RENAME_PRIV_H

/* What renaming and its recovery share. */

#include "store/lock.h"

#include "containers_priv.h"

struct names {
    const char *old_name; /* "": it had none */
    const char *new_name;
};

/*
 * Against nerdctl, which removes a container under this lock; NULL without a state folder. Context:
 * fiber.
 */
struct nd_error *nd_rename_lock(struct nd_containers *cs, const char *ns, const char *id,
                                struct nd_store_lock **ret) ND_CHECK_RESULT;

/*
 * The record has the new name: so do the hosts files, and the old one is given back. Can be
 * repeated. Context: fiber.
 */
struct nd_error *nd_rename_finish(struct nd_containers *cs, const char *ns, const char *id,
                                  const struct names *names) ND_CHECK_RESULT;

#endif
