/*
 * Writing to standard output from a fiber.
 *
 * The descriptor is shared with whoever started us, so it must not be made non-blocking: a shell
 * would suffer from that long after we are gone. Instead poll() says whether a pipe, socket or
 * terminal takes something now; the kernel then takes at least PIPE_BUF bytes without blocking, so
 * pieces are no larger. When nothing is taken, the fiber waits in the loop, where signals still
 * work. Files are always ready and get everything at once.
 */

#include "writer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fiber/stream.h"

#include "terminal.h"

void
nd_die_of_closed_pipe(void)
{
    nd_terminal_restore();
    (void)signal(SIGPIPE, SIG_DFL);
    (void)raise(SIGPIPE);
}

static bool
is_file(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return false;
    return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ||
           (S_ISCHR(st.st_mode) && isatty(fd) != 1); /* /dev/null */
}

static bool
is_ready(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    return poll(&p, 1, 0) != 0; /* an error shows in the write */
}

static struct nd_error *
write_piece(int fd, struct nd_str *rest, size_t most)
{
    ssize_t n = write(fd, rest->ptr, ND_MIN(rest->len, most));

    if (n < 0 && errno == EPIPE)
        nd_die_of_closed_pipe();
    if (n < 0 && errno == EAGAIN) /* somebody else has made it non-blocking */
        return nd_fd_wait(fd, ND_FD_WRITE);
    if (n < 0 && errno != EINTR)
        return nd_error_errno(errno, "write to standard %s",
                              fd == STDOUT_FILENO ? "output" : "error");
    *rest = nd_str_from(*rest, n < 0 ? 0 : (size_t)n);
    return NULL;
}

struct nd_error *
nd_write_all(int fd, struct nd_str bytes)
{
    bool file = is_file(fd);

    while (bytes.len > 0) {
        if (!file && !is_ready(fd))
            ND_TRY(nd_fd_wait(fd, ND_FD_WRITE));
        ND_TRY(write_piece(fd, &bytes, file ? SIZE_MAX : PIPE_BUF));
    }
    return NULL;
}
