/*
 * The record of a new container, by which it exists for containerd: what creation found out and
 * chose, as one message. The labels and the spec are made before (labels.c, spec_input.c).
 */

#include "creation_priv.h"

/* SystemdCgroup must agree with the path of the spec; BinaryName takes runc's place. */
static void
set_runtime_options(const struct creation *c, CtContainers__Runtime *runtime)
{
    CtTasks__RuncOptions options = CT_TASKS__RUNC_OPTIONS__INIT;
    Google__Protobuf__Any *any;
    size_t size;

    if (strcmp(c->plan->runtime, "io.containerd.runc.v2") != 0)
        return; /* another shim has options of its own, or none */
    options.systemd_cgroup = c->plan->systemd_cgroup;
    if (c->plan->runtime_binary != NULL)
        options.binary_name = (char *)c->plan->runtime_binary;
    any = nd_arena_new_object(c->arena, Google__Protobuf__Any);
    google__protobuf__any__init(any);
    size = ct_tasks__runc_options__get_packed_size(&options);
    any->type_url = (char *)ND_TYPE_RUNC_OPTIONS;
    any->value.data = nd_arena_alloc(c->arena, size + 1);
    any->value.len = ct_tasks__runc_options__pack(&options, any->value.data);
    runtime->options = any;
}

static void
set_record_labels(const struct creation *c, record *rec)
{
    rec->labels = nd_arena_new_array(c->arena, c->labels.n, CtContainers__Container__LabelsEntry *);
    for (size_t i = 0; i < c->labels.n; i++) {
        CtContainers__Container__LabelsEntry *entry =
            nd_arena_new_object(c->arena, CtContainers__Container__LabelsEntry);

        ct_containers__container__labels_entry__init(entry);
        entry->key = (char *)c->labels.at[i].key;
        entry->value = (char *)c->labels.at[i].value;
        rec->labels[rec->n_labels++] = entry;
    }
}

struct nd_error *
nd_creation_record(const struct creation *c)
{
    record rec = CT_CONTAINERS__CONTAINER__INIT;
    CtContainers__Runtime runtime = CT_CONTAINERS__RUNTIME__INIT;
    Google__Protobuf__Any spec = GOOGLE__PROTOBUF__ANY__INIT;

    spec.type_url = (char *)ND_TYPE_SPEC;
    spec.value.data = (uint8_t *)c->spec.ptr;
    spec.value.len = c->spec.len;
    runtime.name = (char *)c->plan->runtime;
    set_runtime_options(c, &runtime);
    rec.id = (char *)c->id;
    rec.image = (char *)c->image.name;
    rec.runtime = &runtime;
    rec.spec = &spec;
    rec.snapshotter = (char *)c->image.snapshotter;
    rec.snapshot_key = (char *)c->id;
    set_record_labels(c, &rec);
    return nd_container_record_create(c->cs, c->ns, &rec);
}
