/*
 * Outcomes of operations as rows. What is read comes into an arena of its own, on the writer's
 * thread, and goes with the caller's.
 */

#include "state/outcomes.h"

#include "fiber/fiber.h"
#include "state/limits.h"

#include "ledger_priv.h"

/* Cut to the limit, between characters. */
static struct sql_arg
short_text(const char *text)
{
    struct nd_str cut = nd_str_sub(nd_str(text), 0, ND_OUTCOME_MAX_TEXT);

    while (cut.len > 0 && !nd_str_is_utf8(cut))
        cut.len--;
    return (struct sql_arg){.type = SQL_TEXT, .bytes = cut};
}

static struct entry *
make_put(const struct nd_outcome *o)
{
    const struct sql_arg args[] = {
        sql_text(o->id),           sql_text(o->method),        sql_text(o->ns),
        sql_text(o->owner),        sql_text(o->request),       sql_blob(o->digest),
        sql_text(o->object),       sql_int((int64_t)o->state), sql_int(o->begun_ms),
        sql_int(o->ended_ms),      sql_text(o->result_type),   sql_blob(o->result),
        sql_int((int64_t)o->code), short_text(o->message),     sql_text(o->reason),
    };

    ND_INVARIANT(o->result.len <= ND_OUTCOME_MAX_RESULT);
    return nd_entry_new(SQL_OUTCOME_PUT, args, ND_LEN(args));
}

struct nd_error *
nd_outcome_put(struct nd_ledger *ledger, const struct nd_outcome *outcome)
{
    ND_AUTO(nd_entry_unrefp) struct entry *e = make_put(outcome);

    return nd_ledger_submit(ledger, e);
}

struct nd_error *
nd_outcome_put_and_wait(struct nd_ledger *ledger, const struct nd_outcome *outcome, bool durable)
{
    ND_AUTO(nd_entry_unrefp) struct entry *e = make_put(outcome);

    e->durable = durable;
    ND_TRY(nd_ledger_submit(ledger, e));
    return nd_entry_wait(e);
}

struct finding {
    struct nd_arena *arena;
    struct nd_outcome *at;
    size_t n, cap;
};

static const char *
text(struct finding *f, const struct sql_row *row, int column)
{
    return nd_arena_str(f->arena, nd_row_bytes(row, column));
}

static struct nd_str
bytes(struct finding *f, const struct sql_row *row, int column)
{
    struct nd_str b = nd_row_bytes(row, column);

    return nd_str_n(nd_arena_str(f->arena, b), b.len);
}

static void
add_outcome(void *arg, const struct sql_row *row)
{
    struct finding *f = arg;

    if (f->n == f->cap)
        return; /* asked for no more */
    f->at[f->n++] = (struct nd_outcome){
        .id = text(f, row, 0),
        .method = text(f, row, 1),
        .ns = text(f, row, 2),
        .owner = text(f, row, 3),
        .request = text(f, row, 4),
        .digest = bytes(f, row, 5),
        .object = text(f, row, 6),
        .state = (enum nd_outcome_state)nd_row_int(row, 7),
        .begun_ms = nd_row_int(row, 8),
        .ended_ms = nd_row_int(row, 9),
        .result_type = text(f, row, 10),
        .result = bytes(f, row, 11),
        .code = (enum nd_code)nd_row_int(row, 12),
        .message = text(f, row, 13),
        .reason = text(f, row, 14),
    };
}

static void
free_arena(void *arena)
{
    nd_arena_free(arena);
}

static struct nd_error *
find(struct nd_ledger *ledger, enum sql sql, const struct sql_arg *args, size_t n_args,
     struct nd_arena *arena, struct finding *f)
{
    size_t max = f->cap;

    f->arena = nd_arena_new(0);
    nd_arena_defer(arena, free_arena, f->arena);
    f->at = nd_arena_new_array(f->arena, max, struct nd_outcome);
    return nd_ledger_ask(ledger, sql, args, n_args, add_outcome, f);
}

struct nd_error *
nd_outcome_get(struct nd_ledger *ledger, const char *id, struct nd_arena *arena,
               struct nd_outcome *ret)
{
    const struct sql_arg args[] = {sql_text(id)};
    struct finding f = {.cap = 1};

    ND_TRY(find(ledger, SQL_OUTCOME_GET, args, ND_LEN(args), arena, &f));
    if (f.n == 0)
        return nd_error_new(ND_NOT_FOUND, "no operation %s", id);
    *ret = f.at[0];
    return NULL;
}

struct nd_error *
nd_outcome_by_request(struct nd_ledger *ledger, const char *owner, const char *request,
                      struct nd_arena *arena, struct nd_outcome *ret)
{
    const struct sql_arg args[] = {sql_text(owner), sql_text(request)};
    struct finding f = {.cap = 1};

    ND_TRY(find(ledger, SQL_OUTCOME_BY_REQUEST, args, ND_LEN(args), arena, &f));
    if (f.n == 0)
        return nd_error_new(ND_NOT_FOUND, "no request %s", request);
    *ret = f.at[0];
    return NULL;
}

struct nd_error *
nd_outcomes_list(struct nd_ledger *ledger, const struct nd_outcome_query *query,
                 struct nd_arena *arena, struct nd_outcome **ret, size_t *ret_n)
{
    struct finding f = {.cap = ND_MIN(query->max, (size_t)ND_OUTCOMES_PAGE)};
    const struct sql_arg args[] = {sql_text(query->ns), sql_text(query->owner),
                                   sql_int(query->before_begun_ms), sql_text(query->before_id),
                                   sql_int((int64_t)f.cap)};

    ND_TRY(find(ledger, SQL_OUTCOME_LIST, args, ND_LEN(args), arena, &f));
    *ret = f.at;
    *ret_n = f.n;
    return NULL;
}

struct nd_error *
nd_outcome_delete(struct nd_ledger *ledger, const char *id)
{
    const struct sql_arg args[] = {sql_text(id)};

    return nd_ledger_change(ledger, SQL_OUTCOME_DELETE, args, ND_LEN(args));
}

struct nd_error *
nd_outcomes_abort_running(struct nd_ledger *ledger, int64_t now_ms)
{
    const struct sql_arg args[] = {
        sql_int(now_ms),          sql_int(ND_OUTCOME_FAILED),
        sql_int(ND_ABORTED),      sql_text("the daemon ended in the middle of it"),
        sql_text("DAEMON_ENDED"), sql_int(ND_OUTCOME_RUNNING)};

    return nd_ledger_change(ledger, SQL_OUTCOME_ABORT, args, ND_LEN(args));
}

struct nd_error *
nd_outcomes_trim(struct nd_ledger *ledger, int64_t now_ms)
{
    const struct sql_arg old[] = {sql_int(ND_OUTCOME_RUNNING),
                                  sql_int(now_ms - ND_OUTCOMES_KEEP_NS / ND_MILLISECOND)};
    const struct sql_arg many[] = {sql_int(ND_OUTCOME_RUNNING), sql_int(ND_OUTCOMES_KEEP)};

    ND_TRY(nd_ledger_change(ledger, SQL_OUTCOME_TRIM_OLD, old, ND_LEN(old)));
    return nd_ledger_change(ledger, SQL_OUTCOME_TRIM_MANY, many, ND_LEN(many));
}
