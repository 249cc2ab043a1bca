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
image_load(struct nd_call *call, const void *in, void *out)
{
    ND_AUTO(nd_operation_leavep) struct nd_operation *operation = NULL;
    const Pb__ImageServiceLoadRequest *req = NULL;
    struct load l = {.call = call, .result = PB__LOAD_RESULT__INIT};
    ProtobufCMessage *options;

    (void)in;
    (void)out;
    ND_TRY(nd_services_namespace(call, &l.ns));
    ND_TRY(nd_call_recv(call, &req));
    if (req == NULL || req->request_case != PB__IMAGE_SERVICE_LOAD_REQUEST__REQUEST_OPTIONS)
        return nd_error_field("options", "must be the first message");
    ND_TRY(nd_known_fields_check(req));
    ND_TRY(nd_pb_copy(req->options, nd_call_arena(call), &options));
    l.options = (const Pb__LoadOptions *)options;
    ND_TRY(nd_services_operation(call, l.ns, &operation));
    l.operation = operation;
    return nd_operation_end(operation, nd_operation_run(operation, load, &l), &l.result.base);
}

ND_UNARY(image_list, nd_images_list, host)
ND_UNARY(image_inspect, nd_image_inspect, host)
ND_UNARY(image_tag, nd_image_tag, host)
ND_UNARY(image_remove, nd_image_remove, host)

const struct nd_method_handler nd_image_handlers[] = {
    {"Load", image_load}, {"List", image_list},     {"Inspect", image_inspect},
    {"Tag", image_tag},   {"Remove", image_remove}, {NULL, NULL},
};
