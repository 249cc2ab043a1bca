/*
 * Operations as others see them: one, all of them, changes as they come; cancelled and forgotten.
 *
 * What runs is shown from memory, because progress is only there; the rest, and the order of a
 * list, comes from the ledger. A page token is the place of the last entry in that order, so pages
 * stay right while operations come and go.
 */

#include "base/alloc.h"
#include "base/log.h"
#include "state/limits.h"

#include "operations_priv.h"

static Google__Protobuf__Timestamp *
show_time(int64_t ms, struct nd_arena *arena)
{
    Google__Protobuf__Timestamp *at = nd_arena_new_object(arena, Google__Protobuf__Timestamp);

    google__protobuf__timestamp__init(at);
    at->seconds = ms / 1000;
    at->nanos = (int32_t)(ms % 1000 * ND_MILLISECOND);
    return at;
}

static void
show_result(const struct nd_outcome *o, struct nd_arena *arena, Pb__Operation *shown)
{
    Google__Protobuf__Any *any;

    if (o->result_type[0] == '\0')
        return;
    any = nd_arena_new_object(arena, Google__Protobuf__Any);
    google__protobuf__any__init(any);
    any->type_url = nd_arena_printf(arena, "type.googleapis.com/%s", o->result_type);
    any->value.data = nd_arena_memdup(arena, o->result.ptr, o->result.len);
    any->value.len = o->result.len;
    shown->response = any;
    shown->result_case = PB__OPERATION__RESULT_RESPONSE;
}

static void
show_error(const struct nd_outcome *o, struct nd_arena *arena, Pb__Operation *shown)
{
    shown->error = nd_arena_new_object(arena, Pb__OperationError);
    pb__operation_error__init(shown->error);
    shown->error->code = (int32_t)o->code;
    shown->error->message = nd_arena_strdup(arena, o->message);
    shown->error->reason = nd_arena_strdup(arena, o->reason);
    shown->result_case = PB__OPERATION__RESULT_ERROR;
}

Pb__Operation *
nd_operation_show(const struct nd_outcome *o, struct nd_arena *arena)
{
    Pb__Operation *shown = nd_arena_new_object(arena, Pb__Operation);

    pb__operation__init(shown);
    shown->id = nd_arena_strdup(arena, o->id);
    shown->method = nd_arena_strdup(arena, o->method);
    shown->containerd_namespace = nd_arena_strdup(arena, o->ns);
    shown->owner = nd_arena_strdup(arena, o->owner);
    shown->state = (Pb__OperationState)o->state;
    shown->create_time = show_time(o->begun_ms, arena);
    if (o->ended_ms != 0)
        shown->end_time = show_time(o->ended_ms, arena);
    if (o->state == ND_OUTCOME_SUCCEEDED)
        show_result(o, arena, shown);
    else if (o->state == ND_OUTCOME_FAILED)
        show_error(o, arena, shown);
    return shown;
}

void
nd_operation_show_progress(const struct nd_operation *op, struct nd_arena *arena,
                           Pb__Operation *shown)
{
    shown->progress = nd_arena_new_array(arena, op->n_progress, Pb__Progress *);
    for (size_t i = 0; i < op->n_progress; i++) {
        Pb__Progress *p = nd_arena_new_object(arena, Pb__Progress);

        pb__progress__init(p);
        p->id = nd_arena_strdup(arena, op->progress[i].id);
        p->action = nd_arena_strdup(arena, op->progress[i].action);
        p->current = op->progress[i].current;
        p->total = op->progress[i].total;
        shown->progress[shown->n_progress++] = p;
    }
}

static Pb__Operation *
show_running(const struct nd_operation *op, struct nd_arena *arena)
{
    const struct nd_outcome o = nd_operation_outcome(op);
    Pb__Operation *shown = nd_operation_show(&o, arena);

    nd_operation_show_progress(op, arena, shown);
    return shown;
}

static struct nd_error *
check_id(const char *id)
{
    if (id[0] == '\0')
        return nd_error_field("id", "is empty");
    if (strlen(id) != 2 * OPERATION_ID_BYTES || !nd_str_is_hex(nd_str(id)))
        return nd_error_field("id", "is not %d digits of hex", 2 * OPERATION_ID_BYTES);
    return NULL;
}

/* In the ledger. */
static struct nd_error *
find_ended(struct nd_operations *ops, const char *id, struct nd_arena *arena,
           struct nd_outcome *ret)
{
    struct nd_error *err = nd_outcome_get(nd_host_ledger(ops->host), id, arena, ret);

    if (nd_error_code(err) != ND_NOT_FOUND)
        return err;
    return nd_error_meta(nd_error_reason(err, "OPERATION_NOT_FOUND"), "operation", id);
}

struct nd_error *
nd_operation_get(struct nd_operations *ops, const char *id, struct nd_arena *arena,
                 Pb__Operation **ret)
{
    struct nd_operation *op;
    struct nd_outcome o;

    ND_TRY(check_id(id));
    op = nd_map_find(ops->running, nd_str(id));
    if (op == NULL)
        ND_TRY(find_ended(ops, id, arena, &o));
    *ret = op != NULL ? show_running(op, arena) : nd_operation_show(&o, arena);
    return NULL;
}

