#ifndef CONTAINER_CREATION_PRIV_H
#define CONTAINER_CREATION_PRIV_H

/*
 * A container in the making: the plan, and what was found out about image and host. Everything
 * lives in the arena of the call.
 */

#include "base/buf.h"
#include "image/images.h"
#include "store/root.h"

#include "changes_priv.h"
#include "containers_priv.h"
#include "plan_priv.h"
#include "users_priv.h"

struct pair_list {
    struct nd_arena *arena;
    struct nd_spec_pair *at;
    size_t n, cap;
};

/* Set a key; one that is there keeps its place. */
void nd_pairs_set(struct pair_list *list, const char *key, const char *value);

struct creation {
    struct nd_containers *cs;
    struct nd_change *change; /* the caller's: it says when it is done */
    const char *ns;
    struct nd_arena *arena;
    struct plan *plan;
    bool will_start; /* part of a run, */
    bool detached;   /* in the background */

    /* found out */
    struct nd_store *store;
    struct nd_image_ready image;
    struct nd_user user;
    const char *user_text; /* "" for root by default */
    const char **args;
    size_t n_args;
    const char **env;
    size_t n_env;
    const char *cwd;
    const char *stop_signal;
    const char *init_path; /* of the host's binary; NULL: no init */
    const char *apparmor;  /* NULL: none */
    struct nd_spec_device *devices;
    size_t n_devices;

    /* chosen */
    char id[65];
    const char *name;
    const char *hostname; /* label and environment; "" when it is the host's */
    struct nd_state *state;
    const char *hosts_path, *log_uri;
    struct pair_list labels, annotations;
    struct nd_buf spec;

    /* made */
    struct mounts mounts; /* of the snapshot */
};

/* Program, environment, folder, user: image and request together (process.c). Context: any. */
struct nd_error *nd_creation_process(struct creation *c) ND_CHECK_RESULT;

/* Name, host name and what follows from the id (names.c). Context: any. */
struct nd_error *nd_creation_names(struct creation *c) ND_CHECK_RESULT;

/* The part of a default name that comes from the image; in the arena. Context: any. */
const char *nd_image_short_name(const char *image_name, struct nd_arena *arena);

/*
 * Sources of mounts, devices, init, profiles: looked at, not changed (host_files.c). Context:
 * fiber.
 */
struct nd_error *nd_creation_host_files(struct creation *c) ND_CHECK_RESULT;

/* Labels and annotations (labels.c). Context: any. */
struct nd_error *nd_creation_labels(struct creation *c) ND_CHECK_RESULT;

/* The spec (spec_input.c). Context: any. */
struct nd_error *nd_creation_spec(struct creation *c) ND_CHECK_RESULT;

/* Missing sources of bind mounts are made where that was asked for (sources.c). Context: fiber. */
struct nd_error *nd_creation_sources(struct creation *c) ND_CHECK_RESULT;

/* The record, in containerd (creation_record.c). Context: fiber. */
struct nd_error *nd_creation_record(const struct creation *c) ND_CHECK_RESULT;

/*
 * The whole of it (create.c): look, then change. It is there then, and goes again unless the caller
 * calls `change` done. From the first change on it is locked in `*hold`, also when this fails: the
 * caller unlocks it when `change` has ended, because nobody may get hold of what is being taken
 * back. Context: fiber.
 */
struct nd_error *nd_creation_run(struct creation *c, struct hold **hold) ND_CHECK_RESULT;

#endif
