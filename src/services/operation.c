/*
 * nerdctl.v1.OperationService, and how the long calls of other services become operations.
 */

#include "operation/operations.h"

#include "operation_priv.h"

#define ID_HEADER ND_STR("nerdctl-operation-id")

const char *
nd_services_owner(struct nd_call *call)
{
    const struct nd_identity *who = nd_call_identity(call);

    if (who->cert_common_name != NULL)
        return nd_arena_printf(nd_call_arena(call), "cn:%s", who->cert_common_name);
    if (who->peer->kind == ND_PEER_UNIX)
        return nd_arena_printf(nd_call_arena(call), "uid:%u", (unsigned)who->peer->uid);
    return "unknown";
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

    return nd_operation_get(nd_services_of(call)->operations, req->id, nd_call_arena(call),
                            &rsp->operation);
}

static struct nd_error *
operation_list(struct nd_call *call, const void *in, void *out)
{
    const Pb__OperationServiceListRequest *req = in;
    const char *ns = "";

    if (!req->all_namespaces)
        ND_TRY(nd_services_namespace(call, &ns));
    return nd_operations_list(nd_services_of(call)->operations, ns, req, nd_call_arena(call), out);
}

static struct nd_error *
send_operation(void *arg, Pb__Operation *operation)
{
    Pb__OperationServiceWatchResponse rsp = PB__OPERATION_SERVICE_WATCH_RESPONSE__INIT;

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
