/*
 * Listening on Unix sockets and TCP ports.
 *
 * A socket file outlives its process. When the name is taken, a connection is tried: an answer
 * means that somebody is there, a refusal that the file is stale and may be replaced. Between
 * bind() and listen() nobody can connect, and until then the file gets its owner and mode: it is
 * created without any permission (the mode of the socket is set before bind(), for the umask
 * belongs to the whole process) and opened last.
 *
 * The file is removed at the end only if it is still the one that was made here.
 */

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "fiber/limits.h"
#include "fiber/sync.h"

#include "fd_stream_priv.h"
#include "watch_priv.h"

#define DEFAULT_UNIX_MODE      0660
#define NO_DESCRIPTORS_WAIT_NS (100 * ND_MILLISECOND)

struct nd_listener {
    struct nd_addr addr;
    int fd;
    struct nd_watch *watch;
    struct nd_cond arrived;
    bool owns_file;
    dev_t dev; /* of the socket file */
    ino_t ino;
};

static void
on_event(void *arg, unsigned events)
{
    struct nd_listener *l = arg;

    (void)events;
    /* One that accepts looks until nothing is left; with nobody there, wait to be asked again. */
    if (!l->arrived.ready || TAILQ_EMPTY(&l->arrived.waiters))
        nd_watch_set(l->watch, 0);
    else
        nd_cond_signal(&l->arrived);
}

static int
new_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Make a listener of a bound socket. Takes `*fd` on success. */
static struct nd_error *
finish(int *fd, const struct nd_addr *addr, struct nd_listener **ret)
{
    struct nd_listener *l = nd_new(struct nd_listener);
    struct nd_error *err = nd_watch_open(*fd, on_event, l, &l->watch);

    if (err != NULL) {
        nd_free(l);
        return err;
    }
    l->addr = *addr;
    l->fd = ND_TAKE_FD(*fd);
    if (addr->kind == ND_PEER_TCP)
        nd_socket_set_tcp(l->fd); /* what is accepted inherits it (tcp(7), socket(7)) */
    *ret = l;
    return NULL;
}

/* --- Unix --- */

/* Remove the file when nobody answers behind it. */
static struct nd_error *
clear_stale(const struct sockaddr_storage *at, socklen_t len, const char *path)
{
    ND_AUTO(nd_closep) int fd = new_socket(AF_UNIX);
    struct stat st;

    if (fd < 0)
        return nd_error_errno(errno, "make a socket");
    if (connect(fd, (const struct sockaddr *)at, len) == 0 || errno != ECONNREFUSED) {
        if (errno == ENOENT)
            return NULL;
        return nd_error_new(ND_EXISTS, "somebody listens there already");
    }
    if (path[0] == '@')
        return nd_error_new(ND_EXISTS, "the abstract name is taken");
    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return nd_error_new(ND_EXISTS, "the file is not a socket"); /* this too says "refused" */
    if (unlink(path) < 0 && errno != ENOENT)
        return nd_error_errno(errno, "remove the stale socket");
    nd_info("stale socket removed", ND_KV("path", path));
    return NULL;
}

static struct nd_error *
bind_unix(int fd, const struct sockaddr_storage *at, socklen_t len, const char *path)
{
    if (fchmod(fd, 0) < 0)
        return nd_error_errno(errno, "set the mode of a socket");
    if (bind(fd, (const struct sockaddr *)at, len) == 0)
        return NULL;
    if (errno != EADDRINUSE)
        return nd_error_errno(errno, "bind");
    ND_TRY(clear_stale(at, len, path));
    if (bind(fd, (const struct sockaddr *)at, len) < 0)
        return errno == EADDRINUSE ? nd_error_new(ND_EXISTS, "somebody was faster")
                                   : nd_error_errno(errno, "bind");
    return NULL;
}

static struct nd_error *
open_file(const char *path, const struct nd_listen_options *options)
{
    mode_t mode = options->unix_mode != 0 ? options->unix_mode : DEFAULT_UNIX_MODE;

    if (options->chown_unix && lchown(path, options->unix_uid, options->unix_gid) < 0)
        return nd_error_errno(errno, "set the owner of %s", path);
    if (chmod(path, mode) < 0)
        return nd_error_errno(errno, "set the mode of %s", path);
    return NULL;
}

static void
note_file(struct nd_listener *l)
{
    struct stat st;

    if (lstat(l->addr.path, &st) < 0)
        return;
    l->owns_file = true;
    l->dev = st.st_dev;
    l->ino = st.st_ino;
}

static struct nd_error *
listen_unix(const struct nd_addr *addr, const struct nd_listen_options *options,
            struct nd_listener **ret)
{
    ND_AUTO(nd_closep) int fd = new_socket(AF_UNIX);
    ND_AUTO(nd_listener_closep) struct nd_listener *l = NULL;
    struct sockaddr_storage at;
    socklen_t len;

    if (fd < 0)
        return nd_error_errno(errno, "make a socket");
    ND_TRY(nd_addr_to_unix(addr, &at, &len));
    ND_TRY(bind_unix(fd, &at, len, addr->path));
    ND_TRY(finish(&fd, addr, &l));
    if (addr->path[0] != '@') {
        note_file(l);
        ND_TRY(open_file(addr->path, options));
    }
    if (listen(l->fd, ND_LISTEN_BACKLOG) < 0)
        return nd_error_errno(errno, "listen");
    *ret = ND_TAKE(l);
    return NULL;
}

/* --- TCP --- */

static uint16_t
bound_port(int fd)
{
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof(at);

    if (getsockname(fd, (struct sockaddr *)&at, &len) < 0)
        return 0;
    if (at.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&at)->sin_port);
    return at.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&at)->sin6_port) : 0;
}

