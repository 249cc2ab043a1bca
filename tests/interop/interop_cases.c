/*
 * The cases of gRPC's interoperability tests, as their published description has them, seen from
 * the client. Each returns what went wrong.
 *
 * The payloads are zero bytes; their sizes are part of the description. Cases about Google's
 * credentials and the retired cacheable call are not here.
 */

#include "interop_cases.h"

#include "base/alloc.h"
#include "codec/pb.h"
#include "fiber/group.h"
#include "fiber/sync.h"

#include "interop_methods.h"
#include "interop_parts.h"
#include "orca.pb-c.h"

#define PARALLEL_CALLS   1000
#define SOAK_CALLS       500
#define SOAK_CHANNELS    50
#define SLEEPING_TIMEOUT (1 * ND_MILLISECOND)

static const int ping_pong_sizes[][2] = {{27182, 31415}, {8, 9}, {1828, 2653}, {45904, 58979}};

/* --- the four shapes --- */

static struct nd_error *
empty_unary(const struct interop_peer *peer)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const Interop__Empty req = INTEROP__EMPTY__INIT;
    Interop__Empty *rsp;

    return nd_channel_unary(peer->ch, INTEROP_TEST_SERVICE_EMPTY_CALL, NULL, &req, arena, &rsp);
}

static struct nd_error *
large_unary(const struct interop_peer *peer)
{
    return interop_large_call(peer->ch);
}

static struct nd_error *
client_streaming(const struct interop_peer *peer)
{
    static const size_t sizes[] = {27182, 8, 1828, 45904};
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Interop__StreamingInputCallResponse *rsp;

    ND_TRY(nd_client_call_begin(peer->ch, INTEROP_TEST_SERVICE_STREAMING_INPUT_CALL, NULL, &call));
    for (size_t i = 0; i < ND_LEN(sizes); i++) {
        Interop__StreamingInputCallRequest req = INTEROP__STREAMING_INPUT_CALL_REQUEST__INIT;

        req.payload = interop_zeros(arena, sizes[i]);
        ND_TRY(nd_client_call_send(call, &req));
    }
    ND_TRY(nd_client_call_finish_sending(call));
    ND_TRY(nd_client_call_recv(call, arena, &rsp));
    ND_TRY(
        interop_expect(rsp != NULL && rsp->aggregated_payload_size == 74922, "the sum is 74922"));
    return interop_expect_end(call);
}

static struct nd_error *
server_streaming(const struct interop_peer *peer)
{
    static const int sizes[] = {31415, 9, 2653, 58979};
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    ND_TRY(nd_client_call_begin(peer->ch, INTEROP_TEST_SERVICE_STREAMING_OUTPUT_CALL, NULL, &call));
    ND_TRY(nd_client_call_send(call, interop_ask(arena, 0, sizes, ND_LEN(sizes))));
    ND_TRY(nd_client_call_finish_sending(call));
    for (size_t i = 0; i < ND_LEN(sizes); i++)
        ND_TRY(interop_expect_answer(call, (size_t)sizes[i]));
    return interop_expect_end(call);
}

static struct nd_error *
ping_pong(const struct interop_peer *peer)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    ND_TRY(nd_client_call_begin(peer->ch, INTEROP_TEST_SERVICE_FULL_DUPLEX_CALL, NULL, &call));
    for (size_t i = 0; i < ND_LEN(ping_pong_sizes); i++) {
        const int *sizes = ping_pong_sizes[i];

        ND_TRY(nd_client_call_send(call, interop_ask(arena, (size_t)sizes[0], &sizes[1], 1)));
        ND_TRY(interop_expect_answer(call, (size_t)sizes[1]));
    }
    ND_TRY(nd_client_call_finish_sending(call));
    return interop_expect_end(call);
}

/* All questions, the half-close, then the answers. */
static struct nd_error *
half_duplex(const struct interop_peer *peer)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    ND_TRY(nd_client_call_begin(peer->ch, INTEROP_TEST_SERVICE_HALF_DUPLEX_CALL, NULL, &call));
    for (size_t i = 0; i < ND_LEN(ping_pong_sizes); i++)
        ND_TRY(nd_client_call_send(
            call, interop_ask(arena, (size_t)ping_pong_sizes[i][0], &ping_pong_sizes[i][1], 1)));
    ND_TRY(nd_client_call_finish_sending(call));
    for (size_t i = 0; i < ND_LEN(ping_pong_sizes); i++)
        ND_TRY(interop_expect_answer(call, (size_t)ping_pong_sizes[i][1]));
    return interop_expect_end(call);
}

