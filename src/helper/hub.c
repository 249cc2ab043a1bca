/*
 * The hub: sockets on one side, spools and standard input on the other.
 *
 *     pipes ──▶ spool ──▶ session ──▶ socket        read only as far as the slowest one allows,
 *                 │  └──▶ session ──▶ socket        unless that one's patience is over
 *     FIFO  ◀── pending of each session ◀── socket
 *
 * What is to be sent follows from what was sent: there are no queues, so a peer that does not read
 * costs nothing but its slot. A frame is one message of the socket, so it is sent whole or not at
 * all.
 *
 * Who counts for the room in a spool: sessions that want the stream, are attached or held, and are
 * not behind. What the table of sessions decides is in sessions.c.
 */

#include "hub.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

#include "sessions.h"

#define SOCKET_NAME "socket"
#define SOCKET_NEW  "socket.new"
#define BACKLOG     16
#define SENDS_MAX   16u /* frames for one session before the others have their turn */

static char spool_memory[ND_WIRE_STREAMS][ND_HELPER_SPOOL_BYTES] __attribute__((__aligned__(4096)));

/* The path of a socket is limited to 107 bytes, that of a folder is not. */
static int
bind_in(int folder, int fd)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" SOCKET_NEW, folder);
    (void)unlinkat(folder, SOCKET_NEW, 0);
    return bind(fd, (const struct sockaddr *)&addr, sizeof(addr));
}

