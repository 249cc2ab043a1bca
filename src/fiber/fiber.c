/*
 * Fibers: stackful coroutines, entered from the loop and left by suspending or returning.
 *
 *     new -> READY -> RUNNING -> WAITING -> READY -> ... -> ENDED
 *                       |  ^
 *                       '--' yield: READY in the next turn
 *
 * There is one way to suspend, nd_fiber_park(), and one to go on, nd_fiber_wake(). A fiber that
 * waits is woken by what it waits for, by cancelling or by its deadline. The first cause counts and
 * takes it out of the queue in which it waits, all at once: what has been given to a fiber cannot
 * be lost to a cancellation that comes later, and what was cancelled is given nothing.
 *
 * A deadline has two parts: the fiber's own, inherited or set from outside, and that of scopes
 * inside the fiber. The smaller one is in force; under a shield only the second, which then holds
 * the grace. One timer per fiber is armed when it first waits and stays armed from wait to wait.
 */

#include "fiber/fiber.h"

#include "base/alloc.h"

#include "loop_priv.h"
#include "switch_priv.h"

static void
on_deadline(void *arg)
{
    struct nd_fiber *f = arg;

    if (f->state == ND_FIBER_WAITING && f->park == ND_PARK_CTX)
        nd_fiber_wake(f, ND_WAKE_DEADLINE);
}

static void
leave(struct nd_fiber *f)
{
    ND_SWITCH_START(f->state == ND_FIBER_ENDED ? NULL : &f->fake_stack, f->loop->stack_bottom,
                    f->loop->stack_size);
    nd_switch(&f->sp, f->loop->sp);
    ND_SWITCH_FINISH(f->fake_stack, &f->loop->stack_bottom, &f->loop->stack_size);
}

/* The bottom frame of every fiber. */
static void
run(void)
{
    struct nd_fiber *f;

    ND_SWITCH_FINISH(NULL, &nd_loop_tls->stack_bottom, &nd_loop_tls->stack_size);
    f = nd_loop_tls->current;
    f->result = f->fn(f->arg);
    ND_INVARIANT(TAILQ_EMPTY(&f->groups));
    nd_arena_free(ND_TAKE(f->arena));
    nd_timer_disarm(&f->deadline_timer);
    f->state = ND_FIBER_ENDED;
    leave(f);
    __builtin_unreachable();
}

static struct nd_fiber *
take_stack(struct nd_loop *loop)
{
    struct nd_fiber *f = STAILQ_FIRST(&loop->pool);

    if (f == NULL)
        return nd_stack_map();
    STAILQ_REMOVE_HEAD(&loop->pool, ready);
    loop->n_pool--;
    ND_STACK_CLEAN(nd_stack_bottom(f), nd_stack_size());
    return f;
}

static void
give_stack(struct nd_loop *loop, struct nd_fiber *f)
{
    if (loop->n_pool >= ND_FIBER_POOL_MAX) {
        nd_stack_unmap(f);
        return;
    }
    STAILQ_INSERT_HEAD(&loop->pool, f, ready);
    loop->n_pool++;
}

void
nd_fiber_drop_pool(struct nd_loop *loop)
{
    for (struct nd_fiber *f; (f = STAILQ_FIRST(&loop->pool)) != NULL;) {
        STAILQ_REMOVE_HEAD(&loop->pool, ready);
        nd_stack_unmap(f);
    }
    loop->n_pool = 0;
}

struct nd_error *
nd_fiber_new(struct nd_loop *loop, nd_fiber_fn *fn, void *arg, struct nd_fiber **ret)
{
    struct nd_fiber *f;

    if (loop->n_fibers >= ND_FIBER_MAX)
        return nd_error_new(ND_EXHAUSTED, "more than %u fibers (ND_FIBER_MAX)", ND_FIBER_MAX);
    f = take_stack(loop);
    if (f == NULL)
        return nd_error_new(ND_EXHAUSTED, "the kernel has no memory for another fiber's stack");
    *f = (struct nd_fiber){
        .loop = loop,
        .id = ++loop->last_id,
        .state = ND_FIBER_READY,
        .own_deadline_ns = INT64_MAX,
        .scope_deadline_ns = INT64_MAX,
        .deadline_timer = {.fn = on_deadline, .arg = f},
        .fn = fn,
        .arg = arg,
    };
    TAILQ_INIT(&f->groups);
    f->sp = nd_switch_prepare(nd_stack_bottom(f), f, run);
    STAILQ_INSERT_TAIL(&loop->ready, f, ready);
    loop->n_fibers++;
    *ret = f;
    return NULL;
}

