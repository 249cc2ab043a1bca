/*
 * The calls of containerd that this room makes, each as a function of what varies in it.
 *
 * What can be repeated is made so here: deleting what is gone, signalling what has ended, are
 * successes. Errors of the shim arrive with the code UNKNOWN and a text for people; where a
 * decision hangs on them the task is asked for its state.
 */

#include "base/buf.h"
#include "container/limits.h"

#include "containers_priv.h"

static struct nd_ctrd *
ctrd(const struct nd_containers *cs)
{
    return nd_host_ctrd(cs->host);
}

static struct nd_ctrd_scope
scope_of(const char *ns)
{
    return (struct nd_ctrd_scope){.ns = ns};
}

/* Takes `err`; not there is fine. */
static struct nd_error *
unless_gone(struct nd_error *err)
{
    if (nd_error_code(err) != ND_NOT_FOUND)
        return err;
    nd_error_free(err);
    return NULL;
}

struct nd_error *
nd_container_record_get(struct nd_containers *cs, const char *ns, const char *id,
                        struct nd_arena *arena, record **ret)
{
    CtContainers__GetRequest req = CT_CONTAINERS__GET_REQUEST__INIT;
    CtContainers__GetResponse *rsp;

    req.id = (char *)id;
    ND_TRY(nd_ctrd_call(ctrd(cs), scope_of(ns), CT_CONTAINERS_GET, &req, arena, &rsp));
    if (rsp->container == NULL)
        return nd_error_new(ND_NOT_FOUND, "no record of container %s", id);
    *ret = rsp->container;
    return NULL;
}

void
nd_record_list_add(void *list, record *rec)
{
    struct record_list *l = list;

    if (l->n == l->cap) {
        size_t cap = l->cap == 0 ? 64 : 2 * l->cap;
        record **at = nd_arena_new_array(l->arena, cap, record *);

        for (size_t i = 0; i < l->n; i++)
            at[i] = l->at[i];
        l->at = at;
        l->cap = cap;
    }
    l->at[l->n++] = rec;
}

/* As a stream: a reply in one piece is at most 16 MiB, and a thousand specs are more. */
struct nd_error *
nd_container_record_each(struct nd_containers *cs, const char *ns, const struct record_reading *r)
{
    CtContainers__ListRequest req = CT_CONTAINERS__LIST_REQUEST__INIT;
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    while (r->filters != NULL && r->filters[req.n_filters] != NULL)
        req.n_filters++;
    req.filters = (char **)r->filters;
    ND_TRY(nd_ctrd_stream(ctrd(cs), scope_of(ns), CT_CONTAINERS_LIST_STREAM, &call));
    ND_TRY(nd_client_call_send(call, &req));
    ND_TRY(nd_client_call_finish_sending(call));
    for (;;) {
        CtContainers__ListStreamResponse *rsp;

        if (r->one_by_one)
            nd_arena_reset(r->arena);
        ND_TRY(nd_client_call_recv(call, r->arena, &rsp));
        if (rsp == NULL)
            return NULL;
        if (rsp->container != NULL)
            r->add(r->arg, rsp->container);
    }
}

struct nd_error *
nd_container_record_list(struct nd_containers *cs, const char *ns, const char *const *filters,
                         struct nd_arena *arena, record ***ret, size_t *ret_n)
{
    struct record_list l = {.arena = arena};
    const struct record_reading r = {
        .filters = filters, .arena = arena, .add = nd_record_list_add, .arg = &l};

    ND_TRY(nd_container_record_each(cs, ns, &r));
    *ret = l.at;
    *ret_n = l.n;
    return NULL;
}

struct nd_error *
nd_container_record_create(struct nd_containers *cs, const char *ns, record *rec)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtContainers__CreateRequest req = CT_CONTAINERS__CREATE_REQUEST__INIT;
    CtContainers__CreateResponse *rsp;

    req.container = rec;
    return nd_ctrd_call(ctrd(cs), scope_of(ns), CT_CONTAINERS_CREATE, &req, arena, &rsp);
}

struct nd_error *
nd_container_record_update(struct nd_containers *cs, const char *ns, record *rec, char **paths,
                           size_t n_paths)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtContainers__UpdateRequest req = CT_CONTAINERS__UPDATE_REQUEST__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    CtContainers__UpdateResponse *rsp;

    mask.n_paths = n_paths;
    mask.paths = paths;
    req.container = rec;
    req.update_mask = &mask;
    return nd_ctrd_call(ctrd(cs), scope_of(ns), CT_CONTAINERS_UPDATE, &req, arena, &rsp);
}

