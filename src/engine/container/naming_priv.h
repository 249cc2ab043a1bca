#ifndef CONTAINER_NAMING_PRIV_H
#define CONTAINER_NAMING_PRIV_H

/* Names of containers, taken and given back. Context of all: fiber. */

#include "store/root.h"

#include "containers_priv.h"

/* Fails: ND_EXISTS, reason NAME_IN_USE, the owner's id in the meta "owner". Both of these. */
struct nd_error *nd_naming_take(struct nd_store *store, const char *ns, const char *name,
                                const char *id) ND_CHECK_RESULT;
struct nd_error *nd_naming_check_free(struct nd_containers *cs, const char *ns, const char *name,
                                      struct nd_arena *arena) ND_CHECK_RESULT;

/* A name that has another owner by now, or none, is left alone. */
struct nd_error *nd_naming_give_back(struct nd_store *store, const char *ns, const char *name,
                                     const char *id) ND_CHECK_RESULT;

#endif
