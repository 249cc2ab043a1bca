/*
 * Connecting. A Unix socket answers at once, or says EAGAIN while its queue of waiting connections
 * is full, which is a reason to try again a little later. For TCP all addresses of the name are
 * tried in the order in which the resolver gives them; the error is that of the last one.
 */

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>

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

static struct nd_error *
dial_tcp(const struct nd_addr *addr, struct nd_stream **ret)
{
    ND_AUTO(nd_addrinfo_freep) struct addrinfo *list = NULL;
    struct nd_error *err = NULL;

    ND_TRY(nd_addr_resolve(addr, 0, &list));
    for (const struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        nd_error_free(err);
        err = dial_socket(at->ai_family, at->ai_addr, at->ai_addrlen, ret);
        if (err == NULL)
            return NULL;
        /* The end of the context is not a reason to try the next one. */
        if (nd_error_code(err) == ND_CANCELLED || nd_error_code(err) == ND_DEADLINE)
            return err;
    }
    return err != NULL ? err : nd_error_new(ND_UNAVAILABLE, "the name has no address");
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
