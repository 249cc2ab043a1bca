/*
 * Containers that go by themselves.
 *
 * A container that is to be removed when it has ended is removed by the daemon, whoever started it
 * and whether or not that client is still there.
 *
 *   job: leave it to others? ─ wait for attached clients ─ for those cut off ─ lock ─ is it still so? ─ remove
 *
 * There is one job for a container at a time. Who asks again meanwhile (its exit event, its run,
 * the look around) makes that one look again when it is through. A job that fails tries again, ever
 * more rarely: nobody else would, as long as the connection to containerd stands.
 *
 * One exception: a nerdctl command in the foreground removes its container itself, and reads the
 * output until then from FIFOs of its own. Such a container is left alone for a while, in case that
 * command has died.
 */

#include <errno.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "container/limits.h"
#include "fiber/work.h"
#include "store/state.h"
#include "stream/folder.h"

#include "attachment_priv.h"
#include "labels_priv.h"
#include "remove_priv.h"

#define RETRY_MIN_NS (100 * ND_MILLISECOND)
#define RETRY_MAX_NS (60 * ND_SECOND)

struct job {
    struct nd_containers *cs;
    char *key; /* in cs->removals */
    char *ns, *id;
    bool again; /* somebody asked while it ran */
};

static void
end_job(struct job **job)
{
    struct job *j = *job;

    nd_map_take(j->cs->removals, nd_str(j->key));
    nd_free(j->key);
    nd_free(j->ns);
    nd_free(j->id);
    nd_free(j);
}

struct folder {
    const char *path;
    bool there;
};

static void
look_for_folder(void *arg)
{
    struct folder *folder = arg;

    folder->there = access(folder->path, F_OK) == 0 || errno != ENOENT;
}

/* Whether it ran once: a container that was only made waits for its start. */
static struct nd_error *
was_started(struct job *job, bool *ret)
{
    ND_AUTO(nd_state_freep) struct nd_state *state = NULL;
    struct nd_lifecycle lifecycle;
    struct folder folder = {0};
    struct nd_store *store;
    struct nd_error *err;

    ND_TRY(nd_containers_store(job->cs, &store));
    ND_TRY(nd_state_new(store, job->ns, job->id, &state));
    err = nd_state_read_lifecycle(state, &lifecycle);
    *ret = err == NULL;
    nd_error_free(err);
    if (*ret)
        return NULL;
    /* A removal that was cut short after its files: there is not even a folder any more. */
    folder.path = nd_state_path(state);
    ND_TRY(nd_work(ND_WORK_SHORT, look_for_folder, &folder));
    *ret = !folder.there;
    return NULL;
}

/* Whether the record says that it is to go; most do not. */
static bool
is_marked(const record *rec)
{
    return nd_container_record_label_is(rec, LABEL_AUTO_REMOVE, "true");
}

static struct nd_error *
is_due(struct job *job, const record *rec, struct nd_arena *arena, bool *ret)
{
    task *t;

    *ret = is_marked(rec);
    if (!*ret)
        return NULL;
    ND_TRY(nd_task_get(job->cs, job->ns, job->id, arena, &t));
    if (t == NULL)
        return was_started(job, ret);
    *ret = t->status == CT_TASKS__STATUS__STOPPED;
    return NULL;
}

/* Leave it to the command that reads its FIFOs, for a while. */
static struct nd_error *
wait_for_foreign_client(struct job *job, struct nd_arena *arena)
{
    task *t;

    ND_TRY(nd_task_get(job->cs, job->ns, job->id, arena, &t));
    if (t == NULL || t->stdout[0] != '/' ||
        nd_str_ends(nd_str(t->stdout), ND_STR("/streams/stdout"))) /* of a helper of ours */
        return NULL;
    return nd_fiber_sleep(ND_FOREIGN_REMOVE_NS);
}

/*
 * Once nobody is attached, who reads it here. A client that does not read does not keep it for
 * ever.
 */
