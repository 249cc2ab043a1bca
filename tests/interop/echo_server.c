/* A server of the echo service for other people's clients; usage in server_program.h. */

#include "echo_service.h"
#include "server_program.h"

static void
add_to(void *arg, struct nd_server *server)
{
    echo_add_to(arg, server);
}

int
main(int argc, char **argv)
{
    struct echo_state echo = {0};
    const struct nd_str set = nd_str_n(echo_descriptors, ECHO_DESCRIPTORS_SIZE);
    const struct test_server_program program = {
        .name = "echo_server",
        .options = {.encode_details = echo_encode_details},
        .descriptors = &set,
        .n_descriptors = 1,
        .service = "nd.test.v1.EchoService",
        .add_to = add_to,
        .arg = &echo,
    };

    return test_server_main(&program, argc, argv);
}
