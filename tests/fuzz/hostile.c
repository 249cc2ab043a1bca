/* See hostile.h. */

#include "hostile.h"

#include "base/error.h"

#define GOOD_BEGINNING 1u
#define PIECE_SHIFT    1

struct nd_error *
hostile_swallow(void *stream)
{
    char bytes[4096];
    size_t n = 1;

    while (n != 0)
        ND_TRY(nd_stream_read(stream, bytes, sizeof(bytes), &n));
    return NULL;
}

struct nd_error *
hostile_write(struct nd_stream *to, struct nd_str beginning, struct nd_str input)
{
    unsigned mode = (unsigned char)input.ptr[0];
    size_t root = (mode >> PIECE_SHIFT) + 1;
    struct nd_str rest = nd_str_from(input, 1);

    if (mode & GOOD_BEGINNING)
        ND_TRY(nd_stream_write(to, beginning));
    while (rest.len != 0) {
        ND_TRY(nd_stream_write(to, nd_str_sub(rest, 0, root * root)));
        rest = nd_str_from(rest, root * root);
    }
    return NULL;
}
