/*
 * The reader: a cursor over the files of one log.
 *
 *     fill: read up to 256 KiB behind what is left of the last record
 *     decode in place -> entries -> leave out what was not asked for -> batch
 *     end of file:  rotated?  -> the next file                      (log_trail.c)
 *                   current?  -> the end, or wait for more when following
 *
 * Reading happens right here when the bytes are in the page cache (RWF_NOWAIT), which saves two
 * thread switches for each quarter of a megabyte; when they are not, a thread reads them. The loop
 * gets its turn after each megabyte that was decoded.
 *
 * Following: the directory is watched from before the first byte is read, so no change is missed.
 * At the end of the file the reader asks whether the container may still write. If not, it waits
 * for the logger's lock, reads what came meanwhile, and has reached the end. If so, it waits for a
 * change; the kernel reports the logger's close of its file, too, so that the end is noticed at
 * once. The time-out behind it grows from milliseconds to half a minute: it covers the moment
 * between a logger's end and the news of the container's, and file systems that report nothing.
 * While it waits it has no buffer.
 *
 * What the logger could not write, and could not tell of in the log either, stands in its lock's
 * file: it is one more entry, behind the last one.
 *
 * A file may be torn, cut short, or hold garbage: what is no record is skipped and counted, a
 * record that is longer than the buffer is garbage, and a file that has become shorter is read from
 * its start.
 */

#include "store/log_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fiber/work.h"
#include "store/limits.h"
#include "store/lock.h"
#include "wire/loss.h"

#include "log_trail_priv.h"

#define BUFFER_MIN      8192u
#define ENTRIES_MIN     64u
#define RECORD_SMALLEST 64u /* a small buffer gets one entry for so many bytes */
#define CHECK_FIRST_NS  (20 * ND_MILLISECOND)
#define TAIL_SHORT_MAX  100000u /* lines; more take long enough to be bulk work */

struct nd_log_reader {
    char *path, *logger_lock;
    struct nd_log_reader_options options; /* its texts are not used */
    struct nd_dir_watch *watch;
    struct log_trail trail;
    struct log_file file;
    uint64_t offset; /* in the file, of the next byte to read */

    char *buffer; /* cap bytes, one for a newline, and ND_LOG_DECODE_PAD; NULL while waiting */
    size_t cap;
    size_t at, len; /* bytes from `at` to `len` are read and not decoded */
    struct nd_log_entry *entries;
    size_t max_entries;

    bool overlong;  /* in the middle of a record that does not fit */
    bool last_look; /* the current file was rotated: one more read, then the next */
    bool ending;    /* the container has ended and its logger is done */
    bool ended;
    bool loss_told;
    bool gap;
    uint64_t lost_files;
    uint64_t skipped;
    int64_t check_ns; /* how long to wait for a change this time */
    size_t since_yield;
    struct nd_log_entry loss; /* the last entry, perhaps */
    char loss_text[ND_WIRE_LOSS_TEXT];
};

/* --- reading -------------------------------------------------------------------------------- */

struct read_job {
    int fd;
    void *dst;
    size_t size;
    uint64_t offset;
    ssize_t n;
    int errnum;
};

static void
read_blocking(void *arg)
{
    struct read_job *job = arg;

    job->n = pread(job->fd, job->dst, job->size, (off_t)job->offset);
    job->errnum = job->n < 0 ? errno : 0;
}

/* Read at the offset; *ret is 0 at the end of the file. */
static struct nd_error *
read_more(struct nd_log_reader *r, void *dst, size_t size, size_t *ret)
{
    struct iovec iov = {dst, size};
    struct read_job job = {.fd = r->file.fd, .dst = dst, .size = size, .offset = r->offset};

    job.n = preadv2(r->file.fd, &iov, 1, (off_t)r->offset, RWF_NOWAIT);
    if (job.n < 0) {
        r->since_yield = 0;
        ND_TRY(nd_work(ND_WORK_SHORT, read_blocking, &job));
        if (job.n < 0)
            return nd_error_errno(job.errnum, "read %s", r->path);
    }
    r->offset += (uint64_t)job.n;
    *ret = (size_t)job.n;
    return NULL;
}

