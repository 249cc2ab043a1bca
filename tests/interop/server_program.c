/*
 * The main function of the test servers. One fiber waits for a signal, one serves; the options of
 * TLS hold for every TLS address that comes after them on the command line. On SIGUSR1 it says what
 * there is of it: "fibers 3 calls 0 connections 0".
 */

#include "server_program.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "fiber/group.h"
#include "fiber/loop.h"
#include "fiber/process.h"
#include "grpc/health.h"
#include "grpc/reflection.h"

#define GRACE_NS (5 * ND_SECOND)
#define MMAP_THRESHOLD_BYTES \
    (256 * 1024) /* as the daemon sets it: large blocks go back to the kernel */

static const char *const web_origins[] = {TEST_WEB_ORIGIN};

struct run {
    const struct test_server_program *program;
    int argc;
    char **argv;
    struct nd_tls_options tls;
    struct nd_server *server;
    struct nd_health *health;
};

static struct nd_error *
serve(void *arg)
{
    struct run *r = arg;

    return nd_server_run(r->server);
}

static struct nd_error *
listen_on(struct run *r, const char *text)
{
    ND_AUTO(nd_tls_config_unrefp) struct nd_tls_config *tls = NULL;
    bool secure = strncmp(text, "tls+", 4) == 0;
    struct nd_addr addr;

    if (secure)
        ND_TRY(nd_tls_config_server(&r->tls, &tls));
    ND_TRY(nd_addr_parse(nd_str(secure ? text + 4 : text), &addr));
    ND_TRY(nd_server_listen(r->server, &addr, NULL, tls, &addr));
    printf("listening %s %u\n", text, addr.port);
    fflush(stdout);
    return NULL;
}

/* A limit of the server: the next argument is its value. */
static struct nd_error *
take_limit(struct nd_server_options *o, const char *name, const char *value, bool *ret_used)
{
    const struct {
        const char *name;
        uint32_t *number; /* one of the two */
        int64_t *duration_ns;
    } limits[] = {
        {"--max-connections", &o->max_connections, NULL},
        {"--max-handshakes", &o->max_handshakes, NULL},
        {"--max-streams", &o->max_streams, NULL},
        {"--handshake-timeout", NULL, &o->handshake_timeout_ns},
        {"--keepalive-time", NULL, &o->keepalive_time_ns},
    };
    uint64_t n;

    for (size_t i = 0; i < ND_LEN(limits); i++) {
        if (strcmp(name, limits[i].name) != 0)
            continue;
        *ret_used = true;
        if (limits[i].duration_ns != NULL)
            return nd_duration_parse(nd_str(value), limits[i].duration_ns);
        ND_TRY(nd_parse_u64(nd_str(value), UINT32_MAX, &n));
        *limits[i].number = (uint32_t)n;
        return NULL;
    }
    *ret_used = false;
    return NULL;
}

/* What the server is made with; the rest is left for parse_arguments(). */
static struct nd_error *
read_limits(const struct run *r, struct nd_server_options *o)
{
    for (int i = 1; i + 1 < r->argc; i++) {
        bool used;

        ND_TRY_DOING(take_limit(o, r->argv[i], r->argv[i + 1], &used), "%s", r->argv[i]);
        if (!used)
            continue;
        r->argv[i] = r->argv[i + 1] = NULL;
        i++;
    }
    return NULL;
}

static struct nd_error *
parse_arguments(struct run *r)
{
    const struct {
        const char *name;
        const char **value;
    } options[] = {
        {"--cert", &r->tls.cert_file},
        {"--key", &r->tls.key_file},
        {"--ca", &r->tls.ca_file},
    };

    for (int i = 1; i < r->argc; i++) {
        bool used = false;

        if (r->argv[i] == NULL)
            continue;
        if (strcmp(r->argv[i], "--require") == 0) {
            r->tls.require_client_cert = true;
            continue;
        }
        for (size_t o = 0; o < ND_LEN(options) && i + 1 < r->argc && !used; o++) {
            used = strcmp(r->argv[i], options[o].name) == 0;
            if (used)
                *options[o].value = r->argv[++i];
        }
        if (!used)
            ND_TRY(listen_on(r, r->argv[i]));
    }
    return NULL;
}

static void
tell_counts(const struct run *r)
{
    struct nd_server_stats stats;

    nd_server_get_stats(r->server, &stats);
    printf("fibers %zu calls %zu connections %zu\n", nd_loop_n_fibers(), stats.calls,
           stats.connections);
    fflush(stdout);
}

static struct nd_error *
serve_until_signal(struct run *r)
{
    static const int stops[] = {SIGTERM, SIGINT, SIGUSR1};
    ND_AUTO(nd_signals_closep) struct nd_signals *signals = NULL;
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("server", 0);
    int signo = SIGUSR1;

    ND_TRY(nd_signals_open(stops, ND_LEN(stops), &signals));
    ND_TRY(parse_arguments(r));
    ND_TRY(nd_group_spawn(group, serve, r));
    while (signo == SIGUSR1) {
        ND_TRY(nd_signals_next(signals, &signo));
        if (signo == SIGUSR1)
            tell_counts(r);
    }
    nd_health_shutdown(r->health);
    nd_server_stop(r->server, GRACE_NS);
    return nd_group_wait(group);
}

static struct nd_error *
body(void *arg)
{
    struct run *r = arg;
    const struct test_server_program *p = r->program;
    ND_AUTO(nd_health_freep) struct nd_health *health = nd_health_new();
    struct nd_server_options options = p->options;
    ND_AUTO(nd_reflection_freep) struct nd_reflection *reflection = NULL;
    ND_AUTO(nd_server_freep) struct nd_server *server = NULL;

    ND_TRY(read_limits(r, &options));
    options.web_origins = web_origins;
    options.n_web_origins = ND_LEN(web_origins);
    server = nd_server_new(&options);
    r->server = server;
    r->health = health;
    ND_TRY(nd_reflection_new(p->descriptors, p->n_descriptors, &reflection));
    p->add_to(p->arg, server);
    nd_health_add_to(health, server);
    nd_health_set(health, nd_str(p->service), ND_HEALTH_SERVING);
    nd_reflection_add_to(reflection, server);
    return serve_until_signal(r);
}

int
test_server_main(const struct test_server_program *program, int argc, char **argv)
{
    struct run r = {.program = program, .argc = argc, .argv = argv};
    struct nd_error *err;

    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
    err = nd_loop_run(body, &r, NULL);

    if (err != NULL)
        fprintf(stderr, "%s: %s\n", program->name, nd_error_message(err));
    nd_error_free(err);
    return err != NULL;
}
