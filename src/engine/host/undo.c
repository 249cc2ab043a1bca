/*
 * The undo list: newest first, shielded from the cancellation that mostly is the reason for running
 * it. A step that fails is logged and the others still run: a half undone mutation is worse than
 * one with a leftover that says so in the log.
 */

#include "base/log.h"
#include "fiber/limits.h"
#include "host/host.h"

void
nd_undo_push(struct nd_undo *undo, struct nd_undo_step *step)
{
    step->next = undo->steps;
    undo->steps = step;
}

void
nd_undo_disarm(struct nd_undo *undo)
{
    undo->steps = NULL;
}

void
nd_undo_run(struct nd_undo *undo)
{
    if (undo->steps == NULL)
        return;
    ND_SHIELDED(ND_SHIELD_GRACE_NS);
    while (undo->steps != NULL) {
        struct nd_undo_step *step = undo->steps;
        ND_AUTO(nd_error_freep) struct nd_error *err = NULL;

        undo->steps = step->next;
        err = step->fn(step->arg);
        if (err == NULL || nd_error_code(err) == ND_NOT_FOUND)
            continue;
        undo->failed = true;
        nd_warn("undo failed", ND_KV("step", step->what), ND_KV("error", err));
    }
}
