/* Listening and dialling: Unix and TCP, who is there, stale files, modes, refusals. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fiber/group.h"
#include "fiber/limits.h"
#include "fiber/stream.h"

#include "fd_stream_priv.h"
#include "in_loop.h"

struct place {
    char dir[32];
    struct nd_addr addr;
};

static struct place
new_place(void)
{
    struct place p = {.dir = "/tmp/nd-test-XXXXXX", .addr = {.kind = ND_PEER_UNIX}};

    assert_non_null(mkdtemp(p.dir));
    snprintf(p.addr.path, sizeof(p.addr.path), "%s/s.sock", p.dir);
    return p;
}

static void
remove_place(const struct place *p)
{
    unlink(p->addr.path);
    assert_int_equal(rmdir(p->dir), 0);
}

static struct nd_error *
expect_echo(struct nd_listener *l, struct nd_peer *ret_dialled, struct nd_peer *ret_accepted)
{
    ND_AUTO(nd_stream_closep) struct nd_stream *a = NULL;
    ND_AUTO(nd_stream_closep) struct nd_stream *b = NULL;
    char buf[5];

    ND_TRY(nd_dial(nd_listener_addr(l), &a));
    ND_TRY(nd_listener_accept(l, &b));
    ND_TRY(nd_stream_write(a, ND_STR("hello")));
    ND_TRY(nd_stream_read_full(b, buf, 5));
    assert_memory_equal(buf, "hello", 5);
    ND_TRY(nd_stream_write(b, ND_STR("HELLO")));
    ND_TRY(nd_stream_read_full(a, buf, 5));
    assert_memory_equal(buf, "HELLO", 5);
    *ret_dialled = *nd_stream_peer(a);
    *ret_accepted = *nd_stream_peer(b);
    return NULL;
}

IN_LOOP(a_unix_socket_knows_its_peers)
{
    struct place p = new_place();
    ND_AUTO(nd_listener_closep) struct nd_listener *l = NULL;
    struct nd_peer dialled, accepted;
    char name[160];

    ND_TRY(nd_listener_open(&p.addr, NULL, &l));
    ND_TRY(expect_echo(l, &dialled, &accepted));
    assert_int_equal(accepted.kind, ND_PEER_UNIX);
    assert_int_equal(accepted.uid, getuid());
    assert_int_equal(accepted.gid, getgid());
    assert_int_equal(accepted.pid, getpid());
    assert_int_equal(dialled.kind, ND_PEER_UNIX);
    assert_int_equal(dialled.pid, getpid());
    snprintf(name, sizeof(name), "unix:%s pid %d", p.addr.path, (int)getpid());
    assert_string_equal(accepted.name, name);
    assert_string_equal(dialled.name, name);
    nd_listener_close(ND_TAKE(l));
    assert_int_equal(access(p.addr.path, F_OK), -1);
    remove_place(&p);
    return NULL;
}

IN_LOOP(an_abstract_socket_works_too)
{
    struct nd_addr addr = {.kind = ND_PEER_UNIX};
    ND_AUTO(nd_listener_closep) struct nd_listener *l = NULL;
    struct nd_listener *second = NULL;
    struct nd_peer dialled, accepted;

    snprintf(addr.path, sizeof(addr.path), "@nd-test-%d", (int)getpid());
    ND_TRY(nd_listener_open(&addr, NULL, &l));
    ND_TRY(expect_echo(l, &dialled, &accepted));
    assert_non_null(strstr(accepted.name, addr.path));
    expect_code(nd_listener_open(&addr, NULL, &second), ND_EXISTS);
    return NULL;
}

IN_LOOP(a_tcp_listener_takes_a_free_port_and_tells_it)
{
    static const char *const hosts[] = {"127.0.0.1", "", "localhost"};

    for (size_t i = 0; i < ND_LEN(hosts); i++) {
        struct nd_addr addr = {.kind = ND_PEER_TCP};
        ND_AUTO(nd_listener_closep) struct nd_listener *l = NULL;
        struct nd_listener *second = NULL;
        struct nd_peer dialled, accepted;

        snprintf(addr.host, sizeof(addr.host), "%s", hosts[i]);
        ND_TRY(nd_listener_open(&addr, NULL, &l));
        assert_true(nd_listener_addr(l)->port != 0);
        ND_TRY(expect_echo(l, &dialled, &accepted));
        assert_int_equal(accepted.kind, ND_PEER_TCP);
        assert_int_equal(dialled.kind, ND_PEER_TCP);
        if (i == 0)
            assert_memory_equal(accepted.name, "127.0.0.1:", 10);
        expect_code(nd_listener_open(nd_listener_addr(l), NULL, &second), ND_EXISTS);
    }
    return NULL;
}

static int
get_option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    return getsockopt(fd, level, name, &value, &len) == 0 ? value : -1;
}

IN_LOOP(both_ends_of_tcp_notice_a_peer_that_is_silent_for_ever)
{
    const struct nd_addr addr = {.kind = ND_PEER_TCP, .host = "127.0.0.1"};
    ND_AUTO(nd_listener_closep) struct nd_listener *l = NULL;
    ND_AUTO(nd_stream_closep) struct nd_stream *a = NULL;
    ND_AUTO(nd_stream_closep) struct nd_stream *b = NULL;
    unsigned n = 0;

    ND_TRY(nd_listener_open(&addr, NULL, &l));
    ND_TRY(nd_dial(nd_listener_addr(l), &a));
    ND_TRY(nd_listener_accept(l, &b));
    for (int fd = 3; fd < 1024; fd++) {
        if (get_option(fd, SOL_SOCKET, SO_DOMAIN) != AF_INET ||
            get_option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 0)
            continue;
        n++;
        assert_int_equal(get_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
        assert_int_equal(get_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), ND_TCP_IDLE_S);
        assert_int_equal(get_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), ND_TCP_UNANSWERED_MS);
        assert_int_equal(get_option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    }
    assert_int_equal(n, 2);
    return NULL;
}

IN_LOOP(the_socket_file_gets_the_mode_that_was_asked_whatever_the_umask)
{
    static const mode_t modes[] = {0600, 0660, 0666, 0777};
    mode_t before = umask(077);

    for (size_t i = 0; i < ND_LEN(modes); i++) {
        struct place p = new_place();
        struct nd_listen_options options = {.unix_mode = modes[i], .unix_uid = getuid()};
        ND_AUTO(nd_listener_closep) struct nd_listener *l = NULL;
        struct stat st;

        options.unix_gid = getgid();
        options.chown_unix = true;
        ND_TRY(nd_listener_open(&p.addr, &options, &l));
        assert_int_equal(stat(p.addr.path, &st), 0);
        assert_int_equal(st.st_mode & 07777, modes[i]);
        nd_listener_close(ND_TAKE(l));
        remove_place(&p);
    }
    umask(before);
    return NULL;
}

/* What a daemon that was killed leaves behind. */
static void
leave_stale(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    assert_int_equal(listen(fd, 1), 0);
    close(fd);
}

