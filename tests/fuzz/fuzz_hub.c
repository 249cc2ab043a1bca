/*
 * Any frames from two peers, with output and time in between: no overrun, no byte sent twice,
 * sockets closed. The input is a list of steps: what to do, how much of what follows belongs to it,
 * that.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#include "sessions.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PEERS 2u

static char rings[ND_WIRE_STREAMS][4096];

static struct hub hub;

static void
begin(int peers[PEERS])
{
    hub = (struct hub){.folder = -1, .listener = -1, .input = -1};
    for (size_t i = 0; i < ND_WIRE_STREAMS; i++)
        hub.spools[i] = (struct spool){.ring = rings[i], .cap = sizeof(rings[i])};
    for (size_t i = 0; i < ND_LEN(hub.sessions); i++)
        hub.sessions[i].fd = -1;
    for (size_t i = 0; i < PEERS; i++) {
        int pair[2];

        ND_INVARIANT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) ==
                     0);
        peers[i] = pair[0];
        session_begin(sessions_free_slot(hub.sessions), pair[1], 0);
    }
}

static void
turn(int64_t now_ns)
{
    struct pollfd fds[HUB_POLL_MAX];
    size_t n = hub_poll(&hub, fds);

    ND_INVARIANT(poll(fds, (nfds_t)n, 0) >= 0);
    hub_turn(&hub, fds, n, now_ns);
    hub_send(&hub, now_ns);
    for (size_t i = 0; i < ND_WIRE_STREAMS; i++)
        ND_INVARIANT(hub.spools[i].end - hub.spools[i].start <= hub.spools[i].cap);
}

/* What a helper says is always well-formed. */
static void
drain(int fd)
{
    static char frame[ND_WIRE_FRAME_MAX];
    struct nd_wire_header header;
    ssize_t n;

    while ((n = recv(fd, frame, sizeof(frame), MSG_DONTWAIT)) > 0)
        ND_INVARIANT(nd_wire_get_header(nd_str_n(frame, (size_t)n), &header));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int peers[PEERS];
    int64_t now_ns = 0;

    begin(peers);
    while (size >= 3) {
        uint8_t what = data[0];
        size_t len = ND_MIN((size_t)data[1] | (size_t)data[2] << 8, size - 3);
        struct nd_str body = nd_str_n(data + 3, len);
        enum nd_wire_stream stream = (enum nd_wire_stream)(what >> 3 & 1);

        if ((what & 7) < PEERS)
            (void)!send(peers[what & 7], body.ptr, body.len, MSG_NOSIGNAL);
        else if ((what & 7) == 2)
            hub_put(&hub, stream, nd_str_sub(body, 0, hub_room(&hub, stream)), now_ns);
        else if ((what & 7) == 3)
            drain(peers[what >> 3 & 1]);
        else if ((what & 7) == 4)
            now_ns += (int64_t)len * ND_SECOND;
        else if ((what & 7) == 5)
            hub_end(&hub, stream);
        turn(now_ns);
        data += 3 + len;
        size -= 3 + len;
    }
    for (size_t i = 0; i < PEERS; i++) {
        drain(peers[i]);
        close(peers[i]);
    }
    for (size_t i = 0; i < ND_LEN(hub.sessions); i++)
        nd_closep(&hub.sessions[i].fd);
    return 0;
}
