/*
 * A set of descriptors for reflection: whatever it is, it is refused or can be asked; all that a
 * file says is inside of it, and so are the answers.
 */

#include "base/alloc.h"

#include "descriptors_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_inside(struct nd_str piece, struct nd_str whole)
{
    return piece.len == 0 ||
           (piece.ptr >= whole.ptr && piece.ptr + piece.len <= whole.ptr + whole.len);
}

static void
ask_for_file(const struct nd_descriptors *d, struct nd_str name, struct nd_str set)
{
    const struct nd_descriptor_file *file = nd_descriptors_file(d, name);

    if (file == NULL)
        return;
    ND_INVARIANT(file->id < nd_descriptors_count(d) && nd_str_eq(file->name, name));
    ND_INVARIANT(is_inside(file->bytes, set) && is_inside(file->name, file->bytes));
    for (size_t i = 0; i < file->n_imports; i++) {
        ND_INVARIANT(is_inside(file->imports[i], file->bytes));
        nd_descriptors_file(d, file->imports[i]);
    }
}

static void
ask_for_extensions(const struct nd_descriptors *d, struct nd_str type)
{
    int32_t numbers[8];
    size_t n = nd_descriptors_extension_numbers(d, type, numbers, ND_LEN(numbers));

    ND_INVARIANT(n <= ND_LEN(numbers));
    for (size_t i = 0; i < n; i++)
        ND_INVARIANT(nd_descriptors_extension(d, type, numbers[i]) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nd_descriptors *d = nd_descriptors_new();
    struct nd_str set = nd_str_n(data, size);
    struct nd_error *err = nd_descriptors_add(d, set);

    /* Every length-prefixed piece of the set is asked for, as a name of each kind. */
    for (size_t i = 0; err == NULL && i < size; i++) {
        struct nd_str name = nd_str_sub(nd_str_from(set, i + 1), 0, data[i]);

        ask_for_file(d, name, set);
        ask_for_extensions(d, name);
        nd_descriptors_symbol(d, name);
    }
    if (err == NULL)
        err = nd_descriptors_add(d, set); /* its files are there already */
    nd_error_free(err);
    nd_descriptors_free(d);
    return 0;
}
