/* See site.h. */

#include "site.h"

struct request {
    struct nd_h2_stream h2;
    struct site *site;
    char path[64];
    char text[32]; /* the header "x-text" */
};

static void
site_header(struct nd_h2_stream *s, struct nd_str name, struct nd_str value)
{
    struct request *r = (struct request *)s;

    if (nd_str_eqz(name, ":path"))
        expect_ok(nd_str_copy(r->path, sizeof(r->path), value, "path"));
    if (nd_str_eqz(name, "x-text"))
        expect_ok(nd_str_copy(r->text, sizeof(r->text), value, "x-text"));
    r->site->headers++;
}

static void
site_headers(struct nd_h2_stream *s, bool end)
{
    (void)s;
    (void)end;
}

static void
site_data(struct nd_h2_stream *s, struct nd_str bytes)
{
    nd_h2_stream_consume(s, bytes.len);
}

static void
site_end(struct nd_h2_stream *s)
{
    static const struct nd_header trailers[] = {{{"x-end", 5}, {"yes", 3}}};
    struct request *r = (struct request *)s;
    const struct nd_header headers[] = {
        {ND_STR(":status"), ND_STR("200")},
        {ND_STR("x-more"), nd_str(r->site->more)},
    };

    if (r->site->silent)
        return;
    nd_h2_stream_respond(s, headers, r->site->more != NULL ? 2 : 1, false);
    nd_buf_putz(nd_h2_stream_queue(s), r->path);
    nd_buf_putz(nd_h2_stream_queue(s), r->text);
    nd_h2_stream_finish(s, trailers, 1);
}

static void
site_writable(struct nd_h2_stream *s)
{
    (void)s;
}

static void
site_close(struct nd_h2_stream *s, const struct nd_h2_close *why)
{
    struct request *r = (struct request *)s;

    r->site->closed++;
    r->site->last_code = why->code;
    nd_h2_stream_fini(s);
    nd_free(r);
}

static const struct nd_h2_stream_ops site_ops = {
    .on_header = site_header,
    .on_headers = site_headers,
    .on_data = site_data,
    .on_end = site_end,
    .on_writable = site_writable,
    .on_close = site_close,
};

static struct nd_h2_stream *
site_open(void *arg)
{
    struct site *site = arg;
    struct request *r = nd_new(struct request);

    site->opened++;
    r->site = site;
    nd_h2_stream_init(&r->h2, &site_ops);
    return &r->h2;
}

static void
site_gone(void *arg, const struct nd_error *err)
{
    struct site *site = arg;

    assert_non_null(err);
    site->gone++;
    nd_session_free(ND_TAKE(site->session));
}

static void
make_session(struct site *site, const struct nd_session_options *options, struct nd_stream *mine)
{
    const struct nd_session_handler handler = {
        .arg = site, .on_open = site_open, .on_gone = site_gone};
    struct nd_session_options o = options != NULL ? *options : (struct nd_session_options){0};

    o.role = ND_SESSION_SERVER;
    site->session = nd_session_new(mine, &o, &handler);
}

void
site_begin_with(struct site *site, const struct nd_session_options *options, size_t capacity)
{
    struct nd_stream *mine;

    *site = (struct site){.got = ND_BUF_INIT(64u << 20), .out = ND_BUF_INIT(1 << 20)};
    put_preface(&site->out);
    nd_stream_pair(capacity, &site->peer, &mine);
    make_session(site, options, mine);
}

void
site_begin_over(struct site *site, struct nd_stream *mine)
{
    *site = (struct site){.silent = false};
    make_session(site, NULL, mine);
}

void
site_begin(struct site *site, const struct nd_session_options *options)
{
    site_begin_with(site, options, 1 << 20);
}

void
site_finish(struct site *site)
{
    nd_session_free(site->session);
    nd_stream_close(site->peer);
    nd_buf_fini(&site->got);
    nd_buf_fini(&site->out);
    assert_int_equal(site->opened, site->closed);
}

/* --- the peer --- */

