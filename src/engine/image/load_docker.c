/*
 * docker's own archive: manifest.json lists images as {Config, RepoTags, Layers}, all of them names
 * of files in the archive. There is no manifest, so one is written: schema 2, with the media type
 * of each layer as its content says. Layers may be links to the same file elsewhere in the archive.
 */

#include "base/buf.h"
#include "codec/digest.h"
#include "codec/json_writer.h"
#include "containerd/content.h"
#include "image/limits.h"
#include "oci/image.h"

#include "load_priv.h"

#define TYPE_MANIFEST  "application/vnd.docker.distribution.manifest.v2+json"
#define TYPE_CONFIG    "application/vnd.docker.container.image.v1+json"
#define TYPE_LAYER     "application/vnd.docker.image.rootfs.diff.tar"
#define TYPE_LAYER_GZ  TYPE_LAYER ".gzip"
#define TYPE_LAYER_ZST TYPE_LAYER ".zstd"

static struct nd_error *
find(const struct nd_scan *scan, const char *what, const char *name,
     const struct nd_scan_blob **ret)
{
    *ret = nd_scan_find(scan, nd_str(name));
    if (*ret == NULL)
        return nd_error_new(ND_INVALID, "%s \"%s\" is not in the archive", what, name);
    return NULL;
}

static const char *
layer_type(const struct nd_scan_blob *blob)
{
    if (blob->gzip)
        return TYPE_LAYER_GZ;
    return blob->zstd ? TYPE_LAYER_ZST : TYPE_LAYER;
}

static void
write_descriptor(struct nd_json_writer *w, const char *type, const struct nd_scan_blob *blob)
{
    nd_json_begin_object(w);
    nd_json_put_text(w, "mediaType", type);
    nd_json_put_i64(w, "size", blob->size);
    nd_json_put_text(w, "digest", blob->digest);
    nd_json_end_object(w);
}

static struct nd_error *
write_manifest(const struct nd_scan *scan, const struct nd_docker_image *image, struct nd_buf *text)
{
    struct nd_json_writer w = ND_JSON_WRITER(text);
    const struct nd_scan_blob *blob;

    nd_json_begin_object(&w);
    nd_json_put_i64(&w, "schemaVersion", 2);
    nd_json_put_text(&w, "mediaType", TYPE_MANIFEST);
    ND_TRY(find(scan, "config", image->config, &blob));
    nd_json_key(&w, "config");
    write_descriptor(&w, TYPE_CONFIG, blob);
    nd_json_key(&w, "layers");
    nd_json_begin_array(&w);
    for (size_t i = 0; i < image->n_layers; i++) {
        ND_TRY(find(scan, "layer", image->layers[i], &blob));
        write_descriptor(&w, layer_type(blob), blob);
    }
    nd_json_end_array(&w);
    nd_json_end_object(&w);
    return NULL;
}

static struct nd_error *
name_image(const struct nd_docker_image *image, struct nd_arena *arena, struct nd_loaded *ret)
{
    if (image->n_tags == 0) {
        ret->names = nd_arena_new_array(arena, 1, const char *);
        ret->names[0] = nd_load_untagged_name(ret->target.digest, arena);
        ret->n_names = 1;
        return NULL;
    }
    ret->names = nd_arena_new_array(arena, image->n_tags, const char *);
    for (size_t i = 0; i < image->n_tags; i++, ret->n_names++)
        ND_TRY(nd_load_name(nd_str(image->tags[i]), ret->target.digest, arena, &ret->names[i]));
    return NULL;
}

static struct nd_error *
describe_image(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope, const struct nd_scan *scan,
               const struct nd_docker_image *image, struct nd_arena *arena, struct nd_loaded *ret)
{
    ND_AUTO(nd_buf_fini) struct nd_buf text = ND_BUF_INIT(ND_MANIFEST_MAX_BYTES);
    char digest[ND_DIGEST_TEXT_SIZE];

    ND_TRY(write_manifest(scan, image, &text));
    nd_digest_of(ND_SHA256, nd_buf_str(&text), digest);
    ND_TRY(nd_content_put(ctrd, scope, nd_buf_str(&text), NULL));
    ct__descriptor__init(&ret->target);
    ret->target.media_type = nd_arena_strdup(arena, TYPE_MANIFEST);
    ret->target.digest = nd_arena_strdup(arena, digest);
    ret->target.size = (int64_t)text.len;
    return name_image(image, arena, ret);
}

struct nd_error *
nd_load_describe_docker(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope,
                        const struct nd_scan *scan, struct nd_arena *arena,
                        struct nd_loaded_list *ret)
{
    struct nd_docker_archive archive;
    struct nd_loaded_list list = {0};

    ND_TRY_DOING(nd_docker_archive_parse(scan->manifest_json, arena, &archive), "manifest.json");
    if (archive.n_images > ND_LOAD_MAX_IMAGES)
        return nd_error_new(ND_EXHAUSTED, "the archive has more than %u images",
                            ND_LOAD_MAX_IMAGES);
    list.images = nd_arena_new_array(arena, archive.n_images + 1, struct nd_loaded);
    for (size_t i = 0; i < archive.n_images; i++) {
        ND_TRY_DOING(describe_image(ctrd, scope, scan, &archive.images[i], arena, &list.images[i]),
                     "manifest.json: image %zu", i);
        list.n++;
    }
    *ret = list;
    return NULL;
}
