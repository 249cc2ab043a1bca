/* Documents of images: the same bytes as each kind of document. */

#include "codec/digest.h"
#include "oci/image.h"
#include "oci/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_result(struct nd_error *err)
{
    ND_INVARIANT(err == NULL || nd_error_code(err) == ND_INVALID ||
                 nd_error_code(err) == ND_EXHAUSTED);
    nd_error_free(err);
}

static void
check_descriptor(const struct nd_oci_descriptor *desc)
{
    struct nd_digest digest;
    ND_AUTO(nd_error_freep) struct nd_error *err = nd_digest_parse(nd_str(desc->digest), &digest);

    ND_INVARIANT(err == NULL && desc->size >= 0);
}

static void
read_manifests(struct nd_str text, struct nd_arena *arena)
{
    struct nd_oci_manifest m = {0};
    struct nd_oci_index index = {0};
    struct nd_error *err = nd_oci_index_parse(text, arena, &index);
    bool is_index = err == NULL && index.n_manifests > 0;

    check_result(err);
    for (size_t i = 0; i < index.n_manifests; i++)
        check_descriptor(&index.manifests[i]);
    err = nd_oci_manifest_parse(text, arena, &m);
    ND_INVARIANT(err != NULL || !is_index);
    check_result(err);
    for (size_t i = 0; i < m.n_layers; i++)
        check_descriptor(&m.layers[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_str text = nd_str_n(data, size);
    struct nd_docker_archive archive;
    struct nd_oci_config config = {0};

    read_manifests(text, arena);
    check_result(nd_docker_archive_parse(text, arena, &archive));
    check_result(nd_oci_config_parse(text, arena, &config));
    (void)nd_oci_chain_id(&config, config.n_diff_ids, arena);
    return 0;
}
