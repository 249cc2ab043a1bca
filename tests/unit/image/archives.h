#ifndef TESTS_UNIT_IMAGE_ARCHIVES_H
#define TESTS_UNIT_IMAGE_ARCHIVES_H

/* Image archives made in memory, honest ones and others. All results live in the arena. */

#include "base/arena.h"
#include "base/buf.h"
#include "codec/digest.h"

#define ARCHIVE_MAX_BYTES (64u << 20)
#define LAYERS_MAX        8

/* One tar entry of any type ('0' file, '1' hard link, '2' symbolic link, '5' folder, '6' FIFO). */
void tar_entry(struct nd_buf *tar, char type, const char *name, const char *link,
               struct nd_str content);
void tar_file(struct nd_buf *tar, const char *name, struct nd_str content);

/* The end mark, and the bytes handed over to the arena. */
struct nd_str tar_take(struct nd_buf *tar, struct nd_arena *arena);

/* A layer with one file. */
struct nd_str layer_of(struct nd_arena *arena, const char *name, const char *content);
struct nd_str gzipped(struct nd_arena *arena, struct nd_str bytes);
const char *digest_of(struct nd_arena *arena, struct nd_str bytes);

struct made {
    struct nd_arena *arena;
    struct nd_str layers[LAYERS_MAX]; /* plain tars */
    size_t n_layers;
    const char *architecture; /* NULL: the host's */
    const char *run;          /* JSON of the config's "config"; NULL: {} */
    struct nd_str config;     /* its text; made when it is asked for */
};

/* An image of `n` layers; what is in them is derived from `seed`, so that images differ. */
struct made made_image(struct nd_arena *arena, const char *seed, size_t n);
struct nd_str made_config(struct made *m);

/* As docker saves it. `tags` is JSON ("[\"a:1\"]" or null). `manifest` NULL: an honest one. */
struct docker_options {
    const char *tags;
    const char *manifest;
    const char *layer_prefix; /* what the manifest puts in front of layer names; NULL: nothing */
    bool manifest_first;
    bool links; /* layers after the first are links to it, symbolic and hard in turn */
};
struct nd_str docker_archive(struct made *m, const struct docker_options *options);

/* An OCI layout under construction: blobs as files, manifests for index.json as JSON. */
struct layout {
    struct nd_arena *arena;
    struct nd_buf *tar;
    struct nd_buf entries;
    int64_t size_lie; /* added to every size in a descriptor of a manifest */
};
struct layout layout_begin(struct nd_arena *arena);
/* Put a blob under a digest of one's choice; NULL: its own. */
void layout_blob(struct layout *l, struct nd_str bytes, const char *digest);
/* The manifest's text; its blobs are put too, unless `bare`. */
struct nd_str layout_image(struct layout *l, struct made *m, bool gzip, bool bare);
/* A descriptor in index.json. `extra` is JSON that begins with a comma, or "". */
void layout_entry(struct layout *l, const char *type, struct nd_str text, const char *extra);
struct nd_str layout_end(struct layout *l);

#define OCI_INDEX    "application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"

/* The whole of it for one image; `name` NULL: without one. */
struct nd_str oci_archive(struct made *m, const char *name, bool gzip);

#endif
