/* The client's side of a helper's socket: with the real helper, and with ones that misbehave. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fiber/group.h"
#include "stream/folder.h"
#include "stream/relay.h"

#include "../fiber/in_loop.h"

static char folder[] = "/tmp/nd-relay-XXXXXX";

static void
make_folder(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/nd-relay-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static int
open_fifo(const char *name, int flags)
{
    char path[64];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    fd = open(path, flags | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static struct nd_relay_options
options_of(uint8_t session)
{
    struct nd_relay_options o = {.folder = folder,
                                 .stdout_wanted = true,
                                 .stderr_wanted = true,
                                 .hold_ms = 10000,
                                 .patience_ms = ND_WIRE_FOR_EVER};

    memset(o.session, session, sizeof(o.session));
    return o;
}

IN_REAL_LOOP(a_session_with_a_helper_from_start_to_end)
{
    const struct nd_relay_options options = options_of(1);
    ND_AUTO(nd_relay_closep) struct nd_relay *relay = NULL;
    struct nd_streams_helper helper = {.program = ND_HELPER_PROGRAM, .folder = folder};
    bool ended[ND_WIRE_STREAMS] = {false};
    struct nd_relay_event event;
    char line[8] = "";
    int in, out, err;

    make_folder();
    expect_ok(nd_streams_folder_make(folder, ND_FIFO_STDIN | ND_FIFO_STDOUT | ND_FIFO_STDERR));
    expect_ok(nd_streams_helper_start(&helper));
    in = open_fifo("stdin", O_RDONLY);
    out = open_fifo("stdout", O_WRONLY);
    err = open_fifo("stderr", O_WRONLY);
    nd_streams_folder_hide(folder);
    expect_ok(nd_relay_open(&options, &relay));
    assert_int_equal(nd_relay_welcome(relay)->flags, ND_WIRE_HAS_INPUT);
    expect_ok(nd_relay_send(relay, ND_WIRE_INPUT, ND_WIRE_STDOUT, 0, ND_STR("words\n")));
    do
        expect_ok(nd_relay_next(relay, &event));
    while (event.type != ND_WIRE_TAKEN || event.offset < 6);
    assert_int_equal(read(in, line, sizeof(line)), 6);
    assert_int_equal(write(out, "reply", 5), 5);
    expect_ok(nd_relay_next(relay, &event));
    assert_int_equal(event.type, ND_WIRE_DATA);
    assert_true(nd_str_eqz(event.bytes, "reply"));
    expect_ok(nd_relay_send(relay, ND_WIRE_ACK, ND_WIRE_STDOUT, 5, ND_STR_NONE));
    close(in);
    close(out);
    close(err);
    while (!(ended[0] && ended[1])) {
        expect_ok(nd_relay_next(relay, &event));
        assert_int_equal(event.type, ND_WIRE_END);
        ended[event.stream] = true;
    }
    expect_ok(nd_relay_send(relay, ND_WIRE_BYE, ND_WIRE_STDOUT, 0, ND_STR_NONE));
    expect_code(nd_relay_next(relay, &event), ND_UNAVAILABLE);
    expect_ok(nd_streams_helper_join(folder));
    expect_code(nd_relay_send(relay, ND_WIRE_BYE, ND_WIRE_STDOUT, 0, ND_STR_NONE), ND_UNAVAILABLE);
    nd_streams_folder_remove(folder);
    assert_int_equal(access(folder, F_OK), -1);
    return NULL;
}

static struct nd_error *
say_goodbye(void *relay)
{
    ND_TRY(nd_fiber_yield());
    return nd_relay_send(relay, ND_WIRE_BYE, ND_WIRE_STDOUT, 0, ND_STR_NONE);
}

IN_REAL_LOOP(a_helper_is_joined_when_nobody_may_come_back)
{
    const struct nd_relay_options options = options_of(1);
    ND_AUTO(nd_relay_closep) struct nd_relay *relay = NULL;
    struct nd_streams_helper helper = {.program = ND_HELPER_PROGRAM, .folder = folder};
    ND_AUTO(nd_group_endp) struct nd_group *group = NULL;

    make_folder();
    expect_ok(nd_streams_folder_make(folder, ND_FIFO_STDOUT | ND_FIFO_STDERR));
    expect_ok(nd_streams_helper_start(&helper));
    expect_ok(nd_relay_open(&options, &relay));
    nd_streams_helper_end(folder, true);
    {
        ND_DEADLINE_IN(200 * ND_MILLISECOND);
        expect_code(nd_streams_helper_join(folder), ND_DEADLINE);
    }
    group = nd_group_begin("goodbye", 0);
    expect_ok(nd_group_spawn(group, say_goodbye, relay));
    expect_ok(nd_streams_helper_join(folder));
    expect_ok(nd_group_wait(group));
    expect_ok(nd_streams_helper_join(folder)); /* there is none */
    nd_streams_folder_remove(folder);
    return NULL;
}

/* As many as it takes. Returns how many. */
static size_t
attach_all(struct nd_relay *relays[64])
{
    struct nd_error *err = NULL;
    size_t n = 0;

    while (err == NULL) {
        struct nd_relay_options options = options_of((uint8_t)(n + 1));

        assert_true(n < 64);
        err = nd_relay_open(&options, &relays[n]);
        n += err == NULL;
    }
    expect_code(err, ND_EXHAUSTED);
    return n;
}

