/*
 * A client of the daemon for measuring: as thin as one can be, so that what is measured is the
 * daemon.
 *
 *     run_client run ADDRESS NAMESPACE IMAGE        for each byte of standard input run `true`;
 *                                                   prints nanoseconds until the exit came, and
 *                                                   until the container was removed
 *     run_client exec ADDRESS NAMESPACE CONTAINER   for each byte of standard input execute `true`;
 *                                                   prints nanoseconds until the exit came, and
 *                                                   until the call had ended
 *     run_client logs ADDRESS NAMESPACE CONTAINER   for each byte of standard input read the whole
 *                                                   log; prints nanoseconds and the number of bytes
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "fiber/stream.h"
#include "grpc/channel.h"
#include "nerdctl/v1/container.pb-c.h"

#include "nerdctl_methods.h"

struct client {
    char **argv;
    struct nd_channel *channel;
    struct nd_metadata *metadata;
    struct nd_arena *arena; /* of one round */
    const char *id;         /* of the container, in the arena */
    struct nd_error *(*round)(struct client *c);
};

static struct nd_call_options
options(const struct client *c)
{
    return (struct nd_call_options){.metadata = c->metadata};
}

static struct nd_error *
send_run(struct client *c, struct nd_client_call *call)
{
    char *args[] = {(char *)"true"};
    char *networks[] = {(char *)"none"};
    Pb__ContainerConfig config = PB__CONTAINER_CONFIG__INIT;
    Pb__RunOptions run = PB__RUN_OPTIONS__INIT;
    Pb__ContainerServiceRunRequest req = PB__CONTAINER_SERVICE_RUN_REQUEST__INIT;

    config.image = c->argv[4];
    config.args = args;
    config.n_args = ND_LEN(args);
    config.networks = networks;
    config.n_networks = ND_LEN(networks);
    run.config = &config;
    req.request_case = PB__CONTAINER_SERVICE_RUN_REQUEST__REQUEST_OPTIONS;
    req.options = &run;
    ND_TRY(nd_client_call_send(call, &req));
    return nd_client_call_finish_sending(call);
}

/* Until the message that it has ended; `*ret_at` is when that came. */
static struct nd_error *
run_until_exit(struct client *c, struct nd_mono *ret_at)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    struct nd_call_options opts = options(c);
    Pb__ContainerServiceRunResponse *rsp;
    bool ended = false;

    ND_TRY(nd_client_call_begin(c->channel, PB_CONTAINER_SERVICE_RUN, &opts, &call));
    ND_TRY(send_run(c, call));
    for (;;) {
        ND_TRY(nd_client_call_recv(call, c->arena, &rsp));
        if (rsp == NULL)
            break;
        if (rsp->response_case == PB__CONTAINER_SERVICE_RUN_RESPONSE__RESPONSE_CONTAINER_ID)
            c->id = rsp->container_id;
        if (rsp->response_case == PB__CONTAINER_SERVICE_RUN_RESPONSE__RESPONSE_EXIT) {
            *ret_at = nd_mono_now();
            ended = true;
        }
    }
    return ended ? NULL : nd_error_new(ND_INTERNAL, "no exit status came");
}

static struct nd_error *
run_round(struct client *c)
{
    Pb__ContainerServiceRemoveRequest req = PB__CONTAINER_SERVICE_REMOVE_REQUEST__INIT;
    Pb__ContainerServiceRemoveResponse *rsp;
    struct nd_call_options opts = options(c);
    struct nd_mono begin = nd_mono_now(), ended = {0};

    ND_TRY(run_until_exit(c, &ended));
    req.container = (char *)c->id;
    ND_TRY(nd_channel_unary(c->channel, PB_CONTAINER_SERVICE_REMOVE, &opts, &req, c->arena, &rsp));
    printf("%" PRId64 " %" PRId64 "\n", ended.ns - begin.ns, nd_mono_now().ns - begin.ns);
    return NULL;
}

