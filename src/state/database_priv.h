#ifndef STATE_DATABASE_PRIV_H
#define STATE_DATABASE_PRIV_H

/*
 * SQLite, as far as this room needs it: open and check, run one of a fixed set of statements,
 * commit. Used by one thread at a time. Context of everything here: any thread; blocks.
 */

#include "base/str.h"

struct database;
struct sql_row; /* a row of a result, valid during the callback */

enum sql {
    SQL_INTENT_PUT,
    SQL_INTENT_ADVANCE,
    SQL_INTENT_DROP,
    SQL_INTENT_LIST,
    SQL_INTENT_LAST,
    SQL_OUTCOME_PUT,
    SQL_OUTCOME_GET,
    SQL_OUTCOME_BY_REQUEST,
    SQL_OUTCOME_LIST,
    SQL_OUTCOME_DELETE,
    SQL_OUTCOME_ABORT,
    SQL_OUTCOME_TRIM_OLD,
    SQL_OUTCOME_TRIM_MANY,
    SQL_COUNT,
};

struct sql_arg {
    enum { SQL_INT, SQL_TEXT, SQL_BLOB } type;
    int64_t number;
    struct nd_str bytes;
};

static inline struct sql_arg
sql_int(int64_t number)
{
    return (struct sql_arg){.type = SQL_INT, .number = number};
}

static inline struct sql_arg
sql_text(const char *text)
{
    return (struct sql_arg){.type = SQL_TEXT, .bytes = nd_str(text)};
}

static inline struct sql_arg
sql_blob(struct nd_str bytes)
{
    return (struct sql_arg){.type = SQL_BLOB, .bytes = bytes};
}

/* `path` NULL: in memory. Fails: as nd_ledger_open(), and ND_DATA_LOSS for a damaged file. */
struct nd_error *nd_database_open(const char *path, struct database **ret) ND_CHECK_RESULT;
void nd_database_close(struct database *db); /* NULL is fine */
void nd_database_closep(struct database **db);

/* The statement with its arguments, within the transaction that is open, if one is. */
struct nd_error *nd_database_run(struct database *db, enum sql sql, const struct sql_arg *args,
                                 size_t n_args,
                                 void (*on_row)(void *arg, const struct sql_row *row),
                                 void *arg) ND_CHECK_RESULT;

/* Columns of a row, from 0. A NULL of SQL is 0 or "". */
int64_t nd_row_int(const struct sql_row *row, int column);
struct nd_str nd_row_bytes(const struct sql_row *row, int column);

/* `durable` decides whether the commit is synced. A failed commit has rolled back. */
struct nd_error *nd_database_begin(struct database *db, bool durable) ND_CHECK_RESULT;
struct nd_error *nd_database_commit(struct database *db) ND_CHECK_RESULT;
void nd_database_rollback(struct database *db);

/*
 * Schema (schema.c): a script for each step from one version to the next; the texts of statements.
 */
#define SCHEMA_VERSION     1
#define LEDGER_APPLICATION 0x6e646c31 /* "ndl1" */
extern const char *const nd_schema_steps[SCHEMA_VERSION];
extern const char *const nd_sql_texts[SQL_COUNT];

#endif
