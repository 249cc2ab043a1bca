/*
 * Bodies of gRPC-Web in text form: the first byte says how the text is cut. However it is cut, the
 * same comes out, and what comes out reads back the same; then it is read as messages.
 */

#include "base/alloc.h"

#include "frame_priv.h"
#include "web_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Appends what `text` decodes to; false when it is not base64. */
static bool
decode(struct nd_str text, size_t cut, struct nd_buf *out)
{
    struct nd_web_text t = {0};

    while (text.len != 0) {
        struct nd_str piece = nd_str_sub(text, 0, cut);
        size_t n;

        ND_INVARIANT(nd_buf_reserve(out, ND_WEB_DECODED_SIZE(piece.len)) == NULL);
        if (!nd_web_text_decode(&t, piece, out->ptr + out->len, &n))
            return false;
        ND_INVARIANT(n <= ND_WEB_DECODED_SIZE(piece.len));
        out->len += n;
        text = nd_str_from(text, piece.len);
    }
    return t.n_chars == 0;
}

static void
read_messages(struct nd_str bytes)
{
    struct nd_frames frames;
    struct nd_error *err = NULL;
    bool found = true;

    nd_frames_init(&frames, 1000);
    nd_frames_feed(&frames, bytes);
    while (err == NULL && found) {
        struct nd_str message;

        err = nd_frames_next(&frames, &message, &found);
        ND_INVARIANT(err != NULL || !found || message.len <= 1000);
    }
    nd_error_free(err);
    nd_frames_fini(&frames);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nd_buf whole = ND_BUF_INIT(1u << 24), pieces = ND_BUF_INIT(1u << 24);
    struct nd_buf text = ND_BUF_INIT(1u << 24), again = ND_BUF_INIT(1u << 24);
    struct nd_str in = nd_str_n(data + 1, size - 1);
    bool good;

    if (size < 2)
        return 0;
    good = decode(in, in.len, &whole);
    ND_INVARIANT(decode(in, data[0] % 16 + 1, &pieces) == good);
    if (good) {
        ND_INVARIANT(nd_str_eq(nd_buf_str(&whole), nd_buf_str(&pieces)));
        ND_INVARIANT(nd_web_text_encode(&text, nd_buf_str(&whole)) == NULL);
        ND_INVARIANT(decode(nd_buf_str(&text), text.len + 1, &again));
        ND_INVARIANT(nd_str_eq(nd_buf_str(&whole), nd_buf_str(&again)));
        read_messages(nd_buf_str(&whole));
    }
    (void)nd_web_kind_of(in);
    nd_buf_fini(&whole);
    nd_buf_fini(&pieces);
    nd_buf_fini(&text);
    nd_buf_fini(&again);
    return 0;
}
