/*
 * An image record as the API shows it: names as people write them, and for each platform that is
 * here the sizes of its blobs and of its unpacked layers.
 *
 * Sizes of blobs stand in the manifest. The size of the unpacked image is the sum over its chain of
 * snapshots, one question each; a chain that is not there is not unpacked.
 */

#include "base/buf.h"
#include "base/log.h"
#include "base/map.h"
#include "image/limits.h"
#include "oci/reference.h"

#include "present_priv.h"

struct presenting {
    struct nd_host *host;
    const char *ns;
    struct nd_arena *arena;
};

Google__Protobuf__Timestamp *
nd_time_or_null(const Google__Protobuf__Timestamp *at)
{
    /* Servers in Go send the year 1 for "never". */
    return at != NULL && at->seconds > 0 ? (Google__Protobuf__Timestamp *)(uintptr_t)at : NULL;
}

static void
present_names(struct presenting *p, const char *name, Pb__Image *image)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    struct nd_reference ref;

    image->repository = nd_arena_strdup(p->arena, "<none>");
    image->tag = nd_arena_strdup(p->arena, "<none>");
    image->familiar_name = nd_arena_strdup(p->arena, name);
    err = nd_reference_parse(nd_str(name), p->arena, &ref);
    if (err != NULL)
        return;
    image->familiar_name = nd_arena_strdup(p->arena, nd_reference_familiar(&ref, p->arena));
    image->repository = nd_arena_strdup(p->arena, nd_reference_familiar_repository(&ref));
    if (ref.tag[0] != '\0')
        image->tag = nd_arena_strdup(p->arena, ref.tag);
}

static void
present_labels(struct presenting *p, const CtImages__Image *record, Pb__Image *image)
{
    image->n_labels = record->n_labels;
    image->labels = nd_arena_new_array(p->arena, record->n_labels + 1, Pb__Image__LabelsEntry *);
    for (size_t i = 0; i < record->n_labels; i++) {
        image->labels[i] = nd_arena_new_object(p->arena, Pb__Image__LabelsEntry);
        pb__image__labels_entry__init(image->labels[i]);
        image->labels[i]->key = record->labels[i]->key;
        image->labels[i]->value = record->labels[i]->value;
    }
}

/* Bytes of one committed snapshot; *ret_there false when there is none. */
static struct nd_error *
snapshot_usage(struct presenting *p, const char *chain_id, int64_t *ret, bool *ret_there)
{
    CtSnapshots__UsageRequest req = CT_SNAPSHOTS__USAGE_REQUEST__INIT;
    CtSnapshots__UsageResponse *rsp;
    struct nd_error *err;

    req.snapshotter = (char *)(uintptr_t)nd_host_settings(p->host)->snapshotter;
    req.key = (char *)(uintptr_t)chain_id;
    err = nd_ctrd_call(nd_host_ctrd(p->host), (struct nd_ctrd_scope){.ns = p->ns},
                       CT_SNAPSHOTS_USAGE, &req, p->arena, &rsp);
    *ret_there = err == NULL;
    if (nd_error_code(err) == ND_NOT_FOUND) {
        nd_error_free(err);
        return NULL;
    }
    ND_TRY(err);
    *ret = rsp->size;
    return NULL;
}

static struct nd_error *
unpacked_size(struct presenting *p, const struct nd_oci_config *config, int64_t *ret)
{
    int64_t sum = 0;

    for (size_t i = config->n_diff_ids; i > 0; i--) {
        int64_t size = 0;
        bool there;

        ND_TRY(snapshot_usage(p, nd_oci_chain_id(config, i, p->arena), &size, &there));
        if (!there)
            return NULL; /* the top is missing: not unpacked */
        sum += size;
    }
    *ret = sum;
    return NULL;
}

static Pb__Platform *
present_platform(struct presenting *p, const struct nd_platform *platform)
{
    Pb__Platform *shown = nd_arena_new_object(p->arena, Pb__Platform);

    pb__platform__init(shown);
    shown->os = nd_arena_strdup(p->arena, platform->os);
    shown->architecture = nd_arena_strdup(p->arena, platform->architecture);
    shown->variant = nd_arena_strdup(p->arena, platform->variant);
    return shown;
}

static void
present_created(struct presenting *p, const struct nd_oci_config *config, Pb__ImagePlatform *shown)
{
    if (!config->has_created || config->created.sec <= 0)
        return;
    shown->created_at = nd_arena_new_object(p->arena, Google__Protobuf__Timestamp);
    google__protobuf__timestamp__init(shown->created_at);
    shown->created_at->seconds = config->created.sec;
    shown->created_at->nanos = config->created.nsec;
}

/*
 * Sizes are what a manifest claims; where their sum has no meaning it stays at the largest number.
 */
