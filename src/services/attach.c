/*
 * ContainerService.Attach and Exec: conversations (session.c) with processes that run already or
 * are begun in a container; here is what they call their messages.
 */

#include "interceptors/interceptors.h"

#include "session_priv.h"

static struct nd_error *
open_attach(struct session *s)
{
    const Pb__ContainerServiceAttachRequest *req = NULL;

    ND_TRY(nd_call_recv(s->call, &req));
    if (req == NULL || req->request_case != PB__CONTAINER_SERVICE_ATTACH_REQUEST__REQUEST_OPTIONS)
        return nd_error_field("options", "must be the first message");
    ND_TRY(nd_known_fields_check(req));
    return nd_session_keep(s, req->options);
}

static struct nd_error *
next_attach(struct session *s, struct heard *ret)
{
    const Pb__ContainerServiceAttachRequest *req = NULL;

    ND_TRY(nd_call_recv(s->call, &req));
    if (req == NULL)
        return NULL;
    ND_TRY(nd_known_fields_check(req));
    if (req->request_case == PB__CONTAINER_SERVICE_ATTACH_REQUEST__REQUEST_SIGNAL)
        ret->signal = req->signal;
    else if (req->request_case == PB__CONTAINER_SERVICE_ATTACH_REQUEST__REQUEST_CONTROL)
        ret->control = req->control;
    else
        return nd_session_unexpected();
    return NULL;
}

static struct nd_error *
attach(struct session *s, const struct nd_container_feed *feed)
{
    return nd_container_attach(s->containers, s->ns, s->options, feed, nd_call_arena(s->call));
}

static struct nd_error *
send_attach(struct session *s, const struct told *told)
{
    Pb__ContainerServiceAttachResponse rsp = PB__CONTAINER_SERVICE_ATTACH_RESPONSE__INIT;

    if (told->id != NULL) {
        rsp.response_case = PB__CONTAINER_SERVICE_ATTACH_RESPONSE__RESPONSE_CONTAINER_ID;
        rsp.container_id = nd_text(told->id);
    } else if (told->output != NULL) {
        rsp.response_case = PB__CONTAINER_SERVICE_ATTACH_RESPONSE__RESPONSE_OUTPUT;
        rsp.output = told->output;
    } else if (told->event != NULL) {
        rsp.response_case = PB__CONTAINER_SERVICE_ATTACH_RESPONSE__RESPONSE_EVENT;
        rsp.event = told->event;
    } else {
        rsp.response_case = PB__CONTAINER_SERVICE_ATTACH_RESPONSE__RESPONSE_EXIT;
        rsp.exit = told->exit;
    }
    return nd_call_send(s->call, &rsp);
}

static const struct session_kind attach_kind = {
    .open = open_attach, .next = next_attach, .engine = attach, .send = send_attach};

struct nd_error *
nd_handle_container_attach(struct nd_call *call, const void *in, void *out)
{
    (void)in;
    (void)out;
    return nd_session_hold(call, &attach_kind);
}

static struct nd_error *
open_exec(struct session *s)
{
    const Pb__ContainerServiceExecRequest *req = NULL;

    ND_TRY(nd_call_recv(s->call, &req));
    if (req == NULL || req->request_case != PB__CONTAINER_SERVICE_EXEC_REQUEST__REQUEST_OPTIONS)
        return nd_error_field("options", "must be the first message");
    ND_TRY(nd_known_fields_check(req));
    return nd_session_keep(s, req->options);
}

static struct nd_error *
next_exec(struct session *s, struct heard *ret)
{
    const Pb__ContainerServiceExecRequest *req = NULL;

    ND_TRY(nd_call_recv(s->call, &req));
    if (req == NULL)
        return NULL;
    ND_TRY(nd_known_fields_check(req));
    if (req->request_case == PB__CONTAINER_SERVICE_EXEC_REQUEST__REQUEST_SIGNAL)
        ret->signal = req->signal;
    else if (req->request_case == PB__CONTAINER_SERVICE_EXEC_REQUEST__REQUEST_CONTROL)
        ret->control = req->control;
    else
        return nd_session_unexpected();
    return NULL;
}

static struct nd_error *
exec(struct session *s, const struct nd_container_feed *feed)
{
    return nd_container_exec(s->containers, s->ns, s->options, feed, nd_call_arena(s->call));
}

static struct nd_error *
send_exec(struct session *s, const struct told *told)
{
    Pb__ContainerServiceExecResponse rsp = PB__CONTAINER_SERVICE_EXEC_RESPONSE__INIT;

    if (told->id != NULL) {
        rsp.response_case = PB__CONTAINER_SERVICE_EXEC_RESPONSE__RESPONSE_EXEC_ID;
        rsp.exec_id = nd_text(told->id);
    } else if (told->output != NULL) {
        rsp.response_case = PB__CONTAINER_SERVICE_EXEC_RESPONSE__RESPONSE_OUTPUT;
        rsp.output = told->output;
    } else if (told->event != NULL) {
        rsp.response_case = PB__CONTAINER_SERVICE_EXEC_RESPONSE__RESPONSE_EVENT;
        rsp.event = told->event;
    } else {
        rsp.response_case = PB__CONTAINER_SERVICE_EXEC_RESPONSE__RESPONSE_EXIT;
        rsp.exit = told->exit;
    }
    return nd_call_send(s->call, &rsp);
}

/* One that goes on with a session does nothing that could be done twice. */
static const void *
exec_request(const struct session *s, const char **ret_id)
{
    const Pb__ExecOptions *o = s->options;
    Pb__ExecOptions *same = nd_arena_new_object(nd_call_arena(s->call), Pb__ExecOptions);

    *same = *o;
    same->stream = NULL;
    *ret_id = o->stream != NULL && o->stream->session_id[0] != '\0' ? "" : o->request_id;
    return same;
}

static bool
exec_is_attached(const struct session *s, const Pb__StreamOptions **ret)
{
    const Pb__ExecOptions *o = s->options;

    *ret = o->stream;
    return !o->detach;
}

static const struct session_kind exec_kind = {
    .open = open_exec,
    .next = next_exec,
    .engine = exec,
    .send = send_exec,
    .is_command = true,
    .request = exec_request,
    .is_attached = exec_is_attached,
};

struct nd_error *
nd_handle_container_exec(struct nd_call *call, const void *in, void *out)
{
    (void)in;
    (void)out;
    return nd_session_hold(call, &exec_kind);
}
