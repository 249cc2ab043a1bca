#ifndef TESTS_UNIT_OPERATION_HOST_BENCH_H
#define TESTS_UNIT_OPERATION_HOST_BENCH_H

/* A host without a containerd, with its ledger in a folder of its own. */

#include "fiber/in_loop.h"
#include "fiber/sync.h"
#include "host/host.h"
#include "store/temp_dir.h"

struct bench {
    struct temp_dir dir;
    struct nd_host *host;
};

/* Again on the same folder: what another daemon would find. */
static inline void
bench_open(struct bench *b)
{
    const struct nd_host_settings settings = {.containerd_address = "/nowhere/c.sock",
                                              .data_root = in_dir(&b->dir, "data"),
                                              .state_dir = in_dir(&b->dir, "state"),
                                              .default_namespace = "default",
                                              .snapshotter = "overlayfs",
                                              .helper_path = "/bin/true"};

    expect_ok(nd_host_new(&settings, &b->host));
}

static inline struct bench
bench_begin(void)
{
    struct bench b = {.dir = temp_dir_make()};

    bench_open(&b);
    return b;
}

static inline void
bench_reopen(struct bench *b)
{
    nd_host_free(b->host);
    bench_open(b);
}

static inline void
bench_end(struct bench *b)
{
    nd_host_free(b->host);
    temp_dir_remove(&b->dir);
}

#endif