struct nd_error *
nd_container_record_set_label(struct nd_containers *cs, const char *ns, const char *id,
                              const char *key, const char *value)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtContainers__Container__LabelsEntry entry = CT_CONTAINERS__CONTAINER__LABELS_ENTRY__INIT;
    CtContainers__Container__LabelsEntry *entries[] = {&entry};
    record rec = CT_CONTAINERS__CONTAINER__INIT;
    char *path = nd_arena_printf(arena, "labels.%s", key);

    entry.key = (char *)key;
    entry.value = (char *)value;
    rec.id = (char *)id;
    rec.n_labels = 1;
    rec.labels = entries;
    return unless_gone(nd_container_record_update(cs, ns, &rec, &path, 1));
}

struct nd_error *
nd_container_record_delete(struct nd_containers *cs, const char *ns, const char *id)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtContainers__DeleteRequest req = CT_CONTAINERS__DELETE_REQUEST__INIT;
    void *rsp;

    req.id = (char *)id;
    return unless_gone(
        nd_ctrd_call(ctrd(cs), scope_of(ns), CT_CONTAINERS_DELETE, &req, arena, &rsp));
}

struct nd_error *
nd_snapshot_remove(struct nd_containers *cs, const char *ns, const char *snapshotter,
                   const char *key)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtSnapshots__RemoveRequest req = CT_SNAPSHOTS__REMOVE_REQUEST__INIT;
    void *rsp;

    req.snapshotter = (char *)snapshotter;
    req.key = (char *)key;
    return unless_gone(
        nd_ctrd_call(ctrd(cs), scope_of(ns), CT_SNAPSHOTS_REMOVE, &req, arena, &rsp));
}

struct nd_error *
nd_snapshot_prepare(struct nd_containers *cs, const char *ns, const struct snapshot_name *name,
                    struct nd_arena *arena, struct mounts *ret)
{
    CtSnapshots__PrepareRequest req = CT_SNAPSHOTS__PREPARE_REQUEST__INIT;
    CtSnapshots__PrepareResponse *rsp;

    req.snapshotter = (char *)name->snapshotter;
    req.key = (char *)name->key;
    req.parent = (char *)name->parent;
    ND_TRY(nd_ctrd_call(ctrd(cs), scope_of(ns), CT_SNAPSHOTS_PREPARE, &req, arena, &rsp));
    *ret = (struct mounts){rsp->mounts, rsp->n_mounts};
    return NULL;
}

struct nd_error *
nd_snapshot_mounts(struct nd_containers *cs, const char *ns, const char *snapshotter,
                   const char *key, struct nd_arena *arena, struct mounts *ret)
{
    CtSnapshots__MountsRequest req = CT_SNAPSHOTS__MOUNTS_REQUEST__INIT;
    CtSnapshots__MountsResponse *rsp;

    req.snapshotter = (char *)snapshotter;
    req.key = (char *)key;
    ND_TRY(nd_ctrd_call(ctrd(cs), scope_of(ns), CT_SNAPSHOTS_MOUNTS, &req, arena, &rsp));
    *ret = (struct mounts){rsp->mounts, rsp->n_mounts};
    return NULL;
}

struct nd_error *
nd_task_get(struct nd_containers *cs, const char *ns, const char *id, struct nd_arena *arena,
            task **ret)
{
    const struct process_name p = {cs, ns, id, ""};
    CtTasks__GetRequest req = CT_TASKS__GET_REQUEST__INIT;
    CtTasks__GetResponse *rsp = NULL;
    struct nd_error *err;

    req.container_id = (char *)id;
    err = nd_shim_call(&p, CT_TASKS_GET, &req, arena, &rsp);
    if (err != NULL && nd_error_code(err) != ND_NOT_FOUND)
        return err;
    *ret = err == NULL ? rsp->process : NULL;
    nd_error_free(err);
    return NULL;
}

struct nd_error *
nd_task_list(struct nd_containers *cs, const char *ns, struct nd_arena *arena, task ***ret,
             size_t *ret_n)
{
    CtTasks__ListRequest req = CT_TASKS__LIST_REQUEST__INIT;
    CtTasks__ListResponse *rsp;

    ND_TRY(nd_ctrd_call(ctrd(cs), scope_of(ns), CT_TASKS_LIST, &req, arena, &rsp));
    *ret = rsp->tasks;
    *ret_n = rsp->n_tasks;
    return NULL;
}

static struct nd_error *
delete_once(struct nd_containers *cs, const char *ns, const char *id, struct nd_arena *arena)
{
    const struct process_name p = {cs, ns, id, ""};
    CtTasks__DeleteRequest req = CT_TASKS__DELETE_REQUEST__INIT;
    CtTasks__DeleteResponse *rsp;

    req.container_id = (char *)id;
    return unless_gone(nd_shim_call(&p, CT_TASKS_DELETE, &req, arena, &rsp));
}

/*
 * While containerd cleans up behind a shim that died, it answers UNKNOWN; a moment later the task
 * is gone.
 */