static struct nd_error *
empty_stream(const struct interop_peer *peer)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    ND_TRY(nd_client_call_begin(peer->ch, INTEROP_TEST_SERVICE_FULL_DUPLEX_CALL, NULL, &call));
    ND_TRY(nd_client_call_finish_sending(call));
    return interop_expect_end(call);
}

/* --- metadata and status --- */

static const struct nd_str key_initial = {"x-grpc-test-echo-initial", 24};
static const struct nd_str key_trailing = {"x-grpc-test-echo-trailing-bin", 29};
static const struct nd_str value_initial = {"test_initial_metadata_value", 27};
static const struct nd_str value_trailing = {"\xab\xab\xab", 3};

static struct nd_error *
expect_once(const struct nd_metadata *md, struct nd_str wanted_key, struct nd_str wanted_value)
{
    size_t n = 0;

    for (size_t i = 0; i < nd_metadata_count(md); i++) {
        struct nd_str key, value;

        nd_metadata_at(md, i, &key, &value);
        if (!nd_str_eq(key, wanted_key))
            continue;
        n++;
        ND_TRY(interop_expect(nd_str_eq(value, wanted_value), wanted_key.ptr));
    }
    return interop_expect(n == 1, "the metadata comes back once");
}

static struct nd_error *
metadata_of(struct nd_channel *ch, const struct nd_method_desc *method, const void *request)
{
    ND_AUTO(nd_metadata_freep) struct nd_metadata *md = nd_metadata_new();
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const struct nd_metadata *headers;
    ProtobufCMessage *message;

    ND_TRY(nd_metadata_add(md, key_initial, value_initial));
    ND_TRY(nd_metadata_add(md, key_trailing, value_trailing));
    ND_TRY(nd_client_call_begin(ch, method, &(struct nd_call_options){.metadata = md}, &call));
    ND_TRY(nd_client_call_send(call, request));
    ND_TRY(nd_client_call_finish_sending(call));
    ND_TRY(nd_client_call_recv(call, arena, &message));
    ND_TRY(interop_expect(message != NULL, "a message comes"));
    ND_TRY(interop_expect_end(call));
    ND_TRY(nd_client_call_headers(call, &headers));
    ND_TRY(expect_once(headers, key_initial, value_initial));
    return expect_once(nd_client_call_trailers(call), key_trailing, value_trailing);
}

static struct nd_error *
custom_metadata(const struct interop_peer *peer)
{
    static const int size = INTEROP_LARGE_RESPONSE;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Interop__SimpleRequest req = INTEROP__SIMPLE_REQUEST__INIT;

    req.response_size = size;
    req.payload = interop_zeros(arena, INTEROP_LARGE_REQUEST);
    ND_TRY_DOING(metadata_of(peer->ch, INTEROP_TEST_SERVICE_UNARY_CALL, &req), "unary");
    ND_TRY_DOING(metadata_of(peer->ch, INTEROP_TEST_SERVICE_FULL_DUPLEX_CALL,
                             interop_ask(arena, INTEROP_LARGE_REQUEST, &size, 1)),
                 "duplex");
    return NULL;
}

static struct nd_error *
expect_status_of_unary(struct nd_channel *ch, Interop__EchoStatus *status)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Interop__SimpleRequest req = INTEROP__SIMPLE_REQUEST__INIT;
    Interop__SimpleResponse *rsp;

    req.response_status = status;
    return interop_expect_error(
        nd_channel_unary(ch, INTEROP_TEST_SERVICE_UNARY_CALL, NULL, &req, arena, &rsp),
        (enum nd_code)status->code, status->message);
}

static struct nd_error *
expect_status_of_duplex(struct nd_channel *ch, Interop__EchoStatus *status)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Interop__StreamingOutputCallRequest req = INTEROP__STREAMING_OUTPUT_CALL_REQUEST__INIT;

    req.response_status = status;
    ND_TRY(nd_client_call_begin(ch, INTEROP_TEST_SERVICE_FULL_DUPLEX_CALL, NULL, &call));
    ND_TRY(nd_client_call_send(call, &req));
    return interop_expect_error(interop_expect_end(call), (enum nd_code)status->code,
                                status->message);
}

static struct nd_error *
status_code_and_message(const struct interop_peer *peer)
{
    Interop__EchoStatus status = INTEROP__ECHO_STATUS__INIT;

    status.code = ND_UNKNOWN;
    status.message = (char *)"test status message";
    ND_TRY_DOING(expect_status_of_unary(peer->ch, &status), "unary");
    ND_TRY_DOING(expect_status_of_duplex(peer->ch, &status), "duplex");
    return NULL;
}

