#ifndef REMOTE_TARGET_H
#define REMOTE_TARGET_H

/*
 * Which daemon to talk to, and as whom. From the strongest to the weakest: --host, --context,
 * NERDCTL_HOST, NERDCTL_CONTEXT, the current context of the file, the local socket.
 * Context of everything here: outside of a loop (reads small files).
 */

#include "base/arena.h"
#include "remote/flags.h"

#define ND_DEFAULT_HOST    "unix:///run/nerdctl-grpc/nerdctl-grpc.sock"
#define ND_DEFAULT_CONTEXT "default"

/* A daemon that was given a name. Texts are never NULL; empty ones are not set. */
struct nd_context {
    const char *name;
    const char *description;
    const char *host;
    const char *namespace;
    const char *ca;
    const char *cert;
    const char *key;
    bool tls;
    bool skip_verify;
};

struct nd_contexts {
    struct nd_context *items;
    size_t n;
    const char *current; /* "": the default one */
};

/* Where the contexts are kept: ~/.config/nerdctl-remote/contexts.json. NULL without a home. */
const char *nd_contexts_path(struct nd_arena *arena);

/* Everything in the file; an empty list when there is none. Fails: ND_INVALID, ND_DENIED, ... */
struct nd_error *nd_contexts_load(struct nd_arena *arena, struct nd_contexts *ret) ND_CHECK_RESULT;

/* Replace the file as a whole. Fails: errors of writing it. */
struct nd_error *nd_contexts_save(struct nd_arena *arena,
                                  const struct nd_contexts *contexts) ND_CHECK_RESULT;

/* NULL when there is none. */
const struct nd_context *nd_contexts_find(const struct nd_contexts *contexts, const char *name);

struct nd_target {
    const char *context; /* its name */
    const char *host;
    const char *origin;    /* what said so, for messages: "--host", "context prod" */
    const char *namespace; /* "": the daemon's default */
    bool tls;
    bool skip_verify;
    const char *ca;
    const char *cert;
    const char *key;
};

/* Fails: ND_INVALID (contradictions), ND_NOT_FOUND (no such context), broken file. */
struct nd_error *nd_target_resolve(struct nd_arena *arena, const struct nd_flags *globals,
                                   struct nd_target *ret) ND_CHECK_RESULT;

/* Name of the context that would be used, and what decides that. Fails: as nd_target_resolve(). */
struct nd_error *nd_target_context_name(struct nd_arena *arena, const struct nd_flags *globals,
                                        const struct nd_contexts *contexts, const char **ret_name,
                                        const char **ret_origin) ND_CHECK_RESULT;

#endif
