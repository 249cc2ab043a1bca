/*
 * The log writer.
 *
 *      3 stdout --> | held back | read() |        +------------+
 *                     a buffer per stream  --->   | encoded    | --> log file
 *      4 stderr --> | held back | read() |        +------------+
 *
 * One turn: wait, read once from each stream that has something, encode, write once. Under load a read
 * brings 64 KiB and a write takes a few hundred KiB, so a line costs no system call of its own;
 * with little to do each line is in the file microseconds after it was written.
 *
 * What makes an entry:
 *   - a line with its newline;
 *   - PIECE_MAX bytes of a longer line, cut between two characters;
 *   - the beginning of a line for which nothing more came for a moment (a prompt), or at the end of the
 *     stream. Until then it is held back, so that a slow line is one entry and not ten.
 *
 * All memory is static, there is no heap: this must go on when nothing else does. About 450 KiB, and
 * what was never needed is never touched.
 */

#include "helper/logger.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "helper/entry.h"
#include "helper/limits.h"
#include "helper/log_file.h"

#include "setup.h"

#define STREAMS 2u

struct stream {
    const char *name;
    int fd; /* -1: it has ended */
    struct nd_entry_tail tail;
    size_t len;         /* bytes of `data` that are there: the beginning of a line */
    int64_t due_ns;     /* when they become an entry of their own, on the monotonic clock */
    int64_t due_max_ns; /* and when at the latest, however much dribbles in */
    char data[ND_LOGGER_PIECE_MAX + ND_LOGGER_READ_BYTES + ND_ENTRY_PAD];
};

struct logger {
    struct setup setup;
    struct nd_log_file file;
    struct stream streams[STREAMS];
    int64_t drained_at_ns; /* when the ended container's pipes are given up; 0: it has not ended */
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

/* The piece of `text` that can become an entry of its own: not too long, no character cut in two. */
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

/* Turn the held-back beginning of a line into an entry; half a character waits for its other half. */
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

static void
end_stream(struct logger *l, struct stream *s)
{
    if (s->len > 0)
        put_partial(l, s, true);
    close(s->fd);
    s->fd = -1;
}

/* Read once; called when poll() says that this does not wait. */
static void
read_stream(struct logger *l, struct stream *s)
{
    ssize_t n = read(s->fd, s->data + s->len, ND_LOGGER_READ_BYTES);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    nd_entry_tail_init(&s->tail, s->name, nd_wall_now());
    if (n <= 0) {
        end_stream(l, s);
        return;
    }
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

/* For poll(): until the next beginning of a line is old, or the next try to tell of a loss, or the
 * next question about the container. */
static int
wait_ms(const struct logger *l)
{
    int64_t now_ns = nd_mono_now().ns, wait_ns = INT64_MAX;

    for (size_t i = 0; i < STREAMS; i++) {
        const struct stream *s = &l->streams[i];

        if (s->len > 0 && s->due_ns != INT64_MAX)
            wait_ns = ND_MIN(wait_ns, s->due_ns - now_ns);
    }
    if (nd_log_file_owes_notice(&l->file))
        wait_ns = ND_MIN(wait_ns, ND_LOGGER_RETRY_NS);
    if (init_watch_wait_ms(&l->setup.init) >= 0)
        wait_ns = ND_MIN(wait_ns, init_watch_wait_ms(&l->setup.init) * ND_MILLISECOND);
    if (wait_ns == INT64_MAX)
        return -1;
    return wait_ns > 0 ? (int)(wait_ns / ND_MILLISECOND) + 1 : 0;
}

/* The container has ended: what the pipes hold is read, then they end, though others hold them. */
static void
end_with_container(struct logger *l, bool drained)
{
    int64_t now_ns = nd_mono_now().ns;

    if (l->drained_at_ns == 0)
        l->drained_at_ns = now_ns + ND_LOGGER_DRAIN_NS;
    if (!drained && now_ns < l->drained_at_ns)
        return;
    for (size_t i = 0; i < STREAMS; i++) {
        if (l->streams[i].fd < 0)
            continue;
        nd_entry_tail_init(&l->streams[i].tail, l->streams[i].name, nd_wall_now());
        end_stream(l, &l->streams[i]);
    }
}

/* One turn. False when both streams have ended. */
static bool
turn(struct logger *l)
{
    struct init_watch *init = &l->setup.init;
    struct pollfd fds[STREAMS + 1];
    bool open = false, ended = init->ended, quiet = true;
    int n;

    for (size_t i = 0; i < STREAMS; i++) {
        fds[i] = (struct pollfd){.fd = l->streams[i].fd, .events = POLLIN};
        open = open || fds[i].fd >= 0;
    }
    if (!open)
        return false;
    fds[STREAMS] = (struct pollfd){.fd = ended ? -1 : init->fd, .events = POLLIN};

    n = poll(fds, STREAMS + 1, ended ? 0 : wait_ms(l));
    for (size_t i = 0; i < STREAMS && n > 0; i++) {
        if (fds[i].revents != 0) {
            read_stream(l, &l->streams[i]);
            quiet = false;
        }
    }
    if (ended)
        end_with_container(l, quiet);
    else if (n == 0 || fds[STREAMS].revents != 0 || init->pid == 0)
        init_watch_look(init);
    put_old_partials(l);
    flush(l);
    if (n == 0)
        nd_log_file_settle(&l->file);
    return true;
}

static void
say_ready(void)
{
    /* The byte or the end of the pipe: whichever this shim waits for. */
    while (write(5, "1", 1) < 0 && errno == EINTR)
        continue;
    close(5);
}

int
nd_logger_main(const char *store)
{
    struct logger *l = &the_logger;

    if (!setup_logger(&l->setup, store, l->out, sizeof(l->out)))
        return 2;
    l->streams[0] = (struct stream){.name = "stdout", .fd = 3};
    l->streams[1] = (struct stream){.name = "stderr", .fd = 4};
    if (l->setup.terminal) {
        close(4);
        l->streams[1].fd = -1;
    }
    nd_log_file_open(&l->file,
                     &(struct nd_log_file_options){.path = l->setup.log_path,
                                                   .max_bytes = l->setup.config.max_bytes,
                                                   .max_files = l->setup.config.max_files});
    say_ready();
    while (turn(l))
        continue;

    /* The lock goes first: closing the log wakes its followers, who then look at the lock. */
    nd_log_file_settle(&l->file);
    if (l->setup.lock_fd >= 0)
        close(l->setup.lock_fd);
    nd_log_file_close(&l->file);
    return 0;
}
