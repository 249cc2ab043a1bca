/*
 * Intents, as rows that mostly live for milliseconds.
 *
 * Beginning one costs no waiting: the row goes to the writer while the mutation still looks around,
 * and is waited for before the first change. When that mutation fails before the writer came to it,
 * the row is taken back and nothing was ever written. Numbers are given out here and not by the
 * database, so that a row can be changed and dropped before it has been inserted: the queue keeps
 * the order.
 */

#include "state/intents.h"

#include "base/alloc.h"
#include "base/log.h"
#include "fiber/fiber.h"
#include "state/limits.h"

#include "ledger_priv.h"

struct nd_intent {
    struct nd_ledger *ledger;
    uint64_t seq;
    unsigned step;
    struct entry *put;
    STAILQ_ENTRY(nd_intent) link; /* of those that were left */
};

struct left_intents {
    STAILQ_HEAD(, nd_intent) list;
    struct nd_cond more;
};

static bool
is_sane(const struct nd_intent_spec *s)
{
    return strlen(s->kind) <= ND_INTENT_MAX_TEXT && strlen(s->ns) <= ND_INTENT_MAX_TEXT &&
           strlen(s->object) <= ND_INTENT_MAX_TEXT && strlen(s->operation) <= ND_INTENT_MAX_TEXT &&
           s->payload.len <= ND_INTENT_MAX_PAYLOAD;
}

struct nd_error *
nd_intent_begin(struct nd_ledger *ledger, const struct nd_intent_spec *spec, struct nd_intent **ret)
{
    uint64_t seq = nd_ledger_next_seq(ledger);
    const struct sql_arg args[] = {sql_int((int64_t)seq),
                                   sql_text(spec->operation),
                                   sql_text(spec->kind),
                                   sql_text(spec->ns),
                                   sql_text(spec->object),
                                   sql_blob(spec->payload),
                                   sql_text(nd_ledger_boot(ledger))};
    ND_AUTO(nd_entry_unrefp) struct entry *put = NULL;
    struct nd_intent *intent;

    ND_INVARIANT(is_sane(spec));
    put = nd_entry_new(SQL_INTENT_PUT, args, ND_LEN(args));
    put->durable = !spec->lazy;
    ND_TRY(nd_ledger_submit(ledger, put));
    intent = nd_new(struct nd_intent);
    intent->ledger = ledger;
    intent->seq = seq;
    intent->put = ND_TAKE(put);
    *ret = intent;
    return NULL;
}

struct nd_error *
nd_intent_wait(struct nd_intent *intent)
{
    return nd_entry_wait(intent->put);
}

struct nd_error *
nd_intent_advance(struct nd_intent *intent, unsigned step)
{
    const struct sql_arg args[] = {sql_int((int64_t)intent->seq), sql_int(step)};

    intent->step = step;
    return nd_ledger_change(intent->ledger, SQL_INTENT_ADVANCE, args, ND_LEN(args));
}

void
nd_intent_free(struct nd_intent *intent)
{
    nd_entry_unref(intent->put);
    nd_free(intent);
}

static struct entry *
make_drop(uint64_t seq)
{
    const struct sql_arg args[] = {sql_int((int64_t)seq)};

    return nd_entry_new(SQL_INTENT_DROP, args, ND_LEN(args));
}

struct nd_error *
nd_intent_submit_end(struct nd_intent *intent)
{
    ND_AUTO(nd_entry_unrefp) struct entry *e = make_drop(intent->seq);

    return nd_ledger_submit(intent->ledger, e);
}

struct nd_error *
nd_intent_close(struct nd_intent *intent)
{
    ND_AUTO(nd_entry_unrefp) struct entry *e = make_drop(intent->seq);
    ND_SHIELDED(ND_LEDGER_WRITE_WAIT_NS);

    ND_TRY(nd_ledger_submit(intent->ledger, e));
    ND_TRY(nd_entry_wait(e));
    nd_intent_free(intent);
    return NULL;
}

static struct nd_error *
drop(struct nd_ledger *ledger, uint64_t seq, bool flush)
{
    ND_AUTO(nd_entry_unrefp) struct entry *e = make_drop(seq);

    e->lasting = true;
    ND_TRY(nd_ledger_submit(ledger, e));
    if (!flush)
        return NULL;
    ND_SHIELDED(ND_LEDGER_WRITE_WAIT_NS);
    return nd_entry_wait(e);
}