static void
add_size(int64_t *sum, int64_t size)
{
    if (__builtin_add_overflow(*sum, size, sum))
        *sum = INT64_MAX;
}

static struct nd_error *
present_manifest(struct presenting *p, const struct nd_tree_manifest *m, Pb__ImagePlatform **ret)
{
    Pb__ImagePlatform *shown = nd_arena_new_object(p->arena, Pb__ImagePlatform);

    pb__image_platform__init(shown);
    shown->platform = present_platform(p, &m->platform);
    shown->manifest_digest = nd_arena_strdup(p->arena, m->digest);
    shown->available = m->config != NULL;
    *ret = shown;
    if (m->manifest == NULL)
        return NULL;
    shown->config_digest = nd_arena_strdup(p->arena, m->manifest->config.digest);
    add_size(&shown->blob_size, m->size);
    add_size(&shown->blob_size, m->manifest->config.size);
    for (size_t i = 0; i < m->manifest->n_layers; i++)
        add_size(&shown->blob_size, m->manifest->layers[i].size);
    if (m->config == NULL)
        return NULL;
    present_created(p, m->config, shown);
    return unpacked_size(p, m->config, &shown->size);
}

/* Builders put statements about an image beside it, for a platform that does not exist. */
static bool
is_attestation(const struct nd_tree_manifest *m)
{
    return nd_str_eqz(nd_str(m->platform.os), "unknown");
}

static struct nd_error *
present_platforms(struct presenting *p, const CtImages__Image *record, Pb__Image *image)
{
    struct nd_tree tree;
    struct nd_error *err =
        nd_tree_read(p->host, (struct nd_ctrd_scope){.ns = p->ns}, record->target, p->arena, &tree);

    if (nd_tree_is_broken(err)) {
        nd_debug("image content", ND_KV("image", (const char *)record->name), ND_KV("error", err));
        nd_error_free(err);
        return NULL;
    }
    ND_TRY(err);
    image->platforms = nd_arena_new_array(p->arena, tree.n + 1, Pb__ImagePlatform *);
    for (size_t i = 0; i < tree.n; i++) {
        if (tree.manifests[i].manifest == NULL || is_attestation(&tree.manifests[i]))
            continue;
        ND_TRY(present_manifest(p, &tree.manifests[i], &image->platforms[image->n_platforms]));
        image->n_platforms++;
    }
    return NULL;
}

struct nd_error *
nd_image_used_names(struct nd_host *host, const char *ns, const char *only, struct nd_map *used)
{
    ND_AUTO(nd_buf_fini) struct nd_buf filter = ND_BUF_INIT(ND_IMAGE_FILTER_BYTES);
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    CtContainers__ListRequest req = CT_CONTAINERS__LIST_REQUEST__INIT;

    if (only != NULL) {
        nd_ctrd_filter_eq(&filter, "image", nd_str(only));
        req.filters = &filter.ptr;
        req.n_filters = 1;
    }
    ND_TRY(nd_ctrd_stream(nd_host_ctrd(host), (struct nd_ctrd_scope){.ns = ns},
                          CT_CONTAINERS_LIST_STREAM, &call));
    ND_TRY(nd_client_call_send(call, &req));
    ND_TRY(nd_client_call_finish_sending(call));
    for (;;) {
        CtContainers__ListStreamResponse *rsp;

        nd_arena_reset(arena);
        ND_TRY(nd_client_call_recv(call, arena, &rsp));
        if (rsp == NULL)
            return NULL;
        if (rsp->container != NULL && rsp->container->image[0] != '\0')
            (void)nd_map_set(used, nd_str(rsp->container->image), used);
    }
}

static struct nd_error *
present_use(struct presenting *p, const struct nd_map *used, Pb__Image *image)
{
    ND_AUTO(nd_map_freep) struct nd_map *own = NULL;

    if (used == NULL) {
        own = nd_map_new();
        ND_TRY(nd_image_used_names(p->host, p->ns, image->name, own));
        used = own;
    }
    image->in_use = nd_map_find(used, nd_str(image->name)) != NULL;
    return NULL;
}

struct nd_error *
nd_image_present(struct nd_host *host, const char *ns, const CtImages__Image *record,
                 const struct nd_map *used, struct nd_arena *arena, Pb__Image **ret)
{
    struct presenting p = {.host = host, .ns = ns, .arena = arena};
    Pb__Image *image = nd_arena_new_object(arena, Pb__Image);

    pb__image__init(image);
    image->name = record->name;
    image->digest = record->target->digest;
    image->media_type = record->target->media_type;
    image->created_at = nd_time_or_null(record->created_at);
    image->updated_at = nd_time_or_null(record->updated_at);
    present_names(&p, record->name, image);
    present_labels(&p, record, image);
    ND_TRY(present_use(&p, used, image));
    ND_TRY(present_platforms(&p, record, image));
    *ret = image;
    return NULL;
}
