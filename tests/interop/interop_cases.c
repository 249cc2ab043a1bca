/*
 * The cases of gRPC's interoperability tests, as their published description has them, seen from the
 * client. Each returns what went wrong; expectations are put as errors of code ND_INTERNAL, so a
 * server's own status is told apart by its text.
 *
 * The payloads are zero bytes; their sizes are part of the description. Cases about Google's credentials
 * and the retired cacheable call are not here.
 */

#include "interop_cases.h"

#include "base/alloc.h"
#include "codec/pb.h"
#include "fiber/group.h"
#include "fiber/sync.h"

#include "interop_methods.h"
#include "orca.pb-c.h"

#define LARGE_REQUEST    271828
#define LARGE_RESPONSE   314159
#define PARALLEL_CALLS   1000
#define SOAK_CALLS       500
#define SOAK_CHANNELS    50
#define SLEEPING_TIMEOUT (1 * ND_MILLISECOND)

typedef Interop__StreamingOutputCallRequest Ask;
typedef Interop__StreamingOutputCallResponse Answer;

static const int ping_pong_sizes[][2] = {{27182, 31415}, {8, 9}, {1828, 2653}, {45904, 58979}};

/* --- expectations --- */

static struct nd_error *
expect(bool holds, const char *what)
{
    return holds ? NULL : nd_error_new(ND_INTERNAL, "not so: %s", what);
}

static struct nd_error *
expect_size(const Interop__Payload *payload, size_t size)
{
    size_t len = payload != NULL ? payload->body.len : 0;

    if (len == size)
        return NULL;
    return nd_error_new(ND_INTERNAL, "%zu bytes of payload instead of %zu", len, size);
}

/* Takes `err`, which must have this code and, unless NULL, this message. */
static struct nd_error *
expect_error(struct nd_error *err, enum nd_code code, const char *message)
{
    if (nd_error_code(err) != code ||
        (err != NULL && message != NULL && strcmp(nd_error_message(err), message) != 0)) {
        struct nd_error *wrong = nd_error_new(
            ND_INTERNAL, "%s \"%s\" instead of %s \"%s\"", nd_code_name(nd_error_code(err)),
            nd_error_message(err), nd_code_name(code), message != NULL ? message : "");

        nd_error_free(err);
        return wrong;
    }
    nd_error_free(err);
    return NULL;
}

/* --- requests --- */

static Interop__Payload *
zeros(struct nd_arena *arena, size_t size)
{
    Interop__Payload *payload = nd_pb_new(&interop__payload__descriptor, arena);

    payload->body.len = size;
    payload->body.data = nd_arena_alloc(arena, size + 1);
    return payload;
}

static Ask *
ask(struct nd_arena *arena, size_t payload, const int *sizes, size_t n)
{
    Ask *req = nd_pb_new(&interop__streaming_output_call_request__descriptor, arena);

    if (payload != 0)
        req->payload = zeros(arena, payload);
    req->n_response_parameters = n;
    req->response_parameters = nd_arena_new_array(arena, n, Interop__ResponseParameters *);
    for (size_t i = 0; i < n; i++) {
        req->response_parameters[i] = nd_pb_new(&interop__response_parameters__descriptor, arena);
        req->response_parameters[i]->size = sizes[i];
    }
    return req;
}

static struct nd_error *
large_call(struct nd_channel *ch)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Interop__SimpleRequest req = INTEROP__SIMPLE_REQUEST__INIT;
    Interop__SimpleResponse *rsp;

    req.response_size = LARGE_RESPONSE;
    req.payload = zeros(arena, LARGE_REQUEST);
    ND_TRY(nd_channel_unary(ch, INTEROP_TEST_SERVICE_UNARY_CALL, NULL, &req, arena, &rsp));
    return expect_size(rsp->payload, LARGE_RESPONSE);
}

/* The next message of a duplex or server stream has so many bytes. */
static struct nd_error *
expect_answer(struct nd_client_call *call, size_t size)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Answer *answer;

    ND_TRY(nd_client_call_recv(call, arena, &answer));
    ND_TRY(expect(answer != NULL, "a message comes"));
    return expect_size(answer->payload, size);
}

static struct nd_error *
expect_end(struct nd_client_call *call)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ProtobufCMessage *message;

    ND_TRY(nd_client_call_recv(call, arena, &message));
    return expect(message == NULL, "the stream ends");
}

