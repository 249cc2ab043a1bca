/*
 * A connection to a helper. A message of the socket is a frame, so there is nothing to put
 * together: wait until the socket is ready, receive or send one. Waiting for both at once takes two
 * descriptors, because one can have one waiter only.
 */

#include "stream/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fiber/stream.h"
#include "fiber/sync.h"

#define CONNECT_TRIES    50u
#define CONNECT_PAUSE_NS (10 * ND_MILLISECOND) /* while more come than it accepts */

struct nd_relay {
    int fd;       /* to receive */
    int sender;   /* the same socket, to send */
    bool sending; /* somebody waits until it can be sent; the others wait for that */
    struct nd_cond can_send;
    struct nd_wire_welcome welcome;
    char frame[ND_WIRE_FRAME_MAX];
};

const struct nd_wire_welcome *
nd_relay_welcome(const struct nd_relay *relay)
{
    return &relay->welcome;
}

void
nd_relay_close(struct nd_relay *relay)
{
    if (relay == NULL)
        return;
    nd_closep(&relay->fd);
    nd_closep(&relay->sender);
    nd_free(relay);
}

void
nd_relay_closep(struct nd_relay **relay)
{
    nd_relay_close(*relay);
}

static struct nd_error *
not_there(void)
{
    return nd_error_new(ND_NOT_FOUND, "no helper serves the standard streams");
}

static struct nd_error *
is_gone(void)
{
    return nd_error_reason(
        nd_error_new(ND_UNAVAILABLE, "the helper of the standard streams has gone"),
        "STREAMS_GONE");
}

static struct nd_error *
is_silent(void)
{
    struct nd_error *err =
        nd_error_new(ND_UNAVAILABLE, "the helper of the standard streams does not answer");

    return nd_error_hint(
        nd_error_reason(err, "STREAMS_SILENT"),
        "it may be stopped, or the host overloaded; its log can be read all the same");
}

/* The folder's path may be too long for a socket's. */
static int
connect_once(const char *folder, int fd)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    ND_AUTO(nd_closep) int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return errno;
    snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/socket", dir);
    return connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? errno : 0;
}

static struct nd_error *
connect_to(const char *folder, int fd)
{
    int errnum = connect_once(folder, fd);

    for (unsigned i = 0; errnum == EAGAIN && i < CONNECT_TRIES; i++) {
        ND_TRY(nd_fiber_sleep(CONNECT_PAUSE_NS));
        errnum = connect_once(folder, fd);
    }
    if (errnum == ENOENT || errnum == ECONNREFUSED || errnum == ENOTDIR)
        return not_there();
    if (errnum == EAGAIN)
        return is_silent();
    if (errnum != 0)
        return nd_error_errno(errnum, "connect to the helper in %s", folder);
    return NULL;
}

static struct nd_error *
beyond(const char *field)
{
    return nd_error_field(field, "is beyond what was written");
}

static struct nd_error *
refused(uint64_t why)
{
    if (why == ND_WIRE_STDOUT_BEYOND)
        return beyond("stdout_offset");
    if (why == ND_WIRE_STDERR_BEYOND)
        return beyond("stderr_offset");
    if (why == ND_WIRE_TOO_MANY)
        return nd_error_reason(
            nd_error_new(ND_EXHAUSTED, "too many are attached to this process already"),
            "TOO_MANY_ATTACHED");
    if (why == ND_WIRE_BAD_VERSION)
        return nd_error_new(ND_INTERNAL, "the helper of this process is of another version");
    return nd_error_new(ND_INTERNAL, "the helper of this process did not understand");
}

/* One frame; `*ret` is the frame, in the relay's buffer. */
static struct nd_error *
receive(struct nd_relay *relay, struct nd_str *ret)
{
    for (;;) {
        ssize_t n = recv(relay->fd, relay->frame, sizeof(relay->frame), MSG_DONTWAIT);

        if (n > 0) {
            *ret = nd_str_n(relay->frame, (size_t)n);
            return NULL;
        }
        if (n < 0 && (errno == ECONNRESET || errno == EINTR))
            continue; /* it went without reading all of ours: said once, what it said is still there */
        if (n == 0 || errno != EAGAIN)
            return is_gone();
        ND_TRY(nd_fd_wait(relay->fd, ND_FD_READ));
    }
}

