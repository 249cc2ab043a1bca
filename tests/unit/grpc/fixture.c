/* See fixture.h. */

#include "fixture.h"

#include <unistd.h>

static struct nd_error *
run_server(void *arg)
{
    return nd_server_run(arg);
}

static struct nd_error *
dial_pair(void *arg, struct nd_stream **ret)
{
    struct fixture *f = arg;
    struct nd_stream *theirs;

    if (f->server == NULL)
        return nd_error_new(ND_UNAVAILABLE, "no server");
    nd_stream_pair(f->options.capacity, ret, &theirs);
    nd_server_adopt(f->server, theirs, NULL);
    f->last_dialled = *ret;
    f->dials++;
    return NULL;
}

static void
start_server(struct fixture *f)
{
    f->server = nd_server_new(&f->options.server);
    echo_add_to(&f->echo, f->server);
    if (f->options.socket != NULL) {
        struct nd_addr addr;

        expect_ok(nd_addr_parse(nd_str(f->options.socket), &addr));
        expect_ok(nd_server_listen(f->server, &addr, NULL, NULL, NULL));
    }
    expect_ok(nd_group_spawn(f->group, run_server, f->server));
}

static void
stop_server(struct fixture *f)
{
    struct nd_server_stats stats;

    nd_server_stop(f->server, ND_SECOND);
    while (nd_group_count(f->group) != 0)
        expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    nd_server_get_stats(f->server, &stats);
    assert_int_equal(stats.calls, 0);
    assert_int_equal(stats.connections, 0);
    nd_server_free(ND_TAKE(f->server));
}

struct fixture *
fixture_begin(const struct fixture_options *options)
{
    struct fixture *f = nd_new(struct fixture);
    struct nd_addr addr = {.kind = ND_PEER_UNIX, .path = "/pair"};

    f->options = *options;
    f->n_fibers = nd_loop_n_fibers();
    if (f->options.capacity == 0)
        f->options.capacity = CAPACITY_LARGE;
    f->group = nd_group_begin("server", 0);
    f->arena = nd_arena_new(0);
    if (f->options.socket != NULL) {
        expect_ok(nd_addr_parse(nd_str(f->options.socket), &addr));
    } else if (f->options.channel.dial == NULL) {
        f->options.channel.dial = dial_pair;
        f->options.channel.dial_arg = f;
    }
    start_server(f);
    f->channel = nd_channel_new(&addr, &f->options.channel);
    return f;
}

void
fixture_end(struct fixture *f)
{
    nd_channel_free(f->channel);
    stop_server(f);
    assert_int_equal(f->echo.started, f->echo.ended);
    nd_group_end(f->group);
    assert_int_equal(nd_loop_n_fibers(), f->n_fibers);
    nd_arena_free(f->arena);
    nd_free(f);
}

void
fixture_endp(struct fixture **f)
{
    fixture_end(*f);
}

void
fixture_restart_server(struct fixture *f)
{
    stop_server(f);
    start_server(f);
}

struct nd_error *
fixture_echo(struct fixture *f, size_t size)
{
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;
    ND_AUTO(nd_freep) uint8_t *payload = nd_new_array(size + 1, uint8_t);

    for (size_t i = 0; i < size; i++)
        payload[i] = (uint8_t)(i * 7 + i / 251);
    req.text = (char *)"hello";
    req.payload.data = payload;
    req.payload.len = size;
    nd_arena_reset(f->arena);
    ND_TRY(nd_channel_unary(f->channel, ECHO_ECHO_SERVICE_UNARY, NULL, &req, f->arena, &rsp));
    assert_string_equal(rsp->text, "hello");
    assert_int_equal(rsp->payload.len, size);
    assert_memory_equal(rsp->payload.data, payload, size);
    return NULL;
}

void
fixture_until(const unsigned *value, unsigned wanted)
{
    while (*value != wanted)
        expect_ok(nd_fiber_sleep(ND_MILLISECOND));
}
