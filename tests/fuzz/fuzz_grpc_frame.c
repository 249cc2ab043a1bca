/* Length-prefixed messages, cut into pieces whose size the first byte says. */

#include "frame_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_MESSAGE 1000u

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nd_str rest = nd_str_n(data, size);
    struct nd_error *err = NULL;
    struct nd_frames f;
    size_t taken = 0;
    size_t piece;

    if (size == 0)
        return 0;
    piece = (size_t)data[0] + 1;
    rest = nd_str_from(rest, 1);
    nd_frames_init(&f, MAX_MESSAGE);
    while (err == NULL && rest.len != 0) {
        bool found = true;

        nd_frames_feed(&f, nd_str_sub(rest, 0, piece));
        rest = nd_str_from(rest, piece);
        while (err == NULL && found) {
            struct nd_str message;

            err = nd_frames_next(&f, &message, &found);
            if (err != NULL || !found)
                break;
            ND_INVARIANT(message.len <= MAX_MESSAGE);
            taken += ND_FRAME_PREFIX + message.len;
        }
    }
    ND_INVARIANT(err != NULL || taken + nd_frames_pending(&f) == size - 1);
    nd_error_free(err);
    nd_frames_fini(&f);
    return 0;
}