static struct nd_error *
exec_round(struct client *c)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    char *args[] = {(char *)"true"};
    Pb__ExecOptions exec = PB__EXEC_OPTIONS__INIT;
    Pb__ContainerServiceExecRequest req = PB__CONTAINER_SERVICE_EXEC_REQUEST__INIT;
    Pb__ContainerServiceExecResponse *rsp;
    struct nd_call_options opts = options(c);
    struct nd_mono begin = nd_mono_now(), ended = {0};

    exec.container = c->argv[4];
    exec.args = args;
    exec.n_args = ND_LEN(args);
    req.request_case = PB__CONTAINER_SERVICE_EXEC_REQUEST__REQUEST_OPTIONS;
    req.options = &exec;
    ND_TRY(nd_client_call_begin(c->channel, PB_CONTAINER_SERVICE_EXEC, &opts, &call));
    ND_TRY(nd_client_call_send(call, &req));
    ND_TRY(nd_client_call_finish_sending(call));
    do {
        ND_TRY(nd_client_call_recv(call, c->arena, &rsp));
        if (rsp != NULL && rsp->response_case == PB__CONTAINER_SERVICE_EXEC_RESPONSE__RESPONSE_EXIT)
            ended = nd_mono_now();
    } while (rsp != NULL);
    if (ended.ns == 0)
        return nd_error_new(ND_INTERNAL, "no exit status came");
    printf("%" PRId64 " %" PRId64 "\n", ended.ns - begin.ns, nd_mono_now().ns - begin.ns);
    return NULL;
}

static struct nd_error *
logs_round(struct client *c)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Pb__ContainerServiceLogsRequest req = PB__CONTAINER_SERVICE_LOGS_REQUEST__INIT;
    Pb__ContainerServiceLogsResponse *rsp;
    struct nd_call_options opts = options(c);
    struct nd_mono begin = nd_mono_now();
    uint64_t bytes = 0;

    req.container = c->argv[4];
    ND_TRY(nd_client_call_begin(c->channel, PB_CONTAINER_SERVICE_LOGS, &opts, &call));
    ND_TRY(nd_client_call_send(call, &req));
    ND_TRY(nd_client_call_finish_sending(call));
    for (;;) {
        nd_arena_reset(c->arena);
        ND_TRY(nd_client_call_recv(call, c->arena, &rsp));
        if (rsp == NULL)
            break;
        bytes += rsp->data.len;
    }
    printf("%" PRId64 " %" PRIu64 "\n", nd_mono_now().ns - begin.ns, bytes);
    return NULL;
}

static struct nd_error *
rounds(struct client *c)
{
    ND_AUTO(nd_stream_closep) struct nd_stream *in = NULL;

    ND_TRY(nd_stream_from_fd(0, &in));
    for (;;) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        char go;
        size_t n;

        ND_TRY(nd_stream_read(in, &go, 1, &n));
        if (n == 0)
            return NULL;
        c->arena = arena;
        ND_TRY(c->round(c));
        if (fflush(stdout) != 0)
            return nd_error_errno(errno, "write");
    }
}

static struct nd_error *
run_client(void *arg)
{
    ND_AUTO(nd_channel_freep) struct nd_channel *channel = NULL;
    ND_AUTO(nd_metadata_freep) struct nd_metadata *metadata = nd_metadata_new();
    struct client *c = arg;
    struct nd_addr addr;

    ND_TRY(nd_addr_parse(nd_str(c->argv[2]), &addr));
    ND_TRY(nd_metadata_add(metadata, ND_STR("containerd-namespace"), nd_str(c->argv[3])));
    channel = nd_channel_new(&addr, NULL);
    c->channel = channel;
    c->metadata = metadata;
    return rounds(c);
}

static const struct {
    const char *name;
    struct nd_error *(*round)(struct client *c);
} modes[] = {{"run", run_round}, {"exec", exec_round}, {"logs", logs_round}};

int
main(int argc, char **argv)
{
    struct client c = {.argv = argv};
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    for (size_t i = 0; argc == 5 && i < ND_LEN(modes); i++) {
        if (nd_str_eqz(nd_str(argv[1]), modes[i].name))
            c.round = modes[i].round;
    }
    if (c.round == NULL) {
        (void)fputs("usage: run_client run|exec|logs ADDRESS NAMESPACE IMAGE|CONTAINER\n", stderr);
        return 2;
    }
    err = nd_loop_run(run_client, &c, NULL);
    if (err != NULL)
        (void)fprintf(stderr, "run_client: %s\n", nd_error_message(err));
    return err != NULL;
}
