/*
 * The one reader of a process's output, which goes to its log and to those who are attached.
 *
 *      stdout --> | held back | read() |        +------------+
 *                   a buffer per stream  --->   | encoded    | --> log file
 *      stderr --> | held back | read() |        +------------+
 *                               +-------------> hub (hub.c) ---> attached
 *
 * One turn: wait, read once from each stream that has something, encode, write once. Under load a
 * read brings 64 KiB and a write takes a few hundred KiB, so a line costs no system call of its
 * own; with little to do each line is in the file microseconds after it was written. Somebody who
 * is attached and does not keep up makes a stream wait, within the limits of sessions.c; the log
 * then waits, too.
 *
 * What makes an entry:
 *   - a line with its newline;
 *   - PIECE_MAX bytes of a longer line, cut between two characters;
 *   - the beginning of a line for which nothing more came for a moment (a prompt), or at the end of the
 *     stream. Until then it is held back, so that a slow line is one entry and not ten.
 *
 * At the end everything is flushed and the lock released, which tells the log's readers. Whoever is
 * attached and has not got everything is served by a child that was forked then: the shim waits for
 * us when the task is deleted.
 *
 * All memory is static, there is no heap: this must go on when nothing else does. At most 1 MiB,
 * and what was never needed is never touched.
 */

#include "helper/logger.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "helper/entry.h"
#include "helper/limits.h"
#include "helper/log_file.h"

#include "hub.h"
#include "setup.h"

#define STREAMS 2u

struct stream {
    const char *name;
    int fd; /* -1: it has ended */
    struct nd_entry_tail tail;
    size_t len;         /* bytes of `data` that are there: the beginning of a line */
    int64_t due_ns;     /* when they become an entry of their own, on the monotonic clock */
    int64_t due_max_ns; /* and when at the latest, however much dribbles in */
    size_t left;        /* with is_closing: bytes that are still read */
    char data[ND_LOGGER_PIECE_MAX + ND_LOGGER_READ_BYTES + ND_ENTRY_PAD];
};

struct logger {
    struct setup setup;
    struct nd_log_file file;
    struct hub hub;
    struct stream streams[STREAMS];
    bool has_read;         /* some output */
    bool forked;           /* nobody waits for us any more */
    int64_t drained_at_ns; /* when the ended container's pipes are given up; 0: it has not ended */
    int64_t turned_at_ns;  /* the turn before, since then */
    bool is_closing;       /* they are: what they held then is read, and no more */
    size_t out_len;
    char out[ND_LOGGER_OUT_BYTES];
};

static struct logger the_logger;

_Static_assert(ND_ENTRY_SPACE(ND_LOGGER_PIECE_MAX) <= ND_LOGGER_OUT_BYTES,
               "any piece can be encoded into the empty buffer");

static void
flush(struct logger *l)
{
    if (l->out_len > 0)
        nd_log_file_write(&l->file, nd_str_n(l->out, l->out_len));
    l->out_len = 0;
}

/* Encode one entry from the front of `text`; returns how much of it was taken. */
static size_t
put_entry(struct logger *l, const struct stream *s, struct nd_str text)
{
    char *end;
    size_t taken;

    if (sizeof(l->out) - l->out_len < ND_ENTRY_SPACE(text.len))
        flush(l);
    end = l->out + l->out_len;
    taken = nd_entry_encode(text, &s->tail, &end);
    l->out_len = (size_t)(end - l->out);
    return taken;
}

/*
 * The piece of `text` that can become an entry of its own: not too long, no character cut in two.
 */
static struct nd_str
piece_of(struct nd_str text)
{
    size_t cut_off;

    if (text.len < ND_LOGGER_PIECE_MAX)
        return text;
    text.len = ND_LOGGER_PIECE_MAX;
    cut_off = nd_entry_cut_off(text);
    text.len -= cut_off;
    return text;
}

/*
 * Turn into entries what can be: whole lines and full pieces. The rest moves to the front. Returns
 * whether there was any.
 */
static bool
put_lines(struct logger *l, struct stream *s)
{
    const char *last = memrchr(s->data, '\n', s->len);
    struct nd_str lines = nd_str_n(s->data, last != NULL ? (size_t)(last + 1 - s->data) : 0);
    struct nd_str rest = nd_str_from(nd_str_n(s->data, s->len), lines.len);

    while (lines.len > 0)
        lines = nd_str_from(lines, put_entry(l, s, piece_of(lines)));
    while (rest.len >= ND_LOGGER_PIECE_MAX)
        rest = nd_str_from(rest, put_entry(l, s, piece_of(rest)));
    if (rest.len == s->len)
        return false;
    memmove(s->data, rest.ptr, rest.len);
    s->len = rest.len;
    return true;
}

