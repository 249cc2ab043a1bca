/*
 * nerdctl.v1.OperationService, and how the long calls of other services become operations.
 *
 * Operations are everybody's to see, but for the session in one's result: whoever knows it can take
 * its place. So that is shown to the owner alone.
 */

#include "codec/pb.h"
#include "operation/operations.h"

#include "operation_priv.h"

#define ID_HEADER     ND_STR("nerdctl-operation-id")
#define UNKNOWN_OWNER "unknown"

const char *
nd_services_owner(struct nd_call *call)
{
    const struct nd_identity *who = nd_call_identity(call);

    if (who->cert_common_name != NULL)
        return nd_arena_printf(nd_call_arena(call), "cn:%s", who->cert_common_name);
    if (who->peer->kind == ND_PEER_UNIX)
        return nd_arena_printf(nd_call_arena(call), "uid:%u", (unsigned)who->peer->uid);
    return UNKNOWN_OWNER;
}

/* Nobody is the owner of what anybody may have begun. */
static bool
is_owner(struct nd_call *call, const Pb__Operation *operation)
{
    return strcmp(operation->owner, UNKNOWN_OWNER) != 0 &&
           strcmp(operation->owner, nd_services_owner(call)) == 0;
}

static bool
has_session(const Pb__Operation *operation)
{
    const char *type = pb__run_result__descriptor.name;
    size_t slash;

    if (operation->result_case != PB__OPERATION__RESULT_RESPONSE)
        return false;
    slash = nd_str_rfind(nd_str(operation->response->type_url), '/');
    return slash != SIZE_MAX && strcmp(operation->response->type_url + slash + 1, type) == 0;
}

static struct nd_error *
hide_session(struct nd_arena *arena, ProtobufCBinaryData *result)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(result->len);
    ProtobufCMessage *message;

    ND_TRY(nd_pb_decode(&pb__run_result__descriptor, nd_str_n(result->data, result->len), arena,
                        &message));
    ((Pb__RunResult *)message)->session_id = nd_text("");
    ND_TRY(nd_pb_encode(message, &buf));
    *result = nd_bytes(nd_str_n(nd_arena_memdup(arena, buf.ptr, buf.len), buf.len));
    return NULL;
}

/* As the caller may see it. */
static struct nd_error *
show(struct nd_call *call, Pb__Operation *operation, struct nd_arena *arena)
{
    if (!has_session(operation) || is_owner(call, operation))
        return NULL;
    return hide_session(arena, &operation->response->value);
}

struct nd_error *
nd_services_operation_header(struct nd_call *call, const char *id)
{
    ND_TRY(nd_call_add_header(call, ID_HEADER, nd_str(id)));
    return nd_call_send_header(call);
}

struct nd_error *
nd_services_operation(struct nd_call *call, const char *ns, struct nd_operation **ret)
{
    const struct nd_operation_spec spec = {
        .method = nd_call_method(call)->path, .ns = ns, .owner = nd_services_owner(call)};
    ND_AUTO(nd_operation_leavep) struct nd_operation *op = NULL;

    ND_TRY(nd_operation_begin(nd_services_of(call)->operations, &spec, &op));
    ND_TRY(nd_services_operation_header(call, nd_operation_id(op)));
    *ret = ND_TAKE(op);
    return NULL;
}

static struct nd_error *
operation_get(struct nd_call *call, const void *in, void *out)
{
    const Pb__OperationServiceGetRequest *req = in;
    Pb__OperationServiceGetResponse *rsp = out;

    ND_TRY(nd_operation_get(nd_services_of(call)->operations, req->id, nd_call_arena(call),
                            &rsp->operation));
    return show(call, rsp->operation, nd_call_arena(call));
}

static struct nd_error *
operation_list(struct nd_call *call, const void *in, void *out)
{
    const Pb__OperationServiceListRequest *req = in;
    Pb__OperationServiceListResponse *rsp = out;
    const char *ns = "";

    if (!req->all_namespaces)
        ND_TRY(nd_services_namespace(call, &ns));
    ND_TRY(nd_operations_list(nd_services_of(call)->operations, ns, req, nd_call_arena(call), rsp));
    for (size_t i = 0; i < rsp->n_operations; i++)
        ND_TRY(show(call, rsp->operations[i], nd_call_arena(call)));
    return NULL;
}

static struct nd_error *
send_operation(void *arg, Pb__Operation *operation)
{
    Pb__OperationServiceWatchResponse rsp = PB__OPERATION_SERVICE_WATCH_RESPONSE__INIT;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0); /* a watch may take days */

    ND_TRY(show(arg, operation, arena));
    rsp.operation = operation;
    return nd_call_send(arg, &rsp);
}

static struct nd_error *
operation_watch(struct nd_call *call, const void *in, void *out)
{
    const Pb__OperationServiceWatchRequest *req = in;

    (void)out;
    return nd_operation_watch(nd_services_of(call)->operations, req->id, send_operation, call);
}

static struct nd_error *
operation_cancel(struct nd_call *call, const void *in, void *out)
{
    const Pb__OperationServiceCancelRequest *req = in;

    (void)out;
    return nd_operation_cancel(nd_services_of(call)->operations, req->id);
}

static struct nd_error *
operation_delete(struct nd_call *call, const void *in, void *out)
{
    const Pb__OperationServiceDeleteRequest *req = in;

    (void)out;
    return nd_operation_delete(nd_services_of(call)->operations, req->id);
}

const struct nd_method_handler nd_operation_handlers[] = {
    {"Get", operation_get},       {"List", operation_list},     {"Watch", operation_watch},
    {"Cancel", operation_cancel}, {"Delete", operation_delete}, {NULL, NULL},
};