IN_LOOP(a_stale_socket_is_replaced_and_a_live_one_is_not)
{
    struct place p = new_place();
    ND_AUTO(nd_listener_closep) struct nd_listener *l = NULL;
    struct nd_listener *second = NULL;
    struct nd_peer dialled, accepted;

    leave_stale(p.addr.path);
    ND_TRY(nd_listener_open(&p.addr, NULL, &l));
    expect_code(nd_listener_open(&p.addr, NULL, &second), ND_EXISTS);
    {
        ND_AUTO(nd_stream_closep) struct nd_stream *probe = NULL;

        /* The probe of the second one has to be taken first. */
        ND_TRY(nd_listener_accept(l, &probe));
    }
    ND_TRY(expect_echo(l, &dialled, &accepted));
    nd_listener_close(ND_TAKE(l));
    remove_place(&p);
    return NULL;
}

IN_LOOP(what_is_not_a_socket_is_not_replaced)
{
    struct place p = new_place();
    struct nd_listener *l = NULL;
    int fd = open(p.addr.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, "precious", 8), 8);
    close(fd);
    expect_code(nd_listener_open(&p.addr, NULL, &l), ND_EXISTS);
    assert_int_equal(access(p.addr.path, F_OK), 0);
    remove_place(&p);
    return NULL;
}