static struct nd_error *
special_status_message(const struct interop_peer *peer)
{
    Interop__EchoStatus status = INTEROP__ECHO_STATUS__INIT;

    status.code = ND_UNKNOWN;
    status.message = (char *)"\t\ntest with whitespace\r\nand Unicode BMP \xe2\x98\xba and non-BMP "
                             "\xf0\x9f\x98\x88\t\n";
    return expect_status_of_unary(peer->ch, &status);
}

/* --- what is not there --- */

static struct nd_error *
unimplemented(const struct interop_peer *peer, const char *path)
{
    const struct nd_method_desc method = {
        .path = path,
        .name = "UnimplementedCall",
        .kind = ND_UNARY,
        .input = &interop__empty__descriptor,
        .output = &interop__empty__descriptor,
    };
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const Interop__Empty req = INTEROP__EMPTY__INIT;
    Interop__Empty *rsp;

    ND_TRY(interop_expect_error(nd_channel_unary(peer->ch, &method, NULL, &req, arena, &rsp),
                                ND_UNIMPLEMENTED, NULL));
    return empty_unary(peer); /* the connection stays usable */
}

static struct nd_error *
unimplemented_method(const struct interop_peer *peer)
{
    return unimplemented(peer, "/grpc.testing.TestService/UnimplementedCall");
}

static struct nd_error *
unimplemented_service(const struct interop_peer *peer)
{
    return unimplemented(peer, "/grpc.testing.UnimplementedService/UnimplementedCall");
}

/* --- giving up --- */

struct cancelled_call {
    struct nd_channel *ch;
    bool answered; /* cancel after the first answer, not at the beginning */
    struct nd_cond reached;
    bool is_reached;
    enum nd_code code; /* how the call ended */
};

static struct nd_error *
until_cancelled(struct cancelled_call *c)
{
    static const int size = 31415;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    if (c->answered) {
        ND_TRY(nd_client_call_begin(c->ch, INTEROP_TEST_SERVICE_FULL_DUPLEX_CALL, NULL, &call));
        ND_TRY(nd_client_call_send(call, interop_ask(arena, 27182, &size, 1)));
        ND_TRY(interop_expect_answer(call, (size_t)size));
    } else {
        ND_TRY(nd_client_call_begin(c->ch, INTEROP_TEST_SERVICE_STREAMING_INPUT_CALL, NULL, &call));
    }
    c->is_reached = true;
    nd_cond_broadcast(&c->reached);
    return interop_expect_end(call);
}

static struct nd_error *
keep_code(void *arg)
{
    struct cancelled_call *c = arg;
    struct nd_error *err = until_cancelled(c);

    c->code = nd_error_code(err);
    nd_error_free(err);
    c->is_reached = true;
    nd_cond_broadcast(&c->reached);
    return NULL;
}

static struct nd_error *
cancel(const struct interop_peer *peer, bool answered)
{
    struct cancelled_call c = {.ch = peer->ch, .answered = answered};
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("cancelled", 0);

    ND_TRY(nd_group_spawn(group, keep_code, &c));
    while (!c.is_reached)
        ND_TRY(nd_cond_wait(&c.reached));
    nd_group_cancel(group);
    ND_TRY(nd_group_wait(group));
    ND_TRY(interop_expect(c.code == ND_CANCELLED, "the call is cancelled"));
    return empty_unary(peer);
}

static struct nd_error *
cancel_after_begin(const struct interop_peer *peer)
{
    return cancel(peer, false);
}

static struct nd_error *
cancel_after_first_response(const struct interop_peer *peer)
{
    return cancel(peer, true);
}

/* A deadline that cannot be met: the server is asked for nothing and not told that this is all. */
static struct nd_error *
hurried_call(struct nd_channel *ch)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    ND_DEADLINE_IN(SLEEPING_TIMEOUT);
    ND_TRY(nd_client_call_begin(ch, INTEROP_TEST_SERVICE_FULL_DUPLEX_CALL, NULL, &call));
    ND_TRY(nd_client_call_send(call, interop_ask(arena, 27182, NULL, 0)));
    return interop_expect_end(call);
}

static struct nd_error *
timeout_on_sleeping_server(const struct interop_peer *peer)
{
    ND_TRY(empty_unary(peer)); /* so that the deadline does not pass while connecting */
    return interop_expect_error(hurried_call(peer->ch), ND_DEADLINE, NULL);
}

/* --- many --- */

static struct nd_error *
large_call_in_fiber(void *arg)
{
    return interop_large_call(arg);
}

static struct nd_error *
concurrent_large_unary(const struct interop_peer *peer)
{
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);

    for (int i = 0; i < PARALLEL_CALLS; i++)
        ND_TRY(nd_group_spawn(group, large_call_in_fiber, peer->ch));
    return nd_group_wait(group);
}