static void
drop_buffer(struct nd_log_reader *r)
{
    nd_free(ND_TAKE(r->buffer));
    nd_free(ND_TAKE(r->entries));
    r->cap = r->at = r->len = 0;
}

/* A buffer for what the file holds from here on, within limits: most followers need little. */
static void
make_buffer(struct nd_log_reader *r)
{
    struct stat st;
    uint64_t ahead = 0;

    if (fstat(r->file.fd, &st) == 0 && (uint64_t)st.st_size > r->offset)
        ahead = (uint64_t)st.st_size - r->offset;
    r->cap = (size_t)ND_MIN(ND_MAX(ahead + 1, (uint64_t)BUFFER_MIN), (uint64_t)ND_LOG_RECORD_MAX);
    r->buffer = nd_calloc(1, r->cap + 1 + ND_LOG_DECODE_PAD);
    r->max_entries = ND_MIN(r->cap / RECORD_SMALLEST + ENTRIES_MIN, (size_t)ND_LOG_BATCH_ENTRIES);
    r->entries = nd_new_array(r->max_entries, struct nd_log_entry);
}

/* Room behind what is left: move it to the front, grow, or give up on a record that is too long. */
static void
make_room(struct nd_log_reader *r)
{
    if (r->buffer == NULL)
        make_buffer(r);
    if (r->at > 0) {
        memmove(r->buffer, r->buffer + r->at, r->len - r->at);
        r->len -= r->at;
        r->at = 0;
    }
    if (r->len < r->cap)
        return;
    if (r->cap < ND_LOG_RECORD_MAX) {
        r->cap = ND_MIN(4 * r->cap, ND_LOG_RECORD_MAX);
        r->buffer = nd_realloc(r->buffer, 1, r->cap + 1 + ND_LOG_DECODE_PAD);
        return;
    }
    r->skipped += r->len;
    r->len = 0;
    r->overlong = true;
}

/* In a record that is too long: skip to its end. */
static void
skip_overlong(struct nd_log_reader *r)
{
    const char *newline = memchr(r->buffer + r->at, '\n', r->len - r->at);
    size_t end = newline != NULL ? (size_t)(newline + 1 - r->buffer) : r->len;

    r->skipped += end - r->at;
    r->at = end;
    r->overlong = newline == NULL;
}

/* Read on. *ret: whether there was anything. */
static struct nd_error *
fill(struct nd_log_reader *r, bool *ret)
{
    size_t n = 0;

    make_room(r);
    ND_TRY(read_more(r, r->buffer + r->len, r->cap - r->len, &n));
    memset(r->buffer + r->len + n, 0, ND_LOG_DECODE_PAD);
    r->len += n;
    if (r->overlong)
        skip_overlong(r);
    *ret = n > 0;
    return NULL;
}

/* --- from file to file ---------------------------------------------------------------------- */

/* The end of a file that will not grow: a last line without newline counts if it is whole. */
static void
end_last_line(struct nd_log_reader *r)
{
    if (r->len > r->at)
        r->buffer[r->len++] = '\n';
    r->overlong = false;
}

/* Go on to the next file. *ret: whether there is one; a logger may be between rename and create. */
static struct nd_error *
open_next(struct nd_log_reader *r, bool *ret)
{
    struct log_step next;

    r->since_yield = 0;
    ND_TRY(log_trail_next(&r->trail, &next));
    *ret = next.file.fd >= 0;
    if (!*ret)
        return NULL;
    nd_closep(&r->file.fd);
    r->file = next.file;
    r->offset = 0;
    r->lost_files += next.lost;
    r->gap = r->gap || next.lost > 0;
    r->last_look = false;
    return NULL;
}

enum file_fate { FILE_STAYS, FILE_ROTATED, FILE_CUT, FILE_GONE };

