/*
 * What a dead daemon was doing to a container: taken back or finished, by the id alone.
 *
 *   container.create   a create or run: everything of it goes, task and record as well
 *   container.remove   goes on; one without force that had not been decided is forgotten
 *   container.start    the task of before goes, and one that was made and not started; one that
 *                      runs has been started
 *   container.rename   the record decides: with the new name it goes on, else that is given back
 *   container.kill     the process that was meant gets the signal again
 *   container.signal   left alone: it may have been sent
 *   container.stop     goes on, see stop.c
 *   container.exec     a command that was not started goes; one that runs has been started
 *   snapshot.view      goes
 *
 * Every step looks for itself whether there is something to do, because the daemon may have died at
 * any point, in a recovery too. The lock of the container is held, so a client that comes meanwhile
 * waits.
 *
 * After a power cut the ledger may have lost that a create was done, and the answer with it, so one
 * whose record and snapshot are there is whole and stays; and it is the answer to its request,
 * which when it is sent again must not make another one.
 */

#include "base/log.h"
#include "container/containers.h"
#include "container/lifecycle.h"
#include "operation/recovery.h"
#include "store/hosts.h"
#include "store/names.h"
#include "store/state.h"

#include "changes_priv.h"
#include "exec_priv.h"
#include "naming_priv.h"
#include "remove_priv.h"
#include "rename_priv.h"
#include "shims_priv.h"
#include "shm_priv.h"
#include "stop_priv.h"

/* Files below names of the id: for those whose record does not tell, or is not there. */
static struct nd_error *
sweep_files(struct nd_containers *cs, const char *ns, const char *id)
{
    ND_AUTO(nd_state_freep) struct nd_state *state = NULL;
    struct nd_store *store;

    ND_TRY(nd_containers_store(cs, &store));
    ND_TRY(nd_state_new(store, ns, id, &state));
    ND_TRY(nd_names_release_all(store, ns, id));
    ND_TRY(nd_hosts_remove(store, ns, id));
    ND_TRY(nd_shm_unmount(nd_state_path(state)));
    return nd_state_remove(state);
}

/* Whatever there is of a container. */
static struct nd_error *
wipe(struct nd_containers *cs, const struct nd_open_intent *intent, const record *rec)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const char *snapshotter =
        nd_arena_str(arena, nd_str_sub(intent->payload, 0, nd_str_find(intent->payload, '\n')));
    task *t;

    ND_TRY(nd_task_get(cs, intent->ns, intent->object, arena, &t));
    ND_TRY(nd_task_end(cs, intent->ns, intent->object, t));
    ND_TRY(nd_shims_end(intent->ns, intent->object));
    if (rec != NULL)
        ND_TRY(nd_remove_all_of(cs, intent->ns, rec));
    if (snapshotter[0] != '\0')
        ND_TRY(nd_snapshot_remove(cs, intent->ns, snapshotter, intent->object));
    return sweep_files(cs, intent->ns, intent->object);
}

/* `*ret` is NULL when there is no record. */
static struct nd_error *
find_record(struct nd_containers *cs, const struct nd_open_intent *intent, struct nd_arena *arena,
            record **ret)
{
    struct nd_error *err = nd_container_record_get(cs, intent->ns, intent->object, arena, ret);

    if (nd_error_code(err) != ND_NOT_FOUND)
        return err;
    nd_error_free(err);
    *ret = NULL;
    return NULL;
}

static struct nd_error *
is_whole(struct nd_containers *cs, const char *ns, const record *rec, struct nd_arena *arena,
         bool *ret)
{
    struct mounts mounts;
    struct nd_error *err =
        nd_snapshot_mounts(cs, ns, rec->snapshotter, rec->snapshot_key, arena, &mounts);

    *ret = err == NULL;
    if (nd_error_code(err) != ND_NOT_FOUND)
        return err;
    nd_error_free(err);
    return NULL;
}

/* What recoverers are called with. */
struct recovering {
    struct nd_containers *cs;
    const struct nd_open_intent *intent;
    struct nd_arena *arena;
    record *rec; /* NULL: there is none */
};

