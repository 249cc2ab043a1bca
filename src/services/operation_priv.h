#ifndef SERVICES_OPERATION_PRIV_H
#define SERVICES_OPERATION_PRIV_H

#include "operation/operations.h"

#include "services_priv.h"

/*
 * Make a long call an operation: begun, its id sent in the first header. nd_operation_leavep() it.
 * Context: fiber.
 */
struct nd_error *nd_services_operation(struct nd_call *call, const char *ns,
                                       struct nd_operation **ret) ND_CHECK_RESULT;

#endif
