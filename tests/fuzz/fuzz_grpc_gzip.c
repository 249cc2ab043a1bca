/* Compressed messages, cut into pieces whose size the first byte says, against a small maximum. */

#include "fiber/loop.h"

#include "frame_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_MESSAGE 1000u

struct input {
    const uint8_t *data;
    size_t size;
};

/* Taking is what a fiber does: a message of several steps lets others run. */
static struct nd_error *
take_all(void *arg)
{
    const struct input *input = arg;
    struct nd_str rest = nd_str_n(input->data + 1, input->size - 1);
    size_t piece = (size_t)input->data[0] + 1;
    struct nd_error *err = NULL;
    struct nd_frames f;

    nd_frames_init(&f, MAX_MESSAGE);
    f.encoding = ND_ENCODING_GZIP;
    while (err == NULL && rest.len != 0) {
        bool found = true;

        nd_frames_feed(&f, nd_str_sub(rest, 0, piece));
        rest = nd_str_from(rest, piece);
        while (err == NULL && found) {
            struct nd_str message;

            err = nd_frames_next(&f, &message, &found);
            ND_INVARIANT(f.plain.cap <= MAX_MESSAGE + 1);
            if (err == NULL && found)
                ND_INVARIANT(message.len <= MAX_MESSAGE && f.taken >= ND_FRAME_PREFIX);
        }
    }
    nd_error_free(err);
    nd_frames_fini(&f);
    return NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct nd_loop_options options = {.virtual_clock = true};
    struct input input = {data, size};

    if (size != 0)
        nd_error_free(nd_loop_run(take_all, &input, &options));
    return 0;
}
