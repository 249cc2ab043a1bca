/* What a client may put into its headers: binary lists, messages, timeouts, paths. */

#include "base/clock.h"
#include "grpc/metadata.h"

#include "metadata_priv.h"
#include "wire_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_base64(struct nd_arena *arena, struct nd_str text)
{
    struct nd_str bytes, again;

    if (nd_base64_decode(arena, text, &bytes)) {
        struct nd_str encoded = nd_base64_encode(arena, bytes);

        ND_INVARIANT(nd_str_starts(text, encoded));
    }
    ND_INVARIANT(nd_base64_decode(arena, nd_base64_encode(arena, text), &again));
    ND_INVARIANT(nd_str_eq(again, text));
}

static void
check_percent(struct nd_arena *arena, struct nd_str text)
{
    struct nd_str encoded = nd_percent_encode(arena, text, SIZE_MAX / 16);
    struct nd_str cut = nd_percent_encode(arena, text, 20);

    nd_percent_decode(arena, text);
    for (size_t i = 0; i < encoded.len; i++)
        ND_INVARIANT(encoded.ptr[i] >= 0x20 && encoded.ptr[i] <= 0x7e);
    if (nd_str_is_utf8(text))
        ND_INVARIANT(nd_str_eq(nd_percent_decode(arena, encoded), text));
    ND_INVARIANT(cut.len <= 20 && nd_str_eq(nd_str_trim(cut), cut));
}

static void
check_timeout(struct nd_str text)
{
    char again[ND_TIMEOUT_SIZE];
    int64_t ns, back_ns;

    if (!nd_timeout_parse(text, &ns))
        return;
    ND_INVARIANT(ns >= 0);
    ND_INVARIANT(nd_timeout_parse(nd_str_n(again, nd_timeout_format(ns, again)), &back_ns));
    ND_INVARIANT(back_ns >= ns);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_metadata_freep) struct nd_metadata *md = nd_metadata_new();
    struct nd_str text = nd_str_n(data, size);
    struct nd_str service, method;
    struct nd_header headers[64];

    check_base64(arena, text);
    check_percent(arena, text);
    check_timeout(text);
    nd_path_split(text, &service, &method);
    nd_is_grpc_content_type(text);
    nd_metadata_receive(md, ND_STR("x-bin"), nd_str_sub(text, 0, 60));
    nd_metadata_receive(md, text, ND_STR("value"));
    nd_error_free(nd_metadata_add(md, text, text));
    nd_error_free(nd_metadata_add(md, ND_STR("x"), text));
    ND_INVARIANT(nd_metadata_count(md) <= ND_LEN(headers));
    nd_metadata_to_headers(md, arena, headers);
    return 0;
}
