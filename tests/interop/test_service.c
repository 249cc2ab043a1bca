/*
 * The test service that gRPC implementations prove themselves with: clients say in their requests
 * how large the answers are to be, how long to wait before each, with which status to end.
 *
 * Sizes come from outside and are held against MAX_RESPONSE, the number of answers that a half
 * duplex call saves up against MAX_SAVED. What is not offered here must stay so: clients ask for
 * UnimplementedCall and for UnimplementedService to be refused.
 */

#include "test_service.h"

#include "base/alloc.h"
#include "codec/pb.h"
#include "fiber/fiber.h"

#include "interop_methods.h"

#define MAX_RESPONSE (64 << 20) /* bytes of one answer's payload */
#define MAX_SAVED    1000       /* answers of a half duplex call */
#define SERVER_ID    "nerdctl-grpc"
#define MAX_REPORT   4096 /* bytes of an encoded load report */

static const struct nd_str key_initial = {"x-grpc-test-echo-initial", 24};
static const struct nd_str key_trailing = {"x-grpc-test-echo-trailing-bin", 29};
static const struct nd_str key_report = {"endpoint-load-metrics-bin", 25};

/* --- parts of the answers --- */

static struct nd_error *
echo_metadata(struct nd_call *call)
{
    const struct nd_metadata *md = nd_call_metadata(call);
    struct nd_str value;

    if (nd_metadata_find(md, key_initial, &value))
        ND_TRY(nd_call_add_header(call, key_initial, value));
    if (nd_metadata_find(md, key_trailing, &value))
        ND_TRY(nd_call_add_trailer(call, key_trailing, value));
    return NULL;
}

static struct nd_error *
wanted_status(const Interop__EchoStatus *status)
{
    if (status == NULL || status->code == 0)
        return NULL;
    if (status->code < 0 || status->code > ND_CODE_MAX)
        return nd_error_field("response_status.code", "is no status");
    return nd_error_new((enum nd_code)status->code, "%s", status->message);
}

/* Whether a request is to have been compressed, when it says so. */
static struct nd_error *
check_compressed(struct nd_call *call, const Interop__BoolValue *expected)
{
    if (expected == NULL || expected->value == nd_call_was_compressed(call))
        return NULL;
    return nd_error_field("expect_compressed", "is not how the request came");
}

static bool
is_true(const Interop__BoolValue *value)
{
    return value != NULL && value->value;
}

static void
choose_compression(struct nd_call *call, const Interop__BoolValue *wanted)
{
    nd_call_set_compression(call, is_true(wanted) ? ND_COMPRESSION_GZIP : ND_COMPRESSION_NONE);
}

static struct nd_error *
make_payload(struct nd_arena *arena, int32_t size, Interop__Payload **ret)
{
    Interop__Payload *payload;

    if (size < 0 || size > MAX_RESPONSE)
        return nd_error_field("size", "is not within 0 and %d", MAX_RESPONSE);
    payload = nd_pb_new(&interop__payload__descriptor, arena);
    payload->body.len = (size_t)size;
    payload->body.data = nd_arena_alloc(arena, (size_t)size + 1);
    *ret = payload;
    return NULL;
}

static struct nd_error *
add_report(struct nd_call *call, const Interop__TestOrcaReport *report)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(MAX_REPORT);

    if (report == NULL)
        return NULL;
    ND_TRY_DOING(orca_encode(report, &buf), "load report");
    return nd_call_add_trailer(call, key_report, nd_buf_str(&buf));
}

/* --- one message, or none --- */

static struct nd_error *
empty_call(struct nd_call *call, const void *in, void *out)
{
    (void)in, (void)out;
    return echo_metadata(call);
}

static struct nd_error *
unary_call(struct nd_call *call, const void *in, void *out)
{
    const Interop__SimpleRequest *req = in;
    Interop__SimpleResponse *rsp = out;

    ND_TRY(echo_metadata(call));
    ND_TRY(check_compressed(call, req->expect_compressed));
    ND_TRY(wanted_status(req->response_status));
    choose_compression(call, req->response_compressed);
    ND_TRY(add_report(call, req->orca_per_query_report));
    if (req->fill_server_id)
        rsp->server_id = (char *)SERVER_ID;
    return make_payload(nd_call_arena(call), req->response_size, &rsp->payload);
}

/* --- streams --- */

static struct nd_error *
send_one(struct nd_call *call, const Interop__ResponseParameters *wanted)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Interop__StreamingOutputCallResponse rsp = INTEROP__STREAMING_OUTPUT_CALL_RESPONSE__INIT;

    if (wanted->interval_us > 0)
        ND_TRY(nd_fiber_sleep(wanted->interval_us * ND_MICROSECOND));
    ND_TRY(make_payload(arena, wanted->size, &rsp.payload));
    choose_compression(call, wanted->compressed);
    return nd_call_send(call, &rsp);
}

