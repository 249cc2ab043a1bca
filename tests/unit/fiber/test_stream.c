/* Streams in memory and over descriptors: bytes, ends, backpressure, cancelling, closing. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fiber/group.h"
#include "fiber/limits.h"
#include "fiber/stream_io.h"

#include "in_loop.h"

/* A pair of each kind: the same promises hold. */
typedef void make_pair(struct nd_stream **ret_a, struct nd_stream **ret_b);

static void
pair_of_one_byte(struct nd_stream **ret_a, struct nd_stream **ret_b)
{
    nd_stream_pair(1, ret_a, ret_b);
}

static void
pair_in_memory(struct nd_stream **ret_a, struct nd_stream **ret_b)
{
    nd_stream_pair(1000, ret_a, ret_b);
}

static void
pair_of_sockets(struct nd_stream **ret_a, struct nd_stream **ret_b)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    expect_ok(nd_stream_from_fd(fds[0], ret_a));
    expect_ok(nd_stream_from_fd(fds[1], ret_b));
}

static make_pair *const all_pairs[] = {pair_of_one_byte, pair_in_memory, pair_of_sockets};

/* Byte `i` of a transfer. */
static char
pattern(size_t i)
{
    return (char)(i * 7 + i / 251);
}

struct transfer {
    struct nd_stream *stream;
    size_t total;
    size_t piece;
    size_t done;
};

static struct nd_error *
send_pattern(void *arg)
{
    struct transfer *t = arg;
    ND_AUTO(nd_freep) char *buf = nd_new_array(t->piece, char);

    while (t->done < t->total) {
        size_t n = ND_MIN(t->piece, t->total - t->done);

        for (size_t i = 0; i < n; i++)
            buf[i] = pattern(t->done + i);
        ND_TRY(nd_stream_write(t->stream, nd_str_n(buf, n)));
        t->done += n;
    }
    return nd_stream_shutdown(t->stream);
}

static struct nd_error *
receive_pattern(void *arg)
{
    struct transfer *t = arg;
    ND_AUTO(nd_freep) char *buf = nd_new_array(t->piece, char);
    size_t n;

    for (;;) {
        ND_TRY(nd_stream_read(t->stream, buf, t->piece, &n));
        if (n == 0)
            return NULL;
        for (size_t i = 0; i < n; i++)
            assert_int_equal(buf[i], pattern(t->done + i));
        t->done += n;
    }
}

static struct nd_error *
both_ways(make_pair *make, size_t total)
{
    ND_AUTO(nd_stream_closep) struct nd_stream *a = NULL;
    ND_AUTO(nd_stream_closep) struct nd_stream *b = NULL;
    struct transfer from_a, to_b, from_b, to_a;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    make(&a, &b);
    from_a = (struct transfer){a, total, total / 3 + 1, 0};
    to_b = (struct transfer){b, total, 333, 0};
    from_b = (struct transfer){b, total, 7, 0};
    to_a = (struct transfer){a, total, 70000, 0};
    ND_TRY(nd_group_spawn(g, send_pattern, &from_a));
    ND_TRY(nd_group_spawn(g, receive_pattern, &to_b));
    ND_TRY(nd_group_spawn(g, send_pattern, &from_b));
    ND_TRY(nd_group_spawn(g, receive_pattern, &to_a));
    ND_TRY(nd_group_wait(g));
    assert_int_equal(to_b.done, total);
    assert_int_equal(to_a.done, total);
    return NULL;
}

IN_LOOP(bytes_arrive_in_order_both_ways_and_then_the_end)
{
    ND_TRY(both_ways(pair_of_one_byte, 3000));
    ND_TRY(both_ways(pair_in_memory, 300000));
    return both_ways(pair_of_sockets, 3000000);
}

