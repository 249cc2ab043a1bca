/*
 * From what a user typed to something that can run: record, manifest for the platform, config,
 * unpacked snapshot.
 */

#include <stdio.h>

#include "fiber/limits.h"
#include "image/images.h"

#include "leased_priv.h"
#include "records_priv.h"
#include "tree_priv.h"
#include "unpack_priv.h"

static struct nd_error *
parse_platform(struct nd_str text, struct nd_platform *ret)
{
    if (text.len > 0)
        return nd_platform_parse(text, ret);
    nd_platform_host(ret);
    return NULL;
}

/* Whether the top of the chain is there; then everything below it is. */
static struct nd_error *
is_unpacked(struct nd_host *host, const char *ns, const char *chain_id, struct nd_arena *arena,
            bool *ret)
{
    CtSnapshots__StatRequest req = CT_SNAPSHOTS__STAT_REQUEST__INIT;
    CtSnapshots__StatResponse *rsp;
    struct nd_error *err;

    req.snapshotter = (char *)(uintptr_t)nd_host_settings(host)->snapshotter;
    req.key = (char *)(uintptr_t)chain_id;
    err = nd_ctrd_call(nd_host_ctrd(host), (struct nd_ctrd_scope){.ns = ns}, CT_SNAPSHOTS_STAT,
                       &req, arena, &rsp);
    *ret = err == NULL;
    if (nd_error_code(err) != ND_NOT_FOUND)
        return err;
    nd_error_free(err);
    return NULL;
}

static struct nd_error *
unpack_now(struct nd_host *host, const char *ns, const struct nd_tree_manifest *m,
           struct nd_arena *arena)
{
    ND_AUTO(nd_leased_end) struct leased leased = {0};
    struct nd_unpack unpack = {m->manifest, m->config, m->manifest->config.digest};
    const char *chain_id;

    ND_TRY(nd_leased_begin(host, ns, false, &leased));
    ND_TRY(nd_leased_take(&leased));
    return nd_image_unpack(host, (struct nd_ctrd_scope){.ns = ns, .lease = leased.lease.id},
                           &unpack, arena, &chain_id);
}

static struct nd_error *
see_unpacked(struct nd_host *host, const char *ns, const struct nd_tree_manifest *m,
             struct nd_arena *arena, const char **ret_chain_id)
{
    const char *chain_id = "";
    bool there = true;

    if (m->config->n_diff_ids > 0) {
        chain_id = nd_oci_chain_id(m->config, m->config->n_diff_ids, arena);
        ND_TRY(is_unpacked(host, ns, chain_id, arena, &there));
    }
    if (!there)
        ND_TRY(unpack_now(host, ns, m, arena));
    *ret_chain_id = chain_id;
    return NULL;
}

static struct nd_error *
resolve_found(struct nd_host *host, const char *ns, const CtImages__Image *image,
              const struct nd_platform *wanted, struct nd_arena *arena, struct nd_image_ready *ret)
{
    const struct nd_tree_manifest *m;
    struct nd_tree tree;
    struct nd_image_ready ready;
    char name[ND_PLATFORM_TEXT_SIZE];

    ND_TRY_DOING(nd_tree_recall(host, ns, image->target, arena, &tree), "image %s", image->name);
    ND_TRY_DOING(nd_tree_choose(&tree, wanted, &m), "image %s", image->name);
    nd_platform_format(&m->platform, name);
    ready = (struct nd_image_ready){.name = image->name,
                                    .target_digest = image->target->digest,
                                    .manifest_digest = m->digest,
                                    .config_digest = m->manifest->config.digest,
                                    .platform = nd_arena_strdup(arena, name),
                                    .snapshotter = nd_host_settings(host)->snapshotter,
                                    .config = m->config};
    ND_TRY_DOING(see_unpacked(host, ns, m, arena, &ready.chain_id), "unpack image %s", ready.name);
    *ret = ready;
    return NULL;
}

/* Whether the name still means the same; else what was behind it may be gone. */
static struct nd_error *
is_unchanged(struct nd_host *host, const char *ns, const CtImages__Image *image,
             struct nd_arena *arena, bool *ret)
{
    CtImages__Image *now = NULL;
    struct nd_error *err = nd_record_get(host, ns, image->name, arena, &now);

    if (err != NULL && nd_error_code(err) != ND_NOT_FOUND)
        return err;
    *ret = err == NULL && nd_str_eqz(nd_str(now->target->digest), image->target->digest);
    nd_error_free(err);
    return NULL;
}

/* A name that is removed, or given to another image, while we look takes its content with it. */
struct nd_error *
nd_image_resolve(struct nd_host *host, const char *ns, struct nd_str image, struct nd_str platform,
                 struct nd_arena *arena, struct nd_image_ready *ret)
{
    struct nd_found_images found;
    struct nd_platform wanted;

    ND_TRY(parse_platform(platform, &wanted));
    for (;;) {
        ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
        bool unchanged;

        ND_TRY(nd_record_find(host, ns, image, arena, &found));
        err = resolve_found(host, ns, found.images[0], &wanted, arena, ret);
        if (nd_error_code(err) != ND_NOT_FOUND)
            return ND_TAKE(err);
        ND_TRY(is_unchanged(host, ns, found.images[0], arena, &unchanged));
        if (unchanged)
            return ND_TAKE(err);
    }
}
