#ifndef STORE_NAMES_H
#define STORE_NAMES_H

/*
 * Names of containers, reserved in <store>/names/<namespace>/<name>, each change under the lock on
 * that directory. A reservation ends with the task, not with the container (the postStop hook frees
 * it), so labels have to be checked as well before a name is called free.
 *
 * Context of everything that touches the disk: fiber; suspends.
 */

#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"
#include "store/root.h"

/* ^[a-zA-Z0-9][a-zA-Z0-9_.-]+$, 2 to 255 bytes. Fails: ND_INVALID about the field "name". */
struct nd_error *nd_name_check(struct nd_str name) ND_CHECK_RESULT;

/*
 * Reserve: free, empty (torn by a crash) or held by `id` already is fine.
 * Fails: ND_EXISTS (another owner; its id is in the error's meta "owner"), ND_INVALID.
 */
struct nd_error *nd_name_acquire(struct nd_store *store, const char *ns, const char *name,
                                 const char *id) ND_CHECK_RESULT;

/* Give back. Fails: ND_NOT_FOUND (not reserved), ND_PRECONDITION (held by another id). */
struct nd_error *nd_name_release(struct nd_store *store, const char *ns, const char *name,
                                 const char *id) ND_CHECK_RESULT;

/*
 * After a crash: give back every name that `id` holds, whatever it is, and remove temporary files
 * that nobody writes any more. Reads every name of the namespace.
 */
struct nd_error *nd_names_release_all(struct nd_store *store, const char *ns,
                                      const char *id) ND_CHECK_RESULT;

/* The temporary files alone. */
struct nd_error *nd_names_sweep(struct nd_store *store, const char *ns) ND_CHECK_RESULT;

/*
 * Fails: ND_EXISTS (`new_name` is taken, even by the same id), ND_NOT_FOUND (`old_name` is not
 * reserved: its task was deleted), ND_PRECONDITION (held by another id).
 */
struct nd_error *nd_name_rename(struct nd_store *store, const char *ns, const char *old_name,
                                const char *id, const char *new_name) ND_CHECK_RESULT;

/* Who holds it: an id on the heap (nd_free()). Fails: ND_NOT_FOUND. */
struct nd_error *nd_name_owner(struct nd_store *store, const char *ns, const char *name,
                               char **ret_id) ND_CHECK_RESULT;

#endif