static struct nd_error *
lock_if_due(struct job *job, struct nd_arena *arena, record **ret, struct hold **ret_hold)
{
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    record *rec;
    bool due;

    ND_TRY(nd_hold_lock_unused(job->cs, job->ns, job->id, ND_TEARDOWN_NS, &hold));
    ND_TRY(nd_container_record_get(job->cs, job->ns, job->id, arena, &rec));
    ND_TRY(is_due(job, rec, arena, &due));
    if (due) {
        *ret = rec;
        *ret_hold = ND_TAKE(hold);
    }
    return NULL;
}

/*
 * Whoever was cut off may come back for its last bytes and the exit code, as long as its session is
 * held.
 */
static struct nd_error *
wait_for_sessions(struct job *job, struct nd_arena *arena)
{
    ND_AUTO(nd_state_freep) struct nd_state *state = NULL;
    struct nd_store *store;
    struct nd_error *err;

    ND_TRY(nd_containers_store(job->cs, &store));
    ND_TRY(nd_state_new(store, job->ns, job->id, &state));
    {
        ND_DEADLINE_IN(nd_session_hold_ns(job->cs) + ND_SESSIONS_GRACE_NS);
        err = nd_streams_helper_join(nd_arena_printf(arena, "%s/streams", nd_state_path(state)));
    }
    if (nd_error_code(err) != ND_DEADLINE)
        return err;
    nd_error_free(err);
    return nd_ctx_check();
}

static struct nd_error *
remove_if_due(struct job *job)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_hold_unlockp) struct hold *hold = NULL;
    record *rec;

    ND_TRY(nd_container_record_get(job->cs, job->ns, job->id, arena, &rec));
    if (!is_marked(rec))
        return NULL;
    ND_TRY(wait_for_foreign_client(job, arena));
    ND_TRY(lock_if_due(job, arena, &rec, &hold));
    if (hold == NULL)
        return NULL;
    nd_hold_unlock(ND_TAKE(hold));
    ND_TRY(wait_for_sessions(job, arena));
    ND_TRY(lock_if_due(job, arena, &rec, &hold));
    return hold != NULL ? nd_remove_locked(job->cs, job->ns, rec, false, NULL) : NULL;
}

enum outcome { OVER, TRY_AGAIN };

/* Takes `err`, the result of one try. */
static enum outcome
judge(const struct job *job, bool first, struct nd_error *err)
{
    enum nd_code code = nd_error_code(err);
    enum outcome outcome = TRY_AGAIN;

    if (err == NULL || code == ND_NOT_FOUND || code == ND_CANCELLED)
        outcome = OVER; /* gone, or not due; or the end of the program */
    else if (code == ND_UNAVAILABLE)
        outcome = OVER; /* the look around finds it, once containerd is back */
    else if (first)
        nd_warn("automatic removal fails, and is tried again",
                ND_KV("container", (const char *)job->id), ND_KV("error", err));
    nd_error_free(err);
    return outcome;
}

static struct nd_error *
run_job(void *arg)
{
    ND_AUTO(end_job) struct job *job = arg;
    int64_t pause_ns = RETRY_MIN_NS;

    for (bool first = true;; first = false) {
        job->again = false;
        if (judge(job, first, remove_if_due(job)) == TRY_AGAIN) {
            ND_TRY(nd_fiber_sleep(pause_ns));
            pause_ns = ND_MIN(2 * pause_ns, RETRY_MAX_NS);
        } else if (!job->again) {
            return NULL;
        }
        ND_TRY(nd_ctx_check());
    }
}

void
nd_remove_later(struct nd_containers *cs, const char *ns, const char *id)
{
    char *key = nd_asprintf("%s/%s", ns, id);
    struct job *job = nd_map_find(cs->removals, nd_str(key));

    if (job != NULL) {
        nd_free(key);
        job->again = true;
        return;
    }
    job = nd_new(struct job);
    *job = (struct job){.cs = cs, .key = key, .ns = nd_strdup(ns), .id = nd_strdup(id)};
    nd_map_set(cs->removals, nd_str(key), job);
    if (!nd_containers_spawn(cs, run_job, job))
        end_job(&job);
}
