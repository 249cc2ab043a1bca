/*
 * Operations from their beginning to their end.
 *
 * The work runs in a group of its own, so that cancelling it from another connection ends the work
 * and nothing else: the call that began it goes on to say what came of it. Progress is kept for
 * each thing that is worked on, the newest alone; who watches is woken and looks for himself, so
 * that a slow watcher misses states in between and holds nobody up.
 *
 * A row in the ledger says from the first moment that it runs. It is not waited for: an operation
 * of which the ledger does not know yet has changed nothing. The row of its end is, before the call
 * is answered.
 */

#include "operation/operations.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/random.h"
#include "codec/pb.h"
#include "state/limits.h"

#include "operations_priv.h"

#define TRIM_EVERY 64u /* operations and requests */

int64_t
nd_operations_now_ms(void)
{
    struct nd_wall now = nd_wall_now();

    return now.sec * 1000 + now.nsec / ND_MILLISECOND;
}

struct nd_error *
nd_operations_new(struct nd_host *host, struct nd_operations **ret)
{
    struct nd_operations *ops;

    ND_TRY(nd_outcomes_abort_running(nd_host_ledger(host), nd_operations_now_ms()));
    ND_TRY(nd_outcomes_trim(nd_host_ledger(host), nd_operations_now_ms()));
    ops = nd_new(struct nd_operations);
    ops->host = host;
    ops->running = nd_map_new();
    *ret = ops;
    return NULL;
}

void
nd_operations_free(struct nd_operations *ops)
{
    if (ops == NULL)
        return;
    ND_INVARIANT(nd_map_count(ops->running) == 0);
    nd_map_free(ops->running);
    nd_free(ops);
}

void
nd_operations_freep(struct nd_operations **ops)
{
    nd_operations_free(*ops);
}

void
nd_operation_unref(struct nd_operation *op)
{
    if (--op->refs > 0)
        return;
    for (size_t i = 0; i < op->n_progress; i++) {
        nd_free(op->progress[i].id);
        nd_free(op->progress[i].action);
    }
    nd_free(op->ns);
    nd_free(op->owner);
    nd_free(op);
}

struct nd_outcome
nd_operation_outcome(const struct nd_operation *op)
{
    return (struct nd_outcome){
        .id = op->id,
        .method = op->method,
        .ns = op->ns,
        .owner = op->owner,
        .request = "",
        .object = "",
        .state = ND_OUTCOME_RUNNING,
        .begun_ms = op->begun_ms,
        .result_type = "",
        .message = "",
        .reason = "",
    };
}

struct nd_error *
nd_operations_make_room(struct nd_operations *ops)
{
    if (++ops->n_begun % TRIM_EVERY != 0)
        return NULL;
    return nd_outcomes_trim(nd_host_ledger(ops->host), nd_operations_now_ms());
}

struct nd_error *
nd_operation_begin(struct nd_operations *ops, const struct nd_operation_spec *spec,
                   struct nd_operation **ret)
{
    struct nd_operation *op;
    struct nd_outcome outcome;
    struct nd_error *err;

    if (nd_map_count(ops->running) >= ND_OPERATIONS_MAX_RUNNING)
        return nd_error_new(ND_EXHAUSTED, "%u operations run already", ND_OPERATIONS_MAX_RUNNING);
    ND_TRY(nd_operations_make_room(ops));
    op = nd_new(struct nd_operation);
    op->ops = ops;
    op->refs = 1;
    op->method = spec->method;
    op->ns = nd_strdup(spec->ns);
    op->owner = nd_strdup(spec->owner);
    op->begun_ms = nd_operations_now_ms();
    nd_random_hex(op->id, OPERATION_ID_BYTES);
    outcome = nd_operation_outcome(op);
    err = nd_outcome_put(nd_host_ledger(ops->host), &outcome);
    if (err != NULL) {
        nd_operation_unref(op);
        return err;
    }
    (void)nd_map_set(ops->running, nd_str(op->id), op);
    *ret = op;
    return NULL;
}

const char *
nd_operation_id(const struct nd_operation *op)
{
    return op->id;
}

/* The work, as its fiber sees it. */
struct work {
    nd_fiber_fn *fn;
    void *arg;
    struct nd_error *err;
};

static struct nd_error *
do_work(void *arg)
{
    struct work *w = arg;

    w->err = w->fn(w->arg);
    return NULL;
}