IN_LOOP(a_reader_that_stays_away_stops_the_writer)
{
    for (size_t i = 0; i < ND_LEN(all_pairs); i++) {
        ND_AUTO(nd_stream_closep) struct nd_stream *a = NULL;
        ND_AUTO(nd_stream_closep) struct nd_stream *b = NULL;
        struct transfer t;
        size_t stuck_at;
        ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

        all_pairs[i](&a, &b);
        t = (struct transfer){a, 64000000, 10000, 0};
        ND_TRY(nd_group_spawn(g, send_pattern, &t));
        ND_TRY(nd_fiber_sleep(ND_SECOND));
        stuck_at = t.done;
        ND_TRY(nd_fiber_sleep(ND_SECOND));
        assert_int_equal(t.done, stuck_at);
        assert_true(t.done < t.total);
        assert_true(nd_stream_unsent(a) != 0);
        assert_true(nd_stream_unsent(a) <= ND_STREAM_READ_BYTES);
    }
    return NULL;
}

IN_LOOP(reading_ends_with_the_deadline_and_loses_nothing)
{
    for (size_t i = 0; i < ND_LEN(all_pairs); i++) {
        ND_AUTO(nd_stream_closep) struct nd_stream *a = NULL;
        ND_AUTO(nd_stream_closep) struct nd_stream *b = NULL;
        char buf[10];
        size_t n;

        all_pairs[i](&a, &b);
        {
            ND_DEADLINE_IN(ND_SECOND);
            expect_code(nd_stream_read(b, buf, sizeof(buf), &n), ND_DEADLINE);
            expect_code(nd_stream_read(b, buf, sizeof(buf), &n), ND_DEADLINE);
        }
        nd_stream_push(a, ND_STR("hello"));
        ND_TRY(nd_stream_read_full(b, buf, 5));
        assert_memory_equal(buf, "hello", 5);
    }
    return NULL;
}

IN_LOOP(writing_ends_with_the_deadline)
{
    static char much[8 * 1024 * 1024];

    for (size_t i = 0; i < ND_LEN(all_pairs); i++) {
        ND_AUTO(nd_stream_closep) struct nd_stream *a = NULL;
        ND_AUTO(nd_stream_closep) struct nd_stream *b = NULL;
        ND_DEADLINE_IN(ND_SECOND);

        all_pairs[i](&a, &b);
        expect_code(nd_stream_write(a, nd_str_n(much, sizeof(much))), ND_DEADLINE);
        expect_code(nd_stream_write(a, ND_STR("x")), ND_DEADLINE);
        expect_code(nd_stream_shutdown(a), ND_DEADLINE);
    }
    return NULL;
}

IN_LOOP(reading_and_writing_can_be_cancelled)
{
    for (size_t i = 0; i < ND_LEN(all_pairs); i++) {
        ND_AUTO(nd_stream_closep) struct nd_stream *a = NULL;
        ND_AUTO(nd_stream_closep) struct nd_stream *b = NULL;
        struct transfer out, in;
        ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

        all_pairs[i](&a, &b);
        out = (struct transfer){a, 64000000, 100000, 0};
        in = (struct transfer){a, 0, 10, 0};
        ND_TRY(nd_group_spawn(g, send_pattern, &out));
        ND_TRY(nd_group_spawn(g, receive_pattern, &in));
        ND_TRY(nd_fiber_sleep(ND_SECOND));
        nd_group_cancel(g);
        ND_TRY(nd_group_wait(g));
    }
    return NULL;
}

IN_LOOP(what_came_before_the_end_is_read_first)
{
    for (size_t i = 0; i < ND_LEN(all_pairs); i++) {
        ND_AUTO(nd_stream_closep) struct nd_stream *a = NULL;
        ND_AUTO(nd_stream_closep) struct nd_stream *b = NULL;
        char buf[10];
        size_t n = 1;

        all_pairs[i](&a, &b);
        nd_stream_push(a, ND_STR("x"));
        nd_stream_close(ND_TAKE(a));
        ND_TRY(nd_stream_read(b, buf, sizeof(buf), &n));
        assert_int_equal(n, 1);
        ND_TRY(nd_stream_read(b, buf, sizeof(buf), &n));
        assert_int_equal(n, 0);
        ND_TRY(nd_stream_read(b, buf, sizeof(buf), &n));
        assert_int_equal(n, 0);
        expect_code(nd_stream_read_full(b, buf, 1), ND_DATA_LOSS);
    }
    return NULL;
}