/* What became of the current file. Two lookups of names that are in use: no need for a thread. */
static enum file_fate
fate_of_current(const struct nd_log_reader *r)
{
    struct stat named, ours;

    if (stat(r->path, &named) < 0)
        return FILE_GONE;
    if (named.st_ino != r->file.ino || named.st_dev != r->file.dev)
        return FILE_ROTATED;
    if (fstat(r->file.fd, &ours) == 0 && (uint64_t)ours.st_size < r->offset - (r->len - r->at))
        return FILE_CUT;
    return FILE_STAYS;
}

/*
 * The beginning of a line whose rest was not there: read again when there is more. A logger whose
 * disk is full takes it back, and what stands there then is something else.
 */
static void
forget_partial(struct nd_log_reader *r)
{
    r->offset -= r->len - r->at;
    r->len = r->at;
}

static struct nd_error *
wait_for_change(struct nd_log_reader *r)
{
    struct nd_error *err, *ctx;
    int64_t wait_ns = r->check_ns;

    if (r->options.until.sec != 0) {
        struct nd_wall now = nd_wall_now();
        int64_t left_sec = r->options.until.sec + ND_LOG_UNTIL_SLACK_NS / ND_SECOND - now.sec;

        if (left_sec <= 0) {
            r->ending = true;
            return NULL;
        }
        if (left_sec < wait_ns / ND_SECOND)
            wait_ns = left_sec * ND_SECOND;
    }
    forget_partial(r);
    drop_buffer(r);
    {
        ND_DEADLINE_IN(wait_ns);
        err = nd_dir_watch_wait(r->watch);
    }
    r->since_yield = 0;
    if (err == NULL) {
        r->check_ns = CHECK_FIRST_NS;
        return NULL;
    }
    if (nd_error_code(err) != ND_DEADLINE)
        return err;
    ctx = nd_ctx_check();
    nd_error_free(err);
    r->check_ns = ND_MIN(2 * r->check_ns, ND_LOG_FOLLOW_CHECK_NS);
    return ctx;
}

/* Nothing more comes from the container: wait until its logger has written everything. */
static struct nd_error *
wait_for_logger(struct nd_log_reader *r)
{
    struct nd_store_lock *lock = NULL;
    struct nd_error *err = NULL;

    if (r->logger_lock != NULL)
        err = nd_store_lock_take(r->logger_lock, ND_STORE_LOCK_FILE, &lock);
    nd_store_lock_release(lock);
    if (err != NULL && nd_error_code(err) != ND_NOT_FOUND)
        return err;
    nd_error_free(err); /* the directory has been removed: nobody writes */
    forget_partial(r);
    r->ending = true;
    return NULL;
}

/* The end of the last file that there is. */
static struct nd_error *
at_log_end(struct nd_log_reader *r)
{
    if (!r->options.follow || r->ending) {
        end_last_line(r);
        r->ended = true;
        return NULL;
    }
    if (r->options.is_running(r->options.arg))
        return wait_for_change(r);
    return wait_for_logger(r);
}

/* The file has no more bytes now. Go on elsewhere, wait, or end. */
static struct nd_error *
at_file_end(struct nd_log_reader *r)
{
    bool found = false;

    if (r->last_look && !r->options.follow)
        return at_log_end(r); /* what was there has been read; what is new would never end */
    if (r->file.number != LOG_FILE_CURRENT || r->last_look) {
        end_last_line(r);
        ND_TRY(open_next(r, &found));
        return found ? NULL : at_log_end(r);
    }
    switch (fate_of_current(r)) {
    case FILE_ROTATED:
        forget_partial(r);
        r->last_look = true; /* it was written to until just before */
        return NULL;
    case FILE_CUT:
        r->offset = 0;
        r->at = r->len = 0;
        r->gap = true;
        return NULL;
    case FILE_GONE:
    case FILE_STAYS:
        break;
    }
    return at_log_end(r);
}

/* --- batches -------------------------------------------------------------------------------- */

static bool
is_wanted(const struct nd_log_reader *r, const struct nd_log_entry *entry)
{
    const struct nd_log_reader_options *o = &r->options;

    if (o->streams != 0 && (o->streams & entry->stream) == 0)
        return false;
    if (o->since.sec != 0 && nd_wall_cmp(entry->at, o->since) < 0)
        return false;
    return o->until.sec == 0 || nd_wall_cmp(entry->at, o->until) <= 0;
}

