/*
 * Bytes of a tunnel, cut into messages as the input says, into a gRPC server at its other end. The
 * first byte says which end of the call is the hostile one and whether HTTP/2 begins well; then
 * each message is a length byte and so many bytes; length 0 lets everything happen that can.
 * Whatever they are, both calls, the one around and those inside, must end with nothing left.
 */

#include "base/log.h"

#include "echo_service.h"
#include "echo_tunnel.h"
#include "hostile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FROM_SERVER    1u
#define GOOD_BEGINNING 2u

static struct nd_error *
run_server(void *arg)
{
    return nd_server_run(arg);
}

static struct nd_error *
write_messages(struct nd_stream *peer, struct nd_str rest)
{
    while (rest.len != 0) {
        struct nd_str message = nd_str_sub(rest, 1, (unsigned char)rest.ptr[0]);

        if (message.len == 0)
            ND_TRY(nd_fiber_sleep(ND_MILLISECOND));
        else
            ND_TRY(nd_stream_write(peer, message));
        rest = nd_str_from(rest, 1 + message.len);
    }
    return nd_stream_shutdown(peer);
}

static void
play(struct echo_tunnel *t, struct nd_server *inner, struct nd_str input)
{
    unsigned mode = (unsigned char)input.ptr[0];
    struct nd_stream **hostile = mode & FROM_SERVER ? &t->at_server : &t->at_client;
    struct nd_stream **honest = mode & FROM_SERVER ? &t->at_client : &t->at_server;
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin_independent("fuzz", 0);
    struct nd_error *err = NULL;

    nd_server_adopt(inner, ND_TAKE(*honest), NULL);
    nd_error_free(nd_group_spawn(group, hostile_swallow, *hostile));
    if (mode & GOOD_BEGINNING)
        err = nd_stream_write(*hostile, HOSTILE_PREFACE);
    if (err == NULL)
        err = write_messages(*hostile, nd_str_from(input, 1));
    nd_error_free(err);
    nd_error_free(nd_fiber_sleep(ND_MILLISECOND));
}

static struct nd_error *
body(void *arg)
{
    struct echo_state echo = {0};
    struct echo_tunnel t = {0};
    ND_AUTO(nd_server_freep) struct nd_server *inner = nd_server_new(NULL);
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("inner", 0);
    struct nd_server_stats stats;

    echo_add_to(&echo, inner);
    ND_TRY(nd_group_spawn(group, run_server, inner));
    ND_TRY(echo_tunnel_begin(&t));
    play(&t, inner, *(struct nd_str *)arg);
    echo_tunnel_end(&t);
    nd_server_stop(inner, ND_SECOND);
    ND_TRY(nd_group_wait(group));
    nd_server_get_stats(inner, &stats);
    ND_INVARIANT(stats.calls == 0 && stats.connections == 0 && echo.started == echo.ended);
    ND_INVARIANT(t.ended == 2);
    return NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct nd_loop_options options = {.virtual_clock = true};
    struct nd_str input = nd_str_n(data, size);

    if (size == 0)
        return 0;
    nd_log_set_level(ND_LOG_ERROR);
    nd_error_free(nd_loop_run(body, &input, &options));
    return 0;
}