IN_LOOP(after_a_half_close_the_other_direction_goes_on)
{
    for (size_t i = 0; i < ND_LEN(all_pairs); i++) {
        ND_AUTO(nd_stream_closep) struct nd_stream *a = NULL;
        ND_AUTO(nd_stream_closep) struct nd_stream *b = NULL;
        char buf[10];
        size_t n = 1;

        all_pairs[i](&a, &b);
        nd_stream_push(b, ND_STR("12"));
        nd_stream_finish(b);
        ND_TRY(nd_stream_read_full(a, buf, 2));
        ND_TRY(nd_stream_read(a, buf, sizeof(buf), &n));
        assert_int_equal(n, 0);
        nd_stream_push(a, ND_STR("34"));
        ND_TRY(nd_stream_read_full(b, buf, 2));
        assert_memory_equal(buf, "34", 2);
    }
    return NULL;
}

IN_LOOP(writing_to_a_closed_peer_is_unavailable)
{
    for (size_t i = 0; i < ND_LEN(all_pairs); i++) {
        ND_AUTO(nd_stream_closep) struct nd_stream *a = NULL;
        ND_AUTO(nd_stream_closep) struct nd_stream *b = NULL;

        all_pairs[i](&a, &b);
        nd_stream_close(ND_TAKE(b));
        expect_code(nd_stream_write(a, ND_STR("x")), ND_UNAVAILABLE);
        expect_code(nd_stream_write(a, ND_STR("x")), ND_UNAVAILABLE);
    }
    return NULL;
}

IN_LOOP(writing_after_the_end_was_read_is_unavailable)
{
    for (size_t i = 0; i < ND_LEN(all_pairs); i++) {
        ND_AUTO(nd_stream_closep) struct nd_stream *a = NULL;
        ND_AUTO(nd_stream_closep) struct nd_stream *b = NULL;
        char buf[10];
        size_t n = 1;

        all_pairs[i](&a, &b);
        nd_stream_close(ND_TAKE(b));
        ND_TRY(nd_stream_read(a, buf, sizeof(buf), &n));
        assert_int_equal(n, 0);
        expect_code(nd_stream_write(a, ND_STR("x")), ND_UNAVAILABLE);
    }
    return NULL;
}

struct closing {
    struct nd_stream *writer;
    struct nd_stream *other;
};

static struct nd_error *
write_until_it_fails(void *arg)
{
    static char much[8 * 1024 * 1024];
    struct closing *c = arg;

    expect_code(nd_stream_write(c->writer, nd_str_n(much, sizeof(much))), ND_UNAVAILABLE);
    return NULL;
}

IN_LOOP(a_writer_that_waits_learns_that_the_peer_has_closed)
{
    for (size_t i = 0; i < ND_LEN(all_pairs); i++) {
        struct closing c = {NULL, NULL};
        ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

        all_pairs[i](&c.writer, &c.other);
        ND_TRY(nd_group_spawn(g, write_until_it_fails, &c));
        ND_TRY(nd_fiber_sleep(ND_SECOND));
        nd_stream_close(c.other);
        ND_TRY(nd_group_wait(g));
        nd_stream_close(c.writer);
    }
    return NULL;
}

/* --- the push interface --- */

struct pushed {
    struct nd_stream *stream;
    bool close_in_bytes, close_in_end, stop_in_bytes;
    size_t n_bytes;
    int n_calls, n_ends, n_drains;
    enum nd_code code;
};

static void
on_bytes(void *arg, struct nd_str bytes)
{
    struct pushed *p = arg;

    assert_non_null(p->stream);
    p->n_calls++;
    p->n_bytes += bytes.len;
    if (p->stop_in_bytes)
        nd_stream_stop(p->stream);
    if (p->close_in_bytes)
        nd_stream_close(ND_TAKE(p->stream));
}

static void
on_end(void *arg, struct nd_error *err)
{
    struct pushed *p = arg;

    assert_non_null(p->stream);
    p->n_ends++;
    p->code = nd_error_code(err);
    nd_error_free(err);
    if (p->close_in_end)
        nd_stream_close(ND_TAKE(p->stream));
}

