/* How much a session reads at once: more when it costs little, less when it costs much, nothing in the end. */

#include "fiber/fiber.h"
#include "fiber/limits.h"
#include "fiber/stream_io.h"
#include "net/limits.h"

#include "site.h"

/* A stream whose bytes are the test's. */
struct wire {
    struct nd_stream base; /* first */
    size_t most;
    bool flowing;
    bool closed;
};

static struct wire *
wire_of(struct nd_stream *s)
{
    return (struct wire *)s;
}

static void
wire_start(struct nd_stream *s)
{
    wire_of(s)->flowing = true;
}

static void
wire_stop(struct nd_stream *s)
{
    wire_of(s)->flowing = false;
}

static void
wire_write(struct nd_stream *s, struct nd_str bytes)
{
    (void)s;
    (void)bytes;
}

static size_t
wire_unsent(const struct nd_stream *s)
{
    (void)s;
    return 0;
}

static void
wire_shutdown(struct nd_stream *s)
{
    (void)s;
}

static void
wire_close(struct nd_stream *s)
{
    wire_of(s)->closed = true;
}

static void
wire_limit_read(struct nd_stream *s, size_t most)
{
    wire_of(s)->most = most;
}

static const struct nd_stream_ops wire_ops = {
    .start = wire_start,
    .stop = wire_stop,
    .write = wire_write,
    .unsent = wire_unsent,
    .shutdown = wire_shutdown,
    .close = wire_close,
    .limit_read = wire_limit_read,
};

/* A request that goes on, on stream 1. */
static void
begin(struct site *site, struct wire *wire)
{
    struct nd_buf b = ND_BUF_INIT(4096);

    *wire = (struct wire){.base = {.ops = &wire_ops}};
    site_begin_over(site, &wire->base);
    put_preface(&b);
    put_headers(&b, END_HEADERS, 1, usual_post);
    assert_true(wire->flowing);
    assert_int_equal(wire->most, ND_NET_READ_FIRST);
    wire->base.reader.on_bytes(wire->base.reader.arg, nd_buf_str(&b));
    nd_buf_fini(&b);
}

static void
arrive(struct wire *wire, const char *ptr, size_t len)
{
    wire->base.reader.on_bytes(wire->base.reader.arg, nd_str_n(ptr, len));
    expect_ok(nd_fiber_yield());
}

static void
end(struct site *site, const struct wire *wire)
{
    nd_session_free(ND_TAKE(site->session));
    assert_true(wire->closed);
}

/* However busy the machine is, some of the pieces are quick. */
IN_LOOP(content_is_read_in_larger_pieces)
{
    static const char content[16384];
    struct nd_buf b = ND_BUF_INIT(1 << 20);
    struct site site;
    struct wire wire;

    for (int i = 0; i < 8; i++)
        put_frame(&b, DATA, 0, 1, nd_str_n(content, 8183)); /* with its head 8 KiB */
    begin(&site, &wire);
    for (int i = 0; i < 10000 && wire.most < ND_STREAM_READ_BYTES; i++) {
        size_t whole = ND_MAX(wire.most / 8192, (size_t)1) * 8192;

        arrive(&wire, b.ptr, whole);
    }
    assert_int_equal(wire.most, ND_STREAM_READ_BYTES);
    end(&site, &wire);
    nd_buf_fini(&b);
    return NULL;
}

IN_LOOP(frames_without_content_are_read_in_smaller_pieces)
{
    struct nd_buf b = ND_BUF_INIT(1 << 20);
    struct site site;
    struct wire wire;

    for (int i = 0; i < 3000; i++)
        put_frame(&b, WINDOW_UPDATE, 0, 0, ND_STR("\0\0\0\1"));
    begin(&site, &wire);
    arrive(&wire, b.ptr, b.len);
    assert_true(wire.most < ND_NET_READ_FIRST);
    assert_true(wire.most >= ND_NET_READ_LEAST);
    assert_true(wire.flowing);
    end(&site, &wire);
    nd_buf_fini(&b);
    return NULL;
}

IN_LOOP(who_goes_on_after_the_end_is_not_read_for_ever)
{
    static const char garbage[4096];
    struct site site;
    struct wire wire;
    size_t n = 0;

    begin(&site, &wire);
    arrive(&wire, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
           12); /* no frame is that long */
    for (; wire.flowing && n < 1000; n++)
        arrive(&wire, garbage, sizeof(garbage));
    assert_int_equal(n, ND_NET_LINGER_BYTES / sizeof(garbage));
    assert_int_equal(site.gone, 0);
    expect_ok(nd_fiber_sleep(ND_NET_LINGER_NS + ND_SECOND));
    assert_int_equal(site.gone, 1);
    assert_true(wire.closed);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_is_read_in_larger_pieces),
        cmocka_unit_test(frames_without_content_are_read_in_smaller_pieces),
        cmocka_unit_test(who_goes_on_after_the_end_is_not_read_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
