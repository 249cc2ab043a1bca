/*
 * Names of images: what parses has a full name that parses to itself, and a familiar name that
 * means the same.
 */

#include <string.h>

#include "oci/limits.h"
#include "oci/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_same(const struct nd_reference *ref, const char *spelling, struct nd_arena *arena)
{
    struct nd_reference again;
    ND_AUTO(nd_error_freep)
    struct nd_error *err = nd_reference_parse(nd_str(spelling), arena, &again);

    ND_INVARIANT(err == NULL);
    ND_INVARIANT(strcmp(ref->name, again.name) == 0);
    ND_INVARIANT(strcmp(ref->domain, again.domain) == 0 && strcmp(ref->tag, again.tag) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    struct nd_reference ref;

    err = nd_reference_parse(nd_str_n(data, size), arena, &ref);
    if (err != NULL) {
        ND_INVARIANT(nd_error_code(err) == ND_INVALID);
        return 0;
    }
    ND_INVARIANT(strlen(ref.repository) <= ND_REFERENCE_MAX_NAME);
    ND_INVARIANT(ref.tag[0] != '\0' || ref.digest[0] != '\0');
    check_same(&ref, ref.name, arena);
    check_same(&ref, nd_reference_familiar(&ref, arena), arena);
    return 0;
}
