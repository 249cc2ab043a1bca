#ifndef CONTAINER_USERS_PRIV_H
#define CONTAINER_USERS_PRIV_H

/* Who a process of an image runs as. */

#include "oci/user.h"

#include "containers_priv.h"

struct accounts *nd_accounts_new(void) __attribute__((__returns_nonnull__));
void nd_accounts_free(struct accounts *accounts); /* NULL is fine */

/* Whom to look up, and in which image. Texts are borrowed. */
struct account_query {
    const char *ns, *snapshotter, *chain_id; /* of the image's top layer */
    const char *user;                        /* "" is root */
    char *const *group_add;
    size_t n_group_add;
};

/*
 * Resolve a user in the accounts of an image, whose files are read once and remembered.
 * Fails: as nd_user_resolve(). Context: fiber.
 */
struct nd_error *nd_accounts_resolve(struct nd_containers *cs, const struct account_query *query,
                                     struct nd_arena *arena, struct nd_user *ret) ND_CHECK_RESULT;

/*
 * Takes `err`, of a call that needs a layer of an image that was there: when there is no such
 * layer, somebody has removed the image meanwhile. That is ND_ABORTED, reason IMAGE_REMOVED.
 * Context: any.
 */
struct nd_error *nd_unless_image_removed(struct nd_error *err) ND_CHECK_RESULT;

/*
 * The directories that an overlay or bind mount shows, the uppermost first; false for other mounts.
 */
bool nd_mount_layers(const Ct__Mount *mount, struct nd_arena *arena, const char ***ret,
                     size_t *ret_n);

#endif
