/*
 * The server of the guide (docs/grpc-library.md): streams, metadata, errors, an interceptor, TLS,
 * limits, work on a thread, a tunnel.
 *
 *     server ADDRESS [CERTIFICATE KEY CA]
 */

#include <base/buf.h>
#include <base/log.h>
#include <fiber/group.h>
#include <fiber/process.h>
#include <fiber/work.h>
#include <grpc/health.h>
#include <grpc/reflection.h>
#include <grpc/server.h>
#include <grpc/tunnel.h>
#include <signal.h>
#include <stdio.h>

#include "guide_methods.h"

#define SHELF_MAX   (64u << 20)
#define PIECE_BYTES (32u << 10)
#define ROUNDS_MAX  1000000u

struct shelf {
    struct nd_server *server;
    struct nd_buf bytes;
};

static void
clear_shelf(struct shelf *shelf)
{
    nd_buf_fini(&shelf->bytes);
}

static struct nd_error *
store(struct nd_call *call, const void *in, void *out)
{
    struct shelf *shelf = nd_call_user(call);
    Guide__StoreReply *reply = out;

    (void)in;
    nd_buf_clear(&shelf->bytes);
    for (;;) {
        Guide__Piece *piece;

        ND_TRY(nd_call_recv(call, &piece)); /* lives until the next one is received */
        if (piece == NULL)
            break; /* the client has half-closed */
        ND_TRY(nd_buf_add(&shelf->bytes, nd_str_n(piece->data.data, piece->data.len)));
    }
    reply->bytes = shelf->bytes.len;
    return NULL;
}

static struct nd_error *
fetch(struct nd_call *call, const void *in, void *out)
{
    struct shelf *shelf = nd_call_user(call);
    struct nd_str rest;

    (void)in;
    (void)out;
    if (shelf->bytes.len == 0)
        return nd_error_hint(nd_error_new(ND_NOT_FOUND, "the shelf is empty"), "store something");
    for (size_t at = 0; at < shelf->bytes.len; at += PIECE_BYTES) {
        Guide__Piece piece = GUIDE__PIECE__INIT;

        /* Looked up anew each time: while sending waited, somebody may have stored. */
        rest = nd_str_sub(nd_buf_str(&shelf->bytes), at, PIECE_BYTES);
        piece.data.data = (uint8_t *)rest.ptr;
        piece.data.len = rest.len;
        ND_TRY(
            nd_call_send(call, &piece)); /* encoded at once, waits while the client does not read */
    }
    return NULL;
}

static struct nd_error *
shout(struct nd_call *call, const void *in, void *out)
{
    struct nd_str greeting;

    (void)in;
    (void)out;
    if (nd_metadata_find(nd_call_metadata(call), ND_STR("x-greeting"), &greeting))
        ND_TRY(nd_call_add_header(call, ND_STR("x-greeting"), greeting));
    ND_TRY(nd_call_add_trailer(call, ND_STR("x-mood"), ND_STR("loud")));
    for (;;) {
        Guide__Line *line;

        ND_TRY(nd_call_recv(call, &line));
        if (line == NULL)
            return NULL;
        for (char *c = line->text; *c != '\0'; c++)
            *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
        ND_TRY(nd_call_send(call, line));
    }
}

struct sum {
    uint32_t rounds;
    uint64_t result;
};

/* On a thread: its argument and nothing else. */
static void
add_up(void *arg)
{
    struct sum *sum = arg;

    for (uint64_t i = 1; i <= sum->rounds; i++)
        sum->result += i;
}

static struct nd_error *
work(struct nd_call *call, const void *in, void *out)
{
    const Guide__WorkRequest *request = in;
    Guide__WorkReply *reply = out;
    struct sum sum = {.rounds = request->rounds};

    (void)call;
    if (request->rounds > ROUNDS_MAX)
        return nd_error_field("rounds", "is over %u", ROUNDS_MAX);
    ND_TRY(nd_work(ND_WORK_SHORT, add_up, &sum));
    reply->sum = sum.result;
    return NULL;
}

/* --- a tunnel --- */

static struct nd_error *
get_bytes(const void *message, struct nd_str *ret)
{
    const Guide__Piece *piece = message;

    *ret = nd_str_n(piece->data.data, piece->data.len);
    return NULL;
}

static void
put_bytes(void *message, struct nd_str bytes)
{
    Guide__Piece *piece = message;

    piece->data.data = (uint8_t *)bytes.ptr;
    piece->data.len = bytes.len;
}

static const struct nd_tunnel_carrier carrier = {get_bytes, put_bytes};

