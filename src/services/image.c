/*
 * nerdctl.v1.ImageService.
 */

#include "codec/pb.h"
#include "image/images.h"
#include "interceptors/interceptors.h"

#include "services_priv.h"

#define CHUNK_MAX_BYTES (1024u * 1024u)

/* The next piece of the archive. */
static struct nd_error *
read_chunk(void *arg, struct nd_str *ret)
{
    const Pb__ImageServiceLoadRequest *req = NULL;

    ND_TRY(nd_call_recv(arg, &req));
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
    Pb__ImageServiceLoadResponse rsp = PB__IMAGE_SERVICE_LOAD_RESPONSE__INIT;

    rsp.response_case = PB__IMAGE_SERVICE_LOAD_RESPONSE__RESPONSE_PROGRESS;
    rsp.progress = (Pb__Progress *)progress;
    return nd_call_send(arg, &rsp);
}

static struct nd_error *
send_image(void *arg, const Pb__Image *image)
{
    Pb__ImageServiceLoadResponse rsp = PB__IMAGE_SERVICE_LOAD_RESPONSE__INIT;

    rsp.response_case = PB__IMAGE_SERVICE_LOAD_RESPONSE__RESPONSE_IMAGE;
    rsp.image = (Pb__Image *)image;
    return nd_call_send(arg, &rsp);
}

static struct nd_error *
image_load(struct nd_call *call, const void *in, void *out)
{
    const struct nd_image_load_io io = {
        .read = read_chunk, .progress = send_progress, .loaded = send_image, .arg = call};
    const Pb__ImageServiceLoadRequest *req = NULL;
    ProtobufCMessage *options;
    const char *ns;

    (void)in;
    (void)out;
    ND_TRY(nd_services_namespace(call, &ns));
    ND_TRY(nd_call_recv(call, &req));
    if (req == NULL || req->request_case != PB__IMAGE_SERVICE_LOAD_REQUEST__REQUEST_OPTIONS)
        return nd_error_field("options", "must be the first message");
    ND_TRY(nd_known_fields_check(req));
    ND_TRY(nd_pb_copy(req->options, nd_call_arena(call), &options));
    return nd_image_load(nd_services_of(call)->host, ns, (const Pb__LoadOptions *)options, &io);
}

ND_UNARY(image_list, nd_images_list, host)
ND_UNARY(image_inspect, nd_image_inspect, host)
ND_UNARY(image_tag, nd_image_tag, host)
ND_UNARY(image_remove, nd_image_remove, host)

const struct nd_method_handler nd_image_handlers[] = {
    {"Load", image_load}, {"List", image_list},     {"Inspect", image_inspect},
    {"Tag", image_tag},   {"Remove", image_remove}, {NULL, NULL},
};