/*
 * Turn the held-back beginning of a line into an entry; half a character waits for its other half.
 */
static void
put_partial(struct logger *l, struct stream *s, bool at_end)
{
    struct nd_str text = nd_str_n(s->data, s->len);
    size_t cut_off = at_end ? 0 : nd_entry_cut_off(text);

    text.len -= cut_off;
    if (text.len > 0)
        put_entry(l, s, text);
    memmove(s->data, s->data + s->len - cut_off, cut_off);
    s->len = cut_off;
    s->due_ns = INT64_MAX;
}

static enum nd_wire_stream
number_of(const struct logger *l, const struct stream *s)
{
    return s == &l->streams[0] ? ND_WIRE_STDOUT : ND_WIRE_STDERR;
}

static void
end_stream(struct logger *l, struct stream *s)
{
    if (s->len > 0)
        put_partial(l, s, true);
    close(s->fd);
    s->fd = -1;
    hub_end(&l->hub, number_of(l, s));
}

/* How many bytes of a stream may be read. */
static size_t
room_for(const struct logger *l, const struct stream *s)
{
    size_t room = ND_MIN(hub_room(&l->hub, number_of(l, s)), ND_LOGGER_READ_BYTES);

    return l->is_closing ? ND_MIN(room, s->left) : room;
}

/*
 * Read once; called when poll() says that this does not wait. Somebody who came meanwhile may have
 * taken the room away, and to read nothing would look like the end.
 */
static void
read_stream(struct logger *l, struct stream *s)
{
    size_t room = room_for(l, s);
    ssize_t n;

    if (room == 0)
        return;
    n = read(s->fd, s->data + s->len, room);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    nd_entry_tail_init(&s->tail, s->name, nd_wall_now());
    if (n <= 0) {
        end_stream(l, s);
        return;
    }
    l->has_read = true;
    s->left -= ND_MIN(s->left, (size_t)n);
    hub_put(&l->hub, number_of(l, s), nd_str_n(s->data + s->len, (size_t)n), nd_mono_now().ns);
    if (!l->setup.keeps_log)
        return;
    s->len += (size_t)n;
    if (put_lines(l, s) || s->len == (size_t)n)
        s->due_max_ns = nd_mono_now().ns + ND_LOGGER_PARTIAL_MAX_NS;
    s->due_ns = ND_MIN(nd_mono_now().ns + ND_LOGGER_PARTIAL_NS, s->due_max_ns);
}

/* Write beginnings of lines that have waited long enough. */
static void
put_old_partials(struct logger *l)
{
    int64_t now_ns = nd_mono_now().ns;

    for (size_t i = 0; i < STREAMS; i++) {
        struct stream *s = &l->streams[i];

        if (s->len > 0 && s->due_ns <= now_ns) {
            nd_entry_tail_init(&s->tail, s->name, nd_wall_now());
            put_partial(l, s, false);
        }
    }
}

/* Whether nothing was ever written and nobody is there: perhaps nothing was started. */
static bool
is_unborn(const struct logger *l)
{
    return !l->setup.by_shim && !l->has_read && !hub_is_needed(&l->hub);
}

/* For poll(): until the next beginning of a line is old, or the next try to tell of a loss, or the
 * next question about the container or a session. */
static int
wait_ms(const struct logger *l, bool held_up)
{
    int64_t now_ns = nd_mono_now().ns, wait_ns = hub_wait_ns(&l->hub, now_ns);

    for (size_t i = 0; i < STREAMS; i++) {
        const struct stream *s = &l->streams[i];

        if (s->len > 0 && s->due_ns != INT64_MAX)
            wait_ns = ND_MIN(wait_ns, s->due_ns - now_ns);
    }
    if (nd_log_file_owes_notice(&l->file))
        wait_ns = ND_MIN(wait_ns, ND_LOGGER_RETRY_NS);
    if (init_watch_wait_ms(&l->setup.init) >= 0)
        wait_ns = ND_MIN(wait_ns, init_watch_wait_ms(&l->setup.init) * ND_MILLISECOND);
    if (is_unborn(l))
        wait_ns = ND_MIN(wait_ns, ND_HELPER_UNBORN_NS);
    if (l->drained_at_ns != 0 || held_up)
        wait_ns = ND_MIN(wait_ns, ND_LOGGER_DRAIN_TURN_NS);
    if (wait_ns == INT64_MAX)
        return -1;
    return wait_ns > 0 ? (int)(ND_MIN(wait_ns, ND_HOUR) / ND_MILLISECOND) + 1 : 0;
}

