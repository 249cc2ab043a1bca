#ifndef OCI_REFERENCE_H
#define OCI_REFERENCE_H

/*
 * Names of images: "nginx", "localhost:5000/app:1", "user/app@sha256:...".
 * Follows: contracts/registry.md 1; contracts/nerdctl-interop.md 11.1. Context: any.
 */

#include "base/arena.h"
#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"

/* All parts of a normalised name, in the arena it was parsed into. Missing ones are "". */
struct nd_reference {
    const char *name;       /* "docker.io/library/nginx:latest": what the image store has */
    const char *repository; /* "docker.io/library/nginx" */
    const char *domain;     /* "docker.io" */
    const char *path;       /* "library/nginx" */
    const char *tag;        /* "latest", also when it was not given and there is no digest */
    const char *digest;     /* "sha256:..." */
};

/*
 * Normalise a name that a user typed. A tag and a digest are both kept.
 * Fails: ND_INVALID  not a reference, a bare image id of 64 digits, an address of ipfs
 */
struct nd_error *nd_reference_parse(struct nd_str text, struct nd_arena *arena,
                                    struct nd_reference *ret) ND_CHECK_RESULT;

/* As people write it: without "docker.io/" and "library/". "nginx:latest". In the arena. */
const char *nd_reference_familiar(const struct nd_reference *ref, struct nd_arena *arena)
    __attribute__((__returns_nonnull__));

/* The same without tag and digest: "nginx". Points into the reference. */
const char *nd_reference_familiar_repository(const struct nd_reference *ref)
    __attribute__((__returns_nonnull__));

/* Whom to ask for it: the domain, except that docker.io's registry has another name. Borrowed. */
const char *nd_reference_registry(const struct nd_reference *ref)
    __attribute__((__returns_nonnull__));

#endif