/* The client is told with the initial metadata that there may be compressed answers. */
static struct nd_error *
announce_compression(struct nd_call *call, Interop__ResponseParameters *const *wanted, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_true(wanted[i]->compressed))
            continue;
        nd_call_set_compression(call, ND_COMPRESSION_GZIP);
        return nd_call_send_header(call);
    }
    return NULL;
}

static struct nd_error *
send_all(struct nd_call *call, Interop__ResponseParameters *const *wanted, size_t n)
{
    ND_TRY(announce_compression(call, wanted, n));
    for (size_t i = 0; i < n; i++)
        ND_TRY(send_one(call, wanted[i]));
    return NULL;
}

static struct nd_error *
streaming_output_call(struct nd_call *call, const void *in, void *out)
{
    const Interop__StreamingOutputCallRequest *req = in;

    (void)out;
    ND_TRY(echo_metadata(call));
    ND_TRY(wanted_status(req->response_status));
    return send_all(call, req->response_parameters, req->n_response_parameters);
}

static struct nd_error *
streaming_input_call(struct nd_call *call, const void *in, void *out)
{
    Interop__StreamingInputCallResponse *rsp = out;
    Interop__StreamingInputCallRequest *req;
    uint64_t sum = 0;

    (void)in;
    ND_TRY(echo_metadata(call));
    for (;;) {
        ND_TRY(nd_call_recv(call, &req));
        if (req == NULL)
            break;
        ND_TRY(check_compressed(call, req->expect_compressed));
        sum += req->payload != NULL ? req->payload->body.len : 0;
    }
    if (sum > INT32_MAX)
        return nd_error_new(ND_OUT_OF_RANGE, "more payload than the answer can tell");
    rsp->aggregated_payload_size = (int32_t)sum;
    return NULL;
}

/* Keep a report for those who ask for reports out of band. */
static struct nd_error *
keep_report(struct test_service *service, const Interop__TestOrcaReport *report)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = NULL;
    ProtobufCMessage *copy;

    if (report == NULL)
        return NULL;
    arena = nd_arena_new(0);
    ND_TRY(nd_pb_copy(report, arena, &copy));
    nd_arena_free(service->arena);
    service->report = (const Interop__TestOrcaReport *)copy;
    service->arena = ND_TAKE(arena);
    return NULL;
}

static struct nd_error *
full_duplex_call(struct nd_call *call, const void *in, void *out)
{
    Interop__StreamingOutputCallRequest *req;

    (void)in, (void)out;
    ND_TRY(echo_metadata(call));
    for (;;) {
        ND_TRY(nd_call_recv(call, &req));
        if (req == NULL)
            return NULL;
        ND_TRY(wanted_status(req->response_status));
        ND_TRY(keep_report(nd_call_user(call), req->orca_oob_report));
        ND_TRY(send_all(call, req->response_parameters, req->n_response_parameters));
    }
}

static struct nd_error *
half_duplex_call(struct nd_call *call, const void *in, void *out)
{
    Interop__ResponseParameters *saved[MAX_SAVED];
    Interop__StreamingOutputCallRequest *req;
    size_t n = 0;

    (void)in, (void)out;
    ND_TRY(echo_metadata(call));
    for (;;) {
        ND_TRY(nd_call_recv(call, &req));
        if (req == NULL)
            return send_all(call, saved, n);
        ND_TRY(wanted_status(req->response_status));
        for (size_t i = 0; i < req->n_response_parameters; i++) {
            if (n == ND_LEN(saved))
                return nd_error_new(ND_EXHAUSTED, "more than %d answers", MAX_SAVED);
            ND_TRY(nd_pb_copy(req->response_parameters[i], nd_call_arena(call),
                              (ProtobufCMessage **)&saved[n++]));
        }
    }
}

/* clang-format off */
static const struct nd_method_handler handlers[] = {
    {"EmptyCall",           empty_call},
    {"UnaryCall",           unary_call},
    {"CacheableUnaryCall",  unary_call},
    {"StreamingOutputCall", streaming_output_call},
    {"StreamingInputCall",  streaming_input_call},
    {"FullDuplexCall",      full_duplex_call},
    {"HalfDuplexCall",      half_duplex_call},
    {NULL, NULL},
};
/* clang-format on */

void
test_service_add_to(struct test_service *service, struct nd_server *server)
{
    nd_server_add(server, &interop_test_service, handlers, service);
}

void
test_service_fini(struct test_service *service)
{
    nd_arena_free(service->arena);
    *service = (struct test_service){0};
}