/* Leave out what was not asked for. Entries so late that only later ones can follow are the end. */
static void
filter(struct nd_log_reader *r, struct nd_log_batch *batch, size_t n)
{
    struct nd_wall end = nd_wall_add(r->options.until, ND_LOG_UNTIL_SLACK_NS);

    for (size_t i = 0; i < n; i++) {
        const struct nd_log_entry *entry = &r->entries[i];

        if (is_wanted(r, entry)) {
            batch->payload += entry->bytes.len;
            r->entries[batch->n++] = *entry;
        } else if (r->options.until.sec != 0 && nd_wall_cmp(entry->at, end) > 0) {
            r->ended = true;
            r->at = r->len;
            return;
        }
    }
}

/* Decode what is in the buffer; whether there is a batch. */
static bool
decode(struct nd_log_reader *r, struct nd_log_batch *batch)
{
    struct nd_log_decoded d;

    if (r->at == r->len)
        return false;
    nd_log_decode(r->buffer + r->at, r->len - r->at, r->entries, r->max_entries, ND_LOG_BATCH_BYTES,
                  &d);
    r->at += d.consumed;
    r->skipped += d.skipped;
    r->since_yield += d.consumed;
    filter(r, batch, d.n);
    return batch->n > 0 || d.consumed > 0;
}

/* Whether the reader would have to wait, or end, for more. */
static bool
is_drained(const struct nd_log_reader *r)
{
    struct stat st;

    if (r->ended)
        return true;
    if (r->file.number != LOG_FILE_CURRENT ||
        memchr(r->buffer + r->at, '\n', r->len - r->at) != NULL)
        return false;
    return fstat(r->file.fd, &st) < 0 || (uint64_t)st.st_size <= r->offset;
}

static void
finish_batch(struct nd_log_reader *r, struct nd_log_batch *batch)
{
    batch->entries = r->loss.bytes.len > 0 ? &r->loss : r->entries;
    batch->drained = batch->n == 0 || is_drained(r);
    batch->gap = r->gap;
    batch->lost_files = r->lost_files;
    batch->skipped_bytes = r->skipped;
    r->gap = false;
    r->lost_files = 0;
    r->skipped = 0;
}

/* Get more bytes, from wherever they come next. */
static struct nd_error *
advance(struct nd_log_reader *r)
{
    bool more = false;

    ND_TRY(fill(r, &more));
    return more ? NULL : at_file_end(r);
}

static struct nd_error *
let_others_run(struct nd_log_reader *r)
{
    if (r->since_yield < ND_LOG_YIELD_BYTES)
        return NULL;
    r->since_yield = 0;
    return nd_fiber_yield();
}

struct loss_job {
    const char *path;
    char note[ND_WIRE_LOSS];
    ssize_t n;
};

