/*
 * A change is an intent on disk and an undo list in memory.
 *
 *                        the daemon lives           the daemon died
 *   makes something      the undo list runs         the recoverer takes it back
 *   removes something    the recoverer goes on      the recoverer goes on
 *
 * When a step of the undo list fails (containerd is away, say), the intent stays open and goes to
 * the recovery of this process, which tries until it works: nothing is only logged and forgotten.
 *
 * An intent whose first change was never made is dropped without anybody waiting for the disk.
 */

#include "operation/change.h"

#include "base/fault.h"
#include "fiber/fiber.h"
#include "operation/request.h"

struct nd_error *
nd_change_begin(struct nd_host *host, const struct nd_change_spec *spec, struct nd_change *ret)
{
    const struct nd_kept_intents *kept = nd_ctx_get(ND_CTX_OPERATION);
    const struct nd_intent_spec intent = {
        .kind = spec->kind,
        .ns = spec->ns,
        .object = spec->object,
        .operation = kept != NULL ? kept->note : "",
        .payload = spec->payload,
        .lazy = spec->lazy,
    };

    ND_INVARIANT(ret->intent == NULL);
    ND_TRY(ND_FAULT("change.begin"));
    ND_TRY(nd_intent_begin(nd_host_ledger(host), &intent, &ret->intent));
    ret->undo = ND_UNDO_INIT;
    ret->forward = spec->forward;
    ret->ready = false;
    return NULL;
}

struct nd_error *
nd_change_ready(struct nd_change *change)
{
    ND_TRY_DOING(nd_intent_wait(change->intent), "note what is begun");
    ND_TRY(ND_FAULT("change.ready"));
    change->ready = true;
    return NULL;
}

void
nd_change_undo(struct nd_change *change, struct nd_undo_step *step)
{
    ND_INVARIANT(change->ready && !change->forward);
    nd_undo_push(&change->undo, step);
}

void
nd_change_decide(struct nd_change *change)
{
    ND_INVARIANT(change->ready);
    nd_undo_disarm(&change->undo);
    change->forward = true;
}

/* Within a request its end goes with the answer. */
static bool
keep_for_answer(struct nd_change *change)
{
    struct nd_kept_intents *kept = nd_ctx_get(ND_CTX_OPERATION);

    if (kept == NULL || kept->n == ND_LEN(kept->at))
        return false;
    kept->at[kept->n++] = ND_TAKE(change->intent);
    return true;
}

void
nd_change_settle(struct nd_change *change)
{
    nd_error_free(ND_FAULT("change.settle"));
    nd_undo_disarm(&change->undo);
    if (!keep_for_answer(change))
        nd_intent_drop(ND_TAKE(change->intent), !change->forward);
    nd_error_free(ND_FAULT("change.settled"));
}

struct nd_error *
nd_change_commit(struct nd_change *change)
{
    ND_TRY(ND_FAULT("change.settle"));
    if (!keep_for_answer(change)) {
        ND_TRY_DOING(nd_intent_close(change->intent), "note what is done");
        change->intent = NULL;
    }
    nd_undo_disarm(&change->undo);
    nd_error_free(ND_FAULT("change.settled"));
    return NULL;
}

struct nd_error *
nd_change_done(struct nd_change *change)
{
    ND_TRY(nd_ctx_check());
    ND_TRY(ND_FAULT("change.done"));
    return nd_change_commit(change);
}

void
nd_change_end(struct nd_change *change)
{
    if (change->intent == NULL)
        return;
    nd_undo_run(&change->undo);
    if (change->undo.failed || (change->forward && change->ready))
        nd_intent_leave(ND_TAKE(change->intent));
    else
        nd_intent_drop(ND_TAKE(change->intent), false);
}
