/*
 * `stop`: a container that runs is asked to end, and after a time made to.
 *
 *   intent ─▶ mark as stopped by somebody ─▶ wake when frozen ─▶ signal ─▶ wait ─▶ SIGKILL ─▶ wait
 *
 * The lock of the container is held while something is changed, not while it is waited for: a kill
 * or a forced removal need not wait for a patient stop. Somebody may start the container again
 * meanwhile; the process that was asked to end is known by its number, and the new one is left
 * alone. The task stays, as nerdctl leaves it; a later start or removal deletes it. Attachments to
 * networks are not undone here: on the host's network and on none there are none, and the hooks of
 * containers that nerdctl made undo them with the task.
 *
 * A stop rolls forward. Once it is begun the container ends, as with docker: also when the client
 * goes away while it waits, and when the daemon dies. The recovery marks and signals once more,
 * because it cannot know how far that was, and goes on until the same end at the same time.
 */

#include <signal.h>
#include <stdio.h>

#include "base/alloc.h"
#include "container/lifecycle.h"
#include "container/limits.h"
#include "store/state.h"

#include "changes_priv.h"
#include "labels_priv.h"
#include "shm_priv.h"
#include "signals_priv.h"
#include "stop_priv.h"

#define FOR_EVER_NS   (INT64_MAX / 4)
#define PIECE_NS      ND_SECOND
#define LEAST_WAIT_NS ND_SECOND /* of a recovery, between the signal and SIGKILL */

struct stopping {
    struct nd_containers *cs;
    const char *ns;
    struct nd_arena *arena;
    record *rec;
    int64_t timeout_s; /* -1: for ever */
    struct ending ending;
};

struct nd_error *
nd_stop_signal(const record *rec, const char *asked, int *ret)
{
    const char *label = nd_container_record_label(rec, LABEL_STOP_SIGNAL);
    struct nd_error *err;

    *ret = SIGTERM;
    if (asked[0] != '\0') {
        err = nd_signal_parse(nd_str(asked), ret);
        return err != NULL ? nd_error_in_field(err, "signal") : NULL;
    }
    if (label != NULL) {
        err = nd_signal_parse(nd_str(label), ret);
        nd_error_free(err); /* an odd label: the default holds */
    }
    return NULL;
}

static struct nd_error *
choose_timeout(struct stopping *s, const Pb__ContainerServiceStopRequest *req)
{
    const char *label = nd_container_record_label(s->rec, LABEL_STOP_TIMEOUT);
    struct nd_error *err;

    s->timeout_s = ND_STOP_TIMEOUT_DEFAULT_S;
    if (req->timeout_presence_case ==
        PB__CONTAINER_SERVICE_STOP_REQUEST__TIMEOUT_PRESENCE_TIMEOUT) {
        if (req->timeout < -1 || req->timeout > ND_STOP_TIMEOUT_MAX_S)
            return nd_error_field("timeout", "is not between -1 and %d seconds",
                                  ND_STOP_TIMEOUT_MAX_S);
        s->timeout_s = req->timeout;
    } else if (label != NULL) {
        err = nd_parse_i64(nd_str(label), 0, ND_STOP_TIMEOUT_MAX_S, &s->timeout_s);
        nd_error_free(err);
    }
    return NULL;
}

struct nd_error *
nd_mark_stopped(struct nd_containers *cs, const char *ns, const record *rec)
{
    if (nd_container_record_label_is(rec, LABEL_STOPPED, "true"))
        return NULL;
    return nd_container_record_set_label(cs, ns, rec->id, LABEL_STOPPED, "true");
}

bool
nd_task_can_end(const task *t)
{
    return t != NULL && t->status != CT_TASKS__STATUS__STOPPED &&
           t->status != CT_TASKS__STATUS__CREATED;
}

bool
nd_task_is_frozen(const task *t)
{
    return t->status == CT_TASKS__STATUS__PAUSED || t->status == CT_TASKS__STATUS__PAUSING;
}

