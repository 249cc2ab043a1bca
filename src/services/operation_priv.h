#ifndef SERVICES_OPERATION_PRIV_H
#define SERVICES_OPERATION_PRIV_H

#include "operation/operations.h"
#include "operation/request.h"

#include "services_priv.h"

/*
 * Make a long call an operation: begun, its id sent in the first header. nd_operation_leavep() it.
 * Context: fiber.
 */
struct nd_error *nd_services_operation(struct nd_call *call, const char *ns,
                                       struct nd_operation **ret) ND_CHECK_RESULT;

/*
 * Begin the request of a mutation that has a request id: see operation/request.h. `message` is the request,
 * whose id is `id`. Context: fiber.
 */
struct nd_error *nd_services_request(struct nd_call *call, const char *ns, const char *id,
                                     const void *message, struct nd_request *ret) ND_CHECK_RESULT;

/* The answer that was given before. */
struct nd_error *nd_services_repeat(struct nd_call *call, const struct nd_request *request,
                                    const ProtobufCMessageDescriptor *type,
                                    ProtobufCMessage **ret) ND_CHECK_RESULT;

#endif
