/*
 * Hold connections, and calls on them, open while somebody else weighs the server.
 *
 *     hold_client [--ca F] ADDRESS CONNECTIONS STREAMS     # STREAMS: calls on each connection
 *
 * Prints "held" when the server has answered on every connection and has every stream; ends with
 * its standard input.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "fiber/group.h"
#include "fiber/stream.h"
#include "grpc/channel.h"

#include "bench.pb-c.h"
#include "bench_methods.h"

enum method { ECHO, STREAM, PARK };

struct program {
    struct nd_tls_options tls;
    const char *address;
    uint64_t n_channels;
    uint64_t n_streams;
};

/* A round trip: what was sent before it has arrived. */
static struct nd_error *
touch(struct nd_channel *channel)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Bench__Item item = BENCH__ITEM__INIT;
    Bench__Item *reply;

    return nd_channel_unary(channel, &bench_bench_service.methods[ECHO], NULL, &item, arena,
                            &reply);
}

static struct nd_error *
open_one(const struct program *p, const struct nd_addr *addr, struct nd_tls_config *tls,
         struct nd_client_call **calls)
{
    const struct nd_channel_options options = {.tls = tls};
    struct nd_channel *channel = nd_channel_new(addr, &options);

    for (size_t i = 0; i < p->n_streams; i++)
        ND_TRY(nd_client_call_begin(channel, &bench_bench_service.methods[PARK], NULL, &calls[i]));
    return touch(channel);
}

/* Held until the process ends: nothing is given back one by one. */
static struct nd_error *
body(void *arg)
{
    const struct program *p = arg;
    struct nd_tls_config *tls = NULL;
    struct nd_client_call **calls = nd_calloc(p->n_streams + 1, sizeof(*calls));
    struct nd_addr addr;

    if (p->tls.ca_file != NULL)
        ND_TRY(nd_tls_config_client(&p->tls, &tls));
    ND_TRY(nd_addr_parse(nd_str(p->address), &addr));
    for (size_t i = 0; i < p->n_channels; i++)
        ND_TRY(open_one(p, &addr, tls, calls));
    puts("held");
    fflush(stdout);
    getchar();
    exit(0);
}

int
main(int argc, char **argv)
{
    struct program p = {0};
    struct rlimit files;
    struct nd_error *err;

    if (argc >= 3 && strcmp(argv[1], "--ca") == 0) {
        p.tls.ca_file = argv[2];
        argv += 2;
        argc -= 2;
    }
    if (argc != 4)
        return 2;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    p.address = argv[1];
    err = nd_parse_u64(nd_str(argv[2]), UINT16_MAX, &p.n_channels);
    if (err == NULL)
        err = nd_parse_u64(nd_str(argv[3]), UINT16_MAX, &p.n_streams);
    if (err == NULL)
        err = nd_loop_run(body, &p, NULL);
    fprintf(stderr, "hold_client: %s\n", err != NULL ? nd_error_message(err) : "ended");
    return 1;
}
