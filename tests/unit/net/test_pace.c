/* A session has its part of a turn, and does not read for ever when it is over. */

#include "fiber/fiber.h"
#include "fiber/stream_io.h"
#include "net/limits.h"

#include "site.h"

/* A stream whose bytes are the test's. */
struct wire {
    struct nd_stream base; /* first */
    bool paced;
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
wire_pace(struct nd_stream *s)
{
    wire_of(s)->paced = true;
}

static const struct nd_stream_ops wire_ops = {
    .start = wire_start,
    .stop = wire_stop,
    .write = wire_write,
    .unsent = wire_unsent,
    .shutdown = wire_shutdown,
    .close = wire_close,
    .pace = wire_pace,
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
    assert_true(wire->paced);
    wire->base.reader.on_bytes(wire->base.reader.arg, nd_buf_str(&b));
    nd_buf_fini(&b);
}

static void
arrive(struct wire *wire, const char *ptr, size_t len)
{
    wire->base.reader.on_bytes(wire->base.reader.arg, nd_str_n(ptr, len));
    expect_ok(nd_fiber_yield());
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
        cmocka_unit_test(who_goes_on_after_the_end_is_not_read_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