/* --- the four shapes --- */

static struct nd_error *
empty_unary(struct interop_peer *peer)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    const Interop__Empty req = INTEROP__EMPTY__INIT;
    Interop__Empty *rsp;

    return nd_channel_unary(peer->ch, INTEROP_TEST_SERVICE_EMPTY_CALL, NULL, &req, arena, &rsp);
}

static struct nd_error *
large_unary(struct interop_peer *peer)
{
    return large_call(peer->ch);
}

static struct nd_error *
client_streaming(struct interop_peer *peer)
{
    static const size_t sizes[] = {27182, 8, 1828, 45904};
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Interop__StreamingInputCallResponse *rsp;

    ND_TRY(nd_client_call_begin(peer->ch, INTEROP_TEST_SERVICE_STREAMING_INPUT_CALL, NULL, &call));
    for (size_t i = 0; i < ND_LEN(sizes); i++) {
        Interop__StreamingInputCallRequest req = INTEROP__STREAMING_INPUT_CALL_REQUEST__INIT;

        req.payload = zeros(arena, sizes[i]);
        ND_TRY(nd_client_call_send(call, &req));
    }
    ND_TRY(nd_client_call_finish_sending(call));
    ND_TRY(nd_client_call_recv(call, arena, &rsp));
    ND_TRY(expect(rsp != NULL && rsp->aggregated_payload_size == 74922, "the sum is 74922"));
    return expect_end(call);
}

static struct nd_error *
server_streaming(struct interop_peer *peer)
{
    static const int sizes[] = {31415, 9, 2653, 58979};
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    ND_TRY(nd_client_call_begin(peer->ch, INTEROP_TEST_SERVICE_STREAMING_OUTPUT_CALL, NULL, &call));
    ND_TRY(nd_client_call_send(call, ask(arena, 0, sizes, ND_LEN(sizes))));
    ND_TRY(nd_client_call_finish_sending(call));
    for (size_t i = 0; i < ND_LEN(sizes); i++)
        ND_TRY(expect_answer(call, (size_t)sizes[i]));
    return expect_end(call);
}

static struct nd_error *
ping_pong(struct interop_peer *peer)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    ND_TRY(nd_client_call_begin(peer->ch, INTEROP_TEST_SERVICE_FULL_DUPLEX_CALL, NULL, &call));
    for (size_t i = 0; i < ND_LEN(ping_pong_sizes); i++) {
        const int *sizes = ping_pong_sizes[i];

        ND_TRY(nd_client_call_send(call, ask(arena, (size_t)sizes[0], &sizes[1], 1)));
        ND_TRY(expect_answer(call, (size_t)sizes[1]));
    }
    ND_TRY(nd_client_call_finish_sending(call));
    return expect_end(call);
}

/* All questions, the half-close, then the answers. */
static struct nd_error *
half_duplex(struct interop_peer *peer)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    ND_TRY(nd_client_call_begin(peer->ch, INTEROP_TEST_SERVICE_HALF_DUPLEX_CALL, NULL, &call));
    for (size_t i = 0; i < ND_LEN(ping_pong_sizes); i++)
        ND_TRY(nd_client_call_send(
            call, ask(arena, (size_t)ping_pong_sizes[i][0], &ping_pong_sizes[i][1], 1)));
    ND_TRY(nd_client_call_finish_sending(call));
    for (size_t i = 0; i < ND_LEN(ping_pong_sizes); i++)
        ND_TRY(expect_answer(call, (size_t)ping_pong_sizes[i][1]));
    return expect_end(call);
}

static struct nd_error *
empty_stream(struct interop_peer *peer)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    ND_TRY(nd_client_call_begin(peer->ch, INTEROP_TEST_SERVICE_FULL_DUPLEX_CALL, NULL, &call));
    ND_TRY(nd_client_call_finish_sending(call));
    return expect_end(call);
}

/* --- compression --- */

static const struct nd_call_options compressed = {.compression = ND_COMPRESSION_GZIP};

static Interop__BoolValue *
boolean(struct nd_arena *arena, bool value)
{
    Interop__BoolValue *ret = nd_pb_new(&interop__bool_value__descriptor, arena);

    ret->value = value;
    return ret;
}