/* It has happened, and nobody takes it back. */
static struct nd_error *
finished(const struct recovering *r)
{
    *r->intent->recovered = ND_RECOVERED_DONE;
    return NULL;
}

static struct nd_error *
recover_create(struct recovering *r)
{
    bool whole = false;

    if (r->rec != NULL && !r->intent->same_boot)
        ND_TRY(is_whole(r->cs, r->intent->ns, r->rec, r->arena, &whole));
    return whole ? finished(r) : wipe(r->cs, r->intent, r->rec);
}

/* Programs that choose ids may have made another one since: all that is found by the id is its. */
static bool
is_another(const struct recovering *r)
{
    size_t newline = nd_str_find(r->intent->payload, '\n');

    return r->rec != NULL && newline != SIZE_MAX &&
           !nd_str_eqz(nd_str_from(r->intent->payload, newline + 1),
                       nd_container_record_birth(r->rec, r->arena));
}

/*
 * Without force only what does not run is removed, and that is looked at before anything is
 * changed.
 */
static struct nd_error *
recover_remove(struct recovering *r)
{
    task *t;

    ND_TRY(nd_task_get(r->cs, r->intent->ns, r->intent->object, r->arena, &t));
    if (!is_another(r)) {
        if (nd_task_is_alive(t))
            return NULL;
        ND_TRY(wipe(r->cs, r->intent, r->rec));
    }
    return finished(r);
}

static struct nd_error *
recover_forced_remove(struct recovering *r)
{
    if (!is_another(r))
        ND_TRY(wipe(r->cs, r->intent, r->rec));
    return finished(r);
}

static struct nd_error *
unmount_shm(struct recovering *r)
{
    ND_AUTO(nd_state_freep) struct nd_state *state = NULL;
    struct nd_store *store;

    ND_TRY(nd_containers_store(r->cs, &store));
    ND_TRY(nd_state_new(store, r->intent->ns, r->intent->object, &state));
    return nd_shm_unmount(nd_state_path(state));
}

static struct nd_error *
note_start(struct recovering *r)
{
    ND_AUTO(nd_state_freep) struct nd_state *state = NULL;
    struct nd_lifecycle lifecycle = {.started_at = nd_wall_now()};
    struct nd_store *store;

    ND_TRY(nd_containers_store(r->cs, &store));
    ND_TRY(nd_state_new(store, r->intent->ns, r->intent->object, &state));
    return nd_state_write_lifecycle(state, &lifecycle);
}

/* The task that was to make way. */
static bool
was_before(const struct recovering *r, const task *t)
{
    return nd_str_eqz(r->intent->payload, nd_arena_printf(r->arena, "%u", t->pid));
}

/*
 * Also without a task: a create, or the deletion of the task before, that was cut off may have left
 * a shim that is nobody's. Whether that deletion had begun nobody can tell, so it goes on.
 */
static struct nd_error *
recover_start(struct recovering *r)
{
    struct nd_store *store;
    task *t;

    ND_TRY(nd_containers_store(r->cs, &store));
    ND_TRY(nd_names_sweep(store, r->intent->ns));
    if (r->rec == NULL)
        return NULL;
    ND_TRY(nd_task_get(r->cs, r->intent->ns, r->intent->object, r->arena, &t));
    if (nd_task_is_alive(t)) {
        ND_TRY(note_start(r));
        return finished(r);
    }
    if (t != NULL && t->status == CT_TASKS__STATUS__STOPPED && !was_before(r, t))
        return finished(r);
    ND_TRY(nd_task_delete(r->cs, r->intent->ns, r->intent->object));
    ND_TRY(nd_shims_end(r->intent->ns, r->intent->object));
    return unmount_shm(r);
}

