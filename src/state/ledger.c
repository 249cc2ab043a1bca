/*
 * The ledger: the queue in front of the one writer.
 *
 *   fibers ──submit──▶ queue ──▶ writer fiber ──batch──▶ a thread: BEGIN, all of them, COMMIT (one sync)
 *      ▲                                                    │
 *      └──────────────────────── woken ◀────────────────────┘
 *
 * The writer takes whatever is there, so the more is submitted during one sync, the more share the
 * next. It is a fiber of the ledger's own group that exists while there is something to do, and it
 * does not belong to the call that happened to start it. All changes of a batch are one
 * transaction: any failure is that of all of them, because a disk that refuses one refuses the rest
 * as well.
 *
 * That something is over has happened whether or not the disk takes it, and one who reads later
 * that it is not would undo it. So such an entry is owed when its batch fails: it goes with the
 * next one, with one of its own after a while, or with the last before the end.
 */

#include "state/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "fiber/group.h"
#include "fiber/work.h"
#include "state/limits.h"

#include "ledger_priv.h"

#define BOOT_ID_SIZE 40

struct nd_ledger {
    struct database *db;
    struct nd_group *group;
    struct entries queue, owed;
    size_t n_queued;
    bool writing;
    struct nd_cond more; /* for the writer that waits to try what is owed again */
    uint64_t next_seq, dead_seq;
    struct left_intents *left;
    struct nd_ledger_stats stats;
    char boot[BOOT_ID_SIZE];
};

struct entry *
nd_entry_new(enum sql sql, const struct sql_arg *args, size_t n_args)
{
    struct entry *e = nd_new(struct entry);
    size_t size = 0, at = 0;

    ND_INVARIANT(n_args <= ENTRY_ARGS);
    for (size_t i = 0; i < n_args; i++)
        size += args[i].bytes.len + 1; /* with a NUL, for those who read texts back */
    e->memory = nd_calloc(1, size + 1);
    for (size_t i = 0; i < n_args; i++) {
        e->args[i] = args[i];
        if (args[i].type == SQL_INT)
            continue;
        if (args[i].bytes.len > 0)
            memcpy(e->memory + at, args[i].bytes.ptr, args[i].bytes.len);
        e->args[i].bytes.ptr = e->memory + at;
        at += args[i].bytes.len + 1;
    }
    e->sql = sql;
    e->n_args = n_args;
    e->refs = 1;
    return e;
}

void
nd_entry_unref(struct entry *e)
{
    if (e == NULL || --e->refs > 0)
        return;
    nd_error_free(e->err);
    nd_free(e->memory);
    nd_free(e);
}

void
nd_entry_unrefp(struct entry **e)
{
    nd_entry_unref(ND_TAKE(*e));
}

/* A batch, as its thread sees it. */
struct batch {
    struct database *db;
    struct entries entries;
    bool changes, durable;
    struct nd_error *err; /* of the transaction */
};

static struct nd_error *
run_entry(struct batch *b, struct entry *e)
{
    return nd_database_run(b->db, e->sql, e->args, e->n_args, e->on_row, e->row_arg);
}

static struct nd_error *
run_changes(struct batch *b)
{
    struct entry *e;

    ND_TRY(nd_database_begin(b->db, b->durable));
    TAILQ_FOREACH (e, &b->entries, link) {
        if (e->reads)
            e->err = run_entry(b, e);
        else
            ND_TRY(run_entry(b, e));
    }
    return nd_database_commit(b->db);
}

/* On the thread. */
static void
run_batch(void *arg)
{
    struct batch *b = arg;
    struct entry *e;

    if (b->changes) {
        b->err = run_changes(b);
        if (b->err != NULL)
            nd_database_rollback(b->db);
        return;
    }
    TAILQ_FOREACH (e, &b->entries, link)
        e->err = run_entry(b, e);
}

static void
take_queue(struct nd_ledger *l, struct batch *b)
{
    struct entry *e;

    TAILQ_INIT(&b->entries);
    TAILQ_CONCAT(&b->entries, &l->owed, link);
    TAILQ_CONCAT(&b->entries, &l->queue, link);
    l->n_queued = 0;
    TAILQ_FOREACH (e, &b->entries, link) {
        e->queued = false;
        b->changes |= !e->reads;
        b->durable |= e->durable;
    }
}

