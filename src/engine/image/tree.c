/*
 * What is behind an image name, read from the content store: a manifest, or an index of manifests,
 * each with its config. Content that is not here (other platforms of an index are rarely fetched)
 * is a fact, not a failure; content that is here and broken is one.
 */

#include "containerd/content.h"
#include "host/memo.h"
#include "image/limits.h"

#include "tree_priv.h"

struct reading {
    struct nd_ctrd *ctrd;
    struct nd_memo *memo; /* NULL: everything is read */
    struct nd_ctrd_scope scope;
    struct nd_arena *arena;
    struct nd_tree *tree;
    size_t cap;
    struct nd_tree_seen seen;
};

struct nd_error *
nd_tree_see(struct nd_tree_seen *seen, const char *key, bool *ret_new)
{
    *ret_new = nd_map_find(seen->keys, nd_str(key)) == NULL;
    if (!*ret_new)
        return NULL;
    if (nd_map_count(seen->keys) == ND_IMAGE_MAX_MANIFESTS)
        return nd_error_new(ND_EXHAUSTED, "the image has more than %u manifests and indexes",
                            ND_IMAGE_MAX_MANIFESTS);
    (void)nd_map_set(seen->keys, nd_str(key), seen);
    return NULL;
}

struct nd_error *
nd_tree_count(struct nd_tree_seen *seen, size_t bytes)
{
    seen->bytes += bytes;
    if (seen->bytes > ND_IMAGE_MAX_BYTES)
        return nd_error_new(
            ND_EXHAUSTED, "the manifests, indexes and configs of the image have more than %u bytes",
            ND_IMAGE_MAX_BYTES);
    return NULL;
}

bool
nd_tree_is_broken(const struct nd_error *err)
{
    static const enum nd_code codes[] = {ND_NOT_FOUND, ND_INVALID, ND_EXHAUSTED, ND_DATA_LOSS};

    for (size_t i = 0; i < ND_LEN(codes); i++) {
        if (nd_error_code(err) == codes[i])
            return true;
    }
    return false;
}

static struct nd_error *
read_blob(struct reading *r, const char *digest, struct nd_str *ret)
{
    const char *key = NULL;

    if (r->memo != NULL) {
        key = nd_arena_printf(r->arena, "%s %s", r->scope.ns, digest);
        if (nd_memo_find(r->memo, key, r->arena, ret))
            return nd_tree_count(&r->seen, ret->len);
    }
    ND_TRY(nd_content_read(r->ctrd, r->scope, digest, ND_MANIFEST_MAX_BYTES, r->arena, ret));
    if (r->memo != NULL)
        nd_memo_keep(r->memo, key, *ret);
    return nd_tree_count(&r->seen, ret->len);
}

/* ND_NOT_FOUND leaves *ret_there false. */
static struct nd_error *
read_if_there(struct reading *r, const char *digest, struct nd_str *ret, bool *ret_there)
{
    struct nd_error *err = read_blob(r, digest, ret);

    *ret_there = err == NULL;
    if (nd_error_code(err) != ND_NOT_FOUND)
        return err;
    nd_error_free(err);
    return NULL;
}

static struct nd_tree_manifest *
add_manifest(struct reading *r)
{
    struct nd_tree *t = r->tree;

    if (t->n == r->cap) {
        size_t cap = ND_MAX(2 * r->cap, (size_t)8);
        struct nd_tree_manifest *grown = nd_arena_new_array(r->arena, cap, struct nd_tree_manifest);

        if (t->n > 0)
            memcpy(grown, t->manifests, t->n * sizeof(*grown));
        t->manifests = grown;
        r->cap = cap;
    }
    return &t->manifests[t->n++];
}

/* The config, and the platform from it when the index did not tell. */
static struct nd_error *
read_config(struct reading *r, struct nd_tree_manifest *m, bool has_platform)
{
    struct nd_oci_config *config = nd_arena_new_object(r->arena, struct nd_oci_config);
    struct nd_str text;
    bool there;

    ND_TRY(read_if_there(r, m->manifest->config.digest, &text, &there));
    if (!there)
        return NULL;
    ND_TRY_DOING(nd_oci_config_parse(text, r->arena, config), "config %s",
                 m->manifest->config.digest);
    m->config = config;
    if (!has_platform)
        m->platform = config->platform;
    return NULL;
}