struct nd_error *
nd_task_delete(struct nd_containers *cs, const char *ns, const char *id)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_mono until = {nd_loop_now().ns + ND_TASK_DELETE_RETRY_NS};

    for (;;) {
        struct nd_error *err = delete_once(cs, ns, id, arena);

        if (nd_error_code(err) != ND_UNKNOWN || nd_loop_now().ns >= until.ns)
            return err;
        nd_error_free(err);
        ND_TRY(nd_fiber_sleep(ND_TASK_DELETE_PAUSE_NS));
    }
}

struct nd_error *
nd_task_kill(struct nd_containers *cs, const char *ns, const char *id, int signo, bool all,
             bool *ret_gone)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const struct process_name p = {cs, ns, id, ""};
    CtTasks__KillRequest req = CT_TASKS__KILL_REQUEST__INIT;
    struct nd_error *err;
    void *rsp;

    req.container_id = (char *)id;
    req.signal = (uint32_t)signo;
    req.all = all;
    err = nd_shim_call(&p, CT_TASKS_KILL, &req, arena, &rsp);
    if (ret_gone != NULL)
        *ret_gone = nd_error_code(err) == ND_NOT_FOUND;
    return unless_gone(err);
}

struct nd_error *
nd_task_resume(struct nd_containers *cs, const char *ns, const char *id)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const struct process_name p = {cs, ns, id, ""};
    CtTasks__ResumeRequest req = CT_TASKS__RESUME_REQUEST__INIT;
    void *rsp;

    req.container_id = (char *)id;
    return nd_shim_call(&p, CT_TASKS_RESUME, &req, arena, &rsp);
}

/* One waits for the end of this process. */
struct awaited {
    struct nd_containers *cs;
    const char *ns, *id;
    uint32_t pid; /* 0: not known */
};

/* Until containerd is there. */
static struct nd_error *
get_patiently(const struct awaited *w, struct nd_arena *arena, task **ret)
{
    for (;;) {
        struct nd_error *err;

        nd_arena_reset(arena); /* it may be away for days */
        ND_TRY(nd_fiber_sleep(ND_WAIT_AGAIN_NS));
        err = nd_task_get(w->cs, w->ns, w->id, arena, ret);
        if (nd_error_code(err) != ND_UNAVAILABLE)
            return err;
        nd_error_free(err);
    }
}

/* While nobody could see it, the process may have ended and another one begun under its name. */
static struct nd_error *
check_is_same(const struct awaited *w)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    task *t;

    ND_TRY(get_patiently(w, arena, &t));
    if (w->pid == 0 || t == NULL || t->pid == 0 || t->pid == w->pid)
        return NULL;
    return nd_error_new(ND_NOT_FOUND, "container %.12s was started again meanwhile", w->id);
}

/*
 * The wait failed. When containerd restarts, its connections break while the task goes on: wait
 * again. When the shim died, the answer is UNKNOWN and the task is gone or will be; the status with
 * it.
 */
static struct nd_error *
look_after_wait(const struct awaited *w, struct nd_error *err, struct task_exit *ret,
                bool *ret_again)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_error_freep) struct nd_error *failure = err;
    enum nd_code code = nd_error_code(err);
    task *t;

    *ret_again = code == ND_UNAVAILABLE;
    if (code == ND_UNAVAILABLE)
        return check_is_same(w);
    if (code != ND_UNKNOWN)
        return ND_TAKE(failure);
    ND_TRY(nd_task_get(w->cs, w->ns, w->id, arena, &t));
    if (t == NULL)
        *ret = (struct task_exit){.code = 128 + 9, .at = nd_wall_now()};
    else if (t->status == CT_TASKS__STATUS__STOPPED)
        *ret = (struct task_exit){.code = t->exit_status, .at = nd_wall_of(t->exited_at)};
    else
        return ND_TAKE(failure);
    return NULL;
}

struct nd_error *
nd_task_wait(struct nd_containers *cs, const char *ns, const char *id, uint32_t pid,
             struct task_exit *ret)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const struct awaited w = {cs, ns, id, pid};
    CtTasks__WaitRequest req = CT_TASKS__WAIT_REQUEST__INIT;
    CtTasks__WaitResponse *rsp;
    bool again = true;

    req.container_id = (char *)id;
    while (again) {
        struct nd_error *err =
            nd_ctrd_call(ctrd(cs), scope_of(ns), CT_TASKS_WAIT, &req, arena, &rsp);

        if (err == NULL) {
            *ret = (struct task_exit){.code = rsp->exit_status, .at = nd_wall_of(rsp->exited_at)};
            return NULL;
        }
        ND_TRY(look_after_wait(&w, err, ret, &again));
    }
    return NULL;
}
