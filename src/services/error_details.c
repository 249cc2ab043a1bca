/*
 * An error as details of google.rpc.Status, so that programs need not read messages.
 *
 * One nd_error becomes up to four details: our own ErrorDetail, and for a wrong field
 * ValidationError; beside them the standard ErrorInfo, BadRequest and RetryInfo, which clients in
 * other languages decode without knowing us. The whole trailer must stay below 4 KiB (peers drop
 * longer ones and with them the status), so long texts are cut, and details are left out from the
 * end when they do not fit.
 *
 * Follows: DESIGN 6; contracts/grpc-wire.md 1.8.
 */

#include "base/arena.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "grpc/limits.h"
#include "nerdctl/v1/error.pb-c.h"
#include "services/services.h"

#define DETAILS_MAX     5
#define TEXT_MAX        512 /* bytes of one text inside a detail */
#define DOMAIN          "nerdctl-grpc"
#define TYPE_URL_PREFIX "type.googleapis.com/"

struct details {
    struct nd_arena *arena;
    Google__Protobuf__Any *any[DETAILS_MAX];
    size_t n;
    size_t bytes;
};

/* A message as an Any, unless the trailer would become too long. */
static void
add_detail(struct details *d, const void *message)
{
    const ProtobufCMessage *m = message;
    Google__Protobuf__Any *any = nd_arena_new_object(d->arena, Google__Protobuf__Any);
    size_t size = protobuf_c_message_get_packed_size(m);

    if (d->n == DETAILS_MAX || d->bytes + size > ND_GRPC_MAX_DETAILS_BYTES / 4 * 3)
        return;
    google__protobuf__any__init(any);
    any->type_url = nd_arena_printf(d->arena, TYPE_URL_PREFIX "%s", m->descriptor->name);
    any->value.data = nd_arena_alloc(d->arena, size + 1);
    any->value.len = protobuf_c_message_pack(m, any->value.data);
    d->any[d->n++] = any;
    d->bytes += size + sizeof(TYPE_URL_PREFIX) + 40;
}

/* At most TEXT_MAX bytes, cut between characters. */
static char *
short_text(struct details *d, const char *text)
{
    size_t len = strlen(text);

    if (len > TEXT_MAX) {
        len = TEXT_MAX;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    }
    return nd_arena_str(d->arena, nd_str_n(text, len));
}

static const char *
reason_of(const struct nd_error *err)
{
    const char *reason = nd_error_get_reason(err);

    return reason != NULL ? reason : nd_code_name(nd_error_code(err));
}

static void
add_error_detail(struct details *d, const struct nd_error *err)
{
    Pb__ErrorDetail detail = PB__ERROR_DETAIL__INIT;

    detail.error_code = short_text(d, reason_of(err));
    detail.message = short_text(d, nd_error_message(err));
    if (nd_error_get_component(err) != NULL)
        detail.component = short_text(d, nd_error_get_component(err));
    detail.n_metadata = nd_error_n_meta(err);
    detail.metadata =
        nd_arena_new_array(d->arena, detail.n_metadata + 1, Pb__ErrorDetail__MetadataEntry *);
    for (size_t i = 0; i < detail.n_metadata; i++) {
        detail.metadata[i] = nd_arena_new_object(d->arena, Pb__ErrorDetail__MetadataEntry);
        pb__error_detail__metadata_entry__init(detail.metadata[i]);
        detail.metadata[i]->key = short_text(d, nd_error_meta_key(err, i));
        detail.metadata[i]->value = short_text(d, nd_error_meta_value(err, i));
    }
    detail.n_suggestions = nd_error_n_hints(err);
    detail.suggestions = nd_arena_new_array(d->arena, detail.n_suggestions + 1, char *);
    for (size_t i = 0; i < detail.n_suggestions; i++)
        detail.suggestions[i] = short_text(d, nd_error_get_hint(err, i));
    add_detail(d, &detail);
}

static void
add_field(struct details *d, const struct nd_error *err)
{
    Pb__FieldError field = PB__FIELD_ERROR__INIT, *fields = &field;
    Pb__ValidationError validation = PB__VALIDATION_ERROR__INIT;
    Google__Rpc__BadRequest__FieldViolation violation =
                                                GOOGLE__RPC__BAD_REQUEST__FIELD_VIOLATION__INIT,
                                            *violations = &violation;
    Google__Rpc__BadRequest bad = GOOGLE__RPC__BAD_REQUEST__INIT;
    const char *reason = nd_error_get_reason(err);

    field.field = violation.field = short_text(d, nd_error_get_field(err));
    field.message = violation.description = short_text(d, nd_error_message(err));
    field.code = short_text(d, reason != NULL ? reason : "INVALID_VALUE");
    validation.n_field_errors = 1;
    validation.field_errors = &fields;
    add_detail(d, &validation);
    bad.n_field_violations = 1;
    bad.field_violations = &violations;
    add_detail(d, &bad);
}

static void
add_error_info(struct details *d, const struct nd_error *err)
{
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;

    info.reason = short_text(d, reason_of(err));
    info.domain = (char *)DOMAIN;
    add_detail(d, &info);
}

static void
add_retry(struct details *d, const struct nd_error *err)
{
    Google__Protobuf__Duration delay = GOOGLE__PROTOBUF__DURATION__INIT;
    Google__Rpc__RetryInfo retry = GOOGLE__RPC__RETRY_INFO__INIT;
    uint64_t ms = nd_error_get_retry_ms(err);

    delay.seconds = (int64_t)(ms / 1000);
    delay.nanos = (int32_t)(ms % 1000) * 1000000;
    retry.retry_delay = &delay;
    add_detail(d, &retry);
}

/* Nothing to tell beyond code and message: no details are sent. */
static bool
is_plain(const struct nd_error *err)
{
    return nd_error_get_field(err) == NULL && nd_error_get_reason(err) == NULL &&
           nd_error_get_component(err) == NULL && nd_error_n_hints(err) == 0 &&
           nd_error_n_meta(err) == 0 && nd_error_get_retry_ms(err) == 0;
}

void
nd_services_encode_details(void *arg, const struct nd_error *err, struct nd_buf *buf)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = NULL;
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    struct details d = {0};
    uint8_t *bytes;

    (void)arg;
    if (is_plain(err))
        return;
    arena = nd_arena_new(0);
    d.arena = arena;
    if (nd_error_get_field(err) != NULL)
        add_field(&d, err);
    add_error_detail(&d, err);
    add_error_info(&d, err);
    if (nd_error_get_retry_ms(err) != 0)
        add_retry(&d, err);
    status.code = (int32_t)nd_error_code(err);
    status.message = short_text(&d, nd_error_message(err));
    status.n_details = d.n;
    status.details = d.any;
    bytes = nd_arena_alloc(arena, google__rpc__status__get_packed_size(&status));
    nd_buf_put(buf, nd_str_n(bytes, google__rpc__status__pack(&status, bytes)));
}
