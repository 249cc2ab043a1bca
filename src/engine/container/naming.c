/*
 * Who has a name.
 *
 * Names are reserved by files (store/names.h). Such a reservation ends with the task where
 * nerdctl's hooks are at work, so the labels of containers are asked as well before a name counts
 * as free.
 */

#include "store/names.h"

#include "naming_priv.h"

static struct nd_error *
name_in_use(const char *name, const char *owner)
{
    struct nd_error *err =
        nd_error_new(ND_EXISTS, "name \"%s\" is already used by ID \"%s\"", name, owner);

    err = nd_error_meta(nd_error_reason(err, "NAME_IN_USE"), "owner", owner);
    return nd_error_hint(err, "remove or rename that container, or use another name");
}

/* The owner is in the error of the store already. */
struct nd_error *
nd_naming_take(struct nd_store *store, const char *ns, const char *name, const char *id)
{
    struct nd_error *err = nd_name_acquire(store, ns, name, id), *in_use;
    const char *owner = "";

    if (nd_error_code(err) != ND_EXISTS)
        return err;
    for (size_t i = 0; i < nd_error_n_meta(err); i++) {
        if (strcmp(nd_error_meta_key(err, i), "owner") == 0)
            owner = nd_error_meta_value(err, i);
    }
    in_use = name_in_use(name, owner);
    nd_error_free(err);
    return in_use;
}

struct nd_error *
nd_naming_check_free(struct nd_containers *cs, const char *ns, const char *name,
                     struct nd_arena *arena)
{
    char *owner;

    ND_TRY(nd_container_name_owner(cs, ns, name, arena, &owner));
    return owner != NULL ? name_in_use(name, owner) : NULL;
}

struct nd_error *
nd_naming_give_back(struct nd_store *store, const char *ns, const char *name, const char *id)
{
    struct nd_error *err = nd_name_release(store, ns, name, id);

    switch (nd_error_code(err)) {
    case ND_NOT_FOUND:
    case ND_PRECONDITION:
    case ND_INVALID: /* a label of another program that cannot be a file */
        nd_error_free(err);
        return NULL;
    default:
        return err;
    }
}
