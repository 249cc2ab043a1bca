/*
 * One image as a JSON document: as docker inspect prints it, or the containerd record with its
 * parts decoded.
 *
 * Follows: contracts/nerdctl-interop.md 13; the fields that are in neither are left out.
 */

#include "base/buf.h"
#include "codec/json.h"
#include "codec/json_writer.h"
#include "containerd/content.h"
#include "image/images.h"
#include "image/limits.h"
#include "oci/reference.h"

#include "present_priv.h"
#include "records_priv.h"

#define DOCUMENT_MAX_BYTES (8u * 1024u * 1024u)

struct inspecting {
    struct nd_host *host;
    const char *ns;
    struct nd_arena *arena;
    const CtImages__Image *record;
    const struct nd_tree_manifest *manifest;
    const Pb__ImagePlatform *shown;
    struct nd_json *config; /* the whole text of the config, parsed */
};

static void
put_member(struct nd_json *doc, const char *key, const struct nd_json *value)
{
    if (value != NULL)
        nd_json_set_value(doc, key, nd_json_copy(value));
}

/* The members of the image's config that docker shows, in its order. */
static struct nd_json *
docker_config(const struct nd_json *config)
{
    static const char *const keys[] = {"User",       "ExposedPorts", "Env",
                                       "Cmd",        "Healthcheck",  "Volumes",
                                       "WorkingDir", "Entrypoint",   "Labels"};
    struct nd_json *shown = nd_json_new_object();
    const struct nd_json *inner = nd_json_find(config, "config");

    nd_json_set_bool(shown, "AttachStdin", false);
    for (size_t i = 0; i < ND_LEN(keys); i++)
        put_member(shown, keys[i], nd_json_find(inner, keys[i]));
    return shown;
}

static void
put_names(struct inspecting *in, struct nd_json *doc)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    struct nd_json *tags = nd_json_new_array(), *digests = nd_json_new_array();
    struct nd_reference ref;

    err = nd_reference_parse(nd_str(in->record->name), in->arena, &ref);
    if (err == NULL) {
        const char *repository = nd_reference_familiar_repository(&ref);

        if (ref.tag[0] != '\0')
            nd_json_push_str(tags,
                             nd_str(nd_arena_printf(in->arena, "%s:%s", repository, ref.tag)));
        nd_json_push_str(digests, nd_str(nd_arena_printf(in->arena, "%s@%s", repository,
                                                         in->record->target->digest)));
    }
    nd_json_set_value(doc, "RepoTags", tags);
    nd_json_set_value(doc, "RepoDigests", digests);
}

/* Comment, Created and Author come from the last entry of the history, as nerdctl has it. */
static void
put_history(struct inspecting *in, struct nd_json *doc)
{
    const struct nd_json *history = nd_json_find(in->config, "history");
    const struct nd_json *last = nd_json_at(history, nd_json_count(history) - 1);
    const struct nd_json *created = nd_json_find(last, "created");

    if (created == NULL)
        created = nd_json_find(in->config, "created");
    nd_json_set_text(doc, "Parent", "");
    nd_json_set_str(doc, "Comment", nd_json_string(nd_json_find(last, "comment")));
    nd_json_set_str(doc, "Created", nd_json_string(created));
    nd_json_set_text(doc, "DockerVersion", "");
    nd_json_set_str(doc, "Author", nd_json_string(nd_json_find(last, "author")));
}

static void
put_root_fs(struct inspecting *in, struct nd_json *doc)
{
    struct nd_json *root = nd_json_new_object(), *layers = nd_json_new_array();

    nd_json_set_text(root, "Type", "layers");
    for (size_t i = 0; i < in->manifest->config->n_diff_ids; i++)
        nd_json_push_str(layers, nd_str(in->manifest->config->diff_ids[i]));
    nd_json_set_value(root, "Layers", layers);
    nd_json_set_value(doc, "RootFS", root);
}

static struct nd_json *
docker_document(struct inspecting *in)
{
    struct nd_json *doc = nd_json_new_object(), *metadata = nd_json_new_object();
    const struct nd_platform *platform = &in->manifest->platform;
    char at[ND_RFC3339_SIZE] = "0001-01-01T00:00:00Z";

    nd_json_set_text(doc, "Id", in->manifest->manifest->config.digest);
    put_names(in, doc);
    put_history(in, doc);
    nd_json_set_value(doc, "Config", docker_config(in->config));
    nd_json_set_text(doc, "Architecture", platform->architecture);
    if (platform->variant[0] != '\0')
        nd_json_set_text(doc, "Variant", platform->variant);
    nd_json_set_text(doc, "Os", platform->os);
    nd_json_set_i64(doc, "Size", in->shown->size);
    nd_json_set_i64(doc, "VirtualSize", in->shown->size);
    put_root_fs(in, doc);
    if (nd_time_or_null(in->record->updated_at) != NULL)
        (void)nd_wall_format(
            (struct nd_wall){in->record->updated_at->seconds, in->record->updated_at->nanos}, at);
    nd_json_set_text(metadata, "LastTagTime", at);
    nd_json_set_value(doc, "Metadata", metadata);
    return doc;
}

static struct nd_json *
descriptor_document(const char *media_type, const char *digest, int64_t size)
{
    struct nd_json *doc = nd_json_new_object();

    nd_json_set_text(doc, "mediaType", media_type);
    nd_json_set_text(doc, "digest", digest);
    nd_json_set_i64(doc, "size", size);
    return doc;
}

