/*
 * `kill`, and the signals of an attached client.
 *
 * A signal that is meant to end the container marks it as stopped by somebody's wish, and that is
 * two steps: so it has an intent, and rolls forward. The recovery sends the signal again to the
 * process that was meant, as a client would that got no answer. Any other signal is one step, and
 * sent once at most: to a program that counts them a second one is another wish. So when it was cut
 * off in the middle a repeated request, which cannot know whether it was sent, is told that nobody
 * knows.
 */

#include <signal.h>

#include "container/lifecycle.h"
#include "operation/request.h"

#include "changes_priv.h"
#include "signals_priv.h"
#include "stop_priv.h"

static struct nd_error *
not_running(const char *id)
{
    return nd_error_meta(
        nd_error_reason(nd_error_new(ND_PRECONDITION, "container %s is not running", id),
                        "CONTAINER_NOT_RUNNING"),
        "container", id);
}

/*
 * Signals that are meant to end it: then it was somebody's wish, and no restart policy undoes it.
 */
static bool
is_ending(const record *rec, int signo)
{
    int stop_signo;
    struct nd_error *err = nd_stop_signal(rec, "", &stop_signo);

    nd_error_free(err);
    return signo == SIGKILL || signo == SIGTERM || signo == SIGINT || signo == SIGQUIT ||
           signo == stop_signo;
}

/* One that can take signals. */
struct victim {
    struct nd_containers *cs;
    const char *ns;
    const record *rec;
    const task *task;
    int signo;
};

static struct nd_error *
send_signal(const struct victim *v, bool *ret_gone)
{
    ND_TRY(nd_task_kill(v->cs, v->ns, v->rec->id, v->signo, false, ret_gone));
    if (!*ret_gone && nd_task_is_frozen(v->task) && v->signo != SIGKILL)
        return nd_task_wake(v->cs, v->ns, v->rec->id);
    return NULL;
}

static struct nd_error *
mark_and_send(const struct victim *v, bool *ret_gone)
{
    ND_TRY(nd_mark_stopped(v->cs, v->ns, v->rec));
    return send_signal(v, ret_gone);
}

static struct nd_error *
make_end(const struct victim *v, bool *ret_gone)
{
    const struct nd_change_spec spec = {
        .kind = CHANGE_KILL, .ns = v->ns, .object = v->rec->id, .forward = true};
    const struct ending ending = {.pid = v->task->pid, .signo = v->signo};
    ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;

    ND_TRY(nd_ending_begin(v->cs, &spec, &ending, &change));
    ND_TRY(mark_and_send(v, ret_gone));
    nd_change_settle(&change);
    return NULL;
}

/* The answer is lost, the question perhaps not. */
static bool
may_be_sent(const struct nd_error *err)
{
    enum nd_code code = nd_error_code(err);

    return code == ND_UNAVAILABLE || code == ND_DEADLINE || code == ND_CANCELLED;
}

/* Takes `err`. */
static struct nd_error *
nobody_knows(struct nd_error *err)
{
    err = nd_error_wrap(err, "whether the signal was sent is not known, and it is not sent again");
    err = nd_error_reason(nd_error_recode(err, ND_ABORTED), ND_REQUEST_UNKNOWN);
    return nd_error_hint(err, "send it with another request id, if it may come twice");
}

/* For a client who may ask again: this is not done again. */
static struct nd_error *
send_once(const struct victim *v, bool *ret_gone)
{
    const struct nd_change_spec spec = {.kind = CHANGE_SIGNAL, .ns = v->ns, .object = v->rec->id};
    const struct ending ending = {.pid = v->task->pid, .signo = v->signo};
    ND_AUTO(nd_change_end) struct nd_change change = ND_CHANGE_INIT;
    struct nd_error *err;

    ND_TRY(nd_ending_begin(v->cs, &spec, &ending, &change));
    err = send_signal(v, ret_gone);
    if (err != NULL && !may_be_sent(err))
        return err;
    nd_change_settle(&change);
    return err != NULL ? nobody_knows(err) : NULL;
}

static struct nd_error *
make_signal(const struct victim *v, bool *ret_gone)
{
    if (is_ending(v->rec, v->signo))
        return make_end(v, ret_gone);
    return nd_request_is_repeatable() ? send_once(v, ret_gone) : send_signal(v, ret_gone);
}

struct nd_error *
nd_container_kill(struct nd_containers *cs, const char *ns,
                  const Pb__ContainerServiceKillRequest *req, struct nd_arena *arena,
                  Pb__ContainerServiceKillResponse *rsp)
{
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    struct victim v = {.cs = cs, .ns = ns, .signo = SIGKILL};
    bool gone = false;
    record *rec;
    task *t;

    if (req->signal[0] != '\0') {
        struct nd_error *err = nd_signal_parse(nd_str(req->signal), &v.signo);

        if (err != NULL)
            return nd_error_in_field(err, "signal");
    }
    ND_TRY(nd_container_find_locked(cs, ns, req->container, arena, &rec, &hold));
    ND_TRY(nd_task_get(cs, ns, rec->id, arena, &t));
    if (!nd_task_can_end(t))
        return not_running(rec->id);
    v.rec = rec;
    v.task = t;
    ND_TRY(make_signal(&v, &gone));
    if (gone)
        return not_running(rec->id);
    rsp->container_id = rec->id;
    return NULL;
}

struct nd_error *
nd_kill_again(struct nd_containers *cs, const struct nd_open_intent *intent, const record *rec)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct victim v = {.cs = cs, .ns = intent->ns, .rec = rec};
    struct ending ending;
    bool gone;
    task *t;

    if (rec == NULL || !intent->same_boot)
        return NULL;
    ND_TRY(nd_ending_parse(intent->payload, &ending));
    ND_TRY(nd_task_get(cs, intent->ns, rec->id, arena, &t));
    if (!nd_task_can_end(t) || t->pid != ending.pid)
        return NULL;
    v.task = t;
    v.signo = ending.signo;
    return mark_and_send(&v, &gone);
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