void
put_frame(struct nd_buf *b, unsigned type, unsigned flags, uint32_t id, struct nd_str payload)
{
    nd_buf_putc(b, (char)(payload.len >> 16));
    nd_buf_putc(b, (char)(payload.len >> 8));
    nd_buf_putc(b, (char)payload.len);
    nd_buf_putc(b, (char)type);
    nd_buf_putc(b, (char)flags);
    for (int shift = 24; shift >= 0; shift -= 8)
        nd_buf_putc(b, (char)(id >> shift));
    nd_buf_put(b, payload);
}

void
put_field(struct nd_buf *b, const char *name, const char *value)
{
    nd_buf_putc(b, 0x10); /* literal, never indexed, new name */
    nd_buf_putc(b, (char)strlen(name));
    nd_buf_putz(b, name);
    nd_buf_putc(b, (char)strlen(value));
    nd_buf_putz(b, value);
}

void
put_preface(struct nd_buf *b)
{
    nd_buf_put(b, nd_str_n(PREFACE, sizeof(PREFACE) - 1));
    put_frame(b, SETTINGS, 0, 0, ND_STR_NONE);
}

const char *const usual[][2] = {
    {":method", "GET"}, {":scheme", "http"}, {":path", "/p"}, {":authority", "a"}, {NULL, NULL}};
const char *const usual_post[][2] = {
    {":method", "POST"}, {":scheme", "http"}, {":path", "/p"}, {":authority", "a"}, {NULL, NULL}};

void
put_headers(struct nd_buf *b, unsigned flags, uint32_t id, const char *const fields[][2])
{
    struct nd_buf block = ND_BUF_INIT(16384);

    for (size_t i = 0; fields[i][0] != NULL; i++)
        put_field(&block, fields[i][0], fields[i][1]);
    put_frame(b, HEADERS, flags, id, nd_buf_str(&block));
    nd_buf_fini(&block);
}

void
put_request(struct nd_buf *b, uint32_t id, const char *const fields[][2])
{
    put_headers(b, END_HEADERS | END_STREAM, id, fields);
}

void
put_reset(struct nd_buf *b, uint32_t id)
{
    put_frame(b, RST_STREAM, 0, id, ND_STR("\0\0\0\x08"));
}

void
say(struct site *site, struct nd_buf *b)
{
    expect_ok(nd_stream_write(site->peer, nd_buf_str(b)));
    nd_buf_clear(b);
}

void
hear_all(struct site *site)
{
    char bytes[4096];
    size_t n = 1;

    while (n != 0) {
        expect_ok(nd_stream_read(site->peer, bytes, sizeof(bytes), &n));
        nd_buf_put(&site->got, nd_str_n(bytes, n));
    }
}

void
hear_some(struct site *site)
{
    char bytes[4096];
    size_t n;

    for (;;) {
        struct nd_error *err;
        ND_DEADLINE_IN(ND_MILLISECOND);

        err = nd_stream_read(site->peer, bytes, sizeof(bytes), &n);
        if (err == NULL && n != 0) {
            nd_buf_put(&site->got, nd_str_n(bytes, n));
            continue;
        }
        nd_error_free(err);
        return;
    }
}

unsigned
count_frames(const struct site *site, unsigned type, struct nd_str *ret_last)
{
    struct nd_str rest = nd_buf_str(&site->got);
    unsigned n = 0;

    while (rest.len >= 9) {
        const unsigned char *h = (const unsigned char *)rest.ptr;
        size_t len = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];

        if (h[3] == type) {
            n++;
            if (ret_last != NULL)
                *ret_last = nd_str_sub(rest, 9, len);
        }
        rest = nd_str_from(rest, 9 + len);
    }
    return n;
}

void
expect_goaway(const struct site *site, unsigned code, const char *text)
{
    struct nd_str last;

    assert_int_not_equal(count_frames(site, GOAWAY, &last), 0);
    assert_int_equal((unsigned char)last.ptr[7], code);
    if (text != NULL)
        assert_true(nd_str_eqz(nd_str_from(last, 8), text));
}
