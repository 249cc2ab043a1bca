#ifndef FIBER_STREAM_H
#define FIBER_STREAM_H

/*
 * Byte streams: sockets, pipes, FIFOs, terminals, in-memory pairs; TLS and tunnels are built on the
 * same interface in net/ (fiber/stream_io.h). Here is what fibers use.
 *
 * Context of everything here: fiber, unless it says so. What waits also fails with ND_CANCELLED and
 * ND_DEADLINE; a stream that has failed tells its reader and its writer the same error.
 */

#include <sys/types.h>

#include "fiber/fiber.h"

struct nd_stream;

/* Who is at the other end, as the kernel says. */
enum nd_peer_kind { ND_PEER_NONE, ND_PEER_UNIX, ND_PEER_TCP, ND_PEER_MEMORY };
struct nd_peer {
    enum nd_peer_kind kind;
    uid_t uid; /* UNIX: SO_PEERCRED at accept or connect */
    gid_t gid;
    pid_t pid;
    char name[80]; /* for logs: "unix:/run/x.sock pid 12", "192.0.2.1:4711" */
};

/*
 * An address: "unix:///abs/path", "unix:/abs/path", "unix-abstract:name", "tcp://host:port",
 * "host:port", "dns:///host:port", "passthrough:///host:port", "ipv4:v4:port", "ipv6:[v6]:port",
 * "[v6]:port", or a bare absolute path (a Unix socket).
 */
struct nd_addr {
    enum nd_peer_kind kind; /* UNIX or TCP */
    char path[108];         /* UNIX; abstract names begin with '@' */
    char host[256];         /* TCP */
    uint16_t port;
};

/* Fails: ND_INVALID. Context: any. */
struct nd_error *nd_addr_parse(struct nd_str text, struct nd_addr *ret) ND_CHECK_RESULT;

/*
 * Connect. Host names are resolved on a thread (which is waited for, beyond the deadline too),
 * their addresses tried one after the other, without waiting long for one that is silent. Fails:
 * ND_UNAVAILABLE (refused, no such socket file, unreachable; the message names address and reason),
 * ND_DENIED (no permission for the socket file). Context: fiber.
 */
struct nd_error *nd_dial(const struct nd_addr *addr, struct nd_stream **ret) ND_CHECK_RESULT;

/*
 * Take over a descriptor: socket, pipe, FIFO, terminal, and files and devices that cannot be waited
 * for and are always ready. It becomes close-on-exec and non-blocking (what it was is restored at
 * the end: others may share it) and is closed with the stream. A FIFO ends when its last writer has
 * gone; as long as none was there, it waits.
 * Fails: ND_INVALID when it is none of these or is watched already; it stays the caller's then.
 * Context: fiber.
 */
struct nd_error *nd_stream_from_fd(int fd, struct nd_stream **ret) ND_CHECK_RESULT;

/* Two joined streams in memory, each direction holding `capacity` bytes. Context: fiber. */
void nd_stream_pair(size_t capacity, struct nd_stream **ret_a, struct nd_stream **ret_b);

/* At least 1 and at most `cap` bytes; *ret is 0 at the end. Context: fiber. */
struct nd_error *nd_stream_read(struct nd_stream *s, void *dst, size_t cap,
                                size_t *ret) ND_CHECK_RESULT;

/* Exactly `len` bytes. Fails: ND_DATA_LOSS when the end comes earlier. Context: fiber. */
struct nd_error *nd_stream_read_full(struct nd_stream *s, void *dst, size_t len) ND_CHECK_RESULT;

/* All of it. Fails: ND_UNAVAILABLE when the peer is gone. Context: fiber. */
struct nd_error *nd_stream_write(struct nd_stream *s, struct nd_str bytes) ND_CHECK_RESULT;

/* Half-close after what was written. Context: fiber. */
struct nd_error *nd_stream_shutdown(struct nd_stream *s) ND_CHECK_RESULT;

/* The other end; borrowed, lives as long as the stream. Context: any. */
const struct nd_peer *nd_stream_peer(const struct nd_stream *s);

/* Close at once, drop what was not written. NULL is fine. Context: fiber, loop. */
void nd_stream_close(struct nd_stream *s);
void nd_stream_closep(struct nd_stream **s);

/* Listening. */
struct nd_listener;
struct nd_listen_options {
    mode_t unix_mode; /* of the socket file; 0 means 0660 */
    uid_t unix_uid;   /* owner, when chown_unix */
    gid_t unix_gid;
    bool chown_unix;
};

/*
 * Bind and listen. A stale socket file (nobody answers) is replaced. `options` may be NULL. Port 0
 * takes a free one (nd_listener_addr()).
 * Fails: ND_EXISTS when somebody listens there already. Context: fiber.
 */
struct nd_error *nd_listener_open(const struct nd_addr *addr,
                                  const struct nd_listen_options *options,
                                  struct nd_listener **ret) ND_CHECK_RESULT;

/*
 * Take over a socket that listens already (socket activation). On failure it stays the caller's.
 * Fails: ND_INVALID when it is none. Context: fiber.
 */
struct nd_error *nd_listener_from_fd(int fd, struct nd_listener **ret) ND_CHECK_RESULT;

/* The next connection, the caller's. Waits while descriptors are exhausted. Context: fiber. */
struct nd_error *nd_listener_accept(struct nd_listener *l, struct nd_stream **ret) ND_CHECK_RESULT;

/* Where it listens, with the real port; borrowed. Context: any. */
const struct nd_addr *nd_listener_addr(const struct nd_listener *l);

/* Stop listening; a socket file of ours is removed. NULL is fine. Does not suspend. */
void nd_listener_close(struct nd_listener *l);
void nd_listener_closep(struct nd_listener **l);

/*
 * Wait until a descriptor is ready; it becomes non-blocking. A descriptor has one waiter at a time.
 * Fails: ND_INVALID when it cannot be waited for. Context: fiber.
 */
enum nd_fd_event { ND_FD_READ = 1, ND_FD_WRITE = 2 };
struct nd_error *nd_fd_wait(int fd, enum nd_fd_event event) ND_CHECK_RESULT;

#endif
