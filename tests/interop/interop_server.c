/*
 * A server of gRPC's own test service, and of load reports out of band, for the clients of other
 * implementations; usage in server_program.h.
 */

#include "interop_methods.h"
#include "orca_methods.h"
#include "server_program.h"
#include "test_service.h"

static void
add_to(void *arg, struct nd_server *server)
{
    test_service_add_to(arg, server);
    orca_service_add_to(arg, server);
}

int
main(int argc, char **argv)
{
    struct test_service service = {0};
    const struct nd_str sets[] = {
        {(const char *)interop_descriptors, INTEROP_DESCRIPTORS_SIZE},
        {(const char *)orca_descriptors, ORCA_DESCRIPTORS_SIZE},
    };
    const struct test_server_program program = {
        .name = "interop_server",
        .descriptors = sets,
        .n_descriptors = ND_LEN(sets),
        .service = "grpc.testing.TestService",
        .add_to = add_to,
        .arg = &service,
    };
    int code = test_server_main(&program, argc, argv);

    test_service_fini(&service);
    return code;
}
