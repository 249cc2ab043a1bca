/*
 * Reflection, versions v1 and v1alpha: the same messages under two names, so both are served by one
 * handler. Answers point into the embedded descriptors and are not copied before they are encoded.
 *
 * A stream is told each import once; the file that was asked for is always sent.
 */

#include "grpc/reflection.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "grpc/reflection/v1/reflection.pb-c.h"

#include "descriptors_priv.h"
#include "grpc_health_methods.h"
#include "grpc_reflection_alpha_methods.h"
#include "grpc_reflection_methods.h"

#define MAX_EXTENSIONS 4096u /* numbers in one answer */

struct nd_reflection {
    struct nd_descriptors *descriptors;
    const struct nd_server *server;
};

/* One stream. */
struct info {
    const struct nd_reflection *reflection;
    struct nd_arena *arena; /* of one answer */
    bool *sent;             /* by file id */
};

/* --- answers --- */

static void
answer_error(struct info *info, GrpcReflection__ServerReflectionResponse *rsp, enum nd_code code,
             const char *message)
{
    GrpcReflection__ErrorResponse *e =
        nd_arena_new_object(info->arena, GrpcReflection__ErrorResponse);

    grpc_reflection__error_response__init(e);
    e->error_code = code;
    e->error_message = (char *)message;
    rsp->message_response_case =
        GRPC_REFLECTION__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
    rsp->error_response = e;
}

static void
add_file(struct info *info, GrpcReflection__FileDescriptorResponse *files,
         const struct nd_descriptor_file *file)
{
    ProtobufCBinaryData *entry = &files->file_descriptor_proto[files->n_file_descriptor_proto++];

    info->sent[file->id] = true;
    entry->data = (uint8_t *)file->bytes.ptr;
    entry->len = file->bytes.len;
}

/* The imports, and theirs, that this stream does not have. */
static void
add_imports(struct info *info, GrpcReflection__FileDescriptorResponse *files,
            const struct nd_descriptor_file *file)
{
    const struct nd_descriptors *d = info->reflection->descriptors;
    const struct nd_descriptor_file **queue = nd_arena_new_array(
        info->arena, nd_descriptors_count(d) + 1, const struct nd_descriptor_file *);
    size_t n = 0;

    queue[n++] = file;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < queue[i]->n_imports; k++) {
            const struct nd_descriptor_file *import = nd_descriptors_file(d, queue[i]->imports[k]);

            if (import == NULL || info->sent[import->id])
                continue;
            add_file(info, files, import);
            queue[n++] = import;
        }
    }
}

static void
answer_file(struct info *info, GrpcReflection__ServerReflectionResponse *rsp,
            const struct nd_descriptor_file *file, const char *what)
{
    GrpcReflection__FileDescriptorResponse *files;

    if (file == NULL) {
        answer_error(info, rsp, ND_NOT_FOUND, nd_arena_printf(info->arena, "not found: %s", what));
        return;
    }
    files = nd_arena_new_object(info->arena, GrpcReflection__FileDescriptorResponse);
    grpc_reflection__file_descriptor_response__init(files);
    files->file_descriptor_proto = nd_arena_new_array(
        info->arena, nd_descriptors_count(info->reflection->descriptors) + 1, ProtobufCBinaryData);
    add_file(info, files, file);
    add_imports(info, files, file);
    rsp->message_response_case =
        GRPC_REFLECTION__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
    rsp->file_descriptor_response = files;
}

static void
answer_extension(struct info *info, GrpcReflection__ServerReflectionResponse *rsp,
                 const GrpcReflection__ExtensionRequest *req)
{
    answer_file(info, rsp,
                nd_descriptors_extension(info->reflection->descriptors,
                                         nd_str(req->containing_type), req->extension_number),
                nd_arena_printf(info->arena, "extension %d of %s", req->extension_number,
                                req->containing_type));
}

static void
answer_extension_numbers(struct info *info, GrpcReflection__ServerReflectionResponse *rsp,
                         const char *type)
{
    const struct nd_descriptors *d = info->reflection->descriptors;
    GrpcReflection__ExtensionNumberResponse *numbers;

    if (nd_descriptors_symbol(d, nd_str(type)) == NULL) {
        answer_error(info, rsp, ND_NOT_FOUND, nd_arena_printf(info->arena, "not found: %s", type));
        return;
    }
    numbers = nd_arena_new_object(info->arena, GrpcReflection__ExtensionNumberResponse);
    grpc_reflection__extension_number_response__init(numbers);
    numbers->base_type_name = (char *)type;
    numbers->extension_number = nd_arena_new_array(info->arena, MAX_EXTENSIONS, int32_t);
    numbers->n_extension_number = nd_descriptors_extension_numbers(
        d, nd_str(type), numbers->extension_number, MAX_EXTENSIONS);
    rsp->message_response_case =
        GRPC_REFLECTION__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE;
    rsp->all_extension_numbers_response = numbers;
}