IN_LOOP(the_file_of_a_successor_is_left_alone)
{
    struct place p = new_place();
    ND_AUTO(nd_listener_closep) struct nd_listener *first = NULL;
    ND_AUTO(nd_listener_closep) struct nd_listener *second = NULL;

    ND_TRY(nd_listener_open(&p.addr, NULL, &first));
    assert_int_equal(unlink(p.addr.path), 0);
    ND_TRY(nd_listener_open(&p.addr, NULL, &second));
    nd_listener_close(ND_TAKE(first));
    assert_int_equal(access(p.addr.path, F_OK), 0);
    nd_listener_close(ND_TAKE(second));
    remove_place(&p);
    return NULL;
}

IN_LOOP(dialling_nobody_is_unavailable_and_says_where)
{
    struct place p = new_place();
    struct nd_addr tcp = {.kind = ND_PEER_TCP, .host = "127.0.0.1"};
    struct nd_stream *s;
    struct nd_listener *l;
    struct nd_error *err = nd_dial(&p.addr, &s);

    assert_int_equal(nd_error_code(err), ND_UNAVAILABLE);
    assert_non_null(strstr(nd_error_message(err), p.addr.path));
    nd_error_free(err);
    leave_stale(p.addr.path);
    expect_code(nd_dial(&p.addr, &s), ND_UNAVAILABLE);

    /* A port that was free a moment ago. */
    ND_TRY(nd_listener_open(&tcp, NULL, &l));
    tcp.port = nd_listener_addr(l)->port;
    nd_listener_close(l);
    expect_code(nd_dial(&tcp, &s), ND_UNAVAILABLE);
    remove_place(&p);
    return NULL;
}

IN_LOOP(a_name_that_does_not_resolve_is_unavailable)
{
    struct nd_addr tcp = {.kind = ND_PEER_TCP, .host = "no-such-host.invalid", .port = 1};
    struct nd_stream *s;

    expect_code(nd_dial(&tcp, &s), ND_UNAVAILABLE);
    return NULL;
}

