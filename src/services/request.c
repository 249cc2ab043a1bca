/*
 * Mutations with a request id: done once, however often they are asked for (operation/request.h).
 * What all services do about it is here; conversations about a process have more to say
 * (session_request.c).
 */

#include "codec/pb.h"

#include "operation_priv.h"

struct nd_error *
nd_services_request(struct nd_call *call, const char *ns, const char *id, const void *message,
                    const ProtobufCMessageDescriptor *answer, struct nd_request *ret)
{
    const struct nd_request_spec spec = {.method = nd_call_method(call)->path,
                                         .ns = ns,
                                         .owner = nd_services_owner(call),
                                         .id = id,
                                         .message = message,
                                         .answer = answer};

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

struct nd_error *
nd_services_once(struct nd_call *call, const char *id, const void *in, void *out,
                 nd_services_work *work)
{
    ND_AUTO(nd_request_leave) struct nd_request request = ND_REQUEST_INIT;
    const ProtobufCMessageDescriptor *type = ((ProtobufCMessage *)out)->descriptor;
    ProtobufCMessage *before = NULL;
    struct nd_error *err;
    const char *ns;

    ND_TRY(nd_services_namespace(call, &ns));
    ND_TRY(nd_services_request(call, ns, id, in, type, &request));
    if (request.is_repeated) {
        ND_TRY(nd_services_repeat(call, &request, type, &before));
        memcpy(out, before, type->sizeof_message);
        return NULL;
    }
    err = work(nd_services_of(call), ns, in, nd_call_arena(call), out);
    return nd_request_end(&request, err, out);
}