static void
on_drain(void *arg)
{
    struct pushed *p = arg;

    assert_non_null(p->stream);
    p->n_drains++;
}

static void
attach(struct pushed *p)
{
    const struct nd_stream_reader reader = {on_bytes, on_end, p};

    nd_stream_attach(p->stream, &reader, on_drain, p);
}

IN_LOOP(a_stream_may_be_closed_inside_its_callbacks)
{
    for (size_t i = 0; i < ND_LEN(all_pairs); i++) {
        struct pushed p = {.close_in_bytes = true}, q = {.close_in_end = true};
        struct nd_stream *a, *b;

        all_pairs[i](&p.stream, &a);
        attach(&p);
        nd_stream_start(p.stream);
        nd_stream_push(a, ND_STR("hello"));
        ND_TRY(nd_fiber_sleep(ND_SECOND));
        assert_null(p.stream);
        assert_int_equal(p.n_calls, 1);
        assert_int_equal(p.n_ends, 0);
        nd_stream_close(a);

        all_pairs[i](&q.stream, &b);
        attach(&q);
        nd_stream_start(q.stream);
        nd_stream_close(b);
        ND_TRY(nd_fiber_sleep(ND_SECOND));
        assert_null(q.stream);
        assert_int_equal(q.n_ends, 1);
    }
    return NULL;
}

/* How much comes at once, and a reader that takes its time for it. */
struct paced {
    struct nd_stream *stream;
    int64_t busy_ns; /* for each piece */
    size_t last;
    unsigned n_calls;
    const struct paced *other;
    unsigned others_calls; /* at the last call */
};

static void
take_paced(void *arg, struct nd_str bytes)
{
    struct paced *p = arg;
    int64_t until_ns = nd_mono_now().ns + p->busy_ns;

    p->last = bytes.len;
    p->n_calls++;
    if (p->other != NULL)
        p->others_calls = p->other->n_calls;
    while (nd_mono_now().ns < until_ns)
        continue;
}

static void
ignore_end(void *arg, struct nd_error *err)
{
    (void)arg;
    nd_error_free(err);
}

static void
begin_paced(struct paced *p, struct nd_stream **peer)
{
    const struct nd_stream_reader reader = {.on_bytes = take_paced, .on_end = ignore_end, .arg = p};

    pair_of_sockets(&p->stream, peer);
    nd_stream_attach(p->stream, &reader, NULL, NULL);
    nd_stream_pace(p->stream);
    nd_stream_start(p->stream);
}

/* Have so many pieces read. */
static struct nd_error *
let_pass(const struct paced *p, struct nd_stream *peer, unsigned pieces)
{
    static const char some[16384];
    unsigned until = p->n_calls + pieces;

    while (p->n_calls < until) {
        if (nd_stream_unsent(peer) < sizeof(some))
            nd_stream_push(peer, nd_str_n(some, sizeof(some)));
        ND_TRY(nd_fiber_yield());
    }
    return NULL;
}

/* However busy the machine is, some of the pieces are quick. */
IN_LOOP(what_is_quick_is_read_in_larger_pieces)
{
    struct paced p = {0};
    struct nd_stream *peer;

    begin_paced(&p, &peer);
    ND_TRY(let_pass(&p, peer, 1));
    assert_int_equal(p.last, ND_STREAM_PACED_FIRST);
    for (int i = 0; i < 10000 && p.last < ND_STREAM_PACED_MOST; i++)
        ND_TRY(let_pass(&p, peer, 1));
    assert_int_equal(p.last, ND_STREAM_PACED_MOST);
    nd_stream_close(peer);
    nd_stream_close(p.stream);
    return NULL;
}

IN_LOOP(what_takes_long_is_read_in_smaller_pieces)
{
    struct paced p = {.busy_ns = 10 * ND_STREAM_PACED_NS};
    struct nd_stream *peer;

    begin_paced(&p, &peer);
    ND_TRY(let_pass(&p, peer, 4));
    assert_int_equal(p.last, ND_STREAM_PACED_LEAST);
    nd_stream_close(peer);
    nd_stream_close(p.stream);
    return NULL;
}

