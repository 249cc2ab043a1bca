/*
 * The kinds of events: which message is inside, which object it is about, and what Docker calls it.
 *
 * containerd's events are finer than Docker's: a task is created and deleted within what Docker
 * calls start and die, and those have no word of their own. It is also coarser: a name that appears
 * in the image store was pulled, loaded, built or given by tag, which the event does not tell; a
 * new name is called "pull", another target for a name "tag".
 */

#include "codec/pb.h"
#include "containerd/event_payloads.pb-c.h"
#include "containerd/images.pb-c.h"

#include "event_priv.h"

/* clang-format off */
static const struct nd_ctrd_event_kind kinds[] = {
    {"containerd.events.ContainerCreate",  &ct_event__container_create__descriptor,   "container", "create",      "id"},
    {"containerd.events.ContainerUpdate",  &ct_event__container_update__descriptor,   "container", "update",      "id"},
    {"containerd.events.ContainerDelete",  &ct_event__container_delete__descriptor,   "container", "destroy",     "id"},
    {"containerd.events.TaskCreate",       &ct_event__task_create__descriptor,        "container", "",            "container_id"},
    {"containerd.events.TaskStart",        &ct_event__task_start__descriptor,         "container", "start",       "container_id"},
    {"containerd.events.TaskExit",         &ct_event__task_exit__descriptor,          "container", "die",         "container_id"},
    {"containerd.events.TaskDelete",       &ct_event__task_delete__descriptor,        "container", "",            "container_id"},
    {"containerd.events.TaskOOM",          &ct_event__task_oom__descriptor,           "container", "oom",         "container_id"},
    {"containerd.events.TaskExecAdded",    &ct_event__task_exec_added__descriptor,    "container", "exec_create", "container_id"},
    {"containerd.events.TaskExecStarted",  &ct_event__task_exec_started__descriptor,  "container", "exec_start",  "container_id"},
    {"containerd.events.TaskPaused",       &ct_event__task_paused__descriptor,        "container", "pause",       "container_id"},
    {"containerd.events.TaskResumed",      &ct_event__task_resumed__descriptor,       "container", "unpause",     "container_id"},
    {"containerd.events.TaskCheckpointed", &ct_event__task_checkpointed__descriptor,  "container", "checkpoint",  "container_id"},
    {"containerd.services.images.v1.ImageCreate", &ct_images__image_create__descriptor, "image",   "pull",        "name"},
    {"containerd.services.images.v1.ImageUpdate", &ct_images__image_update__descriptor, "image",   "tag",         "name"},
    {"containerd.services.images.v1.ImageDelete", &ct_images__image_delete__descriptor, "image",   "delete",      "name"},
    {"containerd.events.ContentCreate",    &ct_event__content_create__descriptor,     "content",   "",            "digest"},
    {"containerd.events.ContentDelete",    &ct_event__content_delete__descriptor,     "content",   "",            "digest"},
    {"containerd.events.SnapshotPrepare",  &ct_event__snapshot_prepare__descriptor,   "snapshot",  "",            "key"},
    {"containerd.events.SnapshotCommit",   &ct_event__snapshot_commit__descriptor,    "snapshot",  "",            "name"},
    {"containerd.events.SnapshotRemove",   &ct_event__snapshot_remove__descriptor,    "snapshot",  "",            "key"},
    {"containerd.events.NamespaceCreate",  &ct_event__namespace_create__descriptor,   "namespace", "",            "name"},
    {"containerd.events.NamespaceUpdate",  &ct_event__namespace_update__descriptor,   "namespace", "",            "name"},
    {"containerd.events.NamespaceDelete",  &ct_event__namespace_delete__descriptor,   "namespace", "",            "name"},
};

/* The type of objects by the first component of the topic, for payloads that are not known. */
static const struct {
    struct nd_str prefix;
    const char *type;
} topics[] = {
    {ND_STR("/containers/"),   "container"},
    {ND_STR("/tasks/"),        "container"},
    {ND_STR("/images/"),       "image"},
    {ND_STR("/content/"),      "content"},
    {ND_STR("/snapshot/"),     "snapshot"},
    {ND_STR("/namespaces/"),   "namespace"},
    {ND_STR("/nerdctl-grpc/"), "daemon"},
};
/* clang-format on */

const struct nd_ctrd_event_kind *
nd_ctrd_event_decode(const Ct__Envelope *event, struct nd_arena *arena, ProtobufCMessage **ret)
{
    const struct nd_ctrd_event_kind *kind = NULL;
    struct nd_error *err;

    for (size_t i = 0; event->event != NULL && i < ND_LEN(kinds); i++)
        if (strcmp(kinds[i].type_url, event->event->type_url) == 0)
            kind = &kinds[i];
    if (kind == NULL)
        return NULL;
    err = nd_pb_decode(kind->payload, nd_str_n(event->event->value.data, event->event->value.len),
                       arena, ret);
    nd_error_free(err);
    return err == NULL ? kind : NULL;
}

const char *
nd_ctrd_text_field(const ProtobufCMessage *message, const char *name)
{
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);

    if (f == NULL || f->type != PROTOBUF_C_TYPE_STRING || f->label == PROTOBUF_C_LABEL_REPEATED)
        return "";
    return *(const char *const *)((const char *)message + f->offset);
}

static const char *
type_of_topic(const char *topic)
{
    for (size_t i = 0; i < ND_LEN(topics); i++)
        if (nd_str_starts(nd_str(topic), topics[i].prefix))
            return topics[i].type;
    return "";
}

static bool
is_exit_of_exec(const ProtobufCMessage *payload)
{
    if (payload->descriptor != &ct_event__task_exit__descriptor)
        return false;
    return strcmp(nd_ctrd_text_field(payload, "id"), nd_ctrd_text_field(payload, "container_id")) !=
           0;
}

void
nd_ctrd_event_name(const Ct__Envelope *event, struct nd_arena *arena,
                   struct nd_ctrd_event_name *ret)
{
    ProtobufCMessage *payload;
    const struct nd_ctrd_event_kind *kind = nd_ctrd_event_decode(event, arena, &payload);

    if (kind == NULL) {
        *ret = (struct nd_ctrd_event_name){type_of_topic(event->topic), "", ""};
        return;
    }
    ret->type = kind->type;
    ret->action = is_exit_of_exec(payload) ? "exec_die" : kind->action;
    ret->id = nd_ctrd_text_field(payload, kind->id_field);
}
