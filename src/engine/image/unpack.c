/*
 * Layers become snapshots.
 *
 * For each layer, bottom up: is there a snapshot of that chain? If not, look the layer through
 * (layer_check.c), prepare a snapshot on its parent, apply the layer to it, compare what came out
 * with the config's diff id, commit it under the chain's name. Fibers of this process that want the
 * same chain wait for one another. Other programs may be at it too: they meet at the commit, where
 * the second finds that the name exists, which is a success. A snapshot that was prepared and not
 * committed is removed, shielded, whatever happened; until then the lease of the scope keeps it
 * from being collected.
 *
 * Follows: contracts/containerd-api.md 4.1.2.
 */

#include <stdio.h>

#include "base/log.h"
#include "base/random.h"
#include "containerd/content.h"
#include "fiber/limits.h"
#include "image/limits.h"

#include "layer_check_priv.h"
#include "unpack_priv.h"

struct layer {
    struct nd_host *host;
    struct nd_ctrd_scope scope;
    const struct nd_oci_descriptor *desc;
    const char *diff_id;
    const char *chain_id; /* of this layer */
    const char *parent;   /* chain id of the one below; "" at the bottom */
    struct nd_arena *arena;
    struct nd_layer_facts facts;
    char *key; /* of the snapshot that is being filled */
};

static const char *
snapshotter_of(const struct layer *l)
{
    return nd_host_settings(l->host)->snapshotter;
}