static void
reap(struct nd_loop *loop, struct nd_fiber *f)
{
    struct nd_error *err = ND_TAKE(f->result);

    loop->n_fibers--;
    if (f->group != NULL) {
        nd_group_reap(f->group, f, err);
    } else {
        loop->main_ended = true;
        loop->main_result = err;
    }
    give_stack(loop, f);
}

const char *
nd_fiber_enter(struct nd_loop *loop, struct nd_fiber *f)
{
    const char *doing;

    ND_INVARIANT(loop->current == NULL && f->state == ND_FIBER_READY);
    loop->current = f;
    f->state = ND_FIBER_RUNNING;
    f->switches++;
    ND_SWITCH_START(&loop->fake_stack, nd_stack_bottom(f), nd_stack_size());
    nd_switch(&loop->sp, f->sp);
    ND_SWITCH_FINISH(loop->fake_stack, NULL, NULL);
    loop->current = NULL;
    doing = f->doing;
    if (f->state == ND_FIBER_ENDED)
        reap(loop, f);
    return doing;
}

static struct nd_error *
context_error(const struct nd_fiber *f, enum nd_code code)
{
    const char *what = code == ND_CANCELLED ? "cancelled" : "deadline exceeded";

    if (f->doing == NULL)
        return nd_error_new(code, "%s", what);
    return nd_error_new(code, "%s: %s", f->doing, what);
}

static bool
is_cancelled(const struct nd_fiber *f)
{
    return f->cancelled && f->shield_depth == 0;
}

static struct nd_error *
check_context(const struct nd_fiber *f)
{
    int64_t at_ns = nd_fiber_deadline_ns(f);

    if (is_cancelled(f))
        return context_error(f, ND_CANCELLED);
    if (at_ns != INT64_MAX && nd_loop_now().ns >= at_ns)
        return context_error(f, ND_DEADLINE);
    return NULL;
}

/* The timer is either not armed, or for the deadline in force. */
static void
refresh_timer(struct nd_fiber *f)
{
    int64_t at_ns = nd_fiber_deadline_ns(f);
    bool wanted = f->state == ND_FIBER_WAITING && f->park == ND_PARK_CTX && at_ns != INT64_MAX;

    if (f->deadline_timer.heap_pos != 0 && f->deadline_timer.at.ns != at_ns)
        nd_timer_disarm(&f->deadline_timer);
    if (wanted && f->deadline_timer.heap_pos == 0)
        nd_timer_arm(&f->deadline_timer, (struct nd_mono){at_ns});
}

static void
unlink_waiter(struct nd_waiter *w)
{
    if (w == NULL || w->list == NULL)
        return;
    TAILQ_REMOVE(w->list, w, link);
    w->list = NULL;
}

struct nd_error *
nd_fiber_park(struct nd_waiter *waiter, enum nd_park how)
{
    struct nd_fiber *f = nd_fiber_here();
    struct nd_error *err = how == ND_PARK_CTX ? check_context(f) : NULL;

    if (err != NULL) {
        unlink_waiter(waiter);
        return err;
    }
    f->state = ND_FIBER_WAITING;
    f->park = how;
    f->wake = ND_WAKE_NONE;
    f->waiter = waiter;
    refresh_timer(f);
    leave(f);
    switch (f->wake) {
    case ND_WAKE_CANCEL:
        return context_error(f, ND_CANCELLED);
    case ND_WAKE_DEADLINE:
        return context_error(f, ND_DEADLINE);
    case ND_WAKE_SIGNAL:
    case ND_WAKE_NONE:
        break;
    }
    return NULL;
}

bool
nd_fiber_wake(struct nd_fiber *f, enum nd_wake why)
{
    if (f->state != ND_FIBER_WAITING)
        return false;
    f->wake = why;
    f->state = ND_FIBER_READY;
    unlink_waiter(ND_TAKE(f->waiter));
    STAILQ_INSERT_TAIL(&f->loop->ready, f, ready);
    return true;
}

struct nd_error *
nd_fiber_yield(void)
{
    struct nd_fiber *f = nd_fiber_here();

    ND_TRY(check_context(f));
    f->state = ND_FIBER_READY;
    STAILQ_INSERT_TAIL(&f->loop->yielded, f, ready);
    leave(f);
    return check_context(f);
}

static void
on_sleep_over(void *arg)
{
    nd_fiber_wake(arg, ND_WAKE_SIGNAL);
}

struct nd_error *
nd_fiber_sleep(int64_t duration_ns)
{
    struct nd_fiber *f = nd_fiber_here();
    struct nd_timer t = {.fn = on_sleep_over, .arg = f};
    int64_t now_ns = nd_loop_now().ns;
    struct nd_error *err;

    if (duration_ns <= 0)
        return nd_fiber_yield();
    duration_ns = ND_MIN(duration_ns, INT64_MAX - now_ns);
    nd_timer_arm(&t, (struct nd_mono){now_ns + duration_ns});
    err = nd_fiber_park(NULL, ND_PARK_CTX);
    nd_timer_disarm(&t);
    return err;
}