static void
end_all_streams(struct logger *l)
{
    for (size_t i = 0; i < STREAMS; i++) {
        if (l->streams[i].fd < 0)
            continue;
        nd_entry_tail_init(&l->streams[i].tail, l->streams[i].name, nd_wall_now());
        end_stream(l, &l->streams[i]);
    }
}

/*
 * The shim waits for its child when the task is deleted, and then kills it. So a child of ours goes
 * on where somebody has still something to get.
 */
static void
outlive_the_shim(struct logger *l)
{
    pid_t pid;

    if (l->forked || !l->setup.by_shim || l->setup.terminal || !hub_is_needed(&l->hub))
        return;
    l->forked = true;
    pid = fork();
    if (pid > 0)
        _exit(0);
}

/*
 * The time is over, and somebody may be writing for ever: what the pipes hold now is read. Whether
 * there is any.
 */
static bool
has_rest(struct logger *l)
{
    bool rest = false;

    for (size_t i = 0; i < STREAMS; i++) {
        struct stream *s = &l->streams[i];
        int n = 0;

        if (s->fd < 0)
            continue;
        if (!l->is_closing && ioctl(s->fd, FIONREAD, &n) == 0 && n > 0)
            s->left = (size_t)n;
        rest = rest || s->left > 0;
    }
    l->is_closing = true;
    return rest;
}

/*
 * Begin to wait for the end of the pipes, or go on with it. Time that was not ours does not count:
 * we may have been stopped, or waited for the disk.
 */
static void
wait_for_drain(struct logger *l, int64_t now_ns, bool anew)
{
    int64_t late_ns = now_ns - l->turned_at_ns - 2 * ND_LOGGER_DRAIN_TURN_NS;

    if (l->drained_at_ns == 0 || anew)
        l->drained_at_ns = now_ns + ND_LOGGER_DRAIN_NS;
    else if (late_ns > 0)
        l->drained_at_ns += late_ns;
    l->turned_at_ns = now_ns;
}

/*
 * The process has ended: what the pipes hold is read, then they end, though others hold them. A
 * FIFO that is empty says nothing, the shim may still be copying to it: it ends, or the time is
 * over.
 */
static void
end_with_process(struct logger *l, bool quiet, bool held_up)
{
    int64_t now_ns = nd_mono_now().ns;
    bool drained = quiet && (l->setup.by_shim || l->hub.never_started);

    if (held_up)
        outlive_the_shim(l);
    wait_for_drain(l, now_ns, held_up);
    if (held_up || (!drained && (now_ns < l->drained_at_ns || has_rest(l))))
        return;
    end_all_streams(l);
}

/*
 * Wait, and let the hub do its part. Returns how many of `fds`, which begin with `n` of ours, are
 * ready.
 */
static int
wait_for(struct logger *l, struct pollfd *fds, size_t n, int timeout_ms)
{
    size_t n_hub = hub_poll(&l->hub, fds + n);
    int ready = poll(fds, (nfds_t)(n + n_hub), timeout_ms);
    int ours = 0;

    hub_turn(&l->hub, fds + n, ready > 0 ? n_hub : 0, nd_mono_now().ns);
    for (size_t i = 0; i < n && ready > 0; i++)
        ours += fds[i].revents != 0;
    return ready < 0 ? ready : ours;
}

/* How long a turn may wait. Behind the end of a process it is asked at once what the pipes hold. */
static int
patience_ms(const struct logger *l, bool ended, bool held_up)
{
    bool waits = !ended || held_up || (!l->setup.by_shim && l->drained_at_ns != 0);

    return waits && !(ended && l->hub.never_started) ? wait_ms(l, held_up) : 0;
}

/* One turn. False when both streams have ended. */
static bool
turn(struct logger *l)
{
    struct init_watch *init = &l->setup.init;
    struct pollfd fds[STREAMS + 1 + HUB_POLL_MAX];
    bool open = false, ended = init->ended || l->hub.exited, quiet = true, held_up = false;
    int n;

    for (size_t i = 0; i < STREAMS; i++) {
        const struct stream *s = &l->streams[i];

        held_up = held_up || (s->fd >= 0 && hub_room(&l->hub, (enum nd_wire_stream)i) == 0);
        fds[i] = (struct pollfd){.fd = room_for(l, s) > 0 ? s->fd : -1, .events = POLLIN};
        open = open || s->fd >= 0;
    }
    if (!open)
        return false;
    fds[STREAMS] = (struct pollfd){.fd = ended ? -1 : init->fd, .events = POLLIN};

    if (held_up && hub_is_replaced(&l->hub))
        hub_let_go(&l->hub, nd_mono_now().ns); /* the log's next logger waits for us */
    n = wait_for(l, fds, STREAMS + 1, patience_ms(l, ended, held_up));
    for (size_t i = 0; i < STREAMS && n > 0; i++) {
        if (fds[i].revents != 0) {
            read_stream(l, &l->streams[i]);
            quiet = false;
        }
    }
    if (ended)
        end_with_process(l, quiet, held_up);
    else if (n == 0 || fds[STREAMS].revents != 0 || init->pid == 0)
        init_watch_look(init);
    if (n == 0 && is_unborn(l) && !hub_is_there(&l->hub))
        end_all_streams(l);
    put_old_partials(l);
    flush(l);
    hub_send(&l->hub, nd_mono_now().ns);
    if (n == 0)
        nd_log_file_settle(&l->file);
    return true;
}

