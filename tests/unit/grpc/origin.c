/* See origin.h. */

#include "origin.h"

struct answer {
    struct nd_h2_stream h2;
    struct origin *origin;
    const struct script *script;
    struct nd_header trailers[ORIGIN_MAX_HEADERS];
    bool answered;
};

static size_t
to_headers(const char *const from[][2], struct nd_header *dst)
{
    size_t n = 0;

    for (; n < ORIGIN_MAX_HEADERS && from[n][0] != NULL; n++)
        dst[n] = (struct nd_header){nd_str(from[n][0]), nd_str(from[n][1])};
    return n;
}

static void
on_header(struct nd_h2_stream *s, struct nd_str name, struct nd_str value)
{
    struct origin *o = ((struct answer *)s)->origin;
    const struct {
        const char *name;
        char *dst;
        size_t size;
    } kept[] = {
        {"grpc-timeout", o->timeout, sizeof(o->timeout)},
        {"grpc-previous-rpc-attempts", o->attempts, sizeof(o->attempts)},
        {"grpc-encoding", o->encoding, sizeof(o->encoding)},
        {"grpc-accept-encoding", o->accept, sizeof(o->accept)},
        {"x-note", o->note, sizeof(o->note)},
    };

    for (size_t i = 0; i < ND_LEN(kept); i++) {
        if (nd_str_eqz(name, kept[i].name))
            expect_ok(nd_str_copy(kept[i].dst, kept[i].size, value, "value"));
    }
}

static void
on_close(struct nd_h2_stream *s, const struct nd_h2_close *why)
{
    (void)why;
    nd_h2_stream_fini(s);
    nd_free(s);
}

static void
answer(struct answer *a)
{
    const struct script *script = a->script;
    struct origin *o = a->origin;
    struct nd_h2_stream *s = &a->h2;
    struct nd_header headers[ORIGIN_MAX_HEADERS];
    size_t n = to_headers(script->headers, headers);
    size_t n_trailers = to_headers(script->trailers, a->trailers);

    a->answered = true;
    if (o->drop || o->drops != 0) {
        o->drops -= o->drops != 0;
        nd_session_terminate(o->session, ND_H2_INTERNAL_ERROR, "dropped");
        return;
    }
    if (n != 0)
        nd_h2_stream_respond(s, headers, n,
                             n_trailers == 0 && !script->reset && script->body.len == 0);
    nd_buf_put(nd_h2_stream_queue(s), script->body);
    nd_h2_stream_queued(s);
    if (n_trailers != 0)
        nd_h2_stream_finish(s, a->trailers, n_trailers);
    if (script->reset) {
        nd_h2_stream_reset(s, script->code);
        on_close(s, NULL);
    }
}

static void
on_headers(struct nd_h2_stream *s, bool end)
{
    struct answer *a = (struct answer *)s;

    if (a->origin->early && !end)
        answer(a);
}

static void
on_data(struct nd_h2_stream *s, struct nd_str bytes)
{
    struct origin *o = ((struct answer *)s)->origin;

    nd_buf_put(&o->body, bytes);
    if (!o->unread)
        nd_h2_stream_consume(s, bytes.len);
}

static void
on_end(struct nd_h2_stream *s)
{
    struct answer *a = (struct answer *)s;

    if (!a->answered)
        answer(a);
}

static void
on_writable(struct nd_h2_stream *s)
{
    (void)s;
}

static const struct nd_h2_stream_ops answer_ops = {
    .on_header = on_header,
    .on_headers = on_headers,
    .on_data = on_data,
    .on_end = on_end,
    .on_writable = on_writable,
    .on_close = on_close,
};

static struct nd_h2_stream *
on_open(void *arg)
{
    struct origin *o = arg;
    unsigned i = o->requests++;
    struct answer *a;

    if (i < o->refuse)
        return NULL;
    o->attempts[0] = o->note[0] = '\0';
    nd_buf_clear(&o->body);
    a = nd_new(struct answer);
    a->origin = o;
    a->script = i < ORIGIN_MAX_FIRST && o->first[i] != NULL ? o->first[i] : o->script;
    nd_h2_stream_init(&a->h2, &answer_ops);
    return &a->h2;
}

static void
on_gone(void *arg, const struct nd_error *err)
{
    struct origin *o = arg;

    (void)err;
    nd_session_free(ND_TAKE(o->session));
}

static struct nd_error *
dial_origin(void *arg, struct nd_stream **ret)
{
    struct origin *o = arg;
    const struct nd_session_options options = {.role = ND_SESSION_SERVER,
                                               .max_streams = o->max_streams,
                                               .max_header_list = o->max_header_list};
    const struct nd_session_handler handler = {.arg = o, .on_open = on_open, .on_gone = on_gone};
    struct nd_stream *mine;

    if (o->dials++ < o->dial_fails)
        return nd_error_new(ND_UNAVAILABLE, "nobody is there");
    nd_session_free(ND_TAKE(o->session));
    nd_stream_close(ND_TAKE(o->silence));
    nd_stream_pair(CAPACITY_LARGE, ret, &mine);
    if (o->mute) {
        o->silence = mine;
        return NULL;
    }
    if (o->hang_up) {
        nd_stream_close(mine);
        return NULL;
    }
    o->session = nd_session_new(mine, &options, &handler);
    return NULL;
}

struct nd_channel *
origin_channel_with(struct origin *o, struct nd_channel_options *options)
{
    const struct nd_addr addr = {.kind = ND_PEER_UNIX, .path = "/origin"};

    o->body = ND_BUF_INIT(1u << 24);
    options->dial = dial_origin;
    options->dial_arg = o;
    return nd_channel_new(&addr, options);
}

struct nd_channel *
origin_channel(struct origin *o)
{
    return origin_channel_with(o, &(struct nd_channel_options){0});
}

void
origin_fini(struct origin *o)
{
    nd_session_free(ND_TAKE(o->session));
    nd_stream_close(ND_TAKE(o->silence));
    nd_buf_fini(&o->body);
}

struct nd_error *
origin_call_with(struct nd_channel *ch, const struct nd_call_options *options)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    Echo__EchoRequest req = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoReply *rsp;

    ND_TRY(nd_channel_unary(ch, ECHO_ECHO_SERVICE_UNARY, options, &req, arena, &rsp));
    assert_string_equal(rsp->text, "ok");
    return NULL;
}

struct nd_error *
origin_call(struct nd_channel *ch)
{
    return origin_call_with(ch, NULL);
}