struct nd_error *
nd_ending_begin(struct nd_containers *cs, const struct nd_change_spec *spec,
                const struct ending *ending, struct nd_change *ret)
{
    struct nd_change_spec whole = *spec;
    char payload[80];
    int n = snprintf(payload, sizeof(payload), "%u %d %lld", ending->pid, ending->signo,
                     (long long)ending->until_ms);

    whole.payload = nd_str_n(payload, (size_t)n);
    whole.lazy = true; /* no process outlives a power cut */
    ND_TRY(nd_change_begin(cs->host, &whole, ret));
    return nd_change_ready(ret);
}

struct nd_error *
nd_ending_parse(struct nd_str payload, struct ending *ret)
{
    struct nd_str parts[3] = {ND_STR_NONE, ND_STR_NONE, ND_STR_NONE};
    int64_t numbers[ND_LEN(parts)];

    for (size_t i = 0; i < ND_LEN(parts); i++) {
        (void)nd_str_next(&payload, ' ', &parts[i]);
        ND_TRY(nd_parse_i64(parts[i], -1, INT64_MAX, &numbers[i]));
    }
    *ret = (struct ending){
        .pid = (uint32_t)numbers[0], .signo = (int)numbers[1], .until_ms = numbers[2]};
    return NULL;
}

/* Somebody else may have woken it just before; what does not come to life is told by the kill. */
struct nd_error *
nd_task_wake(struct nd_containers *cs, const char *ns, const char *id)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = nd_task_resume(cs, ns, id);
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = NULL;
    task *t;

    if (err == NULL)
        return NULL;
    arena = nd_arena_new(0);
    ND_TRY(nd_task_get(cs, ns, id, arena, &t));
    return t != NULL && nd_task_is_frozen(t) ? ND_TAKE(err) : NULL;
}

/*
 * Mark, wake, signal. The caller has the lock. `*ret_ended` says that there is nothing to wait for.
 */
static struct nd_error *
ask_task(struct stopping *s, const task *t, bool *ret_ended)
{
    ND_TRY(nd_mark_stopped(s->cs, s->ns, s->rec));
    *ret_ended = !nd_task_can_end(t);
    if (*ret_ended)
        return NULL;
    if (nd_task_is_frozen(t))
        ND_TRY(nd_task_wake(s->cs, s->ns, s->rec->id));
    if (s->ending.until_ms == ENDING_AT_ONCE)
        return NULL;
    return nd_task_kill(s->cs, s->ns, s->rec->id, s->ending.signo, false, ret_ended);
}

static int64_t
now_ms(void)
{
    struct nd_wall now = nd_wall_now();

    return now.sec * 1000 + now.nsec / ND_MILLISECOND;
}

static struct nd_error *
ask_to_end(struct stopping *s, struct nd_change *change, bool *ret_ended)
{
    const struct nd_change_spec spec = {
        .kind = CHANGE_STOP, .ns = s->ns, .object = s->rec->id, .forward = true};
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    task *t;

    ND_TRY(nd_hold_lock(s->cs, s->ns, s->rec->id, &hold));
    ND_TRY(nd_task_get(s->cs, s->ns, s->rec->id, s->arena, &t));
    s->ending.pid = t != NULL ? t->pid : 0;
    s->ending.until_ms = s->timeout_s < 0    ? ENDING_IN_ITS_TIME
                         : s->timeout_s == 0 ? ENDING_AT_ONCE
                                             : now_ms() + s->timeout_s * 1000;
    ND_TRY(nd_ending_begin(s->cs, &spec, &s->ending, change));
    return ask_task(s, t, ret_ended);
}

/* `*ret` says whether it has ended within the time. */
static struct nd_error *
wait_for_end(struct stopping *s, int64_t for_ns, bool *ret)
{
    struct task_exit exit;
    struct nd_error *err;

    *ret = false;
    if (for_ns == 0)
        return NULL;
    {
        ND_DEADLINE_IN(for_ns);
        err = nd_task_wait(s->cs, s->ns, s->rec->id, s->ending.pid, &exit);
    }
    if (nd_error_code(err) == ND_DEADLINE) {
        nd_error_free(err);
        return nd_ctx_check();
    }
    if (nd_error_code(err) == ND_NOT_FOUND) {
        nd_error_free(err);
        err = NULL;
    }
    *ret = err == NULL;
    return err;
}

