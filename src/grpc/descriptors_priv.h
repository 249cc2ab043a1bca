#ifndef GRPC_DESCRIPTORS_PRIV_H
#define GRPC_DESCRIPTORS_PRIV_H

/*
 * An index over serialised FileDescriptorSets: which file has which symbol. Files stay the bytes
 * that they were, so options that nobody here knows are kept. Context of everything here: any.
 */

#include "base/error.h"
#include "base/str.h"

struct nd_descriptors;

struct nd_descriptor_file {
    size_t id; /* from 0, no gaps */
    struct nd_str name;
    struct nd_str bytes;    /* the FileDescriptorProto */
    struct nd_str *imports; /* names of files */
    size_t n_imports;
};

struct nd_descriptors *nd_descriptors_new(void) __attribute__((__returns_nonnull__));
void nd_descriptors_free(struct nd_descriptors *d); /* NULL is fine */

/* `set` is borrowed for as long as `d` lives. A file that is there already is passed over. Fails:
 * ND_INVALID; `d` can only be freed then. */
struct nd_error *nd_descriptors_add(struct nd_descriptors *d, struct nd_str set) ND_CHECK_RESULT;

size_t nd_descriptors_count(const struct nd_descriptors *d);

/* NULL when there is none. */
const struct nd_descriptor_file *nd_descriptors_file(const struct nd_descriptors *d,
                                                     struct nd_str name);
const struct nd_descriptor_file *nd_descriptors_symbol(const struct nd_descriptors *d,
                                                       struct nd_str symbol);
const struct nd_descriptor_file *nd_descriptors_extension(const struct nd_descriptors *d,
                                                          struct nd_str type, int32_t number);

/*
 * The numbers of the known extensions of a type, appended to `dst` up to `max`; returns how many.
 */
size_t nd_descriptors_extension_numbers(const struct nd_descriptors *d, struct nd_str type,
                                        int32_t *dst, size_t max);

#endif
