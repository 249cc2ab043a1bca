/* See image_world.h. */

#include "image_world.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/random.h"
#include "containerd/containers.pb-c.h"
#include "containerd/content.pb-c.h"
#include "containerd/images.pb-c.h"
#include "containerd/leases.pb-c.h"
#include "containerd/snapshots.pb-c.h"

#define SNAPSHOTTER "native" /* works on every file system */

static struct nd_ctrd_scope
scope_of(struct image_world *w)
{
    return (struct nd_ctrd_scope){.ns = w->ns};
}

struct image_world *
image_world_begin(void)
{
    struct image_world *w = nd_new(struct image_world);
    char data_root[128], id[9];
    const struct nd_host_settings settings = {.containerd_address = containerd_socket(),
                                              .data_root = data_root,
                                              .default_namespace = "default",
                                              .snapshotter = SNAPSHOTTER,
                                              .helper_path = "/bin/true"};

    w->ctrd = world_begin();
    (void)snprintf(data_root, sizeof(data_root), "%s/data", containerd_dir());
    expect_ok(nd_host_new(&settings, &w->host));
    nd_random_hex(id, 4);
    (void)snprintf(w->ns, sizeof(w->ns), "t%s", id);
    w->arena = nd_arena_new(0);
    return w;
}

void
image_world_endp(struct image_world **w_ptr)
{
    struct image_world *w = ND_TAKE(*w_ptr);

    nd_host_free(w->host);
    world_endp(&w->ctrd);
    nd_arena_free(w->arena);
    nd_free(w);
}

/* Messages of a list that is a stream, counted by `count`. */
static size_t
count_stream(struct image_world *w, const struct nd_method_desc *method, const void *req,
             size_t (*count)(const void *message))
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    size_t n = 0;

    expect_ok(nd_ctrd_stream(w->ctrd->ctrd, scope_of(w), method, &call));
    expect_ok(nd_client_call_send(call, req));
    expect_ok(nd_client_call_finish_sending(call));
    for (;;) {
        const void *message;

        expect_ok(nd_client_call_recv(call, w->arena, &message));
        if (message == NULL)
            return n;
        n += count(message);
    }
}

static size_t
count_blobs(const void *message)
{
    return ((const CtContent__ListResponse *)message)->n_info;
}

static size_t
count_snapshots(const void *message)
{
    return ((const CtSnapshots__ListResponse *)message)->n_info;
}

struct remains
remains_in(struct image_world *w)
{
    CtContent__ListRequest blobs = CT_CONTENT__LIST_REQUEST__INIT;
    CtSnapshots__ListRequest snapshots = CT_SNAPSHOTS__LIST_REQUEST__INIT;
    CtContent__ListStatusesRequest ingests = CT_CONTENT__LIST_STATUSES_REQUEST__INIT;
    CtLeases__ListRequest leases = CT_LEASES__LIST_REQUEST__INIT;
    CtImages__ListRequest images = CT_IMAGES__LIST_REQUEST__INIT;
    CtContent__ListStatusesResponse *found_ingests;
    CtLeases__ListResponse *found_leases;
    CtImages__ListResponse *found_images;
    struct nd_ctrd *ctrd = w->ctrd->ctrd;
    struct remains r;

    snapshots.snapshotter = (char *)(uintptr_t)SNAPSHOTTER;
    r.blobs = count_stream(w, CT_CONTENT_LIST, &blobs, count_blobs);
    r.snapshots = count_stream(w, CT_SNAPSHOTS_LIST, &snapshots, count_snapshots);
    expect_ok(nd_ctrd_call(ctrd, scope_of(w), CT_CONTENT_LIST_STATUSES, &ingests, w->arena,
                           &found_ingests));
    expect_ok(nd_ctrd_call(ctrd, scope_of(w), CT_LEASES_LIST, &leases, w->arena, &found_leases));
    expect_ok(nd_ctrd_call(ctrd, scope_of(w), CT_IMAGES_LIST, &images, w->arena, &found_images));
    r.ingests = found_ingests->n_statuses;
    r.leases = found_leases->n_leases;
    r.names = found_images->n_images;
    return r;
}

