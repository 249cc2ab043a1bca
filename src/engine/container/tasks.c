/*
 * What tasks do, though a shim may be stopped.
 *
 * containerd asks the shim of each task for its state, one after the other, and waits for each for
 * seconds; one that does not answer has the status UNKNOWN then, and all that follow, too, when the
 * time of the call is over. So the list of all is only given so much time. When that is over each
 * task is asked for by itself, all at once, and who does not answer shows as UNKNOWN:
 *
 *     Tasks.List ──▶ in time: done
 *         └─ not ──▶ Tasks.Get of each ──▶ in time: as it is
 *                         └─ not ──▶ UNKNOWN, remembered, asked again in the background until it answers
 *
 * While one is remembered nobody waits for it, nor for a list in which containerd would.
 */

#include "base/alloc.h"
#include "base/log.h"
#include "container/limits.h"

#include "tasks_priv.h"

/* One whose shim did not answer; lives in cs->silent. */
struct silent {
    struct nd_containers *cs;
    char *key, *ns, *id;
};

static void
forget(struct silent **s)
{
    nd_map_take((*s)->cs->silent, nd_str((*s)->key));
    nd_free((*s)->key);
    nd_free((*s)->ns);
    nd_free((*s)->id);
    nd_free(*s);
}

static bool
is_unknown(const task *t)
{
    return t != NULL && t->status == CT_TASKS__STATUS__UNKNOWN;
}

/* Ask for a task; `*ret_silent` when its shim did not answer, to us or to containerd. */
static struct nd_error *
ask(struct nd_containers *cs, const char *ns, const char *id, struct nd_arena *arena, task **ret,
    bool *ret_silent)
{
    struct nd_error *err = nd_task_get(cs, ns, id, arena, ret);

    *ret_silent = err != NULL
                      ? nd_error_code(err) == ND_DEADLINE || nd_error_code(err) == ND_UNKNOWN
                      : is_unknown(*ret);
    return err;
}

static struct nd_error *
ask_again(void *arg)
{
    ND_AUTO(forget) struct silent *s = arg;
    bool silent = true;

    nd_doing("ask a shim that does not answer");
    while (silent) {
        ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
        task *t = NULL;

        ND_TRY(nd_fiber_sleep(ND_SILENT_PAUSE_NS));
        ND_DEADLINE_IN(ND_SILENT_ANSWER_NS);
        nd_error_free(ask(s->cs, s->ns, s->id, arena, &t, &silent)); /* who asks next is told */
    }
    nd_info("shim is asked again", ND_KV("container", (const char *)s->id));
    return NULL;
}

static const char *
make_key(const char *ns, const char *id, struct nd_arena *arena)
{
    return nd_arena_printf(arena, "%s/%s", ns, id);
}

static void
remember(struct nd_containers *cs, const char *ns, const char *id, struct nd_arena *arena)
{
    const char *key = make_key(ns, id, arena);
    struct silent *s;

    if (nd_map_find(cs->silent, nd_str(key)) != NULL)
        return;
    nd_warn("shim does not answer", ND_KV("container", id), ND_KV("namespace", ns));
    s = nd_new(struct silent);
    *s = (struct silent){cs, nd_strdup(key), nd_strdup(ns), nd_strdup(id)};
    nd_map_set(cs->silent, nd_str(key), s);
    if (!nd_containers_spawn(cs, ask_again, s))
        forget(&s);
}

static task *
unknown_task(const char *id, struct nd_arena *arena)
{
    task *t = nd_arena_new_object(arena, task);

    ct_tasks__process__init(t);
    t->id = (char *)id;
    t->status = CT_TASKS__STATUS__UNKNOWN;
    return t;
}

struct nd_error *
nd_task_look(struct nd_containers *cs, const char *ns, const char *id, struct nd_arena *arena,
             task **ret)
{
    struct nd_error *err = NULL;
    task *t = NULL;
    bool silent = nd_map_find(cs->silent, nd_str(make_key(ns, id, arena))) != NULL;

    if (!silent) {
        ND_DEADLINE_IN(ND_TASK_ANSWER_NS);
        err = ask(cs, ns, id, arena, &t, &silent);
    }
    if (err != NULL && !silent)
        return err;
    nd_error_free(err);
    ND_TRY(nd_ctx_check()); /* the caller's time may be over, too */
    if (silent)
        remember(cs, ns, id, arena);
    *ret = silent ? unknown_task(id, arena) : t;
    return NULL;
}

/* All tasks of a namespace that are asked for. */
struct looking {
    struct nd_containers *cs;
    const char *ns;
    record *const *records;
    size_t n;
    struct nd_arena *arena;
    task **ret;
};

/* What asks for one of them. */
struct look {
    struct looking *all;
    size_t i;
};

static struct nd_error *
run_look(void *arg)
{
    struct look *look = arg;
    struct looking *l = look->all;

    return nd_task_look(l->cs, l->ns, l->records[look->i]->id, l->arena, &l->ret[look->i]);
}

static struct nd_error *
look_at_each(struct looking *l)
{
    struct look *looks = nd_arena_new_array(l->arena, l->n, struct look);
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("tasks", ND_TASKS_WIDTH);

    for (size_t i = 0; i < l->n; i++) {
        looks[i] = (struct look){l, i};
        ND_TRY(nd_group_spawn(group, run_look, &looks[i]));
    }
    return nd_group_wait(group);
}

/* `*ret` says that everybody has answered. */
static struct nd_error *
look_at_all(struct looking *l, bool *ret)
{
    ND_AUTO(nd_map_freep) struct nd_map *by_id = nd_map_new();
    task **tasks;
    size_t n;

    ND_TRY(nd_task_list(l->cs, l->ns, l->arena, &tasks, &n));
    for (size_t i = 0; i < n; i++)
        nd_map_set(by_id, nd_str(tasks[i]->id), tasks[i]);
    *ret = true;
    for (size_t i = 0; i < l->n; i++) {
        l->ret[i] = nd_map_find(by_id, nd_str(l->records[i]->id));
        *ret = *ret && !is_unknown(l->ret[i]);
    }
    return NULL;
}

struct nd_error *
nd_tasks_look(struct nd_containers *cs, const char *ns, record *const *records, size_t n,
              struct nd_arena *arena, task ***ret)
{
    struct looking l = {.cs = cs, .ns = ns, .records = records, .n = n, .arena = arena};
    struct nd_error *err;
    bool answered = false;

    l.ret = *ret = nd_arena_new_array(arena, n, task *);
    if (nd_map_count(cs->silent) > 0)
        return look_at_each(&l);
    {
        ND_DEADLINE_IN(ND_TASKS_ANSWER_NS);
        err = look_at_all(&l, &answered);
    }
    if (answered || (err != NULL && nd_error_code(err) != ND_DEADLINE))
        return err;
    nd_error_free(err);
    ND_TRY(nd_ctx_check());
    return look_at_each(&l);
}
