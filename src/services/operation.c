/*
 * nerdctl.v1.OperationService, and how the long calls of other services become operations.
 */

#include "codec/pb.h"
#include "operation/operations.h"

#include "operation_priv.h"

#define ID_HEADER ND_STR("nerdctl-operation-id")

/*
 * Who calls: the name in its certificate, or the user at the other end of the socket. The kind stands in
 * front, so that no certificate can be taken for a user.
 */
static const char *
owner_of(struct nd_call *call)
{
    const struct nd_identity *who = nd_call_identity(call);

    if (who->cert_common_name != NULL)
        return nd_arena_printf(nd_call_arena(call), "cn:%s", who->cert_common_name);
    if (who->peer->kind == ND_PEER_UNIX)
        return nd_arena_printf(nd_call_arena(call), "uid:%u", (unsigned)who->peer->uid);
    return "unknown";
}

struct nd_error *
nd_services_operation(struct nd_call *call, const char *ns, struct nd_operation **ret)
{
    const struct nd_operation_spec spec = {
        .method = nd_call_method(call)->path, .ns = ns, .owner = owner_of(call)};
    ND_AUTO(nd_operation_leavep) struct nd_operation *op = NULL;

    ND_TRY(nd_operation_begin(nd_services_of(call)->operations, &spec, &op));
    ND_TRY(nd_call_add_header(call, ID_HEADER, nd_str(nd_operation_id(op))));
    ND_TRY(nd_call_send_header(call));
    *ret = ND_TAKE(op);
    return NULL;
}

struct nd_error *
nd_services_request(struct nd_call *call, const char *ns, const char *id, const void *message,
                    struct nd_request *ret)
{
    const struct nd_request_spec spec = {.method = nd_call_method(call)->path,
                                         .ns = ns,
                                         .owner = owner_of(call),
                                         .id = id,
                                         .message = message};

    return nd_request_begin(nd_services_of(call)->operations, &spec, nd_call_arena(call), ret);
}

struct nd_error *
nd_services_repeat(struct nd_call *call, const struct nd_request *request,
                   const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret)
{
    if (strcmp(request->outcome.result_type, type->name) != 0)
        return nd_error_new(ND_INTERNAL, "the answer that is remembered is a %s",
                            request->outcome.result_type);
    return nd_pb_decode(type, request->outcome.result, nd_call_arena(call), ret);
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
