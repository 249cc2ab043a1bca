/*
 * A container as lists and inspect show it: record and task put together; ports, start and sizes
 * come from files and snapshots and are asked for apart, because they cost.
 */

#include <stdio.h>

#include "container/limits.h"
#include "store/state.h"

#include "labels_priv.h"
#include "spec_args_priv.h"
#include "status_priv.h"
#include "view_priv.h"

static void
set_labels(const record *rec, Pb__Container *view, struct nd_arena *arena)
{
    Pb__Container__LabelsEntry *entries =
        nd_arena_new_array(arena, rec->n_labels, Pb__Container__LabelsEntry);

    view->labels = nd_arena_new_array(arena, rec->n_labels, Pb__Container__LabelsEntry *);
    for (size_t i = 0; i < rec->n_labels; i++) {
        pb__container__labels_entry__init(&entries[i]);
        entries[i].key = rec->labels[i]->key;
        entries[i].value = rec->labels[i]->value;
        view->labels[i] = &entries[i];
    }
    view->n_labels = rec->n_labels;
}

static char *
text_of(const char *text)
{
    return (char *)(text != NULL ? text : "");
}

const struct nd_json *
nd_view_mount_labels(const record *rec, struct nd_arena *arena)
{
    const struct nd_json *whole;
    struct nd_json *list;
    struct nd_error *err;
    char key[64];

    nd_container_record_json_label(rec, LABEL_MOUNTS, arena, &whole);
    if (nd_json_type(whole) == ND_JSON_ARRAY)
        return whole;
    list = nd_json_new_array();
    for (unsigned i = 0;; i++) {
        const char *text;
        struct nd_json *mount;

        (void)snprintf(key, sizeof(key), LABEL_MOUNTS ".%u", i);
        text = nd_container_record_label(rec, key);
        if (text == NULL)
            break;
        err = nd_json_parse(nd_str(text), NULL, &mount);
        if (err == NULL)
            nd_json_push(list, mount);
        nd_error_free(err);
    }
    nd_arena_defer(arena, (void (*)(void *))nd_json_free, list);
    return list;
}

static char *
member(const struct nd_json *object, const char *key, struct nd_arena *arena)
{
    return nd_arena_str(arena, nd_json_string(nd_json_find(object, key)));
}

static void
set_mount(Pb__Mount *mount, const struct nd_json *label, struct nd_arena *arena)
{
    struct nd_str rest = nd_json_string(nd_json_find(label, "Mode")), option;
    char *name = member(label, "Name", arena);
    bool rw = true;
    struct nd_error *err = nd_json_get_bool(label, "RW", &rw);

    nd_error_free(err);
    pb__mount__init(mount);
    mount->type = member(label, "Type", arena);
    mount->source = name[0] != '\0' ? name : member(label, "Source", arena);
    mount->target = member(label, "Destination", arena);
    mount->read_only = !rw;
    mount->options = nd_arena_new_array(arena, rest.len / 2 + 1, char *);
    while (nd_str_next(&rest, ',', &option)) {
        if (option.len > 0)
            mount->options[mount->n_options++] = nd_arena_str(arena, option);
    }
}

static void
set_mounts(const record *rec, Pb__Container *view, struct nd_arena *arena)
{
    const struct nd_json *labels = nd_view_mount_labels(rec, arena);
    size_t n = nd_json_count(labels);

    view->mounts = nd_arena_new_array(arena, n, Pb__Mount *);
    for (size_t i = 0; i < n; i++) {
        view->mounts[i] = nd_arena_new_object(arena, Pb__Mount);
        set_mount(view->mounts[i], nd_json_at(labels, i), arena);
    }
    view->n_mounts = n;
}

static void
set_task(const task *t, Pb__Container *view, struct nd_arena *arena)
{
    if (t == NULL)
        return;
    if (t->status != CT_TASKS__STATUS__STOPPED) {
        view->pid = t->pid;
        return;
    }
    view->exit = nd_arena_new_object(arena, Pb__ExitStatus);
    pb__exit_status__init(view->exit);
    view->exit->code = t->exit_status;
    view->exit->exited_at = nd_timestamp_of(nd_wall_of(t->exited_at), arena);
}

Pb__Container *
nd_view_make(const record *rec, const task *t, struct nd_wall now, struct nd_arena *arena)
{
    Pb__Container *view = nd_arena_new_object(arena, Pb__Container);
    const struct nd_json *networks;

    pb__container__init(view);
    view->id = rec->id;
    view->name = text_of(nd_container_record_label(rec, LABEL_NAME));
    view->image = rec->image;
    if (rec->spec != NULL)
        nd_spec_args(nd_str_n(rec->spec->value.data, rec->spec->value.len), arena, &view->command,
                     &view->n_command);
    view->created_at = nd_timestamp_of(nd_wall_of(rec->created_at), arena);
    view->state = nd_state_of(rec, t);
    set_task(t, view, arena);
    view->status = (char *)nd_status_text(rec, t, now, arena);
    set_labels(rec, view, arena);
    nd_container_record_json_label(rec, LABEL_NETWORKS, arena, &networks);
    view->networks = nd_json_list(networks, arena, &view->n_networks);
    if (rec->runtime != NULL)
        view->runtime = rec->runtime->name;
    view->platform = text_of(nd_container_record_label(rec, LABEL_PLATFORM));
    view->snapshotter = rec->snapshotter;
    set_mounts(rec, view, arena);
    return view;
}

