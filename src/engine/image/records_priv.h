#ifndef IMAGE_RECORDS_PRIV_H
#define IMAGE_RECORDS_PRIV_H

#include "containerd/client.h"
#include "host/host.h"

/*
 * The image store of containerd: names and what they point at. Context of everything here: fiber.
 */

/* Fails: ND_NOT_FOUND. */
struct nd_error *nd_record_get(struct nd_host *host, const char *ns, const char *name,
                               struct nd_arena *arena, CtImages__Image **ret) ND_CHECK_RESULT;

/* All of the namespace; records without a target are left out. */
struct nd_error *nd_record_list(struct nd_host *host, const char *ns, struct nd_arena *arena,
                                CtImages__ListResponse **ret) ND_CHECK_RESULT;

/* Make the name point at `target`, whether or not it exists. *ret is the record as it is then. */
struct nd_error *nd_record_put(struct nd_host *host, struct nd_ctrd_scope scope, const char *name,
                               const Ct__Descriptor *target, struct nd_arena *arena,
                               CtImages__Image **ret) ND_CHECK_RESULT;

/* Remove the name; with `sync` wait until what only it needed is gone. Fails: ND_NOT_FOUND. */
struct nd_error *nd_record_delete(struct nd_host *host, const char *ns, const char *name, bool sync,
                                  struct nd_arena *arena) ND_CHECK_RESULT;

/*
 * The records that `given` stands for: that name; else all whose target, manifest or config digest begins
 * with it (they then have one and the same target). At least one.
 * Fails: ND_NOT_FOUND reason IMAGE_NOT_FOUND; ND_INVALID reason IMAGE_REFERENCE_INVALID or
 *        IMAGE_ID_AMBIGUOUS.
 */
struct nd_found_images {
    CtImages__Image **images;
    size_t n;
    bool by_id;
};
struct nd_error *nd_record_find(struct nd_host *host, const char *ns, struct nd_str given,
                                struct nd_arena *arena,
                                struct nd_found_images *ret) ND_CHECK_RESULT;

/* The error of that, for whoever finds out later. */
struct nd_error *nd_record_not_found(struct nd_str given) ND_NEW_ERROR;

/* The same for a field of a request, which is named when what it says can be no image. */
struct nd_error *nd_record_find_field(struct nd_host *host, const char *ns, const char *field,
                                      struct nd_str given, struct nd_arena *arena,
                                      struct nd_found_images *ret) ND_CHECK_RESULT;

#endif
