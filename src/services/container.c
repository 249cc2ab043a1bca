/*
 * nerdctl.v1.ContainerService.
 *
 * Start and Run are conversations (session.c); here is what they call their messages.
 */

#include "base/log.h"
#include "container/lifecycle.h"
#include "container/query.h"
#include "interceptors/interceptors.h"

#include "operation_priv.h"
#include "session_priv.h"

/* Create */

static struct nd_error *
container_create(struct nd_call *call, const void *in, void *out)
{
    const Pb__ContainerServiceCreateRequest *req = in;
    Pb__ContainerServiceCreateResponse rsp = PB__CONTAINER_SERVICE_CREATE_RESPONSE__INIT;
    ND_AUTO(nd_request_leave) struct nd_request request = ND_REQUEST_INIT;
    struct nd_container_created created = {0};
    ProtobufCMessage *before;
    struct nd_error *err;
    const char *ns;

    (void)out;
    ND_TRY(nd_services_namespace(call, &ns));
    if (req->config == NULL)
        return nd_error_field("config", "is missing");
    ND_TRY(nd_services_request(call, ns, req->request_id, req, rsp.base.descriptor, &request));
    if (request.is_repeated) {
        ND_TRY(nd_services_repeat(call, &request, rsp.base.descriptor, &before));
        return nd_call_send(call, before);
    }
    err = nd_container_create(nd_services_of(call)->containers, ns, req->config,
                              nd_call_arena(call), &created);
    rsp.response_case = PB__CONTAINER_SERVICE_CREATE_RESPONSE__RESPONSE_CONTAINER_ID;
    rsp.container_id = nd_text(created.id);
    rsp.warnings = created.warnings;
    rsp.n_warnings = created.n_warnings;
    ND_TRY(nd_request_end(&request, err, &rsp));
    return nd_call_send(call, &rsp);
}

/* Start */

static struct nd_error *
open_start(struct session *s)
{
    const Pb__ContainerServiceStartRequest *req = NULL;

    ND_TRY(nd_call_recv(s->call, &req));
    if (req == NULL || req->request_case != PB__CONTAINER_SERVICE_START_REQUEST__REQUEST_OPTIONS)
        return nd_error_field("options", "must be the first message");
    ND_TRY(nd_known_fields_check(req));
    return nd_session_keep(s, req->options);
}

static struct nd_error *
next_start(struct session *s, struct heard *ret)
{
    const Pb__ContainerServiceStartRequest *req = NULL;

    ND_TRY(nd_call_recv(s->call, &req));
    if (req == NULL)
        return NULL;
    ND_TRY(nd_known_fields_check(req));
    if (req->request_case == PB__CONTAINER_SERVICE_START_REQUEST__REQUEST_SIGNAL)
        ret->signal = req->signal;
    else if (req->request_case == PB__CONTAINER_SERVICE_START_REQUEST__REQUEST_CONTROL)
        ret->control = req->control;
    else
        return nd_session_unexpected();
    return NULL;
}

static struct nd_error *
start(struct session *s, const struct nd_container_feed *feed)
{
    return nd_container_start(s->containers, s->ns, s->options, feed, nd_call_arena(s->call));
}

static struct nd_error *
send_start(struct session *s, const struct told *told)
{
    Pb__ContainerServiceStartResponse rsp = PB__CONTAINER_SERVICE_START_RESPONSE__INIT;

    if (told->id != NULL) {
        rsp.response_case = PB__CONTAINER_SERVICE_START_RESPONSE__RESPONSE_CONTAINER_ID;
        rsp.container_id = nd_text(told->id);
    } else if (told->output != NULL) {
        rsp.response_case = PB__CONTAINER_SERVICE_START_RESPONSE__RESPONSE_OUTPUT;
        rsp.output = told->output;
    } else if (told->event != NULL) {
        rsp.response_case = PB__CONTAINER_SERVICE_START_RESPONSE__RESPONSE_EVENT;
        rsp.event = told->event;
    } else {
        rsp.response_case = PB__CONTAINER_SERVICE_START_RESPONSE__RESPONSE_EXIT;
        rsp.exit = told->exit;
    }
    return nd_call_send(s->call, &rsp);
}

/* How the client is attached is its affair each time. */
static const void *
start_request(const struct session *s, const char **ret_id)
{
    const Pb__StartOptions *o = s->options;
    Pb__StartOptions *same = nd_arena_new_object(nd_call_arena(s->call), Pb__StartOptions);

    *same = *o;
    same->stream = NULL;
    *ret_id = o->request_id;
    return same;
}

static bool
start_is_attached(const struct session *s, const Pb__StreamOptions **ret)
{
    const Pb__StartOptions *o = s->options;

    *ret = o->stream;
    return o->attach;
}

static const struct session_kind start_kind = {
    .open = open_start,
    .next = next_start,
    .engine = start,
    .send = send_start,
    .request = start_request,
    .is_attached = start_is_attached,
};

static struct nd_error *
container_start(struct nd_call *call, const void *in, void *out)
{
    (void)in;
    (void)out;
    return nd_session_hold(call, &start_kind);
}

/* Run */

