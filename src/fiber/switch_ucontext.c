/*
 * Switching stacks where no assembly was written for the processor. Costs two system calls per
 * switch (the signal mask), which the assembly saves.
 *
 * A suspended stack is known by the address of its ucontext_t. That of a stack which was left lives
 * in the frame of nd_switch() on that very stack; that of a new one stands at its top.
 */

#include <stdint.h>
#include <ucontext.h>

#include "base/defs.h"

#include "switch_priv.h"

void
nd_switch(void **save_sp, void *load_sp)
{
    ucontext_t here;

    *save_sp = &here;
    ND_INVARIANT(swapcontext(&here, load_sp) == 0);
}

void *
nd_switch_prepare(void *bottom, void *top, void (*entry)(void))
{
    uintptr_t at = ((uintptr_t)top - sizeof(ucontext_t)) & ~(uintptr_t)63;
    ucontext_t *ctx = (ucontext_t *)at;

    ND_INVARIANT(getcontext(ctx) == 0);
    ctx->uc_stack.ss_sp = bottom;
    ctx->uc_stack.ss_size = at - (uintptr_t)bottom;
    ctx->uc_link = NULL;
    makecontext(ctx, entry, 0);
    return ctx;
}
