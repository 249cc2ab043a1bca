/*
 * nerdctl.v1.ContainerService.
 *
 * Start and Run are conversations: while one fiber runs the engine and sends what it tells, a second one
 * reads what else the client says. That is signals, which wait until the container runs. The end of the
 * client's messages means nothing; a client that is gone cancels both fibers.
 */

#include "base/log.h"
#include "codec/pb.h"
#include "container/lifecycle.h"
#include "container/query.h"
#include "fiber/group.h"
#include "fiber/sync.h"
#include "interceptors/interceptors.h"

#include "services_priv.h"

/* A Start or Run that is going on. */
struct session {
    struct nd_call *call;
    struct nd_containers *containers;
    const char *ns;
    struct nd_group *group;
    char *container; /* id, once it runs; in the call's arena */
    struct nd_cond running;
    bool done; /* the engine has finished: the reader ends without an error */
};

static struct nd_error *
open_session(struct nd_call *call, struct session *s)
{
    s->call = call;
    s->containers = nd_services_of(call)->containers;
    return nd_services_namespace(call, &s->ns);
}

static void
mark_running(struct session *s, const char *id)
{
    s->container = nd_arena_strdup(nd_call_arena(s->call), id);
    nd_cond_broadcast(&s->running);
}

/* Pass a signal on, as soon as there is somebody to receive it. */
static struct nd_error *
forward_signal(struct session *s, const char *signal)
{
    while (s->container == NULL)
        ND_TRY(nd_cond_wait(&s->running));
    return nd_container_signal(s->containers, s->ns, s->container, signal);
}

/* Run both fibers to their end. */
static struct nd_error *
converse(struct session *s, nd_fiber_fn *engine, nd_fiber_fn *reader)
{
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("conversation", 0);

    s->group = group;
    ND_TRY(nd_group_spawn(group, reader, s));
    ND_TRY(nd_group_spawn(group, engine, s));
    return nd_group_wait(group);
}

/* The engine is through with success: nobody needs the reader any more. */
static void
finish(struct session *s)
{
    s->done = true;
    nd_group_cancel(s->group);
}

/* What the reader's failure means: nothing once the engine is through. */
static struct nd_error *
reader_result(const struct session *s, struct nd_error *err)
{
    if (!s->done)
        return err;
    nd_error_free(err);
    return NULL;
}

/* Create */

static struct nd_error *
send_create_progress(void *arg, const Pb__Progress *progress)
{
    Pb__ContainerServiceCreateResponse rsp = PB__CONTAINER_SERVICE_CREATE_RESPONSE__INIT;

    rsp.response_case = PB__CONTAINER_SERVICE_CREATE_RESPONSE__RESPONSE_PROGRESS;
    rsp.progress = (Pb__Progress *)(uintptr_t)progress;
    return nd_call_send(arg, &rsp);
}

static struct nd_error *
container_create(struct nd_call *call, const void *in, void *out)
{
    const Pb__ContainerServiceCreateRequest *req = in;
    const struct nd_container_feed feed = {.progress = send_create_progress, .arg = call};
    Pb__ContainerServiceCreateResponse rsp = PB__CONTAINER_SERVICE_CREATE_RESPONSE__INIT;
    struct nd_container_created created;
    const char *ns;

    (void)out;
    ND_TRY(nd_services_namespace(call, &ns));
    if (req->config == NULL)
        return nd_error_field("config", "is missing");
    ND_TRY(nd_container_create(nd_services_of(call)->containers, ns, req->config, &feed,
                               nd_call_arena(call), &created));
    rsp.response_case = PB__CONTAINER_SERVICE_CREATE_RESPONSE__RESPONSE_CONTAINER_ID;
    rsp.container_id = nd_text(created.id);
    rsp.warnings = created.warnings;
    rsp.n_warnings = created.n_warnings;
    return nd_call_send(call, &rsp);
}

/* Start */

struct start_session {
    struct session base;
    const Pb__StartOptions *options;
};

static struct nd_error *
send_start_id(void *arg, const char *id, char *const *warnings, size_t n_warnings)
{
    struct session *s = arg;
    Pb__ContainerServiceStartResponse rsp = PB__CONTAINER_SERVICE_START_RESPONSE__INIT;

    (void)warnings;
    (void)n_warnings;
    mark_running(s, id);
    rsp.response_case = PB__CONTAINER_SERVICE_START_RESPONSE__RESPONSE_CONTAINER_ID;
    rsp.container_id = nd_text(id);
    return nd_call_send(s->call, &rsp);
}

static struct nd_error *
send_start_output(void *arg, Pb__OutputStream stream, struct nd_str bytes)
{
    struct session *s = arg;
    Pb__ContainerServiceStartResponse rsp = PB__CONTAINER_SERVICE_START_RESPONSE__INIT;
    Pb__Output output = PB__OUTPUT__INIT;

    output.stream = stream;
    output.data = nd_bytes(bytes);
    rsp.response_case = PB__CONTAINER_SERVICE_START_RESPONSE__RESPONSE_OUTPUT;
    rsp.output = &output;
    return nd_call_send(s->call, &rsp);
}

