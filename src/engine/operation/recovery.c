/*
 * Recovery.
 *
 *   ledger ──open intents of the dead──▶ a job each ──▶ recoverer of its kind ──▶ forgotten
 *          ──left by this process─────▶ the same
 *
 * A job tries until it succeeds, with growing pauses. The gate for calls opens when each job of the
 * dead has been tried to an end once: one that cannot be recovered (a broken disk) must not keep
 * everything else from being served, nor the others from being tried, so only an attempt takes a
 * place. One that takes long (a shim that is stopped) goes on beside, without a place, and counts
 * as tried: it holds its object's lock, so who wants that waits, and nobody else. While containerd
 * cannot be reached the gate is open too, because calls fail by themselves then, and it closes
 * again only for those jobs that were never tried with it.
 *
 * A call that a daemon made just before it was killed is not over with it: containerd finishes what
 * it has begun, and a busy host may begin late. So what was being made is looked for again when the
 * gate is open.
 */

#include "operation/recovery.h"

#include <sys/queue.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/log.h"
#include "fiber/group.h"
#include "fiber/sync.h"

#include "operations_priv.h"

#define RETRY_MIN_NS (100 * ND_MILLISECOND)
#define RETRY_MAX_NS (30 * ND_SECOND)
#define TRY_NS       (120 * ND_SECOND) /* one attempt */
#define LATE_MIN_NS  (250 * ND_MILLISECOND)
#define LATE_MAX_NS  (2 * ND_SECOND)
#define WIDTH        32u /* attempts at once, but for those that take long */

struct recoverer {
    const char *kind;
    nd_recover_fn *fn;
    void *arg;
    bool patient, making;
};

struct nd_recovery {
    struct nd_host *host;
    struct recoverer kinds[ND_RECOVERY_MAX_KINDS];
    size_t n_kinds;
    bool listed;      /* what the dead left is known */
    size_t n_untried; /* of those, not yet dealt with or tried in vain */
    size_t n_blocked; /* of those, waiting for containerd */
    struct nd_cond changed;
    int64_t place_ns;         /* for so long an attempt keeps its place */
    TAILQ_HEAD(, job) trying; /* those that have a place, in the order in which they got it */
    size_t n_trying;
    struct nd_cond place; /* one became free */
};

struct nd_recovery *
nd_recovery_new(struct nd_host *host)
{
    struct nd_recovery *r = nd_new(struct nd_recovery);

    r->host = host;
    r->place_ns = ND_RECOVERY_PLACE_NS;
    TAILQ_INIT(&r->trying);
    return r;
}

void
nd_recovery_set_place_ns(struct nd_recovery *r, int64_t place_ns)
{
    r->place_ns = place_ns;
}

void
nd_recovery_free(struct nd_recovery *r)
{
    nd_free(r);
}

void
nd_recovery_freep(struct nd_recovery **recovery)
{
    nd_recovery_free(*recovery);
}

static void
add_recoverer(struct nd_recovery *r, struct recoverer recoverer)
{
    ND_INVARIANT(r->n_kinds < ND_RECOVERY_MAX_KINDS);
    r->kinds[r->n_kinds++] = recoverer;
}

void
nd_recovery_add(struct nd_recovery *r, const char *kind, nd_recover_fn *fn, void *arg)
{
    add_recoverer(r, (struct recoverer){.kind = kind, .fn = fn, .arg = arg});
}

void
nd_recovery_add_patient(struct nd_recovery *r, const char *kind, nd_recover_fn *fn, void *arg)
{
    add_recoverer(r, (struct recoverer){.kind = kind, .fn = fn, .arg = arg, .patient = true});
}

void
nd_recovery_add_making(struct nd_recovery *r, const char *kind, nd_recover_fn *fn, void *arg)
{
    add_recoverer(r, (struct recoverer){.kind = kind, .fn = fn, .arg = arg, .making = true});
}

static const struct recoverer *
find_recoverer(const struct nd_recovery *r, const char *kind)
{
    for (size_t i = 0; i < r->n_kinds; i++) {
        if (strcmp(r->kinds[i].kind, kind) == 0)
            return &r->kinds[i];
    }
    return NULL;
}

/* One intent on its way to be forgotten. */
struct job {
    struct nd_recovery *recovery;
    struct nd_open_intent intent;
    const struct recoverer *recoverer; /* NULL: nobody knows how */
    struct nd_intent *left;            /* of this process; NULL: of a dead one */
    bool untried, blocked;             /* counted in the recovery */
    bool has_place;
    struct nd_mono since; /* that it has */
    TAILQ_ENTRY(job) link;
    enum nd_recovered recovered;
    struct nd_buf answer; /* beyond the container */
};

