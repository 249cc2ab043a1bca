/* The helper that the daemon starts: FIFOs instead of pipes, and standard input. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "helper/limits.h"

#include "peer.h"

/* A folder with FIFOs, our ends of them as the shim would have them, and a helper. */
struct relay {
    struct run run;
    char folder[192];
    int in, out, err;
};

static void
make_fifo(const struct relay *r, const char *name)
{
    char path[224];

    snprintf(path, sizeof(path), "%s/%s", r->folder, name);
    assert_int_equal(mkfifo(path, 0600), 0);
}

static int
open_fifo(const struct relay *r, const char *name, int flags)
{
    char path[224];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", r->folder, name);
    fd = open(path, flags | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static int
start_helper(const struct relay *r, const char *kind, bool log)
{
    char program[] = ND_HELPER_PROGRAM;
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (log)
            execl(program, program, "relay", r->folder, kind, r->run.dir, "default", ID, NULL);
        else
            execl(program, program, "relay", r->folder, kind, NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
begin_relay(struct relay *r, bool log)
{
    make_container(&r->run);
    configure(&r->run, "");
    snprintf(r->folder, sizeof(r->folder), "%s/streams", r->run.state);
    assert_int_equal(mkdir(r->folder, 0700), 0);
    make_fifo(r, "stdin");
    make_fifo(r, "stdout");
    make_fifo(r, "stderr");
    assert_int_equal(start_helper(r, "pipes", log), 0);
    r->in = open_fifo(r, "stdin", O_RDONLY | O_NONBLOCK);
    r->out = open_fifo(r, "stdout", O_WRONLY);
    r->err = open_fifo(r, "stderr", O_WRONLY);
    fcntl(r->in, F_SETFL, 0);
}

static void
end_relay(struct relay *r)
{
    wait_gone(r->folder);
    clean_container(&r->run);
}

/* What the process reads, until the end of its input. */
static void
read_input(int fd, struct nd_buf *ret, size_t len)
{
    while (ret->len < len) {
        char bytes[4096];
        ssize_t n = read(fd, bytes, sizeof(bytes));

        assert_true(n > 0);
        nd_buf_put(ret, nd_str_n(bytes, (size_t)n));
    }
}

static void
input_arrives_and_ends_by_an_explicit_close(void **state)
{
    struct nd_buf got = ND_BUF_INIT(LOG_MAX);
    struct relay r;
    struct peer p;
    char byte;

    (void)state;
    begin_relay(&r, true);
    attach(&p, r.folder, (struct hello){.patience_ms = ND_WIRE_FOR_EVER});
    assert_int_equal(p.welcome.flags, ND_WIRE_HAS_INPUT);
    send_input(&p, 0, ND_STR("hello\n"));
    read_input(r.in, &got, 6);
    assert_memory_equal(got.ptr, "hello\n", 6);
    send_frame(&p, ND_WIRE_INPUT_END, ND_WIRE_STDOUT, 6, ND_STR_NONE);
    assert_int_equal(read(r.in, &byte, 1), 0);
    while (!p.input_closed)
        assert_true(next_frame(&p));
    assert_int_equal(p.taken, 6);
    send_all(r.out, ND_STR("bye\n"));
    close(r.out);
    close(r.err);
    read_to_end(&p);
    assert_memory_equal(p.out[0].ptr, "bye\n", 4);
    detach(&p);
    wait_gone(r.folder);
    assert_log_is(r.run.log, ND_LOG_STDOUT, ND_STR("bye\n"));
    close(r.in);
    end_relay(&r);
    nd_buf_fini(&got);
}

static void
a_cut_connection_does_not_end_input_and_repeats_nothing(void **state)
{
    struct nd_buf want = ND_BUF_INIT(LOG_MAX), got = ND_BUF_INIT(LOG_MAX);
    const struct hello hello = {.session = 3, .hold_ms = 60000, .patience_ms = ND_WIRE_FOR_EVER};
    uint64_t sent = 0;
    struct relay r;
    struct peer p;

    (void)state;
    random_output(&want, 400000);
    begin_relay(&r, false);
    attach(&p, r.folder, hello);
    while (sent < want.len) {
        /* From what was taken on, so that some of it is sent twice. */
        struct nd_str part = nd_str_sub(nd_buf_str(&want), p.taken, 10000);

        send_frame(&p, ND_WIRE_INPUT, ND_WIRE_STDOUT, p.taken, part);
        sent = p.taken + part.len;
        detach(&p);
        read_input(r.in, &got, ND_MIN(sent, got.len + 7777));
        attach(&p, r.folder, hello);
        assert_int_equal(p.welcome.flags & ND_WIRE_RESUMED, ND_WIRE_RESUMED);
    }
    read_input(r.in, &got, want.len);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.ptr, want.ptr, want.len);
    send_frame(&p, ND_WIRE_BYE, ND_WIRE_STDOUT, 0, ND_STR_NONE);
    detach(&p);
    close(r.out);
    close(r.err);
    close(r.in);
    end_relay(&r);
    nd_buf_fini(&want);
    nd_buf_fini(&got);
}

static void
input_that_nobody_reads_holds_up_no_acknowledgement(void **state)
{
    static char zeros[ND_WIRE_INPUT_WINDOW];
    struct nd_buf text = ND_BUF_INIT(LOG_MAX);
    struct relay r;
    struct peer p;

    (void)state;
    begin_relay(&r, false);
    attach(&p, r.folder, (struct hello){.patience_ms = ND_WIRE_FOR_EVER});
    /* As much as pipe and window take; nobody reads it. */
    send_input(&p, 0, nd_str_n(zeros, sizeof(zeros)));
    send_input(&p, sizeof(zeros), nd_str_n(zeros, sizeof(zeros)));
    send_input(&p, 2 * sizeof(zeros), nd_str_n(zeros, sizeof(zeros)));
    send_input(&p, 3 * sizeof(zeros), nd_str_n(zeros, sizeof(zeros)));
    send_input(&p, 4 * sizeof(zeros), nd_str_n(zeros, 100));
    random_output(&text, 1000000);
    for (size_t at = 0; at < text.len; at += 10000) {
        send_all(r.out, nd_str_sub(nd_buf_str(&text), at, 10000));
        read_until(&p, ND_WIRE_STDOUT, ND_MIN(at + 10000, text.len));
    }
    assert_memory_equal(p.out[0].ptr, text.ptr, text.len);
    detach(&p);
    close(r.out);
    close(r.err);
    close(r.in);
    end_relay(&r);
    nd_buf_fini(&text);
}

static void
input_and_its_end_may_be_sent_again_after_a_cut(void **state)
{
    static char zeros[ND_WIRE_INPUT_WINDOW];
    const struct hello hello = {.session = 3, .hold_ms = 60000, .patience_ms = ND_WIRE_FOR_EVER};
    struct nd_buf got = ND_BUF_INIT(LOG_MAX);
    const size_t filled = 4 * sizeof(zeros); /* as much as the pipe takes */
    struct relay r;
    struct peer p;
    char byte;

    (void)state;
    begin_relay(&r, false);
    attach(&p, r.folder, hello);
    for (size_t i = 0; i < 4; i++)
        send_input(&p, i * sizeof(zeros), nd_str_n(zeros, sizeof(zeros)));
    while (p.taken < filled)
        assert_true(next_frame(&p));
    for (unsigned i = 0; i < 3; i++) { /* what waits in the helper comes once more each time */
        send_frame(&p, ND_WIRE_INPUT, ND_WIRE_STDOUT, filled, ND_STR("the rest"));
        send_frame(&p, ND_WIRE_INPUT_END, ND_WIRE_STDOUT, filled + 8, ND_STR_NONE);
        detach(&p);
        attach(&p, r.folder, hello);
        assert_int_equal(p.welcome.flags & ND_WIRE_RESUMED, ND_WIRE_RESUMED);
    }
    read_input(r.in, &got, filled + 8);
    assert_memory_equal(got.ptr + filled, "the rest", 8);
    assert_int_equal(read(r.in, &byte, 1), 0);
    while (!p.input_closed)
        assert_true(next_frame(&p));
    assert_int_equal(p.refused, 0);
    send_frame(&p, ND_WIRE_BYE, ND_WIRE_STDOUT, 0, ND_STR_NONE);
    detach(&p);
    close(r.out);
    close(r.err);
    close(r.in);
    end_relay(&r);
    nd_buf_fini(&got);
}

static void
input_of_one_who_does_not_come_back_is_written(void **state)
{
    static char zeros[ND_WIRE_INPUT_WINDOW];
    struct nd_buf text = ND_BUF_INIT(LOG_MAX), got = ND_BUF_INIT(LOG_MAX);
    const size_t filled = 4 * sizeof(zeros); /* as much as the pipe takes */
    struct relay r;
    struct peer gone, other;
    char byte;

    (void)state;
    random_output(&text, 300000);
    begin_relay(&r, false);
    attach(&gone, r.folder, (struct hello){.session = 1, .hold_ms = 20});
    attach(&other, r.folder, (struct hello){.session = 2, .patience_ms = ND_WIRE_FOR_EVER});
    for (size_t i = 0; i < 4; i++)
        send_input(&gone, i * sizeof(zeros), nd_str_n(zeros, sizeof(zeros)));
    while (gone.taken < filled)
        assert_true(next_frame(&gone));
    send_frame(&gone, ND_WIRE_INPUT, ND_WIRE_STDOUT, filled, ND_STR("the rest"));
    send_frame(&gone, ND_WIRE_INPUT_END, ND_WIRE_STDOUT, filled + 8, ND_STR_NONE);
    detach(&gone);
    /* More than is kept for one who is away: all of it comes when the hold is over. */
    for (size_t at = 0; at < text.len; at += 10000) {
        send_all(r.out, nd_str_sub(nd_buf_str(&text), at, 10000));
        read_until(&other, ND_WIRE_STDOUT, ND_MIN(at + 10000, text.len));
    }
    read_input(r.in, &got, filled + 8);
    assert_memory_equal(got.ptr + filled, "the rest", 8);
    assert_int_equal(read(r.in, &byte, 1), 0);
    send_frame(&other, ND_WIRE_BYE, ND_WIRE_STDOUT, 0, ND_STR_NONE);
    detach(&other);
    close(r.out);
    close(r.err);
    close(r.in);
    end_relay(&r);
    nd_buf_fini(&text);
    nd_buf_fini(&got);
}

static void
input_beyond_the_window_is_refused(void **state)
{
    static char zeros[ND_WIRE_INPUT_WINDOW];
    struct relay r;
    struct peer p;

    (void)state;
    begin_relay(&r, false);
    attach(&p, r.folder, (struct hello){.session = 1});
    send_frame(&p, ND_WIRE_INPUT, ND_WIRE_STDOUT, 1, ND_STR("a hole"));
    while (next_frame(&p))
        continue;
    assert_int_equal(p.refused, ND_WIRE_BAD_FRAME);
    detach(&p);
    attach(&p, r.folder, (struct hello){.session = 2});
    for (uint64_t at = 0; p.refused == 0; at += sizeof(zeros)) {
        send_frame(&p, ND_WIRE_INPUT, ND_WIRE_STDOUT, at, nd_str_n(zeros, sizeof(zeros)));
        while (p.refused == 0 && p.taken < at + sizeof(zeros) && at < 4 * sizeof(zeros))
            assert_true(next_frame(&p));
        while (p.refused == 0 && at > 5 * sizeof(zeros) && next_frame(&p))
            continue;
        assert_true(at < 8 * sizeof(zeros));
    }
    assert_int_equal(p.refused, ND_WIRE_BAD_FRAME);
    detach(&p);
    close(r.out);
    close(r.err);
    close(r.in);
    end_relay(&r);
}

static void
what_was_sent_before_a_goodbye_is_written(void **state)
{
    struct nd_buf got = ND_BUF_INIT(LOG_MAX);
    struct relay r;
    struct peer p;
    char byte;

    (void)state;
    begin_relay(&r, false);
    attach(&p, r.folder, (struct hello){.session = 1});
    send_frame(&p, ND_WIRE_INPUT, ND_WIRE_STDOUT, 0, ND_STR("last words"));
    send_frame(&p, ND_WIRE_INPUT_END, ND_WIRE_STDOUT, 10, ND_STR_NONE);
    send_frame(&p, ND_WIRE_BYE, ND_WIRE_STDOUT, 0, ND_STR_NONE);
    detach(&p);
    read_input(r.in, &got, 10);
    assert_memory_equal(got.ptr, "last words", 10);
    assert_int_equal(read(r.in, &byte, 1), 0);
    close(r.out);
    close(r.err);
    close(r.in);
    end_relay(&r);
    nd_buf_fini(&got);
}

static void
a_goodbye_counts_though_output_was_not_read(void **state)
{
    struct nd_buf text = ND_BUF_INIT(LOG_MAX), got = ND_BUF_INIT(LOG_MAX);
    struct relay r;
    struct peer p;
    char byte;

    (void)state;
    random_output(&text, 60000);
    begin_relay(&r, false);
    attach(&p, r.folder, (struct hello){.session = 1, .hold_ms = 60000});
    send_all(r.out, nd_buf_str(&text));
    while (poll(&(struct pollfd){.fd = p.fd, .events = POLLIN}, 1, PATIENCE_MS) != 1)
        continue;
    send_frame(&p, ND_WIRE_INPUT, ND_WIRE_STDOUT, 0, ND_STR("words"));
    send_frame(&p, ND_WIRE_INPUT_END, ND_WIRE_STDOUT, 5, ND_STR_NONE);
    send_frame(&p, ND_WIRE_BYE, ND_WIRE_STDOUT, 0, ND_STR_NONE);
    detach(&p); /* with frames that nobody has received */
    read_input(r.in, &got, 5);
    assert_int_equal(read(r.in, &byte, 1), 0);
    close(r.out);
    close(r.err);
    close(r.in);
    end_relay(&r); /* it is not held */
    nd_buf_fini(&text);
    nd_buf_fini(&got);
}

static void
it_ends_at_once_when_nothing_was_started(void **state)
{
    struct relay r;
    struct peer p;

    (void)state;
    make_container(&r.run);
    snprintf(r.folder, sizeof(r.folder), "%s/streams", r.run.state);
    assert_int_equal(mkdir(r.folder, 0700), 0);
    make_fifo(&r, "stdout");
    make_fifo(&r, "stderr");
    assert_int_equal(start_helper(&r, "pipes", false), 0);
    attach(&p, r.folder, (struct hello){.session = 1});
    assert_int_equal(p.welcome.flags, 0);
    send_frame(&p, ND_WIRE_EXITED, ND_WIRE_STDOUT, 1, ND_STR_NONE);
    read_to_end(&p);
    assert_true(p.ended[0] && p.ended[1]);
    detach(&p);
    end_relay(&r);
}

/* The process of the helper. */
static pid_t
pid_of(const struct peer *p)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    assert_int_equal(getsockopt(p->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len), 0);
    return cred.pid;
}

static void
what_came_while_it_was_stopped_is_not_given_up(void **state)
{
    struct nd_buf text = ND_BUF_INIT(LOG_MAX);
    struct timespec over = {.tv_sec = ND_LOGGER_DRAIN_NS / ND_SECOND, .tv_nsec = 100000000};
    struct relay r;
    struct peer p;
    pid_t shim;

    (void)state;
    random_output(&text, 150000);
    begin_relay(&r, false);
    attach(&p, r.folder, (struct hello){.session = 1, .patience_ms = ND_WIRE_FOR_EVER});
    send_frame(&p, ND_WIRE_EXITED, ND_WIRE_STDOUT, 0, ND_STR_NONE);
    send_input(&p, 0, ND_STR("x"));
    while (p.taken != 1)
        assert_true(next_frame(&p)); /* so it knows of the end by now */
    assert_int_equal(kill(pid_of(&p), SIGSTOP), 0);
    shim = fork();
    assert_true(shim >= 0);
    if (shim == 0) { /* more than a FIFO holds */
        send_all(r.out, nd_buf_str(&text));
        _exit(0);
    }
    nanosleep(&over, NULL); /* the time itself is what this is about */
    assert_int_equal(kill(pid_of(&p), SIGCONT), 0);
    read_to_end(&p); /* our ends are still open */
    assert_int_equal(waitpid(shim, NULL, 0), shim);
    assert_true(p.ended[0] && p.ended[1]);
    assert_int_equal(p.out[0].len, text.len);
    assert_memory_equal(p.out[0].ptr, text.ptr, text.len);
    detach(&p);
    close(r.out);
    close(r.err);
    close(r.in);
    end_relay(&r);
    nd_buf_fini(&text);
}

static void
output_is_kept_for_a_session_that_is_away_at_the_end(void **state)
{
    const struct hello hello = {.session = 5, .hold_ms = 60000, .patience_ms = ND_WIRE_FOR_EVER};
    struct relay r;
    struct peer p;

    (void)state;
    begin_relay(&r, false);
    attach(&p, r.folder, hello);
    detach(&p);
    send_all(r.out, ND_STR("the end of it"));
    close(r.out);
    close(r.err);
    close(r.in);
    attach(&p, r.folder, hello);
    read_to_end(&p);
    assert_int_equal(p.out[0].len, 13);
    send_frame(&p, ND_WIRE_BYE, ND_WIRE_STDOUT, 0, ND_STR_NONE);
    detach(&p);
    end_relay(&r);
}

static void
it_goes_when_its_folder_goes(void **state)
{
    const struct hello hello = {.session = 5, .hold_ms = 60000};
    struct relay r;
    struct peer p, deaf;

    (void)state;
    begin_relay(&r, false);
    attach(&p, r.folder, hello);
    attach(&deaf, r.folder, (struct hello){.deaf = true}); /* to see the end of the process */
    detach(&p);
    send_all(r.out, ND_STR("nobody wants it"));
    close(r.out);
    close(r.err);
    close(r.in);
    clean_container(&r.run);
    while (next_frame(&deaf))
        continue;
    detach(&deaf);
}

static void
who_is_there_gets_everything_though_the_folder_has_gone(void **state)
{
    struct relay r;
    struct peer p;

    (void)state;
    begin_relay(&r, false);
    attach(&p, r.folder, (struct hello){.session = 5, .patience_ms = ND_WIRE_FOR_EVER});
    send_all(r.out, ND_STR("somebody wants it"));
    clean_container(&r.run);
    close(r.out);
    close(r.err);
    close(r.in);
    read_to_end(&p);
    assert_true(p.ended[0] && p.ended[1]);
    assert_int_equal(p.out[0].len, 17);
    send_frame(&p, ND_WIRE_BYE, ND_WIRE_STDOUT, 0, ND_STR_NONE);
    while (next_frame(&p))
        continue;
    detach(&p);
}

static void
wrong_surroundings_are_refused(void **state)
{
    struct relay r;

    (void)state;
    make_container(&r.run);
    snprintf(r.folder, sizeof(r.folder), "%s/streams", r.run.state);
    assert_int_not_equal(start_helper(&r, "pipes", false), 0); /* no folder */
    assert_int_equal(mkdir(r.folder, 0700), 0);
    assert_int_not_equal(start_helper(&r, "pipes", false), 0); /* no FIFOs */
    make_fifo(&r, "stdout");
    assert_int_not_equal(start_helper(&r, "pipes", false), 0);
    assert_int_equal(start_helper(&r, "tty", false), 0);
    clean_container(&r.run);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_arrives_and_ends_by_an_explicit_close),
        cmocka_unit_test(a_cut_connection_does_not_end_input_and_repeats_nothing),
        cmocka_unit_test(input_that_nobody_reads_holds_up_no_acknowledgement),
        cmocka_unit_test(input_and_its_end_may_be_sent_again_after_a_cut),
        cmocka_unit_test(input_of_one_who_does_not_come_back_is_written),
        cmocka_unit_test(input_beyond_the_window_is_refused),
        cmocka_unit_test(what_was_sent_before_a_goodbye_is_written),
        cmocka_unit_test(a_goodbye_counts_though_output_was_not_read),
        cmocka_unit_test(it_ends_at_once_when_nothing_was_started),
        cmocka_unit_test(what_came_while_it_was_stopped_is_not_given_up),
        cmocka_unit_test(output_is_kept_for_a_session_that_is_away_at_the_end),
        cmocka_unit_test(it_goes_when_its_folder_goes),
        cmocka_unit_test(who_is_there_gets_everything_though_the_folder_has_gone),
        cmocka_unit_test(wrong_surroundings_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
