/*
 * Cases with servers that misbehave below gRPC: connections that are sent away, streams that are
 * reset at bad moments, PINGs, a low limit of streams, padding. The server of each case has its
 * name.
 */

#include "fiber/group.h"

#include "interop_cases.h"
#include "interop_parts.h"

#define STREAMS 15

static struct nd_error *
succeeds(const struct interop_peer *peer)
{
    return interop_large_call(peer->ch);
}

/*
 * Not repeated: the server has begun to answer. A complete message does not count without a status.
 */
static struct nd_error *
is_internal(const struct interop_peer *peer)
{
    return interop_expect_error(interop_large_call(peer->ch), ND_INTERNAL, NULL);
}

/* The connection is on its way out after the first call. */
static struct nd_error *
goaway(const struct interop_peer *peer)
{
    ND_TRY_DOING(interop_large_call(peer->ch), "first call");
    return interop_large_call(peer->ch);
}

static struct nd_error *
call_in_fiber(void *arg)
{
    return interop_large_call(arg);
}

/* The first call learns of the limit; the server refuses to see it broken. */
static struct nd_error *
max_streams(const struct interop_peer *peer)
{
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);

    ND_TRY(interop_large_call(peer->ch));
    for (int i = 0; i < STREAMS; i++)
        ND_TRY(nd_group_spawn(group, call_in_fiber, peer->ch));
    return nd_group_wait(group);
}

const struct interop_case interop_http2_cases[] = {
    {"goaway", goaway},
    {"rst_after_header", is_internal},
    {"rst_during_data", is_internal},
    {"rst_after_data", is_internal},
    {"ping", succeeds},
    {"max_streams", max_streams},
    {"data_frame_padding", succeeds},
    {"no_df_padding", succeeds},
    {NULL, NULL},
};
