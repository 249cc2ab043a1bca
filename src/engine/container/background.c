/*
 * The object, and what goes on without anybody calling.
 *
 * What tells of a container's end is containerd's exit event; since events that were sent while
 * nobody listened are lost, every new beginning of the stream is followed by a look around. What is
 * done about it is in removals.c.
 *
 *   events ──exit of an init──▶ removal, if it is due
 *   look around ──────────────▶ the same
 */

#include "base/alloc.h"
#include "base/log.h"
#include "codec/pb.h"
#include "container/limits.h"
#include "containerd/event_payloads.pb-c.h"
#include "containerd/events.h"
#include "containerd/namespaces.pb-c.h"
#include "operation/recovery.h"

#include "exec_priv.h"
#include "finished_priv.h"
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
    cs->removals = nd_map_new();
    cs->stops = nd_map_new();
    cs->execs = nd_map_new();
    cs->finished = nd_finished_new();
    cs->silent = nd_map_new();
    cs->accounts = nd_accounts_new();
    *ret = cs;
    return NULL;
}

void
nd_containers_free(struct nd_containers *cs)
{
    if (cs == NULL)
        return;
    ND_INVARIANT(nd_map_count(cs->holds) == 0 && nd_map_count(cs->removals) == 0 &&
                 nd_map_count(cs->stops) == 0 && nd_map_count(cs->silent) == 0);
    nd_map_free(cs->holds);
    nd_map_free(cs->removals);
    nd_map_free(cs->stops);
    nd_map_free(cs->execs);
    nd_map_free(cs->silent);
    nd_accounts_free(cs->accounts);
    nd_finished_free(cs->finished);
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
    void *request = nd_ctx_get(ND_CTX_OPERATION);
    struct nd_error *err;

    if (cs->background == NULL)
        return false;
    nd_ctx_set(ND_CTX_OPERATION, NULL); /* it is no part of the request that happens to begin it */
    err = nd_group_spawn_now(cs->background, fn, arg);
    nd_ctx_set(ND_CTX_OPERATION, request);
    if (err != NULL)
        nd_warn("no fiber for the background", ND_KV("error", err));
    nd_error_free(err);
    return err == NULL;
}

static struct nd_error *
look_into_namespace(struct nd_containers *cs, const char *ns)
{
    static const char *const filters[] = {"labels.\"" LABEL_AUTO_REMOVE "\"==true", NULL};
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
    for (size_t i = 0; i < rsp->n_namespaces; i++) {
        struct nd_error *err = look_into_namespace(cs, rsp->namespaces[i]->name);

        if (nd_error_code(err) == ND_UNAVAILABLE || nd_error_code(err) == ND_CANCELLED)
            return err;
        if (err != NULL) /* one that is being deleted, say: that is no reason to leave the others */
            nd_warn("namespace is passed over", ND_KV("namespace", rsp->namespaces[i]->name),
                    ND_KV("error", err));
        nd_error_free(err);
    }
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

/*
 * Behind the recovery, to which a command that has ended, and is still known, says that its request
 * was done.
 */
static struct nd_error *
sweep_commands(void *containers)
{
    struct nd_containers *cs = containers;
    struct nd_error *err = NULL;

    nd_doing("look for commands of before");
    if (cs->recovery != NULL)
        err = nd_recovery_wait_for_tries(cs->recovery);
    if (err == NULL)
        err = nd_exec_sweep(cs);
    cs->swept = err == NULL;
    return err;
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
    if (!cs->swept)
        cs->swept = nd_containers_spawn(cs, sweep_commands, cs);
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
