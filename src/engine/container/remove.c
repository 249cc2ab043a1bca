/*
 * Removing a container.
 *
 *   intent ─▶ process ends ─┬─▶ task ───────────────┬─▶ snapshot
 *                           └─▶ name ─▶ hosts file ─┴─▶ shared memory ─▶ state folder ─▶ record
 *
 * Deleting the task takes longest. Name and hosts file need not wait for it, unless the spec has
 * hooks: nerdctl's free them themselves when the task goes.
 *
 * Nobody can take a removal back, so it rolls forward: every step is fine with what is gone
 * already, and the record, by which the container is found, goes after all that is found by it. (A
 * snapshot without its record is garbage to containerd, so it need not wait for that.) What a
 * daemon that dies in the middle leaves is finished by the next one (recover.c), and what fails in
 * the middle by this one. What could not be removed although the container is gone is told as a
 * warning.
 */

#include <signal.h>

#include "base/log.h"
#include "container/lifecycle.h"
#include "container/limits.h"
#include "store/hosts.h"
#include "store/state.h"

#include "changes_priv.h"
#include "labels_priv.h"
#include "naming_priv.h"
#include "remove_priv.h"
#include "shm_priv.h"

#define MAX_WARNINGS 16u

struct removal {
    bool strict; /* what cannot be removed is an error */
    bool incomplete;
    struct nd_error *missed;
    struct nd_containers *cs;
    const char *ns;
    const record *rec;
    struct nd_arena *arena;
    struct nd_store *store;
    struct nd_state *state;
    struct warnings *warnings;
    bool freed; /* name and hosts file have gone */
};

static void
warn(struct removal *r, const char *what, struct nd_error *err)
{
    ND_AUTO(nd_error_freep) struct nd_error *owned = err;
    struct warnings *w = r->warnings;

    if (err == NULL || nd_error_code(err) == ND_NOT_FOUND)
        return;
    r->incomplete = true;
    if (r->strict) {
        nd_error_free(r->missed);
        r->missed = nd_error_wrap(ND_TAKE(owned), "%s", what);
        return;
    }
    nd_warn("container is removed, but not all of it", ND_KV("container", (const char *)r->rec->id),
            ND_KV("what", what), ND_KV("error", err));
    if (w == NULL || w->n == MAX_WARNINGS)
        return;
    if (w->at == NULL)
        w->at = nd_arena_new_array(w->arena, MAX_WARNINGS, char *);
    w->at[w->n++] = nd_arena_printf(w->arena, "%s: %s", what, nd_error_message(err));
}

static struct nd_error *
is_running(const struct removal *r, const char *status)
{
    struct nd_error *err =
        nd_error_new(ND_PRECONDITION,
                     "container %s is in %s status. unpause/stop container first or force removal",
                     r->rec->id, status);

    err = nd_error_meta(nd_error_reason(err, "CONTAINER_RUNNING"), "container", r->rec->id);
    return nd_error_hint(err, "stop it first, or remove it with force");
}

/* Refuse before anything is changed. */
static struct nd_error *
check_task(struct removal *r, bool force, task **ret)
{
    ND_TRY(nd_task_get(r->cs, r->ns, r->rec->id, r->arena, ret));
    if (*ret == NULL || force)
        return NULL;
    switch ((*ret)->status) {
    case CT_TASKS__STATUS__RUNNING:
        return is_running(r, "running");
    case CT_TASKS__STATUS__PAUSED:
        return is_running(r, "paused");
    case CT_TASKS__STATUS__PAUSING:
        return is_running(r, "pausing");
    default:
        return NULL;
    }
}

bool
nd_task_is_alive(const task *t)
{
    return t != NULL &&
           (t->status == CT_TASKS__STATUS__RUNNING || t->status == CT_TASKS__STATUS__PAUSED ||
            t->status == CT_TASKS__STATUS__PAUSING);
}

