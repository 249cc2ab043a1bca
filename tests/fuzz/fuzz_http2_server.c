/*
 * Bytes into a gRPC server: the first one says how they are cut and whether the connection begins
 * as a good client's would. Whatever they are, the server must end with nothing left: over the
 * network, and on a Unix socket, where it checks the headers itself.
 */

#include "base/log.h"
#include "fiber/group.h"
#include "fiber/stream_io.h"

#include "echo_service.h"
#include "hostile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    struct nd_str bytes;
    enum nd_peer_kind from;
};

static struct nd_error *
run_server(void *arg)
{
    return nd_server_run(arg);
}

static struct nd_error *
body(void *arg)
{
    const struct input *input = arg;
    struct echo_state echo = {0};
    ND_AUTO(nd_server_freep) struct nd_server *server = nd_server_new(NULL);
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin_independent("fuzz", 0);
    struct nd_stream *mine, *peer;
    struct nd_server_stats stats;

    echo_add_to(&echo, server);
    ND_TRY(nd_group_spawn(group, run_server, server));
    nd_stream_pair(65536, &peer, &mine);
    mine->peer.kind = input->from;
    nd_server_adopt(server, mine, NULL);
    ND_TRY(nd_group_spawn(group, hostile_swallow, peer));
    nd_error_free(hostile_write(peer, HOSTILE_PREFACE, input->bytes));
    ND_TRY(nd_fiber_sleep(ND_MILLISECOND));
    nd_server_stop(server, ND_SECOND);
    ND_TRY(nd_group_wait(group));
    nd_stream_close(peer);
    nd_server_get_stats(server, &stats);
    ND_INVARIANT(stats.calls == 0 && stats.connections == 0 && echo.started == echo.ended);
    return NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct nd_loop_options options = {.virtual_clock = true};
    struct input input = {nd_str_n(data, size), ND_PEER_MEMORY};

    if (size == 0)
        return 0;
    nd_log_set_level(ND_LOG_ERROR);
    nd_error_free(nd_loop_run(body, &input, &options));
    input.from = ND_PEER_UNIX;
    nd_error_free(nd_loop_run(body, &input, &options));
    return 0;
}