/* Whether the process that was asked to end still runs; without the lock: or did a moment ago. */
static struct nd_error *
still_runs(struct stopping *s, bool *ret)
{
    task *t;

    ND_TRY(nd_task_get(s->cs, s->ns, s->rec->id, s->arena, &t));
    *ret = nd_task_can_end(t) && t->pid == s->ending.pid;
    return NULL;
}

/* *ret: there was nobody left to be killed. */
static struct nd_error *
kill_all(struct stopping *s, bool *ret)
{
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    bool runs;

    ND_TRY(nd_hold_lock(s->cs, s->ns, s->rec->id, &hold));
    ND_TRY(still_runs(s, &runs));
    *ret = !runs;
    return runs ? nd_task_kill(s->cs, s->ns, s->rec->id, SIGKILL, true, ret) : NULL;
}

static struct nd_error *
make_it_end(struct stopping *s)
{
    bool gone, ended;

    ND_TRY(kill_all(s, &gone));
    if (gone)
        return NULL;
    ND_TRY(wait_for_end(s, ND_KILL_WAIT_NS, &ended));
    if (ended)
        return NULL;
    return nd_error_reason(nd_error_new(ND_DEADLINE,
                                        "container %.12s does not end, not even after SIGKILL",
                                        s->rec->id),
                           "CONTAINER_DOES_NOT_END");
}

static struct nd_error *
unmount_shm(struct stopping *s)
{
    ND_AUTO(nd_state_freep) struct nd_state *state = NULL;
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    const struct nd_json *ipc;
    struct nd_store *store;
    task *t;

    nd_container_record_json_label(s->rec, LABEL_IPC, s->arena, &ipc);
    if (!nd_str_eqz(nd_json_string(nd_json_find(ipc, "mode")), "shareable"))
        return NULL;
    ND_TRY(nd_hold_lock(s->cs, s->ns, s->rec->id, &hold));
    ND_TRY(nd_task_get(s->cs, s->ns, s->rec->id, s->arena, &t));
    if (nd_task_can_end(t))
        return NULL; /* started again already, and mounted anew */
    ND_TRY(nd_containers_store(s->cs, &store));
    ND_TRY(nd_state_new(store, s->ns, s->rec->id, &state));
    return nd_shm_unmount(nd_state_path(state));
}

/* Asked already. */
static struct nd_error *
wait_and_kill(struct stopping *s, bool ended, int64_t for_ns)
{
    if (!ended)
        ND_TRY(wait_for_end(s, for_ns, &ended));
    if (!ended)
        ND_TRY(make_it_end(s));
    return unmount_shm(s);
}

static struct nd_error *
stop(struct stopping *s)
{
    ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;
    int64_t for_ns = s->timeout_s < 0 ? FOR_EVER_NS : s->timeout_s * ND_SECOND;
    bool ended;

    nd_doing("stop container");
    ND_TRY(ask_to_end(s, &change, &ended));
    ND_TRY(wait_and_kill(s, ended, for_ns));
    nd_change_settle(&change);
    return NULL;
}

struct nd_error *
nd_container_stop(struct nd_containers *cs, const char *ns,
                  const Pb__ContainerServiceStopRequest *req, struct nd_arena *arena,
                  Pb__ContainerServiceStopResponse *rsp)
{
    struct stopping s = {.cs = cs, .ns = ns, .arena = arena};

    ND_TRY(nd_container_find(cs, ns, req->container, arena, &s.rec));
    ND_TRY(nd_stop_signal(s.rec, req->signal, &s.ending.signo));
    ND_TRY(choose_timeout(&s, req));
    ND_TRY(stop(&s));
    rsp->container_id = s.rec->id;
    return NULL;
}

