/* See host_world.h. */

#include "host_world.h"

#include <stdio.h>

#include "base/alloc.h"
#include "containerd/containers.pb-c.h"
#include "containerd/events.pb-c.h"
#include "containerd/images.pb-c.h"

static char *
text(const char *borrowed)
{
    return (char *)(uintptr_t)borrowed;
}

struct host_world *
host_world_begin(void)
{
    struct host_world *hw = nd_new(struct host_world);
    char data_root[128];
    const struct nd_host_settings settings = {
        .containerd_address = containerd_socket(),
        .data_root = data_root,
        .default_namespace = "default",
        .snapshotter = "native",
        .helper_path = "/bin/true",
    };

    (void)snprintf(data_root, sizeof(data_root), "%s/data", containerd_dir());
    expect_ok(nd_host_new(&settings, &hw->host));
    expect_ok(nd_containers_new(hw->host, &hw->containers));
    hw->world = world_begin_with(nd_host_ctrd(hw->host));
    hw->arena = nd_arena_new(0);
    return hw;
}

void
host_world_endp(struct host_world **hw_ptr)
{
    struct host_world *hw = ND_TAKE(*hw_ptr);

    nd_arena_free(hw->arena);
    world_endp(&hw->world);
    nd_containers_free(hw->containers);
    nd_host_free(hw->host);
    nd_free(hw);
}

static struct nd_error *
call(struct host_world *hw, const char *ns, const struct nd_method_desc *method, const void *req)
{
    void *rsp;

    return nd_ctrd_call(nd_host_ctrd(hw->host), (struct nd_ctrd_scope){.ns = ns}, method, req,
                        hw->arena, &rsp);
}

void
make_container(struct host_world *hw, const char *ns, const char *id, const char *name,
               const char *app)
{
    CtContainers__Container__LabelsEntry labels[] = {CT_CONTAINERS__CONTAINER__LABELS_ENTRY__INIT,
                                                     CT_CONTAINERS__CONTAINER__LABELS_ENTRY__INIT};
    CtContainers__Container__LabelsEntry *list[] = {&labels[0], &labels[1]};
    CtContainers__Container c = CT_CONTAINERS__CONTAINER__INIT;
    CtContainers__Runtime runtime = CT_CONTAINERS__RUNTIME__INIT;
    CtContainers__CreateRequest req = CT_CONTAINERS__CREATE_REQUEST__INIT;
    Google__Protobuf__Any spec = GOOGLE__PROTOBUF__ANY__INIT;

    labels[0].key = text("nerdctl/name");
    labels[0].value = text(name);
    labels[1].key = text("app");
    labels[1].value = text(app);
    runtime.name = text("io.containerd.runc.v2");
    spec.type_url = text(ND_TYPE_SPEC);
    spec.value.data = (uint8_t *)text("{}");
    spec.value.len = 2;
    c.id = text(id);
    c.image = text("docker.io/library/made:1");
    c.runtime = &runtime;
    c.spec = &spec;
    c.labels = list;
    c.n_labels = 2;
    req.container = &c;
    expect_ok(call(hw, ns, CT_CONTAINERS_CREATE, &req));
}

void
rename_container(struct host_world *hw, const char *ns, const char *id, const char *name)
{
    CtContainers__Container__LabelsEntry label = CT_CONTAINERS__CONTAINER__LABELS_ENTRY__INIT;
    CtContainers__Container__LabelsEntry *list[] = {&label};
    CtContainers__Container c = CT_CONTAINERS__CONTAINER__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    CtContainers__UpdateRequest req = CT_CONTAINERS__UPDATE_REQUEST__INIT;
    char *paths[] = {text("labels.nerdctl/name")};

    label.key = text("nerdctl/name");
    label.value = text(name);
    c.id = text(id);
    c.labels = list;
    c.n_labels = 1;
    mask.paths = paths;
    mask.n_paths = 1;
    req.container = &c;
    req.update_mask = &mask;
    expect_ok(call(hw, ns, CT_CONTAINERS_UPDATE, &req));
}

void
delete_container(struct host_world *hw, const char *ns, const char *id)
{
    CtContainers__DeleteRequest req = CT_CONTAINERS__DELETE_REQUEST__INIT;

    req.id = text(id);
    expect_ok(call(hw, ns, CT_CONTAINERS_DELETE, &req));
}

void
make_image(struct host_world *hw, const char *ns, const char *name, const char *app)
{
    CtImages__Image__LabelsEntry label = CT_IMAGES__IMAGE__LABELS_ENTRY__INIT, *list[] = {&label};
    CtImages__CreateRequest req = CT_IMAGES__CREATE_REQUEST__INIT;
    CtImages__Image image = CT_IMAGES__IMAGE__INIT;
    Ct__Descriptor target = CT__DESCRIPTOR__INIT;

    target.media_type = text("application/vnd.oci.image.manifest.v1+json");
    target.digest = text("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    target.size = 1;
    label.key = text("app");
    label.value = text(app);
    image.name = text(name);
    image.labels = list;
    image.n_labels = 1;
    image.target = &target;
    req.image = &image;
    expect_ok(call(hw, ns, CT_IMAGES_CREATE, &req));
}

void
publish_note(struct host_world *hw, const char *ns)
{
    CtEvents__PublishRequest req = CT_EVENTS__PUBLISH_REQUEST__INIT;
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

    any.type_url = text("test.Note");
    req.topic = text("/test/note");
    req.event = &any;
    expect_ok(call(hw, ns, CT_EVENTS_PUBLISH, &req));
}
