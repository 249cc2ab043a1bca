#ifndef IMAGE_SPOOL_PRIV_H
#define IMAGE_SPOOL_PRIV_H

#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"

/* An archive on disk, in a file without a name. */
struct nd_spool;

/* `dir` is a folder on a file system with room. Fails: ND_EXHAUSTED, ND_DENIED. Context: any. */
struct nd_error *nd_spool_new(const char *dir, struct nd_spool **ret) ND_CHECK_RESULT;
void nd_spool_free(struct nd_spool *spool); /* NULL is fine */
void nd_spool_freep(struct nd_spool **spool);

/*
 * Append. Fails: ND_EXHAUSTED over ND_LOAD_MAX_ARCHIVE_BYTES, or when the disk is full. Context:
 * fiber.
 */
struct nd_error *nd_spool_add(struct nd_spool *spool, struct nd_str bytes) ND_CHECK_RESULT;
uint64_t nd_spool_size(const struct nd_spool *spool);

/* How far it was read. Context: any, not during a read. */
uint64_t nd_spool_position(const struct nd_spool *spool);

/*
 * Read it (`arg`) from the beginning, piece by piece: an nd_archive_source. Context: any thread,
 * one at a time.
 */
struct nd_error *nd_spool_source(void *arg, struct nd_str *ret_bytes) ND_CHECK_RESULT;

#endif