static void
set_blocked(struct job *job, bool blocked)
{
    struct nd_recovery *r = job->recovery;

    if (job->blocked == blocked || !job->untried)
        return;
    job->blocked = blocked;
    r->n_blocked = blocked ? r->n_blocked + 1 : r->n_blocked - 1;
    nd_cond_broadcast(&r->changed);
}

static void
mark_tried(struct job *job)
{
    struct nd_recovery *r = job->recovery;

    set_blocked(job, false);
    if (!job->untried)
        return;
    job->untried = false;
    r->n_untried--;
    nd_cond_broadcast(&r->changed);
}

static void
free_job(struct job **job)
{
    mark_tried(*job);
    if ((*job)->left != NULL)
        nd_intent_leave((*job)->left);
    nd_buf_fini(&(*job)->answer);
    nd_free(*job);
}

static void
remember_answer(const struct job *job)
{
    ND_AUTO(nd_error_freep)
    struct nd_error *err = nd_request_recovered(job->recovery->host, &job->intent, job->recovered);

    if (err != NULL)
        nd_warn("the answer to a request is not remembered", ND_KV("kind", job->intent.kind),
                ND_KV("object", job->intent.object), ND_KV("error", err));
}

/* In one commit with its answer, where somebody may ask for it: no suspension. */
static struct nd_error *
forget(struct job *job)
{
    if (job->recovered != ND_RECOVERED_BACK)
        remember_answer(job);
    if (job->left == NULL)
        return nd_intent_forget(nd_host_ledger(job->recovery->host), job->intent.seq);
    nd_intent_drop(ND_TAKE(job->left), false);
    return NULL;
}

static bool
is_patient(const struct job *job)
{
    return job->recoverer != NULL && job->recoverer->patient;
}

static struct nd_error *
call_recoverer(const struct job *job)
{
    if (job->recoverer == NULL)
        return nd_error_new(ND_UNIMPLEMENTED, "nobody knows how to recover a %s", job->intent.kind);
    return job->recoverer->fn(job->recoverer->arg, &job->intent);
}

static struct nd_error *
call_within(const struct job *job)
{
    ND_DEADLINE_IN(TRY_NS);

    return call_recoverer(job);
}

static void
take_place(struct job *job)
{
    struct nd_recovery *r = job->recovery;

    job->has_place = true;
    job->since = nd_loop_now();
    TAILQ_INSERT_TAIL(&r->trying, job, link);
    if (r->n_trying++ == 0)
        nd_cond_broadcast(&r->changed); /* there is a time to look at */
}

static void
give_place_back(struct job *job)
{
    struct nd_recovery *r = job->recovery;

    if (!job->has_place)
        return;
    job->has_place = false;
    TAILQ_REMOVE(&r->trying, job, link);
    r->n_trying--;
    nd_cond_signal(&r->place);
}

/* Those that have taken too long go on without a place, and nobody waits for them. */
static void
set_slow_ones_aside(struct nd_recovery *r)
{
    struct job *job;

    while ((job = TAILQ_FIRST(&r->trying)) != NULL &&
           nd_loop_now().ns - job->since.ns >= r->place_ns) {
        nd_warn("recovery takes long and goes on beside", ND_KV("kind", job->intent.kind),
                ND_KV("object", job->intent.object), ND_KV("ns", job->intent.ns));
        give_place_back(job);
        mark_tried(job);
    }
}

/* Wait for a change, or until one is to be set aside. */
static struct nd_error *
wait_beside(struct nd_recovery *r, struct nd_cond *change)
{
    const struct job *oldest = TAILQ_FIRST(&r->trying);
    struct nd_error *err;

    if (oldest == NULL)
        return nd_cond_wait(change);
    {
        ND_DEADLINE_IN(ND_MAX(oldest->since.ns + r->place_ns - nd_loop_now().ns, (int64_t)0));
        err = nd_cond_wait(change);
    }
    if (nd_error_code(err) != ND_DEADLINE)
        return err;
    nd_error_free(err);
    set_slow_ones_aside(r);
    return nd_ctx_check();
}

static struct nd_error *
try_once(struct job *job)
{
    struct nd_recovery *r = job->recovery;
    struct nd_error *err;

    if (is_patient(job))
        return call_recoverer(job);
    while (r->n_trying >= WIDTH)
        ND_TRY(wait_beside(r, &r->place));
    take_place(job);
    err = call_within(job);
    give_place_back(job);
    return err;
}