static void
finish_batch(struct nd_ledger *l, struct batch *b)
{
    struct entry *e;

    l->stats.commits += b->changes ? 1 : 0;
    l->stats.syncs += b->durable ? 1 : 0;
    while ((e = TAILQ_FIRST(&b->entries)) != NULL) {
        TAILQ_REMOVE(&b->entries, e, link);
        l->stats.changes += e->reads ? 0 : 1;
        if (b->err != NULL && e->err == NULL)
            e->err = nd_error_copy(b->err);
        e->finished = true;
        nd_cond_broadcast(&e->done);
        if (b->err != NULL && e->lasting)
            TAILQ_INSERT_TAIL(&l->owed, e, link);
        else
            nd_entry_unref(e);
    }
    nd_error_free(b->err);
}

static void
write_batch(struct nd_ledger *l)
{
    struct batch b = {.db = l->db};
    struct nd_error *err;

    ND_SHIELDED(ND_LEDGER_WRITE_WAIT_NS);
    take_queue(l, &b);
    err = nd_work(ND_WORK_SHORT, run_batch, &b);
    if (err != NULL)
        b.err = nd_error_recode(nd_error_wrap(err, "write the state"), ND_UNAVAILABLE);
    if (b.err != NULL)
        nd_err("the state is not written", ND_KV("error", b.err));
    finish_batch(l, &b);
}

/*
 * What is owed is left alone: a while later, or with the next change. False when the ledger closes.
 */
static bool
wait_to_retry(struct nd_ledger *l)
{
    struct nd_error *err;
    bool closes;
    ND_DEADLINE_IN(ND_LEDGER_RETRY_NS);

    err = nd_cond_wait(&l->more);
    closes = nd_error_code(err) == ND_CANCELLED;
    nd_error_free(err);
    return !closes;
}

/* The writer: until there is nothing left. */
static struct nd_error *
write_queue(void *arg)
{
    struct nd_ledger *l = arg;

    for (unsigned i = 0; i < ND_CTX_SLOTS; i++)
        nd_ctx_set((enum nd_ctx_slot)i, NULL);
    while (!TAILQ_EMPTY(&l->queue) || (!TAILQ_EMPTY(&l->owed) && wait_to_retry(l)))
        write_batch(l);
    l->writing = false;
    return NULL;
}

struct nd_error *
nd_ledger_submit(struct nd_ledger *l, struct entry *e)
{
    if (l->n_queued >= ND_LEDGER_MAX_QUEUE && !e->lasting)
        return nd_error_new(ND_EXHAUSTED, "%u changes wait for the disk of the state folder",
                            ND_LEDGER_MAX_QUEUE);
    if (!l->writing) {
        ND_TRY_DOING(nd_group_spawn_now(l->group, write_queue, l), "write the state");
        l->writing = true;
    }
    e->refs++;
    e->queued = true;
    TAILQ_INSERT_TAIL(&l->queue, e, link);
    l->n_queued++;
    nd_cond_signal(&l->more);
    return NULL;
}

struct nd_error *
nd_entry_wait(struct entry *e)
{
    while (!e->finished)
        ND_TRY(nd_cond_wait(&e->done));
    return nd_error_copy(e->err);
}

bool
nd_ledger_withdraw(struct nd_ledger *l, struct entry *e)
{
    if (!e->queued)
        return false;
    TAILQ_REMOVE(&l->queue, e, link);
    l->n_queued--;
    e->queued = false;
    e->finished = true;
    nd_cond_broadcast(&e->done);
    nd_entry_unref(e);
    return true;
}

struct nd_error *
nd_ledger_change(struct nd_ledger *l, enum sql sql, const struct sql_arg *args, size_t n_args)
{
    ND_AUTO(nd_entry_unrefp) struct entry *e = nd_entry_new(sql, args, n_args);

    return nd_ledger_submit(l, e);
}

/* The rows go to memory of the caller's, so that it stays until the thread is through. */
struct nd_error *
nd_ledger_ask(struct nd_ledger *l, enum sql sql, const struct sql_arg *args, size_t n_args,
              void (*on_row)(void *arg, const struct sql_row *row), void *arg)
{
    ND_AUTO(nd_entry_unrefp) struct entry *e = nd_entry_new(sql, args, n_args);

    e->reads = true;
    e->on_row = on_row;
    e->row_arg = arg;
    ND_TRY(nd_ctx_check());
    ND_TRY(nd_ledger_submit(l, e));
    while (!e->finished) {
        ND_SHIELDED(2 * ND_LEDGER_WRITE_WAIT_NS);
        struct nd_error *err = nd_cond_wait(&e->done);

        nd_error_free(err); /* not even now: see above */
    }
    return nd_error_copy(e->err);
}

struct left_intents *
nd_ledger_left(struct nd_ledger *l)
{
    return l->left;
}

