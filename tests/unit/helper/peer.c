#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

int
connect_to(const char *folder)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/socket", dir);
    if (dir < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        close(fd);
        fd = -1;
    }
    if (dir >= 0)
        close(dir);
    return fd;
}

void
send_frame(struct peer *p, enum nd_wire_type type, enum nd_wire_stream stream, uint64_t offset,
           struct nd_str payload)
{
    char frame[ND_WIRE_FRAME_MAX];
    const struct nd_wire_header header = {
        .type = type, .stream = stream, .len = (uint32_t)payload.len, .offset = offset};

    nd_wire_put_header(frame, &header);
    if (payload.len > 0)
        memcpy(frame + ND_WIRE_HEADER, payload.ptr, payload.len);
    /* A peer that was refused finds that out by reading. */
    (void)!send(p->fd, frame, ND_WIRE_HEADER + payload.len, MSG_NOSIGNAL);
}

static void
greet(struct peer *p, const char *folder, struct hello hello)
{
    struct nd_wire_hello h = {
        .version = ND_WIRE_VERSION,
        .flags = hello.deaf ? 0 : ND_WIRE_WANTS_STDOUT | ND_WIRE_WANTS_STDERR,
        .hold_ms = hello.hold_ms,
        .patience_ms = hello.patience_ms,
        .from = {hello.from, hello.from == ND_WIRE_NOW ? ND_WIRE_NOW : hello.from_stderr},
    };
    char frame[ND_WIRE_HEADER + ND_WIRE_HELLO_PAYLOAD];
    size_t len;

    *p = (struct peer){.acks = true};
    for (size_t i = 0; i < ND_WIRE_STREAMS; i++)
        p->out[i] = ND_BUF_INIT(LOG_MAX);
    p->fd = connect_to(folder);
    assert_true(p->fd >= 0);
    memset(h.session, hello.session, sizeof(h.session));
    len = nd_wire_put_hello(frame, &h);
    assert_int_equal(send(p->fd, frame, len, MSG_NOSIGNAL), (ssize_t)len);
    while (p->welcome.version == 0 && next_frame(p))
        continue;
}

void
attach(struct peer *p, const char *folder, struct hello hello)
{
    greet(p, folder, hello);
    assert_int_equal(p->welcome.version, ND_WIRE_VERSION);
}

void
attach_in_vain(struct peer *p, const char *folder, struct hello hello)
{
    greet(p, folder, hello);
    assert_int_equal(p->welcome.version, 0);
    assert_int_not_equal(p->refused, 0);
}

static void
take_data(struct peer *p, const struct nd_wire_header *header, struct nd_str payload)
{
    assert_true(header->offset == p->at[header->stream]);
    nd_buf_put(&p->out[header->stream], payload);
    p->at[header->stream] += payload.len;
    if (p->acks)
        send_frame(p, ND_WIRE_ACK, header->stream, p->at[header->stream], ND_STR_NONE);
}

static void
take_frame(struct peer *p, struct nd_str frame)
{
    struct nd_wire_header header;
    struct nd_str payload = nd_str_from(frame, ND_WIRE_HEADER);

    assert_true(nd_wire_get_header(frame, &header));
    switch (header.type) {
    case ND_WIRE_WELCOME:
        nd_wire_get_welcome(frame, &p->welcome);
        p->at[0] = p->welcome.from[0];
        p->at[1] = p->welcome.from[1];
        p->taken = p->welcome.taken;
        break;
    case ND_WIRE_DATA:
        take_data(p, &header, payload);
        break;
    case ND_WIRE_GAP:
        assert_true(header.offset > p->at[header.stream]);
        p->lost[header.stream] += header.offset - p->at[header.stream];
        p->at[header.stream] = header.offset;
        break;
    case ND_WIRE_END:
        assert_true(header.offset == p->at[header.stream]);
        p->ended[header.stream] = true;
        break;
    case ND_WIRE_TAKEN:
        assert_true(header.offset >= p->taken);
        p->taken = header.offset;
        break;
    case ND_WIRE_INPUT_CLOSED:
        p->input_closed = true;
        break;
    case ND_WIRE_REFUSED:
        p->refused = (unsigned)header.offset;
        break;
    default:
        fail_msg("a helper does not say %d", (int)header.type);
    }
}

bool
next_frame(struct peer *p)
{
    char frame[ND_WIRE_FRAME_MAX];
    struct pollfd ready = {.fd = p->fd, .events = POLLIN};
    ssize_t n;

    assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
    n = recv(p->fd, frame, sizeof(frame), 0);
    if (n <= 0)
        return false;
    take_frame(p, nd_str_n(frame, (size_t)n));
    return true;
}

void
read_to_end(struct peer *p)
{
    while (!(p->ended[0] && p->ended[1]) && next_frame(p))
        continue;
}

void
read_until(struct peer *p, enum nd_wire_stream stream, size_t len)
{
    while (p->out[stream].len < len)
        assert_true(next_frame(p));
}

void
send_input(struct peer *p, uint64_t offset, struct nd_str bytes)
{
    while (bytes.len > 0) {
        uint64_t in_flight = offset - p->taken;
        size_t n = ND_MIN(bytes.len, ND_WIRE_INPUT_WINDOW - (size_t)in_flight);

        if (n == 0) {
            assert_true(next_frame(p));
            continue;
        }
        send_frame(p, ND_WIRE_INPUT, ND_WIRE_STDOUT, offset, nd_str_sub(bytes, 0, n));
        offset += n;
        bytes = nd_str_from(bytes, n);
    }
}

void
wait_gone(const char *folder)
{
    int64_t give_up = nd_mono_now().ns + PATIENCE_MS * ND_MILLISECOND;
    int fd;

    while ((fd = connect_to(folder)) >= 0) {
        close(fd);
        assert_true(nd_mono_now().ns < give_up);
        poll(NULL, 0, 1);
    }
}

void
detach(struct peer *p)
{
    close(p->fd);
    for (size_t i = 0; i < ND_WIRE_STREAMS; i++)
        nd_buf_fini(&p->out[i]);
}