static struct nd_error *
open_run(struct session *s)
{
    const Pb__ContainerServiceRunRequest *req = NULL;

    ND_TRY(nd_call_recv(s->call, &req));
    if (req == NULL || req->request_case != PB__CONTAINER_SERVICE_RUN_REQUEST__REQUEST_OPTIONS)
        return nd_error_field("options", "must be the first message");
    if (req->options->config == NULL)
        return nd_error_field("options.config", "is missing");
    ND_TRY(nd_known_fields_check(req));
    return nd_session_keep(s, req->options);
}

static struct nd_error *
next_run(struct session *s, struct heard *ret)
{
    const Pb__ContainerServiceRunRequest *req = NULL;

    ND_TRY(nd_call_recv(s->call, &req));
    if (req == NULL)
        return NULL;
    ND_TRY(nd_known_fields_check(req));
    if (req->request_case == PB__CONTAINER_SERVICE_RUN_REQUEST__REQUEST_SIGNAL)
        ret->signal = req->signal;
    else if (req->request_case == PB__CONTAINER_SERVICE_RUN_REQUEST__REQUEST_CONTROL)
        ret->control = req->control;
    else
        return nd_session_unexpected();
    return NULL;
}

static struct nd_error *
run(struct session *s, const struct nd_container_feed *feed)
{
    return nd_container_run(s->containers, s->ns, s->options, feed, nd_call_arena(s->call));
}

static struct nd_error *
send_run(struct session *s, const struct told *told)
{
    Pb__ContainerServiceRunResponse rsp = PB__CONTAINER_SERVICE_RUN_RESPONSE__INIT;

    if (told->id != NULL) {
        rsp.response_case = PB__CONTAINER_SERVICE_RUN_RESPONSE__RESPONSE_CONTAINER_ID;
        rsp.container_id = nd_text(told->id);
        rsp.warnings = (char **)told->warnings;
        rsp.n_warnings = told->n_warnings;
    } else if (told->output != NULL) {
        rsp.response_case = PB__CONTAINER_SERVICE_RUN_RESPONSE__RESPONSE_OUTPUT;
        rsp.output = told->output;
    } else if (told->event != NULL) {
        rsp.response_case = PB__CONTAINER_SERVICE_RUN_RESPONSE__RESPONSE_EVENT;
        rsp.event = told->event;
    } else {
        rsp.response_case = PB__CONTAINER_SERVICE_RUN_RESPONSE__RESPONSE_EXIT;
        rsp.exit = told->exit;
    }
    return nd_call_send(s->call, &rsp);
}

/*
 * A container that removes itself is gone when its run ends: scripts use its name again at once.
 * The daemon would remove it anyway, so that a failure here is not the client's.
 */
static void
remove_now(struct session *s)
{
    const Pb__RunOptions *options = s->options;
    Pb__ContainerServiceRemoveRequest req = PB__CONTAINER_SERVICE_REMOVE_REQUEST__INIT;
    Pb__ContainerServiceRemoveResponse rsp = PB__CONTAINER_SERVICE_REMOVE_RESPONSE__INIT;
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    if (!options->config->auto_remove || s->container == NULL)
        return;
    req.container = s->container;
    req.volumes = true;
    err = nd_container_remove(s->containers, s->ns, &req, nd_call_arena(s->call), &rsp);
    if (err != NULL && nd_error_code(err) != ND_NOT_FOUND)
        nd_info("removal is left to the background", ND_KV("container", (const char *)s->container),
                ND_KV("error", err));
}

/* How the client is attached is its affair each time. */
static const void *
run_request(const struct session *s, const char **ret_id)
{
    const Pb__RunOptions *o = s->options;
    Pb__RunOptions *same = nd_arena_new_object(nd_call_arena(s->call), Pb__RunOptions);

    *same = *o;
    same->stream = NULL;
    *ret_id = o->request_id;
    return same;
}

static bool
run_is_attached(const struct session *s, const Pb__StreamOptions **ret)
{
    const Pb__RunOptions *o = s->options;

    *ret = o->stream;
    return !o->detach;
}

static const struct session_kind run_kind = {
    .open = open_run,
    .next = next_run,
    .engine = run,
    .send = send_run,
    .after = remove_now,
    .request = run_request,
    .is_attached = run_is_attached,
};

static struct nd_error *
container_run(struct nd_call *call, const void *in, void *out)
{
    (void)in;
    (void)out;
    return nd_session_hold(call, &run_kind);
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

ND_UNARY(container_list, nd_containers_list, containers)
ND_UNARY(container_inspect, nd_container_inspect, containers)
ND_UNARY(container_resize, nd_container_resize, containers)
ND_MUTATION(container_stop, nd_container_stop, containers, Pb__ContainerServiceStopRequest)
ND_MUTATION(container_kill, nd_container_kill, containers, Pb__ContainerServiceKillRequest)
ND_MUTATION(container_rename, nd_container_rename, containers, Pb__ContainerServiceRenameRequest)
ND_MUTATION(container_remove, nd_container_remove, containers, Pb__ContainerServiceRemoveRequest)

const struct nd_method_handler nd_container_handlers[] = {
    {"Create", container_create},
    {"Start", container_start},
    {"Run", container_run},
    {"Attach", nd_handle_container_attach},
    {"Exec", nd_handle_container_exec},
    {"Resize", container_resize},
    {"Logs", container_logs},
    {"List", container_list},
    {"Inspect", container_inspect},
    {"Wait", container_wait},
    {"Stop", container_stop},
    {"Kill", container_kill},
    {"Rename", container_rename},
    {"Remove", container_remove},
    {NULL, NULL},
};
