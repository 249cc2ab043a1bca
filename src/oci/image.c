/*
 * Indexes, manifests, and the list of images in an archive of docker's.
 *
 * A document could be read as an index and as a manifest if it had the members of both, and two
 * programs would then see two images under one digest. Such documents are refused, and so are those
 * whose own media type says that they are something else than what is asked for.
 */

#include "codec/digest.h"

#include "image_priv.h"

#define DOCKER "application/vnd.docker."
#define OCI    "application/vnd.oci.image."

static const struct {
    const char *type;
    enum nd_oci_kind kind;
    enum nd_oci_compression compression;
} media_types[] = {
    {OCI "index.v1+json", ND_OCI_INDEX, ND_OCI_PLAIN},
    {OCI "manifest.v1+json", ND_OCI_MANIFEST, ND_OCI_PLAIN},
    {OCI "config.v1+json", ND_OCI_CONFIG, ND_OCI_PLAIN},
    {OCI "layer.v1.tar", ND_OCI_LAYER, ND_OCI_PLAIN},
    {OCI "layer.v1.tar+gzip", ND_OCI_LAYER, ND_OCI_GZIP},
    {OCI "layer.v1.tar+zstd", ND_OCI_LAYER, ND_OCI_ZSTD},
    {OCI "layer.nondistributable.v1.tar", ND_OCI_LAYER, ND_OCI_PLAIN},
    {OCI "layer.nondistributable.v1.tar+gzip", ND_OCI_LAYER, ND_OCI_GZIP},
    {OCI "layer.nondistributable.v1.tar+zstd", ND_OCI_LAYER, ND_OCI_ZSTD},
    {DOCKER "distribution.manifest.list.v2+json", ND_OCI_INDEX, ND_OCI_PLAIN},
    {DOCKER "distribution.manifest.v2+json", ND_OCI_MANIFEST, ND_OCI_PLAIN},
    {DOCKER "container.image.v1+json", ND_OCI_CONFIG, ND_OCI_PLAIN},
    {DOCKER "image.rootfs.diff.tar", ND_OCI_LAYER, ND_OCI_PLAIN},
    {DOCKER "image.rootfs.diff.tar.gzip", ND_OCI_LAYER, ND_OCI_GZIP},
    {DOCKER "image.rootfs.diff.tar.zstd", ND_OCI_LAYER, ND_OCI_ZSTD},
    {DOCKER "image.rootfs.foreign.diff.tar", ND_OCI_LAYER, ND_OCI_PLAIN},
    {DOCKER "image.rootfs.foreign.diff.tar.gzip", ND_OCI_LAYER, ND_OCI_GZIP},
    {DOCKER "image.rootfs.foreign.diff.tar.zstd", ND_OCI_LAYER, ND_OCI_ZSTD},
};

/* The row of the table, or SIZE_MAX. */
static size_t
find_media_type(struct nd_str media_type)
{
    struct nd_str type = nd_str_trim(nd_str_sub(media_type, 0, nd_str_find(media_type, ';')));

    for (size_t i = 0; i < ND_LEN(media_types); i++) {
        if (nd_str_eqz(type, media_types[i].type))
            return i;
    }
    return SIZE_MAX;
}

enum nd_oci_kind
nd_oci_kind(struct nd_str media_type)
{
    size_t i = find_media_type(media_type);

    return i != SIZE_MAX ? media_types[i].kind : ND_OCI_OTHER;
}

enum nd_oci_compression
nd_oci_compression(struct nd_str media_type)
{
    size_t i = find_media_type(media_type);

    return i != SIZE_MAX ? media_types[i].compression : ND_OCI_PLAIN;
}

const char *
nd_oci_annotation(const struct nd_oci_descriptor *desc, const char *key)
{
    for (size_t i = 0; i < desc->n_annotations; i++) {
        if (strcmp(desc->annotations[i].key, key) == 0)
            return desc->annotations[i].value;
    }
    return NULL;
}

static struct nd_error *
read_platform(const struct nd_json *object, struct nd_oci_descriptor *ret)
{
    const struct nd_json *platform;
    struct nd_str os, arch, variant;

    ND_TRY(nd_json_get_object(object, "platform", &platform));
    if (platform == NULL)
        return NULL;
    ND_TRY(nd_json_get_str(platform, "os", &os));
    ND_TRY(nd_json_get_str(platform, "architecture", &arch));
    ND_TRY(nd_json_get_str(platform, "variant", &variant));
    ND_TRY(nd_platform_make(os, arch, variant, &ret->platform));
    ret->has_platform = true;
    return NULL;
}

static struct nd_error *
read_descriptor(const struct nd_json *object, struct nd_arena *arena, struct nd_oci_descriptor *ret)
{
    struct nd_digest digest;
    struct nd_error *err;

    *ret = (struct nd_oci_descriptor){0};
    if (nd_json_type(object) != ND_JSON_OBJECT)
        return nd_error_new(ND_INVALID, "is not a descriptor");
    ND_TRY(nd_oci_get_text(object, "mediaType", arena, &ret->media_type));
    ND_TRY(nd_oci_get_text(object, "digest", arena, &ret->digest));
    err = nd_digest_parse(nd_str(ret->digest), &digest);
    if (err != NULL)
        return nd_error_in_field(nd_error_recode(err, ND_INVALID), "digest");
    ND_TRY(nd_json_get_i64(object, "size", &ret->size));
    if (ret->size < 0)
        return nd_error_field("size", "is negative");
    ND_TRY(read_platform(object, ret));
    return nd_oci_get_pairs(object, "annotations", arena, &ret->annotations, &ret->n_annotations);
}

