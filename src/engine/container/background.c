/*
 * The object, and what goes on without anybody calling.
 *
 * A container that is to be removed when it has ended is removed by the daemon, whoever started it and
 * whether or not that client is still there. What tells is containerd's exit event; since events that were
 * sent while nobody listened are lost, every new beginning of the stream is followed by a look around, which
 * also finishes removals that a dying daemon left half done.
 *
 *   events ──exit of an init──▶ job: lock ─ wait for attached clients ─ is it still so? ─ remove
 *   look around ──────────────▶ the same
 *
 * One exception: a nerdctl command in the foreground removes its container itself, and reads the output
 * until then from FIFOs of its own. Such a container is left alone for a while, in case that command has
 * died.
 */

#include <errno.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "codec/pb.h"
#include "container/limits.h"
#include "containerd/event_payloads.pb-c.h"
#include "containerd/events.h"
#include "containerd/namespaces.pb-c.h"
#include "fiber/work.h"
#include "store/state.h"

#include "labels_priv.h"
#include "remove_priv.h"
#include "users_priv.h"

#define RETRY_MIN_NS (100 * ND_MILLISECOND)
#define RETRY_MAX_NS (5 * ND_SECOND)

struct nd_error *
nd_containers_new(struct nd_host *host, struct nd_containers **ret)
{
    struct nd_containers *cs = nd_new(struct nd_containers);

    cs->host = host;
    cs->holds = nd_map_new();
    cs->accounts = nd_accounts_new();
    *ret = cs;
    return NULL;
}

void
nd_containers_free(struct nd_containers *cs)
{
    if (cs == NULL)
        return;
    ND_INVARIANT(nd_map_count(cs->holds) == 0);
    nd_map_free(cs->holds);
    nd_accounts_free(cs->accounts);
    nd_free(cs);
}

void
nd_containers_freep(struct nd_containers **cs)
{
    nd_containers_free(*cs);
}

struct nd_host *
nd_containers_host(const struct nd_containers *cs)
{
    return cs->host;
}

struct nd_error *
nd_containers_store(struct nd_containers *cs, struct nd_store **ret)
{
    struct nd_error *err = nd_host_store(cs->host, ret);

    if (nd_error_code(err) != ND_UNAVAILABLE)
        return err;
    err = nd_error_component(nd_error_wrap(err, "containerd cannot be reached"), "containerd");
    err = nd_error_reason(err, "CONTAINERD_UNAVAILABLE");
    return nd_error_hint(err, "is containerd running? It is expected at %s",
                         nd_host_settings(cs->host)->containerd_address);
}

bool
nd_containers_spawn(struct nd_containers *cs, nd_fiber_fn *fn, void *arg)
{
    struct nd_error *err;

    if (cs->background == NULL)
        return false;
    err = nd_group_spawn_now(cs->background, fn, arg);
    if (err != NULL)
        nd_warn("no fiber for the background", ND_KV("error", err));
    nd_error_free(err);
    return err == NULL;
}

struct job {
    struct nd_containers *cs;
    char *ns, *id;
    bool undone; /* of a creation that failed: to be removed whatever it says */
};

static void
free_job(struct job **job)
{
    nd_free((*job)->ns);
    nd_free((*job)->id);
    nd_free(*job);
}

struct folder {
    const char *path;
    bool there;
};

static void
look_for_folder(void *arg)
{
    struct folder *folder = arg;

    folder->there = access(folder->path, F_OK) == 0 || errno != ENOENT;
}

/* Whether it ran once: a container that was only made waits for its start. */
static struct nd_error *
was_started(struct job *job, bool *ret)
{
    ND_AUTO(nd_state_freep) struct nd_state *state = NULL;
    struct nd_lifecycle lifecycle;
    struct folder folder = {0};
    struct nd_store *store;
    struct nd_error *err;

    ND_TRY(nd_containers_store(job->cs, &store));
    ND_TRY(nd_state_new(store, job->ns, job->id, &state));
    err = nd_state_read_lifecycle(state, &lifecycle);
    *ret = err == NULL;
    nd_error_free(err);
    if (*ret)
        return NULL;
    /* A removal that was cut short after its files: there is not even a folder any more. */
    folder.path = nd_state_path(state);
    ND_TRY(nd_work(ND_WORK_SHORT, look_for_folder, &folder));
    *ret = !folder.there;
    return NULL;
}

