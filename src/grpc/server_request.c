/*
 * The header block of a request: what is taken from it, and what makes the server refuse the call
 * before anything else happens.
 */

#include "base/arena.h"

#include "server_priv.h"
#include "wire_priv.h"

static struct nd_str
keep(struct nd_call *call, struct nd_str value)
{
    return nd_str_n(nd_arena_str(call->arena, value), value.len);
}

static void
take_method(struct nd_call *call, struct nd_str value)
{
    call->is_post = nd_str_eq(value, ND_STR("POST"));
    call->web.is_options = nd_str_eq(value, ND_STR("OPTIONS"));
}

/* Who calls mostly calls the same method again. */
static void
take_path(struct nd_call *call, struct nd_str value)
{
    struct nd_conn *conn = call->conn;

    if (conn->last_method == NULL || !nd_str_eq(value, conn->last_path)) {
        call->method = nd_map_find(call->server->methods, value);
        if (call->method == NULL) {
            call->path = keep(call, value);
            return;
        }
        conn->last_method = call->method;
        conn->last_path = nd_str(call->method->desc->path);
    }
    call->method = conn->last_method;
    call->path = conn->last_path;
}

static void
take_content_type(struct nd_call *call, struct nd_str value)
{
    static const struct nd_str usual = {"application/grpc", 16};

    call->content_type = nd_str_eq(value, usual) ? usual : keep(call, value);
    call->web.kind = nd_web_kind_of(value);
}

static void
take_timeout(struct nd_call *call, struct nd_str value)
{
    if (!nd_timeout_parse(value, &call->timeout_ns))
        call->bad_timeout = true;
}

static void
take_encoding(struct nd_call *call, struct nd_str value)
{
    call->in.encoding = nd_encoding_parse(value);
    if (call->in.encoding == ND_ENCODING_FOREIGN)
        call->encoding = keep(call, value);
}

static void
take_accept_encoding(struct nd_call *call, struct nd_str value)
{
    call->takes_gzip = call->takes_gzip || nd_encoding_list_has_gzip(value);
}

static void
take_origin(struct nd_call *call, struct nd_str value)
{
    call->web.origin = keep(call, value);
    call->web.n_origins++;
}

static void
take_asked_method(struct nd_call *call, struct nd_str value)
{
    call->web.asked_method = keep(call, value);
}

static void
take_asked_headers(struct nd_call *call, struct nd_str value)
{
    call->web.asked_headers = keep(call, value);
}

static const struct {
    struct nd_str name;
    void (*take)(struct nd_call *call, struct nd_str value);
} known_headers[] = {
    {{":method", 7}, take_method},
    {{":path", 5}, take_path},
    {{"content-type", 12}, take_content_type},
    {{"grpc-timeout", 12}, take_timeout},
    {{"grpc-encoding", 13}, take_encoding},
    {{"grpc-accept-encoding", 20}, take_accept_encoding},
    {{"origin", 6}, take_origin},
    {{"access-control-request-method", 29}, take_asked_method},
    {{"access-control-request-headers", 30}, take_asked_headers},
};

void
nd_server_call_take_header(struct nd_call *call, struct nd_str name, struct nd_str value)
{
    for (size_t i = 0; i < ND_LEN(known_headers); i++) {
        /* Most differ in their length already, and this is the busiest comparison of all. */
        if (name.len == known_headers[i].name.len && nd_str_eq(name, known_headers[i].name)) {
            known_headers[i].take(call, value);
            return;
        }
    }
    if (name.len == 10)
        call->n_authorities += nd_str_eq(name, ND_STR(":authority"));
    if (!nd_metadata_receive(&call->metadata, name, value))
        call->bad_binary = true;
}

struct nd_error *
nd_server_call_unknown(const struct nd_call *call)
{
    struct nd_str service, method;

    if (!nd_path_split(call->path, &service, &method))
        return nd_error_new(ND_UNIMPLEMENTED, "malformed method name: \"%.*s\"",
                            ND_STR_ARG(call->path));
    for (size_t i = 0; i < call->server->n_services; i++) {
        if (nd_str_eqz(service, call->server->services[i].desc->name))
            return nd_error_new(ND_UNIMPLEMENTED, "unknown method %.*s for service %.*s",
                                ND_STR_ARG(method), ND_STR_ARG(service));
    }
    return nd_error_new(ND_UNIMPLEMENTED, "unknown service %.*s", ND_STR_ARG(service));
}

/* In the order in which the field checks (contracts/grpc-wire.md 1.11). */
struct nd_error *
nd_server_call_check(const struct nd_call *call, const char **ret_http)
{
    *ret_http = "431";
    if (call->h2.too_many_headers)
        return nd_error_new(ND_EXHAUSTED, "the header list is larger than the limit of %u bytes",
                            call->server->options.max_header_list);
    *ret_http = "403";
    if (!nd_web_is_allowed(call))
        return nd_error_new(ND_DENIED, "scripts of %.*s may not call",
                            ND_STR_ARG(call->web.origin));
    *ret_http = "415";
    if (call->web.kind == ND_WEB_NONE && !nd_is_grpc_content_type(call->content_type))
        return nd_error_new(ND_INVALID, "invalid gRPC request content-type \"%.*s\"",
                            ND_STR_ARG(call->content_type));
    *ret_http = "400";
    if (call->n_authorities > 1)
        return nd_error_new(ND_INTERNAL, "more than one :authority");
    if (call->bad_timeout)
        return nd_error_new(ND_INTERNAL, "malformed grpc-timeout");
    if (call->bad_binary)
        return nd_error_new(ND_INTERNAL, "malformed binary metadata");
    *ret_http = "405";
    if (!call->is_post)
        return nd_error_new(ND_INTERNAL, "the HTTP method of a call is POST");
    *ret_http = "200";
    if (call->timeout_ns == 0)
        return nd_error_new(ND_DEADLINE, "the deadline has passed already");
    if (call->method == NULL)
        return nd_server_call_unknown(call);
    if (call->in.encoding == ND_ENCODING_FOREIGN)
        return nd_error_new(ND_UNIMPLEMENTED, "grpc: compressor \"%.*s\" is not installed",
                            ND_STR_ARG(call->encoding));
    return NULL;
}