/* What is left of the time until SIGKILL. */
static int64_t
remaining_ns(const struct ending *ending)
{
    int64_t left_ms = ending->until_ms - now_ms();

    if (ending->until_ms == ENDING_AT_ONCE)
        return 0;
    if (ending->until_ms == ENDING_IN_ITS_TIME)
        return FOR_EVER_NS;
    left_ms = ND_MIN(ND_MAX(left_ms, (int64_t)0), (int64_t)ND_STOP_TIMEOUT_MAX_S * 1000);
    return ND_MAX(left_ms * ND_MILLISECOND, LEAST_WAIT_NS);
}

/* Another process than the one that was to end is none of ours. */
static struct nd_error *
ask_again(struct stopping *s, bool *ret_ended)
{
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    task *t;

    ND_TRY(nd_hold_lock(s->cs, s->ns, s->rec->id, &hold));
    ND_TRY(nd_task_get(s->cs, s->ns, s->rec->id, s->arena, &t));
    *ret_ended = true;
    if (nd_task_can_end(t) && t->pid != s->ending.pid)
        return NULL;
    return ask_task(s, t, ret_ended);
}

/*
 * A stop that nobody waits for. One for each process, however many are begun and left: that with
 * the earliest time, because its intent is the one that is still there when this daemon dies, or
 * its try fails.
 */
struct finishing {
    struct nd_map *stops;
    char *key;
    int64_t until_ms;
    bool superseded;
};

static void
end_finishing(struct finishing *f)
{
    if (f->key != NULL && !f->superseded)
        (void)nd_map_take(f->stops, nd_str(f->key));
    nd_free(f->key);
}

static bool
is_earlier(int64_t until_ms, int64_t other_ms)
{
    return until_ms != ENDING_IN_ITS_TIME &&
           (other_ms == ENDING_IN_ITS_TIME || until_ms < other_ms);
}

/* Whether another one does it, as soon or sooner. */
static bool
is_finished_by_another(struct finishing *f)
{
    struct finishing *other = nd_map_find(f->stops, nd_str(f->key));

    f->superseded = other != NULL && !is_earlier(f->until_ms, other->until_ms);
    if (f->superseded)
        return true;
    if (other != NULL)
        other->superseded = true;
    nd_map_set(f->stops, nd_str(f->key), f);
    return false;
}

/* In pieces, because another one may take its place. */
static struct nd_error *
wait_until(struct stopping *s, const struct finishing *f, bool *ret_ended)
{
    bool runs = true;

    while (runs) {
        int64_t left_ns = remaining_ns(&s->ending);

        ND_TRY(wait_for_end(s, ND_MIN(left_ns, PIECE_NS), ret_ended));
        if (*ret_ended || f->superseded || left_ns <= PIECE_NS)
            return NULL;
        ND_TRY(still_runs(s, &runs)); /* the next piece would wait for another one as well */
    }
    *ret_ended = true;
    return NULL;
}

static struct nd_error *
finish(struct stopping *s, enum nd_recovered *ret)
{
    ND_AUTO(end_finishing)
    struct finishing f = {.stops = s->cs->stops, .until_ms = s->ending.until_ms};
    bool ended;

    f.key = nd_asprintf("%s/%s/%u", s->ns, s->rec->id, s->ending.pid);
    if (is_finished_by_another(&f))
        return NULL;
    ND_TRY(ask_again(s, &ended));
    if (!ended)
        ND_TRY(wait_until(s, &f, &ended));
    if (f.superseded)
        return NULL;
    ND_TRY(wait_and_kill(s, ended, 0));
    *ret = ND_RECOVERED_DONE;
    return NULL;
}

struct nd_error *
nd_recover_stop(void *containers, const struct nd_open_intent *intent)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct stopping s = {.cs = containers, .ns = intent->ns, .arena = arena};
    struct nd_error *err;

    if (!intent->same_boot)
        return NULL;
    nd_doing("finish a stop");
    ND_TRY(nd_ending_parse(intent->payload, &s.ending));
    err = nd_container_record_get(s.cs, s.ns, intent->object, arena, &s.rec);
    if (nd_error_code(err) == ND_NOT_FOUND) {
        nd_error_free(err);
        return NULL;
    }
    ND_TRY(err);
    return finish(&s, intent->recovered);
}