/* The lock goes first: closing the log wakes its followers, who then look at the lock. */
static void
finish_log(struct logger *l)
{
    nd_log_file_settle(&l->file);
    l->file.loss_fd = -1;
    nd_closep(&l->setup.lock_fd);
    nd_log_file_close(&l->file);
}

/*
 * For those who are attached, or may come back, until they have everything. Nobody can come back
 * when the folder was removed; those who are there get what there is all the same.
 */
static void
linger(struct logger *l)
{
    struct pollfd fds[HUB_POLL_MAX];

    hub_send(&l->hub, nd_mono_now().ns);
    outlive_the_shim(l);
    while (hub_has_company(&l->hub) || (hub_is_needed(&l->hub) && hub_is_there(&l->hub))) {
        int64_t wait_ns = ND_MIN(hub_wait_ns(&l->hub, nd_mono_now().ns),
                                 hub_has_company(&l->hub) ? ND_HOUR : ND_HELPER_LOOK_NS);

        wait_for(l, fds, 0, wait_ns > 0 ? (int)(wait_ns / ND_MILLISECOND) + 1 : 0);
        hub_send(&l->hub, nd_mono_now().ns);
    }
    hub_close(&l->hub);
}

static int
run(struct logger *l)
{
    l->streams[0] = (struct stream){.name = "stdout", .fd = l->setup.streams[0]};
    l->streams[1] = (struct stream){.name = "stderr", .fd = l->setup.streams[1]};
    if (l->setup.streams[1] < 0)
        hub_end(&l->hub, ND_WIRE_STDERR);
    while (turn(l))
        continue;
    if (l->setup.keeps_log)
        finish_log(l);
    linger(l);
    return 0;
}

/*
 * First the socket: the logger of before sees by it that its time is over, and gives the lock back.
 */
static void
open_all(struct logger *l)
{
    l->file.fd = -1;
    hub_open(&l->hub, l->setup.streams_dir, l->setup.terminal);
    if (l->setup.keeps_log) {
        setup_lock(&l->setup);
        nd_log_file_open(&l->file,
                         &(struct nd_log_file_options){.path = l->setup.log_path,
                                                       .max_bytes = l->setup.config.max_bytes,
                                                       .max_files = l->setup.config.max_files,
                                                       .loss_fd = l->setup.lock_fd});
    }
}

static void
say_ready(int fd)
{
    /* The byte or the end of the pipe: whichever this shim waits for. */
    while (write(fd, "1", 1) < 0 && errno == EINTR)
        continue;
    close(fd);
}

int
nd_logger_main(const char *store, bool keeps_log)
{
    struct logger *l = &the_logger;

    l->setup.keeps_log = keeps_log;
    if (!setup_logger(&l->setup, store, l->out, sizeof(l->out)))
        return 2;
    open_all(l);
    say_ready(l->setup.ready_fd);
    return run(l);
}

/* The parent: whether the child got ready. */
static int
wait_until_ready(int fd)
{
    char byte;
    ssize_t n;

    do
        n = read(fd, &byte, 1);
    while (n < 0 && errno == EINTR);
    return n == 1 ? 0 : 1;
}

int
nd_relay_main(int argc, char **argv)
{
    struct logger *l = &the_logger;
    int ready[2];
    pid_t pid;

    if (pipe2(ready, O_CLOEXEC) < 0)
        return 1;
    pid = fork();
    if (pid < 0)
        return 1;
    if (pid > 0) {
        close(ready[1]);
        return wait_until_ready(ready[0]);
    }
    close(ready[0]);
    if (!setup_relay(&l->setup, argc, argv, l->out, sizeof(l->out)))
        return 2;
    open_all(l);
    if (l->hub.listener < 0)
        return 2;
    say_ready(ready[1]);
    return run(l);
}
