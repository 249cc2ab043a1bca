/*
 * Streams over descriptors: sockets, pipes, FIFOs, terminals, and files, which are always ready.
 *
 *     push -> write() at once -> what is left: queue -> write() when the kernel has room -> drain
 *     descriptor readable -> read() once into the loop's buffer -> on_bytes
 *
 * Reading is never tried before the kernel reports something: a FIFO without a writer would answer
 * with an end that is none. Once a writer was there, or for whatever else, a read of nothing is the
 * end of the stream (a terminal whose other side is gone says EIO, which is the same).
 *
 * The streams of network peers are paced: how much is read at once follows what the bytes before
 * have taken, the read itself and all that its reader does inside on_bytes. Those whose bytes have
 * taken long, and those that are new, are read when everything else has had its turn (loop.c).
 *
 * Stopping only notes that nobody wants bytes; the descriptor is left in the poll set until it has
 * something again, since one who stops mostly starts again soon and system calls are dear.
 *
 * Failures while writing are told later in the turn, not inside push(): the caller is not prepared
 * to be closed in the middle of its own call. Before they are, what the peer had said is read.
 *
 * A stream is freed by deferred work, so it may be closed inside any of its callbacks.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"

#include "fd_stream_priv.h"
#include "loop_priv.h"
#include "watch_priv.h"

#define KEEP_QUEUE_BYTES 16384 /* a drained queue larger than this gives its memory back */
#define LAST_READS       16 /* after a failed write, at most so many for what the peer had said */

struct fd_stream {
    struct nd_stream base;
    int fd;                 /* -1: the write-only descriptor was shut down */
    int old_flags;          /* to restore; -1: ours from birth */
    struct nd_watch *watch; /* NULL: always ready, or no descriptor any more */
    bool is_socket;
    bool is_file; /* always ready */
    bool is_char;
    bool can_read;
    bool can_write;
    bool flowing;
    bool ended;     /* on_end has been called */
    bool finishing; /* shut down after the queue */
    bool closed;
    bool drain_due;           /* bytes were dropped by the failure */
    struct nd_error *failure; /* to be told */
    bool paced;               /* it has its part of a turn, and no more */
    unsigned slow;            /* quick reads until it comes first again; 0: it does */
    size_t read_most;         /* bytes at once */
    size_t last_read;
    struct nd_buf queue;
    size_t sent; /* of the queue */
    struct nd_deferred later;
    struct nd_deferred late; /* slow: the read that is due */
};

static struct fd_stream *
of(struct nd_stream *base)
{
    return ND_CONTAINER_OF(base, struct fd_stream, base);
}

static size_t
unsent(const struct fd_stream *s)
{
    return s->queue.len - s->sent;
}

static void
clear_queue(struct fd_stream *s)
{
    s->sent = 0;
    if (s->queue.cap > KEEP_QUEUE_BYTES)
        nd_buf_fini(&s->queue);
    else
        nd_buf_clear(&s->queue);
}

/* errno of a read or write. A broken connection is the peer's doing: it is unavailable. */
static struct nd_error *
io_error(const struct fd_stream *s, int errnum, const char *doing)
{
    struct nd_error *err = nd_error_errno(errnum, "%s %s", doing, s->base.peer.name);

    return nd_error_recode(err, ND_UNAVAILABLE);
}

static void
fail(struct fd_stream *s, struct nd_error *err)
{
    s->drain_due = s->drain_due || unsent(s) != 0;
    clear_queue(s);
    s->base.failed = true;
    if (s->failure != NULL)
        nd_error_free(err);
    else
        s->failure = err;
    nd_deferred_add(&s->later);
}

static void
tell_end(struct fd_stream *s, struct nd_error *err)
{
    if (s->ended || s->base.reader.on_end == NULL) {
        nd_error_free(err);
        return;
    }
    s->ended = true;
    s->base.reader.on_end(s->base.reader.arg, err);
}

static void
tell_drain(struct fd_stream *s)
{
    if (!s->closed && s->base.on_drain != NULL)
        s->base.on_drain(s->base.drain_arg);
}

