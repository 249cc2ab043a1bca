/*
 * Connecting. A Unix socket answers at once, or says EAGAIN while its queue of waiting connections
 * is full, which is a reason to try again a little later.
 *
 * For TCP the addresses of the name are tried in the order in which the resolver gives them, IPv6
 * and IPv4 in turn. An address may lead nowhere without anybody saying so: the next one does not
 * wait for its end, but begins a moment later, or at once when it has failed, and the first that
 * answers counts:
 *
 *     first   |----------------------------------------->  (no answer)
 *     second        |------> refused
 *     third                 |---> connected: the others are given up
 *
 * The error is that of the attempt that failed last. Follows: RFC 8305, contracts/grpc-wire.md 3.5.
 */

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>

#include "fiber/group.h"
#include "fiber/limits.h"
#include "fiber/sync.h"

#include "fd_stream_priv.h"

#define QUEUE_FULL_WAIT_NS (2 * ND_MILLISECOND)

static int
new_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Wait for the answer of a connect() under way; *ret is its errno. */
static struct nd_error *
await_answer(int fd, int *ret)
{
    int errnum = 0;
    socklen_t len = sizeof(errnum);

    ND_TRY(nd_fd_wait(fd, ND_FD_WRITE));
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &len) < 0)
        errnum = errno;
    *ret = errnum;
    return NULL;
}

/* *ret is the errno of the attempt, 0 when it is connected. */
static struct nd_error *
try_connect(int fd, const struct sockaddr *to, socklen_t len, int *ret)
{
    while (connect(fd, to, len) < 0) {
        if (errno == EINTR)
            continue;
        if (errno == EINPROGRESS)
            return await_answer(fd, ret);
        if (errno != EAGAIN) {
            *ret = errno;
            return NULL;
        }
        ND_TRY(nd_fiber_sleep(QUEUE_FULL_WAIT_NS));
    }
    *ret = 0;
    return NULL;
}

static struct nd_error *
connect_error(int errnum)
{
    struct nd_error *err = nd_error_errno(errnum, "connect");
    bool is_denied = errnum == EACCES || errnum == EPERM;

    return nd_error_recode(err, is_denied ? ND_DENIED : ND_UNAVAILABLE);
}

static struct nd_error *
dial_socket(int family, const struct sockaddr *to, socklen_t len, struct nd_stream **ret)
{
    ND_AUTO(nd_closep) int fd = new_socket(family);
    int errnum;

    if (fd < 0)
        return nd_error_errno(errno, "make a socket");
    ND_TRY(try_connect(fd, to, len, &errnum));
    if (errnum != 0)
        return connect_error(errnum);
    if (family != AF_UNIX)
        nd_socket_set_tcp(fd);
    ND_TRY(nd_stream_from_socket(fd, ret));
    fd = -1;
    return NULL;
}

static struct nd_error *
dial_unix(const struct nd_addr *addr, struct nd_stream **ret)
{
    struct sockaddr_storage to;
    socklen_t len;

    ND_TRY(nd_addr_to_unix(addr, &to, &len));
    return dial_socket(AF_UNIX, (const struct sockaddr *)&to, len, ret);
}

/* --- the addresses of a name --- */

struct attempt {
    struct race *race;
    const struct addrinfo *to;
};

struct race {
    struct attempt attempts[ND_DIAL_MAX_ADDRESSES];
    size_t n;
    size_t begun;
    size_t running;
    struct nd_stream *stream; /* the winner's */
    struct nd_error *err;     /* of the attempt that failed last */
    struct nd_cond ended;     /* an attempt has */
};

/* From `at` on, the first address of that family; or of another one. */
static const struct addrinfo *
find_family(const struct addrinfo *at, int family, bool wanted)
{
    while (at != NULL && (at->ai_family == family) != wanted)
        at = at->ai_next;
    return at;
}

static void
add_attempt(struct race *r, const struct addrinfo *to)
{
    if (to != NULL && r->n < ND_LEN(r->attempts))
        r->attempts[r->n++] = (struct attempt){r, to};
}

static void
put_in_turn(struct race *r, const struct addrinfo *list)
{
    const int family = list->ai_family;
    const struct addrinfo *same = list;
    const struct addrinfo *other = find_family(list, family, false);

    while (same != NULL || other != NULL) {
        add_attempt(r, same);
        add_attempt(r, other);
        same = same != NULL ? find_family(same->ai_next, family, true) : NULL;
        other = other != NULL ? find_family(other->ai_next, family, false) : NULL;
    }
}

static struct nd_error *
run_attempt(void *arg)
{
    const struct attempt *a = arg;
    struct race *r = a->race;
    struct nd_stream *stream = NULL;
    struct nd_error *err =
        dial_socket(a->to->ai_family, a->to->ai_addr, a->to->ai_addrlen, &stream);

    r->running--;
    if (err != NULL) {
        nd_error_free(r->err);
        r->err = err;
    } else if (r->stream == NULL) {
        r->stream = stream;
    } else {
        nd_stream_close(stream);
    }
    nd_cond_signal(&r->ended);
    return NULL;
}

/* Until an attempt has ended, or it is time for the next one. */
static struct nd_error *
await_attempt(struct race *r)
{
    struct nd_error *err;
    ND_DEADLINE_IN(r->begun < r->n ? ND_DIAL_STAGGER_NS : ND_FOR_EVER_NS);

    err = nd_cond_wait(&r->ended);
    if (nd_error_code(err) != ND_DEADLINE)
        return err;
    nd_error_free(err);
    return NULL;
}

static struct nd_error *
run_race(struct race *r)
{
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("connect", 0);

    while (r->stream == NULL && (r->begun < r->n || r->running != 0)) {
        ND_TRY(nd_ctx_check());
        if (r->begun < r->n) {
            ND_TRY(nd_group_spawn_now(group, run_attempt, &r->attempts[r->begun]));
            r->begun++;
            r->running++;
        }
        ND_TRY(await_attempt(r));
    }
    return NULL;
}

struct nd_error *
nd_dial_first(const struct addrinfo *list, struct nd_stream **ret)
{
    struct race r = {0};
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    if (list->ai_next == NULL)
        return dial_socket(list->ai_family, list->ai_addr, list->ai_addrlen, ret);
    put_in_turn(&r, list);
    err = run_race(&r);
    if (err == NULL && r.stream == NULL)
        err = ND_TAKE(r.err);
    nd_error_free(r.err);
    if (err != NULL) {
        nd_stream_close(r.stream);
        return ND_TAKE(err);
    }
    *ret = r.stream;
    return NULL;
}

static struct nd_error *
dial_tcp(const struct nd_addr *addr, struct nd_stream **ret)
{
    ND_AUTO(nd_addrinfo_freep) struct addrinfo *list = NULL;

    ND_TRY(nd_addr_resolve(addr, 0, &list));
    return nd_dial_first(list, ret);
}

struct nd_error *
nd_dial(const struct nd_addr *addr, struct nd_stream **ret)
{
    char text[ND_ADDR_TEXT_SIZE];
    struct nd_error *err;

    ND_TRY(nd_ctx_check());
    err = addr->kind == ND_PEER_UNIX ? dial_unix(addr, ret) : dial_tcp(addr, ret);
    return err != NULL ? nd_error_wrap(err, "%s", nd_addr_text(addr, text)) : NULL;
}