static struct nd_json *
record_document(struct inspecting *in)
{
    struct nd_json *doc = nd_json_new_object(), *labels = nd_json_new_object();
    const CtImages__Image *r = in->record;
    char at[ND_RFC3339_SIZE];

    for (size_t i = 0; i < r->n_labels; i++)
        nd_json_set_text(labels, r->labels[i]->key, r->labels[i]->value);
    nd_json_set_text(doc, "Name", r->name);
    nd_json_set_value(doc, "Labels", labels);
    nd_json_set_value(
        doc, "Target",
        descriptor_document(r->target->media_type, r->target->digest, r->target->size));
    if (nd_time_or_null(r->created_at) != NULL) {
        (void)nd_wall_format((struct nd_wall){r->created_at->seconds, r->created_at->nanos}, at);
        nd_json_set_text(doc, "CreatedAt", at);
    }
    if (nd_time_or_null(r->updated_at) != NULL) {
        (void)nd_wall_format((struct nd_wall){r->updated_at->seconds, r->updated_at->nanos}, at);
        nd_json_set_text(doc, "UpdatedAt", at);
    }
    return doc;
}

static struct nd_error *
read_json(struct inspecting *in, const char *digest, struct nd_json **ret)
{
    struct nd_str text;

    ND_TRY(nd_content_read(nd_host_ctrd(in->host), (struct nd_ctrd_scope){.ns = in->ns}, digest,
                           ND_MANIFEST_MAX_BYTES, in->arena, &text));
    return nd_json_parse(text, NULL, ret);
}

static struct nd_error *
native_document(struct inspecting *in, struct nd_json **ret)
{
    const struct nd_oci_descriptor *config = &in->manifest->manifest->config;
    struct nd_json *doc, *manifest;

    ND_TRY(read_json(in, in->manifest->digest, &manifest));
    doc = nd_json_new_object();
    nd_json_set_value(doc, "Image", record_document(in));
    nd_json_set_value(
        doc, "ManifestDesc",
        descriptor_document(in->manifest->media_type, in->manifest->digest, in->manifest->size));
    nd_json_set_value(doc, "Manifest", manifest);
    nd_json_set_value(doc, "ImageConfigDesc",
                      descriptor_document(config->media_type, config->digest, config->size));
    put_member(doc, "ImageConfig", in->config);
    nd_json_set_i64(doc, "size", in->shown->size);
    *ret = doc;
    return NULL;
}

static struct nd_error *
make_document(struct inspecting *in, Pb__InspectMode mode, char **ret)
{
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(DOCUMENT_MAX_BYTES);
    ND_AUTO(nd_json_freep) struct nd_json *config = NULL;
    ND_AUTO(nd_json_freep) struct nd_json *doc = NULL;

    ND_TRY(read_json(in, in->manifest->manifest->config.digest, &config));
    in->config = config;
    if (mode == PB__INSPECT_MODE__INSPECT_MODE_NATIVE)
        ND_TRY(native_document(in, &doc));
    else
        doc = docker_document(in);
    ND_TRY(nd_json_write(doc, ND_JSON_PLAIN, &text));
    *ret = nd_arena_str(in->arena, nd_buf_str(&text));
    return NULL;
}

static struct nd_error *
check_mode(Pb__InspectMode mode)
{
    switch (mode) {
    case PB__INSPECT_MODE__INSPECT_MODE_UNSPECIFIED:
    case PB__INSPECT_MODE__INSPECT_MODE_DOCKER_COMPAT:
    case PB__INSPECT_MODE__INSPECT_MODE_NATIVE:
        return NULL;
    default: /* the other side may send any number */
        return nd_error_field("mode", "%d is no mode", (int)mode);
    }
}

/* The host's, when none is named. */
static struct nd_error *
read_platform(const char *text, struct nd_platform *ret)
{
    struct nd_error *err;

    nd_platform_host(ret);
    if (text[0] == '\0')
        return NULL;
    err = nd_platform_parse(nd_str(text), ret);
    return err != NULL ? nd_error_in_field(err, "platform") : NULL;
}

struct nd_error *
nd_image_inspect(struct nd_host *host, const char *ns, const Pb__ImageServiceInspectRequest *req,
                 struct nd_arena *arena, Pb__ImageServiceInspectResponse *rsp)
{
    struct inspecting in = {.host = host, .ns = ns, .arena = arena};
    struct nd_found_images found;
    struct nd_platform platform;
    struct nd_tree tree;

    ND_TRY(check_mode(req->mode));
    ND_TRY(read_platform(req->platform, &platform));
    ND_TRY(nd_record_find_field(host, ns, "image", nd_str(req->image), arena, &found));
    in.record = found.images[0];
    ND_TRY(nd_image_present(host, ns, in.record, NULL, arena, &rsp->image));
    ND_TRY(nd_tree_read(host, (struct nd_ctrd_scope){.ns = ns}, in.record->target, arena, &tree));
    ND_TRY_DOING(nd_tree_choose(&tree, &platform, &in.manifest), "image %s", in.record->name);
    for (size_t i = 0; i < rsp->image->n_platforms; i++) {
        if (nd_str_eqz(nd_str(in.manifest->digest), rsp->image->platforms[i]->manifest_digest))
            in.shown = rsp->image->platforms[i];
    }
    if (in.shown == NULL)
        return nd_error_new(ND_ABORTED, "image %s changed meanwhile", in.record->name);
    return make_document(&in, req->mode, &rsp->document);
}
