/* HTTP/2 sessions of a client, against a server made of bytes. */

#include "base/buf.h"
#include "fiber/group.h"

#include "../fiber/in_loop.h"
#include "session_priv.h"

struct user {
    struct nd_session *session;
    struct nd_stream *peer;
    struct nd_h2_stream h2;
    unsigned ready, goaways, closed, gone;
};

static void
ignore_text(struct nd_h2_stream *s ND_UNUSED, struct nd_str name ND_UNUSED,
            struct nd_str value ND_UNUSED)
{
}

static void
ignore_headers(struct nd_h2_stream *s ND_UNUSED, bool end ND_UNUSED)
{
}

static void
ignore_data(struct nd_h2_stream *s ND_UNUSED, struct nd_str bytes ND_UNUSED)
{
}

static void
ignore(struct nd_h2_stream *s ND_UNUSED)
{
}

static void
count_close(struct nd_h2_stream *s, const struct nd_h2_close *why ND_UNUSED)
{
    ND_CONTAINER_OF(s, struct user, h2)->closed++;
}

static const struct nd_h2_stream_ops stream_ops = {
    .on_header = ignore_text,
    .on_headers = ignore_headers,
    .on_data = ignore_data,
    .on_end = ignore,
    .on_writable = ignore,
    .on_close = count_close,
};

static void
count_ready(void *arg)
{
    ((struct user *)arg)->ready++;
}

static void
count_goaway(void *arg, uint32_t code, struct nd_str text)
{
    assert_int_equal(code, ND_H2_NO_ERROR);
    assert_true(nd_str_eqz(text, "stream ids used up"));
    ((struct user *)arg)->goaways++;
}

static void
count_gone(void *arg, const struct nd_error *err ND_UNUSED)
{
    ((struct user *)arg)->gone++;
}

static void
user_begin(struct user *u)
{
    const struct nd_session_options options = {.role = ND_SESSION_CLIENT};
    const struct nd_session_handler handler = {
        .arg = u, .on_ready = count_ready, .on_goaway = count_goaway, .on_gone = count_gone};
    struct nd_stream *mine;

    *u = (struct user){0};
    nd_h2_stream_init(&u->h2, &stream_ops);
    nd_stream_pair(65536, &u->peer, &mine);
    u->session = nd_session_new(mine, &options, &handler);
    expect_ok(nd_stream_write(u->peer, nd_str_n("\0\0\0\4\0\0\0\0\0", 9))); /* SETTINGS */
    while (u->ready == 0)
        expect_ok(nd_fiber_yield());
}

static void
user_end(struct user *u)
{
    nd_session_free(u->session);
    nd_stream_close(u->peer);
    nd_h2_stream_fini(&u->h2);
}

static struct nd_error *
open_stream(struct user *u, bool finished)
{
    const struct nd_header headers[] = {{ND_STR(":method"), ND_STR("GET")},
                                        {ND_STR(":scheme"), ND_STR("http")},
                                        {ND_STR(":path"), ND_STR("/")}};

    return nd_session_open(u->session, &u->h2, headers, ND_LEN(headers), finished);
}

/* Else callers would wait on it for as long as its last stream lives. */
IN_LOOP(a_connection_whose_stream_ids_are_used_up_says_so)
{
    struct user u;

    user_begin(&u);
    assert_true(nd_session_can_open(u.session));
    assert_int_equal(nghttp2_session_set_next_stream_id(u.session->h2, 0x70000001), 0);
    expect_ok(open_stream(&u, true));
    assert_int_equal(u.goaways, 1);
    assert_false(nd_session_can_open(u.session));
    expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    assert_int_equal(u.closed, 0); /* it runs on */
    assert_int_equal(u.gone, 0);
    user_end(&u);
    assert_int_equal(u.closed, 1);
    return NULL;
}

IN_LOOP(a_stream_that_has_sent_everything_keeps_no_large_queue)
{
    static const char bytes[60000];
    struct user u;

    user_begin(&u);
    expect_ok(open_stream(&u, false));
    nd_buf_put(nd_h2_stream_queue(&u.h2), nd_str_n(bytes, sizeof(bytes)));
    nd_h2_stream_queued(&u.h2);
    assert_true(u.h2.out.cap >= sizeof(bytes));
    while (nd_h2_stream_unsent(&u.h2) != 0)
        expect_ok(nd_fiber_yield());
    assert_true(u.h2.out.cap <= 4096);
    user_end(&u);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_whose_stream_ids_are_used_up_says_so),
        cmocka_unit_test(a_stream_that_has_sent_everything_keeps_no_large_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
