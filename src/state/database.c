/*
 * One SQLite file.
 *
 * WAL mode with the lock held for as long as the file is open: no other process can have it, and
 * the index of the log lies in our heap instead of in a shared file. A transaction that must
 * survive a power cut is synced at its commit, another one is only written, which a killed process
 * cannot lose either.
 *
 * Opening distinguishes what people would do about it: another daemon has it (stop that one), a
 * newer version wrote it (do not go back), it is something else (name another folder), it is
 * damaged. The last is found by SQLite's quick check, and the caller moves such a file aside.
 *
 * Most of what is written says that something is over, and that must be possible on a full disk
 * too. So the room for it is taken in the beginning: the log gets its whole length, within which it
 * is written again and again, and the file grows in steps. (A file system that copies on writing
 * promises nothing.) What is reserved behind the log's end is no part of it: SQLite goes by
 * checksums.
 *
 * Memory is kept small: a few pages of cache, no lookaside, no memory mapping.
 */

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "state/limits.h"

#include "database_priv.h"

#define PAGE_BYTES 4096u

struct database {
    sqlite3 *handle;
    const char *path; /* for messages; borrowed from the handle */
    bool durable;     /* how commits are synced now */
    sqlite3_stmt *statements[SQL_COUNT];
};

struct sql_row {
    sqlite3_stmt *statement;
};

static enum nd_code
code_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
    case SQLITE_TOOBIG:
        return ND_EXHAUSTED;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ND_DATA_LOSS;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ND_UNAVAILABLE;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return ND_DENIED;
    default:
        return ND_INTERNAL;
    }
}

static struct nd_error *
failure(const struct database *db, int rc, const char *doing)
{
    struct nd_error *err =
        nd_error_new(code_of(rc), "%s: %s: %s", db->path, doing,
                     db->handle != NULL ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc));

    err = nd_error_component(err, "state");
    if (code_of(rc) == ND_EXHAUSTED)
        return nd_error_hint(err, "is there space left on the disk of the state folder?");
    if (code_of(rc) != ND_UNAVAILABLE)
        return err;
    return nd_error_hint(nd_error_reason(err, "LEDGER_IN_USE"),
                         "another nerdctl-grpcd uses it: stop that one, or give --state-dir");
}

static struct nd_error *
execute(struct database *db, const char *sql, const char *doing)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? NULL : failure(db, rc, doing);
}

/* The first column of the first row; `*ret_text` may be NULL. */
static struct nd_error *
ask_one(struct database *db, const char *sql, int64_t *ret, bool *ret_is_ok)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (rc != SQLITE_ROW) {
        sqlite3_finalize(statement);
        return failure(db, rc, sql);
    }
    *ret = sqlite3_column_int64(statement, 0);
    if (ret_is_ok != NULL)
        *ret_is_ok = nd_str_eqz(nd_str((const char *)sqlite3_column_text(statement, 0)), "ok");
    sqlite3_finalize(statement);
    return NULL;
}

/* Before the first page is read. The lock is taken with it, for good. */
static struct nd_error *
configure(struct database *db)
{
    char sql[512];

    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, ND_LEDGER_LOCK_WAIT_MS);
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)snprintf(
        sql, sizeof(sql),
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = %u; PRAGMA cache_size = -%d;"
        "PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;",
        PAGE_BYTES, ND_LEDGER_CACHE_KIB);
    return execute(db, sql, "configure");
}

static struct nd_error *
begin_logging(struct database *db)
{
    char sql[256];

    (void)snprintf(sql, sizeof(sql),
                   "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                   "PRAGMA wal_autocheckpoint = %d; PRAGMA journal_size_limit = %u;"
                   "PRAGMA max_page_count = %zu;",
                   ND_LEDGER_WAL_PAGES, (unsigned)ND_LEDGER_WAL_BYTES,
                   ND_LEDGER_MAX_BYTES / PAGE_BYTES);
    ND_TRY(execute(db, sql, "switch to WAL"));
    db->durable = true;
    return NULL;
}

static struct nd_error *
is_newer(const struct database *db, int64_t version)
{
    struct nd_error *err =
        nd_error_new(ND_PRECONDITION,
                     "%s was written by a newer nerdctl-grpcd (version %lld; this one "
                     "knows %d)",
                     db->path, (long long)version, SCHEMA_VERSION);

    return nd_error_hint(
        nd_error_reason(err, "LEDGER_NEWER"),
        "install the newer program again, or move the file away: what was under way "
        "when that one ended is then not cleaned up");
}

static struct nd_error *
is_foreign(const struct database *db)
{
    struct nd_error *err =
        nd_error_new(ND_PRECONDITION, "%s is a database of another program", db->path);

    return nd_error_hint(nd_error_reason(err, "LEDGER_FOREIGN"), "give another --state-dir");
}

/* Ours, of a version that we know, and in order. */
static struct nd_error *
check(struct database *db, int64_t *ret_version)
{
    int64_t application, tables, ignored;
    bool sound = false;

    ND_TRY(ask_one(db, "PRAGMA user_version", ret_version, NULL));
    ND_TRY(ask_one(db, "PRAGMA application_id", &application, NULL));
    ND_TRY(ask_one(db, "SELECT count(*) FROM sqlite_schema", &tables, NULL));
    if (tables > 0 && application != LEDGER_APPLICATION)
        return is_foreign(db);
    if (*ret_version > SCHEMA_VERSION)
        return is_newer(db, *ret_version);
    ND_TRY(ask_one(db, "PRAGMA quick_check(1)", &ignored, &sound));
    return sound ? NULL : nd_error_new(ND_DATA_LOSS, "%s: the check of its pages fails", db->path);
}