static struct nd_error *
listen_at(const struct nd_addr *addr, const struct addrinfo *at, struct nd_listener **ret)
{
    ND_AUTO(nd_closep) int fd = new_socket(at->ai_family);
    struct nd_addr real = *addr;
    const int on = 1;

    if (fd < 0)
        return nd_error_errno(errno, "make a socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, at->ai_addr, at->ai_addrlen) < 0 || listen(fd, ND_LISTEN_BACKLOG) < 0) {
        if (errno == EADDRINUSE)
            return nd_error_new(ND_EXISTS, "somebody listens there already");
        return nd_error_errno(errno, "bind");
    }
    real.port = bound_port(fd);
    return finish(&fd, &real, ret);
}

static struct nd_error *
listen_tcp(const struct nd_addr *addr, struct nd_listener **ret)
{
    ND_AUTO(nd_addrinfo_freep) struct addrinfo *list = NULL;
    struct nd_error *err = NULL;

    ND_TRY(nd_addr_resolve(addr, AI_PASSIVE, &list));
    for (const struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        nd_error_free(err);
        err = listen_at(addr, at, ret);
        /* A port that is taken is taken: on the name's other address nobody would look for us. */
        if (err == NULL || nd_error_code(err) == ND_EXISTS)
            return err;
    }
    return err != NULL ? err : nd_error_new(ND_UNAVAILABLE, "the name has no address");
}

/* --- both --- */

struct nd_error *
nd_listener_open(const struct nd_addr *addr, const struct nd_listen_options *options,
                 struct nd_listener **ret)
{
    static const struct nd_listen_options none = {0};
    char text[ND_ADDR_TEXT_SIZE];
    struct nd_error *err;

    ND_TRY(nd_ctx_check());
    if (addr->kind == ND_PEER_UNIX)
        err = listen_unix(addr, options != NULL ? options : &none, ret);
    else
        err = listen_tcp(addr, ret);
    return err != NULL ? nd_error_wrap(err, "listen on %s", nd_addr_text(addr, text)) : NULL;
}

/* The address of a socket that somebody else has bound. */
static struct nd_error *
addr_of_socket(int fd, struct nd_addr *ret)
{
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof(at);
    struct nd_addr addr = {.kind = ND_PEER_TCP};
    const char *path = (const char *)&at + offsetof(struct sockaddr, sa_data);
    size_t path_len;

    if (getsockname(fd, (struct sockaddr *)&at, &len) < 0)
        return nd_error_errno(errno, "descriptor %d", fd);
    if (at.ss_family == AF_UNIX) {
        addr.kind = ND_PEER_UNIX;
        path_len = ND_MIN((size_t)len - sizeof(sa_family_t), sizeof(addr.path) - 1);
        memcpy(addr.path, path, path_len);
        if (path_len != 0 && addr.path[0] == '\0')
            addr.path[0] = '@';
    } else if (getnameinfo((struct sockaddr *)&at, len, addr.host, sizeof(addr.host), NULL, 0,
                           NI_NUMERICHOST) != 0) {
        return nd_error_new(ND_INVALID, "descriptor %d: not a TCP or Unix socket", fd);
    }
    addr.port = bound_port(fd);
    *ret = addr;
    return NULL;
}

struct nd_error *
nd_listener_from_fd(int fd, struct nd_listener **ret)
{
    struct nd_addr addr;
    int listens = 0;
    socklen_t len = sizeof(listens);

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 || listens == 0)
        return nd_error_new(ND_INVALID, "descriptor %d does not listen", fd);
    ND_TRY(addr_of_socket(fd, &addr));
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return nd_error_errno(errno, "descriptor %d", fd);
    return finish(&fd, &addr, ret);
}

/* Nobody may be waiting for a connection that has gone, or been taken by another fiber. */
static bool
is_passing(int errnum)
{
    return errnum == EINTR || errnum == ECONNABORTED || errnum == EPROTO;
}

static struct nd_error *
await_connection(struct nd_listener *l, int errnum)
{
    if (is_passing(errnum))
        return NULL;
    if (errnum == EAGAIN) {
        nd_watch_set(l->watch, ND_FD_READ);
        return nd_cond_wait(&l->arrived);
    }
    if (errnum != EMFILE && errnum != ENFILE && errnum != ENOBUFS && errnum != ENOMEM)
        return nd_error_errno(errnum, "accept");
    nd_warn("no descriptor for a new connection", ND_KV("errno", errnum));
    return nd_fiber_sleep(NO_DESCRIPTORS_WAIT_NS);
}

struct nd_error *
nd_listener_accept(struct nd_listener *l, struct nd_stream **ret)
{
    ND_AUTO(nd_closep) int fd = -1;

    ND_TRY(nd_ctx_check());
    for (;;) {
        fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            break;
        ND_TRY(await_connection(l, errno));
    }
    ND_TRY(nd_stream_from_socket(fd, ret));
    fd = -1;
    return NULL;
}

const struct nd_addr *
nd_listener_addr(const struct nd_listener *l)
{
    return &l->addr;
}

static void
remove_file(const struct nd_listener *l)
{
    struct stat st;

    if (lstat(l->addr.path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
        unlink(l->addr.path);
}

void
nd_listener_close(struct nd_listener *l)
{
    if (l == NULL)
        return;
    nd_watch_close(l->watch);
    nd_closep(&l->fd);
    if (l->owns_file)
        remove_file(l);
    nd_free(l);
}

void
nd_listener_closep(struct nd_listener **l)
{
    nd_listener_close(ND_TAKE(*l));
}