static struct nd_error *
tunnel(struct nd_call *call, const void *in, void *out)
{
    struct shelf *shelf = nd_call_user(call);
    ND_AUTO(nd_tunnel_endp) struct nd_tunnel *t = NULL;
    struct nd_stream *stream;

    (void)in;
    (void)out;
    ND_TRY(nd_tunnel_begin(call, &carrier, &t, &stream));
    nd_server_adopt(shelf->server, stream, NULL);
    return nd_tunnel_wait(t);
}

static const struct nd_method_handler handlers[] = {
    {"Store", store}, {"Fetch", fetch},   {"Shout", shout},
    {"Work", work},   {"Tunnel", tunnel}, {NULL, NULL},
};

/* --- what every call passes --- */

static struct nd_error *
note_call(void *arg, struct nd_call *call, const void *in, const struct nd_interceptor_chain *next)
{
    const struct nd_identity *who = nd_call_identity(call);
    struct nd_error *err;

    (void)arg;
    (void)in;
    if (who->tls && who->cert_common_name == NULL)
        return nd_error_new(ND_UNAUTHENTICATED, "no client certificate");
    err = nd_interceptor_next(next);
    nd_info("call", ND_KV("method", nd_call_method(call)->path), ND_KV("peer", who->peer->name),
            ND_KV("code", nd_code_name(nd_error_code(err))));
    return err;
}

/* --- the program --- */

static struct nd_error *
serve(void *server)
{
    return nd_server_run(server);
}

static struct nd_error *
listen_on(struct nd_server *server, char **argv, bool secure)
{
    ND_AUTO(nd_tls_config_unrefp) struct nd_tls_config *tls = NULL;
    struct nd_addr addr;

    if (secure) {
        const struct nd_tls_options options = {
            .cert_file = argv[2],
            .key_file = argv[3],
            .ca_file = argv[4], /* who may come */
            .require_client_cert = true,
        };

        ND_TRY(nd_tls_config_server(&options, &tls));
    }
    ND_TRY(nd_addr_parse(nd_str(argv[1]), &addr));
    ND_TRY(nd_server_listen(server, &addr, NULL, tls, &addr));
    printf("listening on port %u\n", addr.port);
    fflush(stdout);
    return NULL;
}

struct arguments {
    int argc;
    char **argv;
};

static struct nd_error *
run(void *arg)
{
    static const int stops[] = {SIGINT, SIGTERM};
    const struct arguments *a = arg;
    const struct nd_str descriptors = nd_str_n(guide_descriptors, GUIDE_DESCRIPTORS_SIZE);
    const struct nd_server_options options = {
        .max_message_bytes = 1u << 20,
        .max_streams = 100,
        .default_timeout_ns = ND_MINUTE,
    };
    ND_AUTO(clear_shelf) struct shelf shelf = {.bytes = ND_BUF_INIT(SHELF_MAX)};
    ND_AUTO(nd_signals_closep) struct nd_signals *signals = NULL;
    ND_AUTO(nd_reflection_freep) struct nd_reflection *reflection = NULL;
    ND_AUTO(nd_health_freep) struct nd_health *health = nd_health_new();
    ND_AUTO(nd_server_freep) struct nd_server *server = nd_server_new(&options);
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("server", 0);
    int signo;

    shelf.server = server;
    nd_server_add(server, &guide_shelf, handlers, &shelf);
    nd_server_intercept(server, (struct nd_interceptor){.run = note_call});
    nd_health_add_to(health, server);
    nd_health_set(health, nd_str(guide_shelf.name), ND_HEALTH_SERVING);
    ND_TRY(nd_reflection_new(&descriptors, 1, &reflection));
    nd_reflection_add_to(reflection, server);

    ND_TRY(nd_signals_open(stops, ND_LEN(stops), &signals));
    ND_TRY(listen_on(server, a->argv, a->argc == 5));
    ND_TRY(nd_group_spawn(group, serve, server));
    ND_TRY(nd_signals_next(signals, &signo));
    nd_health_shutdown(health); /* load balancers look elsewhere */
    nd_server_stop(server, 10 * ND_SECOND);
    return nd_group_wait(group);
}

int
main(int argc, char **argv)
{
    struct arguments a = {argc, argv};
    struct nd_error *err;
    int status;

    if (argc != 2 && argc != 5) {
        fprintf(stderr, "usage: server ADDRESS [CERTIFICATE KEY CA]\n");
        return 2;
    }
    err = nd_loop_run(run, &a, NULL);
    status = err != NULL;
    if (err != NULL)
        fprintf(stderr, "server: %s\n", nd_error_message(err));
    nd_error_free(err);
    return status;
}
