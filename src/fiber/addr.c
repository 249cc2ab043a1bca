/*
 * Addresses: their text forms, socket addresses, names for logs, who is at the other end.
 *
 *     text                  kind   where
 *     unix:///run/x.sock    UNIX   path
 *     unix:/run/x.sock      UNIX   path
 *     /run/x.sock           UNIX   path
 *     unix-abstract:name    UNIX   "@name"
 *     tcp://host:port       TCP    host, port
 *     dns:///host:port      TCP    the same, and so for the other names that gRPC has for it
 *     host:port, [v6]:port  TCP    the same; an empty host is every address of this one
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

#include "fiber/work.h"

#include "fd_stream_priv.h"

/* --- parsing --- */

static bool
take_prefix(struct nd_str *text, struct nd_str prefix)
{
    if (!nd_str_starts(*text, prefix))
        return false;
    *text = nd_str_from(*text, prefix.len);
    return true;
}

static struct nd_error *
parse_path(struct nd_str path, struct nd_addr *ret)
{
    struct nd_addr addr = {.kind = ND_PEER_UNIX};

    if (!nd_str_starts(path, ND_STR("/")))
        return nd_error_new(ND_INVALID, "the path of a Unix socket must be absolute");
    ND_TRY(nd_str_copy(addr.path, sizeof(addr.path), path, "path of a Unix socket"));
    *ret = addr;
    return NULL;
}

static struct nd_error *
parse_abstract(struct nd_str name, struct nd_addr *ret)
{
    struct nd_addr addr = {.kind = ND_PEER_UNIX, .path = "@"};

    if (name.len == 0)
        return nd_error_new(ND_INVALID, "the name of an abstract socket is empty");
    ND_TRY(nd_str_copy(addr.path + 1, sizeof(addr.path) - 1, name, "abstract socket name"));
    *ret = addr;
    return NULL;
}

static bool
is_host_char(char c, bool is_v6)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.')
        return true;
    return is_v6 ? c == ':' || c == '%' : c == '-' || c == '_';
}

static struct nd_error *
check_host(struct nd_str host, bool is_v6)
{
    if (is_v6 && host.len == 0)
        return nd_error_new(ND_INVALID, "nothing between the brackets");
    for (size_t i = 0; i < host.len; i++) {
        if (!is_host_char(host.ptr[i], is_v6))
            return nd_error_new(ND_INVALID, "character %zu of the host name is not allowed", i + 1);
    }
    return NULL;
}

/* Split "host:port" or "[v6]:port". */
static struct nd_error *
split_host(struct nd_str text, struct nd_str *ret_host, struct nd_str *ret_port, bool *ret_is_v6)
{
    bool is_v6 = nd_str_starts(text, ND_STR("["));
    size_t end = is_v6 ? nd_str_find(text, ']') : nd_str_find(text, ':');
    size_t colon = is_v6 && end != SIZE_MAX ? end + 1 : end;

    if (end == SIZE_MAX || colon >= text.len || text.ptr[colon] != ':')
        return nd_error_new(ND_INVALID, "expected host:port or [v6 address]:port");
    *ret_host = nd_str_sub(text, is_v6, end - is_v6);
    *ret_port = nd_str_from(text, colon + 1);
    *ret_is_v6 = is_v6;
    return NULL;
}

static struct nd_error *
parse_tcp(struct nd_str text, struct nd_addr *ret)
{
    struct nd_addr addr = {.kind = ND_PEER_TCP};
    struct nd_str host, port_text;
    uint64_t port;
    bool is_v6;

    ND_TRY(split_host(text, &host, &port_text, &is_v6));
    ND_TRY(check_host(host, is_v6));
    ND_TRY(nd_str_copy(addr.host, sizeof(addr.host), host, "host name"));
    ND_TRY_DOING(nd_parse_u64(port_text, UINT16_MAX, &port), "port");
    addr.port = (uint16_t)port;
    *ret = addr;
    return NULL;
}

/* The first that fits. */
static const struct {
    struct nd_str prefix;
    struct nd_error *(*parse)(struct nd_str rest, struct nd_addr *ret);
} schemes[] = {
    {{"unix://", 7}, parse_path},
    {{"unix:", 5}, parse_path},
    {{"unix-abstract:", 14}, parse_abstract},
    {{"tcp://", 6}, parse_tcp},
    {{"dns:///", 7}, parse_tcp},
    {{"passthrough:///", 15}, parse_tcp},
    {{"ipv4:", 5}, parse_tcp},
    {{"ipv6:", 5}, parse_tcp},
};

static struct nd_error *
parse(struct nd_str text, struct nd_addr *ret)
{
    for (size_t i = 0; i < ND_LEN(schemes); i++) {
        if (take_prefix(&text, schemes[i].prefix))
            return schemes[i].parse(text, ret);
    }
    return nd_str_starts(text, ND_STR("/")) ? parse_path(text, ret) : parse_tcp(text, ret);
}

struct nd_error *
nd_addr_parse(struct nd_str text, struct nd_addr *ret)
{
    ND_TRY_DOING(parse(text, ret), "address \"%.*s\"", ND_STR_ARG(nd_str_sub(text, 0, 200)));
    return NULL;
}

/* --- socket addresses and names --- */

