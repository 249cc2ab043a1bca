/*
 * The tables, and every statement that is ever run on them.
 *
 * The version of a file is its user_version; step i of the list leads from version i to i + 1. A
 * step that was released is never changed: what comes later is another step.
 *
 *   intents      what was begun and is not over; mostly empty
 *   operations   what ran and what came of it; bounded by number and age
 *
 * Times are milliseconds since 1970. Texts are never NULL: "" is none.
 */

#include "database_priv.h"

const char *const nd_schema_steps[SCHEMA_VERSION] = {
    "CREATE TABLE intents ("
    " seq INTEGER PRIMARY KEY,"
    " operation TEXT NOT NULL,"
    " kind TEXT NOT NULL,"
    " namespace TEXT NOT NULL,"
    " object TEXT NOT NULL,"
    " step INTEGER NOT NULL,"
    " payload BLOB NOT NULL,"
    " boot TEXT NOT NULL);"
    "CREATE TABLE operations ("
    " id TEXT PRIMARY KEY,"
    " method TEXT NOT NULL,"
    " namespace TEXT NOT NULL,"
    " owner TEXT NOT NULL,"
    " request TEXT NOT NULL,"
    " digest BLOB NOT NULL,"
    " object TEXT NOT NULL,"
    " state INTEGER NOT NULL,"
    " begun_at INTEGER NOT NULL,"
    " ended_at INTEGER NOT NULL,"
    " result_type TEXT NOT NULL,"
    " result BLOB NOT NULL,"
    " code INTEGER NOT NULL,"
    " message TEXT NOT NULL,"
    " reason TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX operations_by_request ON operations (owner, request) WHERE request <> '';"
    "CREATE INDEX operations_by_time ON operations (begun_at, id);",
};

#define OPERATION_COLUMNS                                                                \
    "id, method, namespace, owner, request, digest, object, state, begun_at, ended_at, " \
    "result_type, result, code, message, reason"

const char *const nd_sql_texts[SQL_COUNT] = {
    [SQL_INTENT_PUT] =
        "INSERT INTO intents (seq, operation, kind, namespace, object, step, payload, boot)"
        " VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7)",
    [SQL_INTENT_ADVANCE] = "UPDATE intents SET step = ?2 WHERE seq = ?1",
    [SQL_INTENT_DROP] = "DELETE FROM intents WHERE seq = ?1",
    [SQL_INTENT_LIST] =
        "SELECT seq, operation, kind, namespace, object, step, payload, boot FROM intents"
        " WHERE seq <= ?1 ORDER BY seq",
    [SQL_INTENT_LAST] = "SELECT max(seq) FROM intents",
    [SQL_OUTCOME_PUT] =
        "INSERT OR REPLACE INTO operations (" OPERATION_COLUMNS ")"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    [SQL_OUTCOME_GET] = "SELECT " OPERATION_COLUMNS " FROM operations WHERE id = ?1",
    [SQL_OUTCOME_BY_REQUEST] =
        "SELECT " OPERATION_COLUMNS
        " FROM operations WHERE owner = ?1 AND request = ?2 AND request <> ''",
    [SQL_OUTCOME_LIST] = "SELECT " OPERATION_COLUMNS " FROM operations"
                         " WHERE (begun_at, id) < (?3, ?4) AND (?1 = '' OR namespace = ?1) AND (?2 "
                         "= '' OR owner = ?2)"
                         " ORDER BY begun_at DESC, id DESC LIMIT ?5",
    [SQL_OUTCOME_DELETE] = "DELETE FROM operations WHERE id = ?1",
    [SQL_OUTCOME_ABORT] =
        "UPDATE operations SET state = ?2, ended_at = ?1, request = '', code = ?3,"
        " message = ?4, reason = ?5 WHERE state = ?6",
    [SQL_OUTCOME_TRIM_OLD] =
        "DELETE FROM operations WHERE begun_at < ?2 AND state <> ?1 AND ended_at < ?2",
    [SQL_OUTCOME_TRIM_MANY] =
        "DELETE FROM operations WHERE state <> ?1 AND id IN (SELECT id FROM operations"
        " ORDER BY begun_at DESC, id DESC LIMIT -1 OFFSET ?2)",
};
