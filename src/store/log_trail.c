/*
 * The trail of a log: its files in order, each opened before it can go.
 *
 *      taken by the reader     ahead: open, unread        the newest: current, until it is rotated
 *      ...... .4               .5   .6                    c-json.log
 *
 * A logger removes its oldest files whether or not they were read. An open file stays readable, so
 * somebody who lags has to open the files as they appear and not when he gets there. That is what
 * holding is: a fiber waits for rotations and opens what follows, up to so many files and
 * ND_LOG_AHEAD_BYTES, because what was removed takes space on the disk for as long as it is open.
 * Without a holder the reader itself looks when it needs the next file.
 *
 * What is missing must never pass for whole. Numbers tell of gaps between rotated files; but a
 * current file that was rotated and removed before anybody looked has had a number that nobody
 * knows. So rotations are counted: the kernel tells of each birth of the current file. Between two
 * current files whose births are k apart lie k - 1 others; what was not passed on the way is lost.
 * A file is taken for birth number k only when the count was k before it was opened and after.
 */

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fiber/work.h"
#include "store/limits.h"

#include "log_trail_priv.h"

#define COUNT_TRIES \
    16u /* rotations that may come while the current file is opened, again and again */

void
log_trail_init(struct log_trail *trail, const char *path, int64_t since_sec, unsigned ahead_max)
{
    *trail = (struct log_trail){.path = path, .since_sec = since_sec, .ahead_max = ahead_max};
    trail->newest = (struct log_file){.fd = -1, .number = LOG_FILE_NONE};
    TAILQ_INIT(&trail->ahead);
}

void
log_trail_fini(struct log_trail *trail)
{
    struct log_step *step;

    while ((step = TAILQ_FIRST(&trail->ahead)) != NULL) {
        TAILQ_REMOVE(&trail->ahead, step, link);
        nd_closep(&step->file.fd);
        nd_free(step);
    }
    nd_dir_watch_end(ND_TAKE(trail->births));
}

struct nd_dir_births
log_trail_births(const struct log_trail *trail)
{
    return trail->births != NULL ? nd_dir_watch_births(trail->births) : (struct nd_dir_births){0};
}

static bool
are_equal(struct nd_dir_births a, struct nd_dir_births b)
{
    return a.seen == b.seen && a.holes == b.holes;
}

/* The trail has come to a current file that was born as `at` says. */
static void
count_from(struct log_trail *trail, bool known, struct nd_dir_births at)
{
    trail->counts = known && trail->births != NULL;
    trail->births_then = at;
    trail->passed = trail->told = 0;
}

void
log_trail_begin(struct log_trail *trail, const struct log_file *start, struct nd_dir_births before)
{
    trail->newest = *start;
    if (start->number == LOG_FILE_CURRENT)
        count_from(trail, are_equal(before, log_trail_births(trail)), before);
}