static struct nd_error *
start_engine(void *arg)
{
    struct start_session *start = arg;
    struct session *s = &start->base;
    const struct nd_container_feed feed = {
        .started = send_start_id, .output = send_start_output, .arg = s};
    Pb__ContainerServiceStartResponse rsp = PB__CONTAINER_SERVICE_START_RESPONSE__INIT;
    Pb__ExitStatus *status = NULL;

    ND_TRY(nd_container_start(s->containers, s->ns, start->options, &feed, nd_call_arena(s->call),
                              &status));
    if (status != NULL) {
        rsp.response_case = PB__CONTAINER_SERVICE_START_RESPONSE__RESPONSE_EXIT;
        rsp.exit = status;
        ND_TRY(nd_call_send(s->call, &rsp));
    }
    finish(s);
    return NULL;
}

static struct nd_error *
read_start_requests(struct session *s)
{
    for (;;) {
        const Pb__ContainerServiceStartRequest *req = NULL;

        ND_TRY(nd_call_recv(s->call, &req));
        if (req == NULL)
            return NULL;
        ND_TRY(nd_known_fields_check(req));
        if (req->request_case != PB__CONTAINER_SERVICE_START_REQUEST__REQUEST_SIGNAL)
            return nd_error_field("request", "only signals may follow the first message");
        ND_TRY(forward_signal(s, req->signal));
    }
}

static struct nd_error *
start_reader(void *arg)
{
    struct session *s = arg;

    return reader_result(s, read_start_requests(s));
}

/* The options of the first message outlive it: the next message takes its place. */
static struct nd_error *
keep(struct nd_call *call, const void *message, void *ret)
{
    ProtobufCMessage *copy;

    ND_TRY(nd_pb_copy(message, nd_call_arena(call), &copy));
    *(void **)ret = copy;
    return NULL;
}

static struct nd_error *
container_start(struct nd_call *call, const void *in, void *out)
{
    struct start_session start = {0};
    const Pb__ContainerServiceStartRequest *req = NULL;

    (void)in;
    (void)out;
    ND_TRY(open_session(call, &start.base));
    ND_TRY(nd_call_recv(call, &req));
    if (req == NULL || req->request_case != PB__CONTAINER_SERVICE_START_REQUEST__REQUEST_OPTIONS)
        return nd_error_field("options", "must be the first message");
    ND_TRY(nd_known_fields_check(req));
    ND_TRY(keep(call, req->options, &start.options));
    return converse(&start.base, start_engine, start_reader);
}

/* Run */

struct run_session {
    struct session base;
    const Pb__RunOptions *options;
};

static struct nd_error *
send_run_progress(void *arg, const Pb__Progress *progress)
{
    struct session *s = arg;
    Pb__ContainerServiceRunResponse rsp = PB__CONTAINER_SERVICE_RUN_RESPONSE__INIT;

    rsp.response_case = PB__CONTAINER_SERVICE_RUN_RESPONSE__RESPONSE_PROGRESS;
    rsp.progress = (Pb__Progress *)(uintptr_t)progress;
    return nd_call_send(s->call, &rsp);
}

static struct nd_error *
send_run_id(void *arg, const char *id, char *const *warnings, size_t n_warnings)
{
    struct session *s = arg;
    Pb__ContainerServiceRunResponse rsp = PB__CONTAINER_SERVICE_RUN_RESPONSE__INIT;

    mark_running(s, id);
    rsp.response_case = PB__CONTAINER_SERVICE_RUN_RESPONSE__RESPONSE_CONTAINER_ID;
    rsp.container_id = nd_text(id);
    rsp.warnings = (char **)(uintptr_t)warnings;
    rsp.n_warnings = n_warnings;
    return nd_call_send(s->call, &rsp);
}

static struct nd_error *
send_run_output(void *arg, Pb__OutputStream stream, struct nd_str bytes)
{
    struct session *s = arg;
    Pb__ContainerServiceRunResponse rsp = PB__CONTAINER_SERVICE_RUN_RESPONSE__INIT;
    Pb__Output output = PB__OUTPUT__INIT;

    output.stream = stream;
    output.data = nd_bytes(bytes);
    rsp.response_case = PB__CONTAINER_SERVICE_RUN_RESPONSE__RESPONSE_OUTPUT;
    rsp.output = &output;
    return nd_call_send(s->call, &rsp);
}

/*
 * A container that removes itself is gone when its run ends: scripts use its name again at once. The
 * daemon would remove it anyway, so that a failure here is not the client's.
 */
static void
remove_now(struct session *s)
{
    Pb__ContainerServiceRemoveRequest req = PB__CONTAINER_SERVICE_REMOVE_REQUEST__INIT;
    Pb__ContainerServiceRemoveResponse rsp = PB__CONTAINER_SERVICE_REMOVE_RESPONSE__INIT;
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    req.container = s->container;
    req.volumes = true;
    err = nd_container_remove(s->containers, s->ns, &req, nd_call_arena(s->call), &rsp);
    if (err != NULL && nd_error_code(err) != ND_NOT_FOUND)
        nd_info("removal is left to the background", ND_KV("container", (const char *)s->container),
                ND_KV("error", err));
}

