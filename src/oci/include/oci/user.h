#ifndef OCI_USER_H
#define OCI_USER_H

/*
 * Who a process runs as: "uid", "name", "uid:gid", "name:group" looked up in the text of an image's
 * /etc/passwd and /etc/group. Follows: contracts/nerdctl-interop.md 4.1. Context: any.
 */

#include "base/arena.h"
#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"

#define ND_USER_MAX_GROUPS 1024 /* additional groups of one process */

struct nd_user {
    uint32_t uid, gid;
    uint32_t *gids; /* additional ones, in the order of /etc/group; in the arena */
    size_t n_gids;
    const char *home; /* of /etc/passwd, "" without an entry; in the arena */
};

struct nd_user_query {
    struct nd_str text;           /* what the user gave; "" is root: uid 0 */
    struct nd_str passwd, group;  /* the files' texts; empty: only numbers work */
    const char *const *group_add; /* more groups, by name or number */
    size_t n_group_add;
};

/*
 * Lines of the files that do not parse are skipped.
 * Fails: ND_NOT_FOUND for a name that is not there, ND_INVALID for bad syntax and numbers out of
 *        range, ND_EXHAUSTED over ND_USER_MAX_GROUPS.
 */
struct nd_error *nd_user_resolve(const struct nd_user_query *query, struct nd_arena *arena,
                                 struct nd_user *ret) ND_CHECK_RESULT;

#endif
