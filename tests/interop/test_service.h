#ifndef TESTS_INTEROP_TEST_SERVICE_H
#define TESTS_INTEROP_TEST_SERVICE_H

/* The test service (interop.proto) and the load reports that go with it (orca_service.proto). */

#include "grpc/server.h"

#include "interop.pb-c.h"

/* All zero at first. */
struct test_service {
    struct nd_arena *arena;                /* of `report`; NULL: no report yet */
    const Interop__TestOrcaReport *report; /* the last one of a duplex call */
};

void test_service_fini(struct test_service *service);
void test_service_add_to(struct test_service *service, struct nd_server *server);

/* StreamCoreMetrics tells the service's report. */
void orca_service_add_to(struct test_service *service, struct nd_server *server);

/* The serialised OrcaLoadReport of what a client wants to see reported; NULL is an empty report. */
struct nd_error *orca_encode(const Interop__TestOrcaReport *report,
                             struct nd_buf *buf) ND_CHECK_RESULT;

#endif