/* A unary call as a stream of one: only there it is seen how the answer came. */
static struct nd_error *
one_answer(struct nd_channel *ch, const struct nd_call_options *options,
           const Interop__SimpleRequest *req, bool *ret_compressed)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Interop__SimpleResponse *rsp;

    ND_TRY(nd_client_call_begin(ch, INTEROP_TEST_SERVICE_UNARY_CALL, options, &call));
    ND_TRY(nd_client_call_send(call, req));
    ND_TRY(nd_client_call_finish_sending(call));
    ND_TRY(nd_client_call_recv(call, arena, &rsp));
    ND_TRY(expect(rsp != NULL, "a message comes"));
    *ret_compressed = nd_client_call_was_compressed(call);
    ND_TRY(expect_size(rsp->payload, LARGE_RESPONSE));
    return expect_end(call);
}

static struct nd_error *
client_compressed_unary(struct interop_peer *peer)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Interop__SimpleRequest req = INTEROP__SIMPLE_REQUEST__INIT;
    bool came;

    req.response_size = LARGE_RESPONSE;
    req.payload = zeros(arena, LARGE_REQUEST);
    req.expect_compressed = boolean(arena, true);
    ND_TRY_DOING(expect_error(one_answer(peer->ch, NULL, &req, &came), ND_INVALID, NULL), "probe");
    ND_TRY_DOING(one_answer(peer->ch, &compressed, &req, &came), "compressed");
    req.expect_compressed->value = false;
    ND_TRY_DOING(one_answer(peer->ch, NULL, &req, &came), "plain");
    return NULL;
}

static struct nd_error *
server_compressed_unary(struct interop_peer *peer)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Interop__SimpleRequest req = INTEROP__SIMPLE_REQUEST__INIT;
    bool came;

    req.response_size = LARGE_RESPONSE;
    req.payload = zeros(arena, LARGE_REQUEST);
    req.response_compressed = boolean(arena, true);
    ND_TRY(one_answer(peer->ch, NULL, &req, &came));
    ND_TRY(expect(came, "the answer is compressed"));
    req.response_compressed->value = false;
    ND_TRY(one_answer(peer->ch, NULL, &req, &came));
    return expect(!came, "the answer is not compressed");
}

static struct nd_error *
send_input(struct nd_client_call *call, size_t size, bool expect_compressed)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Interop__StreamingInputCallRequest req = INTEROP__STREAMING_INPUT_CALL_REQUEST__INIT;

    req.payload = zeros(arena, size);
    req.expect_compressed = boolean(arena, expect_compressed);
    return nd_client_call_send(call, &req);
}

static struct nd_error *
expect_sum(struct nd_client_call *call, int32_t sum)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Interop__StreamingInputCallResponse *rsp;

    ND_TRY(nd_client_call_finish_sending(call));
    ND_TRY(nd_client_call_recv(call, arena, &rsp));
    ND_TRY(expect(rsp != NULL && rsp->aggregated_payload_size == sum, "the sum is right"));
    return expect_end(call);
}

static struct nd_error *
probe_input(struct nd_channel *ch)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    ND_TRY(nd_client_call_begin(ch, INTEROP_TEST_SERVICE_STREAMING_INPUT_CALL, NULL, &call));
    ND_TRY(send_input(call, 27182, true));
    return expect_error(expect_end(call), ND_INVALID, NULL);
}

static struct nd_error *
client_compressed_streaming(struct interop_peer *peer)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    ND_TRY_DOING(probe_input(peer->ch), "probe");
    ND_TRY(nd_client_call_begin(peer->ch, INTEROP_TEST_SERVICE_STREAMING_INPUT_CALL, &compressed,
                                &call));
    ND_TRY(send_input(call, 27182, true));
    nd_client_call_set_compression(call, ND_COMPRESSION_NONE);
    ND_TRY(send_input(call, 45904, false));
    return expect_sum(call, 73086);
}

static struct nd_error *
server_compressed_streaming(struct interop_peer *peer)
{
    static const int sizes[] = {31415, 92653};
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Ask *req = ask(arena, 0, sizes, ND_LEN(sizes));

    for (size_t i = 0; i < ND_LEN(sizes); i++)
        req->response_parameters[i]->compressed = boolean(arena, i == 0);
    ND_TRY(nd_client_call_begin(peer->ch, INTEROP_TEST_SERVICE_STREAMING_OUTPUT_CALL, NULL, &call));
    ND_TRY(nd_client_call_send(call, req));
    ND_TRY(nd_client_call_finish_sending(call));
    for (size_t i = 0; i < ND_LEN(sizes); i++) {
        ND_TRY(expect_answer(call, (size_t)sizes[i]));
        ND_TRY(expect(nd_client_call_was_compressed(call) == (i == 0), "the first is compressed"));
    }
    return expect_end(call);
}