/* Whether the record says that it is to go; most do not. */
static bool
is_marked(const struct job *job, const record *rec)
{
    return job->undone || nd_container_record_label_is(rec, LABEL_REMOVING, "true") ||
           nd_container_record_label_is(rec, LABEL_AUTO_REMOVE, "true");
}

/* A removal that was begun must be finished, whatever the task does. */
static bool
is_forced(const struct job *job, const record *rec)
{
    return job->undone || nd_container_record_label_is(rec, LABEL_REMOVING, "true");
}

static struct nd_error *
is_due(struct job *job, const record *rec, struct nd_arena *arena, bool *ret)
{
    task *t;

    *ret = true;
    if (is_forced(job, rec))
        return NULL;
    *ret = is_marked(job, rec);
    if (!*ret)
        return NULL;
    ND_TRY(nd_task_get(job->cs, job->ns, job->id, arena, &t));
    if (t == NULL)
        return was_started(job, ret);
    *ret = t->status == CT_TASKS__STATUS__STOPPED;
    return NULL;
}

/* Leave it to the command that reads its FIFOs, for a while. */
static struct nd_error *
wait_for_foreign_client(struct job *job, struct nd_arena *arena)
{
    task *t;

    ND_TRY(nd_task_get(job->cs, job->ns, job->id, arena, &t));
    if (t == NULL || t->stdout[0] != '/')
        return NULL;
    return nd_fiber_sleep(ND_FOREIGN_REMOVE_NS);
}

static struct nd_error *
wait_for_readers(struct hold *hold)
{
    struct nd_error *err;

    {
        ND_DEADLINE_IN(ND_TEARDOWN_NS);
        err = nd_hold_wait_unused(hold);
    }
    if (nd_error_code(err) != ND_DEADLINE)
        return err;
    nd_error_free(err); /* a client that does not read does not keep it for ever */
    return nd_ctx_check();
}

static struct nd_error *
remove_if_due(struct job *job)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    record *rec;
    bool due;

    ND_TRY(nd_container_record_get(job->cs, job->ns, job->id, arena, &rec));
    if (!is_marked(job, rec))
        return NULL;
    if (!is_forced(job, rec))
        ND_TRY(wait_for_foreign_client(job, arena));
    ND_TRY(nd_hold_lock(job->cs, job->ns, job->id, &hold));
    ND_TRY(wait_for_readers(hold));
    ND_TRY(nd_container_record_get(job->cs, job->ns, job->id, arena, &rec));
    ND_TRY(is_due(job, rec, arena, &due));
    return due ? nd_remove_locked(job->cs, job->ns, rec, is_forced(job, rec), NULL) : NULL;
}

/* What containerd's absence left is tried until it is back; all else comes again by looking around. */
static struct nd_error *
remove_patiently(struct job *job)
{
    int64_t pause_ns = RETRY_MIN_NS;

    for (;;) {
        struct nd_error *err = remove_if_due(job);

        if (!job->undone || nd_error_code(err) != ND_UNAVAILABLE)
            return err;
        nd_error_free(err);
        ND_TRY(nd_fiber_sleep(pause_ns));
        pause_ns = ND_MIN(2 * pause_ns, RETRY_MAX_NS);
    }
}

static struct nd_error *
run_job(void *arg)
{
    ND_AUTO(free_job) struct job *job = arg;
    struct nd_error *err = remove_patiently(job);
    enum nd_code code = nd_error_code(err);

    /* Gone already; or the end of the program, or of containerd: the next look around does it. */
    if (code == ND_NOT_FOUND || code == ND_CANCELLED || code == ND_UNAVAILABLE) {
        nd_error_free(err);
        return NULL;
    }
    return err != NULL ? nd_error_wrap(err, "automatic removal of %.12s", job->id) : NULL;
}

static void
spawn_job(struct nd_containers *cs, const char *ns, const char *id, bool undone)
{
    struct job *job = nd_new(struct job);

    job->cs = cs;
    job->ns = nd_strdup(ns);
    job->id = nd_strdup(id);
    job->undone = undone;
    if (!nd_containers_spawn(cs, run_job, job))
        free_job(&job);
}

