/*
 * An OCI layout: index.json names the roots, blobs/ holds everything under its digest. And what
 * both kinds of archive share: which kind it is, a name for what has none, and the labels that make
 * containerd's collector keep the children of what has a name.
 */

#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "containerd/content.h"
#include "image/limits.h"
#include "oci/image.h"
#include "oci/reference.h"

#include "load_priv.h"

#define LABEL_CONTENT "containerd.io/gc.ref.content"

const char *
nd_load_untagged_name(const char *digest, struct nd_arena *arena)
{
    char date[ND_RFC3339_SIZE];

    (void)nd_wall_format(nd_wall_now(), date);
    return nd_arena_printf(arena, "import-%.10s@%s", date, digest);
}

struct nd_error *
nd_load_name(struct nd_str given, const char *digest, struct nd_arena *arena, const char **ret)
{
    struct nd_reference ref;

    ND_TRY_DOING(nd_reference_parse(given, arena, &ref), "name \"%.*s\"", ND_STR_ARG(given));
    if (ref.digest[0] != '\0' && !nd_str_eqz(nd_str(ref.digest), digest))
        return nd_error_new(ND_INVALID, "name \"%.*s\": the image has the digest %s",
                            ND_STR_ARG(given), digest);
    *ret = ref.name;
    return NULL;
}

/*
 * containerd's own annotation has the whole name; ref.name mostly has only a tag, then it names
 * nothing.
 */
static struct nd_error *
name_of(const struct nd_oci_descriptor *desc, struct nd_arena *arena, const char **ret)
{
    const char *given = nd_oci_annotation(desc, "io.containerd.image.name");

    if (given == NULL) {
        given = nd_oci_annotation(desc, "org.opencontainers.image.ref.name");
        if (given == NULL || (nd_str_find(nd_str(given), ':') == SIZE_MAX &&
                              nd_str_find(nd_str(given), '/') == SIZE_MAX)) {
            *ret = nd_load_untagged_name(desc->digest, arena);
            return NULL;
        }
    }
    return nd_load_name(nd_str(given), desc->digest, arena, ret);
}

struct nd_error *
nd_load_describe_oci(const struct nd_scan *scan, struct nd_arena *arena, struct nd_loaded_list *ret)
{
    struct nd_loaded_list list = {0};
    struct nd_oci_index index;

    ND_TRY_DOING(nd_oci_index_parse(scan->index_json, arena, &index), "index.json");
    if (index.n_manifests == 0)
        return nd_error_new(ND_INVALID, "index.json: names no image");
    if (index.n_manifests > ND_LOAD_MAX_IMAGES)
        return nd_error_new(ND_EXHAUSTED, "the archive has more than %u images",
                            ND_LOAD_MAX_IMAGES);
    list.images = nd_arena_new_array(arena, index.n_manifests, struct nd_loaded);
    for (size_t i = 0; i < index.n_manifests; i++) {
        struct nd_loaded *image = &list.images[list.n++];

        ct__descriptor__init(&image->target);
        image->target.media_type = (char *)(uintptr_t)index.manifests[i].media_type;
        image->target.digest = (char *)(uintptr_t)index.manifests[i].digest;
        image->target.size = index.manifests[i].size;
        image->names = nd_arena_new_array(arena, 1, const char *);
        image->n_names = 1;
        ND_TRY_DOING(name_of(&index.manifests[i], arena, &image->names[0]), "index.json: image %zu",
                     i);
    }
    *ret = list;
    return NULL;
}

struct nd_error *
nd_load_describe(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope, const struct nd_scan *scan,
                 struct nd_arena *arena, struct nd_loaded_list *ret)
{
    if (scan->index_json.ptr != NULL && scan->oci_layout.ptr != NULL)
        return nd_load_describe_oci(scan, arena, ret);
    if (scan->manifest_json.ptr != NULL)
        return nd_load_describe_docker(ctrd, scope, scan, arena, ret);
    return nd_error_new(ND_INVALID, "the archive has neither manifest.json nor an OCI layout");
}

/* Labels of one parent, as content labels: key, value, ..., NULL. */
struct labels {
    const char **list;
    size_t n;
    size_t n_layers, n_manifests;
};

static void
add_label(struct labels *l, const char *key, const char *value)
{
    l->list[l->n++] = key;
    l->list[l->n++] = value;
}

struct linking {
    struct nd_ctrd *ctrd;
    struct nd_ctrd_scope scope;
    const struct nd_scan *scan;
    const struct nd_load_platforms *wanted;
    struct nd_arena *arena;
    struct nd_tree_seen seen;
};

bool
nd_load_wants(const struct nd_load_platforms *wanted, const struct nd_platform *platform)
{
    for (size_t i = 0; i < wanted->n && !wanted->all; i++) {
        if (nd_platform_runs(&wanted->platforms[i], platform))
            return true;
    }
    return wanted->all;
}

/* A child of a manifest must be in the archive, or have been in the store before, with the size that the
 * manifest says. */