struct nd_error *
nd_operation_run(struct nd_operation *op, nd_fiber_fn *fn, void *arg)
{
    struct work w = {.fn = fn, .arg = arg};
    struct nd_error *err;

    op->group = nd_group_begin("operation", 0);
    err = nd_group_spawn(op->group, do_work, &w);
    if (err == NULL)
        err = nd_group_wait(op->group);
    nd_group_end(ND_TAKE(op->group));
    if (err != NULL) {
        nd_error_free(w.err); /* the caller is gone: that is why */
        return err;
    }
    if (!op->cancelled || nd_error_code(w.err) != ND_CANCELLED)
        return w.err;
    nd_error_free(w.err);
    return nd_error_reason(nd_error_new(ND_CANCELLED, "operation %s was cancelled", op->id),
                           "OPERATION_CANCELLED");
}

static void
note_change(struct nd_operation *op)
{
    op->version++;
    nd_cond_broadcast(&op->changed);
}

static char *
short_copy(const char *text)
{
    struct nd_str cut = nd_str_sub(nd_str(text), 0, ND_OPERATION_MAX_ID_BYTES);

    while (cut.len > 0 && !nd_str_is_utf8(cut))
        cut.len--;
    return nd_str_dup(cut);
}

void
nd_operation_progress(struct nd_operation *op, const Pb__Progress *progress)
{
    ND_AUTO(nd_freep) char *id = short_copy(progress->id);
    struct progress *p = NULL;

    for (size_t i = 0; i < op->n_progress && p == NULL; i++) {
        if (strcmp(op->progress[i].id, id) == 0)
            p = &op->progress[i];
    }
    if (p == NULL && op->n_progress == ND_OPERATION_MAX_PROGRESS)
        return; /* what is beyond is not shown */
    if (p == NULL) {
        p = &op->progress[op->n_progress++];
        p->id = ND_TAKE(id);
    }
    nd_free(p->action);
    p->action = short_copy(progress->action);
    p->current = progress->current;
    p->total = progress->total;
    note_change(op);
}

static void
forget_running(struct nd_operation *op)
{
    op->ended = true;
    (void)nd_map_take(op->ops->running, nd_str(op->id));
    note_change(op);
}

static struct nd_error *
encode_result(const ProtobufCMessage *result, struct nd_buf *buf, struct nd_outcome *o)
{
    if (result == NULL)
        return NULL;
    ND_TRY(nd_pb_encode(result, buf));
    o->result_type = result->descriptor->name;
    o->result = nd_buf_str(buf);
    return NULL;
}

/*
 * What came of it, to the ledger; that this failed is told by the log alone, the thing itself
 * happened.
 */
static void
write_end(struct nd_operation *op, const struct nd_error *err, const ProtobufCMessage *result)
{
    ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(ND_OUTCOME_MAX_RESULT);
    struct nd_outcome o = nd_operation_outcome(op);
    ND_AUTO(nd_error_freep) struct nd_error *failure = NULL;

    o.state = err == NULL ? ND_OUTCOME_SUCCEEDED : ND_OUTCOME_FAILED;
    o.ended_ms = nd_operations_now_ms();
    o.code = nd_error_code(err);
    o.message = nd_error_message(err);
    o.reason = nd_error_get_reason(err) != NULL ? nd_error_get_reason(err) : "";
    failure = encode_result(err == NULL ? result : NULL, &buf, &o);
    ND_SHIELDED(ND_LEDGER_WRITE_WAIT_NS);
    if (failure == NULL)
        failure = nd_outcome_put_and_wait(nd_host_ledger(op->ops->host), &o, false);
    if (failure != NULL)
        nd_err("the end of an operation is not noted", ND_KV("operation", (const char *)op->id),
               ND_KV("error", failure));
}

struct nd_error *
nd_operation_end(struct nd_operation *op, struct nd_error *err, const ProtobufCMessage *result)
{
    ND_INVARIANT(!op->ended);
    write_end(op, err, result);
    forget_running(op);
    return err;
}

void
nd_operation_leavep(struct nd_operation **operation)
{
    struct nd_operation *op = ND_TAKE(*operation);

    if (op == NULL)
        return;
    if (!op->ended) {
        struct nd_error *err = nd_error_new(ND_ABORTED, "it was given up before it began");

        nd_error_free(nd_operation_end(op, err, NULL));
    }
    nd_operation_unref(op);
}
