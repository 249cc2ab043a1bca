#ifndef FIBER_FIBER_H
#define FIBER_FIBER_H

/*
 * Fibers and the context that each carries: deadline, cancellation, the current action, an arena
 * and a few slots. Every function that may suspend says `Context: fiber`; it returns ND_CANCELLED
 * or ND_DEADLINE when the context ends, before or during the wait.
 *
 * Cancelling is a request: the fiber leaves by returning through its cleanups. Fibers are started
 * in groups only (fiber/group.h); a new fiber inherits the deadline and the slots of its parent.
 *
 * Context of everything here: fiber, unless it says so. What returns no error does not suspend.
 */

#include "base/arena.h"
#include "base/clock.h"
#include "base/defs.h"
#include "base/error.h"
#include "fiber/loop.h"

/* Whether the caller is a fiber. Context: any. */
bool nd_fiber_is_current(void);

/* Unique within the process; 0 outside fibers. Context: any. */
uint64_t nd_fiber_id(void);

/* Let the other ready fibers run first. Fails: ND_CANCELLED, ND_DEADLINE. Context: fiber. */
struct nd_error *nd_fiber_yield(void) ND_CHECK_RESULT;

/* Suspend for a time. Fails: ND_CANCELLED, ND_DEADLINE. Context: fiber. */
struct nd_error *nd_fiber_sleep(int64_t duration_ns) ND_CHECK_RESULT;

/* ND_CANCELLED or ND_DEADLINE when the context has ended, else NULL. Does not suspend. */
struct nd_error *nd_ctx_check(void) ND_CHECK_RESULT;

/* The same question, of cancellation alone. */
bool nd_ctx_is_cancelled(void);

/* What remains until the deadline; INT64_MAX without one, 0 when it passed. Context: fiber. */
int64_t nd_ctx_remaining_ns(void);

/*
 * What this fiber is doing right now: every log line and the stall report end with it. Static text.
 */
void nd_doing(const char *action);

/* The fiber's arena: goes away when the fiber ends. Context: fiber. */
struct nd_arena *nd_ctx_arena(void);

/*
 * Slots: what belongs to the call that this fiber works for, borrowed, inherited by children. Unset
 * is NULL; outside fibers get returns NULL (context: any).
 */
enum nd_ctx_slot {
    ND_CTX_CALL, /* grpc: the server call */
    ND_CTX_TRACE,
    ND_CTX_OPERATION,
    ND_CTX_SLOTS,
};
void nd_ctx_set(enum nd_ctx_slot slot, void *value);
void *nd_ctx_get(enum nd_ctx_slot slot);

/* A name for the variable behind a scope macro, so that scopes may nest. */
#define ND_SCOPE_NAME_AT_(name, line) name##line
#define ND_SCOPE_NAME_(name, line)    ND_SCOPE_NAME_AT_(name, line)

/*
 * Narrow the deadline until the scope ends (never widens it):
 *     ND_DEADLINE_IN(5 * ND_SECOND);
 */
struct nd_deadline_scope {
    int64_t saved_ns; /* private */
};
struct nd_deadline_scope nd_deadline_begin(int64_t in_ns);
void nd_deadline_endp(struct nd_deadline_scope *scope);
#define ND_DEADLINE_IN(in_ns)                                                  \
    ND_AUTO(nd_deadline_endp)                                                  \
    struct nd_deadline_scope ND_SCOPE_NAME_(nd_deadline_scope_at_, __LINE__) = \
        nd_deadline_begin(in_ns)

/*
 * Put cancellation and deadline aside until the scope ends, and hold a grace of its own instead:
 * for undo steps, which talk to others just because the call was cancelled.
 *     ND_SHIELDED(ND_SHIELD_GRACE_NS);
 */
struct nd_shield_scope {
    int64_t saved_ns;     /* private */
    unsigned saved_depth; /* private */
};
struct nd_shield_scope nd_shield_begin(int64_t grace_ns);
void nd_shield_endp(struct nd_shield_scope *scope);
#define ND_SHIELDED(grace_ns) \
    ND_AUTO(nd_shield_endp)   \
    struct nd_shield_scope ND_SCOPE_NAME_(nd_shield_scope_at_, __LINE__) = nd_shield_begin(grace_ns)

/* A stretch that relies on not being suspended: checked at the end of the scope. */
struct nd_no_suspend {
    uint64_t switches; /* private */
};
struct nd_no_suspend nd_no_suspend_begin(void);
void nd_no_suspend_endp(struct nd_no_suspend *scope);
#define ND_NO_SUSPEND()         \
    ND_AUTO(nd_no_suspend_endp) \
    struct nd_no_suspend ND_SCOPE_NAME_(nd_no_suspend_at_, __LINE__) = nd_no_suspend_begin()

#endif
