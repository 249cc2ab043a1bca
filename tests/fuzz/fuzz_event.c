/* An event as containerd sends it: printed and named, whatever its payload is. */

#include "codec/json.h"
#include "codec/pb.h"
#include "containerd/events.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
print_and_name(const Ct__Envelope *event, struct nd_arena *arena)
{
    struct nd_ctrd_event_name name;
    struct nd_buf buf = ND_BUF_INIT((size_t)64 << 20);
    ND_AUTO(nd_json_freep) struct nd_json *parsed = NULL;
    ND_AUTO(nd_error_freep) struct nd_error *err = nd_ctrd_event_json(event, &buf);

    ND_INVARIANT(err == NULL);
    err = nd_json_parse(nd_buf_str(&buf), NULL, &parsed);
    ND_INVARIANT(err == NULL || nd_error_code(err) == ND_EXHAUSTED);
    nd_ctrd_event_name(event, arena, &name);
    ND_INVARIANT(name.type != NULL && name.action != NULL && name.id != NULL);
    nd_buf_fini(&buf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ProtobufCMessage *event;
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    err = nd_pb_decode(&ct__envelope__descriptor, nd_str_n(data, size), arena, &event);
    if (err == NULL)
        print_and_name((const Ct__Envelope *)event, arena);
    return 0;
}