/* Kill it and wait for its end. A task of which nobody knows the state is left to its deletion. */
static struct nd_error *
end_process(struct nd_containers *cs, const char *ns, const char *id, const task *t)
{
    struct task_exit exit;
    struct nd_error *err;
    bool gone;

    if (!nd_task_is_alive(t))
        return NULL;
    ND_TRY(nd_task_kill(cs, ns, id, SIGKILL, true, &gone));
    if (gone)
        return NULL;
    ND_DEADLINE_IN(ND_KILL_WAIT_NS);
    err = nd_task_wait(cs, ns, id, t->pid, &exit);
    if (nd_error_code(err) != ND_NOT_FOUND)
        return err != NULL ? nd_error_wrap(err, "container %.12s does not end", id) : NULL;
    nd_error_free(err);
    return NULL;
}

/* Also without a task: a containerd that died while it made one has a shim that is nobody's. */
struct nd_error *
nd_task_end(struct nd_containers *cs, const char *ns, const char *id, const task *t)
{
    ND_TRY(end_process(cs, ns, id, t));
    ND_TRY_DOING(nd_task_delete(cs, ns, id), "delete the task");
    return NULL;
}

/* So that containerd starts it no more. */
static struct nd_error *
stop_restarts(struct removal *r)
{
    if (!nd_container_record_label_is(r->rec, LABEL_RESTART_STATUS, "running"))
        return NULL;
    return nd_container_record_set_label(r->cs, r->ns, r->rec->id, LABEL_RESTART_STATUS, "stopped");
}

static bool
has_shm(struct removal *r)
{
    const struct nd_json *ipc;

    nd_container_record_json_label(r->rec, LABEL_IPC, r->arena, &ipc);
    return nd_str_eqz(nd_json_string(nd_json_find(ipc, "mode")), "shareable");
}

static void
free_name_and_hosts(struct removal *r)
{
    const char *name = nd_container_record_name(r->rec);

    if (name[0] != '\0')
        warn(r, "release the name", nd_naming_give_back(r->store, r->ns, name, r->rec->id));
    warn(r, "remove the hosts file", nd_hosts_remove(r->store, r->ns, r->rec->id));
    r->freed = true;
}

/* What nerdctl keeps of it on disk. */
static void
remove_files(struct removal *r)
{
    const char *dir = nd_container_record_label(r->rec, LABEL_STATE_DIR);

    if (!r->freed)
        free_name_and_hosts(r);
    if (has_shm(r))
        warn(r, "unmount shared memory", nd_shm_unmount(nd_state_path(r->state)));
    warn(r, "remove the state folder", nd_state_remove(r->state));
    if (dir != NULL && strcmp(dir, nd_state_path(r->state)) != 0 && !r->strict)
        warn(r, "remove the state folder",
             nd_error_new(ND_PRECONDITION, "%s lies in another data root and stays", dir));
}

static struct nd_error *
remove_snapshot(void *arg)
{
    struct removal *r = arg;

    if (r->rec->snapshot_key[0] != '\0')
        warn(r, "remove the snapshot",
             nd_snapshot_remove(r->cs, r->ns, r->rec->snapshotter, r->rec->snapshot_key));
    return NULL;
}

static struct nd_error *
remove_files_and_record(void *arg)
{
    struct removal *r = arg;

    remove_files(r);
    return nd_container_record_delete(r->cs, r->ns, r->rec->id);
}

static struct nd_error *
remove_what_is_left(struct removal *r)
{
    ND_AUTO(nd_group_endp) struct nd_group *both = nd_group_begin("remove container", 0);

    ND_TRY(nd_group_spawn(both, remove_files_and_record, r));
    ND_TRY(nd_group_spawn(both, remove_snapshot, r));
    return nd_group_wait(both);
}

static bool
may_have_hooks(const record *rec)
{
    return rec->spec == NULL || nd_str_search(nd_str_n(rec->spec->value.data, rec->spec->value.len),
                                              ND_STR("\"hooks\"")) != SIZE_MAX;
}

static struct nd_error *
delete_task(void *arg)
{
    struct removal *r = arg;

    return nd_task_end(r->cs, r->ns, r->rec->id, NULL);
}

static struct nd_error *
free_beside(void *arg)
{
    free_name_and_hosts(arg);
    return NULL;
}

/* One that has ended, and whose end nobody else has to do with. */
static struct nd_error *
delete_task_and_free(struct removal *r)
{
    ND_AUTO(nd_group_endp) struct nd_group *both = nd_group_begin("delete task", 0);

    ND_TRY(nd_group_spawn(both, delete_task, r));
    ND_TRY(nd_group_spawn(both, free_beside, r));
    return nd_group_wait(both);
}