static struct nd_error *
wrong_token(void)
{
    return nd_error_field("page_token", "is not one of a reply");
}

/* "1700000000000-<id>" */
static struct nd_error *
read_token(const char *token, struct nd_outcome_query *query)
{
    struct nd_str text = nd_str(token);
    size_t dash = nd_str_find(text, '-');
    struct nd_error *err;
    uint64_t ms;

    if (text.len == 0)
        return NULL;
    if (dash == SIZE_MAX)
        return wrong_token();
    err = nd_parse_u64(nd_str_sub(text, 0, dash), INT64_MAX, &ms);
    if (err == NULL)
        err = check_id(token + dash + 1);
    if (err != NULL) {
        nd_error_free(err);
        return wrong_token();
    }
    query->before_begun_ms = (int64_t)ms;
    query->before_id = token + dash + 1;
    return NULL;
}

struct nd_error *
nd_operations_list(struct nd_operations *ops, const char *ns,
                   const Pb__OperationServiceListRequest *req, struct nd_arena *arena,
                   Pb__OperationServiceListResponse *rsp)
{
    struct nd_outcome_query query = {
        .ns = ns, .owner = "", .before_begun_ms = INT64_MAX, .before_id = ""};
    struct nd_outcome *found;
    size_t n;

    if (req->page_size < 0 || (size_t)req->page_size > ND_OUTCOMES_PAGE)
        return nd_error_field("page_size", "is not between 0 and %u", ND_OUTCOMES_PAGE);
    query.max = req->page_size > 0 ? (size_t)req->page_size : ND_OPERATIONS_PAGE_DEFAULT;
    ND_TRY(read_token(req->page_token, &query));
    ND_TRY(nd_outcomes_list(nd_host_ledger(ops->host), &query, arena, &found, &n));
    rsp->operations = nd_arena_new_array(arena, n, Pb__Operation *);
    for (size_t i = 0; i < n; i++) {
        const struct nd_operation *op = nd_map_find(ops->running, nd_str(found[i].id));

        rsp->operations[rsp->n_operations++] =
            op != NULL ? show_running(op, arena) : nd_operation_show(&found[i], arena);
    }
    if (n == query.max)
        rsp->next_page_token =
            nd_arena_printf(arena, "%lld-%s", (long long)found[n - 1].begun_ms, found[n - 1].id);
    return NULL;
}

static void
leave_watch(struct nd_operation **op)
{
    nd_operation_unref(*op);
}

/* While it runs: each time that it has changed. */
static struct nd_error *
watch_running(struct nd_operation *watched, struct nd_arena *arena,
              struct nd_error *(*tell)(void *arg, Pb__Operation *operation), void *arg)
{
    ND_AUTO(leave_watch) struct nd_operation *op = watched;
    uint64_t told;

    op->refs++;
    while (!op->ended) {
        told = op->version;
        nd_arena_reset(arena);
        ND_TRY(tell(arg, show_running(op, arena)));
        while (!op->ended && op->version == told)
            ND_TRY(nd_cond_wait(&op->changed));
    }
    return NULL;
}

struct nd_error *
nd_operation_watch(struct nd_operations *ops, const char *id,
                   struct nd_error *(*tell)(void *arg, Pb__Operation *operation), void *arg)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_operation *op;
    struct nd_outcome o;

    ND_TRY(check_id(id));
    op = nd_map_find(ops->running, nd_str(id));
    if (op != NULL)
        ND_TRY(watch_running(op, arena, tell, arg));
    nd_arena_reset(arena);
    ND_TRY(find_ended(ops, id, arena, &o));
    return tell(arg, nd_operation_show(&o, arena));
}

struct nd_error *
nd_operation_cancel(struct nd_operations *ops, const char *id)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_operation *op;
    struct nd_outcome o;

    ND_TRY(check_id(id));
    op = nd_map_find(ops->running, nd_str(id));
    if (op == NULL) {
        ND_TRY(find_ended(ops, id, arena, &o));
        return nd_error_reason(nd_error_new(ND_PRECONDITION, "operation %s has ended", id),
                               "OPERATION_ENDED");
    }
    nd_info("operation is cancelled", ND_KV("operation", id), ND_KV("method", op->method));
    op->cancelled = true;
    if (op->group != NULL)
        nd_group_cancel(op->group);
    return NULL;
}

struct nd_error *
nd_operation_delete(struct nd_operations *ops, const char *id)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_outcome o;

    ND_TRY(check_id(id));
    if (nd_map_find(ops->running, nd_str(id)) != NULL)
        return nd_error_hint(
            nd_error_reason(nd_error_new(ND_PRECONDITION, "operation %s goes on", id),
                            "OPERATION_RUNNING"),
            "cancel it first");
    ND_TRY(find_ended(ops, id, arena, &o));
    return nd_outcome_delete(nd_host_ledger(ops->host), id);
}
