/*
 * HTTP/2 sessions of a server against a peer made of bytes: floods, pings, draining, header checks.
 * The peer writes frames by hand and reads what comes back until the connection closes.
 */

#include "site.h"

/* --- what it promises --- */

IN_SITE(settings_leave_before_the_client_has_said_anything)
{
    hear_some(site);
    assert_int_equal(count_frames(site, SETTINGS, NULL), 1);
    assert_int_equal((unsigned char)site->got.ptr[3], SETTINGS);
}

IN_SITE(a_request_is_answered_with_body_and_trailers)
{
    struct nd_str data;

    put_request(&site->out, 1, usual);
    say(site, &site->out);
    hear_some(site);
    assert_int_equal(count_frames(site, DATA, &data), 1);
    assert_true(nd_str_eqz(data, "/p"));
    assert_int_equal(count_frames(site, HEADERS, NULL), 2);
    assert_int_equal(site->closed, 1);
}

IN_SITE(what_is_not_http2_is_closed)
{
    expect_ok(nd_stream_write(site->peer, ND_STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n")));
    hear_all(site);
    assert_int_equal(site->opened, 0);
}

static void
send_pings(struct site *site, unsigned n, int64_t pause_ns)
{
    for (unsigned i = 0; i < n; i++) {
        put_frame(&site->out, PING, 0, 0, ND_STR("12345678"));
        say(site, &site->out);
        expect_ok(nd_fiber_sleep(pause_ns));
    }
}

IN_SITE(pings_in_good_time_are_answered)
{
    send_pings(site, 20, 10 * ND_SECOND);
    hear_some(site);
    assert_int_equal(count_frames(site, PING, NULL), 20);
    assert_int_equal(count_frames(site, GOAWAY, NULL), 0);
}

IN_SITE(too_many_pings_end_the_connection)
{
    send_pings(site, 4, ND_MILLISECOND);
    hear_all(site);
    expect_goaway(site, ND_H2_ENHANCE_YOUR_CALM, "too_many_pings");
}

/* Probes of the bandwidth are pings that follow data. */
IN_SITE(pings_after_our_data_are_forgiven)
{
    for (uint32_t i = 0; i < 50; i++) {
        put_request(&site->out, 1 + 2 * i, usual);
        say(site, &site->out);
        expect_ok(nd_fiber_sleep(ND_MILLISECOND));
        put_frame(&site->out, PING, 0, 0, ND_STR("12345678"));
        say(site, &site->out);
        expect_ok(nd_fiber_sleep(ND_MILLISECOND));
    }
    hear_some(site);
    assert_int_equal(count_frames(site, GOAWAY, NULL), 0);
    assert_int_equal(site->closed, 50);
}

IN_LOOP(floods_end_the_connection)
{
    static const struct {
        unsigned type, flags;
        uint32_t id;
        struct nd_str payload;
        unsigned n;
    } floods[] = {
        {DATA, 0, 1, {NULL, 0}, 5000},
        {DATA, 0x8, 1, {"\1\0", 2}, 5000}, /* padding alone */
        {PRIORITY, 0, 3, {"\0\0\0\0\1", 5}, 5000},
        {SETTINGS, 0, 0, {NULL, 0}, 5000},
        {WINDOW_UPDATE, 0, 0, {"\0\0\0\1", 4}, 5000},
    };

    for (size_t i = 0; i < ND_LEN(floods); i++) {
        struct site site;

        site_begin(&site, NULL);
        put_headers(&site.out, END_HEADERS, 1, usual_post);
        for (unsigned k = 0; k < floods[i].n; k++)
            put_frame(&site.out, floods[i].type, floods[i].flags, floods[i].id, floods[i].payload);
        say(&site, &site.out);
        hear_all(&site);
        expect_goaway(&site, ND_H2_ENHANCE_YOUR_CALM, NULL);
        site_finish(&site);
    }
    return NULL;
}

/* The client has ended the stream, by a flag or by a reset; `chunk` bytes arrive at once. */
static void
go_on_after_the_end(unsigned with, bool reset, size_t chunk)
{
    struct site site;

    site_begin_with(&site, NULL, chunk);
    if (reset) {
        put_headers(&site.out, END_HEADERS, 1, usual);
        put_reset(&site.out, 1);
    } else {
        put_request(&site.out, 1, usual);
    }
    put_request(&site.out, 3, usual);
    if (with == HEADERS)
        put_request(&site.out, 1, usual);
    else
        put_frame(&site.out, DATA, 0, 1, ND_STR("late"));
    expect_ok(nd_stream_write(site.peer, nd_buf_str(&site.out)));
    hear_all(&site);
    expect_goaway(&site, ND_H2_STREAM_CLOSED, NULL);
    site_finish(&site);
}

IN_LOOP(a_client_that_goes_on_after_its_end_is_cut_off)
{
    static const size_t chunks[] = {1, 7, 1 << 20};

    for (size_t i = 0; i < ND_LEN(chunks); i++) {
        go_on_after_the_end(DATA, false, chunks[i]);
        go_on_after_the_end(HEADERS, false, chunks[i]);
        go_on_after_the_end(DATA, true, chunks[i]);
        go_on_after_the_end(HEADERS, true, chunks[i]);
    }
    return NULL;
}

/* gRPC's C core does that for a call that is cancelled before it has left. */
IN_LOOP(the_reset_of_a_stream_that_was_never_opened_is_ignored)
{
    static const size_t chunks[] = {1, 5, 9, 13, 1 << 20};

    for (size_t i = 0; i < ND_LEN(chunks); i++) {
        struct site site;

        site_begin_with(&site, NULL, chunks[i]);
        put_request(&site.out, 1, usual);
        put_reset(&site.out, 3);
        put_reset(&site.out, 5);
        put_request(&site.out, 7, usual);
        put_reset(&site.out, 9);
        expect_ok(nd_stream_write(site.peer, nd_buf_str(&site.out)));
        hear_some(&site);
        assert_int_equal(count_frames(&site, GOAWAY, NULL), 0);
        assert_int_equal(site.opened, 2);
        assert_int_equal(count_frames(&site, DATA, NULL), 2);
        site_finish(&site);
    }
    return NULL;
}

IN_SITE(who_begins_with_such_a_reset_is_cut_off)
{
    put_reset(&site->out, 1);
    say(site, &site->out);
    hear_all(site);
    expect_goaway(site, ND_H2_PROTOCOL_ERROR, NULL);
}

IN_SITE(a_flood_of_such_resets_is_cut_off)
{
    put_request(&site->out, 1, usual);
    for (uint32_t i = 0; i < 10000; i++)
        put_reset(&site->out, 3 + 2 * i);
    say(site, &site->out);
    hear_all(site);
    expect_goaway(site, ND_H2_ENHANCE_YOUR_CALM, NULL);
}

/* What was on its way when we reset the stream is no fault of the client's. */
IN_SITE(data_for_a_stream_that_we_have_reset_is_ignored, .max_streams = 1)
{
    site->silent = true;
    for (uint32_t id = 1; id <= 3; id += 2)
        put_headers(&site->out, END_HEADERS, id, usual);
    say(site, &site->out);
    hear_some(site);
    assert_int_equal(count_frames(site, RST_STREAM, NULL), 1);
    for (int i = 0; i < 100; i++)
        put_frame(&site->out, DATA, 0, 3, ND_STR("late"));
    say(site, &site->out);
    hear_some(site);
    assert_int_equal(count_frames(site, GOAWAY, NULL), 0);
    assert_int_equal(site->gone, 0);
}

IN_SITE(streams_reset_as_soon_as_opened_end_the_connection)
{
    site->silent = true;
    for (uint32_t i = 0; i < 1500; i++) {
        put_request(&site->out, 1 + 2 * i, usual);
        put_reset(&site->out, 1 + 2 * i);
    }
    say(site, &site->out);
    hear_all(site);
    expect_goaway(site, ND_H2_ENHANCE_YOUR_CALM, "too many resets");
}

IN_LOOP(a_peer_that_does_not_read_its_answers_is_cut_off)
{
    static const struct nd_session_options options = {.max_streams = 1};
    struct site site;

    site_begin_with(&site, &options, 4096);
    site.silent = true;
    for (uint32_t i = 0; i < 30000; i++)
        put_frame(&site.out, HEADERS, 0x5, 1 + 2 * i, ND_STR("\x82\x86\x84")); /* GET http / */
    say(&site, &site.out);
    expect_ok(nd_fiber_sleep(ND_MINUTE));
    assert_int_equal(site.gone, 1);
    site_finish(&site);
    return NULL;
}

/* Some frames for each stream are no reason, and headers count by their size. */
IN_LOOP(answers_that_are_not_read_may_be_many_or_large_but_not_both)
{
    static char more[60000];
    static const struct {
        size_t more;
        bool good;
    } cases[] = {{0, true}, {10000, true}, {sizeof(more) - 1, false}};

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct site site;

        memset(more, 'x', cases[i].more);
        more[cases[i].more] = '\0';
        site_begin_with(&site, NULL, 4096);
        site.more = more;
        for (uint32_t k = 0; k < 256; k++)
            put_request(&site.out, 1 + 2 * k, usual);
        say(&site, &site.out);
        expect_ok(nd_fiber_sleep(ND_MINUTE));
        assert_int_equal(site.gone, !cases[i].good);
        if (cases[i].good) {
            hear_some(&site);
            assert_int_equal(count_frames(&site, DATA, NULL), 256);
        }
        site_finish(&site);
    }
    return NULL;
}

/* However much it is: the account is empty when everything has left. */
IN_SITE(who_reads_large_headers_is_never_cut_off)
{
    static char more[60000];

    memset(more, 'x', sizeof(more) - 1);
    site->more = more;
    for (uint32_t k = 0; k < 500; k++) {
        put_request(&site->out, 1 + 2 * k, usual);
        say(site, &site->out);
        hear_some(site);
    }
    assert_int_equal(count_frames(site, DATA, NULL), 500);
    assert_int_equal(site->gone, 0);
}

IN_SITE(headers_that_never_become_complete_end_the_connection,
        .handshake_timeout_ns = 10 * ND_SECOND)
{
    put_headers(&site->out, 0, 1, usual);
    say(site, &site->out);
    for (int i = 0; i < 7; i++) {
        put_frame(&site->out, 9, 0, 1, ND_STR_NONE);
        say(site, &site->out);
        expect_ok(nd_fiber_sleep(ND_SECOND));
    }
    assert_int_equal(site->gone, 0);
    hear_all(site);
    expect_goaway(site, ND_H2_ENHANCE_YOUR_CALM, "the rest of the headers does not come");
}

IN_SITE(headers_that_come_in_pieces_are_fine, .handshake_timeout_ns = 10 * ND_SECOND)
{
    for (uint32_t id = 1; id <= 5; id += 2) {
        put_request(&site->out, id, usual);
        for (size_t i = 0; i < site->out.len; i += 10) {
            expect_ok(nd_stream_write(site->peer, nd_str_sub(nd_buf_str(&site->out), i, 10)));
            expect_ok(nd_fiber_sleep(ND_SECOND / 2));
        }
        nd_buf_clear(&site->out);
    }
    expect_ok(nd_fiber_sleep(ND_MINUTE));
    hear_some(site);
    assert_int_equal(count_frames(site, DATA, NULL), 3);
    assert_int_equal(site->gone, 0);
}

IN_SITE(draining_warns_first_and_serves_what_races)
{
    struct nd_str last;

    put_request(&site->out, 1, usual);
    say(site, &site->out);
    hear_some(site);
    nd_session_drain(site->session, "why");
    hear_some(site);
    assert_int_equal(count_frames(site, GOAWAY, &last), 1);
    assert_memory_equal(last.ptr, "\x7f\xff\xff\xff\0\0\0\0", 8);
    assert_int_equal(count_frames(site, PING, &last), 1);
    put_request(&site->out, 3, usual);
    put_frame(&site->out, PING, 1, 0, last);
    say(site, &site->out);
    hear_all(site);
    assert_int_equal(count_frames(site, GOAWAY, &last), 2);
    assert_memory_equal(last.ptr, "\0\0\0\3\0\0\0\0why", 11);
    assert_int_equal(count_frames(site, DATA, NULL), 2);
}

IN_SITE(draining_does_not_wait_for_ever_for_the_ping)
{
    say(site, &site->out);
    hear_some(site);
    nd_session_drain(site->session, "why");
    hear_all(site);
    assert_int_equal(count_frames(site, GOAWAY, NULL), 2);
}

/* --- headers --- */

struct header_case {
    const char *fields[6][2];
    bool any_ok;    /* with any_authority */
    bool strict_ok; /* without */
};

#define GET                                  \
    {":method", "GET"}, {":scheme", "http"}, \
    {                                        \
        ":path", "/"                         \
    }
#define GET_A             \
    GET,                  \
    {                     \
        ":authority", "a" \
    }

static const struct header_case header_cases[] = {
    {{GET_A}, true, true},
    {{GET, {":authority", "/run/x.sock"}}, true, false},
    {{GET, {":authority", ""}}, true, false},
    {{GET}, true, false},
    {{GET_A, {"te", "x"}}, false, false},
    {{GET_A, {"te", "trailers"}}, true, true},
    {{GET_A, {"Upper", "x"}}, false, false},
    {{GET_A, {"connection", "close"}}, false, false},
    {{GET_A, {"content-length", "5"}}, false, false},
    {{GET_A, {"content-length", "x"}}, false, false},
    {{{":method", "GET"}, GET}, false, false},
    {{{":method", "GET"}, {":scheme", "http"}, {":path", ""}, {":authority", "a"}}, false, false},
    {{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}}, false, false},
    {{{":method", "GET"}, {":path", "/"}, {":authority", "a"}}, false, false},
    {{{":scheme", "http"}, {":path", "/"}, {":authority", "a"}}, false, false},
    {{GET, {":nope", "a"}}, false, false},
    {{{":method", "GET"}, {":scheme", "http"}, {"x", "y"}, {":path", "/"}}, false, false},
    {{GET_A, {"", "x"}}, false, true /* the field is dropped */},
    {{GET_A, {"x-text", " spaces "}}, true, true},
};