static struct nd_error *
check_child(struct linking *k, const char *what, const struct nd_oci_descriptor *desc)
{
    const struct nd_scan_blob *blob = nd_map_find(k->scan->by_digest, nd_str(desc->digest));
    CtContent__InfoRequest req = CT_CONTENT__INFO_REQUEST__INIT;
    CtContent__InfoResponse *rsp = NULL;
    int64_t size;

    if (blob != NULL) {
        size = blob->size;
    } else {
        struct nd_error *err;

        req.digest = (char *)(uintptr_t)desc->digest;
        err = nd_ctrd_call(k->ctrd, k->scope, CT_CONTENT_INFO, &req, k->arena, &rsp);
        if (nd_error_code(err) == ND_NOT_FOUND) {
            nd_error_free(err);
            return nd_error_new(ND_INVALID, "%s %s is not in the archive", what, desc->digest);
        }
        ND_TRY(err);
        size = rsp->info != NULL ? rsp->info->size : 0;
    }
    if (size != desc->size)
        return nd_error_new(ND_DATA_LOSS, "%s %s has %lld bytes, not %lld", what, desc->digest,
                            (long long)size, (long long)desc->size);
    return NULL;
}

static struct nd_error *
link_manifest(struct linking *k, const char *digest, struct nd_str text)
{
    struct nd_oci_manifest m;
    struct labels l = {0};

    ND_TRY_DOING(nd_oci_manifest_parse(text, k->arena, &m), "manifest %s", digest);
    l.list = nd_arena_new_array(k->arena, 2 * (m.n_layers + 1) + 1, const char *);
    ND_TRY(check_child(k, "config", &m.config));
    add_label(&l, LABEL_CONTENT ".config", m.config.digest);
    for (size_t i = 0; i < m.n_layers; i++) {
        ND_TRY(check_child(k, "layer", &m.layers[i]));
        add_label(&l, nd_arena_printf(k->arena, LABEL_CONTENT ".l.%zu", i), m.layers[i].digest);
    }
    return nd_content_label(k->ctrd, k->scope, digest, l.list);
}

static struct nd_error *link_descriptor(struct linking *k, const struct nd_oci_descriptor *desc,
                                        bool required, unsigned depth);

static struct nd_error *
link_index(struct linking *k, const char *digest, struct nd_str text, unsigned depth)
{
    struct nd_oci_index index;
    struct labels l = {0};

    ND_TRY_DOING(nd_oci_index_parse(text, k->arena, &index), "index %s", digest);
    l.list = nd_arena_new_array(k->arena, 2 * index.n_manifests + 1, const char *);
    for (size_t i = 0; i < index.n_manifests; i++) {
        add_label(&l, nd_arena_printf(k->arena, LABEL_CONTENT ".m.%zu", i),
                  index.manifests[i].digest);
        if (!index.manifests[i].has_platform ||
            nd_load_wants(k->wanted, &index.manifests[i].platform))
            ND_TRY(link_descriptor(k, &index.manifests[i], false, depth + 1));
    }
    return nd_content_label(k->ctrd, k->scope, digest, l.list);
}

/* Parents before children: the collector finds the children through labels that exist already. */
static struct nd_error *
link_descriptor(struct linking *k, const struct nd_oci_descriptor *desc, bool required,
                unsigned depth)
{
    struct nd_str text;
    struct nd_error *err;
    bool new;

    if (depth > ND_IMAGE_MAX_DEPTH)
        return nd_error_new(ND_INVALID, "indexes inside each other, more than %u",
                            ND_IMAGE_MAX_DEPTH);
    ND_TRY(nd_tree_see(&k->seen, desc->digest, &new));
    if (!new)
        return NULL;
    err = nd_content_read(k->ctrd, k->scope, desc->digest, ND_MANIFEST_MAX_BYTES, k->arena, &text);
    if (nd_error_code(err) == ND_NOT_FOUND) {
        nd_error_free(err);
        if (!required)
            return NULL;
        return nd_error_new(ND_INVALID, "manifest %s is not in the archive", desc->digest);
    }
    ND_TRY(err);
    ND_TRY(nd_tree_count(&k->seen, text.len));
    if ((int64_t)text.len != desc->size)
        return nd_error_new(ND_DATA_LOSS, "manifest %s has %zu bytes, not %lld", desc->digest,
                            text.len, (long long)desc->size);
    switch (nd_oci_kind(nd_str(desc->media_type))) {
    case ND_OCI_INDEX:
        return link_index(k, desc->digest, text, depth);
    case ND_OCI_MANIFEST:
        return link_manifest(k, desc->digest, text);
    case ND_OCI_CONFIG:
    case ND_OCI_LAYER:
    case ND_OCI_OTHER:
        break;
    }
    if (!required)
        return NULL; /* an attestation or the like */
    return nd_error_new(ND_INVALID, "%s is a %s, no image", desc->digest, desc->media_type);
}

struct nd_error *
nd_load_link(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope, const struct nd_scan *scan,
             const struct nd_load_platforms *wanted, const Ct__Descriptor *target,
             struct nd_arena *arena)
{
    ND_AUTO(nd_map_freep) struct nd_map *seen = nd_map_new();
    struct linking k = {.ctrd = ctrd,
                        .scope = scope,
                        .scan = scan,
                        .wanted = wanted,
                        .arena = arena,
                        .seen = {.keys = seen}};
    const struct nd_oci_descriptor root = {
        .media_type = target->media_type, .digest = target->digest, .size = target->size};

    return nd_archive_fault(link_descriptor(&k, &root, true, 0));
}
