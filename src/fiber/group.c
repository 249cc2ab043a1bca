/*
 * Groups: who started a fiber waits for it.
 *
 *     fiber (owner) --begins--> group --spawns--> fibers --begin--> groups ...
 *
 * Cancelling runs down this tree: a cancelled fiber's groups are cancelled, a cancelled group's
 * fibers are. What was begun under a shield is not reached by the cancelling of its owner.
 * Deadlines come the same way: from the owner, in whose scopes of the moment they are spawned; or
 * where others spawn, which lend only their slots, from what was in force in the beginning. The
 * grace of a shield that came later is no deadline for what was there before.
 *
 * A fiber's failure becomes the group's when it is the first one and not the answer to being
 * cancelled; it then cancels the rest. The group keeps that error until its end, so that both the
 * spawn that comes too late and the wait can return it.
 *
 * The end of a group waits although its owner's context is over: a fiber that points to memory of
 * the owner's scope must be gone before that scope is.
 */

#include "fiber/group.h"

#include "base/alloc.h"
#include "base/log.h"

#include "loop_priv.h"

static struct nd_group *
begin(const char *name, unsigned width, bool independent)
{
    struct nd_fiber *owner = nd_fiber_here();
    struct nd_group *g = nd_new(struct nd_group);

    g->name = name;
    g->width = width;
    g->independent = independent;
    g->shield_depth = owner->shield_depth;
    g->deadline_ns = nd_fiber_deadline_ns(owner);
    g->cancelled = owner->cancelled && g->shield_depth == 0;
    g->owner = owner;
    TAILQ_INIT(&g->fibers);
    TAILQ_INSERT_TAIL(&owner->groups, g, in_owner);
    return g;
}

struct nd_group *
nd_group_begin(const char *name, unsigned width)
{
    return begin(name, width, false);
}

struct nd_group *
nd_group_begin_independent(const char *name, unsigned width)
{
    return begin(name, width, true);
}

static bool
is_full(const struct nd_group *g)
{
    return g->width != 0 && g->n_fibers >= g->width;
}

/* What makes it pointless to start another one. */
static struct nd_error *
check_open(const struct nd_group *g)
{
    if (g->error != NULL)
        return nd_error_copy(g->error);
    if (g->ending)
        return nd_error_new(ND_CANCELLED, "group %s is ending", g->name);
    return NULL;
}

/* Of a fiber that is spawned now. */
static int64_t
deadline_ns(const struct nd_group *g)
{
    bool by_owner = nd_loop_here()->current == g->owner;

    if (!by_owner || g->owner->shield_depth > g->shield_depth)
        return g->deadline_ns;
    return nd_fiber_deadline_ns(g->owner);
}

static struct nd_error *
start(struct nd_group *g, nd_fiber_fn *fn, void *arg, struct nd_fiber **ret)
{
    struct nd_loop *loop = nd_loop_here();
    const struct nd_fiber *parent = loop->current != NULL ? loop->current : g->owner;
    struct nd_fiber *f;

    ND_TRY_DOING(nd_fiber_new(loop, fn, arg, &f), "group %s", g->name);
    f->group = g;
    f->own_deadline_ns = deadline_ns(g);
    f->cancelled = g->cancelled;
    for (size_t i = 0; i < ND_CTX_SLOTS; i++)
        f->slots[i] = parent->slots[i];
    TAILQ_INSERT_TAIL(&g->fibers, f, in_group);
    g->n_fibers++;
    *ret = f;
    return NULL;
}

static struct nd_error *
wait_for_room(struct nd_group *g)
{
    struct nd_error *err = NULL;

    g->n_spawning++;
    while (err == NULL && is_full(g) && g->error == NULL && !g->ending)
        err = nd_cond_wait(&g->room);
    g->n_spawning--;
    if (g->ending)
        nd_cond_broadcast(&g->changed);
    return err;
}

struct nd_error *
nd_group_spawn(struct nd_group *g, nd_fiber_fn *fn, void *arg)
{
    struct nd_fiber *f;

    ND_TRY(check_open(g));
    ND_TRY(nd_ctx_check());
    if (is_full(g)) {
        ND_TRY(wait_for_room(g));
        ND_TRY(check_open(g));
    }
    return start(g, fn, arg, &f);
}

struct nd_error *
nd_group_spawn_handle(struct nd_group *g, nd_fiber_fn *fn, void *arg, struct nd_fiber **ret)
{
    ND_TRY(check_open(g));
    if (is_full(g))
        return nd_error_new(ND_EXHAUSTED, "group %s: more than %u fibers", g->name, g->width);
    return start(g, fn, arg, ret);
}

struct nd_error *
nd_group_spawn_now(struct nd_group *g, nd_fiber_fn *fn, void *arg)
{
    struct nd_fiber *f;

    return nd_group_spawn_handle(g, fn, arg, &f);
}

void
nd_group_cancel(struct nd_group *g)
{
    struct nd_fiber *f;

    g->cancelled = true;
    TAILQ_FOREACH (f, &g->fibers, in_group)
        nd_fiber_cancel(f);
}

size_t
nd_group_count(const struct nd_group *g)
{
    return g->n_fibers;
}

/* Decide what the failure of a fiber means. Takes `err`. */
static void
take_failure(struct nd_group *g, bool was_cancelled, struct nd_error *err)
{
    bool is_cancel = nd_error_code(err) == ND_CANCELLED;

    if (g->independent && !is_cancel)
        nd_warn("fiber failed", ND_KV("group", g->name), ND_KV("error", err));
    if (g->independent || (is_cancel && was_cancelled) || g->error != NULL) {
        nd_error_free(err);
        return;
    }
    g->error = err;
    nd_group_cancel(g);
    nd_cond_broadcast(&g->room);
}

void
nd_group_reap(struct nd_group *g, struct nd_fiber *f, struct nd_error *err)
{
    TAILQ_REMOVE(&g->fibers, f, in_group);
    g->n_fibers--;
    if (err != NULL)
        take_failure(g, f->cancelled, err);
    nd_cond_signal(&g->room);
    if (g->n_fibers == 0)
        nd_cond_broadcast(&g->changed);
}

static void
join(struct nd_group *g)
{
    while (g->n_fibers != 0 || g->n_spawning != 0)
        nd_cond_join(&g->changed);
}

struct nd_error *
nd_group_wait(struct nd_group *g)
{
    struct nd_error *err = nd_ctx_check();

    while (err == NULL && g->n_fibers != 0)
        err = nd_cond_wait(&g->changed);
    if (err == NULL)
        return g->error != NULL ? nd_error_copy(g->error) : NULL;
    nd_group_cancel(g);
    while (g->n_fibers != 0)
        nd_cond_join(&g->changed);
    return err;
}

void
nd_group_end(struct nd_group *g)
{
    if (g == NULL)
        return;
    ND_INVARIANT(g->owner == nd_fiber_here());
    g->ending = true;
    nd_cond_broadcast(&g->room);
    nd_group_cancel(g);
    join(g);
    TAILQ_REMOVE(&g->owner->groups, g, in_owner);
    nd_error_free(g->error);
    nd_free(g);
}

void
nd_group_endp(struct nd_group **g)
{
    nd_group_end(ND_TAKE(*g));
}
