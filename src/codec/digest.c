/*
 * Digests on OpenSSL's EVP functions.
 *
 * A digest text names a file in the content store and is typed by people, so exactly one spelling
 * is accepted. The hash functions themselves cannot fail with these algorithms and valid memory;
 * should OpenSSL say otherwise, the process cannot go on trusting content.
 */

#include "codec/digest.h"

#include <stdio.h>

#include <openssl/evp.h>

#include "base/alloc.h"

struct algorithm {
    const char *name;
    size_t size; /* bytes of a hash */
    const EVP_MD *(*md)(void);
};

static const struct algorithm algorithms[] = {
    [ND_SHA256] = {"sha256", 32, EVP_sha256},
    [ND_SHA384] = {"sha384", 48, EVP_sha384},
    [ND_SHA512] = {"sha512", 64, EVP_sha512},
};

const char *
nd_digest_name(enum nd_digest_algorithm algorithm)
{
    return algorithms[algorithm].name;
}

size_t
nd_digest_size(enum nd_digest_algorithm algorithm)
{
    return algorithms[algorithm].size;
}

/* The algorithm of that name, or NULL. */
static const struct algorithm *
find_algorithm(struct nd_str name)
{
    for (size_t i = 0; i < ND_LEN(algorithms); i++) {
        if (nd_str_eqz(name, algorithms[i].name))
            return &algorithms[i];
    }
    return NULL;
}

static struct nd_error *
check_hex(struct nd_str text, struct nd_str hex, size_t size)
{
    if (hex.len != 2 * size || !nd_str_is_hex(hex))
        return nd_error_new(ND_INVALID,
                            "\"%.*s\" is not a digest: %zu lower-case hex digits wanted",
                            ND_STR_ARG(nd_str_sub(text, 0, ND_DIGEST_TEXT_SIZE)), 2 * size);
    return NULL;
}

struct nd_error *
nd_digest_parse(struct nd_str text, struct nd_digest *ret)
{
    size_t colon = nd_str_find(text, ':');
    struct nd_str shown = nd_str_sub(text, 0, ND_DIGEST_TEXT_SIZE);
    const struct algorithm *algorithm = find_algorithm(nd_str_sub(text, 0, colon));
    struct nd_str hex;

    if (colon == SIZE_MAX || colon == 0 || colon + 1 == text.len)
        return nd_error_new(ND_INVALID, "\"%.*s\" is not a digest such as sha256:4e07...",
                            ND_STR_ARG(shown));
    hex = nd_str_from(text, colon + 1);
    if (algorithm == NULL)
        return nd_error_new(ND_UNIMPLEMENTED, "\"%.*s\" has an unknown digest algorithm",
                            ND_STR_ARG(shown));
    ND_TRY(check_hex(text, hex, algorithm->size));
    *ret = (struct nd_digest){(enum nd_digest_algorithm)(algorithm - algorithms), hex};
    return NULL;
}

void
nd_hash_hex(enum nd_digest_algorithm algorithm, struct nd_str bytes,
            char ret[2 * ND_HASH_MAX_BYTES + 1])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    ND_INVARIANT(EVP_Digest(bytes.len > 0 ? bytes.ptr : "", bytes.len, hash, &len,
                            algorithms[algorithm].md(), NULL) == 1);
    nd_hex(ret, hash, len);
}

static void
put_text(enum nd_digest_algorithm algorithm, const char *hex, char ret[ND_DIGEST_TEXT_SIZE])
{
    (void)snprintf(ret, ND_DIGEST_TEXT_SIZE, "%s:%s", algorithms[algorithm].name, hex);
}

void
nd_digest_of(enum nd_digest_algorithm algorithm, struct nd_str bytes, char ret[ND_DIGEST_TEXT_SIZE])
{
    char hex[2 * ND_HASH_MAX_BYTES + 1];

    nd_hash_hex(algorithm, bytes, hex);
    put_text(algorithm, hex, ret);
}

struct nd_hasher {
    enum nd_digest_algorithm algorithm;
    EVP_MD_CTX *ctx;
};

struct nd_hasher *
nd_hasher_new(enum nd_digest_algorithm algorithm)
{
    struct nd_hasher *hasher = nd_new(struct nd_hasher);

    hasher->algorithm = algorithm;
    hasher->ctx = EVP_MD_CTX_new();
    ND_INVARIANT(hasher->ctx != NULL);
    ND_INVARIANT(EVP_DigestInit_ex(hasher->ctx, algorithms[algorithm].md(), NULL) == 1);
    return hasher;
}

void
nd_hasher_free(struct nd_hasher *hasher)
{
    if (hasher == NULL)
        return;
    EVP_MD_CTX_free(hasher->ctx);
    nd_free(hasher);
}

void
nd_hasher_freep(struct nd_hasher **hasher)
{
    nd_hasher_free(*hasher);
}

void
nd_hasher_add(struct nd_hasher *hasher, const void *ptr, size_t len)
{
    ND_INVARIANT(EVP_DigestUpdate(hasher->ctx, ptr, len) == 1);
}

void
nd_hasher_text(const struct nd_hasher *hasher, char ret[ND_DIGEST_TEXT_SIZE])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new(); /* finishing ends a context, so a copy is finished */
    unsigned char hash[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned len = 0;

    ND_INVARIANT(ctx != NULL && EVP_MD_CTX_copy_ex(ctx, hasher->ctx) == 1);
    ND_INVARIANT(EVP_DigestFinal_ex(ctx, hash, &len) == 1);
    EVP_MD_CTX_free(ctx);
    nd_hex(hex, hash, len);
    put_text(hasher->algorithm, hex, ret);
}
