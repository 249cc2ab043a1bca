/*
 * `list`: two calls of containerd, whatever the number of containers: all records as a stream, all
 * tasks (more where a shim does not answer: tasks.c). What is in files is asked for at once, and
 * only of the containers that are shown.
 *
 * The two are not of one instant. A container that was removed in between has a record here and no
 * task there: it shows as created for once, as it would to somebody who looked a moment later
 * between the two deletions; one that is new has a task without a record and is left out.
 */

#include <stdio.h>
#include <stdlib.h>

#include "container/limits.h"
#include "container/query.h"
#include "store/state.h"

#include "filters_priv.h"
#include "tasks_priv.h"
#include "view_priv.h"

/* A record and its view, to sort together. */
struct entry {
    record *rec;
    Pb__Container *view;
};

struct listing {
    struct nd_containers *cs;
    const char *ns;
    struct nd_arena *arena;
    struct entry *at;
    size_t n;
};

static struct nd_error *
make_views(struct listing *l)
{
    struct nd_wall now;
    record **records;
    task **tasks;

    ND_TRY(nd_container_record_list(l->cs, l->ns, NULL, l->arena, &records, &l->n));
    ND_TRY(nd_tasks_look(l->cs, l->ns, records, l->n, l->arena, &tasks));
    now = nd_wall_now();
    l->at = nd_arena_new_array(l->arena, l->n, struct entry);
    for (size_t i = 0; i < l->n; i++) {
        l->at[i].rec = records[i];
        l->at[i].view = nd_view_make(records[i], tasks[i], now, l->arena);
    }
    return NULL;
}

static int
newest_first(const void *a, const void *b)
{
    const Pb__Container *x = ((const struct entry *)a)->view, *y = ((const struct entry *)b)->view;
    int by_time = nd_wall_cmp(nd_wall_of(y->created_at), nd_wall_of(x->created_at));

    return by_time != 0 ? by_time : strcmp(x->id, y->id);
}

/* One that could not be asked may well be. */
static bool
is_up(const Pb__Container *view)
{
    return view->state == PB__CONTAINER_STATE__CONTAINER_STATE_UNSPECIFIED ||
           view->state == PB__CONTAINER_STATE__CONTAINER_STATE_RUNNING ||
           view->state == PB__CONTAINER_STATE__CONTAINER_STATE_PAUSED ||
           view->state == PB__CONTAINER_STATE__CONTAINER_STATE_RESTARTING;
}

static struct nd_error *
filter(struct listing *l, const Pb__ContainerServiceListRequest *req, struct nd_filters *filters)
{
    Pb__Container **views = nd_arena_new_array(l->arena, l->n, Pb__Container *);
    bool all = req->all || req->last > 0 || nd_filters_imply_all(filters);
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++)
        views[i] = l->at[i].view;
    ND_TRY(nd_filters_bind(filters, views, l->n));
    for (size_t i = 0; i < l->n; i++) {
        /* Expressions may take a while, and nobody else runs meanwhile. */
        if (i % ND_LIST_YIELD_EVERY == ND_LIST_YIELD_EVERY - 1)
            ND_TRY(nd_fiber_yield());
        if ((all || is_up(l->at[i].view)) && nd_filters_match(filters, l->at[i].view))
            l->at[n++] = l->at[i];
    }
    l->n = req->last > 0 ? ND_MIN(n, (size_t)req->last) : n;
    return NULL;
}

/* A page token is the place of the last container of the page before: time and id. */
static const char *
make_token(const Pb__Container *last, struct nd_arena *arena)
{
    struct nd_wall at = nd_wall_of(last->created_at);

    return nd_arena_printf(arena, "%lld.%09d.%s", (long long)at.sec, (int)at.nsec, last->id);
}

static struct nd_error *
parse_token(struct nd_str token, struct nd_wall *ret_at, struct nd_str *ret_id)
{
    struct nd_str rest = token, sec = ND_STR_NONE, nsec = ND_STR_NONE;
    uint64_t s, n;
    struct nd_error *err = NULL;

    if (!nd_str_next(&rest, '.', &sec) || !nd_str_next(&rest, '.', &nsec) || rest.len == 0)
        return nd_error_field("page_token", "is none of ours");
    err = nd_parse_u64(sec, INT64_MAX, &s);
    if (err == NULL)
        err = nd_parse_u64(nsec, 999999999, &n);
    if (err != NULL) {
        nd_error_free(err);
        return nd_error_field("page_token", "is none of ours");
    }
    *ret_at = (struct nd_wall){(int64_t)s, (int32_t)n};
    *ret_id = rest;
    return NULL;
}

