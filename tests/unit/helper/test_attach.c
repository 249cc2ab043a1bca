/* Attaching to the helper that the shim starts: outputs with offsets, beside the log. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#include "peer.h"

static struct nd_buf
long_output(void)
{
    struct nd_buf text = ND_BUF_INIT(LOG_MAX);

    random_output(&text, 3u << 20);
    return text;
}

static const char *
streams_of(const struct run *r)
{
    static char path[192];

    snprintf(path, sizeof(path), "%s/streams", r->state);
    return path;
}

static void
assert_got(const struct peer *p, enum nd_wire_stream stream, struct nd_str want)
{
    assert_int_equal(p->out[stream].len, want.len);
    assert_memory_equal(p->out[stream].ptr, want.ptr, want.len);
}

/* A writer of its own: what it writes may have to wait for those who are attached. */
static pid_t
write_aside(struct run *r, int fd, struct nd_str bytes)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        while (bytes.len > 0) {
            ssize_t n = write(fd, bytes.ptr, bytes.len);

            if (n < 0)
                _exit(1);
            bytes = nd_str_from(bytes, (size_t)n);
        }
        _exit(0);
    }
    close_streams(r);
    return pid;
}

static void
reap(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void
who_is_attached_gets_every_byte_and_so_does_the_log(void **state)
{
    struct nd_buf text = long_output();
    struct run r;
    struct peer p;
    pid_t writer;

    (void)state;
    begin_logger(&r, "");
    attach(&p, streams_of(&r), (struct hello){.patience_ms = ND_WIRE_FOR_EVER});
    assert_int_equal(p.welcome.flags & ND_WIRE_HAS_INPUT, 0);
    writer = write_aside(&r, r.out, nd_buf_str(&text));
    read_to_end(&p);
    assert_true(p.ended[0] && p.ended[1]);
    assert_got(&p, ND_WIRE_STDOUT, nd_buf_str(&text));
    detach(&p);
    finish_logger(&r);
    assert_log_is(r.log, ND_LOG_STDOUT, nd_buf_str(&text));
    reap(writer);
    clean_container(&r);
    nd_buf_fini(&text);
}

static void
sixteen_at_once_get_the_same(void **state)
{
    struct nd_buf text = ND_BUF_INIT(LOG_MAX);
    struct run r;
    struct peer peers[16];
    pid_t writer;

    (void)state;
    random_output(&text, 300000);
    begin_logger(&r, "");
    for (size_t i = 0; i < ND_LEN(peers); i++)
        attach(&peers[i], streams_of(&r),
               (struct hello){.session = (uint8_t)i, .patience_ms = ND_WIRE_FOR_EVER});
    writer = write_aside(&r, r.err, nd_buf_str(&text));
    /* In turns: none may be left behind by the others. */
    for (bool open = true; open;) {
        open = false;
        for (size_t i = 0; i < ND_LEN(peers); i++)
            open = (!(peers[i].ended[0] && peers[i].ended[1]) && next_frame(&peers[i])) || open;
    }
    for (size_t i = 0; i < ND_LEN(peers); i++) {
        assert_got(&peers[i], ND_WIRE_STDERR, nd_buf_str(&text));
        detach(&peers[i]);
    }
    finish_logger(&r);
    reap(writer);
    clean_container(&r);
    nd_buf_fini(&text);
}

static void
a_session_goes_on_after_its_connection_broke(void **state)
{
    struct nd_buf text = long_output(), got = ND_BUF_INIT(LOG_MAX);
    const struct hello hello = {.session = 7, .hold_ms = 60000, .patience_ms = ND_WIRE_FOR_EVER};
    struct run r;
    struct peer p;
    pid_t writer;

    (void)state;
    begin_logger(&r, "");
    attach(&p, streams_of(&r), hello);
    writer = write_aside(&r, r.out, nd_buf_str(&text));
    for (size_t cut = 0;; cut++) {
        struct hello again = hello;

        /* What came is kept, whether or not we got to acknowledge it. */
        p.acks = cut % 3 != 0;
        for (size_t frames = 0; frames < 1 + cut % 4 && !(p.ended[0] && p.ended[1]); frames++)
            assert_true(next_frame(&p));
        nd_buf_put(&got, nd_buf_str(&p.out[0]));
        if (got.len == text.len)
            break;
        detach(&p);
        again.from = got.len;
        attach(&p, streams_of(&r), again);
        assert_int_equal(p.welcome.flags & ND_WIRE_RESUMED, ND_WIRE_RESUMED);
        assert_true(p.welcome.from[0] == got.len);
        assert_int_equal(p.lost[0], 0);
    }
    read_to_end(&p);
    assert_int_equal(got.len, text.len);
    assert_memory_equal(got.ptr, text.ptr, text.len);
    detach(&p);
    finish_logger(&r);
    reap(writer);
    clean_container(&r);
    nd_buf_fini(&text);
    nd_buf_fini(&got);
}

/* Whoever is behind it may need to come back, for the exit code. */
static void
who_has_everything_finds_its_session_until_it_says_goodbye(void **state)
{
    const struct hello hello = {.session = 9, .hold_ms = 60000, .patience_ms = ND_WIRE_FOR_EVER};
    struct hello again = hello;
    struct run r;
    struct peer p;

    (void)state;
    begin_logger(&r, "");
    attach(&p, streams_of(&r), hello);
    send_all(r.out, ND_STR("words\n"));
    finish_logger(&r);
    read_to_end(&p);
    assert_got(&p, ND_WIRE_STDOUT, ND_STR("words\n"));
    detach(&p);
    again.from = 6;
    attach(&p, streams_of(&r), again);
    assert_int_equal(p.welcome.flags & ND_WIRE_RESUMED, ND_WIRE_RESUMED);
    read_to_end(&p);
    assert_true(p.ended[0] && p.ended[1]);
    assert_int_equal(p.out[0].len, 0);
    send_frame(&p, ND_WIRE_BYE, ND_WIRE_STDOUT, 0, ND_STR_NONE);
    while (next_frame(&p))
        continue;
    detach(&p);
    wait_gone(streams_of(&r));
    clean_container(&r);
}

static void
whoever_comes_late_gets_what_comes_from_then_on(void **state)
{
    struct run r;
    struct peer p;

    (void)state;
    begin_logger(&r, "");
    send_all(r.out, ND_STR("before\n"));
    wait_log_has(&r, "before");
    attach(&p, streams_of(&r), (struct hello){.from = ND_WIRE_NOW});
    assert_int_equal(p.welcome.from[0], 7);
    send_all(r.out, ND_STR("after\n"));
    close_streams(&r);
    read_to_end(&p);
    assert_got(&p, ND_WIRE_STDOUT, ND_STR("after\n"));
    detach(&p);
    finish_logger(&r);
    clean_container(&r);
}

static void
what_is_not_kept_any_more_is_told_as_a_gap(void **state)
{
    struct run r;
    struct peer p;

    (void)state;
    begin_logger(&r, "");
    send_all(r.out, ND_STR("nobody was there\n"));
    wait_log_has(&r, "nobody");
    attach(&p, streams_of(&r), (struct hello){.from = 2});
    send_all(r.out, ND_STR("now\n"));
    close_streams(&r);
    read_to_end(&p);
    assert_int_equal(p.lost[0], 15);
    assert_got(&p, ND_WIRE_STDOUT, ND_STR("now\n"));
    detach(&p);
    finish_logger(&r);
    clean_container(&r);
}

static void
one_who_does_not_read_holds_nobody_up_beyond_its_patience(void **state)
{
    struct nd_buf text = long_output();
    struct run r;
    struct peer slow, fast;
    pid_t writer;

    (void)state;
    begin_logger(&r, "");
    attach(&slow, streams_of(&r), (struct hello){.session = 1, .patience_ms = 50});
    attach(&fast, streams_of(&r), (struct hello){.session = 2, .patience_ms = ND_WIRE_FOR_EVER});
    writer = write_aside(&r, r.out, nd_buf_str(&text));
    read_to_end(&fast);
    assert_got(&fast, ND_WIRE_STDOUT, nd_buf_str(&text));
    detach(&fast);
    read_to_end(&slow); /* by now most of it is gone, and that is said */
    assert_true(slow.ended[0]);
    assert_true(slow.lost[0] > 0);
    assert_int_equal(slow.lost[0] + slow.out[0].len, text.len);
    detach(&slow);
    finish_logger(&r);
    assert_log_is(r.log, ND_LOG_STDOUT, nd_buf_str(&text));
    reap(writer);
    clean_container(&r);
    nd_buf_fini(&text);
}

static void
one_who_acknowledges_nothing_is_waited_for(void **state)
{
    struct nd_buf text = long_output();
    struct run r;
    struct peer p;
    pid_t writer;
    size_t had;

    (void)state;
    begin_logger(&r, "");
    attach(&p, streams_of(&r), (struct hello){.patience_ms = ND_WIRE_FOR_EVER});
    p.acks = false;
    writer = write_aside(&r, r.out, nd_buf_str(&text));
    read_until(&p, ND_WIRE_STDOUT, 192 * 1024);
    /* No more comes: the spool is full. */
    assert_int_equal(poll(&(struct pollfd){.fd = p.fd, .events = POLLIN}, 1, 100), 0);
    had = p.out[0].len;
    assert_int_equal(had, 192 * 1024);
    p.acks = true;
    send_frame(&p, ND_WIRE_ACK, ND_WIRE_STDOUT, had, ND_STR_NONE);
    read_to_end(&p);
    assert_got(&p, ND_WIRE_STDOUT, nd_buf_str(&text));
    detach(&p);
    finish_logger(&r);
    reap(writer);
    clean_container(&r);
    nd_buf_fini(&text);
}

/*
 * Write `hello` to a new connection; the helper is stopped, so that it finds this and more at once.
 */
static void
greet_one_who_sleeps(struct peer *p, const struct run *r, struct hello hello)
{
    struct nd_wire_hello h = {.version = ND_WIRE_VERSION,
                              .flags = ND_WIRE_WANTS_STDOUT | ND_WIRE_WANTS_STDERR,
                              .hold_ms = hello.hold_ms,
                              .patience_ms = hello.patience_ms,
                              .from = {hello.from, hello.from}};
    char frame[ND_WIRE_HEADER + ND_WIRE_HELLO_PAYLOAD];
    size_t len;

    *p = (struct peer){.acks = true};
    for (size_t i = 0; i < ND_WIRE_STREAMS; i++)
        p->out[i] = ND_BUF_INIT(LOG_MAX);
    memset(h.session, hello.session, sizeof(h.session));
    len = nd_wire_put_hello(frame, &h);
    p->fd = connect_to(streams_of(r));
    assert_true(p->fd >= 0);
    assert_int_equal(send(p->fd, frame, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void
stop(const struct run *r)
{
    int status;

    assert_int_equal(kill(r->pid, SIGSTOP), 0);
    assert_int_equal(waitpid(r->pid, &status, WUNTRACED), r->pid);
    assert_true(WIFSTOPPED(status));
}

static void
one_who_wants_what_is_long_gone_does_not_end_the_output(void **state)
{
    struct nd_buf text = ND_BUF_INIT(LOG_MAX);
    struct run r;
    struct peer early, late;

    (void)state;
    random_output(&text, 900000);
    begin_logger(&r, "");
    attach(&early, streams_of(&r), (struct hello){.session = 1, .patience_ms = ND_WIRE_FOR_EVER});
    send_all(r.out, nd_str_sub(nd_buf_str(&text), 0, 300000));
    read_until(&early, ND_WIRE_STDOUT, 300000);
    /* The HELLO and more output are found in the same turn. */
    stop(&r);
    send_all(r.out, nd_str_from(nd_buf_str(&text), 300000));
    greet_one_who_sleeps(&late, &r, (struct hello){.session = 2, .patience_ms = ND_WIRE_FOR_EVER});
    assert_int_equal(kill(r.pid, SIGCONT), 0);
    read_until(&late, ND_WIRE_STDOUT, 1);
    read_until(&early, ND_WIRE_STDOUT, 301000);
    detach(&late);
    close_streams(&r);
    read_to_end(&early);
    assert_got(&early, ND_WIRE_STDOUT, nd_buf_str(&text));
    detach(&early);
    finish_logger(&r);
    assert_log_is(r.log, ND_LOG_STDOUT, nd_buf_str(&text));
    clean_container(&r);
    nd_buf_fini(&text);
}

/* It was never welcomed: its name is nobody's, and nobody can come back by it. */
static void
one_who_gave_up_before_the_welcome_is_not_waited_for(void **state)
{
    const struct hello hello = {.session = 3, .hold_ms = 60000, .patience_ms = ND_WIRE_FOR_EVER};
    struct nd_buf text = long_output();
    struct run r;
    struct peer p;

    (void)state;
    begin_logger(&r, "");
    stop(&r);
    greet_one_who_sleeps(&p, &r, hello);
    detach(&p);
    assert_int_equal(kill(r.pid, SIGCONT), 0);
    send_all(r.out, nd_buf_str(&text)); /* more than is kept for one who is waited for */
    finish_logger(&r);
    assert_log_is(r.log, ND_LOG_STDOUT, nd_buf_str(&text));
    clean_container(&r);
    nd_buf_fini(&text);
}

static void
nonsense_behind_a_greeting_ends_the_connection_that_said_it(void **state)
{
    const struct hello hello = {.session = 5, .hold_ms = 60000, .patience_ms = ND_WIRE_FOR_EVER};
    struct run r;
    struct peer p;

    (void)state;
    begin_logger(&r, "");
    attach(&p, streams_of(&r), hello);
    detach(&p);
    stop(&r);
    greet_one_who_sleeps(&p, &r, hello);
    send_frame(&p, ND_WIRE_DATA, ND_WIRE_STDOUT, 0, ND_STR("x"));
    assert_int_equal(kill(r.pid, SIGCONT), 0);
    while (next_frame(&p))
        continue;
    assert_int_equal(p.refused, ND_WIRE_BAD_FRAME);
    detach(&p);
    attach(&p, streams_of(&r), hello); /* the session itself is still held */
    assert_int_equal(p.welcome.flags & ND_WIRE_RESUMED, ND_WIRE_RESUMED);
    detach(&p);
    finish_logger(&r);
    clean_container(&r);
}

static void
those_who_have_no_name_do_not_take_each_others_place(void **state)
{
    struct run r;
    struct peer first, second;

    (void)state;
    begin_logger(&r, "");
    attach(&first, streams_of(&r), (struct hello){.patience_ms = ND_WIRE_FOR_EVER});
    attach(&second, streams_of(&r), (struct hello){.patience_ms = ND_WIRE_FOR_EVER});
    assert_int_equal(second.welcome.flags & ND_WIRE_RESUMED, 0);
    send_all(r.out, ND_STR("for both\n"));
    close_streams(&r);
    read_to_end(&first);
    read_to_end(&second);
    assert_got(&first, ND_WIRE_STDOUT, ND_STR("for both\n"));
    assert_got(&second, ND_WIRE_STDOUT, ND_STR("for both\n"));
    detach(&first);
    detach(&second);
    finish_logger(&r);
    clean_container(&r);
}

static void
acknowledging_one_output_is_no_patience_with_the_other(void **state)
{
    struct nd_buf text = long_output();
    struct run r;
    struct peer half, fast;
    pid_t writer;
    int err;

    (void)state;
    begin_logger(&r, "");
    attach(&half, streams_of(&r), (struct hello){.session = 1, .patience_ms = 50});
    attach(&fast, streams_of(&r), (struct hello){.session = 2, .patience_ms = ND_WIRE_FOR_EVER});
    half.acks = false;
    err = dup(r.err);
    assert_true(err >= 0);
    writer = write_aside(&r, r.out, nd_buf_str(&text));
    /* Whenever something comes to stderr, `half` has soon had it; stdout it never acknowledges. */
    while (fast.out[0].len < text.len) {
        uint64_t n = fast.out[1].len + 1;

        send_all(err, ND_STR("."));
        read_until(&fast, ND_WIRE_STDERR, (size_t)n);
        while (half.out[1].len < n && next_frame(&half))
            continue;
        send_frame(&half, ND_WIRE_ACK, ND_WIRE_STDERR, n, ND_STR_NONE);
        assert_true(n < 200000);
    }
    assert_got(&fast, ND_WIRE_STDOUT, nd_buf_str(&text));
    close(err);
    detach(&fast);
    detach(&half);
    reap(writer);
    finish_logger(&r);
    clean_container(&r);
    nd_buf_fini(&text);
}

static void
the_shim_does_not_wait_for_those_who_are_attached(void **state)
{
    struct nd_buf text = ND_BUF_INIT(LOG_MAX);
    struct run r;
    struct peer p;

    (void)state;
    random_output(&text, 100000);
    begin_logger(&r, "");
    attach(&p, streams_of(&r), (struct hello){.patience_ms = ND_WIRE_FOR_EVER});
    send_all(r.out, nd_buf_str(&text));
    finish_logger(&r); /* although we have read nothing */
    assert_log_is(r.log, ND_LOG_STDOUT, nd_buf_str(&text));
    read_to_end(&p);
    assert_got(&p, ND_WIRE_STDOUT, nd_buf_str(&text));
    send_frame(&p, ND_WIRE_BYE, ND_WIRE_STDOUT, 0, ND_STR_NONE);
    assert_false(next_frame(&p)); /* it has served */
    detach(&p);
    clean_container(&r);
    nd_buf_fini(&text);
}

static void
peers_that_talk_nonsense_are_refused_and_hurt_nobody(void **state)
{
    static const struct {
        enum nd_wire_type type;
        uint64_t offset;
        const char *payload;
    } cases[] = {
        {ND_WIRE_HELLO, 0, "not before the WELCOME and not again"},
        {ND_WIRE_WELCOME, 0, ""},
        {ND_WIRE_ACK, 1000, ""}, /* never sent */
        {ND_WIRE_DATA, 0, "x"},
    };
    struct run r;
    struct peer good, bad;

    (void)state;
    begin_logger(&r, "");
    attach(&good, streams_of(&r), (struct hello){.session = 99, .patience_ms = ND_WIRE_FOR_EVER});
    for (size_t i = 0; i < ND_LEN(cases); i++) {
        attach(&bad, streams_of(&r), (struct hello){.session = (uint8_t)i});
        send_frame(&bad, cases[i].type, ND_WIRE_STDOUT, cases[i].offset, nd_str(cases[i].payload));
        while (next_frame(&bad))
            continue;
        assert_int_equal(bad.refused, ND_WIRE_BAD_FRAME);
        detach(&bad);
    }
    for (size_t i = 0; i < 100; i++) { /* more than there are slots, silent ones */
        int fd = connect_to(streams_of(&r));

        assert_true(fd >= 0);
        (void)!send(fd, "\xff\xff\xff", i % 4, MSG_NOSIGNAL);
        close(fd);
    }
    send_all(r.out, ND_STR("still here\n"));
    close_streams(&r);
    read_to_end(&good);
    assert_got(&good, ND_WIRE_STDOUT, ND_STR("still here\n"));
    detach(&good);
    finish_logger(&r);
    clean_container(&r);
}

static void
a_session_does_not_go_on_behind_what_was_written(void **state)
{
    struct hello hello = {.session = 7, .hold_ms = 60000, .patience_ms = ND_WIRE_FOR_EVER};
    const struct nd_str text = ND_STR("not acknowledged\n");
    static const uint64_t beyond[] = {18, UINT64_MAX - 1};
    struct run r;
    struct peer p;

    (void)state;
    begin_logger(&r, "");
    attach(&p, streams_of(&r), hello);
    p.acks = false;
    send_all(r.out, text);
    read_until(&p, ND_WIRE_STDOUT, text.len);
    detach(&p);
    for (size_t i = 0; i < ND_LEN(beyond); i++) {
        hello.from = beyond[i];
        attach_in_vain(&p, streams_of(&r), hello);
        assert_int_equal(p.refused, ND_WIRE_STDOUT_BEYOND);
        detach(&p);
    }
    hello.from = 17; /* as much as there was; of the other output there was nothing */
    hello.from_stderr = 1;
    attach_in_vain(&p, streams_of(&r), hello);
    assert_int_equal(p.refused, ND_WIRE_STDERR_BEYOND);
    detach(&p);
    hello.from = hello.from_stderr = 0;
    attach(&p, streams_of(&r), hello);
    assert_int_equal(p.welcome.flags & ND_WIRE_RESUMED, ND_WIRE_RESUMED);
    close_streams(&r);
    read_to_end(&p);
    assert_got(&p, ND_WIRE_STDOUT, text);
    detach(&p);
    finish_logger(&r);
    clean_container(&r);
}

static void
more_than_there_is_room_for_are_refused(void **state)
{
    struct run r;
    int fds[40];
    size_t refused = 0;

    (void)state;
    begin_logger(&r, "");
    for (size_t i = 0; i < ND_LEN(fds); i++)
        fds[i] = connect_to(streams_of(&r));
    for (size_t i = 32; i < ND_LEN(fds); i++) {
        char frame[ND_WIRE_HEADER];

        assert_int_equal(recv(fds[i], frame, sizeof(frame), 0), ND_WIRE_HEADER);
        refused += frame[8] == ND_WIRE_TOO_MANY;
    }
    for (size_t i = 0; i < ND_LEN(fds); i++)
        close(fds[i]);
    assert_int_equal(refused, 8);
    finish_logger(&r);
    clean_container(&r);
}

static void
a_helper_that_is_attached_to_stays_below_a_mebibyte(void **state)
{
    struct nd_buf text = long_output();
    struct run r;
    struct peer p;
    char path[64], line[256];
    unsigned long private_kib = 0, kib;
    pid_t writer;
    FILE *maps;

    (void)state;
    begin_logger(&r, "");
    attach(&p, streams_of(&r), (struct hello){.patience_ms = ND_WIRE_FOR_EVER});
    writer = write_aside(&r, r.out, nd_buf_str(&text));
    read_until(&p, ND_WIRE_STDOUT, text.len / 2);
    snprintf(path, sizeof(path), "/proc/%d/smaps", (int)r.pid);
    maps = fopen(path, "re");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps) != NULL) {
        if (strncmp(line, "Private_Dirty:", 14) != 0)
            continue; /* clean pages are the program's, which all helpers share */
        kib = 0;
        for (const char *c = line; *c != '\0'; c++)
            kib = *c >= '0' && *c <= '9' ? 10 * kib + (unsigned long)(*c - '0') : kib;
        private_kib += kib;
    }
    fclose(maps);
#ifndef __SANITIZE_ADDRESS__
    assert_in_range(private_kib, 1, 1024);
#endif
    read_to_end(&p);
    detach(&p);
    finish_logger(&r);
    reap(writer);
    clean_container(&r);
    nd_buf_fini(&text);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_attached_gets_every_byte_and_so_does_the_log),
        cmocka_unit_test(sixteen_at_once_get_the_same),
        cmocka_unit_test(a_session_goes_on_after_its_connection_broke),
        cmocka_unit_test(who_has_everything_finds_its_session_until_it_says_goodbye),
        cmocka_unit_test(whoever_comes_late_gets_what_comes_from_then_on),
        cmocka_unit_test(what_is_not_kept_any_more_is_told_as_a_gap),
        cmocka_unit_test(one_who_does_not_read_holds_nobody_up_beyond_its_patience),
        cmocka_unit_test(one_who_wants_what_is_long_gone_does_not_end_the_output),
        cmocka_unit_test(one_who_gave_up_before_the_welcome_is_not_waited_for),
        cmocka_unit_test(nonsense_behind_a_greeting_ends_the_connection_that_said_it),
        cmocka_unit_test(those_who_have_no_name_do_not_take_each_others_place),
        cmocka_unit_test(acknowledging_one_output_is_no_patience_with_the_other),
        cmocka_unit_test(one_who_acknowledges_nothing_is_waited_for),
        cmocka_unit_test(the_shim_does_not_wait_for_those_who_are_attached),
        cmocka_unit_test(peers_that_talk_nonsense_are_refused_and_hurt_nobody),
        cmocka_unit_test(a_session_does_not_go_on_behind_what_was_written),
        cmocka_unit_test(more_than_there_is_room_for_are_refused),
        cmocka_unit_test(a_helper_that_is_attached_to_stays_below_a_mebibyte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