static struct nd_error *
read_descriptors(const struct nd_json *object, const char *key, size_t max, struct nd_arena *arena,
                 const struct nd_oci_descriptor **ret, size_t *ret_n)
{
    struct nd_oci_descriptor *descs;
    struct nd_oci_list list;

    ND_TRY(nd_oci_get_list(object, key, max, &list));
    descs = nd_arena_new_array(arena, list.n, struct nd_oci_descriptor);
    for (size_t i = 0; i < list.n; i++)
        ND_TRY(nd_oci_in_element(read_descriptor(nd_json_at(list.array, i), arena, &descs[i]), key,
                                 i));
    *ret = descs;
    *ret_n = list.n;
    return NULL;
}

/* A document of that kind and of no other. `foreign` are members that only other kinds have. */
static struct nd_error *
check_kind(const struct nd_json *document, enum nd_oci_kind kind, const char *media_type,
           const char *const foreign[])
{
    int64_t version;

    ND_TRY(nd_json_get_i64(document, "schemaVersion", &version));
    if (version != 2 && nd_json_find(document, "schemaVersion") != NULL)
        return nd_error_field("schemaVersion", "is %lld, only 2 is supported", (long long)version);
    if (media_type[0] != '\0' && nd_oci_kind(nd_str(media_type)) != kind)
        return nd_error_field("mediaType", "is \"%.128s\", which is no %s", media_type,
                              kind == ND_OCI_INDEX ? "index" : "manifest");
    for (size_t i = 0; foreign[i] != NULL; i++) {
        if (nd_json_find(document, foreign[i]) != NULL)
            return nd_error_field(foreign[i], "does not belong into %s",
                                  kind == ND_OCI_INDEX ? "an index" : "a manifest");
    }
    return NULL;
}

struct nd_error *
nd_oci_index_parse(struct nd_str text, struct nd_arena *arena, struct nd_oci_index *ret)
{
    static const char *const foreign[] = {"layers", "config", "fsLayers", NULL};
    ND_AUTO(nd_json_freep) struct nd_json *document = NULL;
    struct nd_oci_index index = {0};

    ND_TRY(nd_oci_document(text, &document));
    ND_TRY(nd_oci_get_text(document, "mediaType", arena, &index.media_type));
    ND_TRY(check_kind(document, ND_OCI_INDEX, index.media_type, foreign));
    ND_TRY(read_descriptors(document, "manifests", ND_OCI_MAX_MANIFESTS, arena, &index.manifests,
                            &index.n_manifests));
    *ret = index;
    return NULL;
}

struct nd_error *
nd_oci_manifest_parse(struct nd_str text, struct nd_arena *arena, struct nd_oci_manifest *ret)
{
    static const char *const foreign[] = {"manifests", "fsLayers", NULL};
    ND_AUTO(nd_json_freep) struct nd_json *document = NULL;
    struct nd_oci_manifest m = {0};
    struct nd_error *err;

    ND_TRY(nd_oci_document(text, &document));
    ND_TRY(nd_oci_get_text(document, "mediaType", arena, &m.media_type));
    ND_TRY(check_kind(document, ND_OCI_MANIFEST, m.media_type, foreign));
    err = read_descriptor(nd_json_find(document, "config"), arena, &m.config);
    if (err != NULL)
        return nd_error_in_field(err, "config");
    ND_TRY(read_descriptors(document, "layers", ND_OCI_MAX_LAYERS, arena, &m.layers, &m.n_layers));
    ND_TRY(nd_oci_get_pairs(document, "annotations", arena, &m.annotations, &m.n_annotations));
    *ret = m;
    return NULL;
}

static struct nd_error *
read_docker_image(const struct nd_json *object, struct nd_arena *arena, struct nd_docker_image *ret)
{
    if (nd_json_type(object) != ND_JSON_OBJECT)
        return nd_error_new(ND_INVALID, "is not an object");
    ND_TRY(nd_oci_get_text(object, "Config", arena, &ret->config));
    if (ret->config[0] == '\0')
        return nd_error_field("Config", "is empty");
    ND_TRY(nd_oci_get_texts(object, "RepoTags", ND_OCI_MAX_TAGS, arena, &ret->tags, &ret->n_tags));
    return nd_oci_get_texts(object, "Layers", ND_OCI_MAX_LAYERS, arena, &ret->layers,
                            &ret->n_layers);
}

struct nd_error *
nd_docker_archive_parse(struct nd_str text, struct nd_arena *arena, struct nd_docker_archive *ret)
{
    const struct nd_json_limits limits = {.max_bytes = ND_OCI_MAX_BYTES};
    ND_AUTO(nd_json_freep) struct nd_json *document = NULL;
    struct nd_docker_image *images;
    size_t n;

    ND_TRY(nd_json_parse(text, &limits, &document));
    if (nd_json_type(document) != ND_JSON_ARRAY)
        return nd_error_new(ND_INVALID, "not a list of images");
    n = nd_json_count(document);
    if (n > ND_OCI_MAX_IMAGES)
        return nd_error_new(ND_EXHAUSTED, "%zu images, at most %d are allowed", n,
                            ND_OCI_MAX_IMAGES);
    images = nd_arena_new_array(arena, n, struct nd_docker_image);
    for (size_t i = 0; i < n; i++)
        ND_TRY(nd_oci_in_element(read_docker_image(nd_json_at(document, i), arena, &images[i]), "",
                                 i));
    *ret = (struct nd_docker_archive){images, n};
    return NULL;
}
