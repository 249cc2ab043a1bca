/*
 * Output of containers, from the records of their log to pieces for a client.
 *
 * An attached client and `logs` get their bytes from the same place, the log, which the helper writes and
 * nobody else reads away from: so nothing is lost, whenever somebody attaches, and a client that does not
 * read holds up nobody but itself. Records are short; many of one stream are joined to one piece of up to
 * ND_OUTPUT_MAX_BYTES, which goes when it is full, when the stream changes, or when the log has no more.
 *
 * When has a followed container ended? Its task has, and the logger has given back its lock, which it does
 * after the last byte. The logger closes the log last, and that wakes a reader which waits for a change; by
 * then the lock is free, so what is left to wait for is the news of the task's end.
 */

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
nd_output_is_running(void *output_end)
{
    const struct output_end *end = output_end;
    struct nd_error *err;
    bool held = false;

    if (end->exit->ended)
        return false;
    err = nd_store_lock_is_held(end->lock_path, &held);
    nd_error_free(err);
    if (held)
        return true; /* the logger will close the log: a change */
    while (err == NULL && !end->exit->ended)
        err = nd_cond_wait(&end->exit->cond);
    nd_error_free(err); /* cancelled: the reader's next wait says so */
    return !end->exit->ended;
}

struct nd_error *
nd_output_pump(struct nd_log_reader *reader, struct nd_output *out)
{
    for (;;) {
        struct nd_log_batch batch;

        ND_TRY(nd_log_reader_next(reader, &batch));
        ND_TRY(nd_output_add(out, batch.entries, batch.n));
        if (batch.drained || batch.n == 0)
            ND_TRY(nd_output_flush(out));
        if (batch.n == 0)
            return NULL;
    }
}

struct nd_error *
nd_output_follow(struct nd_containers *cs, struct nd_state *state, struct nd_wall since,
                 struct exit_watch *exit, const struct nd_container_feed *feed)
{
    const struct nd_output_sink sink = {.put = feed->output, .arg = feed->arg};
    ND_AUTO(nd_output_freep) struct nd_output *out = nd_output_new(&sink, NULL);
    ND_AUTO(nd_log_reader_closep) struct nd_log_reader *reader = NULL;
    struct output_end end = {.exit = exit, .lock_path = nd_state_logger_lock_path(state)};
    struct nd_log_reader_options options = {
        .path = nd_state_log_path(state),
        .tail = ND_LOG_TAIL_ALL,
        .since = since,
        .follow = true,
        .is_running = nd_output_is_running,
        .arg = &end,
        .logger_lock = end.lock_path,
    };
    struct nd_store *store;

    ND_TRY(nd_containers_store(cs, &store));
    options.watcher = nd_store_watcher(store);
    ND_TRY_DOING(nd_log_reader_open(&options, &reader), "follow the output");
    nd_doing("follow output");
    return nd_output_pump(reader, out);
}