void
assert_nothing_left(struct image_world *w, const char *after)
{
    struct remains r = remains_in(w);

    if (r.blobs + r.snapshots + r.ingests + r.leases + r.names == 0)
        return;
    print_error("after %s: %zu blobs, %zu snapshots, %zu ingests, %zu leases, %zu names\n", after,
                r.blobs, r.snapshots, r.ingests, r.leases, r.names);
    fail();
}

/* --- loading --- */

#define PIECE 70001 /* as no client would cut it */

static struct nd_error *
read_piece(void *arg, struct nd_str *ret)
{
    struct load_run *run = arg;

    if (run->fail_at != 0 && run->pos >= run->fail_at)
        return nd_error_new(ND_CANCELLED, "the client is gone");
    *ret = nd_str_sub(run->bytes, run->pos, PIECE);
    run->pos += ret->len;
    return nd_fiber_yield();
}

static struct nd_error *
on_progress(void *arg, const Pb__Progress *progress)
{
    struct load_run *run = arg;

    assert_true(progress->action[0] != '\0' && progress->id[0] != '\0');
    run->n_progress++;
    return NULL;
}

static struct nd_error *
on_loaded(void *arg, const Pb__Image *image)
{
    struct load_run *run = arg;

    assert_true(run->n_loaded < ND_LEN(run->name));
    (void)snprintf(run->name[run->n_loaded], sizeof(run->name[0]), "%s", image->name);
    (void)snprintf(run->digest[run->n_loaded], sizeof(run->digest[0]), "%s", image->digest);
    run->n_loaded++;
    return NULL;
}

struct nd_error *
load_with(struct image_world *w, struct load_run *run, const Pb__LoadOptions *options)
{
    const Pb__LoadOptions defaults = PB__LOAD_OPTIONS__INIT;
    const struct nd_image_load_io io = {
        .read = read_piece, .progress = on_progress, .loaded = on_loaded, .arg = run};

    return nd_image_load(w->host, w->ns, options != NULL ? options : &defaults, &io);
}

void
load_ok(struct image_world *w, struct nd_str archive)
{
    struct load_run run = {.bytes = archive};

    expect_ok(load_with(w, &run, NULL));
}

const char *
blob_label(struct image_world *w, const char *digest, const char *key)
{
    CtContent__InfoRequest req = CT_CONTENT__INFO_REQUEST__INIT;
    CtContent__InfoResponse *rsp;

    req.digest = (char *)(uintptr_t)digest;
    expect_ok(nd_ctrd_call(w->ctrd->ctrd, scope_of(w), CT_CONTENT_INFO, &req, w->arena, &rsp));
    for (size_t i = 0; i < rsp->info->n_labels; i++) {
        if (strcmp(rsp->info->labels[i]->key, key) == 0)
            return rsp->info->labels[i]->value;
    }
    return NULL;
}

void
make_container(struct image_world *w, const char *id, const char *image)
{
    CtContainers__CreateRequest req = CT_CONTAINERS__CREATE_REQUEST__INIT;
    CtContainers__Container container = CT_CONTAINERS__CONTAINER__INIT;
    CtContainers__Runtime runtime = CT_CONTAINERS__RUNTIME__INIT;
    Google__Protobuf__Any spec = GOOGLE__PROTOBUF__ANY__INIT;
    CtContainers__CreateResponse *rsp;
    static uint8_t empty[] = "{}";

    runtime.name = (char *)(uintptr_t) "io.containerd.runc.v2";
    spec.type_url = (char *)(uintptr_t)ND_TYPE_SPEC;
    spec.value = (ProtobufCBinaryData){.data = empty, .len = 2};
    container.id = (char *)(uintptr_t)id;
    container.image = (char *)(uintptr_t)image;
    container.runtime = &runtime;
    container.spec = &spec;
    req.container = &container;
    expect_ok(nd_ctrd_call(w->ctrd->ctrd, scope_of(w), CT_CONTAINERS_CREATE, &req, w->arena, &rsp));
}