IN_REAL_LOOP(a_helper_is_joined_also_when_it_has_no_room)
{
    struct nd_streams_helper helper = {.program = ND_HELPER_PROGRAM, .folder = folder};
    struct nd_relay *relays[64] = {NULL};
    size_t n;

    make_folder();
    expect_ok(nd_streams_folder_make(folder, ND_FIFO_STDOUT | ND_FIFO_STDERR));
    expect_ok(nd_streams_helper_start(&helper));
    n = attach_all(relays);
    {
        ND_DEADLINE_IN(50 * ND_MILLISECOND);
        expect_code(nd_streams_helper_join(folder), ND_DEADLINE);
    }
    for (size_t i = 0; i < n; i++) {
        expect_ok(nd_relay_send(relays[i], ND_WIRE_BYE, ND_WIRE_STDOUT, 0, ND_STR_NONE));
        nd_relay_close(relays[i]);
    }
    nd_streams_helper_end(folder, true);
    expect_ok(nd_streams_helper_join(folder));
    nd_streams_folder_remove(folder);
    return NULL;
}

IN_REAL_LOOP(a_helper_that_was_never_needed_is_told_to_end)
{
    const struct nd_relay_options options = options_of(1);
    ND_AUTO(nd_relay_closep) struct nd_relay *relay = NULL;
    struct nd_streams_helper helper = {.program = ND_HELPER_PROGRAM, .folder = folder, .tty = true};
    struct nd_relay_event event;

    make_folder();
    expect_ok(nd_streams_folder_make(folder, ND_FIFO_STDOUT));
    expect_ok(nd_streams_helper_start(&helper));
    expect_ok(nd_relay_open(&options, &relay));
    nd_streams_helper_end(folder, true);
    for (unsigned n = 0; n < ND_WIRE_STREAMS; n++) {
        expect_ok(nd_relay_next(relay, &event));
        assert_int_equal(event.type, ND_WIRE_END);
    }
    nd_streams_folder_remove(folder);
    return NULL;
}

IN_REAL_LOOP(nobody_there_is_not_found)
{
    struct nd_relay_options options = options_of(1);
    struct nd_relay *relay = NULL;
    struct nd_streams_helper helper = {.program = "/no/such/program", .folder = folder};

    make_folder();
    expect_code(nd_relay_open(&options, &relay), ND_NOT_FOUND);
    nd_streams_helper_end(folder, true); /* nobody to tell */
    expect_code(nd_streams_helper_start(&helper), ND_NOT_FOUND);
    helper.program = "/bin/false";
    expect_code(nd_streams_helper_start(&helper), ND_INTERNAL);
    nd_streams_folder_remove(folder);
    expect_code(nd_relay_open(&options, &relay), ND_NOT_FOUND);
    return NULL;
}

/* A helper that answers whoever comes with these bytes, and hangs up. */
static pid_t
answer_with(const char *bytes, size_t len)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    pid_t pid;

    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", folder);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 4), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char hello[256];
        int peer;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        peer = accept(fd, NULL, NULL);
        (void)!recv(peer, hello, sizeof(hello), 0);
        if (len > 0)
            (void)!send(peer, bytes, len, MSG_NOSIGNAL);
        _exit(0);
    }
    close(fd);
    return pid;
}

IN_REAL_LOOP(helpers_that_talk_nonsense_are_an_error)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum nd_code code;
    } cases[] = {
        {"", 0, ND_NOT_FOUND},
        {"nonsense", 8, ND_INTERNAL},
        {"\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\0", 16, ND_INTERNAL},    /* BYE */
        {"\0\0\0\x43\0\0\0\0\0\0\0\0\0\0\0\0", 16, ND_INTERNAL},    /* END before WELCOME */
        {"\0\0\0\x46\0\0\0\0\x01\0\0\0\0\0\0\0", 16, ND_INTERNAL},  /* another version */
        {"\0\0\0\x46\0\0\0\0\x02\0\0\0\0\0\0\0", 16, ND_EXHAUSTED}, /* too many */
        {"\0\0\0\x46\0\0\0\0\x03\0\0\0\0\0\0\0", 16, ND_INTERNAL},
        {"\0\0\0\x46\0\0\0\0\x04\0\0\0\0\0\0\0", 16, ND_INVALID}, /* stdout beyond */
        {"\0\0\0\x46\0\0\0\0\x05\0\0\0\0\0\0\0", 16, ND_INVALID}, /* stderr beyond */
        {"\0\0\0\x40\x20\0\0\0\0\0\0\0\0\0\0\0"
         "\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
         48, ND_INTERNAL}, /* WELCOME of another version */
    };
    const struct nd_relay_options options = options_of(1);

    for (size_t i = 0; i < ND_LEN(cases); i++) {
        struct nd_relay *relay = NULL;
        pid_t pid;

        make_folder();
        pid = answer_with(cases[i].bytes, cases[i].len);
        expect_code(nd_relay_open(&options, &relay), cases[i].code);
        assert_null(relay);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        nd_streams_folder_remove(folder);
    }
    return NULL;
}

IN_REAL_LOOP(a_helper_that_says_nothing_costs_the_deadline)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    const struct nd_relay_options options = options_of(1);
    struct nd_relay *relay = NULL;

    make_folder();
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", folder);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 4), 0);
    {
        ND_DEADLINE_IN(20 * ND_MILLISECOND);
        expect_code(nd_relay_open(&options, &relay), ND_DEADLINE);
    }
    close(fd);
    nd_streams_folder_remove(folder);
    return NULL;
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_with_a_helper_from_start_to_end),
        cmocka_unit_test(a_helper_is_joined_when_nobody_may_come_back),
        cmocka_unit_test(a_helper_is_joined_also_when_it_has_no_room),
        cmocka_unit_test(a_helper_that_was_never_needed_is_told_to_end),
        cmocka_unit_test(nobody_there_is_not_found),
        cmocka_unit_test(helpers_that_talk_nonsense_are_an_error),
        cmocka_unit_test(a_helper_that_says_nothing_costs_the_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
