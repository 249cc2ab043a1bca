/*
 * Statuses: our error codes are gRPC's, so there is only text to be made and read. The tables are
 * those for answers that do not come from gRPC: proxies that speak plain HTTP, and reset streams.
 */

#include "grpc/limits.h"

#include "status_priv.h"
#include "wire_priv.h"

static const char numbers[][3] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                  "9", "10", "11", "12", "13", "14", "15", "16"};

size_t
nd_status_to_headers(const struct nd_error *err, struct nd_str details, struct nd_arena *arena,
                     struct nd_header dst[ND_STATUS_HEADERS])
{
    size_t n = 0;

    dst[n++] = (struct nd_header){ND_STR("grpc-status"), nd_str(numbers[nd_error_code(err)])};
    if (err == NULL)
        return n;
    dst[n++] = (struct nd_header){
        ND_STR("grpc-message"),
        nd_percent_encode(arena, nd_str(nd_error_message(err)), ND_GRPC_MAX_STATUS_MESSAGE),
    };
    if (details.len != 0)
        dst[n++] =
            (struct nd_header){ND_STR("grpc-status-details-bin"), nd_base64_encode(arena, details)};
    return n;
}

enum nd_code
nd_status_parse(struct nd_str value)
{
    for (size_t i = 0; i < ND_LEN(numbers); i++) {
        if (nd_str_eqz(value, numbers[i]))
            return (enum nd_code)i;
    }
    return ND_UNKNOWN;
}

enum nd_code
nd_status_of_http(unsigned http_status)
{
    static const struct {
        unsigned http;
        enum nd_code code;
    } map[] = {
        {400, ND_INTERNAL},      {401, ND_UNAUTHENTICATED}, {403, ND_DENIED},
        {404, ND_UNIMPLEMENTED}, {429, ND_UNAVAILABLE},     {431, ND_INTERNAL},
        {502, ND_UNAVAILABLE},   {503, ND_UNAVAILABLE},     {504, ND_UNAVAILABLE},
    };

    for (size_t i = 0; i < ND_LEN(map); i++) {
        if (map[i].http == http_status)
            return map[i].code;
    }
    return ND_UNKNOWN;
}

enum nd_code
nd_status_of_reset(uint32_t h2_code)
{
    static const enum nd_code codes[] = {
        [ND_H2_NO_ERROR] = ND_INTERNAL,          [ND_H2_PROTOCOL_ERROR] = ND_INTERNAL,
        [ND_H2_INTERNAL_ERROR] = ND_INTERNAL,    [ND_H2_FLOW_CONTROL_ERROR] = ND_INTERNAL,
        [ND_H2_SETTINGS_TIMEOUT] = ND_INTERNAL,  [ND_H2_STREAM_CLOSED] = ND_INTERNAL,
        [ND_H2_FRAME_SIZE_ERROR] = ND_INTERNAL,  [ND_H2_REFUSED_STREAM] = ND_UNAVAILABLE,
        [ND_H2_CANCEL] = ND_CANCELLED,           [ND_H2_COMPRESSION_ERROR] = ND_INTERNAL,
        [ND_H2_CONNECT_ERROR] = ND_INTERNAL,     [ND_H2_ENHANCE_YOUR_CALM] = ND_EXHAUSTED,
        [ND_H2_INADEQUATE_SECURITY] = ND_DENIED, [ND_H2_HTTP_1_1_REQUIRED] = ND_INTERNAL,
    };

    return h2_code < ND_LEN(codes) ? codes[h2_code] : ND_UNKNOWN;
}