/* The last one grew since it was opened: sizes are asked for anew. */
static uint64_t
bytes_in(const struct log_steps *steps)
{
    const struct log_step *step;
    uint64_t bytes = 0;
    struct stat st;

    TAILQ_FOREACH (step, steps, link)
        bytes += fstat(step->file.fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    return bytes;
}

/*
 * What one look finds; for the reader all at once, so that a loss is told before what comes behind
 * it.
 */
struct look {
    struct log_trail *trail;
    struct log_steps found;
    size_t n;
};

static bool
has_room(const struct look *look)
{
    const struct log_trail *trail = look->trail;
    size_t max = trail->births != NULL ? trail->ahead_max : 1;
    size_t n = trail->n_ahead + look->n;

    return n == 0 ||
           (n < max && bytes_in(&trail->ahead) + bytes_in(&look->found) < ND_LOG_AHEAD_BYTES);
}

/* What a file, now found, says about those before it. */
static uint64_t
count_lost(const struct log_trail *trail, const struct log_files_next *found,
           struct nd_dir_births at)
{
    uint64_t lost = found->lost, known;

    if (!trail->counts || at.holes != trail->births_then.holes)
        return lost + (lost == 0 && found->untracked ? 1 : 0);
    if (found->next.number != LOG_FILE_CURRENT)
        return lost;
    known = trail->passed + trail->told + 1;
    return at.seen - trail->births_then.seen > known ? at.seen - trail->births_then.seen - known
                                                     : 0;
}

/* Put a file at the end; what is lost before it stands with the first one of this look. */
static void
append(struct look *look, const struct log_file *file, uint64_t lost)
{
    struct log_step *step = nd_new(struct log_step);
    struct log_trail *trail = look->trail;

    step->file = *file;
    TAILQ_INSERT_TAIL(&look->found, step, link);
    TAILQ_FIRST(&look->found)->lost += lost;
    look->n++;
    trail->newest = *file;
    trail->passed++;
    trail->told += lost;
}

/* Whether the file is the one where the trail ends already: nothing was rotated. */
static bool
is_newest(const struct log_trail *trail, const struct log_file *file)
{
    return trail->newest.number == LOG_FILE_CURRENT && file->number == LOG_FILE_CURRENT &&
           trail->newest.ino == file->ino && trail->newest.dev == file->dev;
}

enum look_result { LOOK_AGAIN, LOOK_DONE };

/* Find one file and put it at the end. */
static struct nd_error *
look_once(struct look *look, bool last_try, enum look_result *ret)
{
    struct log_trail *trail = look->trail;
    struct nd_dir_births before = log_trail_births(trail), after;
    struct log_files_next job = {
        .path = trail->path, .now = trail->newest, .since_sec = trail->since_sec};
    bool sure;

    ND_TRY(nd_work(ND_WORK_SHORT, log_files_next, &job));
    if (job.errnum != 0)
        return nd_error_errno(job.errnum, "open %s", trail->path);
    *ret = LOOK_DONE;
    if (job.next.fd < 0)
        return NULL;
    after = log_trail_births(trail);
    sure = are_equal(before, after);
    if (is_newest(trail, &job.next) ||
        (job.next.number == LOG_FILE_CURRENT && !sure && !last_try)) {
        *ret = sure || last_try ? LOOK_DONE : LOOK_AGAIN;
        nd_closep(&job.next.fd);
        return NULL;
    }
    append(look, &job.next, count_lost(trail, &job, after));
    if (job.next.number != LOG_FILE_CURRENT)
        *ret = LOOK_AGAIN;
    else
        count_from(trail, sure, after);
    return NULL;
}

/*
 * Go on to the current file, as far as there is room. *ret: it was reached, or there is none now.
 */
static struct nd_error *
look_ahead(struct look *look, bool *ret)
{
    unsigned in_vain = 0;

    *ret = false;
    while (has_room(look)) {
        enum look_result result = LOOK_DONE;
        size_t before = look->n;

        ND_TRY(look_once(look, in_vain == COUNT_TRIES, &result));
        in_vain += look->n == before;
        if (result == LOOK_DONE) {
            *ret = true;
            return NULL;
        }
    }
    return NULL;
}

/* The same, alone; and what was found is the reader's. */
static struct nd_error *
look_alone(struct log_trail *trail, bool *ret)
{
    struct look look = {.trail = trail, .found = TAILQ_HEAD_INITIALIZER(look.found)};
    struct nd_error *err;

    ND_TRY(nd_mutex_lock(&trail->busy));
    err = look_ahead(&look, ret);
    TAILQ_CONCAT(&trail->ahead, &look.found, link);
    trail->n_ahead += look.n;
    nd_mutex_unlock(&trail->busy);
    return err;
}

size_t
log_trail_ahead(const struct log_trail *trail)
{
    return trail->n_ahead;
}

struct nd_error *
log_trail_next(struct log_trail *trail, struct log_step *ret)
{
    struct log_step *step;
    bool reached;

    if (trail->n_ahead == 0)
        ND_TRY(look_alone(trail, &reached));
    step = TAILQ_FIRST(&trail->ahead);
    *ret = (struct log_step){.file.fd = -1};
    if (step == NULL)
        return NULL;
    TAILQ_REMOVE(&trail->ahead, step, link);
    trail->n_ahead--;
    *ret = *step;
    nd_free(step);
    nd_cond_signal(&trail->room);
    return NULL;
}

struct nd_error *
log_trail_hold(struct log_trail *trail)
{
    for (;;) {
        bool reached = false;

        ND_TRY(look_alone(trail, &reached));
        if (reached)
            ND_TRY(nd_dir_watch_wait(trail->births));
        else
            ND_TRY(nd_cond_wait(&trail->room));
    }
}