static bool
wants_bytes(const struct fd_stream *s)
{
    return s->flowing && !s->ended && !s->closed && s->can_read;
}

/* See that the descriptor is watched for what is wanted; see the top for why READ may stay. */
static void
update_watch(struct fd_stream *s)
{
    unsigned is, want;

    if (s->is_file && wants_bytes(s))
        nd_deferred_add(&s->later);
    if (s->watch == NULL)
        return;
    is = nd_watch_get(s->watch);
    want = is & ND_FD_READ;
    if (wants_bytes(s))
        want |= ND_FD_READ;
    if (unsent(s) != 0)
        want |= ND_FD_WRITE;
    nd_watch_set(s->watch, want);
}

/* --- reading --- */

/* The kernel tells an error once and says "end" from then on: nothing is read after it. */
static void
fail_reading(struct fd_stream *s, int errnum)
{
    s->can_read = false;
    fail(s, io_error(s, errnum, "read from"));
}

/* False when there was nothing to read. */
static bool
read_once(struct fd_stream *s)
{
    char *buf = nd_loop_read_buf(nd_loop_here());
    ssize_t n = read(s->fd, buf, s->read_most);

    s->last_read = n > 0 ? (size_t)n : 0;
    if (n > 0)
        s->base.reader.on_bytes(s->base.reader.arg, nd_str_n(buf, (size_t)n));
    else if (n == 0 || (errno == EIO && s->is_char))
        tell_end(s, NULL);
    else if (errno == EAGAIN || errno == EINTR)
        return false;
    else
        fail_reading(s, errno);
    return true;
}

/*
 * One turn belongs to all. Frames without content and names of headers take a thousand times as
 * long per byte as content does, so what is read at once depends on what the bytes before have
 * taken.
 */
static void
adapt(struct fd_stream *s, size_t n, int64_t took_ns)
{
    size_t most = s->read_most;

    if (took_ns > ND_STREAM_PACED_NS)
        most = (size_t)(ND_MIN(n, most) * (uint64_t)ND_STREAM_PACED_NS / (uint64_t)took_ns);
    else if (n >= most && took_ns < ND_STREAM_PACED_NS / 2)
        most *= 2;
    s->read_most = ND_MIN(ND_MAX(most, ND_STREAM_PACED_LEAST), ND_STREAM_PACED_MOST);
    if (took_ns >= ND_STREAM_PACED_NS / 2)
        s->slow = ND_STREAM_PACED_QUICK;
    else if (s->slow != 0)
        s->slow--;
}

static void
read_paced(struct fd_stream *s)
{
    int64_t begin_ns;

    if (!s->paced) {
        read_once(s);
        return;
    }
    begin_ns = nd_mono_now().ns;
    read_once(s);
    adapt(s, s->last_read, nd_mono_now().ns - begin_ns);
}

static void
read_late(void *arg)
{
    struct fd_stream *s = arg;

    if (!wants_bytes(s) || s->fd < 0)
        return;
    read_paced(s);
    if (!s->closed)
        update_watch(s);
}

static void
start(struct nd_stream *base)
{
    of(base)->flowing = true;
    update_watch(of(base));
}

static void
stop(struct nd_stream *base)
{
    of(base)->flowing = false;
}

/* --- writing --- */

static void
shut_down(struct fd_stream *s)
{
    s->finishing = false;
    if (s->is_socket) {
        shutdown(s->fd, SHUT_WR);
        return;
    }
    if (s->can_read || s->fd < 0)
        return; /* half of a terminal cannot be closed */
    nd_watch_close(ND_TAKE(s->watch));
    close(ND_TAKE_FD(s->fd));
}

static ssize_t
write_some(const struct fd_stream *s, struct nd_str bytes)
{
    ssize_t n;

    do
        n = s->is_socket ? send(s->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT)
                         : write(s->fd, bytes.ptr, bytes.len);
    while (n < 0 && errno == EINTR);
    return n;
}

