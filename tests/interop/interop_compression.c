/*
 * The interoperability cases about compression. A probe finds out first whether the server looks at
 * how requests come: one that is said to be compressed, and is not, must be refused.
 */

#include "codec/pb.h"

#include "interop_cases.h"
#include "interop_methods.h"
#include "interop_parts.h"

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
    ND_TRY(interop_expect(rsp != NULL, "a message comes"));
    *ret_compressed = nd_client_call_was_compressed(call);
    ND_TRY(interop_expect_size(rsp->payload, INTEROP_LARGE_RESPONSE));
    return interop_expect_end(call);
}

static struct nd_error *
client_compressed_unary(const struct interop_peer *peer)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Interop__SimpleRequest req = INTEROP__SIMPLE_REQUEST__INIT;
    bool came;

    req.response_size = INTEROP_LARGE_RESPONSE;
    req.payload = interop_zeros(arena, INTEROP_LARGE_REQUEST);
    req.expect_compressed = boolean(arena, true);
    ND_TRY_DOING(interop_expect_error(one_answer(peer->ch, NULL, &req, &came), ND_INVALID, NULL),
                 "probe");
    ND_TRY_DOING(one_answer(peer->ch, &compressed, &req, &came), "compressed");
    req.expect_compressed->value = false;
    ND_TRY_DOING(one_answer(peer->ch, NULL, &req, &came), "plain");
    return NULL;
}

static struct nd_error *
server_compressed_unary(const struct interop_peer *peer)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Interop__SimpleRequest req = INTEROP__SIMPLE_REQUEST__INIT;
    bool came;

    req.response_size = INTEROP_LARGE_RESPONSE;
    req.payload = interop_zeros(arena, INTEROP_LARGE_REQUEST);
    req.response_compressed = boolean(arena, true);
    ND_TRY(one_answer(peer->ch, NULL, &req, &came));
    ND_TRY(interop_expect(came, "the answer is compressed"));
    req.response_compressed->value = false;
    ND_TRY(one_answer(peer->ch, NULL, &req, &came));
    return interop_expect(!came, "the answer is not compressed");
}

static struct nd_error *
send_input(struct nd_client_call *call, size_t size, bool expect_compressed)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Interop__StreamingInputCallRequest req = INTEROP__STREAMING_INPUT_CALL_REQUEST__INIT;

    req.payload = interop_zeros(arena, size);
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
    ND_TRY(interop_expect(rsp != NULL && rsp->aggregated_payload_size == sum, "the sum is right"));
    return interop_expect_end(call);
}

static struct nd_error *
probe_input(struct nd_channel *ch)
{
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;

    ND_TRY(nd_client_call_begin(ch, INTEROP_TEST_SERVICE_STREAMING_INPUT_CALL, NULL, &call));
    ND_TRY(send_input(call, 27182, true));
    return interop_expect_error(interop_expect_end(call), ND_INVALID, NULL);
}

static struct nd_error *
client_compressed_streaming(const struct interop_peer *peer)
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
server_compressed_streaming(const struct interop_peer *peer)
{
    static const int sizes[] = {31415, 92653};
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Interop__StreamingOutputCallRequest *req = interop_ask(arena, 0, sizes, ND_LEN(sizes));

    for (size_t i = 0; i < ND_LEN(sizes); i++)
        req->response_parameters[i]->compressed = boolean(arena, i == 0);
    ND_TRY(nd_client_call_begin(peer->ch, INTEROP_TEST_SERVICE_STREAMING_OUTPUT_CALL, NULL, &call));
    ND_TRY(nd_client_call_send(call, req));
    ND_TRY(nd_client_call_finish_sending(call));
    for (size_t i = 0; i < ND_LEN(sizes); i++) {
        ND_TRY(interop_expect_answer(call, (size_t)sizes[i]));
        ND_TRY(interop_expect(nd_client_call_was_compressed(call) == (i == 0),
                              "the first is compressed"));
    }
    return interop_expect_end(call);
}

/* Not one of the published cases: for servers that cannot tell how a request came. */
static struct nd_error *
compressed_requests(const struct interop_peer *peer)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    Interop__SimpleRequest req = INTEROP__SIMPLE_REQUEST__INIT;
    bool came;

    req.response_size = INTEROP_LARGE_RESPONSE;
    req.payload = interop_zeros(arena, INTEROP_LARGE_REQUEST);
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

/* clang-format off */
const struct interop_case interop_compression_cases[] = {
    {"client_compressed_unary",     client_compressed_unary},
    {"server_compressed_unary",     server_compressed_unary},
    {"client_compressed_streaming", client_compressed_streaming},
    {"server_compressed_streaming", server_compressed_streaming},
    {"compressed_requests",         compressed_requests},
    {NULL, NULL},
};
/* clang-format on */
