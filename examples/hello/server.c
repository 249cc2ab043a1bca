/*
 * A gRPC server with one service and two methods.
 *
 *     server 127.0.0.1:50051        or unix:///tmp/hello.sock; port 0 takes a free one
 */

#include <fiber/group.h>
#include <fiber/process.h>
#include <grpc/server.h>
#include <signal.h>
#include <stdio.h>

#include "hello_methods.h"

/* Unary: fill the reply. What it points at lives in the call's arena and goes with the call. */
static struct nd_error *
greet(struct nd_call *call, const void *in, void *out)
{
    const Hello__GreetRequest *request = in;
    Hello__GreetReply *reply = out;

    if (request->name[0] == '\0')
        return nd_error_field("name", "is empty");
    reply->text = nd_arena_printf(nd_call_arena(call), "Hello, %s!", request->name);
    return NULL;
}

/*
 * Server stream: nd_call_send() waits while the client does not read, and fails when it has gone.
 */
static struct nd_error *
count(struct nd_call *call, const void *in, void *out)
{
    const Hello__CountRequest *request = in;
    Hello__CountReply reply = HELLO__COUNT_REPLY__INIT;

    (void)out;
    while (reply.number < request->up_to) {
        reply.number++;
        ND_TRY(nd_call_send(call, &reply));
    }
    return NULL;
}

static const struct nd_method_handler handlers[] = {
    {"Greet", greet},
    {"Count", count},
    {NULL, NULL},
};

static struct nd_error *
serve(void *server)
{
    return nd_server_run(server);
}

/* The first fiber. Another one serves while this one waits for the signal to stop. */
static struct nd_error *
run(void *address)
{
    static const int stops[] = {SIGINT, SIGTERM};
    ND_AUTO(nd_signals_closep) struct nd_signals *signals = NULL;
    ND_AUTO(nd_server_freep) struct nd_server *server = nd_server_new(NULL);
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("hello", 0);
    struct nd_addr addr;
    int signo;

    ND_TRY(nd_addr_parse(nd_str(address), &addr));
    nd_server_add(server, &hello_greeter, handlers, NULL);
    ND_TRY(nd_server_listen(server, &addr, NULL, NULL, &addr));
    ND_TRY(nd_signals_open(stops, ND_LEN(stops), &signals));
    ND_TRY(nd_group_spawn(group, serve, server));
    printf("listening on port %u\n", addr.port);
    fflush(stdout);
    ND_TRY(nd_signals_next(signals, &signo));
    nd_server_stop(server, 5 * ND_SECOND);
    return nd_group_wait(group);
}

int
main(int argc, char **argv)
{
    struct nd_error *err = nd_loop_run(run, argc > 1 ? argv[1] : "127.0.0.1:50051", NULL);
    int status = err != NULL;

    if (err != NULL)
        fprintf(stderr, "server: %s\n", nd_error_message(err));
    nd_error_free(err);
    return status;
}