void
nd_fiber_cancel(struct nd_fiber *f)
{
    struct nd_group *g;

    if (f->cancelled)
        return;
    f->cancelled = true;
    TAILQ_FOREACH (g, &f->groups, in_owner) {
        if (g->shield_depth == 0)
            nd_group_cancel(g);
    }
    if (f->shield_depth == 0 && f->park == ND_PARK_CTX)
        nd_fiber_wake(f, ND_WAKE_CANCEL);
}

void
nd_fiber_set_deadline(struct nd_fiber *f, struct nd_mono at)
{
    f->own_deadline_ns = at.ns;
    refresh_timer(f);
}

bool
nd_fiber_is_current(void)
{
    return nd_loop_tls != NULL && nd_loop_tls->current != NULL;
}

uint64_t
nd_fiber_id(void)
{
    return nd_fiber_is_current() ? nd_loop_tls->current->id : 0;
}

int64_t
nd_fiber_deadline_ns(const struct nd_fiber *f)
{
    if (f->shield_depth != 0)
        return f->scope_deadline_ns;
    return ND_MIN(f->own_deadline_ns, f->scope_deadline_ns);
}

struct nd_error *
nd_ctx_check(void)
{
    return nd_fiber_is_current() ? check_context(nd_loop_tls->current) : NULL;
}

bool
nd_ctx_is_cancelled(void)
{
    return nd_fiber_is_current() && is_cancelled(nd_loop_tls->current);
}

int64_t
nd_ctx_remaining_ns(void)
{
    int64_t at_ns = nd_fiber_deadline_ns(nd_fiber_here());

    if (at_ns == INT64_MAX)
        return INT64_MAX;
    return ND_MAX(at_ns - nd_loop_now().ns, 0);
}

void
nd_doing(const char *action)
{
    if (nd_fiber_is_current())
        nd_loop_tls->current->doing = action;
}

struct nd_arena *
nd_ctx_arena(void)
{
    struct nd_fiber *f = nd_fiber_here();

    if (f->arena == NULL)
        f->arena = nd_arena_new(0);
    return f->arena;
}

void
nd_ctx_set(enum nd_ctx_slot slot, void *value)
{
    ND_INVARIANT((unsigned)slot < ND_CTX_SLOTS);
    nd_fiber_here()->slots[slot] = value;
}

void *
nd_ctx_get(enum nd_ctx_slot slot)
{
    ND_INVARIANT((unsigned)slot < ND_CTX_SLOTS);
    return nd_fiber_is_current() ? nd_loop_tls->current->slots[slot] : NULL;
}

static int64_t
from_now(int64_t in_ns)
{
    int64_t now_ns = nd_loop_now().ns;

    return in_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + in_ns;
}

struct nd_deadline_scope
nd_deadline_begin(int64_t in_ns)
{
    struct nd_fiber *f = nd_fiber_here();
    struct nd_deadline_scope scope = {f->scope_deadline_ns};

    f->scope_deadline_ns = ND_MIN(f->scope_deadline_ns, from_now(in_ns));
    refresh_timer(f);
    return scope;
}

void
nd_deadline_endp(struct nd_deadline_scope *scope)
{
    struct nd_fiber *f = nd_fiber_here();

    f->scope_deadline_ns = scope->saved_ns;
    refresh_timer(f);
}

struct nd_shield_scope
nd_shield_begin(int64_t grace_ns)
{
    struct nd_fiber *f = nd_fiber_here();
    struct nd_shield_scope scope = {f->scope_deadline_ns, f->shield_depth};

    f->shield_depth++;
    f->scope_deadline_ns = from_now(grace_ns);
    refresh_timer(f);
    return scope;
}

void
nd_shield_endp(struct nd_shield_scope *scope)
{
    struct nd_fiber *f = nd_fiber_here();

    ND_INVARIANT(f->shield_depth == scope->saved_depth + 1);
    f->shield_depth = scope->saved_depth;
    f->scope_deadline_ns = scope->saved_ns;
    refresh_timer(f);
}

struct nd_no_suspend
nd_no_suspend_begin(void)
{
    return (struct nd_no_suspend){nd_fiber_is_current() ? nd_loop_tls->current->switches : 0};
}

void
nd_no_suspend_endp(struct nd_no_suspend *scope)
{
    uint64_t now = nd_fiber_is_current() ? nd_loop_tls->current->switches : 0;

    ND_INVARIANT(now == scope->switches);
}
