/*
 * The client of the guide (docs/grpc-library.md): every shape of call, deadlines, calls at the same
 * time, errors, retries, TLS, and the same calls through a tunnel.
 *
 *     client ADDRESS [CERTIFICATE KEY CA]
 */

#include <fiber/group.h>
#include <grpc/channel.h>
#include <grpc/tunnel.h>
#include <stdio.h>

#include "guide_methods.h"

#define PIECE_BYTES (64u << 10)
#define N_PIECES    40u
#define N_JOBS      8u

static struct nd_error *
store(struct nd_channel *channel)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    uint8_t *bytes = nd_arena_alloc(arena, PIECE_BYTES);
    Guide__Piece piece = GUIDE__PIECE__INIT;
    Guide__StoreReply *reply;

    piece.data.data = bytes;
    piece.data.len = PIECE_BYTES;
    ND_TRY(nd_client_call_begin(channel, GUIDE_SHELF_STORE, NULL, &call));
    for (unsigned i = 0; i < N_PIECES; i++)
        ND_TRY(nd_client_call_send(call, &piece)); /* waits while the server does not read */
    ND_TRY(nd_client_call_finish_sending(call));
    ND_TRY(nd_client_call_recv(call, arena, &reply));
    printf("stored %llu\n", (unsigned long long)reply->bytes);
    return NULL;
}

static struct nd_error *
fetch(struct nd_channel *channel, size_t *ret)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Guide__FetchRequest request = GUIDE__FETCH_REQUEST__INIT;
    size_t bytes = 0;

    ND_TRY(nd_client_call_begin(channel, GUIDE_SHELF_FETCH, NULL, &call));
    ND_TRY(nd_client_call_send(call, &request));
    ND_TRY(nd_client_call_finish_sending(call));
    for (;;) {
        Guide__Piece *piece;

        nd_arena_reset(arena); /* or the stream's messages pile up */
        ND_TRY(nd_client_call_recv(call, arena, &piece));
        if (piece == NULL)
            break; /* status OK */
        bytes += piece->data.len;
    }
    *ret = bytes;
    return NULL;
}

static struct nd_error *
shout(struct nd_channel *channel)
{
    ND_AUTO(nd_metadata_freep) struct nd_metadata *md = nd_metadata_new();
    const struct nd_call_options options = {.metadata = md};
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const struct nd_metadata *headers;
    struct nd_str greeting, mood;
    Guide__Line line = GUIDE__LINE__INIT;
    Guide__Line *answer;

    ND_TRY(nd_metadata_add(md, ND_STR("x-greeting"), ND_STR("hello")));
    ND_TRY(nd_client_call_begin(channel, GUIDE_SHELF_SHOUT, &options, &call));
    line.text = (char *)"is anybody there?";
    ND_TRY(nd_client_call_send(call, &line));
    ND_TRY(nd_client_call_recv(call, arena, &answer));
    ND_TRY(nd_client_call_headers(call, &headers));
    if (nd_metadata_find(headers, ND_STR("x-greeting"), &greeting))
        printf("%.*s: %s\n", ND_STR_ARG(greeting), answer->text);
    ND_TRY(nd_client_call_finish_sending(call));
    ND_TRY(nd_client_call_recv(call, arena, &answer)); /* NULL: the end */
    if (nd_metadata_find(nd_client_call_trailers(call), ND_STR("x-mood"), &mood))
        printf("mood: %.*s\n", ND_STR_ARG(mood));
    return NULL;
}

/* --- calls at the same time --- */

struct job {
    struct nd_channel *channel;
    uint32_t rounds;
    uint64_t sum;
};

static struct nd_error *
work(void *arg)
{
    struct job *job = arg;
    const struct nd_call_options options = {.idempotent = true}; /* may be repeated */
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Guide__WorkRequest request = GUIDE__WORK_REQUEST__INIT;
    Guide__WorkReply *reply;

    request.rounds = job->rounds;
    ND_TRY(nd_channel_unary(job->channel, GUIDE_SHELF_WORK, &options, &request, arena, &reply));
    job->sum = reply->sum;
    return NULL;
}

