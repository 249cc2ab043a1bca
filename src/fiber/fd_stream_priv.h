#ifndef FIBER_FD_STREAM_PRIV_H
#define FIBER_FD_STREAM_PRIV_H

#include <sys/socket.h>

#include "fiber/stream_io.h"

/*
 * A stream over a connected, non-blocking socket of ours. Takes `fd` on success; on failure it
 * stays the caller's. Context: fiber, loop.
 */
struct nd_error *nd_stream_from_socket(int fd, struct nd_stream **ret) ND_CHECK_RESULT;

/*
 * What every TCP connection gets: no delay for small writes, and an end when the other side does
 * not answer any more (a host that lost its power says no goodbye).
 */
void nd_socket_set_tcp(int fd);

/* What the kernel says about the other end of a socket. */
struct nd_peer nd_peer_of_socket(int fd);

/* Fill in a socket address. Fails: ND_INVALID when it does not fit. */
struct nd_error *nd_addr_to_unix(const struct nd_addr *addr, struct sockaddr_storage *ret,
                                 socklen_t *ret_len) ND_CHECK_RESULT;

/* "unix:/run/x.sock", "host:80": for messages. */
#define ND_ADDR_TEXT_SIZE 280
const char *nd_addr_text(const struct nd_addr *addr, char dst[ND_ADDR_TEXT_SIZE]);

/*
 * Resolve a TCP address on a thread. *ret is a list for freeaddrinfo(). `flags` as in addrinfo.
 * Fails: ND_UNAVAILABLE. Context: fiber.
 */
struct addrinfo;
struct nd_error *nd_addr_resolve(const struct nd_addr *addr, int flags,
                                 struct addrinfo **ret) ND_CHECK_RESULT;
void nd_addrinfo_freep(struct addrinfo **list);

/*
 * Connect to one address of a list that is not empty: the first that answers. Fails:
 * ND_UNAVAILABLE, ND_DENIED, ND_EXHAUSTED (descriptors, fibers); as the one that failed last.
 * Context: fiber.
 */
struct nd_error *nd_dial_first(const struct addrinfo *list, struct nd_stream **ret) ND_CHECK_RESULT;

#endif
