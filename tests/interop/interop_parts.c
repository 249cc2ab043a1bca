/* What the cases of the interoperability client are made of: expectations and requests. */

#include "interop_parts.h"

#include "codec/pb.h"

#include "interop_methods.h"

/* --- expectations --- */

struct nd_error *
interop_expect(bool holds, const char *what)
{
    return holds ? NULL : nd_error_new(ND_INTERNAL, "not so: %s", what);
}

struct nd_error *
interop_expect_size(const Interop__Payload *payload, size_t size)
{
    size_t len = payload != NULL ? payload->body.len : 0;

    if (len == size)
        return NULL;
    return nd_error_new(ND_INTERNAL, "%zu bytes of payload instead of %zu", len, size);
}

/* Takes `err`, which must have this code and, unless NULL, this message. */
struct nd_error *
interop_expect_error(struct nd_error *err, enum nd_code code, const char *message)
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

Interop__Payload *
interop_zeros(struct nd_arena *arena, size_t size)
{
    Interop__Payload *payload = nd_pb_new(&interop__payload__descriptor, arena);

    payload->body.len = size;
    payload->body.data = nd_arena_alloc(arena, size + 1);
    return payload;
}

Interop__StreamingOutputCallRequest *
interop_ask(struct nd_arena *arena, size_t payload, const int *sizes, size_t n)
{
    Interop__StreamingOutputCallRequest *req =
        nd_pb_new(&interop__streaming_output_call_request__descriptor, arena);

    if (payload != 0)
        req->payload = interop_zeros(arena, payload);
    req->n_response_parameters = n;
    req->response_parameters = nd_arena_new_array(arena, n, Interop__ResponseParameters *);
    for (size_t i = 0; i < n; i++) {
        req->response_parameters[i] = nd_pb_new(&interop__response_parameters__descriptor, arena);
        req->response_parameters[i]->size = sizes[i];
    }
    return req;
}

struct nd_error *
interop_large_call(struct nd_channel *ch)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Interop__SimpleRequest req = INTEROP__SIMPLE_REQUEST__INIT;
    Interop__SimpleResponse *rsp;

    req.response_size = INTEROP_LARGE_RESPONSE;
    req.payload = interop_zeros(arena, INTEROP_LARGE_REQUEST);
    ND_TRY(nd_channel_unary(ch, INTEROP_TEST_SERVICE_UNARY_CALL, NULL, &req, arena, &rsp));
    return interop_expect_size(rsp->payload, INTEROP_LARGE_RESPONSE);
}

/* The next message of a duplex or server stream has so many bytes. */
struct nd_error *
interop_expect_answer(struct nd_client_call *call, size_t size)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Interop__StreamingOutputCallResponse *answer;

    ND_TRY(nd_client_call_recv(call, arena, &answer));
    ND_TRY(interop_expect(answer != NULL, "a message comes"));
    return interop_expect_size(answer->payload, size);
}

struct nd_error *
interop_expect_end(struct nd_client_call *call)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ProtobufCMessage *message;

    ND_TRY(nd_client_call_recv(call, arena, &message));
    return interop_expect(message == NULL, "the stream ends");
}