static void
check_headers(bool any_authority)
{
    for (size_t i = 0; i < ND_LEN(header_cases); i++) {
        const struct header_case *c = &header_cases[i];
        struct site site;
        bool answered;

        site_begin(&site, &(struct nd_session_options){.any_authority = any_authority});
        put_request(&site.out, 1, c->fields);
        put_request(&site.out, 3, usual);
        say(&site, &site.out);
        hear_some(&site);
        answered = count_frames(&site, DATA, NULL) == 2;
        if (answered != (any_authority ? c->any_ok : c->strict_ok))
            fail_msg("case %zu with any_authority %d: answered %d", i, any_authority, answered);
        assert_int_equal(site.closed, 2);
        if (!answered)
            assert_int_equal(count_frames(&site, RST_STREAM, NULL), 1);
        site_finish(&site);
    }
}

IN_LOOP(header_lists_are_checked_on_tcp)
{
    check_headers(false);
    return NULL;
}

IN_LOOP(header_lists_are_checked_on_unix_sockets)
{
    check_headers(true);
    return NULL;
}

/* One byte names a field of four thousand, ten thousand times. */
IN_SITE(header_lists_far_beyond_the_limit_are_not_unpacked)
{
    struct nd_buf block = ND_BUF_INIT(1 << 20);
    struct nd_str last;

    for (size_t i = 0; usual[i][0] != NULL; i++)
        put_field(&block, usual[i][0], usual[i][1]);
    nd_buf_put(&block, ND_STR("\x40\x01x\x7f\xa1\x1e")); /* indexed; its length is 4000 */
    for (int i = 0; i < 4000; i++)
        nd_buf_putc(&block, 'y');
    for (int i = 0; i < 10000; i++)
        nd_buf_putc(&block, (char)0xbe);
    put_frame(&site->out, HEADERS, 0x5, 1, nd_buf_str(&block));
    put_request(&site->out, 3, usual);
    say(site, &site->out);
    hear_some(site);
    assert_int_equal(count_frames(site, RST_STREAM, &last), 1);
    assert_memory_equal(last.ptr, "\0\0\0\x0b", 4);
    assert_in_range(site->headers, 8, 20);
    assert_int_equal(count_frames(site, DATA, NULL), 1); /* the next request is served */
    nd_buf_fini(&block);
}

