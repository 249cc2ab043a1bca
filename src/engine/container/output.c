/*
 * Output of containers, from the records of their log to pieces for a client.
 *
 * `logs`, and clients that are attached where another program's logger has the output, get their
 * bytes from the log: a client that does not read holds up nobody but itself. The log is bounded;
 * for an attached client its files are held open, so that they can be rotated and removed before
 * they were read. Who lags even further behind is told so, and gets nothing from behind the hole.
 * Records are short; many of one stream are joined to one piece of up to ND_OUTPUT_MAX_BYTES, which
 * goes when it is full, when the stream changes, or when the log has no more.
 *
 * When has a followed container ended? Its task has, and the logger has given back its lock, which
 * it does after the last byte. The logger closes the log last, and that wakes a reader which waits
 * for a change; by then the lock is free, so what is left to wait for is the news of the task's
 * end.
 */

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "container/limits.h"
#include "store/lock.h"

#include "output_priv.h"

struct nd_output {
    struct nd_output_sink sink;
    struct nd_output_format format;
    enum nd_log_stream stream; /* of what is held */
    struct nd_buf held;
};

struct nd_output *
nd_output_new(const struct nd_output_sink *sink, const struct nd_output_format *format)
{
    struct nd_output *out = nd_new(struct nd_output);

    out->sink = *sink;
    if (format != NULL)
        out->format = *format;
    out->held = ND_BUF_INIT(ND_OUTPUT_MAX_BYTES);
    return out;
}

void
nd_output_freep(struct nd_output **out)
{
    if (*out == NULL)
        return;
    nd_buf_fini(&(*out)->held);
    nd_free(*out);
}

static Pb__OutputStream
stream_of(enum nd_log_stream stream)
{
    return stream == ND_LOG_STDERR ? PB__OUTPUT_STREAM__OUTPUT_STREAM_STDERR
                                   : PB__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT;
}

struct nd_error *
nd_output_flush(struct nd_output *out)
{
    struct nd_error *err;

    if (out->held.len == 0)
        return NULL;
    err = out->sink.put(out->sink.arg, stream_of(out->stream), nd_buf_str(&out->held));
    nd_buf_clear(&out->held);
    return err;
}

/* In pieces, when it does not fit into one. */
static struct nd_error *
put_bytes(struct nd_output *out, enum nd_log_stream stream, struct nd_str bytes)
{
    if (out->held.len > 0 && out->stream != stream)
        ND_TRY(nd_output_flush(out));
    out->stream = stream;
    while (bytes.len > 0) {
        size_t n = ND_MIN(bytes.len, ND_OUTPUT_MAX_BYTES - out->held.len);

        nd_buf_put(&out->held, nd_str_sub(bytes, 0, n));
        bytes = nd_str_from(bytes, n);
        if (out->held.len == ND_OUTPUT_MAX_BYTES)
            ND_TRY(nd_output_flush(out));
    }
    return NULL;
}

static struct nd_error *
put_prefix(struct nd_output *out, const struct nd_log_entry *entry)
{
    char time[ND_RFC3339_SIZE + 1];

    if (out->format.timestamps) {
        size_t n = nd_wall_format(entry->at, time);

        time[n++] = ' ';
        ND_TRY(put_bytes(out, entry->stream, nd_str_n(time, n)));
    }
    if (out->format.details != NULL)
        ND_TRY(put_bytes(out, entry->stream, nd_str(out->format.details)));
    return NULL;
}

struct nd_error *
nd_output_add(struct nd_output *out, const struct nd_log_entry *entries, size_t n)
{
    bool prefix = out->format.timestamps || out->format.details != NULL;

    for (size_t i = 0; i < n; i++) {
        if (prefix)
            ND_TRY(put_prefix(out, &entries[i]));
        ND_TRY(put_bytes(out, entries[i].stream, entries[i].bytes));
    }
    return NULL;
}

bool
nd_output_is_running(struct exit_watch *exit, const char *lock_path)
{
    struct nd_error *err;
    bool held = false;

    err = nd_store_lock_is_held(lock_path, &held);
    nd_error_free(err);
    if (held)
        return true; /* whether it has ended or not: the logger will close the log, a change */
    while (err == NULL && !exit->ended)
        err = nd_cond_wait(&exit->cond);
    nd_error_free(err); /* cancelled: the reader's next wait says so */
    return !exit->ended;
}

/* A hole in the output must not pass for the whole of it: no byte from behind it is sent. */
static struct nd_error *
output_lost(uint64_t files)
{
    struct nd_error *err = nd_error_new(ND_DATA_LOSS,
                                        "output is lost: at least %" PRIu64
                                        " of the log's files %s removed before the "
                                        "client had read so far",
                                        files, files == 1 ? "was" : "were");
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRIu64, files);
    err = nd_error_meta(nd_error_reason(err, "OUTPUT_LOST"), "lost_files", text);
    return nd_error_hint(err, "the container goes on; read faster, or let the log keep more: its "
                              "options max-size and max-file");
}

struct nd_error *
nd_output_pump(struct nd_log_reader *reader, struct nd_output *out)
{
    for (;;) {
        struct nd_log_batch batch;

        ND_TRY(nd_log_reader_next(reader, &batch));
        if (batch.lost_files > 0) {
            ND_TRY(nd_output_flush(out));
            return output_lost(batch.lost_files);
        }
        ND_TRY(nd_output_add(out, batch.entries, batch.n));
        if (batch.drained || batch.n == 0)
            ND_TRY(nd_output_flush(out));
        if (batch.n == 0)
            return NULL;
    }
}

static bool
is_followed_running(void *arg)
{
    const struct follower *f = arg;

    return nd_output_is_running(f->exit, nd_state_logger_lock_path(f->state));
}

static struct nd_error *
feed_output(void *arg, Pb__OutputStream stream, struct nd_str bytes)
{
    const struct nd_container_feed *feed = arg;
    const struct nd_container_output output = {.stream = stream, .bytes = bytes};

    return feed->output(feed->arg, &output);
}

/* The reader does without when this fails, and tells of what it misses. */
static struct nd_error *
hold_files(void *reader)
{
    nd_error_free(nd_log_reader_hold(reader));
    return NULL;
}

struct nd_error *
nd_follow(const struct follower *f)
{
    const struct nd_output_sink sink = {.put = feed_output, .arg = (void *)(uintptr_t)f->feed};
    ND_AUTO(nd_output_freep) struct nd_output *out = nd_output_new(&sink, NULL);
    ND_AUTO(nd_log_reader_closep) struct nd_log_reader *reader = NULL;
    ND_AUTO(nd_group_endp) struct nd_group *holder = nd_group_begin("hold the log", 0);
    struct nd_log_reader_options options = {
        .path = nd_state_log_path(f->state),
        .tail = ND_LOG_TAIL_ALL,
        .since = f->since,
        .follow = true,
        .is_running = is_followed_running,
        .arg = (void *)(uintptr_t)f,
        .logger_lock = nd_state_logger_lock_path(f->state),
    };
    struct nd_store *store;

    ND_TRY(nd_containers_store(f->cs, &store));
    options.watcher = nd_store_watcher(store);
    ND_TRY_DOING(nd_log_reader_open(&options, &reader), "follow the output");
    ND_TRY(nd_group_spawn_now(holder, hold_files, reader));
    nd_doing("follow output");
    return nd_output_pump(reader, out);
}
