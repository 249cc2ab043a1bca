/*
 * A gRPC client: one unary call, one stream.
 *
 *     client 127.0.0.1:50051 World
 */

#include <grpc/channel.h>
#include <stdio.h>

#include "hello_methods.h"

static struct nd_error *
greet(struct nd_channel *channel, char *name)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Hello__GreetRequest request = HELLO__GREET_REQUEST__INIT;
    Hello__GreetReply *reply;

    request.name = name;
    ND_TRY(nd_channel_unary(channel, HELLO_GREETER_GREET, NULL, &request, arena, &reply));
    printf("%s\n", reply->text);
    return NULL;
}

static struct nd_error *
count(struct nd_channel *channel, uint32_t up_to)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Hello__CountRequest request = HELLO__COUNT_REQUEST__INIT;

    request.up_to = up_to;
    ND_TRY(nd_client_call_begin(channel, HELLO_GREETER_COUNT, NULL, &call));
    ND_TRY(nd_client_call_send(call, &request));
    ND_TRY(nd_client_call_finish_sending(call));
    for (;;) {
        Hello__CountReply *reply;

        nd_arena_reset(arena);
        ND_TRY(nd_client_call_recv(call, arena, &reply));
        if (reply == NULL)
            return NULL;
        printf("%u\n", reply->number);
    }
}

static struct nd_error *
run(void *arg)
{
    char **argv = arg;
    ND_AUTO(nd_channel_freep) struct nd_channel *channel = NULL;
    struct nd_addr addr;
    ND_DEADLINE_IN(5 * ND_SECOND);

    ND_TRY(nd_addr_parse(nd_str(argv[1]), &addr));
    channel = nd_channel_new(&addr, NULL);
    ND_TRY(greet(channel, argv[2]));
    return count(channel, 3);
}

int
main(int argc, char **argv)
{
    struct nd_error *err;
    int status;

    if (argc != 3) {
        fprintf(stderr, "usage: client ADDRESS NAME\n");
        return 2;
    }
    err = nd_loop_run(run, argv, NULL);
    status = nd_error_code(err);
    if (err != NULL)
        fprintf(stderr, "client: %s: %s\n", nd_code_name(status), nd_error_message(err));
    nd_error_free(err);
    return status;
}
