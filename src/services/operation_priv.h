#ifndef SERVICES_OPERATION_PRIV_H
#define SERVICES_OPERATION_PRIV_H

#include "operation/operations.h"
#include "operation/request.h"

#include "services_priv.h"

/*
 * Who calls: the name in its certificate, or the user at the other end of the socket. The kind
 * stands in front, so that no certificate can be taken for a user.
 */
const char *nd_services_owner(struct nd_call *call);

/*
 * Make a long call an operation: begun, its id sent in the first header. nd_operation_leavep() it.
 * Context: fiber.
 */
struct nd_error *nd_services_operation(struct nd_call *call, const char *ns,
                                       struct nd_operation **ret) ND_CHECK_RESULT;

/* Say in the first header which operation the call is. Context: fiber. */
struct nd_error *nd_services_operation_header(struct nd_call *call, const char *id) ND_CHECK_RESULT;

/*
 * Begin the request of a mutation that has a request id: see operation/request.h. `message` is the
 * request, whose id is `id`, `answer` the type of what is remembered. Context: fiber.
 */
struct nd_error *nd_services_request(struct nd_call *call, const char *ns, const char *id,
                                     const void *message, const ProtobufCMessageDescriptor *answer,
                                     struct nd_request *ret) ND_CHECK_RESULT;

/* The answer that was given before. */
struct nd_error *nd_services_repeat(struct nd_call *call, const struct nd_request *request,
                                    const ProtobufCMessageDescriptor *type,
                                    ProtobufCMessage **ret) ND_CHECK_RESULT;

/*
 * The whole of a unary mutation: `out` is what `work` makes of `in`, now or before. Context: fiber.
 */
typedef struct nd_error *nd_services_work(struct nd_services *s, const char *ns, const void *in,
                                          struct nd_arena *arena, void *out);
struct nd_error *nd_services_once(struct nd_call *call, const char *id, const void *in, void *out,
                                  nd_services_work *work) ND_CHECK_RESULT;

/*
 * A unary method that changes something: as ND_UNARY, and `type` is that of its request, with a
 * request_id.
 */
#define ND_MUTATION(method, function, member, type)                                              \
    static struct nd_error *method##_work(struct nd_services *s, const char *ns, const void *in, \
                                          struct nd_arena *arena, void *out)                     \
    {                                                                                            \
        return function(s->member, ns, in, arena, out);                                          \
    }                                                                                            \
    static struct nd_error *method(struct nd_call *call, const void *in, void *out)              \
    {                                                                                            \
        return nd_services_once(call, ((const type *)in)->request_id, in, out, method##_work);   \
    }

#endif