const char *
nd_addr_text(const struct nd_addr *addr, char dst[ND_ADDR_TEXT_SIZE])
{
    bool is_v6 = nd_str_find(nd_str(addr->host), ':') != SIZE_MAX;

    if (addr->kind == ND_PEER_UNIX)
        snprintf(dst, ND_ADDR_TEXT_SIZE, "unix:%s", addr->path);
    else
        snprintf(dst, ND_ADDR_TEXT_SIZE, is_v6 ? "[%s]:%u" : "%s:%u", addr->host, addr->port);
    return dst;
}

struct nd_error *
nd_addr_to_unix(const struct nd_addr *addr, struct sockaddr_storage *ret, socklen_t *ret_len)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t len = strnlen(addr->path, sizeof(addr->path));

    if (len == 0 || len >= sizeof(un.sun_path))
        return nd_error_new(ND_INVALID, "a Unix socket path of %zu bytes", len);
    memcpy(un.sun_path, addr->path, len);
    if (addr->path[0] == '@')
        un.sun_path[0] = '\0'; /* an abstract name ends with the address */
    *ret = (struct sockaddr_storage){0};
    memcpy(ret, &un, sizeof(un));
    *ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (addr->path[0] != '@'));
    return NULL;
}

struct resolving {
    const char *host; /* NULL: none */
    char port[8];
    struct addrinfo hints;
    struct addrinfo *list;
    int rc;
    int errnum;
};

static void
resolve(void *arg)
{
    struct resolving *r = arg;

    r->rc = getaddrinfo(r->host, r->port, &r->hints, &r->list);
    r->errnum = errno;
}

struct nd_error *
nd_addr_resolve(const struct nd_addr *addr, int flags, struct addrinfo **ret)
{
    struct resolving r = {
        .host = addr->host[0] != '\0' ? addr->host : NULL,
        .hints = {.ai_family = AF_UNSPEC,
                  .ai_socktype = SOCK_STREAM,
                  .ai_flags = flags | AI_NUMERICSERV},
    };

    snprintf(r.port, sizeof(r.port), "%u", addr->port);
    /* A numeric address needs nobody's answer, hence no thread. */
    r.hints.ai_flags |= AI_NUMERICHOST;
    resolve(&r);
    r.hints.ai_flags &= ~AI_NUMERICHOST;
    if (r.rc == EAI_NONAME)
        ND_TRY(nd_work(ND_WORK_SHORT, resolve, &r));
    if (r.rc != 0)
        return nd_error_new(ND_UNAVAILABLE, "resolve %s: %s", addr->host,
                            r.rc == EAI_SYSTEM ? strerrordesc_np(r.errnum) : gai_strerror(r.rc));
    *ret = r.list;
    return NULL;
}

void
nd_addrinfo_freep(struct addrinfo **list)
{
    if (*list != NULL)
        freeaddrinfo(ND_TAKE(*list));
}

/* --- the other end --- */

static void
name_unix(int fd, struct nd_peer *peer)
{
    struct sockaddr_un un = {0};
    socklen_t len = sizeof(un);
    const char *path = un.sun_path;

    /* The file is where the listener is: one of the two ends has its name. */
    if (getpeername(fd, (struct sockaddr *)&un, &len) < 0 || len <= sizeof(sa_family_t)) {
        len = sizeof(un);
        if (getsockname(fd, (struct sockaddr *)&un, &len) < 0)
            len = 0;
    }
    len = len > sizeof(sa_family_t) ? len - (socklen_t)sizeof(sa_family_t) : 0;
    if (len != 0 && path[0] == '\0')
        snprintf(peer->name, sizeof(peer->name), "unix:@%.*s pid %d", ND_MIN((int)len - 1, 48),
                 path + 1, (int)peer->pid);
    else
        snprintf(peer->name, sizeof(peer->name), "unix:%.*s pid %d", ND_MIN((int)len, 48), path,
                 (int)peer->pid);
}

static void
name_tcp(const struct sockaddr_storage *from, struct nd_peer *peer)
{
    char text[INET6_ADDRSTRLEN] = "?";
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;

    if (from->ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
        snprintf(peer->name, sizeof(peer->name), "%s:%u", text, ntohs(v4->sin_port));
    } else if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text, sizeof(text));
        snprintf(peer->name, sizeof(peer->name), "%s:%u", text, ntohs(v6->sin6_port));
    } else {
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
        snprintf(peer->name, sizeof(peer->name), "[%s]:%u", text, ntohs(v6->sin6_port));
    }
}

struct nd_peer
nd_peer_of_socket(int fd)
{
    struct nd_peer peer = {.kind = ND_PEER_NONE, .name = "socket"};
    struct sockaddr_storage from = {0};
    socklen_t len = sizeof(from);
    struct ucred cred;

    if (getpeername(fd, (struct sockaddr *)&from, &len) < 0)
        return peer;
    if (from.ss_family == AF_INET || from.ss_family == AF_INET6) {
        peer.kind = ND_PEER_TCP;
        name_tcp(&from, &peer);
        return peer;
    }
    len = sizeof(cred);
    if (from.ss_family != AF_UNIX || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return peer;
    peer.kind = ND_PEER_UNIX;
    peer.uid = cred.uid;
    peer.gid = cred.gid;
    peer.pid = cred.pid;
    name_unix(fd, &peer);
    return peer;
}