static struct nd_error *
work_together(struct nd_channel *channel)
{
    struct job jobs[N_JOBS];
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("work", 4); /* four at a time */
    uint64_t sum = 0;

    for (unsigned i = 0; i < N_JOBS; i++) {
        jobs[i] = (struct job){.channel = channel, .rounds = i};
        ND_TRY(nd_group_spawn(group, work, &jobs[i]));
    }
    ND_TRY(nd_group_wait(group)); /* the first failure cancels the others */
    for (unsigned i = 0; i < N_JOBS; i++)
        sum += jobs[i].sum;
    printf("together %llu\n", (unsigned long long)sum);
    return NULL;
}

/* --- errors and deadlines --- */

static struct nd_error *
ask_too_much(struct nd_channel *channel)
{
    struct job job = {.channel = channel, .rounds = UINT32_MAX};
    ND_DEADLINE_IN(5 * ND_SECOND); /* for every call in this scope; the server is told */
    struct nd_error *err = work(&job);

    if (nd_error_code(err) != ND_INVALID)
        return err; /* NULL too: whoever does not handle it hands it on */
    printf("refused: %s\n", nd_error_message(err));
    nd_error_free(err);
    return NULL;
}

/* --- the same through a tunnel --- */

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

static struct nd_error *
fetch_through_a_tunnel(struct nd_channel *outer)
{
    static const struct nd_tunnel_carrier carrier = {get_bytes, put_bytes};
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    ND_AUTO(nd_tunnel_endp) struct nd_tunnel *tunnel = NULL;
    ND_AUTO(nd_channel_freep) struct nd_channel *inner = NULL;
    const struct nd_addr nowhere = {.kind = ND_PEER_UNIX, .path = "/tunnel"};
    struct nd_stream *stream;
    size_t bytes;

    ND_TRY(nd_client_call_begin(outer, GUIDE_SHELF_TUNNEL, NULL, &call));
    ND_TRY(nd_tunnel_begin_client(call, &carrier, &tunnel, &stream));
    inner = nd_channel_new(
        &nowhere, &(struct nd_channel_options){.dial = nd_tunnel_dial, .dial_arg = &stream});
    ND_TRY(fetch(inner, &bytes));
    printf("fetched %zu through a tunnel\n", bytes);
    nd_channel_free(ND_TAKE(inner)); /* closes the stream */
    return nd_tunnel_wait(tunnel);   /* the status of the call around */
}

/* --- the program --- */

struct arguments {
    int argc;
    char **argv;
};

static struct nd_error *
make_channel(const struct arguments *a, struct nd_channel **ret)
{
    ND_AUTO(nd_tls_config_unrefp) struct nd_tls_config *tls = NULL;
    struct nd_channel_options options = {
        .retry = {.max_attempts = 3,
                  .codes = ND_RETRY_ON(ND_UNAVAILABLE),
                  .initial_backoff_ns = 50 * ND_MILLISECOND,
                  .max_backoff_ns = ND_SECOND,
                  .backoff_multiplier = 2},
    };
    struct nd_addr addr;

    if (a->argc == 5) {
        const struct nd_tls_options files = {
            .cert_file = a->argv[2], .key_file = a->argv[3], .ca_file = a->argv[4]};

        ND_TRY(nd_tls_config_client(&files, &tls));
        options.tls = tls;
    }
    ND_TRY(nd_addr_parse(nd_str(a->argv[1]), &addr));
    *ret = nd_channel_new(&addr, &options);
    return NULL;
}

static struct nd_error *
run(void *arg)
{
    ND_AUTO(nd_channel_freep) struct nd_channel *channel = NULL;
    size_t bytes;

    ND_TRY(make_channel(arg, &channel));
    ND_TRY_DOING(store(channel), "store");
    ND_TRY_DOING(fetch(channel, &bytes), "fetch");
    printf("fetched %zu\n", bytes);
    ND_TRY_DOING(shout(channel), "shout");
    ND_TRY_DOING(work_together(channel), "work");
    ND_TRY_DOING(ask_too_much(channel), "ask too much");
    ND_TRY_DOING(fetch_through_a_tunnel(channel), "tunnel");
    return NULL;
}

int
main(int argc, char **argv)
{
    struct arguments a = {argc, argv};
    struct nd_error *err;
    int status;

    if (argc != 2 && argc != 5) {
        fprintf(stderr, "usage: client ADDRESS [CERTIFICATE KEY CA]\n");
        return 2;
    }
    err = nd_loop_run(run, &a, NULL);
    status = nd_error_code(err);
    if (err != NULL)
        fprintf(stderr, "client: %s: %s\n", nd_code_name(status), nd_error_message(err));
    nd_error_free(err);
    return status;
}