void
nd_intent_drop(struct nd_intent *intent, bool flush)
{
    if (!nd_ledger_withdraw(intent->ledger, intent->put)) {
        struct nd_error *err = drop(intent->ledger, intent->seq, flush);

        if (err != NULL)
            nd_err("a finished mutation is still noted as begun; that is tried again",
                   ND_KV("intent", intent->seq), ND_KV("error", err));
        nd_error_free(err);
    }
    nd_intent_free(intent);
}

void
nd_intent_leave(struct nd_intent *intent)
{
    struct left_intents *left = nd_ledger_left(intent->ledger);

    STAILQ_INSERT_TAIL(&left->list, intent, link);
    nd_cond_signal(&left->more);
}

struct nd_error *
nd_intent_next_left(struct nd_ledger *ledger, struct nd_intent **ret)
{
    struct left_intents *left = nd_ledger_left(ledger);

    while (STAILQ_EMPTY(&left->list))
        ND_TRY(nd_cond_wait(&left->more));
    *ret = STAILQ_FIRST(&left->list);
    STAILQ_REMOVE_HEAD(&left->list, link);
    return NULL;
}

struct left_intents *
nd_left_intents_new(void)
{
    struct left_intents *left = nd_new(struct left_intents);

    STAILQ_INIT(&left->list);
    return left;
}

void
nd_left_intents_free(struct left_intents *left)
{
    struct nd_intent *intent;

    while ((intent = STAILQ_FIRST(&left->list)) != NULL) {
        STAILQ_REMOVE_HEAD(&left->list, link);
        nd_intent_free(intent);
    }
    nd_free(left);
}

/* The order is that of the arguments in nd_intent_begin(); each text has a NUL behind it. */
void
nd_intent_view(const struct nd_intent *intent, struct nd_open_intent *ret)
{
    const struct sql_arg *args = intent->put->args;

    *ret = (struct nd_open_intent){
        .seq = intent->seq,
        .operation = args[1].bytes.ptr,
        .kind = args[2].bytes.ptr,
        .ns = args[3].bytes.ptr,
        .object = args[4].bytes.ptr,
        .step = intent->step,
        .payload = args[5].bytes,
        .same_boot = true,
    };
}

uint64_t
nd_intent_seq(const struct nd_intent *intent)
{
    return intent->seq;
}

/* Rows are collected on the thread into an arena that nobody else has. */
struct listing {
    struct nd_arena *arena;
    const char *boot;
    struct nd_open_intent *at;
    size_t n, cap;
};

static void
add_intent(void *arg, const struct sql_row *row)
{
    struct listing *l = arg;
    struct nd_str payload = nd_row_bytes(row, 6);

    if (l->n == l->cap) {
        size_t cap = l->cap == 0 ? 16 : 2 * l->cap;
        struct nd_open_intent *at = nd_arena_new_array(l->arena, cap, struct nd_open_intent);

        for (size_t i = 0; i < l->n; i++)
            at[i] = l->at[i];
        l->at = at;
        l->cap = cap;
    }
    l->at[l->n++] = (struct nd_open_intent){
        .seq = (uint64_t)nd_row_int(row, 0),
        .operation = nd_arena_str(l->arena, nd_row_bytes(row, 1)),
        .kind = nd_arena_str(l->arena, nd_row_bytes(row, 2)),
        .ns = nd_arena_str(l->arena, nd_row_bytes(row, 3)),
        .object = nd_arena_str(l->arena, nd_row_bytes(row, 4)),
        .step = (unsigned)nd_row_int(row, 5),
        .payload = nd_str_n(nd_arena_str(l->arena, payload), payload.len),
        .same_boot = nd_str_eqz(nd_row_bytes(row, 7), l->boot),
    };
}

static void
free_arena(void *arena)
{
    nd_arena_free(arena);
}

struct nd_error *
nd_intents_of_the_dead(struct nd_ledger *ledger, struct nd_arena *arena,
                       struct nd_open_intent **ret, size_t *ret_n)
{
    const struct sql_arg args[] = {sql_int((int64_t)nd_ledger_dead_seq(ledger))};
    struct listing l = {.arena = nd_arena_new(0), .boot = nd_ledger_boot(ledger)};

    nd_arena_defer(arena, free_arena, l.arena);
    ND_TRY(nd_ledger_ask(ledger, SQL_INTENT_LIST, args, ND_LEN(args), add_intent, &l));
    *ret = l.at;
    *ret_n = l.n;
    return NULL;
}

struct nd_error *
nd_intent_forget(struct nd_ledger *ledger, uint64_t seq)
{
    return drop(ledger, seq, false);
}