struct nd_error *
nd_relay_next(struct nd_relay *relay, struct nd_relay_event *ret)
{
    struct nd_wire_header header;
    struct nd_str frame = ND_STR_NONE;

    ND_TRY(receive(relay, &frame));
    if (!nd_wire_get_header(frame, &header))
        return nd_error_new(ND_INTERNAL, "the helper does not speak its protocol");
    if (header.type == ND_WIRE_REFUSED)
        return refused(header.offset);
    if (header.type == ND_WIRE_WELCOME)
        nd_wire_get_welcome(frame, &relay->welcome);
    *ret = (struct nd_relay_event){.type = header.type,
                                   .stream = header.stream,
                                   .offset = header.offset,
                                   .bytes = nd_str_from(frame, ND_WIRE_HEADER)};
    return NULL;
}

/* Send what is ready, one after the other. */
static struct nd_error *
send_frame(struct nd_relay *relay, struct iovec *parts, size_t n)
{
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = n};

    for (;;) {
        struct nd_error *err;

        while (relay->sending)
            ND_TRY(nd_cond_wait(&relay->can_send));
        if (sendmsg(relay->sender, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return NULL;
        if (errno != EAGAIN && errno != EINTR)
            return is_gone();
        relay->sending = true;
        err = nd_fd_wait(relay->sender, ND_FD_WRITE);
        relay->sending = false;
        nd_cond_broadcast(&relay->can_send);
        ND_TRY(err);
    }
}

struct nd_error *
nd_relay_send(struct nd_relay *relay, enum nd_wire_type type, enum nd_wire_stream stream,
              uint64_t offset, struct nd_str bytes)
{
    const struct nd_wire_header header = {
        .type = type, .stream = stream, .len = (uint32_t)bytes.len, .offset = offset};
    char head[ND_WIRE_HEADER];
    struct iovec parts[] = {
        {.iov_base = head, .iov_len = sizeof(head)},
        {.iov_base = (void *)(uintptr_t)bytes.ptr, .iov_len = bytes.len},
    };

    nd_wire_put_header(head, &header);
    return send_frame(relay, parts, bytes.len > 0 ? 2 : 1);
}

static struct nd_error *
greet(struct nd_relay *relay, const struct nd_relay_options *options)
{
    struct nd_wire_hello hello = {
        .version = ND_WIRE_VERSION,
        .flags = (options->stdout_wanted ? ND_WIRE_WANTS_STDOUT : 0u) |
                 (options->stderr_wanted ? ND_WIRE_WANTS_STDERR : 0u),
        .hold_ms = options->hold_ms,
        .patience_ms = options->patience_ms,
        .from = {options->from[ND_WIRE_STDOUT], options->from[ND_WIRE_STDERR]},
    };
    char frame[ND_WIRE_HEADER + ND_WIRE_HELLO_PAYLOAD];
    struct iovec part = {.iov_base = frame};
    struct nd_relay_event event = {0};
    struct nd_error *err;

    memcpy(hello.session, options->session, sizeof(hello.session));
    part.iov_len = nd_wire_put_hello(frame, &hello);
    err = send_frame(relay, &part, 1);
    if (nd_error_code(err) != ND_UNAVAILABLE)
        ND_TRY(err);
    nd_error_free(err); /* it has turned us away already: what it said is there to be read */
    ND_TRY(nd_relay_next(relay, &event));
    if (event.type != ND_WIRE_WELCOME || relay->welcome.version != ND_WIRE_VERSION)
        return nd_error_new(ND_INTERNAL, "the helper does not speak its protocol");
    return NULL;
}

/* One that ends just when somebody comes has gone before; one that is stopped is there. */
static struct nd_error *
greet_in_time(struct nd_relay *relay, const struct nd_relay_options *options)
{
    struct nd_error *err;

    {
        ND_DEADLINE_IN(ND_RELAY_ANSWER_NS);
        err = greet(relay, options);
    }
    if (nd_error_code(err) != ND_DEADLINE && nd_error_code(err) != ND_UNAVAILABLE)
        return err;
    if (nd_error_code(err) == ND_UNAVAILABLE) {
        nd_error_free(err);
        return not_there();
    }
    nd_error_free(err);
    ND_TRY(nd_ctx_check()); /* the caller's time may be over, too */
    return is_silent();
}

struct nd_error *
nd_relay_open(const struct nd_relay_options *options, struct nd_relay **ret)
{
    ND_AUTO(nd_relay_closep) struct nd_relay *relay = nd_new(struct nd_relay);

    relay->sender = -1;
    relay->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (relay->fd < 0)
        return nd_error_errno(errno, "make a socket");
    ND_TRY(connect_to(options->folder, relay->fd));
    relay->sender = fcntl(relay->fd, F_DUPFD_CLOEXEC, 3);
    if (relay->sender < 0)
        return nd_error_errno(errno, "make a socket");
    ND_TRY(greet_in_time(relay, options));
    *ret = ND_TAKE(relay);
    return NULL;
}