static struct nd_error *
recover_rename(struct recovering *r)
{
    const struct nd_open_intent *intent = r->intent;
    size_t newline = nd_str_find(intent->payload, '\n');
    const struct names names = {
        .new_name = nd_arena_str(r->arena, nd_str_sub(intent->payload, 0, newline)),
        .old_name = nd_arena_str(r->arena, nd_str_from(intent->payload, newline + 1)),
    };
    const char *name = r->rec != NULL ? nd_container_record_name(r->rec) : "";
    ND_AUTO(nd_store_lock_releasep) struct nd_store_lock *lock = NULL;
    struct nd_store *store;

    ND_TRY(nd_rename_lock(r->cs, intent->ns, intent->object, &lock));
    if (r->rec != NULL && strcmp(name, names.new_name) == 0) {
        ND_TRY(nd_rename_finish(r->cs, intent->ns, intent->object, &names));
        return finished(r);
    }
    ND_TRY(nd_containers_store(r->cs, &store));
    if (r->rec == NULL) /* removed since, by its name at that time */
        return nd_names_release_all(store, intent->ns, intent->object);
    ND_TRY(nd_names_sweep(store, intent->ns));
    ND_TRY(nd_naming_give_back(store, intent->ns, names.new_name, intent->object));
    if (strcmp(name, names.old_name) == 0)
        return NULL;
    /* Renamed once more since: nobody else gives the first name back. */
    return nd_naming_give_back(store, intent->ns, names.old_name, intent->object);
}

static struct nd_error *
recover_kill(struct recovering *r)
{
    ND_TRY(nd_kill_again(r->cs, r->intent, r->rec));
    return finished(r);
}

static struct nd_error *
recover_signal(void *cs, const struct nd_open_intent *intent)
{
    (void)cs;
    *intent->recovered = ND_RECOVERED_UNKNOWN;
    return NULL;
}

static struct nd_error *
recover_exec(struct recovering *r)
{
    return nd_exec_recover(r->cs, r->intent);
}

static struct nd_error *
recover_locked(struct nd_containers *cs, const struct nd_open_intent *intent,
               struct nd_error *(*fn)(struct recovering *r))
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    struct recovering r = {cs, intent, arena, NULL};

    ND_TRY(nd_hold_lock(cs, intent->ns, intent->object, &hold));
    ND_TRY(find_record(cs, intent, arena, &r.rec));
    return fn(&r);
}

static struct nd_error *
recover_view(void *cs, const struct nd_open_intent *intent)
{
    return nd_snapshot_remove(cs, intent->ns, intent->payload.ptr, intent->object);
}

#define RECOVERER(name)                                                                     \
    static struct nd_error *name##_by_intent(void *cs, const struct nd_open_intent *intent) \
    {                                                                                       \
        return recover_locked(cs, intent, name);                                            \
    }

RECOVERER(recover_create)
RECOVERER(recover_remove)
RECOVERER(recover_forced_remove)
RECOVERER(recover_start)
RECOVERER(recover_rename)
RECOVERER(recover_kill)
RECOVERER(recover_exec)

void
nd_containers_recover_by(struct nd_containers *cs, struct nd_recovery *recovery)
{
    cs->recovery = recovery;
    nd_recovery_add_making(recovery, CHANGE_CREATE, recover_create_by_intent, cs);
    nd_recovery_add(recovery, CHANGE_REMOVE, recover_remove_by_intent, cs);
    nd_recovery_add(recovery, CHANGE_REMOVE_FORCED, recover_forced_remove_by_intent, cs);
    nd_recovery_add(recovery, CHANGE_START, recover_start_by_intent, cs);
    nd_recovery_add(recovery, CHANGE_RENAME, recover_rename_by_intent, cs);
    nd_recovery_add(recovery, CHANGE_KILL, recover_kill_by_intent, cs);
    nd_recovery_add(recovery, CHANGE_SIGNAL, recover_signal, cs);
    nd_recovery_add(recovery, CHANGE_EXEC, recover_exec_by_intent, cs);
    nd_recovery_add_patient(recovery, CHANGE_STOP, nd_recover_stop, cs);
    nd_recovery_add(recovery, CHANGE_VIEW, recover_view, cs);
}