/*
 * Both have bytes for the same turn, the dear one first. However busy the machine is, the cheap one
 * is quick for once.
 */
IN_LOOP(what_takes_long_is_read_last)
{
    struct paced dear = {.busy_ns = 2 * ND_STREAM_PACED_NS};
    struct paced cheap = {0};
    struct nd_stream *peers[2];
    bool cheap_was_first = false;

    begin_paced(&dear, &peers[0]);
    begin_paced(&cheap, &peers[1]);
    dear.other = &cheap;
    for (int i = 0; i < 10000 && !cheap_was_first; i++) {
        unsigned until = cheap.n_calls + 1;

        nd_stream_push(peers[0], ND_STR("."));
        nd_stream_push(peers[1], ND_STR("."));
        while (dear.n_calls < until || cheap.n_calls < until)
            ND_TRY(nd_fiber_yield());
        cheap_was_first = dear.others_calls == until;
    }
    assert_true(cheap_was_first);
    for (size_t i = 0; i < ND_LEN(peers); i++)
        nd_stream_close(peers[i]);
    nd_stream_close(dear.stream);
    nd_stream_close(cheap.stream);
    return NULL;
}

IN_LOOP(no_bytes_come_after_stop_until_start)
{
    for (size_t i = 0; i < ND_LEN(all_pairs); i++) {
        struct pushed p = {.stop_in_bytes = true};
        struct nd_stream *a;

        all_pairs[i](&p.stream, &a);
        attach(&p);
        nd_stream_start(p.stream);
        nd_stream_push(a, ND_STR("1"));
        ND_TRY(nd_fiber_sleep(ND_SECOND));
        assert_int_equal(p.n_calls, 1);
        nd_stream_push(a, ND_STR("2"));
        ND_TRY(nd_fiber_sleep(ND_SECOND));
        assert_int_equal(p.n_calls, 1);
        nd_stream_start(p.stream);
        nd_stream_start(p.stream);
        ND_TRY(nd_fiber_sleep(ND_SECOND));
        assert_int_equal(p.n_calls, 2);
        nd_stream_close(ND_TAKE(p.stream));
        nd_stream_close(a);
    }
    return NULL;
}

IN_LOOP(drain_is_told_once_when_the_queue_has_gone)
{
    static char much[4 * 1024 * 1024];

    for (size_t i = 1; i < ND_LEN(all_pairs); i++) {
        struct pushed p = {.code = ND_OK};
        struct nd_stream *in;

        all_pairs[i](&p.stream, &in);
        attach(&p);
        nd_stream_push(p.stream, nd_str_n(much, sizeof(much)));
        assert_true(nd_stream_unsent(p.stream) != 0);
        nd_stream_finish(p.stream);
        for (size_t left = sizeof(much), n; left != 0; left -= n)
            ND_TRY(nd_stream_read(in, much, ND_MIN(left, (size_t)100000), &n));
        ND_TRY(nd_fiber_sleep(ND_SECOND));
        assert_int_equal(nd_stream_unsent(p.stream), 0);
        assert_int_equal(p.n_drains, 1);
        nd_stream_close(ND_TAKE(p.stream));
        nd_stream_close(in);
    }
    return NULL;
}

IN_LOOP(a_failed_write_is_told_as_the_end_after_what_the_peer_had_said)
{
    struct pushed p = {.code = ND_OK};
    struct nd_stream *a;

    pair_of_sockets(&p.stream, &a);
    attach(&p);
    nd_stream_push(a, ND_STR("last words"));
    nd_stream_close(a);
    nd_stream_start(p.stream);
    nd_stream_push(p.stream, ND_STR("too late"));
    assert_int_equal(p.n_ends, 0);
    ND_TRY(nd_fiber_sleep(ND_SECOND));
    assert_int_equal(p.n_bytes, 10);
    assert_int_equal(p.n_ends, 1);
    nd_stream_close(ND_TAKE(p.stream));
    return NULL;
}