void
nd_remove_later(struct nd_containers *cs, const char *ns, const char *id)
{
    spawn_job(cs, ns, id, false);
}

void
nd_remove_undone(struct nd_containers *cs, const char *ns, const char *id)
{
    spawn_job(cs, ns, id, true);
}

static struct nd_error *
look_into_namespace(struct nd_containers *cs, const char *ns)
{
    static const char *const filters[] = {"labels.\"" LABEL_AUTO_REMOVE "\"==true",
                                          "labels.\"" LABEL_REMOVING "\"==true", NULL};
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    record **found;
    size_t n;

    ND_TRY(nd_container_record_list(cs, ns, filters, arena, &found, &n));
    for (size_t i = 0; i < n; i++)
        nd_remove_later(cs, ns, found[i]->id);
    return NULL;
}

static struct nd_error *
look_around(struct nd_containers *cs)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtNamespaces__ListRequest req = CT_NAMESPACES__LIST_REQUEST__INIT;
    CtNamespaces__ListResponse *rsp;

    ND_TRY(nd_ctrd_call(nd_host_ctrd(cs->host), (struct nd_ctrd_scope){0}, CT_NAMESPACES_LIST, &req,
                        arena, &rsp));
    for (size_t i = 0; i < rsp->n_namespaces; i++)
        ND_TRY(look_into_namespace(cs, rsp->namespaces[i]->name));
    return NULL;
}

/* The end of a container's first process; ends of others in it have another id. */
static void
on_event(struct nd_containers *cs, const Ct__Envelope *event, struct nd_arena *arena)
{
    ProtobufCMessage *message;
    const CtEvent__TaskExit *exit;
    struct nd_error *err;

    if (event->event == NULL || strcmp(event->topic, "/tasks/exit") != 0)
        return;
    err =
        nd_pb_decode(&ct_event__task_exit__descriptor,
                     nd_str_n(event->event->value.data, event->event->value.len), arena, &message);
    if (err != NULL) {
        nd_warn("event is not understood", ND_KV("error", err));
        nd_error_free(err);
        return;
    }
    exit = (const CtEvent__TaskExit *)message;
    if (strcmp(exit->id, exit->container_id) == 0)
        nd_remove_later(cs, event->namespace_, exit->container_id);
}

/* One life of the event stream. Fails: ND_UNAVAILABLE when it broke. */
static struct nd_error *
follow_events(struct nd_containers *cs, int64_t *retry_ns)
{
    static const char *const filters[] = {"topic==\"/tasks/exit\"", NULL};
    ND_AUTO(nd_ctrd_events_closep) struct nd_ctrd_events *events = NULL;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    struct nd_store *store;

    ND_TRY(nd_ctrd_events_open(nd_host_ctrd(cs->host), filters, &events));
    ND_TRY(nd_containers_store(cs, &store)); /* so that the first call finds it open */
    ND_TRY(look_around(cs));
    *retry_ns = RETRY_MIN_NS;
    for (;;) {
        const Ct__Envelope *event;

        nd_arena_reset(arena);
        ND_TRY(nd_ctrd_events_next(events, arena, &event));
        on_event(cs, event, arena);
    }
}

static void
forget_background(struct nd_containers **cs)
{
    (*cs)->background = NULL;
}

struct nd_error *
nd_containers_watch(void *containers)
{
    struct nd_containers *cs = containers;
    ND_AUTO(nd_group_endp)
    struct nd_group *group = nd_group_begin_independent("background of containers", 0);
    ND_AUTO(forget_background) struct nd_containers *owner = cs;
    int64_t retry_ns = RETRY_MIN_NS;

    cs->background = group;
    for (;;) {
        struct nd_error *err = follow_events(cs, &retry_ns);

        if (nd_error_code(err) == ND_CANCELLED)
            return err;
        if (nd_error_code(err) != ND_UNAVAILABLE)
            nd_warn("events of containers are lost for a moment", ND_KV("error", err));
        nd_error_free(err);
        ND_TRY(nd_fiber_sleep(retry_ns));
        retry_ns = ND_MIN(2 * retry_ns, RETRY_MAX_NS);
    }
}
