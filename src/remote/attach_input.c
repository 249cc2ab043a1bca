/*
 * Our standard input on its way to a process.
 *
 *     stdin ──▶ reader ──▶ kept ──▶ sender ──▶ call
 *                            ▲
 *                  taken ────┘   what has arrived is forgotten
 *
 * What the process has not taken is kept, and sent again when the connection broke: from where the
 * session says when it goes on, and nothing is sent before. When what is kept is as much as the
 * daemon allows on its way, nothing more is read. The end of our input is the end of the process's,
 * but for a terminal, which has keys for that.
 */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fiber/stream.h"

#include "attach_session.h"
#include "terminal.h"

#define PIECE    ((size_t)8 * 1024)
#define LEAVE_NS (5 * ND_SECOND) /* for the daemon's answer */

static struct nd_error *
send_piece(struct session *s, const char *bytes, size_t len, bool end)
{
    Pb__StreamControl control = PB__STREAM_CONTROL__INIT;
    Pb__Input input = PB__INPUT__INIT;

    input.offset = s->sent;
    input.data.data = (uint8_t *)(uintptr_t)bytes;
    input.data.len = len;
    input.end = end;
    control.control_case = PB__STREAM_CONTROL__CONTROL_INPUT;
    control.input = &input;
    s->sent += len;
    s->end_sent = end;
    return nd_attach_control(s, &control);
}

static struct nd_error *
send_detach(struct session *s)
{
    Pb__StreamControl control = PB__STREAM_CONTROL__INIT;
    Pb__Detach detach = PB__DETACH__INIT;

    control.control_case = PB__STREAM_CONTROL__CONTROL_DETACH;
    control.detach = &detach;
    return nd_attach_control(s, &control);
}

/* The next thing to send, when there is one. `*ret` says whether there was. */
static struct nd_error *
send_next(struct session *s, bool *ret)
{
    size_t at = (size_t)(s->sent - s->kept_from);
    char piece[PIECE];
    size_t n = ND_MIN(s->kept.len - at, sizeof(piece));

    *ret = s->may_send;
    if (!s->may_send)
        return NULL;
    if (n > 0 && !s->input_closed) {
        memcpy(piece, s->kept.ptr + at, n);
        return send_piece(s, piece, n, false);
    }
    if (s->attach->has_left && !s->end_sent) {
        s->end_sent = true;
        return send_detach(s);
    }
    if (s->input_over && !s->tty && !s->end_sent && !s->input_closed)
        return send_piece(s, NULL, 0, true);
    *ret = false;
    return NULL;
}

/* A call that is over is the receiver's matter: when it goes on, everything is sent again. */
static struct nd_error *
run_sender(void *arg)
{
    struct session *s = arg;

    for (;;) {
        bool sent = false;
        struct nd_error *err = send_next(s, &sent);
        enum nd_code code = nd_error_code(err);

        if (code == ND_ABORTED || code == ND_UNAVAILABLE) {
            nd_error_free(err);
            sent = false;
            err = NULL;
        }
        ND_TRY(err);
        if (!sent)
            ND_TRY(nd_cond_wait(&s->changed));
    }
}

/* What was typed or read; false when it was the keys to leave. */
static bool
keep(struct session *s, struct nd_str bytes)
{
    char passed[PIECE + ND_DETACH_KEYS_MAX];
    size_t n = bytes.len;

    if (!s->tty) {
        nd_buf_put(&s->kept, bytes);
    } else {
        s->attach->has_left = nd_detach_keys_filter(&s->attach->keys, bytes, passed, &n);
        nd_buf_put(&s->kept, nd_str_n(passed, n));
    }
    nd_cond_broadcast(&s->changed);
    return !s->attach->has_left;
}

static struct nd_error *
read_all(struct session *s, struct nd_stream *in)
{
    for (;;) {
        char bytes[PIECE];
        size_t n;

        while (s->kept.len > ND_ATTACH_INPUT_MAX - PIECE - ND_DETACH_KEYS_MAX)
            ND_TRY(nd_cond_wait(&s->changed));
        ND_TRY(nd_stream_read(in, bytes, sizeof(bytes), &n));
        if (n == 0 || !keep(s, nd_str_n(bytes, n)))
            return NULL;
    }
}

/*
 * The keys to leave were read: the sender tells the daemon, which ends the call. Who is cut off, or
 * gets no answer, leaves without.
 */
static struct nd_error *
leave(struct session *s)
{
    if (s->may_send)
        ND_TRY(nd_fiber_sleep(LEAVE_NS));
    nd_attach_stop(s);
    return NULL;
}

static struct nd_error *
run_reader(void *arg)
{
    struct session *s = arg;
    ND_AUTO(nd_stream_closep) struct nd_stream *in = NULL;
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    struct nd_error *err =
        fd < 0 ? nd_error_errno(errno, "read standard input") : nd_stream_from_fd(fd, &in);

    if (err != NULL && fd >= 0)
        close(fd);
    if (err == NULL)
        err = read_all(s, in);
    if (err == NULL && s->attach->has_left)
        err = leave(s);
    if (nd_error_code(err) == ND_CANCELLED)
        return err;
    nd_error_free(err); /* one that cannot be read has ended */
    s->input_over = true;
    nd_cond_broadcast(&s->changed);
    return NULL;
}

struct nd_error *
nd_attach_input_begin(struct session *s, const Pb__StreamSession *told)
{
    s->may_send = true;
    if (s->reads_input) {
        nd_buf_drop(&s->kept,
                    (size_t)ND_MIN(told->stdin_offset - s->kept_from, (uint64_t)s->kept.len));
        s->kept_from = s->sent = told->stdin_offset;
        s->end_sent = false;
        s->input_closed = !told->stdin;
        nd_cond_broadcast(&s->changed);
        return NULL;
    }
    if (!told->stdin)
        return NULL;
    s->reads_input = true;
    if (s->tty && nd_terminal_is_input()) {
        nd_terminal_make_raw();
        s->is_raw = true;
    }
    ND_TRY(nd_group_spawn(s->beside, run_sender, s));
    return nd_group_spawn(s->beside, run_reader, s);
}

void
nd_attach_input_taken(struct session *s, const Pb__InputTaken *taken)
{
    uint64_t arrived = ND_MIN(taken->offset, s->sent);

    if (arrived > s->kept_from) {
        nd_buf_drop(&s->kept, (size_t)(arrived - s->kept_from));
        s->kept_from = arrived;
    }
    s->input_closed = s->input_closed || taken->closed;
    nd_cond_broadcast(&s->changed);
}
