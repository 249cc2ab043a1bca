/*
 * A client that does everything at once, with the echo service as the other side.
 *
 *     mixed_load [--ca F] ADDRESS SECONDS SEED
 *
 * On each of some channels a number of fibers call in a loop: unary calls small and large, streams
 * of each kind read to their end or left in the middle, calls whose deadline is too short, and now
 * and then a new channel in place of an old one. What comes back must be right. Prints how many of
 * each were made.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fiber/fiber.h"
#include "fiber/group.h"
#include "grpc/channel.h"

#include "echo.pb-c.h"
#include "echo_methods.h"

#define CHANNELS          8u
#define FIBERS_OF_CHANNEL 8u
#define LARGE_BYTES       300000u
#define STREAM_REPLIES    200u
#define CALLS_OF_CHANNEL  3000u

enum method { UNARY, SERVER_STREAM, CLIENT_STREAM, BIDI };

enum kind {
    SMALL,
    LARGE,
    READ_ALL,
    LEAVE_EARLY,
    UPLOAD,
    TALK,
    TOO_LATE,
    KINDS,
};

static const char *const kind_names[KINDS] = {
    [SMALL] = "small",           [LARGE] = "large",
    [READ_ALL] = "streams read", [LEAVE_EARLY] = "streams left",
    [UPLOAD] = "uploads",        [TALK] = "conversations",
    [TOO_LATE] = "deadlines",
};

struct program {
    struct nd_tls_options options;
    struct nd_tls_config *tls;
    struct nd_addr addr;
    struct nd_mono end;
    uint64_t seed;
    uint64_t counts[KINDS];
    uint64_t channels;
};

/* One fiber's. */
struct worker {
    struct program *p;
    struct nd_channel **channel;
    uint64_t random;
};

/* xorshift: repeatable from the seed. */
static uint64_t
next_random(struct worker *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random;
}

static struct nd_error *
check_reply(const Echo__EchoReply *reply, const Echo__EchoRequest *request)
{
    if (reply == NULL)
        return nd_error_new(ND_INTERNAL, "the stream ended early");
    if (strcmp(reply->text, request->text) != 0 || reply->payload.len != request->reply_size)
        return nd_error_new(ND_INTERNAL, "a reply of %zu bytes that was not asked for",
                            reply->payload.len);
    return NULL;
}

static struct nd_error *
unary(struct worker *w, uint32_t size)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Echo__EchoRequest request = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *reply;

    request.text = nd_arena_printf(arena, "request %" PRIu64, next_random(w));
    request.reply_size = size;
    ND_TRY(nd_channel_unary(*w->channel, &echo_echo_service.methods[UNARY], NULL, &request, arena,
                            &reply));
    return check_reply(reply, &request);
}

/* Ask for many replies and take the first `take`. */
static struct nd_error *
server_stream(struct worker *w, uint32_t take)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Echo__EchoRequest request = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *reply;

    request.text = nd_arena_printf(arena, "stream %" PRIu64, next_random(w));
    request.reply_size = 1 + (uint32_t)(next_random(w) % 3000);
    request.repeat = STREAM_REPLIES;
    ND_TRY(
        nd_client_call_begin(*w->channel, &echo_echo_service.methods[SERVER_STREAM], NULL, &call));
    ND_TRY(nd_client_call_send(call, &request));
    ND_TRY(nd_client_call_finish_sending(call));
    for (uint32_t i = 0; i < take; i++) {
        ND_TRY(nd_client_call_recv(call, arena, &reply));
        ND_TRY(check_reply(reply, &request));
    }
    if (take < STREAM_REPLIES)
        return NULL;
    ND_TRY(nd_client_call_recv(call, arena, &reply));
    return reply == NULL ? NULL : nd_error_new(ND_INTERNAL, "one reply too many");
}

static struct nd_error *
upload(struct worker *w)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    const uint64_t n = 1 + next_random(w) % 50;
    Echo__EchoRequest request = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *reply;

    request.payload.len = 2000;
    request.payload.data = nd_arena_alloc(arena, request.payload.len);
    ND_TRY(
        nd_client_call_begin(*w->channel, &echo_echo_service.methods[CLIENT_STREAM], NULL, &call));
    for (uint64_t i = 0; i < n; i++)
        ND_TRY(nd_client_call_send(call, &request));
    ND_TRY(nd_client_call_finish_sending(call));
    ND_TRY(nd_client_call_recv(call, arena, &reply));
    if (reply == NULL || reply->count != n || reply->bytes != n * request.payload.len)
        return nd_error_new(ND_INTERNAL, "an upload was counted wrongly");
    return NULL;
}

/* Question and answer, sometimes without a good-bye. */
static struct nd_error *
talk(struct worker *w)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Echo__EchoRequest request = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *reply;

    request.text = nd_arena_strdup(arena, "what");
    request.reply_size = 10;
    ND_TRY(nd_client_call_begin(*w->channel, &echo_echo_service.methods[BIDI], NULL, &call));
    for (uint64_t i = next_random(w) % 20; i > 0; i--) {
        ND_TRY(nd_client_call_send(call, &request));
        ND_TRY(nd_client_call_recv(call, arena, &reply));
        ND_TRY(check_reply(reply, &request));
    }
    if (next_random(w) % 2 == 0)
        return NULL;
    ND_TRY(nd_client_call_finish_sending(call));
    ND_TRY(nd_client_call_recv(call, arena, &reply));
    return reply == NULL ? NULL : nd_error_new(ND_INTERNAL, "an answer without a question");
}

