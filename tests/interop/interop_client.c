/*
 * Our client of gRPC's test service, for the servers of other implementations.
 *
 *     interop_client [--ca FILE] [--authority NAME] ADDRESS CASE...
 *     interop_client --list | --list-http2
 *
 * Prints "CASE pass" or "CASE FAIL why" for each; exit code 1 when one failed. With --ca the
 * connection is TLS, and the server's certificate must be for NAME.
 */

#include <stdio.h>
#include <string.h>

#include "fiber/fiber.h"

#include "interop_cases.h"

#define CASE_TIMEOUT_NS (60 * ND_SECOND)

struct program {
    int argc;
    char **argv;
    int next; /* of argv */
    const char *ca;
    const char *authority;
    bool failed;
};

static const struct interop_case *
find_case(const char *name)
{
    const struct interop_case *const tables[] = {interop_cases, interop_compression_cases,
                                                 interop_http2_cases};

    for (size_t i = 0; i < ND_LEN(tables); i++) {
        for (const struct interop_case *c = tables[i]; c->name != NULL; c++) {
            if (strcmp(c->name, name) == 0)
                return c;
        }
    }
    return NULL;
}

static void
list(const struct interop_case *table)
{
    for (const struct interop_case *c = table; c->name != NULL; c++)
        printf("%s\n", c->name);
}

static struct nd_error *
run_case(struct interop_peer *peer, const char *name)
{
    const struct interop_case *c = find_case(name);

    if (c == NULL)
        return nd_error_new(ND_NOT_FOUND, "there is no such case");
    ND_DEADLINE_IN(CASE_TIMEOUT_NS);
    return c->run(peer);
}

static void
tell(struct program *p, const char *name, const struct nd_error *err)
{
    if (err == NULL) {
        printf("%s pass\n", name);
    } else {
        printf("%s FAIL %s: %s\n", name, nd_code_name(nd_error_code(err)), nd_error_message(err));
        p->failed = true;
    }
    fflush(stdout);
}

static void
run_cases(struct program *p, struct interop_peer *peer)
{
    for (; p->next < p->argc; p->next++) {
        ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

        peer->ch = nd_channel_new(peer->addr, peer->options);
        err = run_case(peer, p->argv[p->next]);
        nd_channel_free(peer->ch);
        tell(p, p->argv[p->next], err);
    }
}

static void
parse_options(struct program *p)
{
    for (p->next = 1; p->next + 1 < p->argc; p->next += 2) {
        if (strcmp(p->argv[p->next], "--ca") == 0)
            p->ca = p->argv[p->next + 1];
        else if (strcmp(p->argv[p->next], "--authority") == 0)
            p->authority = p->argv[p->next + 1];
        else
            return;
    }
}

static struct nd_error *
body(void *arg)
{
    struct program *p = arg;
    ND_AUTO(nd_tls_config_unrefp) struct nd_tls_config *tls = NULL;
    struct nd_channel_options options = {0};
    struct nd_addr addr;
    struct interop_peer peer = {.addr = &addr, .options = &options};

    parse_options(p);
    if (p->argc - p->next < 2)
        return nd_error_new(ND_INVALID, "an address and at least one case are needed");
    if (p->ca != NULL)
        ND_TRY(nd_tls_config_client(&(struct nd_tls_options){.ca_file = p->ca}, &tls));
    options.tls = tls;
    options.authority = p->authority;
    ND_TRY(nd_addr_parse(nd_str(p->argv[p->next++]), &addr));
    run_cases(p, &peer);
    return NULL;
}

int
main(int argc, char **argv)
{
    struct program p = {.argc = argc, .argv = argv};
    struct nd_error *err;

    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        list(interop_cases);
        list(interop_compression_cases);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--list-http2") == 0) {
        list(interop_http2_cases);
        return 0;
    }
    err = nd_loop_run(body, &p, NULL);
    if (err != NULL)
        fprintf(stderr, "interop_client: %s\n", nd_error_message(err));
    p.failed |= err != NULL;
    nd_error_free(err);
    return p.failed;
}
