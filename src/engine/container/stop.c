/*
 * Ending containers: stop, kill, and the signals of an attached client.
 *
 *   stop   mark as stopped by somebody ─▶ wake when frozen ─▶ signal ─▶ wait ─▶ SIGKILL ─▶ wait
 *
 * The lock of the container is held while something is changed, not while it is waited for: a kill or a
 * forced removal need not wait for a patient stop. Somebody may start the container again meanwhile; the
 * process that was asked to end is known by its number, and the new one is left alone. The task stays, as nerdctl leaves it; a later start or
 * removal deletes it. Attachments to networks are not undone here: on the host's network and on none there
 * are none, and the hooks of containers that nerdctl made undo them with the task.
 */

#include <signal.h>

#include "container/lifecycle.h"
#include "container/limits.h"
#include "store/state.h"

#include "containers_priv.h"
#include "labels_priv.h"
#include "shm_priv.h"
#include "signals_priv.h"

struct stopping {
    struct nd_containers *cs;
    const char *ns;
    struct nd_arena *arena;
    record *rec;
    int signo;
    int64_t timeout_s; /* -1: for ever */
    uint32_t pid;      /* of the process that is to end */
};

static struct nd_error *
choose_signal(struct stopping *s, const char *asked)
{
    const char *label = nd_container_record_label(s->rec, LABEL_STOP_SIGNAL);
    struct nd_error *err;

    s->signo = SIGTERM;
    if (asked[0] != '\0') {
        err = nd_signal_parse(nd_str(asked), &s->signo);
        return err != NULL ? nd_error_in_field(err, "signal") : NULL;
    }
    if (label != NULL) {
        err = nd_signal_parse(nd_str(label), &s->signo);
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

static struct nd_error *
mark_stopped(struct nd_containers *cs, const char *ns, const record *rec)
{
    if (nd_container_record_label_is(rec, LABEL_STOPPED, "true"))
        return NULL;
    return nd_container_record_set_label(cs, ns, rec->id, LABEL_STOPPED, "true");
}

static bool
is_alive(const task *t)
{
    return t != NULL && t->status != CT_TASKS__STATUS__STOPPED &&
           t->status != CT_TASKS__STATUS__CREATED;
}

static bool
is_frozen(const task *t)
{
    return t->status == CT_TASKS__STATUS__PAUSED || t->status == CT_TASKS__STATUS__PAUSING;
}

/* Somebody else may have woken it just before; what does not come to life is told by the kill. */
static struct nd_error *
wake(struct stopping *s)
{
    struct nd_error *err = nd_task_resume(s->cs, s->ns, s->rec->id);
    task *t;

    if (err == NULL)
        return NULL;
    ND_TRY(nd_task_get(s->cs, s->ns, s->rec->id, s->arena, &t));
    if (t != NULL && is_frozen(t))
        return err;
    nd_error_free(err);
    return NULL;
}

/* Mark, wake, signal. `*ret_ended` says that there is nothing to wait for. */
static struct nd_error *
ask_to_end(struct stopping *s, bool *ret_ended)
{
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    bool gone;
    task *t;

    ND_TRY(nd_hold_lock(s->cs, s->ns, s->rec->id, &hold));
    ND_TRY(mark_stopped(s->cs, s->ns, s->rec));
    ND_TRY(nd_task_get(s->cs, s->ns, s->rec->id, s->arena, &t));
    *ret_ended = !is_alive(t);
    if (*ret_ended)
        return NULL;
    s->pid = t->pid;
    if (is_frozen(t))
        ND_TRY(wake(s));
    if (s->timeout_s == 0)
        return NULL;
    ND_TRY(nd_task_kill(s->cs, s->ns, s->rec->id, s->signo, false, &gone));
    *ret_ended = gone;
    return NULL;
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
        err = nd_task_wait(s->cs, s->ns, s->rec->id, &exit);
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

/* Whether the process that was asked to end still runs. The caller has the lock. */
static struct nd_error *
still_runs(struct stopping *s, bool *ret)
{
    task *t;

    ND_TRY(nd_task_get(s->cs, s->ns, s->rec->id, s->arena, &t));
    *ret = is_alive(t) && t->pid == s->pid;
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
    if (is_alive(t))
        return NULL; /* started again already, and mounted anew */
    ND_TRY(nd_containers_store(s->cs, &store));
    ND_TRY(nd_state_new(store, s->ns, s->rec->id, &state));
    return nd_shm_unmount(nd_state_path(state));
}

static struct nd_error *
stop(struct stopping *s)
{
    int64_t for_ns = s->timeout_s < 0 ? INT64_MAX / 4 : s->timeout_s * ND_SECOND;
    bool ended;

    nd_doing("stop container");
    ND_TRY(ask_to_end(s, &ended));
    if (!ended)
        ND_TRY(wait_for_end(s, for_ns, &ended));
    if (!ended)
        ND_TRY(make_it_end(s));
    return unmount_shm(s);
}

struct nd_error *
nd_container_stop(struct nd_containers *cs, const char *ns,
                  const Pb__ContainerServiceStopRequest *req, struct nd_arena *arena,
                  Pb__ContainerServiceStopResponse *rsp)
{
    struct stopping s = {.cs = cs, .ns = ns, .arena = arena};

    ND_TRY(nd_container_find(cs, ns, req->container, arena, &s.rec));
    ND_TRY(choose_signal(&s, req->signal));
    ND_TRY(choose_timeout(&s, req));
    ND_TRY(stop(&s));
    rsp->container_id = s.rec->id;
    return NULL;
}

static struct nd_error *
not_running(const char *id)
{
    return nd_error_meta(
        nd_error_reason(nd_error_new(ND_PRECONDITION, "container %s is not running", id),
                        "CONTAINER_NOT_RUNNING"),
        "container", id);
}

/* Signals that are meant to end it: then it was somebody's wish, and no restart policy undoes it. */
static bool
is_ending(const record *rec, int signo)
{
    struct stopping s = {.rec = (record *)rec};
    struct nd_error *err = choose_signal(&s, "");

    nd_error_free(err);
    return signo == SIGKILL || signo == SIGTERM || signo == SIGINT || signo == SIGQUIT ||
           signo == s.signo;
}

struct nd_error *
nd_container_kill(struct nd_containers *cs, const char *ns,
                  const Pb__ContainerServiceKillRequest *req, struct nd_arena *arena,
                  Pb__ContainerServiceKillResponse *rsp)
{
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    int signo = SIGKILL;
    bool gone;
    record *rec;
    task *t;

    if (req->signal[0] != '\0') {
        struct nd_error *err = nd_signal_parse(nd_str(req->signal), &signo);

        if (err != NULL)
            return nd_error_in_field(err, "signal");
    }
    ND_TRY(nd_container_find_locked(cs, ns, req->container, arena, &rec, &hold));
    ND_TRY(nd_task_get(cs, ns, rec->id, arena, &t));
    if (!is_alive(t))
        return not_running(rec->id);
    if (is_ending(rec, signo))
        ND_TRY(mark_stopped(cs, ns, rec));
    ND_TRY(nd_task_kill(cs, ns, rec->id, signo, false, &gone));
    if (gone)
        return not_running(rec->id);
    if (is_frozen(t) && signo != SIGKILL)
        ND_TRY(nd_task_resume(cs, ns, rec->id));
    rsp->container_id = rec->id;
    return NULL;
}

struct nd_error *
nd_container_signal(struct nd_containers *cs, const char *ns, const char *container,
                    const char *signal)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_error *err;
    record *rec;
    int signo;

    err = nd_signal_parse(nd_str(signal), &signo);
    if (err != NULL)
        return nd_error_in_field(err, "signal");
    ND_TRY(nd_container_find(cs, ns, container, arena, &rec));
    return nd_task_kill(cs, ns, rec->id, signo, false, NULL);
}