static struct nd_error *
run_engine(void *arg)
{
    struct run_session *run = arg;
    struct session *s = &run->base;
    const struct nd_container_feed feed = {
        .progress = send_run_progress, .started = send_run_id, .output = send_run_output, .arg = s};
    Pb__ContainerServiceRunResponse rsp = PB__CONTAINER_SERVICE_RUN_RESPONSE__INIT;
    Pb__ExitStatus *status = NULL;

    ND_TRY(nd_container_run(s->containers, s->ns, run->options, &feed, nd_call_arena(s->call),
                            &status));
    if (status != NULL) {
        rsp.response_case = PB__CONTAINER_SERVICE_RUN_RESPONSE__RESPONSE_EXIT;
        rsp.exit = status;
        ND_TRY(nd_call_send(s->call, &rsp));
        if (run->options->config->auto_remove && s->container != NULL)
            remove_now(s);
    }
    finish(s);
    return NULL;
}

static struct nd_error *
read_run_requests(struct session *s)
{
    for (;;) {
        const Pb__ContainerServiceRunRequest *req = NULL;

        ND_TRY(nd_call_recv(s->call, &req));
        if (req == NULL)
            return NULL;
        ND_TRY(nd_known_fields_check(req));
        if (req->request_case != PB__CONTAINER_SERVICE_RUN_REQUEST__REQUEST_SIGNAL)
            return nd_error_field("request", "only signals may follow the first message");
        ND_TRY(forward_signal(s, req->signal));
    }
}

static struct nd_error *
run_reader(void *arg)
{
    struct session *s = arg;

    return reader_result(s, read_run_requests(s));
}

static struct nd_error *
container_run(struct nd_call *call, const void *in, void *out)
{
    struct run_session run = {0};
    const Pb__ContainerServiceRunRequest *req = NULL;

    (void)in;
    (void)out;
    ND_TRY(open_session(call, &run.base));
    ND_TRY(nd_call_recv(call, &req));
    if (req == NULL || req->request_case != PB__CONTAINER_SERVICE_RUN_REQUEST__REQUEST_OPTIONS)
        return nd_error_field("options", "must be the first message");
    if (req->options->config == NULL)
        return nd_error_field("options.config", "is missing");
    ND_TRY(nd_known_fields_check(req));
    ND_TRY(keep(call, req->options, &run.options));
    return converse(&run.base, run_engine, run_reader);
}

/* Questions */

static struct nd_error *
send_logs(void *arg, Pb__OutputStream stream, struct nd_str bytes)
{
    Pb__ContainerServiceLogsResponse rsp = PB__CONTAINER_SERVICE_LOGS_RESPONSE__INIT;

    rsp.stream = stream;
    rsp.data = nd_bytes(bytes);
    return nd_call_send(arg, &rsp);
}

static struct nd_error *
container_logs(struct nd_call *call, const void *in, void *out)
{
    const struct nd_output_sink sink = {.put = send_logs, .arg = call};
    const char *ns;

    (void)out;
    ND_TRY(nd_services_namespace(call, &ns));
    return nd_container_logs(nd_services_of(call)->containers, ns, in, &sink);
}

static struct nd_error *
send_wait(void *arg, const Pb__ContainerServiceWaitResponse *rsp)
{
    return nd_call_send(arg, rsp);
}

static struct nd_error *
container_wait(struct nd_call *call, const void *in, void *out)
{
    const char *ns;

    (void)out;
    ND_TRY(nd_services_namespace(call, &ns));
    return nd_containers_wait(nd_services_of(call)->containers, ns, in, send_wait, call);
}

/* A unary method: namespace, then the engine's function with the same request and reply. */
#define UNARY(method, function)                                                              \
    static struct nd_error *method(struct nd_call *call, const void *in, void *out)          \
    {                                                                                        \
        const char *ns;                                                                      \
                                                                                             \
        ND_TRY(nd_services_namespace(call, &ns));                                            \
        return function(nd_services_of(call)->containers, ns, in, nd_call_arena(call), out); \
    }

UNARY(container_list, nd_containers_list)
UNARY(container_inspect, nd_container_inspect)
UNARY(container_stop, nd_container_stop)
UNARY(container_kill, nd_container_kill)
UNARY(container_remove, nd_container_remove)

const struct nd_method_handler nd_container_handlers[] = {
    {"Create", container_create},
    {"Start", container_start},
    {"Run", container_run},
    {"Logs", container_logs},
    {"List", container_list},
    {"Inspect", container_inspect},
    {"Wait", container_wait},
    {"Stop", container_stop},
    {"Kill", container_kill},
    {"Remove", container_remove},
    {NULL, NULL},
};
