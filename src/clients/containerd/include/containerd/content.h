#ifndef CONTAINERD_CONTENT_H
#define CONTAINERD_CONTENT_H

/* Blobs. Follows: contracts/containerd-api.md 4.1.1. */

#include "containerd/client.h"

/*
 * A whole blob of at most `max_bytes`, NUL behind it, in `arena`. Fails: ND_NOT_FOUND; ND_EXHAUSTED
 * over the maximum; ND_DATA_LOSS when its bytes do not have its digest.
 */
struct nd_error *nd_content_read(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope,
                                 const char *digest, size_t max_bytes, struct nd_arena *arena,
                                 struct nd_str *ret) ND_CHECK_RESULT;

/*
 * A blob that is being written. `ref` names the ingest; `expected` (may be NULL) and `total` (0:
 * unknown) are what it must turn out to be.
 * Fails: ND_EXISTS when the namespace has the blob already (a success for most).
 */
struct nd_content_writer;
struct nd_error *nd_content_writer_open(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope,
                                        const char *ref, const char *expected, int64_t total,
                                        struct nd_content_writer **ret) ND_CHECK_RESULT;
/* The store holds all bytes already (another namespace has them): nothing need be fetched or added,
 * commit it. Only where `expected` and `total` were told. */
bool nd_content_writer_is_complete(const struct nd_content_writer *w);
struct nd_error *nd_content_writer_add(struct nd_content_writer *w,
                                       struct nd_str bytes) ND_CHECK_RESULT;
/*
 * Commit; `expected` as at open, for who did not know it then; `labels` as key, value, key, value,
 * ..., NULL (may be NULL). ND_EXISTS as above.
 */
struct nd_error *nd_content_writer_commit(struct nd_content_writer *w, const char *expected,
                                          const char *const *labels) ND_CHECK_RESULT;
/* Without a commit before: the ingest is aborted (shielded). NULL is fine. */
void nd_content_writer_close(struct nd_content_writer *w);
void nd_content_writer_closep(struct nd_content_writer **w);

/*
 * A small blob in one go; its digest is computed. ND_EXISTS counts as success, labels are then set.
 */
struct nd_error *nd_content_put(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope,
                                struct nd_str bytes, const char *const *labels) ND_CHECK_RESULT;

/* Set labels of a blob by mask (an empty value deletes one). */
struct nd_error *nd_content_label(struct nd_ctrd *ctrd, struct nd_ctrd_scope scope,
                                  const char *digest, const char *const *labels) ND_CHECK_RESULT;

#endif
