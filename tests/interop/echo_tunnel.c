/* See echo_tunnel.h. */

#include "echo_tunnel.h"

#include "echo.pb-c.h"
#include "echo_methods.h"

static _Thread_local size_t largest;

size_t
echo_tunnel_take_largest(void)
{
    size_t n = largest;

    largest = 0;
    return n;
}

static struct nd_str
note(ProtobufCBinaryData data)
{
    largest = ND_MAX(largest, data.len);
    return nd_str_n(data.data, data.len);
}

static ProtobufCBinaryData
carried(struct nd_str bytes)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)bytes.ptr, .len = bytes.len};
}

static struct nd_error *
get_request(const void *message, struct nd_str *ret)
{
    *ret = note(((const Echo__EchoRequest *)message)->payload);
    return NULL;
}

static void
put_request(void *message, struct nd_str bytes)
{
    ((Echo__EchoRequest *)message)->payload = carried(bytes);
}

static struct nd_error *
get_reply(const void *message, struct nd_str *ret)
{
    *ret = note(((const Echo__EchoReply *)message)->payload);
    return NULL;
}

static void
put_reply(void *message, struct nd_str bytes)
{
    ((Echo__EchoReply *)message)->payload = carried(bytes);
}

static struct nd_error *
refuse(const void *message, struct nd_str *ret)
{
    (void)message;
    (void)ret;
    return nd_error_new(ND_OUT_OF_RANGE, "no bytes here");
}

static const struct nd_tunnel_carrier at_client = {get_reply, put_request};
static const struct nd_tunnel_carrier at_server = {get_request, put_reply};
static const struct nd_tunnel_carrier refusing = {refuse, put_reply};

static struct nd_error *
serve_tunnel(struct nd_call *call, const void *in, void *out)
{
    struct echo_tunnel *t = nd_call_user(call);
    ND_AUTO(nd_tunnel_endp) struct nd_tunnel *tunnel = NULL;
    struct nd_error *err;

    (void)in;
    (void)out;
    ND_TRY(
        nd_tunnel_begin(call, t->server_refuses ? &refusing : &at_server, &tunnel, &t->at_server));
    nd_cond_broadcast(&t->opened);
    err = nd_tunnel_wait(tunnel);
    t->server_code = nd_error_code(err);
    t->ended++;
    return err;
}

static struct nd_error *
refuse_call(struct nd_call *call, const void *in, void *out)
{
    (void)call;
    (void)in;
    (void)out;
    return nd_error_new(ND_UNIMPLEMENTED, "only Bidi");
}

static const struct nd_method_handler handlers[] = {
    {"Unary", refuse_call},
    {"ServerStream", refuse_call},
    {"ClientStream", refuse_call},
    {"Bidi", serve_tunnel},
    {NULL, NULL},
};

/* The outer call, as its client. */
static struct nd_error *
open_tunnel(void *arg)
{
    struct echo_tunnel *t = arg;
    ND_AUTO(nd_client_call_endp) struct nd_client_call *call = NULL;
    ND_AUTO(nd_tunnel_endp) struct nd_tunnel *tunnel = NULL;
    ND_DEADLINE_IN(t->timeout_ns != 0 ? t->timeout_ns : ND_HOUR);
    struct nd_error *err;

    ND_TRY(nd_client_call_begin(t->channel, ECHO_ECHO_SERVICE_BIDI, NULL, &call));
    ND_TRY(nd_tunnel_begin_client(call, &at_client, &tunnel, &t->at_client));
    nd_cond_broadcast(&t->opened);
    err = nd_tunnel_wait(tunnel);
    t->client_code = nd_error_code(err);
    t->ended++;
    nd_error_free(err);
    return NULL;
}

static struct nd_error *
run_server(void *arg)
{
    return nd_server_run(arg);
}

static struct nd_error *
dial_pair(void *arg, struct nd_stream **ret)
{
    struct echo_tunnel *t = arg;
    struct nd_stream *theirs;

    nd_stream_pair(t->capacity != 0 ? t->capacity : 65536, ret, &theirs);
    nd_server_adopt(t->server, theirs, NULL);
    t->below = *ret;
    return NULL;
}

struct nd_error *
echo_tunnel_open(struct echo_tunnel *t)
{
    ND_TRY(nd_group_spawn(t->openers, open_tunnel, t));
    while (t->at_client == NULL || t->at_server == NULL)
        ND_TRY(nd_cond_wait(&t->opened));
    return NULL;
}

struct nd_error *
echo_tunnel_begin(struct echo_tunnel *t)
{
    const struct nd_channel_options options = {.dial = dial_pair, .dial_arg = t};
    const struct nd_addr addr = {.kind = ND_PEER_UNIX, .path = "/pair"};

    t->servers = nd_group_begin("outer server", 0);
    t->openers = nd_group_begin_independent("outer calls", 0);
    t->server = nd_server_new(NULL);
    t->channel = nd_channel_new(&addr, &options);
    nd_server_add(t->server, &echo_echo_service, handlers, t);
    ND_TRY(nd_group_spawn(t->servers, run_server, t->server));
    return echo_tunnel_open(t);
}

void
echo_tunnel_end(struct echo_tunnel *t)
{
    nd_stream_close(ND_TAKE(t->at_server));
    nd_stream_close(ND_TAKE(t->at_client));
    nd_group_end(t->openers);
    nd_channel_free(t->channel);
    nd_server_stop(t->server, ND_SECOND);
    nd_error_free(nd_group_wait(t->servers));
    nd_group_end(t->servers);
    nd_server_free(t->server);
}
