#ifndef OCI_IMAGE_H
#define OCI_IMAGE_H

/*
 * The documents of images: indexes, manifests, configs, and the manifest.json of docker's archives.
 * They come from strangers: every digest is checked, every list has a limit (oci/limits.h), and a
 * wrong type is named ("layers[2].digest"). Results and all texts in them live in the arena.
 * Follows: the OCI image specification; docker's schema 2. Context: any.
 *
 * Every nd_*_parse() fails with:
 *   ND_INVALID    not JSON, a wrong type, a digest that is none, another kind of document
 *   ND_EXHAUSTED  over a limit
 */

#include "base/arena.h"
#include "base/clock.h"
#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"
#include "oci/platform.h"

enum nd_oci_kind {
    ND_OCI_INDEX, /* or docker's manifest list */
    ND_OCI_MANIFEST,
    ND_OCI_CONFIG,
    ND_OCI_LAYER,
    ND_OCI_OTHER, /* attestations, artifacts, encrypted layers, ... */
};

enum nd_oci_compression {
    ND_OCI_PLAIN,
    ND_OCI_GZIP,
    ND_OCI_ZSTD,
};

/* What a media type stands for; parameters behind a ';' do not count. */
enum nd_oci_kind nd_oci_kind(struct nd_str media_type);

/* How a layer of that media type is compressed; ND_OCI_PLAIN for what is no layer. */
enum nd_oci_compression nd_oci_compression(struct nd_str media_type);

struct nd_oci_pair {
    const char *key, *value;
};

struct nd_oci_descriptor {
    const char *media_type; /* "" when it has none */
    const char *digest;     /* checked */
    int64_t size;
    bool has_platform;
    struct nd_platform platform;
    const struct nd_oci_pair *annotations;
    size_t n_annotations;
};

/* The value, or NULL. */
const char *nd_oci_annotation(const struct nd_oci_descriptor *desc, const char *key);

struct nd_oci_index {
    const char *media_type; /* "" when it has none */
    const struct nd_oci_descriptor *manifests;
    size_t n_manifests;
};

struct nd_oci_manifest {
    const char *media_type; /* "" when it has none */
    struct nd_oci_descriptor config;
    const struct nd_oci_descriptor *layers; /* bottom first */
    size_t n_layers;
    const struct nd_oci_pair *annotations;
    size_t n_annotations;
};

struct nd_oci_history {
    bool has_created;
    struct nd_wall created;
    const char *created_by, *author, *comment; /* "" when not there */
    bool empty_layer;
};

/*
 * Texts are "" and lists empty when they are not there. Keys that nobody here needs are passed
 * over.
 */
struct nd_oci_config {
    struct nd_platform platform;
    bool has_created;
    struct nd_wall created;
    const char *author;

    /* what a container starts with */
    const char *user;
    const char *working_dir;
    const char *stop_signal;
    const char *healthcheck; /* JSON text of docker's object */
    const char *const *env;
    size_t n_env;
    const char *const *entrypoint;
    size_t n_entrypoint;
    const char *const *cmd;
    size_t n_cmd;
    const char *const *exposed_ports; /* "80/tcp" */
    size_t n_exposed_ports;
    const char *const *volumes; /* paths */
    size_t n_volumes;
    const struct nd_oci_pair *labels;
    size_t n_labels;

    /* what its root is made of */
    const char *const *diff_ids; /* bottom first, checked */
    size_t n_diff_ids;
    const struct nd_oci_history *history; /* oldest first */
    size_t n_history;
};

struct nd_error *nd_oci_index_parse(struct nd_str text, struct nd_arena *arena,
                                    struct nd_oci_index *ret) ND_CHECK_RESULT;
struct nd_error *nd_oci_manifest_parse(struct nd_str text, struct nd_arena *arena,
                                       struct nd_oci_manifest *ret) ND_CHECK_RESULT;
struct nd_error *nd_oci_config_parse(struct nd_str text, struct nd_arena *arena,
                                     struct nd_oci_config *ret) ND_CHECK_RESULT;

/* The chain id of the lowest `n` layers, the name of their snapshot; "" for none. In the arena. */
const char *nd_oci_chain_id(const struct nd_oci_config *config, size_t n, struct nd_arena *arena)
    __attribute__((__returns_nonnull__));

/* One image of an archive of docker's: names of files in it. */
struct nd_docker_image {
    const char *config;
    const char *const *tags;
    size_t n_tags;
    const char *const *layers; /* bottom first */
    size_t n_layers;
};

struct nd_docker_archive {
    const struct nd_docker_image *images;
    size_t n_images;
};

/* Its manifest.json. The names are not checked: they are looked for among those of the archive. */
struct nd_error *nd_docker_archive_parse(struct nd_str text, struct nd_arena *arena,
                                         struct nd_docker_archive *ret) ND_CHECK_RESULT;

#endif