struct nd_error *
nd_view_add_ports(struct nd_containers *cs, const char *ns, Pb__Container *view,
                  struct nd_arena *arena)
{
    ND_AUTO(nd_state_freep) struct nd_state *state = NULL;
    const struct nd_port_mapping *ports;
    struct nd_store *store;
    size_t n;

    ND_TRY(nd_containers_store(cs, &store));
    ND_TRY(nd_state_new(store, ns, view->id, &state));
    ND_TRY(nd_state_read_ports(state, arena, &ports, &n));
    view->ports = nd_arena_new_array(arena, n, Pb__PortMapping *);
    for (size_t i = 0; i < n; i++) {
        Pb__PortMapping *port = nd_arena_new_object(arena, Pb__PortMapping);

        pb__port_mapping__init(port);
        port->host_ip = (char *)ports[i].host_ip;
        port->host_port = (uint32_t)ports[i].host_port;
        port->container_port = (uint32_t)ports[i].container_port;
        port->protocol = (char *)ports[i].protocol;
        view->ports[view->n_ports++] = port;
    }
    return NULL;
}

struct nd_error *
nd_view_add_start(struct nd_containers *cs, const char *ns, Pb__Container *view,
                  struct nd_arena *arena)
{
    ND_AUTO(nd_state_freep) struct nd_state *state = NULL;
    struct nd_lifecycle lifecycle;
    struct nd_store *store;
    struct nd_error *err;

    ND_TRY(nd_containers_store(cs, &store));
    ND_TRY(nd_state_new(store, ns, view->id, &state));
    err = nd_state_read_lifecycle(state, &lifecycle);
    if (err == NULL)
        view->started_at = nd_timestamp_of(lifecycle.started_at, arena);
    if (nd_error_code(err) == ND_CANCELLED || nd_error_code(err) == ND_DEADLINE)
        return err;
    nd_error_free(err); /* never started, or by somebody who does not write it */
    return NULL;
}

/* What one snapshot holds, without its parents; 0 when it is gone. */
static struct nd_error *
usage_of(struct nd_containers *cs, const char *ns, const char *snapshotter, const char *key,
         int64_t *ret)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    CtSnapshots__UsageRequest req = CT_SNAPSHOTS__USAGE_REQUEST__INIT;
    CtSnapshots__UsageResponse *rsp = NULL;
    struct nd_error *err;

    req.snapshotter = (char *)snapshotter;
    req.key = (char *)key;
    err = nd_ctrd_call(nd_host_ctrd(cs->host), (struct nd_ctrd_scope){.ns = ns}, CT_SNAPSHOTS_USAGE,
                       &req, arena, &rsp);
    if (err != NULL && nd_error_code(err) != ND_NOT_FOUND)
        return err;
    *ret = err == NULL ? rsp->size : 0;
    nd_error_free(err);
    return NULL;
}

/* The parent's key; "" when there is none, or the snapshot is gone. */
static struct nd_error *
parent_of(struct nd_containers *cs, const char *ns, const char *snapshotter, const char *key,
          struct nd_arena *arena, const char **ret)
{
    CtSnapshots__StatRequest req = CT_SNAPSHOTS__STAT_REQUEST__INIT;
    CtSnapshots__StatResponse *rsp = NULL;
    struct nd_error *err;

    req.snapshotter = (char *)snapshotter;
    req.key = (char *)key;
    err = nd_ctrd_call(nd_host_ctrd(cs->host), (struct nd_ctrd_scope){.ns = ns}, CT_SNAPSHOTS_STAT,
                       &req, arena, &rsp);
    if (err != NULL && nd_error_code(err) != ND_NOT_FOUND)
        return err;
    *ret = err == NULL && rsp->info != NULL ? rsp->info->parent : "";
    nd_error_free(err);
    return NULL;
}

struct nd_error *
nd_view_add_sizes(struct nd_containers *cs, const char *ns, const record *rec, Pb__Container *view)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const char *key = rec->snapshot_key;
    int64_t total = 0, size;

    for (unsigned i = 0; key[0] != '\0' && i < ND_SIZE_MAX_LAYERS; i++) {
        ND_TRY(usage_of(cs, ns, rec->snapshotter, key, &size));
        if (i == 0)
            view->size_rw = size;
        total += size;
        ND_TRY(parent_of(cs, ns, rec->snapshotter, key, arena, &key));
    }
    view->size_root_fs = total;
    return NULL;
}
