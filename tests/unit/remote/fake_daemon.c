/* See fake_daemon.h. Small on purpose: every line that could be wrong here would be tested, too. */

#include "fake_daemon.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "codec/pb.h"
#include "fiber/fiber.h"
#include "google/rpc/status.pb-c.h"
#include "grpc/server.h"
#include "nerdctl/v1/error.pb-c.h"

#include "nerdctl_methods.h"

#define ID          "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define FLOOD_BYTES (1024u * 1024u)

static struct nd_error *
not_offered(struct nd_call *call, const void *in, void *out)
{
    (void)call;
    (void)in;
    (void)out;
    return nd_error_new(ND_UNIMPLEMENTED, "the fake does not do that");
}

static struct nd_error *
send_id(struct nd_call *call)
{
    Pb__ContainerServiceRunResponse rsp = PB__CONTAINER_SERVICE_RUN_RESPONSE__INIT;
    char *warnings[] = {(char *)"mind the gap"};

    rsp.response_case = PB__CONTAINER_SERVICE_RUN_RESPONSE__RESPONSE_CONTAINER_ID;
    rsp.container_id = (char *)ID;
    rsp.n_warnings = 1;
    rsp.warnings = warnings;
    return nd_call_send(call, &rsp);
}

static struct nd_error *
send_output(struct nd_call *call, Pb__OutputStream stream, struct nd_str bytes)
{
    Pb__ContainerServiceRunResponse rsp = PB__CONTAINER_SERVICE_RUN_RESPONSE__INIT;
    Pb__Output output = PB__OUTPUT__INIT;

    rsp.response_case = PB__CONTAINER_SERVICE_RUN_RESPONSE__RESPONSE_OUTPUT;
    rsp.output = &output;
    output.stream = stream;
    output.data.data = (uint8_t *)(uintptr_t)bytes.ptr;
    output.data.len = bytes.len;
    return nd_call_send(call, &rsp);
}

static struct nd_error *
say(struct nd_call *call, const char *text)
{
    return send_output(call, PB__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT, nd_str(text));
}

static struct nd_error *
send_exit(struct nd_call *call, uint32_t code)
{
    Pb__ContainerServiceRunResponse rsp = PB__CONTAINER_SERVICE_RUN_RESPONSE__INIT;
    Pb__ExitStatus status = PB__EXIT_STATUS__INIT;

    rsp.response_case = PB__CONTAINER_SERVICE_RUN_RESPONSE__RESPONSE_EXIT;
    rsp.exit = &status;
    status.code = code;
    return nd_call_send(call, &rsp);
}

static struct nd_error *
run_echo(struct nd_call *call)
{
    ND_TRY(send_id(call));
    ND_TRY(say(call, "out\n"));
    ND_TRY(send_output(call, PB__OUTPUT_STREAM__OUTPUT_STREAM_STDERR, ND_STR("err\n")));
    return send_exit(call, 7);
}

/* `deaf`: nothing ends it. */
static struct nd_error *
run_signals(struct nd_call *call, bool deaf)
{
    Pb__ContainerServiceRunRequest *req;

    ND_TRY(send_id(call));
    ND_TRY(say(call, "up\n"));
    for (;;) {
        ND_TRY(nd_call_recv(call, &req));
        if (req == NULL)
            return nd_error_new(ND_CANCELLED, "the client has finished sending");
        ND_TRY(say(call, req->signal));
        ND_TRY(say(call, "\n"));
        if (!deaf && strcmp(req->signal, "INT") == 0)
            return send_exit(call, 3);
    }
}

static struct nd_error *
run_flood(struct nd_call *call)
{
    static char bytes[32 * 1024];

    ND_TRY(send_id(call));
    memset(bytes, 'x', sizeof(bytes));
    for (size_t n = 0; n < FLOOD_BYTES; n += sizeof(bytes))
        ND_TRY(send_output(call, PB__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT,
                           nd_str_n(bytes, sizeof(bytes))));
    return send_exit(call, 0);
}

