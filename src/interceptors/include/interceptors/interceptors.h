#ifndef INTERCEPTORS_INTERCEPTORS_H
#define INTERCEPTORS_INTERCEPTORS_H

/*
 * What every call passes before its handler, one file each. Register them in this order: those that
 * want the request come behind those that do without.
 */

#include "grpc/server.h"

/* One log line for each finished call: method, code, duration, who. Outermost. */
struct nd_interceptor nd_intercept_log(void);

/* Holds calls up until what a dead daemon left half done is in order. */
struct nd_recovery; /* operation/recovery.h */
struct nd_interceptor nd_intercept_recovery(struct nd_recovery *recovery);

/*
 * Refuses a request of a mutation that carries a field which this daemon does not know: a newer
 * client asked for something that would silently not happen. Follows: DESIGN 6, AIP-180.
 */
struct nd_interceptor nd_intercept_known_fields(void);

/* Fault points by metadata of the call, in builds with ND_FAULTS; nothing in others. Innermost. */
struct nd_interceptor nd_intercept_faults(void);

/* The check itself, for handlers that read their messages from a stream. */
struct nd_error *nd_known_fields_check(const void *message) ND_CHECK_RESULT;

#endif
