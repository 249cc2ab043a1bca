#ifndef CODEC_DIGEST_H
#define CODEC_DIGEST_H

/*
 * Content digests: "sha256:<64 hex digits>".
 * Context of everything here: any thread; the functions that hash many bytes belong on a worker.
 */

#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"

enum nd_digest_algorithm {
    ND_SHA256,
    ND_SHA384,
    ND_SHA512,
};

#define ND_DIGEST_TEXT_SIZE 136 /* longest text, "sha512:" and 128 digits, and a NUL */
#define ND_HASH_MAX_BYTES   64

/* A checked digest text, in two parts; borrowed from the text. */
struct nd_digest {
    enum nd_digest_algorithm algorithm;
    struct nd_str hex;
};

/*
 * Take a digest text apart. Only lower-case hex of the algorithm's exact length is one.
 * Fails: ND_INVALID    not a digest
 *        ND_UNIMPLEMENTED  another algorithm than the three
 */
struct nd_error *nd_digest_parse(struct nd_str text, struct nd_digest *ret) ND_CHECK_RESULT;

/* "sha256" and so on. */
const char *nd_digest_name(enum nd_digest_algorithm algorithm);

/* Bytes of a hash of that algorithm. */
size_t nd_digest_size(enum nd_digest_algorithm algorithm);

/* The digest text of `bytes`, NUL behind. */
void nd_digest_of(enum nd_digest_algorithm algorithm, struct nd_str bytes,
                  char ret[ND_DIGEST_TEXT_SIZE]);

/* Only the hex digits of it, NUL behind. */
void nd_hash_hex(enum nd_digest_algorithm algorithm, struct nd_str bytes,
                 char ret[2 * ND_HASH_MAX_BYTES + 1]);

/* Hashing piece by piece. */
struct nd_hasher;

struct nd_hasher *nd_hasher_new(enum nd_digest_algorithm algorithm)
    __attribute__((__returns_nonnull__));
void nd_hasher_free(struct nd_hasher *hasher); /* NULL is fine */
void nd_hasher_freep(struct nd_hasher **hasher);
void nd_hasher_add(struct nd_hasher *hasher, const void *ptr, size_t len);

/*
 * The digest text of all that was added. The hasher can go on: what follows is added to the same.
 */
void nd_hasher_text(const struct nd_hasher *hasher, char ret[ND_DIGEST_TEXT_SIZE]);

#endif