/* A warning tells the test that the client listens. */
static struct nd_error *
run_slow(struct nd_call *call)
{
    Pb__ContainerServiceRunResponse rsp = PB__CONTAINER_SERVICE_RUN_RESPONSE__INIT;
    char *warnings[] = {(char *)"this takes a while"};

    rsp.n_warnings = 1;
    rsp.warnings = warnings;
    ND_TRY(nd_call_send(call, &rsp));
    return nd_fiber_sleep(1000 * ND_SECOND);
}

static struct nd_error *
refuse(const char *image)
{
    struct nd_error *err;

    if (strcmp(image, "missing") == 0) {
        err = nd_error_new(ND_NOT_FOUND, "no such image: missing");
        return nd_error_hint(nd_error_hint(err, "load it"), "or another one");
    }
    if (strcmp(image, "noexec") == 0)
        return nd_error_meta(nd_error_new(ND_PRECONDITION, "permission denied"), "exit_code",
                             "126");
    return nd_error_field("options.config.user", "is odd");
}

static struct nd_error *
container_run(struct nd_call *call, const void *in, void *out)
{
    Pb__ContainerServiceRunRequest *req;
    char *image;

    (void)in;
    (void)out;
    ND_TRY(nd_call_recv(call, &req));
    if (req == NULL || req->options == NULL)
        return nd_error_new(ND_INVALID, "no options");
    image = nd_arena_strdup(nd_call_arena(call), req->options->config->image);
    if (req->options->detach)
        return send_id(call);
    if (strcmp(image, "echo") == 0)
        return run_echo(call);
    if (strcmp(image, "grumble") == 0) {
        ND_TRY(send_id(call));
        ND_TRY(send_exit(call, 5));
        return nd_error_new(ND_INTERNAL, "it could not be removed");
    }
    if (strcmp(image, "signals") == 0 || strcmp(image, "deaf") == 0)
        return run_signals(call, image[0] == 'd');
    if (strcmp(image, "flood") == 0)
        return run_flood(call);
    if (strcmp(image, "silent") == 0)
        return send_id(call);
    if (strcmp(image, "slow") == 0)
        return run_slow(call);
    if (strcmp(image, "die") == 0) {
        ND_TRY(send_id(call));
        ND_TRY(say(call, "up\n"));
        ND_TRY(nd_fiber_sleep(100 * ND_MILLISECOND)); /* the loop writes meanwhile */
        _exit(0);
    }
    return refuse(image);
}

/* "a" answers last, so that order is not by chance; "x..." is not there. */
static struct nd_error *
container_stop(struct nd_call *call, const void *in, void *out)
{
    const Pb__ContainerServiceStopRequest *req = in;

    (void)call;
    (void)out;
    if (req->container[0] == 'x')
        return nd_error_hint(nd_error_new(ND_NOT_FOUND, "no such container: %s", req->container),
                             "look around");
    return strcmp(req->container, "a") == 0 ? nd_fiber_sleep(50 * ND_MILLISECOND) : NULL;
}

static struct nd_error *
container_wait(struct nd_call *call, const void *in, void *out)
{
    const Pb__ContainerServiceWaitRequest *req = in;

    (void)out;
    for (size_t i = 0; i < req->n_containers; i++) {
        Pb__ContainerServiceWaitResponse rsp = PB__CONTAINER_SERVICE_WAIT_RESPONSE__INIT;
        Pb__ExitStatus status = PB__EXIT_STATUS__INIT;

        status.code = (uint32_t)strlen(req->containers[i]);
        rsp.exit = &status;
        ND_TRY(nd_call_send(call, &rsp));
    }
    return NULL;
}

/* Says in which namespace it was asked. */
static struct nd_error *
system_version(struct nd_call *call, const void *in, void *out)
{
    Pb__SystemServiceVersionResponse *rsp = out;
    struct nd_str ns = ND_STR("none");

    (void)in;
    (void)nd_metadata_find(nd_call_metadata(call), ND_STR("containerd-namespace"), &ns);
    rsp->version = nd_arena_str(nd_call_arena(call), ns);
    return NULL;
}