IN_LOOP(a_reset_connection_is_an_error_and_no_end)
{
    struct nd_addr addr = {.kind = ND_PEER_TCP, .host = "127.0.0.1"};
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    struct sockaddr_in to = {.sin_family = AF_INET};
    ND_AUTO(nd_listener_closep) struct nd_listener *l = NULL;
    ND_AUTO(nd_stream_closep) struct nd_stream *s = NULL;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char byte;
    size_t n = 4711;

    ND_TRY(nd_listener_open(&addr, NULL, &l));
    to.sin_port = htons(nd_listener_addr(l)->port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    ND_TRY(nd_listener_accept(l, &s));
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(fd);
    expect_code(nd_stream_read(s, &byte, 1, &n), ND_UNAVAILABLE);
    expect_code(nd_stream_read(s, &byte, 1, &n), ND_UNAVAILABLE);
    expect_code(nd_stream_write(s, ND_STR("x")), ND_UNAVAILABLE);
    assert_int_equal(n, 4711);
    return NULL;
}

static struct nd_error *
accept_one(void *arg)
{
    ND_AUTO(nd_stream_closep) struct nd_stream *s = NULL;

    return nd_listener_accept(arg, &s);
}

IN_LOOP(accepting_ends_with_cancelling_and_deadline)
{
    struct place p = new_place();
    ND_AUTO(nd_listener_closep) struct nd_listener *l = NULL;
    struct nd_peer dialled, accepted;
    ND_AUTO(nd_group_endp) struct nd_group *g = nd_group_begin("g", 0);

    ND_TRY(nd_listener_open(&p.addr, NULL, &l));
    ND_TRY(nd_group_spawn(g, accept_one, l));
    ND_TRY(nd_group_spawn(g, accept_one, l));
    ND_TRY(nd_fiber_sleep(ND_SECOND));
    nd_group_cancel(g);
    ND_TRY(nd_group_wait(g));
    {
        ND_DEADLINE_IN(ND_SECOND);
        expect_code(accept_one(l), ND_DEADLINE);
    }
    ND_TRY(expect_echo(l, &dialled, &accepted));
    nd_listener_close(ND_TAKE(l));
    remove_place(&p);
    return NULL;
}

IN_LOOP(dialling_ends_with_the_deadline)
{
    struct place p = new_place();
    struct nd_stream *s;
    ND_DEADLINE_IN(0);

    expect_code(nd_dial(&p.addr, &s), ND_DEADLINE);
    remove_place(&p);
    return NULL;
}

/* Some addresses of one name, on this host. */
struct addresses {
    struct addrinfo list[3];
    struct sockaddr_in at[3];
};

static void
make_addresses(struct addresses *a, const uint16_t *ports, size_t n)
{
    *a = (struct addresses){0};
    for (size_t i = 0; i < n; i++) {
        a->at[i].sin_family = AF_INET;
        a->at[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        a->at[i].sin_port = htons(ports[i]);
        a->list[i].ai_family = AF_INET;
        a->list[i].ai_addr = (struct sockaddr *)&a->at[i];
        a->list[i].ai_addrlen = sizeof(a->at[i]);
        a->list[i].ai_next = i + 1 < n ? &a->list[i + 1] : NULL;
    }
}

/* A port that answers nobody any more: its queue is full of connections that nobody takes. */
struct silence {
    int fds[4];
    uint16_t port;
};

static void
begin_silence(struct silence *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);

    for (size_t i = 0; i < ND_LEN(s->fds); i++) {
        s->fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(s->fds[i] >= 0);
    }
    assert_int_equal(bind(s->fds[0], (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(s->fds[0], 0), 0);
    assert_int_equal(getsockname(s->fds[0], (struct sockaddr *)&at, &len), 0);
    s->port = ntohs(at.sin_port);
    for (size_t i = 1; i < ND_LEN(s->fds); i++)
        assert_true(connect(s->fds[i], (struct sockaddr *)&at, len) == 0 || errno == EINPROGRESS);
}

static void
end_silence(const struct silence *s)
{
    for (size_t i = 0; i < ND_LEN(s->fds); i++)
        close(s->fds[i]);
}

IN_LOOP(a_silent_address_does_not_hold_up_the_next)
{
    const struct nd_addr any = {.kind = ND_PEER_TCP, .host = "127.0.0.1"};
    ND_AUTO(nd_listener_closep) struct nd_listener *l = NULL;
    ND_AUTO(nd_stream_closep) struct nd_stream *s = NULL;
    int64_t begun_ns = nd_loop_now().ns;
    struct silence silence;
    struct addresses a;
    char name[32];

    begin_silence(&silence);
    ND_TRY(nd_listener_open(&any, NULL, &l));
    make_addresses(&a, (uint16_t[]){silence.port, 1, nd_listener_addr(l)->port}, 3);
    ND_TRY(nd_dial_first(a.list, &s));
    snprintf(name, sizeof(name), "127.0.0.1:%u", nd_listener_addr(l)->port);
    assert_string_equal(nd_stream_peer(s)->name, name);
    /* of virtual time: one step for the silent one, none for the one that refuses */
    assert_true(nd_loop_now().ns - begun_ns >= ND_DIAL_STAGGER_NS);
    assert_true(nd_loop_now().ns - begun_ns < 2 * ND_DIAL_STAGGER_NS);
    end_silence(&silence);
    return NULL;
}

IN_LOOP(when_every_address_fails_the_error_is_the_last_ones)
{
    struct nd_stream *s = NULL;
    struct addresses a;

    make_addresses(&a, (uint16_t[]){1, 2, 3}, 3);
    expect_code(nd_dial_first(a.list, &s), ND_UNAVAILABLE);
    assert_null(s);
    return NULL;
}

static struct nd_error *
dial_addresses(void *arg)
{
    const struct addresses *a = arg;
    struct nd_stream *s = NULL;

    return nd_dial_first(a->list, &s);
}

IN_LOOP(dialling_silent_addresses_ends_with_deadline_and_cancelling)
{
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("dial", 0);
    size_t n_fibers = nd_loop_n_fibers();
    struct silence silence;
    struct addresses a;

    begin_silence(&silence);
    make_addresses(&a, (uint16_t[]){silence.port, silence.port}, 2);
    {
        ND_DEADLINE_IN(3 * ND_SECOND);
        expect_code(dial_addresses(&a), ND_DEADLINE);
    }
    ND_TRY(nd_group_spawn(group, dial_addresses, &a));
    ND_TRY(nd_fiber_sleep(ND_SECOND));
    assert_int_equal(nd_loop_n_fibers(), n_fibers + 3);
    nd_group_cancel(group);
    ND_TRY(nd_group_wait(group));
    assert_int_equal(nd_loop_n_fibers(), n_fibers);
    end_silence(&silence);
    return NULL;
}

static struct nd_error *
dial_and_wait(void *arg)
{
    ND_AUTO(nd_stream_closep) struct nd_stream *s = NULL;
    char byte;
    size_t n;

    ND_TRY(nd_dial(arg, &s));
    return nd_stream_read(s, &byte, 1, &n);
}

IN_LOOP(waiting_acceptors_share_the_connections)
{
    enum { N = 50 };
    struct place p = new_place();
    ND_AUTO(nd_listener_closep) struct nd_listener *l = NULL;
    ND_AUTO(nd_group_endp) struct nd_group *dialling = nd_group_begin_independent("d", 0);
    ND_AUTO(nd_group_endp) struct nd_group *accepting = nd_group_begin("a", 0);

    ND_TRY(nd_listener_open(&p.addr, NULL, &l));
    for (int i = 0; i < N; i++)
        ND_TRY(nd_group_spawn(accepting, accept_one, l));
    ND_TRY(nd_fiber_yield());
    for (int i = 0; i < N; i++)
        ND_TRY(nd_group_spawn(dialling, dial_and_wait, &p.addr));
    ND_TRY(nd_group_wait(accepting));
    nd_group_cancel(dialling);
    ND_TRY(nd_group_wait(dialling));
    nd_listener_close(ND_TAKE(l));
    remove_place(&p);
    return NULL;
}

IN_LOOP(a_listening_socket_can_be_taken_over)
{
    struct place p = new_place();
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ND_AUTO(nd_listener_closep) struct nd_listener *l = NULL;
    struct nd_peer dialled, accepted;

    snprintf(un.sun_path, sizeof(un.sun_path), "%s", p.addr.path);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    expect_code(nd_listener_from_fd(fd, &l), ND_INVALID);
    assert_int_equal(listen(fd, 5), 0);
    ND_TRY(nd_listener_from_fd(fd, &l));
    assert_string_equal(nd_listener_addr(l)->path, p.addr.path);
    ND_TRY(expect_echo(l, &dialled, &accepted));
    nd_listener_close(ND_TAKE(l));
    assert_int_equal(access(p.addr.path, F_OK), 0);
    remove_place(&p);
    return NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unix_socket_knows_its_peers),
        cmocka_unit_test(an_abstract_socket_works_too),
        cmocka_unit_test(a_tcp_listener_takes_a_free_port_and_tells_it),
        cmocka_unit_test(both_ends_of_tcp_notice_a_peer_that_is_silent_for_ever),
        cmocka_unit_test(the_socket_file_gets_the_mode_that_was_asked_whatever_the_umask),
        cmocka_unit_test(a_stale_socket_is_replaced_and_a_live_one_is_not),
        cmocka_unit_test(what_is_not_a_socket_is_not_replaced),
        cmocka_unit_test(the_file_of_a_successor_is_left_alone),
        cmocka_unit_test(dialling_nobody_is_unavailable_and_says_where),
        cmocka_unit_test(a_name_that_does_not_resolve_is_unavailable),
        cmocka_unit_test(a_reset_connection_is_an_error_and_no_end),
        cmocka_unit_test(accepting_ends_with_cancelling_and_deadline),
        cmocka_unit_test(dialling_ends_with_the_deadline),
        cmocka_unit_test(a_silent_address_does_not_hold_up_the_next),
        cmocka_unit_test(when_every_address_fails_the_error_is_the_last_ones),
        cmocka_unit_test(dialling_silent_addresses_ends_with_deadline_and_cancelling),
        cmocka_unit_test(waiting_acceptors_share_the_connections),
        cmocka_unit_test(a_listening_socket_can_be_taken_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
