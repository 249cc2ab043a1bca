/*
 * Our server of the bench service.
 *
 *     bench_server [--cert F --key F] ADDRESS
 *
 * Prints the port, or 0 for a Unix socket, when it listens. Serves until killed.
 */

#include <stdio.h>
#include <string.h>

#include "fiber/loop.h"
#include "grpc/server.h"

#include "bench.pb-c.h"
#include "bench_methods.h"

struct program {
    struct nd_tls_options tls;
    const char *address;
};

static struct nd_error *
echo(struct nd_call *call, const void *in, void *out)
{
    const Bench__Item *item = in;
    Bench__Item *reply = out;
    const ProtobufCMessage base = reply->base;

    (void)call;
    *reply = *item;
    reply->base = base;
    return NULL;
}

static struct nd_error *
stream(struct nd_call *call, const void *in, void *out)
{
    const Bench__StreamRequest *request = in;
    Bench__Chunk chunk = BENCH__CHUNK__INIT;

    (void)out;
    chunk.data.len = request->size;
    chunk.data.data = nd_arena_alloc(nd_call_arena(call), request->size);
    for (uint32_t i = 0; i < request->count; i++)
        ND_TRY(nd_call_send(call, &chunk));
    return NULL;
}

static struct nd_error *
park(struct nd_call *call, const void *in, void *out)
{
    Bench__Item *item;

    (void)in;
    (void)out;
    do
        ND_TRY(nd_call_recv(call, &item));
    while (item != NULL);
    return NULL;
}

static const struct nd_method_handler handlers[] = {
    {"Echo", echo},
    {"Stream", stream},
    {"Park", park},
    {NULL, NULL},
};

static struct nd_error *
body(void *arg)
{
    struct program *p = arg;
    const struct nd_server_options options = {.max_streams = 1000};
    ND_AUTO(nd_tls_config_unrefp) struct nd_tls_config *tls = NULL;
    ND_AUTO(nd_server_freep) struct nd_server *server = nd_server_new(&options);
    struct nd_addr addr;

    if (p->tls.cert_file != NULL)
        ND_TRY(nd_tls_config_server(&p->tls, &tls));
    ND_TRY(nd_addr_parse(nd_str(p->address), &addr));
    nd_server_add(server, &bench_bench_service, handlers, NULL);
    ND_TRY(nd_server_listen(server, &addr, NULL, tls, &addr));
    printf("%u\n", addr.port);
    fflush(stdout);
    return nd_server_run(server);
}

int
main(int argc, char **argv)
{
    struct program p = {.address = argv[argc - 1]};
    struct nd_error *err;

    for (int i = 1; i + 2 < argc; i += 2) {
        if (strcmp(argv[i], "--cert") == 0)
            p.tls.cert_file = argv[i + 1];
        else
            p.tls.key_file = argv[i + 1];
    }
    err = nd_loop_run(body, &p, NULL);
    if (err != NULL)
        fprintf(stderr, "bench_server: %s\n", nd_error_message(err));
    nd_error_free(err);
    return err != NULL;
}