static struct nd_error *
cut_page(struct listing *l, const Pb__ContainerServiceListRequest *req,
         Pb__ContainerServiceListResponse *rsp)
{
    struct nd_wall at = {0, 0};
    struct nd_str id = ND_STR_NONE;
    size_t first = 0;

    if (req->page_token[0] != '\0') {
        ND_TRY(parse_token(nd_str(req->page_token), &at, &id));
        while (first < l->n) {
            int cmp = nd_wall_cmp(nd_wall_of(l->at[first].view->created_at), at);

            if (cmp < 0 || (cmp == 0 && nd_str_cmp(nd_str(l->at[first].view->id), id) > 0))
                break;
            first++;
        }
    }
    l->at += first;
    l->n -= first;
    if (req->page_size > 0 && l->n > (size_t)req->page_size) {
        l->n = (size_t)req->page_size;
        rsp->next_page_token = (char *)make_token(l->at[l->n - 1].view, l->arena);
    }
    return NULL;
}

struct sizing {
    struct listing *l;
    struct entry *entry;
};

static struct nd_error *
size_one(void *arg)
{
    struct sizing *s = arg;

    return nd_view_add_sizes(s->l->cs, s->l->ns, s->entry->rec, s->entry->view);
}

static struct nd_error *
add_sizes(struct listing *l)
{
    struct sizing *jobs = nd_arena_new_array(l->arena, l->n, struct sizing);
    ND_AUTO(nd_group_endp) struct nd_group *group = nd_group_begin("sizes", ND_SIZE_WIDTH);

    for (size_t i = 0; i < l->n; i++) {
        jobs[i] = (struct sizing){l, &l->at[i]};
        ND_TRY(nd_group_spawn(group, size_one, &jobs[i]));
    }
    return nd_group_wait(group);
}

/* Only networks of CNI have published ports; the files of all others are not worth opening. */
static struct nd_error *
add_ports(struct listing *l)
{
    for (size_t i = 0; i < l->n; i++) {
        Pb__Container *view = l->at[i].view;
        struct nd_error *err;

        if (view->n_networks == 0 || strcmp(view->networks[0], "host") == 0 ||
            strcmp(view->networks[0], "none") == 0)
            continue;
        err = nd_view_add_ports(l->cs, l->ns, view, l->arena);
        if (nd_error_code(err) == ND_CANCELLED || nd_error_code(err) == ND_DEADLINE)
            return err;
        nd_error_free(err); /* an unreadable file hides no container */
    }
    return NULL;
}

struct states {
    struct nd_state **at;
    size_t n;
};

static void
free_states(struct states *states)
{
    for (size_t i = 0; i < states->n; i++)
        nd_state_free(states->at[i]);
}

/* When they were started: of those that have run, one small file each. */
static struct nd_error *
add_starts(struct listing *l)
{
    ND_AUTO(free_states)
    struct states states = {.at = nd_arena_new_array(l->arena, l->n, struct nd_state *)};
    struct nd_wall *starts = nd_arena_new_array(l->arena, l->n, struct nd_wall);
    Pb__Container **views = nd_arena_new_array(l->arena, l->n, Pb__Container *);
    struct nd_store *store;

    ND_TRY(nd_containers_store(l->cs, &store));
    for (size_t i = 0; i < l->n; i++) {
        Pb__Container *view = l->at[i].view;

        if (view->state == PB__CONTAINER_STATE__CONTAINER_STATE_CREATED)
            continue;
        views[states.n] = view;
        ND_TRY(nd_state_new(store, l->ns, view->id, &states.at[states.n]));
        states.n++;
    }
    ND_TRY(nd_states_read_starts(states.at, states.n, starts));
    for (size_t i = 0; i < states.n; i++)
        views[i]->started_at = nd_timestamp_of(starts[i], l->arena);
    return NULL;
}

static struct nd_error *
check_request(const Pb__ContainerServiceListRequest *req)
{
    if (req->last < 0)
        return nd_error_field("last", "is negative");
    if (req->page_size < 0)
        return nd_error_field("page_size", "is negative");
    return NULL;
}

struct nd_error *
nd_containers_list(struct nd_containers *cs, const char *ns,
                   const Pb__ContainerServiceListRequest *req, struct nd_arena *arena,
                   Pb__ContainerServiceListResponse *rsp)
{
    struct listing l = {.cs = cs, .ns = ns, .arena = arena};
    struct nd_filters *filters;

    ND_TRY(check_request(req));
    ND_TRY(nd_filters_parse(req->filters, req->n_filters, arena, &filters));
    ND_TRY(make_views(&l));
    if (l.n > 1)
        qsort(l.at, l.n, sizeof(l.at[0]), newest_first);
    ND_TRY(filter(&l, req, filters));
    ND_TRY(cut_page(&l, req, rsp));
    ND_TRY(add_ports(&l));
    ND_TRY(add_starts(&l));
    if (req->size)
        ND_TRY(add_sizes(&l));
    rsp->containers = nd_arena_new_array(arena, l.n, Pb__Container *);
    for (size_t i = 0; i < l.n; i++)
        rsp->containers[i] = l.at[i].view;
    rsp->n_containers = l.n;
    return NULL;
}