/* Not one of the published cases: for servers that cannot tell how a request came. */
static struct nd_error *
compressed_requests(struct interop_peer *peer)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Interop__SimpleRequest req = INTEROP__SIMPLE_REQUEST__INIT;
    bool came;

    req.response_size = LARGE_RESPONSE;
    req.payload = zeros(arena, LARGE_REQUEST);
    ND_TRY_DOING(one_answer(peer->ch, &compressed, &req, &came), "unary");
    ND_TRY(nd_client_call_begin(peer->ch, INTEROP_TEST_SERVICE_STREAMING_INPUT_CALL, &compressed,
                                &call));
    for (int i = 0; i < 10; i++) {
        nd_client_call_set_compression(call,
                                       i % 2 == 0 ? ND_COMPRESSION_GZIP : ND_COMPRESSION_NONE);
        ND_TRY(send_input(call, 10000, i % 2 == 0));
    }
    return expect_sum(call, 100000);
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
        ND_TRY(expect(nd_str_eq(value, wanted_value), wanted_key.ptr));
    }
    return expect(n == 1, "the metadata comes back once");
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
    ND_TRY(expect(message != NULL, "a message comes"));
    ND_TRY(expect_end(call));
    ND_TRY(nd_client_call_headers(call, &headers));
    ND_TRY(expect_once(headers, key_initial, value_initial));
    return expect_once(nd_client_call_trailers(call), key_trailing, value_trailing);
}

static struct nd_error *
custom_metadata(struct interop_peer *peer)
{
    static const int size = LARGE_RESPONSE;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Interop__SimpleRequest req = INTEROP__SIMPLE_REQUEST__INIT;

    req.response_size = size;
    req.payload = zeros(arena, LARGE_REQUEST);
    ND_TRY_DOING(metadata_of(peer->ch, INTEROP_TEST_SERVICE_UNARY_CALL, &req), "unary");
    ND_TRY_DOING(metadata_of(peer->ch, INTEROP_TEST_SERVICE_FULL_DUPLEX_CALL,
                             ask(arena, LARGE_REQUEST, &size, 1)),
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
    return expect_error(
        nd_channel_unary(ch, INTEROP_TEST_SERVICE_UNARY_CALL, NULL, &req, arena, &rsp),
        (enum nd_code)status->code, status->message);
}

static struct nd_error *
expect_status_of_duplex(struct nd_channel *ch, Interop__EchoStatus *status)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Ask req = INTEROP__STREAMING_OUTPUT_CALL_REQUEST__INIT;

    req.response_status = status;
    ND_TRY(nd_client_call_begin(ch, INTEROP_TEST_SERVICE_FULL_DUPLEX_CALL, NULL, &call));
    ND_TRY(nd_client_call_send(call, &req));
    return expect_error(expect_end(call), (enum nd_code)status->code, status->message);
}

static struct nd_error *
status_code_and_message(struct interop_peer *peer)
{
    Interop__EchoStatus status = INTEROP__ECHO_STATUS__INIT;

    status.code = ND_UNKNOWN;
    status.message = (char *)"test status message";
    ND_TRY_DOING(expect_status_of_unary(peer->ch, &status), "unary");
    ND_TRY_DOING(expect_status_of_duplex(peer->ch, &status), "duplex");
    return NULL;
}

static struct nd_error *
special_status_message(struct interop_peer *peer)
{
    Interop__EchoStatus status = INTEROP__ECHO_STATUS__INIT;

    status.code = ND_UNKNOWN;
    status.message = (char *)"\t\ntest with whitespace\r\nand Unicode BMP \xe2\x98\xba and non-BMP "
                             "\xf0\x9f\x98\x88\t\n";
    return expect_status_of_unary(peer->ch, &status);
}

/* --- what is not there --- */

