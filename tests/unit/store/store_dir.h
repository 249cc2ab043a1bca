#ifndef TESTS_UNIT_STORE_STORE_DIR_H
#define TESTS_UNIT_STORE_STORE_DIR_H

/* A store in a directory of its own, with a file in the place of containerd's socket. */

#include "store/root.h"

#include "temp_dir.h"

struct store_dir {
    struct temp_dir dir;
    struct nd_store *store;
};

static inline struct nd_error *
store_dir_make(struct store_dir *s)
{
    s->dir = temp_dir_make();
    put_file(in_dir(&s->dir, "containerd.sock"), ND_STR(""));
    return nd_store_open(in_dir(&s->dir, "root"), in_dir(&s->dir, "containerd.sock"), &s->store);
}

static inline void
store_dir_remove(struct store_dir *s)
{
    nd_store_close(s->store);
    temp_dir_remove(&s->dir);
}

/* <store>/<name> */
static inline const char *
in_store(const struct store_dir *s, const char *name)
{
    static char paths[64][512];
    static unsigned turn;
    char *path = paths[turn++ % 64];

    snprintf(path, sizeof(paths[0]), "%s/%s", nd_store_path(s->store), name);
    return path;
}

#endif
