/*
 * Bytes into a gRPC client with three calls: the first one says how they are cut and whether the
 * connection begins as a good server's would. Whatever they are, each call must end by its
 * deadline, and nothing may be left.
 */

#include "base/log.h"
#include "fiber/group.h"
#include "grpc/channel.h"

#include "echo_service.h"
#include "hostile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    struct nd_str bytes;
    struct nd_channel *channel;
    struct nd_stream *peer; /* the server's end; NULL: not connected yet */
    struct nd_group *group;
    unsigned ended;
};

static struct nd_error *
write_input(void *arg)
{
    const struct input *in = arg;

    return hostile_write(in->peer, HOSTILE_SETTINGS, in->bytes);
}

static struct nd_error *
dial(void *arg, struct nd_stream **ret)
{
    struct input *in = arg;

    if (in->peer != NULL)
        return nd_error_new(ND_UNAVAILABLE, "once is enough");
    nd_stream_pair(65536, ret, &in->peer);
    ND_TRY(nd_group_spawn_now(in->group, hostile_swallow, in->peer));
    return nd_group_spawn_now(in->group, write_input, in);
}

static struct nd_error *
call_unary(struct input *in, struct nd_arena *arena)
{
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;
    const struct nd_call_options options = {.idempotent = true};
    ND_DEADLINE_IN(ND_SECOND);

    return nd_channel_unary(in->channel, ECHO_ECHO_SERVICE_UNARY, &options, &req, arena, &rsp);
}

static struct nd_error *
call_bidi(struct input *in, struct nd_arena *arena)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;
    ND_DEADLINE_IN(ND_SECOND);

    ND_TRY(nd_client_call_begin(in->channel, ECHO_ECHO_SERVICE_BIDI, NULL, &call));
    do {
        ND_TRY(nd_client_call_send(call, &req));
        ND_TRY(nd_client_call_recv(call, arena, &rsp));
    } while (rsp != NULL);
    return NULL;
}

static struct nd_error *
run_unary(void *arg)
{
    struct input *in = arg;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    nd_error_free(call_unary(in, arena));
    in->ended++;
    return NULL;
}

static struct nd_error *
run_bidi(void *arg)
{
    struct input *in = arg;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

    nd_error_free(call_bidi(in, arena));
    in->ended++;
    return NULL;
}

static struct nd_error *
body(void *arg)
{
    static nd_fiber_fn *const runs[] = {run_unary, run_bidi, run_unary};
    const struct nd_addr addr = {.kind = ND_PEER_UNIX, .path = "/pair"};
    struct input *in = arg;
    struct nd_group *calls = nd_group_begin("calls", 0);

    in->group = nd_group_begin_independent("peer", 0);
    in->channel = nd_channel_new(&addr, &(struct nd_channel_options){.dial = dial, .dial_arg = in});
    for (size_t i = 0; i < ND_LEN(runs); i++)
        ND_TRY(nd_group_spawn_now(calls, runs[i], in));
    nd_error_free(nd_group_wait(calls));
    ND_INVARIANT(in->ended == ND_LEN(runs));
    nd_group_end(calls);
    nd_channel_free(in->channel);
    nd_group_end(in->group);
    nd_stream_close(in->peer);
    return NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct nd_loop_options options = {.virtual_clock = true};
    struct input in = {.bytes = nd_str_n(data, size)};

    if (size == 0)
        return 0;
    nd_log_set_level(ND_LOG_ERROR);
    nd_error_free(nd_loop_run(body, &in, &options));
    return 0;
}