static int
compare_names(const void *a, const void *b)
{
    const GrpcReflection__ServiceResponse *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

static void
answer_services(struct info *info, GrpcReflection__ServerReflectionResponse *rsp)
{
    const struct nd_server *server = info->reflection->server;
    size_t n = nd_server_n_services(server);
    GrpcReflection__ListServiceResponse *list =
        nd_arena_new_object(info->arena, GrpcReflection__ListServiceResponse);

    grpc_reflection__list_service_response__init(list);
    list->service = nd_arena_new_array(info->arena, n, GrpcReflection__ServiceResponse *);
    for (size_t i = 0; i < n; i++) {
        list->service[i] = nd_arena_new_object(info->arena, GrpcReflection__ServiceResponse);
        grpc_reflection__service_response__init(list->service[i]);
        list->service[i]->name = (char *)nd_server_service(server, i)->name;
    }
    list->n_service = n;
    qsort(list->service, n, sizeof(GrpcReflection__ServiceResponse *), compare_names);
    rsp->message_response_case =
        GRPC_REFLECTION__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
    rsp->list_services_response = list;
}

static struct nd_error *
answer(struct info *info, const GrpcReflection__ServerReflectionRequest *req,
       GrpcReflection__ServerReflectionResponse *rsp)
{
    const struct nd_descriptors *d = info->reflection->descriptors;

    switch (req->message_request_case) {
    case GRPC_REFLECTION__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
        answer_file(info, rsp, nd_descriptors_file(d, nd_str(req->file_by_filename)),
                    req->file_by_filename);
        break;
    case GRPC_REFLECTION__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        answer_file(info, rsp, nd_descriptors_symbol(d, nd_str(req->file_containing_symbol)),
                    req->file_containing_symbol);
        break;
    case GRPC_REFLECTION__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
        answer_extension(info, rsp, req->file_containing_extension);
        break;
    case GRPC_REFLECTION__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
        answer_extension_numbers(info, rsp, req->all_extension_numbers_of_type);
        break;
    case GRPC_REFLECTION__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
        answer_services(info, rsp);
        break;
    case GRPC_REFLECTION__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST__NOT_SET:
    default:
        return nd_error_new(ND_INVALID, "the request asks for nothing that is known");
    }
    return NULL;
}

static struct nd_error *
info_handler(struct nd_call *call, const void *in, void *out)
{
    const struct nd_reflection *r = nd_call_user(call);
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct info info = {
        .reflection = r,
        .arena = arena,
        .sent =
            nd_arena_new_array(nd_call_arena(call), nd_descriptors_count(r->descriptors) + 1, bool),
    };

    (void)in;
    (void)out;
    for (;;) {
        GrpcReflection__ServerReflectionResponse rsp =
            GRPC_REFLECTION__SERVER_REFLECTION_RESPONSE__INIT;
        GrpcReflection__ServerReflectionRequest *req;

        nd_arena_reset(arena);
        ND_TRY(nd_call_recv(call, &req));
        if (req == NULL)
            return NULL;
        rsp.valid_host = req->host;
        rsp.original_request = req;
        ND_TRY(answer(&info, req, &rsp));
        ND_TRY(nd_call_send(call, &rsp));
    }
}

/* --- the object --- */

/* v1alpha under its own name, with the messages of v1. */
static const struct nd_method_desc alpha_method = {
    .path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    .name = "ServerReflectionInfo",
    .kind = ND_BIDI,
    .input = &grpc_reflection__server_reflection_request__descriptor,
    .output = &grpc_reflection__server_reflection_response__descriptor,
};
static const struct nd_service_desc alpha_service = {
    .name = "grpc.reflection.v1alpha.ServerReflection",
    .n_methods = 1,
    .methods = &alpha_method,
};

static const struct nd_method_handler handlers[] = {
    {"ServerReflectionInfo", info_handler},
    {NULL, NULL},
};

static struct nd_error *
add_sets(struct nd_descriptors *d, const struct nd_str *sets, size_t n)
{
    const struct nd_str own[] = {
        nd_str_n(grpc_health_descriptors, GRPC_HEALTH_DESCRIPTORS_SIZE),
        nd_str_n(grpc_reflection_descriptors, GRPC_REFLECTION_DESCRIPTORS_SIZE),
        nd_str_n(grpc_reflection_alpha_descriptors, GRPC_REFLECTION_ALPHA_DESCRIPTORS_SIZE),
    };

    for (size_t i = 0; i < n; i++)
        ND_TRY(nd_descriptors_add(d, sets[i]));
    for (size_t i = 0; i < ND_LEN(own); i++)
        ND_TRY(nd_descriptors_add(d, own[i]));
    return NULL;
}

struct nd_error *
nd_reflection_new(const struct nd_str *descriptor_sets, size_t n, struct nd_reflection **ret)
{
    ND_AUTO(nd_reflection_freep) struct nd_reflection *r = nd_new(struct nd_reflection);

    r->descriptors = nd_descriptors_new();
    ND_TRY(add_sets(r->descriptors, descriptor_sets, n));
    *ret = ND_TAKE(r);
    return NULL;
}

void
nd_reflection_free(struct nd_reflection *r)
{
    if (r == NULL)
        return;
    nd_descriptors_free(r->descriptors);
    nd_free(r);
}

void
nd_reflection_freep(struct nd_reflection **r)
{
    nd_reflection_free(ND_TAKE(*r));
}

void
nd_reflection_add_to(struct nd_reflection *r, struct nd_server *server)
{
    r->server = server;
    nd_server_add(server, &grpc_reflection_server_reflection, handlers, r);
    nd_server_add(server, &alpha_service, handlers, r);
}