/* Bound aside and renamed: who finds the socket finds one that listens. */
static int
open_listener(struct hub *h)
{
    ND_AUTO(nd_closep)
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat st;

    if (fd < 0 || bind_in(h->folder, fd) < 0 || listen(fd, BACKLOG) < 0 ||
        fstatat(h->folder, SOCKET_NEW, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        renameat(h->folder, SOCKET_NEW, h->folder, SOCKET_NAME) < 0)
        return -1;
    h->inode = st.st_ino;
    return ND_TAKE_FD(fd);
}

/* Opened for both, it is open whether or not there is a reader, and never breaks. */
static int
open_input(int folder)
{
    ND_AUTO(nd_closep)
    int fd = openat(folder, "stdin", O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
        return -1;
    return ND_TAKE_FD(fd);
}

void
hub_open(struct hub *h, const char *folder, bool is_terminal)
{
    *h = (struct hub){.folder = -1, .listener = -1, .input = -1, .is_terminal = is_terminal};
    for (size_t i = 0; i < ND_WIRE_STREAMS; i++)
        h->spools[i] = (struct spool){.ring = spool_memory[i], .cap = ND_HELPER_SPOOL_BYTES};
    for (size_t i = 0; i < ND_LEN(h->sessions); i++)
        h->sessions[i].fd = -1;
    (void)mkdir(folder, 0700);
    h->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (h->folder < 0)
        return;
    h->listener = open_listener(h);
    h->input = open_input(h->folder);
    h->has_input = h->input >= 0;
}

bool
hub_is_there(const struct hub *h)
{
    struct stat st;

    return h->listener >= 0 && fstatat(h->folder, SOCKET_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           st.st_ino == h->inode;
}

bool
hub_is_replaced(const struct hub *h)
{
    struct stat st;

    return h->listener >= 0 && fstatat(h->folder, SOCKET_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           st.st_ino != h->inode;
}

void
hub_let_go(struct hub *h, int64_t now_ns)
{
    sessions_let_go(h->sessions, now_ns);
    hub_send(h, now_ns);
}

void
hub_close(struct hub *h)
{
    if (hub_is_there(h))
        (void)unlinkat(h->folder, SOCKET_NAME, 0);
    nd_closep(&h->listener);
}

size_t
hub_poll(const struct hub *h, struct pollfd *ret)
{
    size_t n = 0;

    ret[n++] = (struct pollfd){.fd = h->listener, .events = POLLIN};
    ret[n++] = (struct pollfd){.fd = h->input_is_full ? h->input : -1, .events = POLLOUT};
    for (size_t i = 0; i < ND_LEN(h->sessions); i++) {
        const struct session *s = &h->sessions[i];

        ret[n++] =
            (struct pollfd){.fd = s->fd, .events = (short)(POLLIN | (s->is_full ? POLLOUT : 0))};
    }
    return n;
}

static bool
is_trusted(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static bool
send_frame(struct session *s, const struct nd_wire_header *header, const struct iovec *body,
           size_t n)
{
    char head[ND_WIRE_HEADER];
    struct iovec parts[3] = {{.iov_base = head, .iov_len = sizeof(head)}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = n + 1};
    ssize_t sent;

    nd_wire_put_header(head, header);
    for (size_t i = 0; i < n; i++)
        parts[i + 1] = body[i];
    sent = sendmsg(s->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    s->is_full = sent < 0; /* also when it is broken: then the next turn finds that */
    return sent >= 0;
}

static void
refuse(int fd, enum nd_wire_refusal why)
{
    const struct nd_wire_header header = {.type = ND_WIRE_REFUSED, .offset = why};
    struct session s = {.fd = fd};

    (void)send_frame(&s, &header, NULL, 0);
}

static void
accept_all(struct hub *h, int64_t now_ns)
{
    for (unsigned i = 0; i < BACKLOG; i++) {
        ND_AUTO(nd_closep)
        int fd = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct session *s;

        if (fd < 0)
            return;
        if (!is_trusted(fd))
            continue;
        s = sessions_free_slot(h->sessions);
        if (s == NULL) {
            refuse(fd, ND_WIRE_TOO_MANY);
            continue;
        }
        session_begin(s, ND_TAKE_FD(fd), now_ns);
    }
}

/* Take a frame of a session; an enum nd_wire_refusal, or 0. */
static unsigned
take_frame(struct hub *h, struct session **at, struct nd_str frame, int64_t now_ns)
{
    struct session *s = *at;
    struct nd_wire_header header;
    struct nd_wire_hello hello;
    struct nd_str body = nd_str_from(frame, ND_MIN(frame.len, (size_t)ND_WIRE_HEADER));

    if (!nd_wire_get_header(frame, &header) ||
        (header.type == ND_WIRE_HELLO) != (s->state == SESSION_NEW))
        return ND_WIRE_BAD_FRAME;
    switch (header.type) {
    case ND_WIRE_HELLO:
        nd_wire_get_hello(frame, &hello);
        return sessions_hello(h->sessions, at, &hello, h->spools, now_ns);
    case ND_WIRE_ACK:
        return session_ack(s, &h->spools[header.stream], header.stream, header.offset, now_ns);
    case ND_WIRE_INPUT:
        return h->input < 0 ? 0 : session_input(s, header.offset, body);
    case ND_WIRE_INPUT_END:
        return h->input < 0 ? 0 : session_input_end(s, header.offset);
    case ND_WIRE_BYE:
        session_leave(s, now_ns);
        return 0;
    case ND_WIRE_EXITED:
        h->exited = true;
        h->never_started = header.offset != 0;
        return 0;
    default:
        return ND_WIRE_BAD_FRAME;
    }
}

/*
 * Everything that one connection has sent, up to a bound; false when it is over. A HELLO may move
 * it to the slot of a session that was known, which `*at` becomes.
 */
static bool
receive(struct hub *h, struct session **at, int64_t now_ns)
{
    static char frame[ND_WIRE_HEADER + ND_WIRE_INPUT_WINDOW];

    for (unsigned i = 0; i < SENDS_MAX; i++) {
        struct iovec part = {.iov_base = frame, .iov_len = sizeof(frame)};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        ssize_t n = recvmsg((*at)->fd, &message, MSG_DONTWAIT);
        unsigned why;

        if (n < 0 && errno == ECONNRESET)
            continue; /* it left without reading all of ours; what it said is still there */
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        if (n == 0)
            return false;
        why = (message.msg_flags & MSG_TRUNC) != 0
                  ? ND_WIRE_BAD_FRAME
                  : take_frame(h, at, nd_str_n(frame, (size_t)n), now_ns);
        if (why != 0)
            refuse((*at)->fd, (enum nd_wire_refusal)why);
        if (why != 0 || (*at)->fd < 0)
            return why == 0;
    }
    return true;
}

/* Input that goes to the process, one session after the other. */
static void
write_input(struct hub *h)
{
    h->input_is_full = false;
    for (size_t i = 0; i < ND_LEN(h->sessions) && h->input >= 0 && !h->input_is_full; i++) {
        struct session *s = &h->sessions[(h->next_input + i) % ND_LEN(h->sessions)];

        while (s->pending_len > 0 && !h->input_is_full) {
            ssize_t n = write(h->input, s->pending + s->pending_at, s->pending_len);

            if (n > 0)
                session_took(s, (size_t)n);
            h->input_is_full = n <= 0;
        }
        if (s->input_ends && s->pending_len == 0)
            nd_closep(&h->input);
    }
    h->next_input++;
    if (h->input < 0 && h->has_input)
        sessions_drop_input(h->sessions);
}

void
hub_turn(struct hub *h, const struct pollfd *fds, size_t n, int64_t now_ns)
{
    for (size_t i = 2; i < n; i++) {
        struct session *s = &h->sessions[i - 2];

        if (fds[i].revents == 0 || s->fd != fds[i].fd || s->fd < 0)
            continue;
        if ((fds[i].revents & POLLOUT) != 0)
            s->is_full = false;
        if ((fds[i].revents & ~POLLOUT) != 0 && !receive(h, &s, now_ns))
            session_lost(s, now_ns);
    }
    if (n > 0 && fds[0].revents != 0)
        accept_all(h, now_ns);
    write_input(h);
}

static bool
send_welcome(const struct hub *h, struct session *s)
{
    char frame[ND_WIRE_HEADER + ND_WIRE_HELLO_PAYLOAD];
    const struct nd_wire_welcome welcome = {
        .version = ND_WIRE_VERSION,
        .flags = (h->has_input ? ND_WIRE_HAS_INPUT : 0u) |
                 (h->has_input && h->input < 0 ? ND_WIRE_INPUT_IS_CLOSED : 0u) |
                 (h->is_terminal ? ND_WIRE_IS_TERMINAL : 0u) | (s->resumed ? ND_WIRE_RESUMED : 0u),
        .taken = s->taken,
        .from = {s->out[ND_WIRE_STDOUT].sent, s->out[ND_WIRE_STDERR].sent},
    };
    size_t len = nd_wire_put_welcome(frame, &welcome);

    s->is_full = send(s->fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0;
    if (s->is_full)
        return false;
    s->greets = false;
    s->told = s->taken;
    s->told_closed = h->has_input && h->input < 0;
    return true;
}

static bool
send_data(struct session *s, const struct spool *spool, enum nd_wire_stream stream)
{
    uint64_t *sent = &s->out[stream].sent;
    struct iovec body[2];
    struct nd_wire_header header = {.type = ND_WIRE_DATA, .stream = stream, .offset = *sent};
    int n = spool_get(spool, *sent, ND_WIRE_DATA_MAX, body);

    for (int i = 0; i < n; i++)
        header.len += (uint32_t)body[i].iov_len;
    if (!send_frame(s, &header, body, (size_t)n))
        return false;
    *sent += header.len;
    return true;
}

/* The next frame of one stream. `*ret` says that there was one to send. */
static bool
send_stream(struct hub *h, struct session *s, enum nd_wire_stream stream, bool *ret)
{
    const struct spool *spool = &h->spools[stream];
    struct nd_wire_header header = {.stream = stream};

    if (!session_wants(s, stream))
        return true;
    if (s->out[stream].sent < spool->start) {
        header.type = ND_WIRE_GAP;
        header.offset = spool->start;
        *ret = true;
        if (!send_frame(s, &header, NULL, 0))
            return false;
        session_skip(s, stream, spool->start);
    } else if (s->out[stream].sent < spool->end) {
        *ret = true;
        return send_data(s, spool, stream);
    } else if (spool->ended && !s->out[stream].told_end) {
        header.type = ND_WIRE_END;
        header.offset = spool->end;
        *ret = true;
        if (!send_frame(s, &header, NULL, 0))
            return false;
        s->out[stream].told_end = true;
    }
    return true;
}

static bool
send_input_state(const struct hub *h, struct session *s)
{
    struct nd_wire_header header = {.type = ND_WIRE_TAKEN, .offset = s->taken};

    if (s->taken != s->told) {
        if (!send_frame(s, &header, NULL, 0))
            return false;
        s->told = s->taken;
    }
    if (h->has_input && h->input < 0 && !s->told_closed) {
        header.type = ND_WIRE_INPUT_CLOSED;
        if (!send_frame(s, &header, NULL, 0))
            return false;
        s->told_closed = true;
    }
    return true;
}

static void
send_to(struct hub *h, struct session *s)
{
    bool more = true;

    if (s->greets && !send_welcome(h, s))
        return;
    if (!send_input_state(h, s))
        return;
    for (unsigned i = 0; more && i < SENDS_MAX; i++) {
        more = false;
        for (unsigned stream = 0; stream < ND_WIRE_STREAMS; stream++) {
            if (!send_stream(h, s, (enum nd_wire_stream)stream, &more))
                return;
        }
    }
}

void
hub_send(struct hub *h, int64_t now_ns)
{
    for (size_t i = 0; i < ND_LEN(h->sessions); i++) {
        if (h->sessions[i].state == SESSION_ATTACHED && !h->sessions[i].is_full)
            send_to(h, &h->sessions[i]);
    }
    sessions_look(h->sessions, h->spools, now_ns);
}

int64_t
hub_wait_ns(const struct hub *h, int64_t now_ns)
{
    int64_t wait_ns = sessions_wait_ns(h->sessions, h->spools, now_ns);

    for (size_t i = 0; i < ND_LEN(h->sessions); i++) {
        const struct session *s = &h->sessions[i];

        /* Its turn was over before everything was sent. */
        if (s->state == SESSION_ATTACHED && !s->is_full && session_has_more(s, h->spools))
            wait_ns = 0;
    }
    return wait_ns;
}

size_t
hub_room(const struct hub *h, enum nd_wire_stream stream)
{
    return sessions_room(h->sessions, &h->spools[stream], stream);
}

void
hub_put(struct hub *h, enum nd_wire_stream stream, struct nd_str bytes, int64_t now_ns)
{
    sessions_will_grow(h->sessions, &h->spools[stream], stream, now_ns);
    spool_put(&h->spools[stream], bytes);
}

void
hub_end(struct hub *h, enum nd_wire_stream stream)
{
    h->spools[stream].ended = true;
}

bool
hub_has_company(const struct hub *h)
{
    for (size_t i = 0; i < ND_LEN(h->sessions); i++) {
        if (h->sessions[i].state == SESSION_ATTACHED && session_is_owed(&h->sessions[i]))
            return true;
    }
    return false;
}

bool
hub_is_needed(const struct hub *h)
{
    for (size_t i = 0; i < ND_LEN(h->sessions); i++) {
        if (session_is_owed(&h->sessions[i]))
            return true;
    }
    return false;
}