/* A call that takes longer than it may. */
static struct nd_error *
too_late(struct worker *w)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    Echo__EchoRequest request = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *reply;

    request.delay_ms = 10 * 1000;
    ND_DEADLINE_IN((int64_t)(next_random(w) % 3000) * ND_MICROSECOND);
    err = nd_channel_unary(*w->channel, &echo_echo_service.methods[UNARY], NULL, &request, arena,
                           &reply);
    if (err != NULL && nd_error_code(err) == ND_DEADLINE)
        return NULL;
    return err != NULL ? ND_TAKE(err) : nd_error_new(ND_INTERNAL, "a deadline that did not pass");
}

static struct nd_error *
one_call(struct worker *w, enum kind kind)
{
    switch (kind) {
    case SMALL:
        return unary(w, (uint32_t)(next_random(w) % 200));
    case LARGE:
        return unary(w, LARGE_BYTES);
    case READ_ALL:
        return server_stream(w, STREAM_REPLIES);
    case LEAVE_EARLY:
        return server_stream(w, (uint32_t)(next_random(w) % STREAM_REPLIES));
    case UPLOAD:
        return upload(w);
    case TALK:
        return talk(w);
    case TOO_LATE:
        return too_late(w);
    case KINDS:
        break;
    }
    return NULL;
}

static bool
time_is_up(const struct program *p)
{
    return nd_mono_now().ns >= p->end.ns;
}

/* Half of the calls are small ones. */
static enum kind
choose_kind(struct worker *w)
{
    return next_random(w) % 2 == 0 ? SMALL : (enum kind)(next_random(w) % KINDS);
}

static struct nd_error *
work(void *arg)
{
    struct worker *w = arg;

    for (unsigned i = 0; i < CALLS_OF_CHANNEL && !time_is_up(w->p); i++) {
        enum kind kind = choose_kind(w);

        ND_TRY_DOING(one_call(w, kind), "%s", kind_names[kind]);
        w->p->counts[kind]++;
    }
    return NULL;
}

/* Channels one after the other, each with its fibers. */
static struct nd_error *
use_channels(void *arg)
{
    struct worker *seed = arg;
    struct program *p = seed->p;

    while (!time_is_up(p)) {
        const struct nd_channel_options options = {.tls = p->tls};
        ND_AUTO(nd_channel_freep) struct nd_channel *channel = nd_channel_new(&p->addr, &options);
        ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", FIBERS_OF_CHANNEL);
        struct worker workers[FIBERS_OF_CHANNEL];

        p->channels++;
        for (size_t i = 0; i < FIBERS_OF_CHANNEL; i++) {
            workers[i] = (struct worker){p, &channel, next_random(seed) | 1};
            ND_TRY(nd_group_spawn(group, work, &workers[i]));
        }
        ND_TRY(nd_group_wait(group));
    }
    return NULL;
}

static struct nd_error *
body(void *arg)
{
    struct program *p = arg;
    struct worker workers[CHANNELS];
    ND_AUTO(nd_tls_config_unrefp) struct nd_tls_config *tls = NULL;
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("channels", CHANNELS);

    if (p->options.ca_file != NULL)
        ND_TRY(nd_tls_config_client(&p->options, &tls));
    p->tls = tls;
    for (size_t i = 0; i < CHANNELS; i++) {
        workers[i] =
            (struct worker){.p = p, .random = (p->seed + i + 1) * UINT64_C(0x9e3779b97f4a7c15)};
        ND_TRY(nd_group_spawn(group, use_channels, &workers[i]));
    }
    return nd_group_wait(group);
}

static struct nd_error *
parse(struct program *p, int argc, char **argv)
{
    uint64_t seconds;

    if (argc >= 3 && strcmp(argv[1], "--ca") == 0) {
        p->options.ca_file = argv[2];
        argv += 2;
        argc -= 2;
    }
    if (argc != 4)
        return nd_error_new(ND_INVALID, "usage: mixed_load [--ca F] ADDRESS SECONDS SEED");
    ND_TRY(nd_addr_parse(nd_str(argv[1]), &p->addr));
    ND_TRY(nd_parse_u64(nd_str(argv[2]), 1000000, &seconds));
    ND_TRY(nd_parse_u64(nd_str(argv[3]), UINT32_MAX, &p->seed));
    p->end.ns = nd_mono_now().ns + (int64_t)seconds * ND_SECOND;
    return NULL;
}

int
main(int argc, char **argv)
{
    struct program p = {0};
    struct nd_error *err = parse(&p, argc, argv);

    if (err == NULL)
        err = nd_loop_run(body, &p, NULL);
    for (size_t i = 0; i < KINDS; i++)
        printf("%s %" PRIu64 ", ", kind_names[i], p.counts[i]);
    printf("channels %" PRIu64 "\n", p.channels);
    if (err != NULL)
        fprintf(stderr, "mixed_load: %s\n", nd_error_message(err));
    nd_error_free(err);
    return err != NULL;
}
