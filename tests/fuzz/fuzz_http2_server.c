/*
 * Bytes into a gRPC server: the first one says how they are cut and whether the connection begins as a
 * good client's would. Whatever they are, the server must end with nothing left.
 */

#include "base/log.h"
#include "fiber/group.h"

#include "echo_service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GOOD_BEGINNING 1u
#define PIECE_SHIFT    1

static const char beginning[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

struct input {
    const uint8_t *data;
    size_t size;
};

static struct nd_error *
run_server(void *arg)
{
    return nd_server_run(arg);
}

/* Read what comes until the end, so that windows and queues move. */
static struct nd_error *
swallow(void *arg)
{
    char bytes[4096];
    size_t n = 1;

    while (n != 0)
        ND_TRY(nd_stream_read(arg, bytes, sizeof(bytes), &n));
    return NULL;
}

static void
write_pieces(struct nd_stream *peer, const struct input *in)
{
    size_t piece = ((size_t)in->data[0] >> PIECE_SHIFT) + 1;
    struct nd_str rest = nd_str_n(in->data + 1, in->size - 1);
    struct nd_error *err = NULL;

    if (in->data[0] & GOOD_BEGINNING)
        err = nd_stream_write(peer, nd_str_n(beginning, sizeof(beginning) - 1));
    while (err == NULL && rest.len != 0) {
        err = nd_stream_write(peer, nd_str_sub(rest, 0, piece * piece));
        rest = nd_str_from(rest, piece * piece);
    }
    nd_error_free(err);
}

static struct nd_error *
body(void *arg)
{
    struct echo_state echo = {0};
    ND_AUTO(nd_server_freep) struct nd_server *server = nd_server_new(NULL);
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin_independent("fuzz", 0);
    struct nd_stream *mine, *peer;
    struct nd_server_stats stats;

    echo_add_to(&echo, server);
    ND_TRY(nd_group_spawn(group, run_server, server));
    nd_stream_pair(65536, &peer, &mine);
    nd_server_adopt(server, mine, NULL);
    ND_TRY(nd_group_spawn(group, swallow, peer));
    write_pieces(peer, arg);
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
    struct input in = {data, size};

    if (size == 0)
        return 0;
    nd_log_set_level(ND_LOG_ERROR);
    nd_error_free(nd_loop_run(body, &in, &options));
    return 0;
}