/* Trailers of a client end the request, and must be well-formed trailers. */
IN_LOOP(trailers_of_a_client_are_checked)
{
    static const struct {
        const char *const field[2][2];
        unsigned flags;
        bool ok;
    } cases[] = {
        {{{"x-sum", "1"}, {NULL, NULL}}, END_HEADERS | END_STREAM, true},
        {{{":path", "/q"}, {NULL, NULL}}, END_HEADERS | END_STREAM, false},
        {{{"x-sum", "1"}, {NULL, NULL}}, END_HEADERS, false},
    };

    for (size_t i = 0; i < 2 * ND_LEN(cases); i++) {
        struct site site;

        site_begin(&site, &(struct nd_session_options){.any_authority = i % 2 != 0});
        put_headers(&site.out, END_HEADERS, 1, usual_post);
        put_headers(&site.out, cases[i / 2].flags, 1, cases[i / 2].field);
        say(&site, &site.out);
        hear_some(&site);
        assert_int_equal(count_frames(&site, DATA, NULL), cases[i / 2].ok);
        assert_int_equal(count_frames(&site, RST_STREAM, NULL), !cases[i / 2].ok);
        site_finish(&site);
    }
    return NULL;
}

IN_LOOP(fields_with_control_characters_are_dropped)
{
    static const char *const fields[][2] = {{":method", "GET"}, {":scheme", "http"},
                                            {":path", "/"},     {":authority", "a"},
                                            {"x-text", "a\nb"}, {NULL, NULL}};

    for (int any = 0; any < 2; any++) {
        struct nd_str data;
        struct site site;

        site_begin(&site, &(struct nd_session_options){.any_authority = any != 0});
        put_request(&site.out, 1, fields);
        say(&site, &site.out);
        hear_some(&site);
        assert_int_equal(count_frames(&site, DATA, &data), 1);
        assert_true(nd_str_eqz(data, "/"));
        site_finish(&site);
    }
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_leave_before_the_client_has_said_anything),
        cmocka_unit_test(a_request_is_answered_with_body_and_trailers),
        cmocka_unit_test(what_is_not_http2_is_closed),
        cmocka_unit_test(pings_in_good_time_are_answered),
        cmocka_unit_test(too_many_pings_end_the_connection),
        cmocka_unit_test(pings_after_our_data_are_forgiven),
        cmocka_unit_test(floods_end_the_connection),
        cmocka_unit_test(a_client_that_goes_on_after_its_end_is_cut_off),
        cmocka_unit_test(the_reset_of_a_stream_that_was_never_opened_is_ignored),
        cmocka_unit_test(who_begins_with_such_a_reset_is_cut_off),
        cmocka_unit_test(a_flood_of_such_resets_is_cut_off),
        cmocka_unit_test(data_for_a_stream_that_we_have_reset_is_ignored),
        cmocka_unit_test(streams_reset_as_soon_as_opened_end_the_connection),
        cmocka_unit_test(a_peer_that_does_not_read_its_answers_is_cut_off),
        cmocka_unit_test(answers_that_are_not_read_may_be_many_or_large_but_not_both),
        cmocka_unit_test(who_reads_large_headers_is_never_cut_off),
        cmocka_unit_test(headers_that_never_become_complete_end_the_connection),
        cmocka_unit_test(headers_that_come_in_pieces_are_fine),
        cmocka_unit_test(draining_warns_first_and_serves_what_races),
        cmocka_unit_test(draining_does_not_wait_for_ever_for_the_ping),
        cmocka_unit_test(header_lists_are_checked_on_tcp),
        cmocka_unit_test(header_lists_are_checked_on_unix_sockets),
        cmocka_unit_test(header_lists_far_beyond_the_limit_are_not_unpacked),
        cmocka_unit_test(trailers_of_a_client_are_checked),
        cmocka_unit_test(fields_with_control_characters_are_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