static struct nd_error *
unimplemented(struct interop_peer *peer, const char *path)
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

    ND_TRY(expect_error(nd_channel_unary(peer->ch, &method, NULL, &req, arena, &rsp),
                        ND_UNIMPLEMENTED, NULL));
    return empty_unary(peer); /* the connection stays usable */
}

static struct nd_error *
unimplemented_method(struct interop_peer *peer)
{
    return unimplemented(peer, "/grpc.testing.TestService/UnimplementedCall");
}

static struct nd_error *
unimplemented_service(struct interop_peer *peer)
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
        ND_TRY(nd_client_call_send(call, ask(arena, 27182, &size, 1)));
        ND_TRY(expect_answer(call, (size_t)size));
    } else {
        ND_TRY(nd_client_call_begin(c->ch, INTEROP_TEST_SERVICE_STREAMING_INPUT_CALL, NULL, &call));
    }
    c->is_reached = true;
    nd_cond_broadcast(&c->reached);
    return expect_end(call);
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
cancel(struct interop_peer *peer, bool answered)
{
    struct cancelled_call c = {.ch = peer->ch, .answered = answered};
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("cancelled", 0);

    ND_TRY(nd_group_spawn(group, keep_code, &c));
    while (!c.is_reached)
        ND_TRY(nd_cond_wait(&c.reached));
    nd_group_cancel(group);
    ND_TRY(nd_group_wait(group));
    ND_TRY(expect(c.code == ND_CANCELLED, "the call is cancelled"));
    return empty_unary(peer);
}

static struct nd_error *
cancel_after_begin(struct interop_peer *peer)
{
    return cancel(peer, false);
}

static struct nd_error *
cancel_after_first_response(struct interop_peer *peer)
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
    ND_TRY(nd_client_call_send(call, ask(arena, 27182, NULL, 0)));
    return expect_end(call);
}

static struct nd_error *
timeout_on_sleeping_server(struct interop_peer *peer)
{
    ND_TRY(empty_unary(peer)); /* so that the deadline does not pass while connecting */
    return expect_error(hurried_call(peer->ch), ND_DEADLINE, NULL);
}

/* --- many --- */

static struct nd_error *
large_call_in_fiber(void *arg)
{
    return large_call(arg);
}

static struct nd_error *
concurrent_large_unary(struct interop_peer *peer)
{
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("calls", 0);

    for (int i = 0; i < PARALLEL_CALLS; i++)
        ND_TRY(nd_group_spawn(group, large_call_in_fiber, peer->ch));
    return nd_group_wait(group);
}

static struct nd_error *
rpc_soak(struct interop_peer *peer)
{
    for (int i = 0; i < SOAK_CALLS; i++)
        ND_TRY_DOING(large_call(peer->ch), "call %d", i);
    return NULL;
}

static struct nd_error *
channel_soak(struct interop_peer *peer)
{
    for (int i = 0; i < SOAK_CHANNELS; i++) {
        ND_AUTO(nd_channel_freep) struct nd_channel *ch = nd_channel_new(peer->addr, peer->options);

        ND_TRY_DOING(large_call(ch), "channel %d", i);
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

    ND_TRY(expect(nd_metadata_find(trailers, ND_STR("endpoint-load-metrics-bin"), &bytes),
                  "a report is in the trailers"));
    ND_TRY(
        nd_pb_decode(&xds__data__orca__v3__orca_load_report__descriptor, bytes, arena, &message));
    r = (const Xds__Data__Orca__V3__OrcaLoadReport *)message;
    ND_TRY(expect(r->cpu_utilization == 0.8210 && r->mem_utilization == 0.5847,
                  "the report has processor and memory"));
    ND_TRY(expect(r->n_request_cost == 1 && r->request_cost[0]->value == 3456.32 &&
                      strcmp(r->request_cost[0]->key, "cost") == 0,
                  "the report has the cost"));
    return expect(r->n_utilization == 1 && r->utilization[0]->value == 0.30499 &&
                      strcmp(r->utilization[0]->key, "util") == 0,
                  "the report has the utilization");
}

static struct nd_error *
orca_per_rpc(struct interop_peer *peer)
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
    ND_TRY(expect_end(call));
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
    {"client_compressed_unary",     client_compressed_unary},
    {"server_compressed_unary",     server_compressed_unary},
    {"client_compressed_streaming", client_compressed_streaming},
    {"server_compressed_streaming", server_compressed_streaming},
    {"compressed_requests",         compressed_requests},
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
