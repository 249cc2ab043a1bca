/* See raw.h. */

#include "raw.h"

static void
raw_header(struct nd_h2_stream *s, struct nd_str name, struct nd_str value)
{
    struct raw *r = (struct raw *)s;
    const struct {
        const char *name;
        char *dst;
        size_t size;
    } kept[] = {
        {":status", r->status, sizeof(r->status)},
        {"grpc-status", r->grpc_status, sizeof(r->grpc_status)},
        {"grpc-message", r->message, sizeof(r->message)},
        {"grpc-accept-encoding", r->accept, sizeof(r->accept)},
        {"content-type", r->type, sizeof(r->type)},
        {"grpc-encoding", r->encoding, sizeof(r->encoding)},
    };

    nd_buf_printf(&r->fields, "%.*s: %.*s\n", ND_STR_ARG(name), ND_STR_ARG(value));
    if (nd_str_eqz(name, "grpc-message"))
        r->message_len = value.len;
    r->has_details = r->has_details || nd_str_eqz(name, "grpc-status-details-bin");
    for (size_t i = 0; i < ND_LEN(kept); i++) {
        if (nd_str_eqz(name, kept[i].name))
            expect_ok(nd_str_copy(kept[i].dst, kept[i].size, value, "value"));
    }
}

static void
raw_headers(struct nd_h2_stream *s, bool end)
{
    (void)end;
    ((struct raw *)s)->n_blocks++;
}

static void
raw_data(struct nd_h2_stream *s, struct nd_str bytes)
{
    struct raw *r = (struct raw *)s;

    nd_buf_put(&r->body, bytes);
    if (!r->unread)
        nd_h2_stream_consume(s, bytes.len);
}

static void
raw_nothing(struct nd_h2_stream *s)
{
    (void)s;
}

static void
raw_close(struct nd_h2_stream *s, const struct nd_h2_close *why)
{
    struct raw *r = (struct raw *)s;

    r->closed = true;
    r->code = why->code;
}

static void
raw_ready(void *arg)
{
    ((struct raw *)arg)->ready = true;
}

static void
raw_gone(void *arg, const struct nd_error *err)
{
    struct raw *r = arg;

    (void)err;
    nd_session_free(ND_TAKE(r->session));
}

static const struct nd_h2_stream_ops raw_ops = {
    .on_header = raw_header,
    .on_headers = raw_headers,
    .on_data = raw_data,
    .on_end = raw_nothing,
    .on_writable = raw_nothing,
    .on_close = raw_close,
};

void
raw_begin(struct fixture *f, struct raw *r, const struct nd_session_options *options,
          const struct nd_header *headers, size_t n, struct nd_str body)
{
    const struct nd_session_handler handler = {
        .arg = r, .on_ready = raw_ready, .on_gone = raw_gone};
    struct nd_stream *mine, *theirs;

    *r = (struct raw){.body = ND_BUF_INIT(1u << 24), .fields = ND_BUF_INIT(1u << 20)};
    nd_stream_pair(CAPACITY_LARGE, &mine, &theirs);
    nd_server_adopt(f->server, theirs, NULL);
    r->session = nd_session_new(mine, options, &handler);
    while (!r->ready)
        expect_ok(nd_fiber_yield());
    nd_h2_stream_init(&r->h2, &raw_ops);
    nd_buf_put(nd_h2_stream_queue(&r->h2), body);
    expect_ok(nd_session_open(r->session, &r->h2, headers, n, true));
}

void
raw_end(struct raw *r)
{
    while (!r->closed)
        expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    nd_session_free(ND_TAKE(r->session));
    nd_h2_stream_fini(&r->h2);
}

void
raw_request_limited(struct fixture *f, struct raw *r, uint32_t max_headers,
                    const struct nd_header *headers, size_t n, struct nd_str body)
{
    const struct nd_session_options options = {.role = ND_SESSION_CLIENT,
                                               .max_header_list = max_headers};

    raw_begin(f, r, &options, headers, n, body);
    raw_end(r);
}

void
raw_request(struct fixture *f, struct raw *r, const struct nd_header *headers, size_t n,
            struct nd_str body)
{
    raw_request_limited(f, r, 0, headers, n, body);
}

size_t
raw_headers_with(struct nd_header dst[8], const char *name, const char *value)
{
    static const char *const usual[][2] = {
        {":method", "POST"},
        {":scheme", "http"},
        {":path", RAW_UNARY_PATH},
        {":authority", "localhost"},
        {"content-type", "application/grpc"},
        {"te", "trailers"},
    };
    bool used = name == NULL;
    size_t n = 0;

    for (size_t i = 0; i < ND_LEN(usual); i++) {
        bool change = name != NULL && strcmp(usual[i][0], name) == 0;

        used = used || change;
        dst[n++] = (struct nd_header){nd_str(usual[i][0]), nd_str(change ? value : usual[i][1])};
    }
    if (!used)
        dst[n++] = (struct nd_header){nd_str(name), nd_str(value)};
    return n;
}

void
raw_fini(struct raw *r)
{
    nd_buf_fini(&r->body);
    nd_buf_fini(&r->fields);
}