static const struct nd_method_handler container_handlers[] = {
    {"Create", not_offered},  {"Start", not_offered},   {"Run", container_run},
    {"Attach", not_offered},  {"Exec", not_offered},    {"Resize", not_offered},
    {"Logs", not_offered},    {"List", not_offered},    {"Inspect", not_offered},
    {"Wait", container_wait}, {"Stop", container_stop}, {"Kill", not_offered},
    {"Rename", not_offered},  {"Remove", not_offered},  {NULL, NULL},
};

static const struct nd_method_handler system_handlers[] = {
    {"Version", system_version}, {"Info", not_offered}, {"Ping", not_offered},
    {"Events", not_offered},     {NULL, NULL},
};

/* Hints and meta travel as they do from the real one. */
static void
encode_details(void *arg, const struct nd_error *err, struct nd_buf *buf)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *a = nd_arena_new(0);
    ND_AUTO(nd_buf_fini) struct nd_buf bytes = ND_BUF_INIT(64 * 1024);
    Pb__ErrorDetail detail = PB__ERROR_DETAIL__INIT;
    Pb__ErrorDetail__MetadataEntry entry = PB__ERROR_DETAIL__METADATA_ENTRY__INIT,
                                   *entries[] = {&entry};
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT, *list[] = {&any};

    (void)arg;
    detail.n_suggestions = nd_error_n_hints(err);
    detail.suggestions = nd_arena_new_array(a, detail.n_suggestions + 1, char *);
    for (size_t i = 0; i < detail.n_suggestions; i++)
        detail.suggestions[i] = nd_arena_strdup(a, nd_error_get_hint(err, i));
    if (nd_error_n_meta(err) > 0) {
        entry.key = nd_arena_strdup(a, nd_error_meta_key(err, 0));
        entry.value = nd_arena_strdup(a, nd_error_meta_value(err, 0));
        detail.n_metadata = 1;
        detail.metadata = entries;
    }
    nd_error_free(nd_pb_encode(&detail, &bytes));
    any.type_url = (char *)"type.googleapis.com/nerdctl.v1.ErrorDetail";
    any.value.data = (uint8_t *)bytes.ptr;
    any.value.len = bytes.len;
    status.code = (int32_t)nd_error_code(err);
    status.message = nd_arena_strdup(a, nd_error_message(err));
    status.n_details = 1;
    status.details = list;
    nd_error_free(nd_pb_encode(&status, buf));
}

struct start {
    const char *socket_path;
    int ready; /* written to when it listens */
};

static struct nd_error *
serve(void *arg)
{
    struct start *start = arg;
    const struct nd_server_options options = {.encode_details = encode_details};
    ND_AUTO(nd_server_freep) struct nd_server *server = nd_server_new(&options);
    struct nd_addr addr;

    nd_server_add(server, &pb_container_service, container_handlers, NULL);
    nd_server_add(server, &pb_system_service, system_handlers, NULL);
    ND_TRY(nd_addr_parse(nd_str(start->socket_path), &addr));
    ND_TRY(nd_server_listen(server, &addr, NULL, NULL, NULL));
    if (write(start->ready, "x", 1) != 1)
        return nd_error_new(ND_INTERNAL, "nobody waits for us");
    return nd_server_run(server);
}

pid_t
fake_daemon_start(const char *socket_path)
{
    int ready[2];
    pid_t pid;
    char c;

    if (pipe(ready) < 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        struct start start = {socket_path, ready[1]};

        close(ready[0]);
        _exit(nd_loop_run(serve, &start, NULL) == NULL ? 0 : 1);
    }
    close(ready[1]);
    if (pid > 0 && read(ready[0], &c, 1) != 1) {
        kill(pid, SIGKILL);
        pid = -1;
    }
    close(ready[0]);
    return pid;
}