static struct nd_error *
rpc_soak(const struct interop_peer *peer)
{
    for (int i = 0; i < SOAK_CALLS; i++)
        ND_TRY_DOING(interop_large_call(peer->ch), "call %d", i);
    return NULL;
}

static struct nd_error *
channel_soak(const struct interop_peer *peer)
{
    for (int i = 0; i < SOAK_CHANNELS; i++) {
        ND_AUTO(nd_channel_freep) struct nd_channel *ch = nd_channel_new(peer->addr, peer->options);

        ND_TRY_DOING(interop_large_call(ch), "channel %d", i);
    }
    return NULL;
}

/* --- load reports --- */

static Interop__TestOrcaReport *
make_report(struct nd_arena *arena)
{
    Interop__TestOrcaReport *report = nd_pb_new(&interop__test_orca_report__descriptor, arena);
    Interop__TestOrcaReport__RequestCostEntry *cost =
        nd_pb_new(&interop__test_orca_report__request_cost_entry__descriptor, arena);
    Interop__TestOrcaReport__UtilizationEntry *util =
        nd_pb_new(&interop__test_orca_report__utilization_entry__descriptor, arena);

    report->cpu_utilization = 0.8210;
    report->memory_utilization = 0.5847;
    cost->key = (char *)"cost";
    cost->value = 3456.32;
    util->key = (char *)"util";
    util->value = 0.30499;
    report->n_request_cost = report->n_utilization = 1;
    report->request_cost = nd_arena_memdup(arena, &cost, sizeof(cost));
    report->utilization = nd_arena_memdup(arena, &util, sizeof(util));
    return report;
}

static struct nd_error *
expect_report(const struct nd_metadata *trailers, struct nd_arena *arena)
{
    const Xds__Data__Orca__V3__OrcaLoadReport *r;
    ProtobufCMessage *message;
    struct nd_str bytes;

    ND_TRY(interop_expect(nd_metadata_find(trailers, ND_STR("endpoint-load-metrics-bin"), &bytes),
                          "a report is in the trailers"));
    ND_TRY(
        nd_pb_decode(&xds__data__orca__v3__orca_load_report__descriptor, bytes, arena, &message));
    r = (const Xds__Data__Orca__V3__OrcaLoadReport *)message;
    ND_TRY(interop_expect(r->cpu_utilization == 0.8210 && r->mem_utilization == 0.5847,
                          "the report has processor and memory"));
    ND_TRY(interop_expect(r->n_request_cost == 1 && r->request_cost[0]->value == 3456.32 &&
                              strcmp(r->request_cost[0]->key, "cost") == 0,
                          "the report has the cost"));
    return interop_expect(r->n_utilization == 1 && r->utilization[0]->value == 0.30499 &&
                              strcmp(r->utilization[0]->key, "util") == 0,
                          "the report has the utilization");
}

static struct nd_error *
orca_per_rpc(const struct interop_peer *peer)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Interop__SimpleRequest req = INTEROP__SIMPLE_REQUEST__INIT;
    ProtobufCMessage *message;

    req.orca_per_query_report = make_report(arena);
    ND_TRY(nd_client_call_begin(peer->ch, INTEROP_TEST_SERVICE_UNARY_CALL, NULL, &call));
    ND_TRY(nd_client_call_send(call, &req));
    ND_TRY(nd_client_call_finish_sending(call));
    ND_TRY(nd_client_call_recv(call, arena, &message));
    ND_TRY(interop_expect_end(call));
    return expect_report(nd_client_call_trailers(call), arena);
}

/* clang-format off */
const struct interop_case interop_cases[] = {
    {"empty_unary",                 empty_unary},
    {"large_unary",                 large_unary},
    {"client_streaming",            client_streaming},
    {"server_streaming",            server_streaming},
    {"ping_pong",                   ping_pong},
    {"half_duplex",                 half_duplex},
    {"empty_stream",                empty_stream},
    {"custom_metadata",             custom_metadata},
    {"status_code_and_message",     status_code_and_message},
    {"special_status_message",      special_status_message},
    {"unimplemented_method",        unimplemented_method},
    {"unimplemented_service",       unimplemented_service},
    {"cancel_after_begin",          cancel_after_begin},
    {"cancel_after_first_response", cancel_after_first_response},
    {"timeout_on_sleeping_server",  timeout_on_sleeping_server},
    {"concurrent_large_unary",      concurrent_large_unary},
    {"rpc_soak",                    rpc_soak},
    {"channel_soak",                channel_soak},
    {"orca_per_rpc",                orca_per_rpc},
    {NULL, NULL},
};
/* clang-format on */