static struct nd_error *
take_manifest(struct reading *r, const struct nd_oci_descriptor *desc, struct nd_str text,
              bool there)
{
    struct nd_tree_manifest *m = add_manifest(r);
    struct nd_oci_manifest *manifest = nd_arena_new_object(r->arena, struct nd_oci_manifest);

    *m = (struct nd_tree_manifest){.digest = desc->digest,
                                   .media_type = desc->media_type,
                                   .size = desc->size,
                                   .platform = desc->platform};
    if (!there)
        return NULL;
    ND_TRY_DOING(nd_oci_manifest_parse(text, r->arena, manifest), "manifest %s", desc->digest);
    m->manifest = manifest;
    return read_config(r, m, desc->has_platform);
}

/* One manifest may stand for several platforms, but twice for one would say nothing new. */
static struct nd_error *
is_new(struct reading *r, const struct nd_oci_descriptor *desc, bool *ret)
{
    char platform[ND_PLATFORM_TEXT_SIZE];

    nd_platform_format(&desc->platform, platform);
    return nd_tree_see(&r->seen, nd_arena_printf(r->arena, "%s %s", desc->digest, platform), ret);
}

static struct nd_error *
take(struct reading *r, const struct nd_oci_descriptor *desc, unsigned depth)
{
    struct nd_oci_index index;
    struct nd_str text = ND_STR_NONE;
    bool there, new;

    if (depth > ND_IMAGE_MAX_DEPTH)
        return nd_error_new(ND_INVALID, "indexes inside each other, more than %u",
                            ND_IMAGE_MAX_DEPTH);
    ND_TRY(is_new(r, desc, &new));
    if (!new)
        return NULL;
    ND_TRY(read_if_there(r, desc->digest, &text, &there));
    if (nd_oci_kind(nd_str(desc->media_type)) != ND_OCI_INDEX)
        return nd_oci_kind(nd_str(desc->media_type)) == ND_OCI_MANIFEST
                   ? take_manifest(r, desc, text, there)
                   : NULL;
    if (!there)
        return NULL;
    ND_TRY_DOING(nd_oci_index_parse(text, r->arena, &index), "index %s", desc->digest);
    r->tree->index_bytes += (int64_t)text.len;
    for (size_t i = 0; i < index.n_manifests; i++)
        ND_TRY(take(r, &index.manifests[i], depth + 1));
    return NULL;
}

static struct nd_error *
read_tree(struct reading *r, const Ct__Descriptor *target, struct nd_tree *ret)
{
    ND_AUTO(nd_map_freep) struct nd_map *seen = nd_map_new();
    struct nd_tree tree = {0};
    const struct nd_oci_descriptor root = {
        .media_type = target->media_type, .digest = target->digest, .size = target->size};
    struct nd_str text;

    r->seen.keys = seen;
    r->tree = &tree;
    ND_TRY(read_blob(r, target->digest, &text)); /* the root must be here */
    ND_TRY(take(r, &root, 0));
    *ret = tree;
    return NULL;
}

struct nd_error *
nd_tree_read(struct nd_host *host, struct nd_ctrd_scope scope, const Ct__Descriptor *target,
             struct nd_arena *arena, struct nd_tree *ret)
{
    struct reading r = {.ctrd = nd_host_ctrd(host), .scope = scope, .arena = arena};

    return read_tree(&r, target, ret);
}

struct nd_error *
nd_tree_recall(struct nd_host *host, const char *ns, const Ct__Descriptor *target,
               struct nd_arena *arena, struct nd_tree *ret)
{
    struct reading r = {.ctrd = nd_host_ctrd(host),
                        .memo = nd_host_memo(host),
                        .scope = {.ns = ns},
                        .arena = arena};

    return read_tree(&r, target, ret);
}

struct nd_error *
nd_tree_choose(const struct nd_tree *tree, const struct nd_platform *platform,
               const struct nd_tree_manifest **ret)
{
    const struct nd_tree_manifest *best = NULL;
    char name[ND_PLATFORM_TEXT_SIZE];

    for (size_t i = 0; i < tree->n; i++) {
        const struct nd_tree_manifest *m = &tree->manifests[i];

        if (m->config == NULL || !nd_platform_runs(platform, &m->platform))
            continue;
        if (best == NULL || nd_platform_better(platform, &m->platform, &best->platform))
            best = m;
    }
    if (best == NULL) {
        nd_platform_format(platform, name);
        return nd_error_reason(
            nd_error_new(ND_NOT_FOUND, "the image has nothing for %s here", name),
            "PLATFORM_NOT_FOUND");
    }
    *ret = best;
    return NULL;
}