/* --- other descriptors --- */

static void
make_pipe(int fds[2])
{
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
}

IN_LOOP(pipes_carry_bytes_one_way)
{
    ND_AUTO(nd_stream_closep) struct nd_stream *in = NULL;
    ND_AUTO(nd_stream_closep) struct nd_stream *out = NULL;
    struct transfer send, receive;
    int fds[2];
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    make_pipe(fds);
    ND_TRY(nd_stream_from_fd(fds[0], &in));
    ND_TRY(nd_stream_from_fd(fds[1], &out));
    send = (struct transfer){out, 1000000, 5000, 0};
    receive = (struct transfer){in, 0, 5000, 0};
    ND_TRY(nd_group_spawn(g, send_pattern, &send));
    ND_TRY(nd_group_spawn(g, receive_pattern, &receive));
    ND_TRY(nd_group_wait(g));
    assert_int_equal(receive.done, 1000000);
    return NULL;
}

IN_LOOP(what_is_open_for_reading_alone_refuses_bytes)
{
    ND_AUTO(nd_stream_closep) struct nd_stream *in = NULL;
    int fds[2];

    make_pipe(fds);
    ND_TRY(nd_stream_from_fd(fds[0], &in));
    expect_code(nd_stream_write(in, ND_STR("x")), ND_INVALID);
    close(fds[1]);
    return NULL;
}

IN_LOOP(a_pipe_without_reader_is_unavailable)
{
    ND_AUTO(nd_stream_closep) struct nd_stream *out = NULL;
    int fds[2];

    make_pipe(fds);
    ND_TRY(nd_stream_from_fd(fds[1], &out));
    close(fds[0]);
    expect_code(nd_stream_write(out, ND_STR("x")), ND_UNAVAILABLE);
    return NULL;
}

IN_LOOP(a_fifo_waits_for_its_first_writer_and_ends_with_the_last)
{
    ND_AUTO(nd_stream_closep) struct nd_stream *in = NULL;
    char dir[] = "/tmp/nd-test-XXXXXX", path[64], buf[10];
    int writer;
    size_t n = 1;

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/fifo", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    ND_TRY(nd_stream_from_fd(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), &in));
    {
        ND_DEADLINE_IN(ND_SECOND);
        expect_code(nd_stream_read(in, buf, sizeof(buf), &n), ND_DEADLINE);
    }
    writer = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(writer, "hello", 5), 5);
    ND_TRY(nd_stream_read_full(in, buf, 5));
    close(writer);
    ND_TRY(nd_stream_read(in, buf, sizeof(buf), &n));
    assert_int_equal(n, 0);
    unlink(path);
    rmdir(dir);
    return NULL;
}

IN_LOOP(regular_files_and_devices_are_always_ready)
{
    ND_AUTO(nd_stream_closep) struct nd_stream *file = NULL;
    ND_AUTO(nd_stream_closep) struct nd_stream *null = NULL;
    char path[] = "/tmp/nd-test-XXXXXX", buf[10];
    int fd = mkstemp(path);
    size_t n = 1;

    ND_TRY(nd_stream_from_fd(fd, &file));
    ND_TRY(nd_stream_write(file, ND_STR("hello")));
    lseek(fd, 0, SEEK_SET);
    ND_TRY(nd_stream_read_full(file, buf, 5));
    assert_memory_equal(buf, "hello", 5);
    ND_TRY(nd_stream_read(file, buf, sizeof(buf), &n));
    assert_int_equal(n, 0);
    unlink(path);

    ND_TRY(nd_stream_from_fd(open("/dev/null", O_RDWR | O_CLOEXEC), &null));
    ND_TRY(nd_stream_write(null, ND_STR("hello")));
    ND_TRY(nd_stream_read(null, buf, sizeof(buf), &n));
    assert_int_equal(n, 0);
    return NULL;
}