static struct nd_error *
migrate(struct database *db, int64_t version)
{
    char sql[128];

    if (version == SCHEMA_VERSION)
        return NULL;
    ND_TRY(execute(db, "BEGIN IMMEDIATE", "begin"));
    for (int64_t v = version; v < SCHEMA_VERSION; v++)
        ND_TRY(execute(db, nd_schema_steps[v], "bring up to date"));
    (void)snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
                   LEDGER_APPLICATION, SCHEMA_VERSION);
    return execute(db, sql, "bring up to date");
}

/*
 * The log is there since the switch to it. A disk that is full already is no reason not to begin.
 */
static void
reserve_room(const struct database *db)
{
    int growth = ND_LEDGER_GROWTH_BYTES;
    ND_AUTO(nd_freep) char *path = nd_asprintf("%s-wal", db->path);
    ND_AUTO(nd_closep) int fd = open(path, O_RDWR | O_CLOEXEC);
    int errnum = fd >= 0 ? posix_fallocate(fd, 0, (off_t)ND_LEDGER_WAL_BYTES) : errno;
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

    (void)sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_CHUNK_SIZE, &growth);
    (void)sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (errnum == 0)
        return;
    err = nd_error_errno(errnum, "reserve room in %s", path);
    nd_warn("what is over may not be noted when the disk is full", ND_KV("error", err));
}

struct nd_error *
nd_database_open(const char *path, struct database **ret)
{
    ND_AUTO(nd_database_closep) struct database *db = nd_new(struct database);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int64_t version;
    int rc = sqlite3_open_v2(path != NULL ? path : ":memory:", &db->handle, flags, NULL);

    db->path = path != NULL ? path : "state in memory";
    if (rc != SQLITE_OK)
        return failure(db, rc, "open");
    if (path != NULL)
        db->path = sqlite3_db_filename(db->handle, "main");
    ND_TRY(configure(db));
    ND_TRY(check(db, &version));
    ND_TRY(begin_logging(db));
    ND_TRY(migrate(db, version));
    if (path != NULL)
        reserve_room(db);
    *ret = ND_TAKE(db);
    return NULL;
}

void
nd_database_close(struct database *db)
{
    if (db == NULL)
        return;
    for (size_t i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(db->statements[i]);
    (void)sqlite3_close(db->handle);
    nd_free(db);
}

void
nd_database_closep(struct database **db)
{
    nd_database_close(*db);
}

static int
bind(sqlite3_stmt *statement, int at, const struct sql_arg *arg)
{
    switch (arg->type) {
    case SQL_INT:
        return sqlite3_bind_int64(statement, at, arg->number);
    case SQL_TEXT:
        return sqlite3_bind_text(statement, at, arg->bytes.ptr, (int)arg->bytes.len, SQLITE_STATIC);
    case SQL_BLOB:
        if (arg->bytes.len == 0)
            return sqlite3_bind_zeroblob(statement, at, 0);
        return sqlite3_bind_blob(statement, at, arg->bytes.ptr, (int)arg->bytes.len, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

static int
step_all(sqlite3_stmt *statement, void (*on_row)(void *arg, const struct sql_row *row), void *arg)
{
    const struct sql_row row = {statement};
    int rc;

    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        if (on_row != NULL)
            on_row(arg, &row);
    }
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

struct nd_error *
nd_database_run(struct database *db, enum sql sql, const struct sql_arg *args, size_t n_args,
                void (*on_row)(void *arg, const struct sql_row *row), void *arg)
{
    sqlite3_stmt **statement = &db->statements[sql];
    struct nd_error *err = NULL;
    int rc = SQLITE_OK;

    if (*statement == NULL)
        rc = sqlite3_prepare_v3(db->handle, nd_sql_texts[sql], -1, SQLITE_PREPARE_PERSISTENT,
                                statement, NULL);
    for (size_t i = 0; rc == SQLITE_OK && i < n_args; i++)
        rc = bind(*statement, (int)i + 1, &args[i]);
    if (rc == SQLITE_OK)
        rc = step_all(*statement, on_row, arg);
    if (rc != SQLITE_OK)
        err = failure(db, rc, "write or read");
    (void)sqlite3_reset(*statement);
    (void)sqlite3_clear_bindings(*statement);
    return err;
}

int64_t
nd_row_int(const struct sql_row *row, int column)
{
    return sqlite3_column_int64(row->statement, column);
}

struct nd_str
nd_row_bytes(const struct sql_row *row, int column)
{
    const void *bytes = sqlite3_column_blob(row->statement, column);

    return nd_str_n(bytes,
                    bytes != NULL ? (size_t)sqlite3_column_bytes(row->statement, column) : 0);
}

struct nd_error *
nd_database_begin(struct database *db, bool durable)
{
    if (durable != db->durable)
        ND_TRY(execute(db, durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
                       "choose how to sync"));
    db->durable = durable;
    return execute(db, "BEGIN IMMEDIATE", "begin");
}

void
nd_database_rollback(struct database *db)
{
    if (sqlite3_get_autocommit(db->handle) == 0)
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

struct nd_error *
nd_database_commit(struct database *db)
{
    struct nd_error *err = execute(db, "COMMIT", "commit");

    if (err != NULL)
        nd_database_rollback(db);
    return err;
}
