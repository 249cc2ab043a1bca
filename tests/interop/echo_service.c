/*
 * The handlers of the echo service. Each counts itself in and out, so that a test can see that
 * every handler has ended, and how.
 */

#include "echo_service.h"

#include "fiber/fiber.h"

#define MAX_REPLY_SIZE (64u * 1024u * 1024u)

/* Copy "echo-..." to the initial and "trail-..." to the trailing metadata. */
static struct nd_error *
echo_metadata(struct nd_call *call)
{
    const struct nd_metadata *md = nd_call_metadata(call);

    for (size_t i = 0; i < nd_metadata_count(md); i++) {
        struct nd_str key, value;

        nd_metadata_at(md, i, &key, &value);
        if (nd_str_starts(key, ND_STR("echo-")))
            ND_TRY(nd_call_add_header(call, key, value));
        if (nd_str_starts(key, ND_STR("trail-")))
            ND_TRY(nd_call_add_trailer(call, key, value));
    }
    return NULL;
}

static void
count_compressed(struct nd_call *call)
{
    struct echo_state *state = nd_call_user(call);

    state->compressed += nd_call_was_compressed(call);
}

/* "compress: gzip": every message; "compress: every-other": the first, the third, ... */
static void
choose_compression(struct nd_call *call, uint64_t index)
{
    struct nd_str how;
    bool compress;

    if (!nd_metadata_find(nd_call_metadata(call), ND_STR("compress"), &how))
        return;
    compress = nd_str_eqz(how, "gzip") || index % 2 == 0;
    nd_call_set_compression(call, compress ? ND_COMPRESSION_GZIP : ND_COMPRESSION_NONE);
}

static struct nd_error *
fill(struct nd_arena *arena, const Echo__EchoRequest *req, Echo__EchoReply *rsp)
{
    if (req->delay_ms != 0)
        ND_TRY(nd_fiber_sleep(req->delay_ms * ND_MILLISECOND));
    if (req->code != 0)
        return nd_error_new((enum nd_code)req->code, "%s", req->message);
    rsp->text = req->text;
    rsp->payload = req->payload;
    if (req->reply_size > MAX_REPLY_SIZE)
        return nd_error_field("reply_size", "is over %u", MAX_REPLY_SIZE);
    if (req->reply_size != 0) {
        rsp->payload.len = req->reply_size;
        rsp->payload.data = nd_arena_alloc(arena, req->reply_size);
    }
    return NULL;
}

static struct nd_error *
unary(struct nd_call *call, const void *in, void *out)
{
    ND_TRY(echo_metadata(call));
    count_compressed(call);
    choose_compression(call, 0);
    return fill(nd_call_arena(call), in, out);
}

static struct nd_error *
server_stream(struct nd_call *call, const void *in, void *out)
{
    const Echo__EchoRequest *req = in;
    Echo__EchoReply rsp = ECHO__ECHO_REPLY__INIT;

    (void)out;
    ND_TRY(echo_metadata(call));
    count_compressed(call);
    for (uint32_t i = 0; i < req->repeat; i++) {
        if (i == 0 || req->delay_ms != 0)
            ND_TRY(fill(nd_call_arena(call), req, &rsp));
        rsp.count = i + 1;
        choose_compression(call, i);
        ND_TRY(nd_call_send(call, &rsp));
    }
    if (strcmp(req->text, "flush") != 0)
        return NULL;
    ND_TRY(nd_call_flush(call));
    ((struct echo_state *)nd_call_user(call))->flushed++;
    return NULL;
}

static struct nd_error *
client_stream(struct nd_call *call, const void *in, void *out)
{
    Echo__EchoReply *rsp = out;
    Echo__EchoRequest *req;

    (void)in;
    ND_TRY(echo_metadata(call));
    choose_compression(call, 0);
    for (;;) {
        ND_TRY(nd_call_recv(call, &req));
        if (req == NULL)
            return NULL;
        count_compressed(call);
        if (req->delay_ms != 0)
            ND_TRY(nd_fiber_sleep(req->delay_ms * ND_MILLISECOND));
        rsp->count++;
        rsp->bytes += req->payload.len;
    }
}

static struct nd_error *
bidi(struct nd_call *call, const void *in, void *out)
{
    Echo__EchoReply rsp = ECHO__ECHO_REPLY__INIT;
    Echo__EchoRequest *req;

    (void)in;
    (void)out;
    ND_TRY(echo_metadata(call));
    for (;;) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);

        ND_TRY(nd_call_recv(call, &req));
        if (req == NULL)
            return NULL;
        count_compressed(call);
        ND_TRY(fill(arena, req, &rsp));
        choose_compression(call, rsp.count++);
        ND_TRY(nd_call_send(call, &rsp));
    }
}

static struct nd_error *
counted(struct nd_call *call, struct nd_error *err)
{
    struct echo_state *state = nd_call_user(call);

    state->ended++;
    state->cancelled += nd_error_code(err) == ND_CANCELLED;
    state->late += nd_error_code(err) == ND_DEADLINE;
    return err;
}

#define COUNTED(name)                                                               \
    static struct nd_error *count_##name(struct nd_call *c, const void *i, void *o) \
    {                                                                               \
        ((struct echo_state *)nd_call_user(c))->started++;                          \
        return counted(c, name(c, i, o));                                           \
    }
COUNTED(unary)
COUNTED(server_stream)
COUNTED(client_stream)
COUNTED(bidi)

static const struct nd_method_handler handlers[] = {
    {"Unary", count_unary},
    {"ServerStream", count_server_stream},
    {"ClientStream", count_client_stream},
    {"Bidi", count_bidi},
    {NULL, NULL},
};

void
echo_add_to(struct echo_state *state, struct nd_server *server)
{
    nd_server_add(server, &echo_echo_service, handlers, state);
}

void
echo_encode_details(void *arg, const struct nd_error *err, struct nd_buf *buf)
{
    size_t len = strlen(nd_error_message(err));

    (void)arg;
    if (len > 127)
        return;
    nd_buf_putc(buf, 0x08); /* code = 1 */
    nd_buf_putc(buf, (char)nd_error_code(err));
    nd_buf_putc(buf, 0x12); /* message = 2 */
    nd_buf_putc(buf, (char)len);
    nd_buf_putz(buf, nd_error_message(err));
}