/* How many of `bytes` were written before the kernel had no room, or the stream has failed. */
static size_t
write_now(struct fd_stream *s, struct nd_str bytes)
{
    size_t done = 0;

    while (done < bytes.len && !s->base.failed) {
        ssize_t n = write_some(s, nd_str_from(bytes, done));

        if (n >= 0)
            done += (size_t)n;
        else if (errno == EAGAIN)
            break;
        else
            fail(s, io_error(s, errno, "write to"));
    }
    return done;
}

static void
push(struct nd_stream *base, struct nd_str bytes)
{
    struct fd_stream *s = of(base);
    struct nd_error *err;

    if (base->failed || s->closed || bytes.len == 0)
        return;
    if (!s->can_write || s->finishing || s->fd < 0) {
        fail(s, nd_error_new(ND_INVALID, "write to %s: not open for writing", base->peer.name));
        return;
    }
    if (unsent(s) == 0)
        bytes = nd_str_from(bytes, write_now(s, bytes));
    if (base->failed || bytes.len == 0)
        return;
    err = nd_buf_add(&s->queue, bytes);
    if (err != NULL)
        fail(s, nd_error_wrap(err, "queue for %s", base->peer.name));
    else
        update_watch(s);
}

static void
flush(struct fd_stream *s)
{
    if (unsent(s) == 0)
        return;
    s->sent += write_now(s, nd_str_from(nd_buf_str(&s->queue), s->sent));
    if (s->base.failed)
        return;
    if (unsent(s) != 0) {
        /* Moving the rest to the front costs no more than what has been sent since. */
        if (s->sent > s->queue.len / 2) {
            nd_buf_drop(&s->queue, s->sent);
            s->sent = 0;
        }
        return;
    }
    clear_queue(s);
    if (s->finishing)
        shut_down(s);
    tell_drain(s);
}

static size_t
get_unsent(const struct nd_stream *base)
{
    return unsent((const struct fd_stream *)base);
}

static void
finish(struct nd_stream *base)
{
    struct fd_stream *s = of(base);

    if (s->base.failed || s->closed)
        return;
    if (unsent(s) == 0)
        shut_down(s);
    else
        s->finishing = true;
}

/* --- events --- */

static void
on_event(void *arg, unsigned events)
{
    struct fd_stream *s = arg;

    if ((events & ND_FD_WRITE) != 0)
        flush(s);
    if (s->closed || s->watch == NULL)
        return;
    if ((events & ND_FD_READ) != 0) {
        if (wants_bytes(s) && s->slow != 0)
            nd_deferred_add_late(&s->late);
        else if (wants_bytes(s))
            read_paced(s);
        else
            nd_watch_set(s->watch, nd_watch_get(s->watch) & ~(unsigned)ND_FD_READ);
    }
    if (!s->closed)
        update_watch(s);
}

static void
tell_failure(struct fd_stream *s)
{
    bool drain_due = s->drain_due;

    s->drain_due = false;
    for (int i = 0; i < LAST_READS && wants_bytes(s) && s->fd >= 0 && read_once(s); i++)
        continue;
    if (s->closed)
        return;
    tell_end(s, ND_TAKE(s->failure));
    if (drain_due)
        tell_drain(s);
}

static void
free_stream(struct fd_stream *s)
{
    nd_buf_fini(&s->queue);
    nd_error_free(s->failure);
    nd_free(s);
}

static void
do_later(void *arg)
{
    struct fd_stream *s = arg;

    if (s->closed) {
        free_stream(s);
    } else if (s->failure != NULL) {
        tell_failure(s);
    } else if (s->is_file && wants_bytes(s)) {
        read_once(s);
        if (!s->closed)
            update_watch(s);
    }
}

static void
close_stream(struct nd_stream *base)
{
    struct fd_stream *s = of(base);

    s->closed = true;
    nd_watch_close(ND_TAKE(s->watch));
    if (s->fd >= 0 && s->old_flags >= 0)
        fcntl(s->fd, F_SETFL, s->old_flags);
    nd_closep(&s->fd);
    nd_deferred_remove(&s->late);
    nd_deferred_add(&s->later);
}

