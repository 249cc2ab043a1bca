/*
 * nerdctl.v1.ImageService.
 */

#include "codec/pb.h"
#include "image/images.h"
#include "interceptors/interceptors.h"

#include "operation_priv.h"

#define CHUNK_MAX_BYTES (1024u * 1024u)

/* A load and the operation that it is. */
struct load {
    struct nd_call *call;
    const char *ns;
    const Pb__LoadOptions *options;
    struct nd_operation *operation;
    Pb__LoadResult result;
    size_t cap; /* of its names */
};

/* The next piece of the archive. */
static struct nd_error *
read_chunk(void *arg, struct nd_str *ret)
{
    const Pb__ImageServiceLoadRequest *req = NULL;

    ND_TRY(nd_call_recv(((struct load *)arg)->call, &req));
    if (req == NULL) {
        *ret = ND_STR_NONE;
        return NULL;
    }
    ND_TRY(nd_known_fields_check(req));
    if (req->request_case != PB__IMAGE_SERVICE_LOAD_REQUEST__REQUEST_CHUNK)
        return nd_error_field("request", "only chunks may follow the first message");
    if (req->chunk.len == 0)
        return nd_error_field("chunk", "is empty");
    if (req->chunk.len > CHUNK_MAX_BYTES)
        return nd_error_field("chunk", "has %zu bytes, more than %u", req->chunk.len,
                              CHUNK_MAX_BYTES);
    *ret = nd_str_n(req->chunk.data, req->chunk.len);
    return NULL;
}

static struct nd_error *
send_progress(void *arg, const Pb__Progress *progress)
{
    struct load *l = arg;
    Pb__ImageServiceLoadResponse rsp = PB__IMAGE_SERVICE_LOAD_RESPONSE__INIT;

    rsp.response_case = PB__IMAGE_SERVICE_LOAD_RESPONSE__RESPONSE_PROGRESS;
    rsp.progress = (Pb__Progress *)progress;
    nd_operation_progress(l->operation, progress);
    return nd_call_send(l->call, &rsp);
}

static void
note_name(struct load *l, const char *name)
{
    struct nd_arena *arena = nd_call_arena(l->call);

    if (l->result.n_names == l->cap) {
        size_t cap = l->cap == 0 ? 8 : 2 * l->cap;
        char **names = nd_arena_new_array(arena, cap, char *);

        for (size_t i = 0; i < l->result.n_names; i++)
            names[i] = l->result.names[i];
        l->result.names = names;
        l->cap = cap;
    }
    l->result.names[l->result.n_names++] = nd_arena_strdup(arena, name);
}

static struct nd_error *
send_image(void *arg, const Pb__Image *image)
{
    struct load *l = arg;
    Pb__ImageServiceLoadResponse rsp = PB__IMAGE_SERVICE_LOAD_RESPONSE__INIT;

    rsp.response_case = PB__IMAGE_SERVICE_LOAD_RESPONSE__RESPONSE_IMAGE;
    rsp.image = (Pb__Image *)image;
    note_name(l, image->name);
    return nd_call_send(l->call, &rsp);
}

static struct nd_error *
load(void *arg)
{
    struct load *l = arg;
    const struct nd_image_load_io io = {
        .read = read_chunk, .progress = send_progress, .loaded = send_image, .arg = l};

    return nd_image_load(nd_services_of(l->call)->host, l->ns, l->options, &io);
}

static struct nd_error *
receive_options(struct load *l)
{
    const Pb__ImageServiceLoadRequest *req = NULL;
    ProtobufCMessage *options;

    ND_TRY(nd_call_recv(l->call, &req));
    if (req == NULL || req->request_case != PB__IMAGE_SERVICE_LOAD_REQUEST__REQUEST_OPTIONS)
        return nd_error_field("options", "must be the first message");
    ND_TRY(nd_known_fields_check(req));
    ND_TRY(nd_pb_copy(req->options, nd_call_arena(l->call), &options));
    l->options = (const Pb__LoadOptions *)options;
    return NULL;
}

/* An image that was loaded before, as it is now; one that has gone since is a name. */
static struct nd_error *
send_again(struct load *l, char *name)
{
    Pb__ImageServiceLoadResponse rsp = PB__IMAGE_SERVICE_LOAD_RESPONSE__INIT;
    Pb__ImageServiceInspectRequest req = PB__IMAGE_SERVICE_INSPECT_REQUEST__INIT;
    Pb__ImageServiceInspectResponse inspected = PB__IMAGE_SERVICE_INSPECT_RESPONSE__INIT;
    ND_AUTO(nd_error_freep) struct nd_error *gone = NULL;
    Pb__Image bare = PB__IMAGE__INIT;

    bare.name = name;
    req.image = name;
    gone = nd_image_inspect(nd_services_of(l->call)->host, l->ns, &req, nd_call_arena(l->call),
                            &inspected);
    rsp.response_case = PB__IMAGE_SERVICE_LOAD_RESPONSE__RESPONSE_IMAGE;
    rsp.image = gone == NULL && inspected.image != NULL ? inspected.image : &bare;
    return nd_call_send(l->call, &rsp);
}

/* It was done before: the archive is not read again. */
static struct nd_error *
repeat_load(struct load *l, const struct nd_request *request)
{
    ProtobufCMessage *before;
    const Pb__LoadResult *result;

    ND_TRY(nd_services_repeat(l->call, request, &pb__load_result__descriptor, &before));
    ND_TRY(nd_services_operation_header(l->call, request->outcome.id));
    result = (const Pb__LoadResult *)before;
    for (size_t i = 0; i < result->n_names; i++)
        ND_TRY(send_again(l, result->names[i]));
    return NULL;
}

static struct nd_error *
image_load(struct nd_call *call, const void *in, void *out)
{
    ND_AUTO(nd_request_leave) struct nd_request request = ND_REQUEST_INIT;
    ND_AUTO(nd_operation_leavep) struct nd_operation *operation = NULL;
    struct load l = {.call = call, .result = PB__LOAD_RESULT__INIT};
    struct nd_error *err;

    (void)in;
    (void)out;
    ND_TRY(nd_services_namespace(call, &l.ns));
    ND_TRY(receive_options(&l));
    err = nd_services_request(call, l.ns, l.options->request_id, l.options,
                              l.result.base.descriptor, &request);
    ND_TRY(nd_services_in_options(err));
    if (request.is_repeated)
        return repeat_load(&l, &request);
    ND_TRY(nd_services_operation(call, l.ns, &operation));
    nd_request_is_operation(&request, nd_operation_id(operation), nd_call_arena(call));
    l.operation = operation;
    err = nd_operation_run(operation, load, &l);
    err = nd_operation_end(operation, err, &l.result.base);
    return nd_request_end(&request, err, &l.result);
}

ND_UNARY(image_list, nd_images_list, host)
ND_UNARY(image_inspect, nd_image_inspect, host)
ND_MUTATION(image_tag, nd_image_tag, host, Pb__ImageServiceTagRequest)
ND_MUTATION(image_remove, nd_image_remove, host, Pb__ImageServiceRemoveRequest)

const struct nd_method_handler nd_image_handlers[] = {
    {"Load", image_load}, {"List", image_list},     {"Inspect", image_inspect},
    {"Tag", image_tag},   {"Remove", image_remove}, {NULL, NULL},
};