static char *
text(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* ND_NOT_FOUND is an answer, not a failure. */
static struct nd_error *
has_snapshot(const struct layer *l, bool *ret)
{
    CtSnapshots__StatRequest req = CT_SNAPSHOTS__STAT_REQUEST__INIT;
    CtSnapshots__StatResponse *rsp;
    struct nd_error *err;

    req.snapshotter = text(snapshotter_of(l));
    req.key = text(l->chain_id);
    err = nd_ctrd_call(nd_host_ctrd(l->host), l->scope, CT_SNAPSHOTS_STAT, &req, l->arena, &rsp);
    *ret = err == NULL;
    if (nd_error_code(err) != ND_NOT_FOUND)
        return err;
    nd_error_free(err);
    return NULL;
}

/* A snapshot that exists is not protected by a lease until it is added to it. */
static struct nd_error *
hold_snapshot(const struct layer *l)
{
    CtLeases__AddResourceRequest req = CT_LEASES__ADD_RESOURCE_REQUEST__INIT;
    CtLeases__Resource resource = CT_LEASES__RESOURCE__INIT;
    Google__Protobuf__Empty *rsp;

    if (l->scope.lease == NULL)
        return NULL;
    req.id = text(l->scope.lease);
    resource.id = text(l->chain_id);
    resource.type = nd_arena_printf(l->arena, "snapshots/%s", snapshotter_of(l));
    req.resource = &resource;
    return nd_ctrd_call(nd_host_ctrd(l->host), l->scope, CT_LEASES_ADD_RESOURCE, &req, l->arena,
                        &rsp);
}

static struct nd_error *
prepare(struct layer *l, CtSnapshots__PrepareResponse **ret)
{
    CtSnapshots__PrepareRequest req = CT_SNAPSHOTS__PREPARE_REQUEST__INIT;
    CtSnapshots__PrepareRequest__LabelsEntry label =
        CT_SNAPSHOTS__PREPARE_REQUEST__LABELS_ENTRY__INIT;
    CtSnapshots__PrepareRequest__LabelsEntry *labels = &label;
    char id[17];

    nd_random_hex(id, 8);
    l->key = nd_arena_printf(l->arena, "extract-%s %s", id, l->chain_id);
    label.key = text("containerd.io/snapshot.ref");
    label.value = text(l->chain_id);
    req.snapshotter = text(snapshotter_of(l));
    req.key = l->key;
    req.parent = text(l->parent);
    req.labels = &labels;
    req.n_labels = 1;
    return nd_ctrd_call(nd_host_ctrd(l->host), l->scope, CT_SNAPSHOTS_PREPARE, &req, l->arena, ret);
}

static struct nd_error *
remove_extract(void *arg)
{
    struct layer *l = arg;
    CtSnapshots__RemoveRequest req = CT_SNAPSHOTS__REMOVE_REQUEST__INIT;
    Google__Protobuf__Empty *rsp;

    req.snapshotter = text(snapshotter_of(l));
    req.key = l->key;
    return nd_ctrd_call(nd_host_ctrd(l->host), l->scope, CT_SNAPSHOTS_REMOVE, &req, l->arena, &rsp);
}

/* containerd says of everything that goes wrong in a layer that it is unknown. */
static struct nd_error *
explain_apply(const struct layer *l, struct nd_error *err)
{
    if (nd_error_code(err) != ND_UNKNOWN || l->facts.dead_link == NULL)
        return err;
    err = nd_error_recode(nd_error_reason(err, "LAYER_INVALID"), ND_INVALID);
    return nd_error_wrap(err, "hard link from %s, which is not before it in the layer",
                         l->facts.dead_link);
}

static struct nd_error *
apply(const struct layer *l, const CtSnapshots__PrepareResponse *prepared)
{
    CtDiff__ApplyRequest req = CT_DIFF__APPLY_REQUEST__INIT;
    Ct__Descriptor diff = CT__DESCRIPTOR__INIT;
    CtDiff__ApplyResponse *rsp;

    ND_DEADLINE_IN(ND_APPLY_TIMEOUT_NS);
    diff.media_type = text(l->desc->media_type);
    diff.digest = text(l->desc->digest);
    diff.size = l->desc->size;
    req.diff = &diff;
    req.mounts = prepared->mounts;
    req.n_mounts = prepared->n_mounts;
    ND_TRY(explain_apply(
        l, nd_ctrd_call(nd_host_ctrd(l->host), l->scope, CT_DIFF_APPLY, &req, l->arena, &rsp)));
    if (rsp->applied == NULL || !nd_str_eqz(nd_str(rsp->applied->digest), l->diff_id))
        return nd_error_reason(
            nd_error_new(ND_DATA_LOSS, "it unpacks to %s, the image's config says %s",
                         rsp->applied != NULL ? rsp->applied->digest : "nothing", l->diff_id),
            "LAYER_MISMATCH");
    return NULL;
}

/* Under the chain's name. *ret_exists: somebody else was faster, ours is not needed. */
static struct nd_error *
commit(const struct layer *l, bool *ret_exists)
{
    CtSnapshots__CommitRequest req = CT_SNAPSHOTS__COMMIT_REQUEST__INIT;
    CtSnapshots__CommitRequest__LabelsEntry label =
        CT_SNAPSHOTS__COMMIT_REQUEST__LABELS_ENTRY__INIT;
    CtSnapshots__CommitRequest__LabelsEntry *labels = &label;
    Google__Protobuf__Empty *rsp;
    struct nd_error *err;

    label.key = text("containerd.io/snapshot.ref");
    label.value = text(l->chain_id);
    req.snapshotter = text(snapshotter_of(l));
    req.name = text(l->chain_id);
    req.key = l->key;
    req.labels = &labels;
    req.n_labels = 1;
    err = nd_ctrd_call(nd_host_ctrd(l->host), l->scope, CT_SNAPSHOTS_COMMIT, &req, l->arena, &rsp);
    *ret_exists = nd_error_code(err) == ND_EXISTS;
    if (!*ret_exists)
        return err;
    nd_error_free(err);
    return NULL;
}

/* Once: ND_EXISTS when another writer of the same chain is at work. */
static struct nd_error *
unpack_once(struct layer *l)
{
    ND_AUTO(nd_undo_run) struct nd_undo undo = ND_UNDO_INIT;
    struct nd_undo_step step = {
        .fn = remove_extract, .arg = l, .what = "remove extracted snapshot"};
    CtSnapshots__PrepareResponse *prepared;
    const char *const uncompressed[] = {"containerd.io/uncompressed", l->diff_id, NULL};
    bool exists;

    ND_TRY(prepare(l, &prepared));
    nd_undo_push(&undo, &step);
    ND_TRY(apply(l, prepared));
    ND_TRY(commit(l, &exists));
    if (!exists)
        nd_undo_disarm(&undo);
    return nd_content_label(nd_host_ctrd(l->host), l->scope, l->desc->digest, uncompressed);
}

/*
 * Whether the chain's snapshot is there and stays: the collector may take one between the question
 * and its entry into the lease, therefore the second question.
 */
static struct nd_error *
keep_snapshot(const struct layer *l, bool *ret_kept)
{
    ND_TRY(has_snapshot(l, ret_kept));
    if (!*ret_kept)
        return NULL;
    ND_TRY(hold_snapshot(l));
    return has_snapshot(l, ret_kept);
}

static struct nd_error *
unpack_layer(struct layer *l)
{
    const char *name =
        nd_arena_printf(l->arena, "unpack %s %s %s", l->scope.ns, snapshotter_of(l), l->chain_id);
    ND_AUTO(nd_host_unlockp) struct nd_host_lock *lock = NULL;
    bool checked = false;

    ND_TRY(nd_host_lock(l->host, name, &lock));
    for (unsigned tries = 0;; tries++) {
        struct nd_error *err;
        bool kept;

        ND_TRY(keep_snapshot(l, &kept));
        if (kept)
            return NULL;
        if (!checked)
            ND_TRY(nd_layer_check(l->host, l->scope, l->desc, l->arena, &l->facts));
        checked = true;
        err = unpack_once(l);
        if (nd_error_code(err) != ND_EXISTS || tries + 1 == ND_UNPACK_TRIES)
            return err;
        nd_error_free(err);
    }
}

static struct nd_error *
label_config(struct nd_host *host, struct nd_ctrd_scope scope, const struct nd_unpack *u,
             const char *chain_id, struct nd_arena *arena)
{
    const char *const labels[] = {nd_arena_printf(arena, "containerd.io/gc.ref.snapshot.%s",
                                                  nd_host_settings(host)->snapshotter),
                                  chain_id, NULL};

    return nd_content_label(nd_host_ctrd(host), scope, u->config_digest, labels);
}

struct nd_error *
nd_image_unpack(struct nd_host *host, struct nd_ctrd_scope scope, const struct nd_unpack *u,
                struct nd_arena *arena, const char **ret_chain_id)
{
    const char *parent = "";

    if (u->manifest->n_layers != u->config->n_diff_ids)
        return nd_error_reason(nd_error_new(ND_INVALID,
                                            "the manifest has %zu layers, the config %zu",
                                            u->manifest->n_layers, u->config->n_diff_ids),
                               "IMAGE_INVALID");
    for (size_t i = 0; i < u->manifest->n_layers; i++) {
        struct layer l = {
            .host = host,
            .scope = scope,
            .desc = &u->manifest->layers[i],
            .diff_id = u->config->diff_ids[i],
            .chain_id = nd_oci_chain_id(u->config, i + 1, arena),
            .parent = parent,
            .arena = arena,
        };

        ND_TRY_DOING(unpack_layer(&l), "layer %zu of %zu (%s)", i + 1, u->manifest->n_layers,
                     l.desc->digest);
        parent = l.chain_id;
    }
    if (parent[0] != '\0')
        ND_TRY(label_config(host, scope, u, parent, arena));
    *ret_chain_id = parent;
    return NULL;
}