static void
limit_unacked(struct nd_stream *base, int64_t ns)
{
    const int ms = (int)ND_MIN(ns / ND_MILLISECOND, (int64_t)INT_MAX);

    if (base->peer.kind == ND_PEER_TCP)
        setsockopt(of(base)->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

/* Who is new has to show first that it takes little. */
static void
pace(struct nd_stream *base)
{
    struct fd_stream *s = of(base);

    s->paced = true;
    s->slow = 1;
    s->read_most = ND_STREAM_PACED_FIRST;
}

/* --- making one --- */

static const struct nd_stream_ops fd_ops = {
    .start = start,
    .stop = stop,
    .write = push,
    .unsent = get_unsent,
    .shutdown = finish,
    .close = close_stream,
    .limit_unacked = limit_unacked,
    .pace = pace,
};

static struct fd_stream *
new_stream(int fd)
{
    struct fd_stream *s = nd_new(struct fd_stream);

    s->base.ops = &fd_ops;
    s->fd = fd;
    s->old_flags = -1;
    s->can_read = s->can_write = true;
    s->read_most = ND_STREAM_READ_BYTES;
    s->queue = ND_BUF_INIT(ND_STREAM_QUEUE_BYTES);
    s->later = (struct nd_deferred){.fn = do_later, .arg = s};
    s->late = (struct nd_deferred){.fn = read_late, .arg = s};
    return s;
}

void
nd_socket_set_tcp(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, ND_TCP_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, ND_TCP_PROBE_S},
        {IPPROTO_TCP, TCP_KEEPCNT, ND_TCP_PROBES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, ND_TCP_UNANSWERED_MS},
    };

    for (size_t i = 0; i < ND_LEN(options); i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

struct nd_error *
nd_stream_from_socket(int fd, struct nd_stream **ret)
{
    struct fd_stream *s = new_stream(fd);
    struct nd_error *err = nd_watch_open(fd, on_event, s, &s->watch);

    if (err != NULL) {
        nd_free(s);
        return err;
    }
    s->is_socket = true;
    s->base.peer = nd_peer_of_socket(fd);
    *ret = &s->base;
    return NULL;
}

/* Neither a regular file nor /dev/null and its like can be polled: they are always ready. */
static bool
is_always_ready(const struct stat *st, const struct nd_error *err)
{
    return S_ISREG(st->st_mode) || (S_ISCHR(st->st_mode) && nd_error_code(err) == ND_INVALID);
}

static struct nd_error *
watch_fd(struct fd_stream *s, const struct stat *st)
{
    struct nd_error *err = nd_watch_open(s->fd, on_event, s, &s->watch);

    if (err == NULL)
        return NULL;
    if (!is_always_ready(st, err))
        return err;
    nd_error_free(err);
    s->is_file = true;
    return NULL;
}

static const char *
kind_name(mode_t mode)
{
    if (S_ISFIFO(mode))
        return "pipe";
    return S_ISCHR(mode) ? "terminal" : "file";
}

struct nd_error *
nd_stream_from_fd(int fd, struct nd_stream **ret)
{
    ND_AUTO(nd_freep) struct fd_stream *s = new_stream(fd);
    struct stat st;
    int flags = fcntl(fd, F_GETFL);
    struct nd_error *err;

    if (flags < 0 || fstat(fd, &st) < 0)
        return nd_error_errno(errno, "take over descriptor %d", fd);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return nd_error_errno(errno, "take over descriptor %d", fd);
    err = watch_fd(s, &st);
    if (err != NULL) {
        fcntl(fd, F_SETFL, flags);
        return err;
    }
    if (!s->is_file && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        nd_watch_close(s->watch);
        return nd_error_errno(errno, "take over descriptor %d", fd);
    }
    s->old_flags = flags;
    s->is_socket = S_ISSOCK(st.st_mode);
    s->is_char = S_ISCHR(st.st_mode);
    s->can_read = (flags & O_ACCMODE) != O_WRONLY;
    s->can_write = (flags & O_ACCMODE) != O_RDONLY;
    if (s->is_socket)
        s->base.peer = nd_peer_of_socket(fd);
    else
        snprintf(s->base.peer.name, sizeof(s->base.peer.name), "%s", kind_name(st.st_mode));
    *ret = &ND_TAKE(s)->base;
    return NULL;
}