static struct nd_error *
remove_shielded(struct removal *r, const task *t)
{
    ND_AUTO(nd_store_lock_releasep) struct nd_store_lock *lock = NULL;

    ND_TRY(nd_state_lock_operation(r->state, &lock));
    ND_TRY(stop_restarts(r));
    if (nd_task_is_alive(t) || may_have_hooks(r->rec))
        ND_TRY(nd_task_end(r->cs, r->ns, r->rec->id, t));
    else
        ND_TRY(delete_task_and_free(r));
    nd_store_lock_release(ND_TAKE(lock)); /* it lies in the folder that goes now */
    return remove_what_is_left(r);
}

/* One that removes itself is marked from its birth: after a power cut that tells as much. */
static struct nd_error *
begin(const struct removal *r, bool force, struct nd_change *ret)
{
    const struct nd_change_spec spec = {
        .kind = force ? CHANGE_REMOVE_FORCED : CHANGE_REMOVE,
        .ns = r->ns,
        .object = r->rec->id,
        .payload = nd_str(nd_arena_printf(r->arena, "%s\n%s", r->rec->snapshotter,
                                          nd_container_record_birth(r->rec, r->arena))),
        .forward = true,
        .lazy = nd_container_record_label_is(r->rec, LABEL_AUTO_REMOVE, "true"),
    };

    return nd_change_begin(r->cs->host, &spec, ret);
}

/* The record goes last, and stays as long as anything else does. */
struct nd_error *
nd_remove_all_of(struct nd_containers *cs, const char *ns, const record *rec)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_state_freep) struct nd_state *state = NULL;
    struct removal r = {.strict = true, .cs = cs, .ns = ns, .rec = rec, .arena = arena};

    ND_TRY(nd_containers_store(cs, &r.store));
    ND_TRY(nd_state_new(r.store, ns, rec->id, &state));
    r.state = state;
    remove_files(&r);
    ND_TRY(remove_snapshot(&r));
    if (r.missed != NULL)
        return ND_TAKE(r.missed);
    return nd_container_record_delete(cs, ns, rec->id);
}

struct nd_error *
nd_remove_locked(struct nd_containers *cs, const char *ns, const record *rec, bool force,
                 struct warnings *warnings)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_state_freep) struct nd_state *state = NULL;
    ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;
    struct removal r = {.cs = cs, .ns = ns, .rec = rec, .arena = arena, .warnings = warnings};
    task *t;

    nd_doing("remove container");
    ND_TRY(begin(&r, force, &change));
    ND_TRY(nd_containers_store(cs, &r.store));
    ND_TRY(nd_state_new(r.store, ns, rec->id, &state));
    r.state = state;
    ND_TRY(check_task(&r, force, &t));
    ND_SHIELDED(ND_TEARDOWN_NS);
    ND_TRY(nd_change_ready(&change));
    ND_TRY(remove_shielded(&r, t));
    if (!r.incomplete)
        nd_change_settle(&change); /* else the recovery goes on: the disk may come to its senses */
    nd_info("container removed", ND_KV("container", (const char *)rec->id));
    return NULL;
}

struct nd_error *
nd_container_remove(struct nd_containers *cs, const char *ns,
                    const Pb__ContainerServiceRemoveRequest *req, struct nd_arena *arena,
                    Pb__ContainerServiceRemoveResponse *rsp)
{
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    struct warnings warnings = {.arena = arena};
    record *rec;

    ND_TRY(nd_container_find_locked(cs, ns, req->container, arena, &rec, &hold));
    if (req->volumes && nd_container_record_label(rec, LABEL_ANONYMOUS_VOLUMES) != NULL)
        return nd_error_reason(nd_error_recode(nd_error_field("volumes", "volumes are not part of "
                                                                         "this version"),
                                               ND_UNIMPLEMENTED),
                               "NOT_SUPPORTED");
    ND_TRY(nd_remove_locked(cs, ns, rec, req->force, &warnings));
    rsp->container_id = rec->id;
    rsp->warnings = warnings.at;
    rsp->n_warnings = warnings.n;
    return NULL;
}