static struct nd_error *
try_until_done(struct job *job)
{
    int64_t pause_ns = RETRY_MIN_NS;

    for (;;) {
        ND_AUTO(nd_error_freep) struct nd_error *err = try_once(job);

        if (err == NULL)
            return NULL;
        ND_TRY(nd_ctx_check());
        if (nd_error_code(err) == ND_UNAVAILABLE) {
            set_blocked(job, true);
        } else {
            nd_warn("recovery failed and is tried again", ND_KV("kind", job->intent.kind),
                    ND_KV("object", job->intent.object), ND_KV("ns", job->intent.ns),
                    ND_KV("error", err));
            mark_tried(job);
        }
        ND_TRY(nd_fiber_sleep(pause_ns));
        pause_ns = ND_MIN(2 * pause_ns, RETRY_MAX_NS);
    }
}

/* What arrives late goes as well; nobody is held up by that. Nothing arrives from before a boot. */
static struct nd_error *
look_again(struct job *job)
{
    mark_tried(job);
    for (int64_t pause_ns = LATE_MIN_NS; pause_ns <= LATE_MAX_NS; pause_ns *= 2) {
        ND_TRY(nd_fiber_sleep(pause_ns));
        ND_TRY(try_until_done(job));
    }
    return NULL;
}

static struct nd_error *
recover(void *arg)
{
    ND_AUTO(free_job) struct job *job = arg;

    nd_doing("recover");
    ND_TRY(try_until_done(job));
    if (job->left == NULL && job->intent.same_boot && job->recoverer->making)
        ND_TRY(look_again(job));
    nd_info("recovered", ND_KV("kind", job->intent.kind), ND_KV("object", job->intent.object),
            ND_KV("ns", job->intent.ns));
    return forget(job);
}

static struct job *
new_job(struct nd_recovery *r, const struct nd_open_intent *intent)
{
    struct job *job = nd_new(struct job);

    job->recovery = r;
    job->intent = *intent;
    job->intent.recovered = &job->recovered;
    job->answer = ND_BUF_INIT(ND_RECOVERED_ANSWER_MAX);
    job->intent.answer = &job->answer;
    job->recoverer = find_recoverer(r, intent->kind);
    return job;
}

static struct nd_error *
recover_the_dead(struct nd_recovery *r, struct nd_group *group, struct nd_arena *arena)
{
    struct nd_open_intent *open;
    size_t n;

    ND_TRY(nd_intents_of_the_dead(nd_host_ledger(r->host), arena, &open, &n));
    if (n > 0)
        nd_info("an earlier daemon ended in the middle of something", ND_KV("intents", n));
    for (size_t i = 0; i < n; i++) {
        struct job *job = new_job(r, &open[i]);
        struct nd_error *err;

        job->untried = !is_patient(job);
        r->n_untried += job->untried ? 1 : 0;
        err = nd_group_spawn(group, recover, job);
        if (err != NULL)
            free_job(&job);
        ND_TRY(err);
    }
    r->listed = true;
    nd_cond_broadcast(&r->changed);
    return NULL;
}

static struct nd_error *
recover_what_is_left(struct nd_recovery *r, struct nd_group *group)
{
    for (;;) {
        struct nd_open_intent view;
        struct nd_intent *left;
        struct nd_error *err;
        struct job *job;

        ND_TRY(nd_intent_next_left(nd_host_ledger(r->host), &left));
        nd_intent_view(left, &view);
        job = new_job(r, &view);
        job->left = left;
        err = nd_group_spawn(group, recover, job);
        if (err != NULL)
            free_job(&job);
        ND_TRY(err);
    }
}

struct nd_error *
nd_recovery_run(void *recovery)
{
    struct nd_recovery *r = recovery;
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    ND_AUTO(nd_group_endp)
    struct nd_group *group = nd_group_begin_independent("recovery", 0);

    ND_TRY_DOING(recover_the_dead(r, group, arena), "recovery");
    return recover_what_is_left(r, group);
}

struct nd_error *
nd_recovery_wait(struct nd_recovery *r)
{
    while (!r->listed || (r->n_untried > 0 && r->n_blocked == 0))
        ND_TRY(wait_beside(r, &r->changed));
    return NULL;
}

struct nd_error *
nd_recovery_wait_for_tries(struct nd_recovery *r)
{
    while (!r->listed || r->n_untried > 0)
        ND_TRY(wait_beside(r, &r->changed));
    return NULL;
}