IN_LOOP(a_terminal_ends_when_its_other_side_goes)
{
    ND_AUTO(nd_stream_closep) struct nd_stream *master = NULL;
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
    char buf[10];
    size_t n = 1;

    assert_true(fd >= 0);
    assert_int_equal(grantpt(fd), 0);
    assert_int_equal(unlockpt(fd), 0);
    slave = open(ptsname(fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(slave >= 0);
    ND_TRY(nd_stream_from_fd(fd, &master));
    assert_int_equal(write(slave, "hi", 2), 2);
    ND_TRY(nd_stream_read_full(master, buf, 2));
    assert_memory_equal(buf, "hi", 2);
    close(slave);
    ND_TRY(nd_stream_read(master, buf, sizeof(buf), &n));
    assert_int_equal(n, 0);
    return NULL;
}

IN_LOOP(a_descriptor_is_restored_and_closed_with_its_stream)
{
    struct nd_stream *s;
    int fds[2], copy;

    make_pipe(fds);
    copy = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
    ND_TRY(nd_stream_from_fd(fds[0], &s));
    assert_true((fcntl(copy, F_GETFL) & O_NONBLOCK) != 0);
    nd_stream_close(s);
    assert_true((fcntl(copy, F_GETFL) & O_NONBLOCK) == 0);
    assert_int_equal(fcntl(fds[0], F_GETFD), -1);
    expect_code(nd_stream_from_fd(fds[0], &s), ND_INTERNAL);
    close(copy);
    close(fds[1]);
    return NULL;
}

IN_LOOP(a_wait_for_a_descriptor_ends_with_readiness_or_deadline)
{
    int fds[2];

    make_pipe(fds);
    ND_TRY(nd_fd_wait(fds[1], ND_FD_WRITE));
    {
        ND_DEADLINE_IN(ND_SECOND);
        expect_code(nd_fd_wait(fds[0], ND_FD_READ), ND_DEADLINE);
        expect_code(nd_fd_wait(fds[1], ND_FD_WRITE), ND_DEADLINE);
    }
    assert_int_equal(write(fds[1], "x", 1), 1);
    ND_TRY(nd_fd_wait(fds[0], ND_FD_READ));
    close(fds[1]);
    ND_TRY(nd_fd_wait(fds[0], ND_FD_READ));
    close(fds[0]);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_in_order_both_ways_and_then_the_end),
        cmocka_unit_test(a_reader_that_stays_away_stops_the_writer),
        cmocka_unit_test(reading_ends_with_the_deadline_and_loses_nothing),
        cmocka_unit_test(writing_ends_with_the_deadline),
        cmocka_unit_test(reading_and_writing_can_be_cancelled),
        cmocka_unit_test(what_came_before_the_end_is_read_first),
        cmocka_unit_test(after_a_half_close_the_other_direction_goes_on),
        cmocka_unit_test(writing_to_a_closed_peer_is_unavailable),
        cmocka_unit_test(writing_after_the_end_was_read_is_unavailable),
        cmocka_unit_test(a_writer_that_waits_learns_that_the_peer_has_closed),
        cmocka_unit_test(a_stream_may_be_closed_inside_its_callbacks),
        cmocka_unit_test(what_is_quick_is_read_in_larger_pieces),
        cmocka_unit_test(what_takes_long_is_read_in_smaller_pieces),
        cmocka_unit_test(what_takes_long_is_read_last),
        cmocka_unit_test(no_bytes_come_after_stop_until_start),
        cmocka_unit_test(drain_is_told_once_when_the_queue_has_gone),
        cmocka_unit_test(a_failed_write_is_told_as_the_end_after_what_the_peer_had_said),
        cmocka_unit_test(pipes_carry_bytes_one_way),
        cmocka_unit_test(what_is_open_for_reading_alone_refuses_bytes),
        cmocka_unit_test(a_pipe_without_reader_is_unavailable),
        cmocka_unit_test(a_fifo_waits_for_its_first_writer_and_ends_with_the_last),
        cmocka_unit_test(regular_files_and_devices_are_always_ready),
        cmocka_unit_test(a_terminal_ends_when_its_other_side_goes),
        cmocka_unit_test(a_descriptor_is_restored_and_closed_with_its_stream),
        cmocka_unit_test(a_wait_for_a_descriptor_ends_with_readiness_or_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
