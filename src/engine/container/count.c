/*
 * How many containers there are, and what they do. Only their ids are kept; their tasks are looked
 * at as for a list, so that a shim which is stopped holds up nobody for long.
 */

#include "container/query.h"

#include "containers_priv.h"
#include "tasks_priv.h"

/* A record of which only the id is known. */
static void
add_id(void *list, record *rec)
{
    struct record_list *l = list;
    record *bare = nd_arena_new_object(l->arena, record);

    ct_containers__container__init(bare);
    bare->id = nd_arena_strdup(l->arena, rec->id);
    nd_record_list_add(l, bare);
}

static struct nd_error *
list_ids(struct nd_containers *cs, const char *ns, struct record_list *l)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *each = nd_arena_new(0);
    const struct record_reading reading = {
        .arena = each, .one_by_one = true, .add = add_id, .arg = l};

    return nd_container_record_each(cs, ns, &reading);
}

static void
count_one(const task *t, struct nd_container_counts *counts)
{
    counts->all++;
    if (t == NULL)
        return;
    switch (t->status) {
    case CT_TASKS__STATUS__RUNNING:
        counts->running++;
        break;
    case CT_TASKS__STATUS__PAUSED:
    case CT_TASKS__STATUS__PAUSING:
        counts->paused++;
        break;
    case CT_TASKS__STATUS__UNKNOWN:
        counts->silent++;
        break;
    default:
        break;
    }
}

struct nd_error *
nd_containers_count(struct nd_containers *cs, const char *ns, struct nd_container_counts *ret)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct record_list l = {.arena = arena};
    struct nd_container_counts counts = {0};
    task **tasks;

    ND_TRY(list_ids(cs, ns, &l));
    ND_TRY(nd_tasks_look(cs, ns, l.at, l.n, arena, &tasks));
    for (size_t i = 0; i < l.n; i++)
        count_one(tasks[i], &counts);
    *ret = counts;
    return NULL;
}