uint64_t
nd_ledger_next_seq(struct nd_ledger *l)
{
    return l->next_seq++;
}

uint64_t
nd_ledger_dead_seq(const struct nd_ledger *l)
{
    return l->dead_seq;
}

const char *
nd_ledger_boot(const struct nd_ledger *l)
{
    return l->boot;
}

void
nd_ledger_get_stats(const struct nd_ledger *l, struct nd_ledger_stats *ret)
{
    *ret = l->stats;
}

static void
read_boot_id(char ret[BOOT_ID_SIZE])
{
    ND_AUTO(nd_closep) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, ret, BOOT_ID_SIZE - 1) : 0;
    struct nd_str text = nd_str_trim(nd_str_n(ret, n > 0 ? (size_t)n : 0));

    ret[text.len] = '\0';
}

/* The folder and those above it. */
static struct nd_error *
make_folder(const char *dir)
{
    char part[PATH_MAX];
    struct nd_str whole = nd_str(dir);

    ND_TRY(nd_str_copy(part, sizeof(part), whole, "state folder"));
    for (size_t i = 1; i <= whole.len; i++) {
        if (i < whole.len && part[i] != '/')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return nd_error_errno(errno, "make the state folder %s", part);
        part[i] = i < whole.len ? '/' : '\0';
    }
    return NULL;
}

/* The file and its log keep their contents, for a person to look at. */
static struct nd_error *
move_aside(const char *path, const struct nd_error *why)
{
    static const char *const parts[] = {"", "-wal", "-shm"};
    long long now = (long long)nd_wall_now().sec;

    for (size_t i = 0; i < ND_LEN(parts); i++) {
        char from[PATH_MAX], to[PATH_MAX];

        (void)snprintf(from, sizeof(from), "%s%s", path, parts[i]);
        (void)snprintf(to, sizeof(to), "%s.damaged-%lld%s", path, now, parts[i]);
        if (rename(from, to) < 0 && errno != ENOENT)
            return nd_error_errno(errno, "move the damaged %s aside", from);
    }
    nd_err("the state is damaged and was moved aside; what was under way is not cleaned up",
           ND_KV("path", path), ND_KV("error", why));
    return NULL;
}

static struct nd_error *
open_file(const char *dir, struct database **ret)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/state.db", dir);

    if (n < 0 || (size_t)n >= sizeof(path) - 40)
        return nd_error_new(ND_INVALID, "the path of the state folder is too long");
    ND_TRY(make_folder(dir));
    err = nd_database_open(path, ret);
    if (nd_error_code(err) != ND_DATA_LOSS)
        return ND_TAKE(err);
    ND_TRY(move_aside(path, err));
    return nd_database_open(path, ret);
}

static void
take_last(void *arg, const struct sql_row *row)
{
    struct nd_ledger *l = arg;

    l->dead_seq = (uint64_t)nd_row_int(row, 0);
}

struct nd_error *
nd_ledger_open(const char *dir, struct nd_ledger **ret)
{
    ND_AUTO(nd_ledger_closep) struct nd_ledger *l = nd_new(struct nd_ledger);

    TAILQ_INIT(&l->queue);
    TAILQ_INIT(&l->owed);
    l->left = nd_left_intents_new();
    read_boot_id(l->boot);
    ND_TRY(dir != NULL ? open_file(dir, &l->db) : nd_database_open(NULL, &l->db));
    ND_TRY(nd_database_run(l->db, SQL_INTENT_LAST, NULL, 0, take_last, l));
    l->next_seq = l->dead_seq + 1;
    l->group = nd_group_begin_independent("state", 0);
    *ret = ND_TAKE(l);
    return NULL;
}

/* The last try. */
static void
pay_what_is_owed(struct nd_ledger *l)
{
    struct entry *e;

    if (!TAILQ_EMPTY(&l->owed))
        write_batch(l);
    while ((e = TAILQ_FIRST(&l->owed)) != NULL) {
        TAILQ_REMOVE(&l->owed, e, link);
        nd_entry_unref(e);
    }
}

void
nd_ledger_close(struct nd_ledger *l)
{
    if (l == NULL)
        return;
    nd_left_intents_free(l->left);
    nd_group_end(l->group); /* its fiber is shielded and leaves when the queue is empty */
    ND_INVARIANT(TAILQ_EMPTY(&l->queue));
    pay_what_is_owed(l);
    nd_database_close(l->db);
    nd_free(l);
}

void
nd_ledger_closep(struct nd_ledger **ledger)
{
    nd_ledger_close(*ledger);
}