static void
read_loss(void *arg)
{
    struct loss_job *job = arg;
    ND_AUTO(nd_closep) int fd = open(job->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    job->n = fd >= 0 ? pread(fd, job->note, sizeof(job->note), 0) : 0;
}

/*
 * Behind the last entry, once. A log that is read up to a time says nothing about what came later.
 */
static struct nd_error *
add_loss(struct nd_log_reader *r, struct nd_log_batch *batch)
{
    struct loss_job job = {.path = r->logger_lock};
    bool wanted = r->options.streams == 0 || (r->options.streams & ND_LOG_STDERR) != 0;
    struct nd_wire_loss loss;

    if (r->loss_told || !wanted || job.path == NULL || r->options.until.sec != 0)
        return NULL;
    r->loss_told = true;
    ND_TRY(nd_work(ND_WORK_SHORT, read_loss, &job));
    if (job.n < 0 || !nd_wire_get_loss(nd_str_n(job.note, (size_t)job.n), &loss))
        return NULL;
    r->loss = (struct nd_log_entry){.at = nd_wall_now(), .stream = ND_LOG_STDERR};
    r->loss.bytes = nd_str_n(r->loss_text, nd_wire_loss_text(&loss, r->loss_text));
    batch->n = 1;
    batch->payload = r->loss.bytes.len;
    return NULL;
}

struct nd_error *
nd_log_reader_next(struct nd_log_reader *r, struct nd_log_batch *ret)
{
    struct nd_log_batch batch = {0};

    while (batch.n == 0) {
        ND_TRY(let_others_run(r));
        if (decode(r, &batch))
            continue;
        if (r->ended)
            break;
        ND_TRY(advance(r));
    }
    if (batch.n == 0)
        ND_TRY(add_loss(r, &batch));
    finish_batch(r, &batch);
    *ret = batch;
    return NULL;
}

/* --- open and close ------------------------------------------------------------------------- */

static struct nd_error *
open_first(struct nd_log_reader *r)
{
    bool found = false;

    ND_TRY(open_next(r, &found));
    return found ? NULL : nd_error_new(ND_NOT_FOUND, "no log %s", r->path);
}

/* Begin at the tail that was asked for. */
static struct nd_error *
open_tail(struct nd_log_reader *r)
{
    struct log_files_tail job = {.path = r->path, .lines = r->options.tail};
    enum nd_work_kind kind = job.lines <= TAIL_SHORT_MAX ? ND_WORK_SHORT : ND_WORK_BULK;
    struct nd_dir_births before = log_trail_births(&r->trail);

    ND_TRY(nd_work(kind, log_files_tail, &job));
    if (job.errnum != 0)
        return nd_error_errno(job.errnum, "open %s", r->path);
    r->file = job.start;
    r->offset = job.offset;
    log_trail_begin(&r->trail, &r->file, before);
    return NULL;
}

static struct nd_error *
watch_dir(struct nd_log_reader *r)
{
    const char *name = strrchr(r->path, '/') + 1;
    ND_AUTO(nd_freep) char *dir = nd_strndup(r->path, (size_t)(name - r->path));

    ND_TRY(nd_dir_watch_begin(r->options.watcher, dir, &r->watch));
    return nd_dir_watch_begin_births(r->options.watcher, dir, name, &r->trail.births);
}

struct nd_error *
nd_log_reader_open(const struct nd_log_reader_options *options, struct nd_log_reader **ret)
{
    ND_AUTO(nd_log_reader_closep) struct nd_log_reader *r = NULL;

    if (options->path[0] != '/')
        return nd_error_new(ND_INVALID, "log path %s is not absolute", options->path);
    ND_INVARIANT(!options->follow || (options->watcher != NULL && options->is_running != NULL));
    r = nd_new(struct nd_log_reader);
    r->options = *options;
    r->path = nd_strdup(options->path);
    r->logger_lock = nd_strdup(options->logger_lock);
    r->file = (struct log_file){.fd = -1, .number = LOG_FILE_NONE};
    r->check_ns = CHECK_FIRST_NS;
    log_trail_init(&r->trail, r->path, options->since.sec > 0 ? options->since.sec - 1 : INT64_MIN,
                   options->ahead_files > 0 ? options->ahead_files : ND_LOG_AHEAD_FILES);
    if (options->follow)
        ND_TRY(watch_dir(r));
    if (options->tail == ND_LOG_TAIL_ALL)
        ND_TRY(open_first(r));
    else
        ND_TRY(open_tail(r));
    *ret = ND_TAKE(r);
    return NULL;
}

struct nd_error *
nd_log_reader_hold(struct nd_log_reader *r)
{
    ND_INVARIANT(r->options.follow);
    return log_trail_hold(&r->trail);
}

size_t
nd_log_reader_ahead(const struct nd_log_reader *r)
{
    return log_trail_ahead(&r->trail);
}

void
nd_log_reader_close(struct nd_log_reader *r)
{
    if (r == NULL)
        return;
    log_trail_fini(&r->trail);
    nd_dir_watch_end(r->watch);
    nd_closep(&r->file.fd);
    drop_buffer(r);
    nd_free(r->path);
    nd_free(r->logger_lock);
    nd_free(r);
}

void
nd_log_reader_closep(struct nd_log_reader **reader)
{
    nd_log_reader_close(*reader);
}
