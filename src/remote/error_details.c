/*
 * Details of a failed call: google.rpc.Status, whose parts are messages of several types.
 *
 * Ours are understood: ErrorDetail brings a reason, who failed, metadata and suggestions;
 * ValidationError the wrong fields. When several fields are wrong, the message names the first
 * only, so the others become hints. Everything here is decoration: bytes that do not parse change
 * nothing.
 */

#include "error_details.h"

#include "base/arena.h"
#include "codec/pb.h"
#include "google/rpc/status.pb-c.h"
#include "nerdctl/v1/error.pb-c.h"

#define MAX_DETAILS_BYTES (256u << 10) /* in memory */
#define MAX_PARTS         32u

static const void *
decode(struct nd_arena *arena, const ProtobufCMessageDescriptor *type, struct nd_str bytes)
{
    ProtobufCMessage *message = NULL;

    nd_error_free(nd_pb_decode(type, bytes, arena, &message)); /* NULL says enough */
    return message;
}

static struct nd_error *
add_error_detail(struct nd_error *err, const Pb__ErrorDetail *detail)
{
    if (detail->error_code[0] != '\0')
        err = nd_error_reason(err, detail->error_code);
    if (detail->component[0] != '\0')
        err = nd_error_component(err, detail->component);
    for (size_t i = 0; i < detail->n_metadata && i < MAX_PARTS; i++)
        err = nd_error_meta(err, detail->metadata[i]->key, detail->metadata[i]->value);
    for (size_t i = 0; i < detail->n_suggestions && i < MAX_PARTS; i++)
        err = nd_error_hint(err, "%s", detail->suggestions[i]);
    return err;
}

/* The field's name stands in front of most messages already; where it does not, it is put there. */
static struct nd_error *
add_validation(struct nd_error *err, const Pb__ValidationError *validation)
{
    for (size_t i = 0; i < validation->n_field_errors && i < MAX_PARTS; i++) {
        const Pb__FieldError *field = validation->field_errors[i];
        bool named = strstr(field->message, field->field) != NULL;

        if (i == 0 && strstr(nd_error_message(err), field->field) == NULL)
            err = nd_error_in_field(err, field->field);
        if (strstr(nd_error_message(err), field->message) == NULL)
            err = nd_error_hint(err, "%s%s%s", named ? "" : field->field, named ? "" : ": ",
                                field->message);
    }
    return err;
}

static struct nd_error *
add_part(struct nd_error *err, struct nd_arena *arena, const Google__Protobuf__Any *any)
{
    struct nd_str type = nd_str(any->type_url);
    struct nd_str bytes = nd_str_n(any->value.data, any->value.len);
    const void *message = NULL;

    type = nd_str_from(type, nd_str_rfind(type, '/') + 1); /* no slash: SIZE_MAX + 1 is 0 */
    if (nd_str_eqz(type, pb__error_detail__descriptor.name)) {
        message = decode(arena, &pb__error_detail__descriptor, bytes);
        return message != NULL ? add_error_detail(err, message) : err;
    }
    if (nd_str_eqz(type, pb__validation_error__descriptor.name)) {
        message = decode(arena, &pb__validation_error__descriptor, bytes);
        return message != NULL ? add_validation(err, message) : err;
    }
    return err;
}

struct nd_error *
nd_error_decode_details(struct nd_error *err, struct nd_str details)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(MAX_DETAILS_BYTES);
    const Google__Rpc__Status *status = decode(arena, &google__rpc__status__descriptor, details);

    if (status == NULL)
        return err;
    for (size_t i = 0; i < status->n_details && i < MAX_PARTS; i++)
        err = add_part(err, arena, status->details[i]);
    return err;
}
