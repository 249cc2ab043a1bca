#ifndef TESTS_UNIT_IMAGE_IMAGE_WORLD_H
#define TESTS_UNIT_IMAGE_IMAGE_WORLD_H

/* A host on a private containerd, a namespace of its own for each test, and what is left in it. */

#include "host/host.h"
#include "image/images.h"

#include "archives.h"
#include "private_containerd.h"

struct image_world {
    struct world *ctrd; /* a client of its own, for looking */
    struct nd_host *host;
    char ns[24];
    struct nd_arena *arena;
};

struct image_world *image_world_begin(void);
void image_world_endp(struct image_world **w);

/* Everything that images leave in a namespace. */
struct remains {
    size_t blobs, snapshots, ingests, leases, names;
};
struct remains remains_in(struct image_world *w);
/* Fails the test when there is anything. */
void assert_nothing_left(struct image_world *w, const char *after);

/* What a load tells. */
struct load_run {
    struct nd_str bytes;
    size_t pos;
    size_t fail_at; /* reading fails behind so many bytes; 0: never */
    unsigned n_progress, n_loaded;
    char name[8][256]; /* of what was loaded */
    char digest[8][96];
};
struct nd_error *load_with(struct image_world *w, struct load_run *run,
                           const Pb__LoadOptions *options) ND_CHECK_RESULT;
/* With default options; fails the test when the load does. */
void load_ok(struct image_world *w, struct nd_str archive);

/* A label of a blob, or NULL. */
const char *blob_label(struct image_world *w, const char *digest, const char *key);

/* A container record of that image, without a task. */
void make_container(struct image_world *w, const char *id, const char *image);

#endif
