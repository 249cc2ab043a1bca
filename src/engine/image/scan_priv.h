#ifndef IMAGE_SCAN_PRIV_H
#define IMAGE_SCAN_PRIV_H

#include "base/map.h"
#include "containerd/content.h"
#include "host/host.h"

#include "spool_priv.h"

/* A file of the archive, which is content in containerd now. */
struct nd_scan_blob {
    const char *name;   /* in the archive */
    const char *digest; /* "sha256:..." */
    int64_t size;
    bool gzip, zstd; /* what it begins like */
};

/*
 * What one pass over an archive found. Small files that describe the rest are kept as text, every
 * other file went into the content store, links are kept as names.
 */
struct nd_scan {
    struct nd_arena *arena;
    struct nd_map *blobs;     /* name -> struct nd_scan_blob, in the arena */
    struct nd_map *by_digest; /* digest -> the same */
    struct nd_map *links;     /* name -> target name, in the arena */
    struct nd_str index_json, manifest_json, oci_layout; /* .ptr NULL: not there */
};

/* Told after each file: how far the reading is. */
typedef struct nd_error *nd_scan_progress(void *arg, uint64_t done, uint64_t total);

/*
 * Read the archive from its spool and put its files into the content store, under the scope's
 * lease. Files that name their digest (blobs/sha256/...) must have it. Fails: ND_INVALID,
 * ND_DATA_LOSS, ND_EXHAUSTED, reason ARCHIVE_INVALID, naming the file. Context: fiber.
 */
struct nd_error *nd_scan_archive(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope,
                                 struct nd_spool *spool, nd_scan_progress *progress, void *arg,
                                 struct nd_arena *arena, struct nd_scan *ret) ND_CHECK_RESULT;
void nd_scan_fini(struct nd_scan *scan);

/* The blob behind a name, through links. NULL when there is none. */
const struct nd_scan_blob *nd_scan_find(const struct nd_scan *scan, struct nd_str name);

/* Mark an error as the archive's fault. Takes and returns it; NULL stays NULL. */
struct nd_error *nd_archive_fault(struct nd_error *err) ND_CHECK_RESULT;

#endif
