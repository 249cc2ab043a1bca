/*
 * A server of the echo service, with health and reflection, for other people's clients.
 *
 *     echo_server [--cert F --key F --ca F [--require]] ADDRESS...
 *
 * An address with "tls+" in front is served with TLS. For each one it prints "listening ADDRESS" with
 * the real port. SIGTERM stops it gracefully.
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "fiber/group.h"
#include "fiber/process.h"
#include "grpc/health.h"
#include "grpc/reflection.h"

#include "echo_service.h"

#define GRACE_NS (5 * ND_SECOND)

struct program {
    int argc;
    char **argv;
    struct nd_tls_options tls;
    struct nd_server *server;
    struct nd_health *health;
    struct echo_state echo;
};

static struct nd_error *
run(void *arg)
{
    struct program *p = arg;

    return nd_server_run(p->server);
}

static struct nd_error *
listen_on(struct program *p, const char *text)
{
    ND_AUTO(nd_tls_config_unrefp) struct nd_tls_config *tls = NULL;
    bool secure = strncmp(text, "tls+", 4) == 0;
    struct nd_addr addr;

    if (secure)
        ND_TRY(nd_tls_config_server(&p->tls, &tls));
    ND_TRY(nd_addr_parse(nd_str(secure ? text + 4 : text), &addr));
    ND_TRY(nd_server_listen(p->server, &addr, NULL, tls, &addr));
    printf("listening %s %u\n", text, addr.port);
    fflush(stdout);
    return NULL;
}

static struct nd_error *
parse_arguments(struct program *p)
{
    const struct {
        const char *name;
        const char **value;
    } options[] = {
        {"--cert", &p->tls.cert_file},
        {"--key", &p->tls.key_file},
        {"--ca", &p->tls.ca_file},
    };

    for (int i = 1; i < p->argc; i++) {
        bool used = false;

        if (strcmp(p->argv[i], "--require") == 0) {
            p->tls.require_client_cert = true;
            continue;
        }
        for (size_t o = 0; o < ND_LEN(options) && i + 1 < p->argc && !used; o++) {
            used = strcmp(p->argv[i], options[o].name) == 0;
            if (used)
                *options[o].value = p->argv[++i];
        }
        if (!used)
            ND_TRY(listen_on(p, p->argv[i]));
    }
    return NULL;
}

static struct nd_error *
serve(struct program *p)
{
    static const int stops[] = {SIGTERM, SIGINT};
    ND_AUTO(nd_signals_closep) struct nd_signals *signals = NULL;
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("server", 0);
    int signo;

    ND_TRY(nd_signals_open(stops, ND_LEN(stops), &signals));
    ND_TRY(parse_arguments(p));
    ND_TRY(nd_group_spawn(group, run, p));
    ND_TRY(nd_signals_next(signals, &signo));
    nd_health_shutdown(p->health);
    nd_server_stop(p->server, GRACE_NS);
    return nd_group_wait(group);
}

static struct nd_error *
body(void *arg)
{
    struct program *p = arg;
    const struct nd_server_options options = {.encode_details = echo_encode_details};
    const struct nd_str set = nd_str_n(echo_descriptors, ECHO_DESCRIPTORS_SIZE);
    ND_AUTO(nd_health_freep) struct nd_health *health = nd_health_new();
    ND_AUTO(nd_reflection_freep) struct nd_reflection *reflection = NULL;
    ND_AUTO(nd_server_freep) struct nd_server *server = nd_server_new(&options);

    p->server = server;
    p->health = health;
    ND_TRY(nd_reflection_new(&set, 1, &reflection));
    echo_add_to(&p->echo, server);
    nd_health_add_to(health, server);
    nd_health_set(health, ND_STR("nd.test.v1.EchoService"), ND_HEALTH_SERVING);
    nd_reflection_add_to(reflection, server);
    return serve(p);
}

int
main(int argc, char **argv)
{
    struct program p = {.argc = argc, .argv = argv};
    struct nd_error *err = nd_loop_run(body, &p, NULL);

    if (err != NULL)
        fprintf(stderr, "echo_server: %s\n", nd_error_message(err));
    nd_error_free(err);
    return err != NULL;
}
