/*
 * The image store of containerd: one record per name. There is no compare-and-swap, so "create or
 * update" tries one after the other until the world holds still.
 */

#include "fiber/limits.h"
#include "image/images.h"
#include "image/limits.h"
#include "oci/reference.h"

#include "records_priv.h"
#include "tree_priv.h"

#define PUT_TRIES 3

static char *
text(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* A record of containerd's: without a target it would be nothing that we could work with. */
static struct nd_error *
take_record(CtImages__Image *image, const char *name, CtImages__Image **ret)
{
    if (image == NULL || image->target == NULL)
        return nd_error_component(
            nd_error_new(ND_INTERNAL, "containerd gives image %s without a target", name),
            "containerd");
    *ret = image;
    return NULL;
}

struct nd_error *
nd_record_get(struct nd_host *host, const char *ns, const char *name, struct nd_arena *arena,
              CtImages__Image **ret)
{
    CtImages__GetRequest req = CT_IMAGES__GET_REQUEST__INIT;
    CtImages__GetResponse *rsp;

    req.name = text(name);
    ND_TRY(nd_ctrd_call(nd_host_ctrd(host), (struct nd_ctrd_scope){.ns = ns}, CT_IMAGES_GET, &req,
                        arena, &rsp));
    return take_record(rsp->image, name, ret);
}

struct nd_error *
nd_record_list(struct nd_host *host, const char *ns, struct nd_arena *arena,
               CtImages__ListResponse **ret)
{
    CtImages__ListRequest req = CT_IMAGES__LIST_REQUEST__INIT;

    CtImages__ListResponse *rsp;
    size_t n = 0;

    ND_TRY(nd_ctrd_call(nd_host_ctrd(host), (struct nd_ctrd_scope){.ns = ns}, CT_IMAGES_LIST, &req,
                        arena, &rsp));
    for (size_t i = 0; i < rsp->n_images; i++) {
        if (rsp->images[i]->target != NULL)
            rsp->images[n++] = rsp->images[i];
    }
    rsp->n_images = n;
    *ret = rsp;
    return NULL;
}

static struct nd_error *
create(struct nd_host *host, struct nd_ctrd_scope scope, CtImages__Image *image,
       struct nd_arena *arena, CtImages__Image **ret)
{
    CtImages__CreateRequest req = CT_IMAGES__CREATE_REQUEST__INIT;
    CtImages__CreateResponse *rsp;

    req.image = image;
    ND_TRY(nd_ctrd_call(nd_host_ctrd(host), scope, CT_IMAGES_CREATE, &req, arena, &rsp));
    return take_record(rsp->image, image->name, ret);
}

static struct nd_error *
retarget(struct nd_host *host, struct nd_ctrd_scope scope, CtImages__Image *image,
         struct nd_arena *arena, CtImages__Image **ret)
{
    CtImages__UpdateRequest req = CT_IMAGES__UPDATE_REQUEST__INIT;
    CtImages__UpdateResponse *rsp;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    char *paths[] = {text("target")};

    mask.paths = paths;
    mask.n_paths = ND_LEN(paths);
    req.image = image;
    req.update_mask = &mask;
    ND_TRY(nd_ctrd_call(nd_host_ctrd(host), scope, CT_IMAGES_UPDATE, &req, arena, &rsp));
    return take_record(rsp->image, image->name, ret);
}

struct nd_error *
nd_record_put(struct nd_host *host, struct nd_ctrd_scope scope, const char *name,
              const Ct__Descriptor *target, struct nd_arena *arena, CtImages__Image **ret)
{
    CtImages__Image image = CT_IMAGES__IMAGE__INIT;

    /* Shielded: a name that was cancelled half-way may exist without anybody being told. */
    ND_TRY(nd_ctx_check());
    ND_SHIELDED(ND_SHIELD_GRACE_NS);
    image.name = text(name);
    image.target = (Ct__Descriptor *)(uintptr_t)target;
    for (unsigned tries = 1;; tries++) {
        struct nd_error *err = create(host, scope, &image, arena, ret);

        if (nd_error_code(err) != ND_EXISTS)
            return err;
        nd_error_free(err);
        err = retarget(host, scope, &image, arena, ret);
        if (nd_error_code(err) != ND_NOT_FOUND || tries == PUT_TRIES)
            return err;
        nd_error_free(err); /* removed in between: create it after all */
    }
}

struct nd_error *
nd_record_delete(struct nd_host *host, const char *ns, const char *name, bool sync,
                 struct nd_arena *arena)
{
    CtImages__DeleteRequest req = CT_IMAGES__DELETE_REQUEST__INIT;
    Google__Protobuf__Empty *rsp;

    req.name = text(name);
    req.sync = sync;
    return nd_ctrd_call(nd_host_ctrd(host), (struct nd_ctrd_scope){.ns = ns}, CT_IMAGES_DELETE,
                        &req, arena, &rsp);
}

/*
 * "sha256:abc", "abc": the hex digits that a digest must begin with; false when it cannot be one.
 */
static bool
id_prefix(struct nd_str given, struct nd_str *ret)
{
    const struct nd_str algorithm = ND_STR("sha256:");

    if (nd_str_starts(given, algorithm))
        given = nd_str_from(given, algorithm.len);
    *ret = given;
    return given.len >= ND_IMAGE_ID_MIN && given.len <= 64 && nd_str_is_hex(given);
}

static bool
digest_begins(const char *digest, struct nd_str hex)
{
    size_t colon = nd_str_find(nd_str(digest), ':');

    return colon != SIZE_MAX && nd_str_starts(nd_str_from(nd_str(digest), colon + 1), hex);
}

/* Whether a manifest or config of the tree begins so. */
static bool
tree_has_digest(const struct nd_tree *tree, struct nd_str hex)
{
    for (size_t i = 0; i < tree->n; i++) {
        const struct nd_tree_manifest *m = &tree->manifests[i];

        if (digest_begins(m->digest, hex) ||
            (m->manifest != NULL && digest_begins(m->manifest->config.digest, hex)))
            return true;
    }
    return false;
}

/* Whether an image's index, or a manifest or config behind it, begins so. Content that is missing is no
 * match. */
static struct nd_error *
has_digest(struct nd_host *host, const char *ns, const CtImages__Image *image, struct nd_str hex,
           struct nd_arena *arena, bool *ret)
{
    struct nd_error *err;
    struct nd_tree tree = {0};

    *ret = digest_begins(image->target->digest, hex);
    if (*ret)
        return NULL;
    err = nd_tree_read(host, (struct nd_ctrd_scope){.ns = ns}, image->target, arena, &tree);
    if (err != NULL && !nd_tree_is_broken(err))
        return err;
    nd_error_free(err);
    *ret = tree_has_digest(&tree, hex);
    return NULL;
}

/*
 * Names of others follow no grammar, but they have an end: containerd breaks a call with one of
 * megabytes.
 */
static bool
may_be_name(struct nd_str given)
{
    return given.len > 0 && given.len <= ND_IMAGE_MAX_NAME;
}

/* The name in its full form, else exactly as it was given (names of images that had none). */
static struct nd_error *
find_by_name(struct nd_host *host, const char *ns, struct nd_str given, struct nd_arena *arena,
             struct nd_found_images *ret)
{
    struct nd_found_images one = {.images = nd_arena_new_array(arena, 1, CtImages__Image *),
                                  .n = 1};
    struct nd_reference ref;
    struct nd_error *err = nd_reference_parse(given, arena, &ref), *exact;

    if (err == NULL)
        err = nd_record_get(host, ns, ref.name, arena, &one.images[0]);
    if (nd_error_code(err) == ND_NOT_FOUND ||
        (nd_error_code(err) == ND_INVALID && may_be_name(given))) {
        exact = nd_record_get(host, ns, nd_arena_str(arena, given), arena, &one.images[0]);
        if (nd_error_code(exact) == ND_NOT_FOUND) {
            nd_error_free(exact);
            return err;
        }
        nd_error_free(err);
        err = exact;
    }
    if (err == NULL)
        *ret = one;
    return err;
}

static struct nd_error *
find_by_id(struct nd_host *host, const char *ns, struct nd_str hex, struct nd_arena *arena,
           struct nd_found_images *ret)
{
    CtImages__ListResponse *all;
    struct nd_found_images found = {.by_id = true};

    ND_TRY(nd_record_list(host, ns, arena, &all));
    found.images = nd_arena_new_array(arena, all->n_images + 1, CtImages__Image *);
    for (size_t i = 0; i < all->n_images; i++) {
        bool matches;

        ND_TRY(has_digest(host, ns, all->images[i], hex, arena, &matches));
        if (!matches)
            continue;
        if (found.n > 0 &&
            !nd_str_eqz(nd_str(found.images[0]->target->digest), all->images[i]->target->digest))
            return nd_error_reason(nd_error_new(ND_INVALID,
                                                "several images have an id that begins with %.*s",
                                                ND_STR_ARG(hex)),
                                   "IMAGE_ID_AMBIGUOUS");
        found.images[found.n++] = all->images[i];
    }
    *ret = found;
    return NULL;
}

struct nd_error *
nd_record_not_found(struct nd_str given)
{
    struct nd_error *err = nd_error_new(ND_NOT_FOUND, "no such image: %.*s", ND_STR_ARG(given));

    return nd_error_hint(nd_error_reason(err, "IMAGE_NOT_FOUND"),
                         "load it from an archive with 'nerdctl-remote load -i FILE'; "
                         "'nerdctl-remote images' lists what is there");
}

struct nd_error *
nd_record_find(struct nd_host *host, const char *ns, struct nd_str given, struct nd_arena *arena,
               struct nd_found_images *ret)
{
    struct nd_error *err = find_by_name(host, ns, given, arena, ret);
    struct nd_str hex;

    if (err == NULL || (nd_error_code(err) != ND_NOT_FOUND && nd_error_code(err) != ND_INVALID))
        return err;
    if (!id_prefix(given, &hex)) {
        if (nd_error_code(err) != ND_NOT_FOUND)
            return nd_error_reason(err, "IMAGE_REFERENCE_INVALID");
        nd_error_free(err);
        return nd_record_not_found(given);
    }
    nd_error_free(err);
    ND_TRY(find_by_id(host, ns, hex, arena, ret));
    return ret->n > 0 ? NULL : nd_record_not_found(given);
}

struct nd_error *
nd_record_find_field(struct nd_host *host, const char *ns, const char *field, struct nd_str given,
                     struct nd_arena *arena, struct nd_found_images *ret)
{
    struct nd_error *err = nd_record_find(host, ns, given, arena, ret);

    return nd_error_code(err) == ND_INVALID ? nd_error_in_field(err, field) : err;
}
