#ifndef SERVICES_SERVICES_H
#define SERVICES_SERVICES_H

/*
 * The services of the public API: each reads the request, calls the subjects of the engine, fills
 * the reply. Identity, limits, logging and checks of every call stand around them (interceptors/).
 */

#include "base/buf.h"
#include "grpc/server.h"

struct nd_host;
struct nd_containers;
struct nd_operations;

/* What the handlers work on; borrowed by them, must outlive the server. */
struct nd_services {
    struct nd_host *host;
    struct nd_containers *containers;
    struct nd_operations *operations;
};

/* Offer all services of nerdctl.v1. Context: fiber. */
void nd_services_add_to(struct nd_server *server, struct nd_services *services);

/* Their names, for the health service: NULL-terminated, static. */
const char *const *nd_services_names(void);

/*
 * nd_server_options.encode_details: google.rpc.Status with nerdctl.v1.ErrorDetail or
 * ValidationError, google.rpc.ErrorInfo, BadRequest and RetryInfo. Context: any.
 */
void nd_services_encode_details(void *arg, const struct nd_error *err, struct nd_buf *buf);

#endif
